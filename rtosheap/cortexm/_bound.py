"""The most that malloc and free can cost on a Cortex-M: proven from the binary, and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

from rtosheap.cortexm._adversary import find_worst
from rtosheap.cortexm._footprint import sections_of
from rtosheap.cortexm._proof import Step, prove
from rtosheap.cortexm.images import (
    ARENA,
    Configuration,
    Kernel,
    Regions,
    check_kernel,
    object_file,
    placed,
)
from rtosheap.cortexm.targets import cpu_named
from rtosheap.cortexm.toolchain import find_toolchain
from rtosheap.heaps import Heap5
from rtosheap.kinds import HeapKind, freertos_class, heap_name, layout_of
from rtosheap.tables import pairs

__all__ = ["Bound", "bound"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Bound:
    """The most instructions that a malloc and a free can execute.

    They are those of one binary: another compiler, or other flags, give others. The heap is one
    that is set up and intact, and the scheduler's calls cost nothing, as in :func:`measure`. A loop
    that a compiler has unrolled (clang at -O2 does) is taken to turn as often as one that it has
    not, so that the proven numbers are larger than need be.

    Attributes
    ----------
    malloc, free : int
        Proven: the longest path of ``pvPortMalloc`` and ``vPortFree`` through the machine code,
        from the first instruction to the return. It need not be possible: what one branch says of
        a later one is not looked at.
    malloc_found, free_found : int
        The most that a call took that was run: never more than is proven.
    calls : int
        How many ran.
    heap, cpu, optimize : str
    regions : tuple of (int, int)
        Addresses and sizes, of heap_5; of another heap one.
    index : bool
        Whether heap_4 or heap_5 has its index.
    index_bytes : int
        RAM that it takes, outside the heap.
    code_bytes : int
        Of the drop-in file.
    clears : bool
        Whether a free clears the block. That is linear in the block, and left out of all numbers.
    compiler : str
    flags : tuple of str
        What it was told.
    steps : mapping of str to tuple of Step
        The lines of the longest paths, of ``"malloc"`` and of ``"free"``: see :meth:`path`.

    Examples
    --------
    >>> found = Bound(  # of bound("heap_4", heap_size=16384), by the compiler that is named
    ...     heap="heap_4",
    ...     cpu="cortex-m4",
    ...     optimize="-O2",
    ...     regions=((0x2000_0000, 16384),),
    ...     malloc=2612,
    ...     free=1581,
    ...     malloc_found=2596,
    ...     free_found=1575,
    ...     calls=120,
    ...     code_bytes=544,
    ...     compiler="arm-none-eabi-gcc 12.2.1",
    ... )
    >>> print(found)
    heap       heap_4 of 16,384 bytes
    processor  cortex-m4, -O2, 544 bytes of code
    compiler   arm-none-eabi-gcc 12.2.1
    malloc     at most 2,612 instructions; found 2,596
    free       at most 1,581 instructions; found 1,575
    """

    heap: str
    cpu: str
    optimize: str
    regions: tuple[tuple[int, int], ...]
    malloc: int
    free: int
    malloc_found: int
    free_found: int
    calls: int
    index: bool = False
    index_bytes: int = 0
    code_bytes: int = 0
    clears: bool = False
    compiler: str = ""
    flags: tuple[str, ...] = ()
    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)

    @property
    def heap_size(self) -> int:
        """Bytes; of heap_5 those of its regions together."""
        return sum(size for _, size in self.regions)

    def path(self, call: str) -> list[Step]:
        """The lines of the longest path, with the instructions that it executes on each.

        Parameters
        ----------
        call : {"malloc", "free"}

        Raises
        ------
        ValueError
            If it is neither.
        """
        if call not in ("malloc", "free"):
            raise ValueError(f"call is {call!r}; it must be 'malloc' or 'free'")
        return list(self.steps.get(call, ()))

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values."""
        names = ("heap", "heap_size", "index", "cpu", "optimize", "compiler")
        numbers = ("malloc", "malloc_found", "free", "free_found", "calls")
        sizes = ("index_bytes", "code_bytes", "clears")
        facts = {name: getattr(self, name) for name in (*names, *numbers, *sizes)}
        regions = [list(region) for region in self.regions]
        return {**facts, "regions": regions, "flags": list(self.flags)}

    def summary(self) -> list[tuple[str, str]]:
        """The same in words."""
        parts = f" in {len(self.regions)} regions" if len(self.regions) > 1 else ""
        index = f" with an index of {self.index_bytes:,} bytes" if self.index else ""
        lines = [
            ("heap", f"{self.heap} of {self.heap_size:,} bytes{parts}{index}"),
            ("processor", f"{self.cpu}, {self.optimize}, {self.code_bytes:,} bytes of code"),
            ("compiler", self.compiler),
            ("malloc", _text(self.malloc, self.malloc_found)),
            ("free", _text(self.free, self.free_found)),
        ]
        if self.clears:
            lines.append(("left out", "clearing the freed block, which is linear in its size"))
        return lines

    def __str__(self) -> str:
        return pairs(self.summary())

    def __repr__(self) -> str:
        return f"<Bound of {self.heap}, {self.cpu}: malloc {self.malloc:,}, free {self.free:,}>"


def _text(proven: int, found: int) -> str:
    return f"at most {proven:,} instructions; found {found:,}"


def _check_search(kernel: Kernel) -> None:
    """That the search of a heap_5 in several regions does not walk the list."""
    most = 32 * kernel.alignment  # from 64 steps on entries are near: RH_INDEX_NEAR
    if kernel.regions == 1 or (kernel.indexed and (kernel.chunk or 0) <= most):
        return
    why = f"chunk is {kernel.chunk}" if kernel.indexed else "index is False"
    raise ValueError(
        f"regions are {kernel.regions}, and {why}: in several regions a search that walks the list "
        "is a loop in a loop, and only of each alone is it known how often it turns; it must be "
        f"one region, or index=True with a chunk of {most} bytes at most"
    )


def bound(
    heap: HeapKind = "heap_4",
    *,
    heap_size: int | None = None,
    regions: Sequence[tuple[int, int]] | None = None,
    cpu: str = "cortex-m4",
    optimize: str = "-O2",
    alignment: int = 8,
    clear_on_free: bool = False,
    protector: bool = False,
    asserts: bool = False,
    index: bool = False,
    chunk: int | None = None,
    toolchain: str | None = None,
    search: int = 5_000_000,
    seed: int = 0,
) -> Bound:
    """The most instructions that malloc and free can execute, in a heap of this size.

    Proven from the binary that :func:`measure` runs: its control flow is read from the machine
    code, and each of its loops comes from one in the C sources that says how often it can turn, an
    expression which the same compiler evaluates. Beside it stands the worst that was found by
    running: heaps that are made to be slow, and a search from there.

    Parameters
    ----------
    heap : class or str
        Which heap, but for heap_3, which is the C library's.
    heap_size : int
        ``configTOTAL_HEAP_SIZE``, in bytes; of heap_5 it makes one region.
    regions : sequence of (int, int)
        heap_5's regions in its place, (address, size) in ascending order. What is proven holds for
        all that are no more, and no more bytes together. Several need an index, with chunks of up
        to 32 alignment steps.
    index : bool
        Whether heap_4 or heap_5 keeps an index (``configRTOSHEAP_BOUNDED``).
    chunk : int, optional
        Bytes of the index's chunks (``configRTOSHEAP_BOUNDED_CHUNK``).
    cpu, optimize, alignment, clear_on_free, protector, asserts, toolchain
        As of :func:`measure`.
    search : int
        How many instructions to spend on the search.
    seed : int
        Of the search: the same seed finds the same.

    Returns
    -------
    Bound

    Raises
    ------
    ToolchainError, MachineError
        If there is no compiler, or no emulator or disassembler.
    ValueError
        If an argument is none of those that exist; or the machine code has control flow that cannot
        be followed, or a loop of which the source does not say how often it turns.

    Examples
    --------
    >>> from rtosheap.cortexm import bound
    >>> print(bound("heap_4", heap_size=16384))  # doctest: +SKIP
    heap       heap_4 of 16,384 bytes
    processor  cortex-m4, -O2, 544 bytes of code
    compiler   arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205
    malloc     at most 2,612 instructions; found 2,596
    free       at most 1,581 instructions; found 1,575
    >>> bound("heap_3", heap_size=16384)
    Traceback (most recent call last):
        ...
    ValueError: heap is 'heap_3', the C library's; it must be one of the other four
    """
    name = heap_name(freertos_class(heap))
    layout = layout_of(name)
    if layout.is_newlib:
        raise ValueError(f"heap is {name!r}, the C library's; it must be one of the other four")
    kernel = Kernel(alignment, clear_on_free, protector, asserts, index, chunk)
    if (heap_size is None) == (regions is None):
        raise ValueError("heap_size is to be given, or of heap_5 regions: one of the two")
    if regions is not None:
        if not layout.has_regions:
            raise ValueError(f"regions are heap_5's; {name} has heap_size")
        Heap5(regions, alignment=alignment)  # that it can take them
        kernel = kernel.with_regions(regions)
        _check_search(kernel)
    size = heap_size if heap_size is not None else kernel.region_bytes
    check_kernel(name, kernel, size)
    if size is None or size < 64:
        raise ValueError(f"heap_size is {size}; it must be 64 bytes or more")
    if not isinstance(search, SupportsIndex) or search < 0:
        raise ValueError(f"search is {search!r}; it must be 0 or more instructions")
    configuration = Configuration(name, cpu_named(cpu), find_toolchain(toolchain), optimize, kernel)
    own = [(ARENA, size)] if regions is None else list(regions)
    result = _bound(configuration, own, search, seed)
    for call in ("malloc", "free"):
        most, seen = getattr(result, call), getattr(result, f"{call}_found")
        if seen > most:
            raise AssertionError(f"a {call} took {seen} instructions, and {most} were proven")
    return result


def _bound(configuration: Configuration, regions: Regions, search: int, seed: int) -> Bound:
    """What is proven of a heap, and what is found by as many instructions of a search."""
    arena, _ = placed(configuration, regions)
    proof = prove(configuration, arena)
    malloc_found, free_found, calls = find_worst(configuration, regions, search, seed)
    kernel, heap = configuration.kernel, configuration.heap
    return Bound(
        heap=heap,
        cpu=configuration.cpu.name,
        optimize=configuration.optimize,
        regions=tuple(regions),
        malloc=proof.malloc.instructions,
        free=proof.free.instructions,
        malloc_found=malloc_found,
        free_found=free_found,
        calls=calls,
        index=kernel.indexed,
        index_bytes=proof.index_bytes,
        code_bytes=sections_of(object_file(configuration, arena)).code,
        clears=kernel.clear_on_free and layout_of(heap).frees,
        compiler=configuration.toolchain.version,
        flags=(*configuration.flags, *configuration.defines_for(arena)),
        steps={
            "malloc": tuple(proof.steps(proof.malloc)),
            "free": tuple(proof.steps(proof.free)),
        },
    )
