"""Flash and RAM of the heaps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from rtosheap.cortexm.images import Configuration, Kernel, object_file
from rtosheap.cortexm.targets import CPUS, cpu_named
from rtosheap.cortexm.toolchain import find_toolchain
from rtosheap.device import read_firmware
from rtosheap.kinds import NAMES, HeapKind, freertos_class, heap_name, layout_of

__all__ = ["Footprint", "footprint"]


class Sections(NamedTuple):
    """Bytes of an object file."""

    code: int  # with constants
    data: int  # takes flash and RAM
    bss: int


class Footprint(NamedTuple):
    """What a heap takes on a target, without its arena.

    Attributes
    ----------
    heap, cpu, optimize : str
        Which heap, for which processor, at which level.
    flash, ram : int
        Bytes. Of heap_3, what its file takes: the C library's allocator comes on top.
    compiler : str
        What the compiler says of itself. Another compiler gives other numbers.
    flags : tuple of str
        What it was told.

    Examples
    --------
    >>> one = Footprint(  # of footprint(), by the compiler that is named
    ...     heap="heap_4",
    ...     cpu="cortex-m4",
    ...     optimize="-Os",
    ...     flash=488,
    ...     ram=28,
    ...     compiler="arm-none-eabi-gcc 12.2.1",
    ...     flags=("-mcpu=cortex-m4", "-mthumb", "-Os", "-std=c11"),
    ... )
    >>> f"{one.heap} at {one.optimize}: {one.flash} bytes of flash, {one.ram} of RAM"
    'heap_4 at -Os: 488 bytes of flash, 28 of RAM'
    """

    heap: str
    cpu: str
    optimize: str
    flash: int
    ram: int
    compiler: str
    flags: tuple[str, ...]


def footprint(
    *,
    heap: HeapKind | None = None,
    cpu: str | None = None,
    optimize: str | Iterable[str] = ("-Os", "-O2"),
    alignment: int = 8,
    clear_on_free: bool = False,
    protector: bool = False,
    asserts: bool = False,
    toolchain: str | None = None,
) -> list[Footprint]:
    """Flash and RAM of each heap for each processor; no arena is counted.

    Parameters
    ----------
    heap : class or str, optional
        One heap; by default all five (heap_3 where the compiler brings a C library).
    cpu : str, optional
        One processor, such as ``"cortex-m4"``; by default all.
    optimize : str or iterable of str
        Levels of optimisation.
    alignment, clear_on_free, protector, asserts
        FreeRTOS's configuration: ``portBYTE_ALIGNMENT``, ``configHEAP_CLEAR_MEMORY_ON_FREE``,
        ``configENABLE_HEAP_PROTECTOR``, and whether there is a ``configASSERT`` (one that loops).
    toolchain : {"arm-none-eabi-gcc", "zig"}, optional
        By default the first of them that is there.

    Returns
    -------
    list of Footprint
        In the order of heaps, processors and levels.

    Raises
    ------
    ToolchainError
        If there is no compiler.
    ValueError
        If a heap, a processor or a level does not exist.

    Examples
    --------
    >>> rows = footprint(heap="heap_4", cpu="cortex-m4", optimize="-Os")  # doctest: +SKIP
    >>> rows[0].flash, rows[0].ram  # doctest: +SKIP
    (488, 28)
    >>> footprint(heap="heap_4", toolchain="armclang")
    Traceback (most recent call last):
        ...
    ValueError: toolchain is 'armclang'; it must be one of arm-none-eabi-gcc, zig
    """
    compiler = find_toolchain(toolchain)
    heaps = NAMES if heap is None else (heap_name(freertos_class(heap)),)
    if heap is None and compiler.name != "arm-none-eabi-gcc":
        heaps = tuple(name for name in NAMES if not layout_of(name).is_newlib)
    cpus = CPUS if cpu is None else (cpu_named(cpu).name,)
    levels = (optimize,) if isinstance(optimize, str) else tuple(optimize)
    kernel = Kernel(alignment, clear_on_free, protector, asserts)
    found = []
    for name, target, level in product(heaps, cpus, levels):
        configuration = Configuration(name, CPUS[target], compiler, level, kernel)
        sections = sections_of(object_file(configuration))
        found.append(
            Footprint(
                heap=name,
                cpu=target,
                optimize=level,
                flash=sections.code + sections.data,
                ram=sections.data + sections.bss,
                compiler=compiler.version,
                flags=(*configuration.flags, *configuration.defines),
            )
        )
    return found


def sections_of(data: bytes) -> Sections:
    """What an object file takes on the target; tables for unwinding are not counted."""
    code = initialised = bss = 0
    for section in read_firmware(data).sections:
        if not section.allocated or section.name.startswith(".ARM.ex"):
            continue
        if section.empty:
            bss += section.size
        elif section.writable:
            initialised += section.size
        else:
            code += section.size
    return Sections(code, initialised, bss)
