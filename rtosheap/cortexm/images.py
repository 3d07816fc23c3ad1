"""The images that are measured: a drop-in file, an arena, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rtosheap.cortexm.machine import Machine
from rtosheap.cortexm.targets import Cpu
from rtosheap.cortexm.toolchain import Build, Toolchain, ToolchainError, csrc
from rtosheap.kinds import layout_of

__all__ = ["ARENA", "CANARY", "Configuration", "Kernel", "machine", "object_file"]

#: Where the arena lies.
ARENA = 0x2000_0000
#: The heap protector's, in csrc/cortexm/measure_main.c.
CANARY = 0x5EED_CA9A
_REST = 64 << 10  # for data, bss and stack
_LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-Og")


class Kernel(NamedTuple):
    """FreeRTOS's configuration, as far as it concerns a heap."""

    alignment: int = 8
    clear_on_free: bool = False
    protector: bool = False
    asserts: bool = False


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
        if self.optimize not in _LEVELS:
            raise ValueError(f"optimize is {self.optimize!r}; it must be {', '.join(_LEVELS)}")
        return self.toolchain.flags(self.cpu, self.optimize)

    @property
    def defines(self) -> tuple[str, ...]:
        """FreeRTOS's configuration."""
        macros: Mapping[str, int] = {
            "configAPPLICATION_ALLOCATED_HEAP": 1,
            "portBYTE_ALIGNMENT": self.kernel.alignment,
            "configHEAP_CLEAR_MEMORY_ON_FREE": int(self.kernel.clear_on_free),
            "configENABLE_HEAP_PROTECTOR": int(self.kernel.protector),
            "TEST_ASSERT": int(self.kernel.asserts),
        }
        return tuple(f"-D{name}={value}" for name, value in macros.items())


def object_file(configuration: Configuration) -> bytes:
    """The drop-in file alone."""
    source = f"freertos/{configuration.heap}.c"
    toolchain, flags = configuration.toolchain, configuration.flags
    return Build(toolchain, flags, configuration.defines, [source]).result()


def machine(
    configuration: Configuration, heap_size: int, more: Sequence[tuple[int, int]] = ()
) -> Machine:
    """A processor with the drop-in file and an arena of `heap_size` bytes at `ARENA`, and `more`
    RAM elsewhere.
    """
    ram = -(-(heap_size + _REST) // 4096) * 4096
    script = (
        "MEMORY\n{\n"
        "    ROM (rx) : ORIGIN = 0x00000000, LENGTH = 1M\n"
        f"    RAM (rwx) : ORIGIN = {ARENA:#x}, LENGTH = {ram}\n"
        "}\n"
        f"rh_arena_bytes = {-(-heap_size // 32) * 32};\n"
        + (csrc() / "cortexm" / "sections.ld").read_text()
    )
    sources = [f"freertos/{configuration.heap}.c", "cortexm/startup.c", "cortexm/measure_main.c"]
    defines = [
        *configuration.defines,
        f"-DconfigTOTAL_HEAP_SIZE={heap_size}",
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
    build = Build(configuration.toolchain, configuration.flags, defines, sources, script, library)
    return Machine(build.result(), configuration.cpu, [(ARENA, ram), *more])
