"""What the calls of a trace cost on a Cortex-M, in instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from rtosheap.cortexm._costs import NAMES, Costs, Ints, lines_of
from rtosheap.cortexm._foreign import ForeignMeasurement, measure_foreign
from rtosheap.cortexm._foreign_image import Sources
from rtosheap.cortexm.images import (
    ARENA,
    CANARY,
    Configuration,
    Kernel,
    check_kernel,
    machine,
    placed,
    set_up,
)
from rtosheap.cortexm.machine import Call, Machine
from rtosheap.cortexm.targets import Cpu, cpu_named
from rtosheap.cortexm.toolchain import find_toolchain
from rtosheap.kinds import HeapKind, freertos_class, heap_class, heap_name, layout_of
from rtosheap.replays import Replay, replay
from rtosheap.replays.cost import Calibration
from rtosheap.sizing import minimum_heap_size
from rtosheap.traces import Op, Trace
from rtosheap.traces.doubts import is_complete
from rtosheap.traces.loss import counts

__all__ = ["Fit", "Measurement", "measure"]


class Fit(NamedTuple):
    """Instructions as a constant and so many for each free-list entry read, by least squares.

    Attributes
    ----------
    constant, per_node : float
        ``constant + per_node * nodes``.
    worst_error : float
        The most that a call differs from that, in instructions.

    Examples
    --------
    >>> fit = Fit(constant=39.8, per_node=4.81, worst_error=5.0)  # of measure(...).fit(Op.MALLOC)
    >>> print(fit)
    39.8 + 4.81 entries read
    >>> fit.constant + 20 * fit.per_node  # instructions of a malloc that reads 20 entries
    136.0
    """

    constant: float
    per_node: float
    worst_error: float

    def __str__(self) -> str:
        return f"{self.constant:.1f} + {self.per_node:.2f} entries read"


class Measurement(Costs):
    """What each event of a trace cost.

    Instructions are not cycles: memory with wait states, a cache, a write buffer or a branch
    predictor makes the same instructions take more or less time. Of the Cortex-M0 and M0+, which
    have none of the latter, the manuals give the cycles of every instruction: `least_cycles` and
    `most_cycles` follow from them for memory without wait states. Another compiler, or the same
    with other flags, gives other numbers.

    :func:`measure` makes one; counts that a board took itself make one by hand.

    Parameters
    ----------
    run : Replay
        The trace on the same heap in Python, with the column ``nodes``.
    costs : ndarray of uint32, shape (3, n)
        Of each event the instructions, and the least and the most cycles; 0 where they are not
        known.
    heap, compiler, optimize : str
    cpu : Cpu
    flags : tuple of str
    index : bool
        As the attributes of these names.

    Attributes
    ----------
    instructions : ndarray of uint32
        Of each event, from the first instruction of the function to its return. A realloc is the
        sum of its malloc and free, the copy left out. 0 for an event that calls nothing.
    nodes : ndarray of uint32
        Free-list entries that each event read, as :func:`rtosheap.replay` counts them.
    least_cycles, most_cycles : ndarray of uint32 or None
        Bounds of each event's cycles, where the manual gives them.
    replay : Replay
        The same trace on the same heap in Python.
    heap, cpu, optimize, compiler : str
        Which heap, for which processor, at which level, by which compiler.
    index : bool
        Whether heap_4 or heap_5 had its index.
    flags : tuple of str
        What the compiler was told.

    Raises
    ------
    ValueError
        If `costs` has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rtosheap import Heap4, Op, Trace, replay
    >>> from rtosheap.cortexm import CPUS
    >>> trace = Trace("mmmff", id=[0, 1, 2, 0, 2], size=[100, 24, 24, 0, 0])
    >>> run = replay(trace, Heap4(1024), record=("address", "nodes"))
    >>> costs = np.zeros((3, 5), np.uint32)
    >>> costs[0] = 70, 71, 69, 52, 58  # made up; measure() counts them
    >>> made = Measurement(run, costs, heap="heap_4", cpu=CPUS["cortex-m4"], compiler="none")
    >>> int(made.of(Op.FREE).max()), made.percentile(Op.MALLOC, 50)
    (58, 70.0)
    >>> print(made.fit(Op.FREE))
    52.0 + 3.00 entries read
    """

    def __init__(
        self,
        run: Replay,
        costs: npt.NDArray[np.uint32],
        *,
        heap: str,
        cpu: Cpu,
        compiler: str,
        optimize: str = "-O2",
        flags: tuple[str, ...] = (),
        index: bool = False,
    ) -> None:
        self.replay, self.trace, self.heap, self.index = run, run.trace, heap, index
        self.nodes: Ints = run.column("nodes")
        self._count(costs, cpu)
        self.compiler, self.optimize, self.flags = compiler, optimize, flags

    @property
    def failures(self) -> int:
        """Allocations that failed."""
        return self.replay.failures

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the recording that this rests on."""
        return self.replay.warnings

    def fit(self, op: Op) -> Fit:
        """The instructions of a kind of event as a function of the free-list entries read."""
        nodes = self.nodes[self._calls(op)].astype(np.float64)
        values = self.of(op).astype(np.float64)
        if not len(values):
            return Fit(0.0, 0.0, 0.0)
        slope = 0.0
        spread = nodes - nodes.mean()
        if np.any(spread):
            slope = float(spread @ values / (spread @ spread))
        constant = float(values.mean() - slope * nodes.mean())
        errors = np.abs(values - (constant + slope * nodes))
        return Fit(constant, slope, float(errors.max()))

    @property
    def calibration(self) -> Calibration:
        """The two fits: :func:`rtosheap.plot.cost` draws instructions with it, not entries read."""
        malloc, free = self.fit(Op.MALLOC), self.fit(Op.FREE)
        return Calibration(
            malloc=(malloc.constant, malloc.per_node),
            free=(free.constant, free.per_node),
            unit=f"instructions on a {self.cpu.title()} ({self.optimize})",
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers of the summary, as plain values."""
        facts: dict[str, Any] = {**self._facts(), "failures": self.failures}
        for op, name in NAMES.items():
            numbers = self._facts_of(op)
            if numbers is not None:
                facts[name] = {**numbers, "fit": self.fit(op)._asdict()}
        if self.timing_source is not None:
            facts["cycles_source"] = self.timing_source
        lost = counts(self.trace.loss, self.trace.dropped)
        exact = is_complete(self.trace)
        return {**facts, "exact": exact, "warnings": list(self.warnings), "loss": lost}

    def summary(self) -> list[tuple[str, str]]:
        """The same in words."""
        facts = self.to_dict()
        lines = [
            ("heap", f"{self.heap} on a {self.cpu}, {self.optimize}"),
            ("compiler", self.compiler),
            ("events", f"{len(self.trace):,}, {self.failures:,} allocations failed"),
        ]
        for name in NAMES.values():
            if name in facts:
                lines += lines_of(facts, name)
                lines.append((f"{name}, fitted", str(Fit(**facts[name]["fit"]))))
        return [*lines, *(("warning", text) for text in facts["warnings"])]

    def __repr__(self) -> str:
        return f"<Measurement of {len(self.trace):,} events: {self.heap}, {self.cpu}>"


@overload
def measure(
    trace: Trace,
    heap: HeapKind | None = None,
    *,
    cpu: str = "cortex-m4",
    heap_size: int | None = None,
    regions: Sequence[tuple[int, int]] | None = None,
    optimize: str = "-O2",
    alignment: int = 8,
    clear_on_free: bool = False,
    protector: bool = False,
    asserts: bool = False,
    index: bool = False,
    chunk: int | None = None,
    toolchain: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Measurement: ...
@overload
def measure(
    trace: Trace,
    *,
    sources: Sequence[str | PathLike[str]],
    include: Sequence[str | PathLike[str]] = (),
    defines: Mapping[str, object] | None = None,
    name: str | None = None,
    cpu: str = "cortex-m4",
    heap_size: int | None = None,
    optimize: str = "-O2",
    alignment: int = 8,
    toolchain: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ForeignMeasurement: ...
def measure(
    trace: Trace,
    heap: HeapKind | None = None,
    *,
    sources: Sequence[str | PathLike[str]] | None = None,
    include: Sequence[str | PathLike[str]] = (),
    defines: Mapping[str, object] | None = None,
    name: str | None = None,
    cpu: str = "cortex-m4",
    heap_size: int | None = None,
    regions: Sequence[tuple[int, int]] | None = None,
    optimize: str = "-O2",
    alignment: int = 8,
    clear_on_free: bool = False,
    protector: bool = False,
    asserts: bool = False,
    index: bool = False,
    chunk: int | None = None,
    toolchain: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Measurement | ForeignMeasurement:
    """Run a trace on a Cortex-M, in an emulator that counts instructions.

    The firmware's own drop-in file is compiled for the processor and called as a task would call
    it; the scheduler's calls cost nothing here. Builds are kept in a cache
    (``$RTOSHEAP_CACHE``, or ``~/.cache/rtosheap``), and the same call gives the same numbers.

    With `sources` it is somebody's own allocator that runs, over an arena at 0x20000000: its files
    and an adapter, which defines the functions of ``csrc/foreign/rh_foreign.h``. The trace's
    blocks are filled, and looked at when they are given back.

    Parameters
    ----------
    trace : Trace
        What to run.
    heap : class or str, optional
        Which heap, by default heap_4. heap_3 needs arm-none-eabi-gcc, whose newlib-nano it then
        measures.
    sources : sequence of paths, optional
        In place of `heap`: the C files of an allocator and of its adapter. What they include of the
        C library comes with arm-none-eabi-gcc.
    include : sequence of paths
        With `sources`: folders in which to look for headers; that of ``rh_foreign.h`` is known.
    defines : mapping of str to object, optional
        With `sources`: macros, as ``{"NDEBUG": 1}``; a value of None defines one as 1.
    name : str, optional
        With `sources`: what to call the allocator; by default the first file's name.
    cpu : str
        One of ``CPUS``, such as ``"cortex-m4"``.
    heap_size : int, optional
        ``configTOTAL_HEAP_SIZE``, in bytes, or those of the arena; by default the least that serves
        the trace, of `sources` the least that is found by bisection.
    regions : sequence of (int, int), optional
        heap_5's regions, (address, size) in ascending order; by default one of `heap_size` bytes.
    optimize : str
        The level of optimisation.
    alignment, clear_on_free, protector, asserts
        FreeRTOS's configuration: ``portBYTE_ALIGNMENT``, ``configHEAP_CLEAR_MEMORY_ON_FREE``,
        ``configENABLE_HEAP_PROTECTOR``, and whether there is a ``configASSERT``. With `sources`,
        `alignment` is what every block's address must be a multiple of.
    index : bool
        Whether heap_4 or heap_5 keeps an index (``configRTOSHEAP_BOUNDED``).
    chunk : int, optional
        Bytes of the index's chunks (``configRTOSHEAP_BOUNDED_CHUNK``).
    toolchain : {"arm-none-eabi-gcc", "zig"}, optional
        By default the first of them that is there.
    progress : callable, optional
        Called with the number of events done and of all.

    Returns
    -------
    Measurement, or ForeignMeasurement of `sources`

    Raises
    ------
    ToolchainError
        If there is no compiler, or it refuses a file: with what it says.
    MachineError
        If there is no emulator, or the allocator crashes, does not return within 10 million
        instructions, gives a block that does not lie in the arena or overlaps another, or writes
        where it must not: it names the event.
    ValueError
        If an argument is none of those that exist, or goes with others only.
    UnservableError
        If no arena serves the trace on the allocator of `sources`.

    Examples
    --------
    >>> from rtosheap import Op, data
    >>> from rtosheap.cortexm import measure
    >>> run = measure(data.load("coap-server"), "heap_4", cpu="cortex-m4")  # doctest: +SKIP
    >>> print(run.fit(Op.MALLOC))  # doctest: +SKIP
    39.8 + 4.81 entries read
    >>> measure(data.load("coap-server"), cpu="cortex-m1")
    Traceback (most recent call last):
        ...
    ValueError: cpu is 'cortex-m1'; it must be one of cortex-m0, ...
    >>> theirs = measure(  # doctest: +SKIP
    ...     data.load("coap-server"), sources=["adapter.c", "tlsf.c"], name="TLSF"
    ... )
    >>> theirs.heap_size, theirs.flash, theirs.of(Op.MALLOC).max()  # doctest: +SKIP
    """
    if sources is not None:
        ours: dict[str, object] = {"heap": heap, "regions": regions, "clear_on_free": clear_on_free}
        ours |= {"protector": protector, "asserts": asserts, "index": index, "chunk": chunk}
        _refuse(ours, "it is FreeRTOS's heaps', and sources are given")
        target_cpu, compiler = cpu_named(cpu), find_toolchain(toolchain)
        told = Sources.of(sources, include, defines or {}, target_cpu, optimize, compiler)
        return measure_foreign(
            trace,
            told,
            name=name,
            heap_size=heap_size,
            alignment=alignment,
            progress=progress,
        )
    theirs = {"include": include, "defines": defines, "name": name}
    _refuse(theirs, "it goes with sources, and none are given")
    kernel = Kernel(alignment, clear_on_free, protector, asserts, index, chunk)
    kind = heap_name(freertos_class("heap_4" if heap is None else heap))
    layout = layout_of(kind)
    check_kernel(kind, kernel, heap_size)
    if regions is not None:
        kernel = kernel.with_regions(regions)
    target_cpu, compiler = cpu_named(cpu), find_toolchain(toolchain)
    configuration = Configuration(kind, target_cpu, compiler, optimize, kernel)
    if regions is not None and not layout.has_regions:
        raise ValueError(f"regions are heap_5's; {configuration.heap} has heap_size")
    if regions is not None and heap_size is not None:
        raise ValueError("regions and heap_size are both given; one of them serves")
    options = _options(configuration)
    if layout.is_newlib:
        trace = _reallocs_apart(trace)
    if heap_size is None and regions is None:
        solved: dict[str, Any] = {"base_address": ARENA}
        if layout.has_regions:
            solved = {"regions": [(ARENA, None)]}
        heap_size = minimum_heap_size(trace, configuration.heap, **options, **solved).size
    own = [(ARENA, heap_size or 0)] if regions is None else list(regions)
    python = _python_heap(configuration, own, options)
    run = replay(trace, python, record=("address", "nodes"))
    target = _Target(configuration, own)
    costs = _run(trace, run, target, progress)
    target.compare(python)
    return Measurement(
        run,
        costs,
        heap=kind,
        cpu=target_cpu,
        compiler=compiler.version,
        optimize=optimize,
        flags=(*configuration.flags, *configuration.defines),
        index=index,
    )


def _refuse(given: Mapping[str, object], why: str) -> None:
    for name, value in given.items():
        if value:
            raise ValueError(f"{name} is {value!r}; {why}")


#: Whose malloc the image's heap_3 is taken to be: Debian 12's toolchain's. The first address tells.
_NEWLIB = "debian-12"


def _options(configuration: Configuration) -> dict[str, Any]:
    """The Python heap's."""
    given = {
        "alignment": configuration.kernel.alignment,
        "clear_on_free": configuration.kernel.clear_on_free,
        "canary": CANARY if configuration.kernel.protector else None,
        "newlib": _NEWLIB,
    }
    own = layout_of(configuration.heap).options
    return {name: value for name, value in given.items() if name in own}


def _reallocs_apart(trace: Trace) -> Trace:
    """The trace with each realloc as a malloc and a free: what the image can be asked for, where
    the heap's own realloc would leave a block in its place.
    """
    if not (trace.op == Op.REALLOC).any():
        return trace
    events: list[tuple[Any, ...]] = []
    now: dict[int, int] = {}
    rows = zip(trace.op.tolist(), trace.id.tolist(), trace.size.tolist(), strict=True)
    for number, (op, block, size) in enumerate(rows):
        old = now.pop(block, None)
        if op != Op.FREE:
            now[block] = number
            events.append(("m", number, size))
        if old is not None:
            events.append(("f", old))
    return Trace.from_events(events, meta=trace.meta)


def _python_heap(
    configuration: Configuration, regions: list[tuple[int, int]], options: dict[str, Any]
) -> Any:
    kind: Any = heap_class(configuration.heap)
    if layout_of(kind).has_regions:
        return kind(regions, **options)
    ((address, size),) = regions
    return kind(size, base_address=address, **options)


class _Target:
    """The image, with its heap set up."""

    def __init__(self, configuration: Configuration, regions: list[tuple[int, int]]) -> None:
        self.layout = layout_of(configuration.heap)
        self.regions = regions
        self.machine: Machine = machine(configuration, *placed(configuration, regions))
        set_up(self.machine, self.layout, regions)  # what that costs is no event's

    def malloc(self, size: int) -> Call:
        return self.machine.call("pvPortMalloc", size)

    def free(self, address: int) -> Call:
        return self.machine.call("vPortFree", address)

    def copy(self, to: int, start: int, size: int) -> None:
        if size:
            self.machine.write(to, self.machine.read(start, size))

    def compare(self, python: Any) -> None:
        """The arena against the Python heap's memory; only heap_2's end marker lies elsewhere."""
        marker = None
        if self.layout.by_size:
            free = python.free_blocks()
            marker = free[-1].address - python.base_address if free else None
        for region in python.regions:
            mine = self.machine.read(region.address, len(region.memory))
            theirs = bytes(region.memory)
            if marker is not None:
                mine = mine[:marker] + mine[marker + 4 :]
                theirs = theirs[:marker] + theirs[marker + 4 :]
            if mine != theirs:
                raise AssertionError("the image's arena and the Python heap's memory differ")


def _run(
    trace: Trace,
    run: Replay,
    target: _Target,
    progress: Callable[[int, int], object] | None,
) -> npt.NDArray[np.uint32]:
    """Instructions and bounds of cycles of each event."""
    costs = np.zeros((3, len(trace)), np.uint32)
    live: dict[int, tuple[int, int]] = {}
    frees = target.layout.frees
    addresses = run.column("address").tolist()
    columns = zip(trace.op.tolist(), trace.id.tolist(), trace.size.tolist(), addresses, strict=True)
    for event, (op, block, size, address) in enumerate(columns):
        if progress is not None and event % 4096 == 0:
            progress(event, len(trace))
        old = live.get(block)
        if op == Op.FREE:
            live.pop(block, None)
            if old is not None and frees:
                costs[:, event] = target.free(old[0])[1:]
            continue
        if op == Op.REALLOC and old is None and address == 0 and size != 0:
            continue  # of a block whose allocation failed
        call = target.malloc(size)
        if call.result != address:
            raise AssertionError(
                f"event {event}: the image returned {call.result:#x}, Python {address:#x}"
            )
        costs[:, event] = call[1:]
        if address == 0 and size != 0:
            continue  # failed: an old block stays
        live.pop(block, None)
        if address != 0:
            live[block] = address, size
        if op == Op.REALLOC and old is not None:
            if address != 0:
                target.copy(address, old[0], min(old[1], size))
            if frees:
                costs[:, event] += np.array(target.free(old[0])[1:], np.uint32)
    if progress is not None:
        progress(len(trace), len(trace))
    return costs
