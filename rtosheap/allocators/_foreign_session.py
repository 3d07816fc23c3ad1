"""Events through a foreign allocator's process, again where need be, and what is wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.allocators import _foreign_wire as wire
from rtosheap.allocators._foreign_process import Ended, Options, Process
from rtosheap.allocators.base import ForeignError, event_text
from rtosheap.work import Progress

#: Events that are handed over at once: they bound the memory that this takes.
_AT_ONCE = 1 << 18
_NEEDED = ("init", "malloc", "free")


class Batch(NamedTuple):
    """Events one after the other."""

    op: npt.NDArray[np.uint8]
    slot: npt.NDArray[np.int32]
    size: npt.NDArray[np.uint64]

    def part(self, start: int, end: int) -> Batch:
        return Batch(self.op[start:end], self.slot[start:end], self.size[start:end])


class Ran(NamedTuple):
    """What came of a batch."""

    done: int
    columns: dict[str, npt.NDArray[Any]]
    failures: int
    zero_size: int
    skipped: int
    live_bytes: int
    first_failure: int
    interrupt: BaseException | None

    def with_part(self, process: Process, interrupt: BaseException | None) -> Ran:
        """After what the process has told."""
        first = self.first_failure
        if process.told("failures") and first < 0:
            first = self.done + process.told("first_failure")
        return Ran(
            self.done + process.told("done"),
            self.columns,
            self.failures + process.told("failures"),
            self.zero_size + process.told("zero_size"),
            self.skipped + process.told("skipped"),
            process.told("live_bytes"),
            first,
            interrupt,
        )


class Session:
    """A foreign allocator in its process, and all that it was asked since it was made."""

    def __init__(self, options: Options, size: int, base_address: int) -> None:
        self.options, self.size, self.base_address = options, size, base_address
        self.slots = 0
        self._batches: list[Batch] = []
        self._events = 0  # in those
        self._process: Process | None = None
        self._end = ""  # what it came to
        self._watch = wire.WATCH_NOTHING
        self._failed_at = -1

    def copy(self) -> Session:
        """One that has been asked the same; its process starts when it is needed."""
        other = Session(self.options, self.size, self.base_address)
        other._batches, other.slots, other._end = list(self._batches), self.slots, self._end
        return other

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
        self._process = None

    # ------------------------------------------------------------------ what is asked

    def process(self) -> Process:
        """The process, in its present state."""
        if self._end:
            raise ForeignError(f"it came to its end before: {self._end}", "ended")
        if self._process is None:
            process = self._begun()
            try:
                self._repeat(process)
            except BaseException:
                process.close()
                raise
            self._process = process
        return self._process

    def has(self, function: str) -> bool:
        """Whether the library has an optional function."""
        return bool(self.process().told("functions") >> wire.CALLS.index(function) & 1)

    def run(
        self,
        batch: Batch,
        columns: Mapping[str, npt.NDArray[Any]],
        *,
        stop_at_failure: bool = False,
        progress: Progress | None = None,
        replays: bool = True,
        keep: bool = True,
    ) -> Ran:
        """Run events, and keep them in mind for copies. `columns` are filled, and two more."""
        process = self.process()
        ran = self._run(process, batch, columns, replays, stop_at_failure, progress)
        done = batch.part(0, ran.done)
        if replays and ran.interrupt is None:
            ran = ran._replace(interrupt=self._check(done))
        if keep:
            self._batches.append(done)
            self._events += ran.done
        return ran

    def check(self) -> None:
        """Raise if a live payload, or what lies beside the arena, was written to."""
        interrupt = self._check(None)
        if interrupt is not None:
            raise interrupt

    def ask(self, command: bytes) -> Process:
        """Have what is no event done; the process has the answer."""
        process = self.process()
        interrupt = self._call(process, command, _Place())
        if interrupt is not None:
            raise interrupt
        return process

    def free_blocks(self) -> list[tuple[int, int]]:
        """(address, size) of each free block, as the library tells."""
        count, room = 1, 0
        while count > room:
            room = count
            self.process().make_room(wire.ARRAYS_AT, wire.ARRAYS_AT + 16 * room)
            count = self.ask(b"w").told("free_block_count")
        return self.process().pairs(count)

    # ------------------------------------------------------------------ how

    def _begun(self) -> Process:
        process = Process(self.options, self.size, self.base_address)
        try:
            process.begin()
        except Ended as end:
            raise self._failed(process, end.reason, f"{_calling(process)} {end.text}") from None
        complaint = process.complaint()
        if not complaint:
            return process
        output = process.output()
        process.close()
        name, functions = self.options.name, process.told("functions")
        if complaint == "load":
            raise ForeignError(f"{name} cannot be loaded: {output}", "load")
        if complaint == "lacks":
            lacking = [f for f in _NEEDED if not functions >> wire.CALLS.index(f) & 1]
            raise ValueError(
                f"library is {name}, which lacks {', '.join(f'rh_foreign_{f}' for f in lacking)}: "
                "an adapter defines what csrc/foreign/rh_foreign.h declares"
            )
        if complaint == "harness":
            raise ForeignError(f"{name}: {_OVERWRITTEN}", complaint)
        if complaint == "memory":
            raise MemoryError(f"{self.size:,} bytes do not fit the memory of {name}'s process")
        raise ValueError(f"size is {self.size}: rh_foreign_init of {name} returned false for it")

    def _repeat(self, process: Process) -> None:
        """All events so far."""
        self._events = 0
        for batch in self._batches:
            ran = self._run(process, batch, {}, replays=False)
            if ran.interrupt is not None:
                raise ran.interrupt
            self._events += ran.done

    def _run(
        self,
        process: Process,
        batch: Batch,
        given: Mapping[str, npt.NDArray[Any]],
        replays: bool,
        stop_at_failure: bool = False,
        progress: Progress | None = None,
    ) -> Ran:
        events = len(batch.op)
        names = [name for name in wire.COLUMNS if name in given or name in ("address", "failed")]
        columns = {
            name: given[name] if name in given else np.zeros(events, wire.COLUMNS[name])
            for name in names
        }
        mask = sum(1 << i for i, name in enumerate(wire.COLUMNS) if name in names)
        process.say(columns=mask, watch=self._watch, stop_at_failure=int(stop_at_failure))
        ran = Ran(0, columns, 0, 0, 0, 0, -1, None)

        def look(more: Callable[[], int] = lambda: process.told("done")) -> None:
            if progress is not None:
                progress(min(ran.done + more(), events), events)

        while ran.done < events and not (ran.interrupt or (stop_at_failure and ran.failures)):
            part = batch.part(ran.done, ran.done + _AT_ONCE)
            place = _Place(batch, ran.done, replays)
            n = len(part.op)
            process.make_room(wire.asked_bytes(n), wire.told_bytes(names, n))
            process.put_events(*part)
            process.say(events=n, first=self._events + ran.done, slots=self.slots)
            process.say(live_bytes=ran.live_bytes)
            interrupt = self._call(process, b"r", place, look)
            done = process.told("done")
            if not process.holds(names, n, done):
                raise self._failed(process, "harness", _OVERWRITTEN)
            for name, values in process.columns(names, n).items():
                columns[name][ran.done : ran.done + done] = values[:done]
            ran = ran.with_part(process, interrupt)
            if interrupt is None:
                ran = ran._replace(interrupt=_interrupt_of(lambda: look(lambda: 0)))
        return ran

    def _check(self, batch: Batch | None) -> BaseException | None:
        process = self.process()
        process.say(slots=self.slots)
        process.make_room(wire.ARRAYS_AT, wire.ARRAYS_AT)
        place = _Place() if batch is None else _Place(batch, len(batch.op), True)
        return self._call(process, b"c", place)

    def _call(
        self,
        process: Process,
        command: bytes,
        place: _Place,
        look: Callable[[], object] | None = None,
    ) -> BaseException | None:
        """Have a command done; ForeignError if anything goes wrong."""
        try:
            interrupt = process.ask(command, look)
        except Ended as end:
            text = f"{_calling(process)} {end.text}"
            raise self._failed(process, end.reason, text, place.after(process, command)) from None
        except BaseException:  # it did not even answer; a new process begins from what is kept
            self.close()
            raise
        complaint = process.complaint()
        if complaint == "harness":
            raise self._failed(process, complaint, _OVERWRITTEN)
        if complaint:
            place = place.after(process, command)
            if complaint in ("payload", "margin"):
                raise self._harmed(process, complaint, place)
            raise self._failed(process, complaint, self._text(process, complaint, place), place)
        return interrupt

    # ------------------------------------------------------------------ what went wrong

    def _failed(
        self, process: Process, reason: str, text: str, place: _Place | None = None
    ) -> ForeignError:
        """The error; the process comes to its end with it."""
        place = place or _Place()
        output = process.output()
        process.close()
        self._process = None
        self._failed_at = self._events + place.at
        printed = f"\nIt printed: {output}" if output else ""
        self._end = f"{self.options.name}: {place.text()}{text}{printed}"
        return ForeignError(self._end, reason, place.event())

    def _text(self, process: Process, complaint: str, place: _Place) -> str:
        address, size = process.told("address"), process.told("size")
        block = f"{size} bytes at {address:#x}"
        if complaint == "outside":
            last = self.base_address + self.size - 1
            return f"it gave {block}, not all in the arena, {self.base_address:#x} to {last:#x}"
        if complaint == "misaligned":
            return (
                f"it gave {block}, an address that is not {self.options.alignment}-aligned (if "
                f"that is what it promises: alignment={address & -address})"
            )
        if complaint == "overlaps":
            return f"it gave {block}, which overlap {self._victim(process, place)}"
        if complaint == "lost":
            byte, victim = process.told("byte"), self._victim(process, place)
            return f"realloc gave {block}, and lost byte {byte} of {victim}"
        if complaint == "usable_size":
            return f"rh_foreign_usable_size said {process.told('other_size')} of {block}"
        if complaint == "free_size":
            return f"rh_foreign_free_size said {size}, in an arena of {self.size} bytes"
        if complaint == "walk":
            return f"rh_foreign_walk visited a free block of {block}, not all in the arena"
        return _OVERWRITTEN

    def _victim(self, process: Process, place: _Place) -> str:
        size, address = process.told("other_size"), process.told("other")
        given = process.told("other_event") - self._events
        when = f" that event {given} gave" if place.replays and given >= 0 else ""
        return f"the live block of {size} bytes at {address:#x}{when}"

    def _harmed(self, process: Process, complaint: str, place: _Place) -> ForeignError:
        """What was written to, and by which event: a second run, which looks at each, tells."""
        if complaint == "payload":
            victim, watch = self._victim(process, place), process.told("other_slot")
            text = f"byte {process.told('byte')} of {victim} was written to"
        else:
            text, watch = f"{process.told('address'):#x}, beside the arena,", wire.WATCH_MARGINS
            text += " was written to"
        if self._watch != wire.WATCH_NOTHING:
            return self._failed(process, complaint, text, place)
        writer = self._writer(place, watch)
        if writer is None:
            return self._failed(process, complaint, f"{text}, by it or before", place)
        return self._failed(process, complaint, text, place._replace(at=writer - self._events))

    def _writer(self, place: _Place, watch: int) -> int | None:
        """The event, counted since the allocator was made, after which it is harmed."""
        again = self.copy()
        again._watch = watch
        if place.batch is not None:
            again._batches.append(place.batch.part(0, place.at + 1))
        try:
            again.process()
        except ForeignError as error:
            return again._failed_at if error.reason in ("payload", "margin") else None
        finally:
            again.close()
        return None


class _Place(NamedTuple):
    """Which event it is: an index into a batch, or its length for "after the last"."""

    batch: Batch | None = None
    at: int = 0
    replays: bool = False

    def after(self, process: Process, command: bytes) -> _Place:
        """That of the event that was not completed."""
        return self._replace(at=self.at + process.told("done")) if command == b"r" else self

    def event(self) -> int | None:
        """Its number in the trace."""
        is_event = self.batch is not None and 0 <= self.at < len(self.batch.op)
        return self.at if self.replays and is_event else None

    def text(self) -> str:
        """The event in words, with a colon."""
        if self.batch is None:
            return ""
        if not 0 <= self.at < len(self.batch.op):
            return "before the first event: " if self.at < 0 else "after the last event: "
        what = event_text(int(self.batch.op[self.at]), int(self.batch.size[self.at]))
        return f"event {self.at}, {what}: " if self.replays else f"{what}: "


_OVERWRITTEN = "the records of the run itself were overwritten"


def _calling(process: Process) -> str:
    name = wire.CALLS[process.told("call") % len(wire.CALLS)]
    if name == "load":
        return "loading it"
    return f"rh_foreign_{name}" if name else "the process"


def _interrupt_of(look: Callable[[], object]) -> BaseException | None:
    try:
        look()
    except BaseException as error:
        return error
    return None
