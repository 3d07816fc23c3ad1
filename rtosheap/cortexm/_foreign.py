"""What somebody's own allocator costs on a Cortex-M, and how much memory it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import index
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
import numpy.typing as npt

from rtosheap.cortexm._costs import NAMES, Costs, lines_of
from rtosheap.cortexm._foreign_image import Sources, memory_of
from rtosheap.cortexm._foreign_run import Device, Run, play
from rtosheap.cortexm.images import ARENA
from rtosheap.cortexm.targets import Cpu
from rtosheap.heaps.layout import ALIGNMENTS
from rtosheap.sizing import UnservableError
from rtosheap.traces import Trace
from rtosheap.traces.doubts import doubts, is_complete
from rtosheap.traces.loss import counts

__all__ = ["ForeignMeasurement", "SmallestArena", "Tried", "measure_foreign"]

Progress = Callable[[int, int], object]

# Where no arena is found that serves: a buddy system may need four times the peak, and some.
_MOST_TIMES, _MOST_MORE = 16, 1 << 18
_LARGEST = 1 << 28  # what the emulator has room for


class Tried(NamedTuple):
    """An arena that was tried.

    Attributes
    ----------
    size : int
        Bytes.
    failed_at : int or None
        The first event that failed in it, -1 if `rh_foreign_init` refused it; None if it serves.

    Examples
    --------
    >>> Tried(size=2048, failed_at=17)  # in 2,048 bytes event 17 fails
    Tried(size=2048, failed_at=17)
    """

    size: int
    failed_at: int | None


class SmallestArena(NamedTuple):
    """The least arena that was found to serve a trace.

    Attributes
    ----------
    size : int
        Bytes. It serves; the next smaller size, by the alignment, does not.
    exact : bool
        False: found by bisection. Where an allocator may fail in a larger arena and serve in a
        smaller one, a smaller one may be left.
    tried : tuple of Tried
        The sizes, in the order in which they were tried.

    Examples
    --------
    >>> found = SmallestArena(2056, False, (Tried(2048, 17), Tried(2112, None), Tried(2056, None)))
    >>> [tried.size for tried in found.tried if tried.failed_at is None]
    [2112, 2056]
    >>> found.size, found.exact
    (2056, False)
    """

    size: int
    exact: bool
    tried: tuple[Tried, ...]


class ForeignMeasurement(Costs):
    """What each event of a trace cost on an allocator that was given as C sources.

    :func:`measure` makes one; counts that a board took itself make one by hand.

    Parameters
    ----------
    trace : Trace
    costs : ndarray of uint32, shape (3, n)
        Of each event the instructions, and the least and the most cycles; 0 where they are not
        known.
    memory, library : (int, int)
        Flash and RAM of the allocator, and of what it brings in.
    heap, cpu, compiler, heap_size, addresses, failed, smallest, setup, optimize, flags
        As the attributes of these names; `cpu` is a `Cpu`.

    Attributes
    ----------
    instructions : ndarray of uint32
        Of each event, from the first instruction of the adapter's function to its return. A realloc
        is the adapter's own or, where it has none, the sum of its malloc and free, the copy left
        out. 0 for an event that calls nothing.
    least_cycles, most_cycles : ndarray of uint32 or None
        Bounds of each event's cycles, where the processor's manual gives them.
    addresses : ndarray of uint32
        What malloc or realloc returned, 0 if nothing; on a free the freed address.
    failed : ndarray of bool
        An allocation that did not fit.
    heap_size : int
        Bytes of the arena, which lies at `base_address`.
    smallest : SmallestArena or None
        How `heap_size` was found; None if it was given.
    setup : int
        Instructions of ``rh_foreign_init``.
    flash, ram : int
        Bytes that the sources take, the adapter with them and the arena without; of functions, what
        malloc, free, realloc and the set-up reach.
    library_flash, library_ram : int
        What they bring in of the C library and of the compiler's.
    heap, cpu, optimize, compiler : str
        The allocator's name, which processor, at which level, by which compiler.
    flags : tuple of str
        What the compiler was told.

    Raises
    ------
    ValueError
        If `costs` has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rtosheap import Op, Trace
    >>> from rtosheap.cortexm import CPUS
    >>> trace = Trace("mmf", id=[0, 1, 0], size=[100, 24, 0])
    >>> costs = np.zeros((3, 3), np.uint32)
    >>> costs[0] = 120, 118, 95  # made up; measure(trace, sources=[...]) counts them
    >>> made = ForeignMeasurement(
    ...     trace,
    ...     costs,
    ...     heap="pool",
    ...     cpu=CPUS["cortex-m4"],
    ...     compiler="none",
    ...     heap_size=256,
    ...     addresses=np.array([0x2000_0010, 0x2000_0080, 0x2000_0010], np.uint32),
    ...     failed=np.zeros(3, bool),
    ...     memory=(900, 64),
    ... )
    >>> made
    <ForeignMeasurement of 3 events: pool, cortex-m4>
    >>> int(made.of(Op.MALLOC).max()), made.failures, made.flash, made.ram
    (120, 0, 900, 64)
    """

    base_address = ARENA

    def __init__(
        self,
        trace: Trace,
        costs: npt.NDArray[np.uint32],
        *,
        heap: str,
        cpu: Cpu,
        compiler: str,
        heap_size: int,
        addresses: npt.NDArray[np.uint32],
        failed: npt.NDArray[np.bool_],
        smallest: SmallestArena | None = None,
        setup: int = 0,
        memory: tuple[int, int] = (0, 0),
        library: tuple[int, int] = (0, 0),
        optimize: str = "-O2",
        flags: tuple[str, ...] = (),
    ) -> None:
        self.trace, self.heap = trace, heap
        self.addresses, self.failed = addresses, failed
        self.heap_size, self.smallest, self.setup = heap_size, smallest, setup
        self.flash, self.ram = memory
        self.library_flash, self.library_ram = library
        self._count(costs, cpu)
        self.compiler, self.optimize, self.flags = compiler, optimize, flags

    @property
    def failures(self) -> int:
        """Allocations that failed."""
        return int(self.failed.sum())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the recording that this rests on."""
        return doubts(self.trace, 4)

    def to_dict(self) -> dict[str, Any]:
        """The numbers of the summary, as plain values."""
        facts = {
            **self._facts(),
            "failures": self.failures,
            "heap_size": self.heap_size,
            "smallest": None,
            "setup": self.setup,
            "flash": self.flash,
            "ram": self.ram,
            "library_flash": self.library_flash,
            "library_ram": self.library_ram,
        }
        if self.smallest is not None:
            tried = [one._asdict() for one in self.smallest.tried]
            facts["smallest"] = {**self.smallest._asdict(), "tried": tried}
        facts |= {
            name: numbers
            for op, name in NAMES.items()
            if (numbers := self._facts_of(op)) is not None
        }
        if self.timing_source is not None:
            facts["cycles_source"] = self.timing_source
        lost = counts(self.trace.loss, self.trace.dropped)
        exact = is_complete(self.trace) and (self.smallest is None or self.smallest.exact)
        return {**facts, "exact": exact, "warnings": list(self.warnings), "loss": lost}

    def summary(self) -> list[tuple[str, str]]:
        """The same in words."""
        facts = self.to_dict()
        arena = f"{self.heap_size:,} bytes"
        if self.smallest is not None:
            arena += f", the least that was found ({len(self.smallest.tried)} sizes tried)"
        lines = [
            ("allocator", f"{self.heap} on a {self.cpu}, {self.optimize}"),
            ("compiler", self.compiler),
            ("events", f"{len(self.trace):,}, {self.failures:,} allocations failed"),
            ("arena", arena),
            ("flash", f"{self.flash:,} bytes, and {self.library_flash:,} of the C library"),
            ("RAM", f"{self.ram:,} bytes, and {self.library_ram:,} of the C library"),
            ("set-up, instructions", f"{self.setup:,}"),
        ]
        for name in NAMES.values():
            lines += lines_of(facts, name)
        return [*lines, *(("warning", text) for text in self.warnings)]

    def __repr__(self) -> str:
        return f"<ForeignMeasurement of {len(self.trace):,} events: {self.heap}, {self.cpu}>"


def measure_foreign(
    trace: Trace,
    sources: Sources,
    *,
    name: str | None,
    heap_size: int | None,
    alignment: int,
    progress: Progress | None,
) -> ForeignMeasurement:
    """See :func:`rtosheap.cortexm.measure`."""
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment is {alignment!r}; it must be 4, 8, 16 or 32")
    if heap_size is not None:
        if not isinstance(heap_size, SupportsIndex):
            raise TypeError(f"heap_size is {heap_size!r}; it must be a whole number of bytes")
        heap_size = index(heap_size)
        if not 0 < heap_size <= _LARGEST:
            raise ValueError(f"heap_size is {heap_size}; it must be 1 to {_LARGEST:,} bytes")
    image = sources.image()

    def at(size: int, stop: bool = False, progress: Progress | None = None) -> Run:
        make = partial(Device, image, sources.cpu, size, alignment)
        return play(trace, make, stop=stop, progress=progress)

    smallest = None
    if heap_size is None:
        heap_size, run, tried = _smallest(trace, at, alignment, progress)
        smallest = SmallestArena(heap_size, False, tuple(tried))
    else:
        run = at(heap_size, progress=progress)
        if run.setup is None:
            raise ValueError(f"heap_size is {heap_size}; rh_foreign_init() refused so many bytes")
    chosen = sources.files[0].stem if name is None else name
    return ForeignMeasurement(
        trace,
        run.costs,
        heap=chosen,
        cpu=sources.cpu,
        compiler=sources.toolchain.version,
        heap_size=heap_size,
        addresses=run.addresses,
        failed=run.failed,
        smallest=smallest,
        setup=run.setup.instructions if run.setup is not None else 0,
        memory=memory_of(image, "foreign"),
        library=memory_of(image, "library"),
        optimize=sources.optimize,
        flags=sources.flags,
    )


def _smallest(
    trace: Trace, at: Callable[..., Run], step: int, progress: Progress | None
) -> tuple[int, Run, list[Tried]]:
    """A size that serves, one step above one that does not; the run there, and what was tried."""
    tried: list[Tried] = []

    def serves(size: int, left: int) -> Run | None:
        run: Run = at(size, stop=True)
        tried.append(Tried(size, run.failed_at))
        if progress is not None:
            progress(len(tried), len(tried) + left)
        return run if run.failed_at is None else None

    # Below this the blocks alone do not fit.
    least = max(trace.peak_live_bytes // step, 1)
    most = least * _MOST_TIMES + _MOST_MORE // step
    low, high = least - 1, least
    while (run := serves(high * step, (high - low).bit_length())) is None:
        if high >= most:
            size, event = tried[-1]
            raise UnservableError(
                f"no arena up to {size:,} bytes serves the trace: "
                + ("init refused it" if event == -1 else f"event {event:,} fails")
            )
        low, high = high, min(high + max(high // 4, 64), most)
    while high - low > 1:
        middle = (low + high) // 2
        found = serves(middle * step, (high - middle).bit_length())
        if found is None:
            low = middle
        else:
            high, run = middle, found
    return high * step, run, tried
