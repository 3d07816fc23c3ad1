"""The images that are measured: a drop-in file, an arena, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

from rtosheap.cortexm.machine import Machine
from rtosheap.cortexm.targets import Cpu
from rtosheap.cortexm.toolchain import Build, Toolchain, ToolchainError, csrc
from rtosheap.heaps.layout import ALIGNMENTS, Layout
from rtosheap.kinds import layout_of

__all__ = [
    "ARENA",
    "CANARY",
    "LEVELS",
    "Configuration",
    "Kernel",
    "check_kernel",
    "image",
    "machine",
    "object_file",
    "placed",
    "set_up",
]

#: Where the arena lies.
ARENA = 0x2000_0000
#: The heap protector's, in csrc/cortexm/measure_main.c.
CANARY = 0x5EED_CA9A
_REST = 64 << 10  # for data, bss and stack
_ROM = 1 << 20
#: Of optimisation.
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-Og")


Regions = Sequence[tuple[int, int]]  # addresses and sizes, in ascending order


class Kernel(NamedTuple):
    """FreeRTOS's configuration, as far as it concerns a heap."""

    alignment: int = 8
    clear_on_free: bool = False
    protector: bool = False
    asserts: bool = False
    indexed: bool = False
    chunk: int | None = None
    regions: int = 1  # heap_5's
    region_bytes: int | None = None  # their sum, if not configTOTAL_HEAP_SIZE

    def with_regions(self, regions: Regions) -> Kernel:
        """The same of a heap_5 in these."""
        return self._replace(regions=len(regions), region_bytes=sum(size for _, size in regions))


class Configuration(NamedTuple):
    """A heap, a processor and a compiler, with all that makes its code what it is."""

    heap: str
    cpu: Cpu
    toolchain: Toolchain
    optimize: str
    kernel: Kernel

    @property
    def flags(self) -> tuple[str, ...]:
        """What the compiler is told."""
        if self.optimize not in LEVELS:
            raise ValueError(f"optimize is {self.optimize!r}; it must be {', '.join(LEVELS)}")
        return self.toolchain.flags(self.cpu, self.optimize)

    @property
    def defines(self) -> tuple[str, ...]:
        """FreeRTOS's configuration."""
        macros: dict[str, int | str] = {
            "configAPPLICATION_ALLOCATED_HEAP": 1,
            "portBYTE_ALIGNMENT": self.kernel.alignment,
            "configHEAP_CLEAR_MEMORY_ON_FREE": int(self.kernel.clear_on_free),
            "configENABLE_HEAP_PROTECTOR": int(self.kernel.protector),
            "TEST_ASSERT": int(self.kernel.asserts),
            "configRTOSHEAP_BOUNDED": int(self.kernel.indexed),
        }
        if self.kernel.chunk is not None:
            macros["configRTOSHEAP_BOUNDED_CHUNK"] = self.kernel.chunk
        sized = self.kernel.indexed or self.kernel.region_bytes is not None
        if sized and layout_of(self.heap).has_regions:
            macros["configRTOSHEAP_BOUNDED_REGIONS"] = self.kernel.regions
            macros["configRTOSHEAP_BOUNDED_SIZE"] = (
                self.kernel.region_bytes or "configTOTAL_HEAP_SIZE"
            )
        return tuple(f"-D{name}={value}" for name, value in macros.items())

    def defines_for(self, heap_size: int) -> tuple[str, ...]:
        """The same, of a heap of this size."""
        return (*self.defines, f"-DconfigTOTAL_HEAP_SIZE={heap_size}")


_MOST_STEPS = 131_072  # RH_INDEX_MOST_STEPS in csrc/core/rh_index.h


def check_kernel(heap: str, kernel: Kernel, heap_size: int | None) -> None:
    """That there is such a configuration of a heap of this size (None: not known yet)."""
    if kernel.alignment not in ALIGNMENTS:
        raise ValueError(f"alignment is {kernel.alignment!r}; it must be 4, 8, 16 or 32")
    if heap_size is not None and not isinstance(heap_size, SupportsIndex):
        raise TypeError(f"heap_size is {heap_size!r}; it must be a whole number of bytes")
    if not kernel.indexed:
        if kernel.chunk is not None:
            raise ValueError(f"chunk is {kernel.chunk!r}, and index is False: it is of an index")
        return
    layout = layout_of(heap)
    if layout.is_newlib or not layout.by_address:
        raise ValueError(f"index is True, and heap {heap!r}; only heap_4 and heap_5 have an index")
    least = 16 * kernel.alignment
    chunk = least if kernel.chunk is None else kernel.chunk
    if not isinstance(chunk, SupportsIndex) or chunk < least or chunk & (chunk - 1):
        raise ValueError(f"chunk is {chunk!r}; it must be {least} bytes or a larger power of two")
    most = _MOST_STEPS * kernel.alignment
    if heap_size is not None and heap_size > most:
        raise ValueError(f"heap_size is {heap_size}; with this index it must be {most} or less")


def object_file(configuration: Configuration, heap_size: int | None = None) -> bytes:
    """The drop-in file alone; without a size, of the kernel's own."""
    source = f"freertos/{configuration.heap}.c"
    defines = configuration.defines
    if heap_size is not None:
        defines = configuration.defines_for(heap_size)
    return Build(configuration.toolchain, configuration.flags, defines, [source]).result()


def image(configuration: Configuration, heap_size: int, *flags: str) -> bytes:
    """The drop-in file and an arena of `heap_size` bytes at `ARENA`, compiled (with these flags,
    too) and linked.
    """
    ram = _ram(configuration, heap_size)
    script = (
        "MEMORY\n{\n"
        f"    ROM (rx) : ORIGIN = 0x00000000, LENGTH = {_ROM}\n"
        f"    RAM (rwx) : ORIGIN = {ARENA:#x}, LENGTH = {ram}\n"
        "}\n"
        f"rh_arena_bytes = {-(-heap_size // 32) * 32};\n"
        + (csrc() / "cortexm" / "sections.ld").read_text()
    )
    sources = [f"freertos/{configuration.heap}.c", "cortexm/startup.c", "cortexm/measure_main.c"]
    defines = [
        *configuration.defines_for(heap_size),
        f"-DMEASURED_HEAP={configuration.heap[-1]}",
    ]
    library: Sequence[str] = ()
    if layout_of(configuration.heap).is_newlib:
        if configuration.toolchain.name != "arm-none-eabi-gcc":
            raise ToolchainError("heap_3 needs newlib-nano, which comes with arm-none-eabi-gcc")
        sources.append("cortexm/measure_newlib.c")
        library = ("-specs=nano.specs",)
    else:
        sources.append("cortexm/memory_functions.c")
    told = (*configuration.flags, *flags)
    return Build(configuration.toolchain, told, defines, sources, script, library).result()


def placed(configuration: Configuration, regions: Regions) -> tuple[int, list[tuple[int, int]]]:
    """Of a heap's regions the bytes of the image's own arena, and the regions elsewhere."""
    arena = next((size for at, size in regions if at == ARENA), 32)
    more = [(at, size) for at, size in regions if at != ARENA]
    for start, length in ((0, _ROM), (ARENA, _ram(configuration, arena))):
        for at, size in more:
            if at < start + length and start < at + size:
                raise ValueError(
                    f"regions has {size} bytes at {at:#x}; the image lies at {start:#x} to "
                    f"{start + length - 1:#x}: only at {ARENA:#x} may a region begin there"
                )
    return arena, more


def machine(configuration: Configuration, heap_size: int, more: Regions = ()) -> Machine:
    """A processor with that image, and `more` RAM elsewhere."""
    ram = (ARENA, _ram(configuration, heap_size))
    return Machine(image(configuration, heap_size), configuration.cpu, [ram, *more])


def set_up(machine: Machine, layout: Layout, regions: Regions) -> None:
    """Set the image's heap up; heap_5's regions are these."""
    if layout.has_regions:
        words = [word for region in [*regions, (0, 0)] for word in region]
        table = machine.symbols["rh_regions"]
        machine.write(table, b"".join(word.to_bytes(4, "little") for word in words))
        machine.call("vPortDefineHeapRegions", table)
    elif not layout.is_newlib:
        machine.call("pvPortMalloc", 0)


def _ram(configuration: Configuration, heap_size: int) -> int:
    kernel = configuration.kernel
    index = max(heap_size, kernel.region_bytes or 0) // 4 * kernel.indexed
    return -(-(heap_size + index + _REST) // 4096) * 4096
