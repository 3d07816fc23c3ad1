"""The most that malloc and free can cost on a Cortex-M: proven from the binary, and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from rtosheap.cortexm._adversary import find_worst
from rtosheap.cortexm._footprint import sections_of
from rtosheap.cortexm._proof import Proof, Step, prove
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
    heap_size : int
        Bytes; of heap_5 those of its regions together.
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
    """

    def __init__(self, configuration: Configuration, regions: Regions, proof: Proof) -> None:
        arena, _ = placed(configuration, regions)
        self._proof = proof
        self.malloc = proof.malloc.instructions
        self.free = proof.free.instructions
        self.malloc_found = self.free_found = self.calls = 0
        self.heap = configuration.heap
        self.cpu = configuration.cpu.name
        self.optimize = configuration.optimize
        self.heap_size = sum(size for _, size in regions)
        self.regions = tuple(regions)
        self.index = configuration.kernel.indexed
        self.index_bytes = proof.index_bytes
        self.code_bytes = sections_of(object_file(configuration, arena)).code
        self.clears = configuration.kernel.clear_on_free and layout_of(self.heap).frees
        self.compiler = configuration.toolchain.version
        self.flags = (*configuration.flags, *configuration.defines_for(arena))

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
        return self._proof.steps(self._proof.malloc if call == "malloc" else self._proof.free)

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
    arena, _ = placed(configuration, own)
    result = Bound(configuration, own, prove(configuration, arena))
    found = find_worst(configuration, own, search, seed)
    result.malloc_found, result.free_found, result.calls = found
    for call in ("malloc", "free"):
        most, seen = getattr(result, call), getattr(result, f"{call}_found")
        if seen > most:
            raise AssertionError(f"a {call} took {seen} instructions, and {most} were proven")
    return result
