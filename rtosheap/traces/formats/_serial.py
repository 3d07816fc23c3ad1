"""Logs that come through a serial line, and with them whatever else comes through it.

An event may stand behind what a terminal or a logger writes before it, unless that ends with a
letter, a digit, ``_`` or ``#``: ``[00:01.234] M 0x…``, ``I (123) heap: M 0x…``. Text before the
first event is not of the recording, text among the events is left out and counted, and a first
line that was cut off is counted as a last one is, be it behind the banner of a terminal.
"""

from __future__ import annotations

import re

from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import LogReader, bad_line
from rtosheap.traces.formats.streams import BLANK, CONTROL

_CONTROL = re.compile(CONTROL)
_CUT = re.compile(rb"[0-9a-fA-FxX ]++\s*+\Z")  # the rest of some event's numbers


class Events:
    """What an event looks like.

    Parameters
    ----------
    whole
        An event and its line's end.
    start
        How one begins, whether it is whole or damaged.
    """

    def __init__(self, whole: bytes, start: bytes) -> None:
        self._whole = re.compile(whole + rb"[\s\0]*+\Z")
        self._start = re.compile(rb"(?<![0-9A-Za-z_#])(?:" + start + rb")")

    def find(self, raw: bytes) -> re.Match[bytes] | None:
        """The event on a line, whatever stands before it; None too where another one begins."""
        match = self._whole.match(raw)
        if match is not None:
            return match
        plain = _CONTROL.sub(b"", raw)
        starts = [found.start() for found in self._start.finditer(plain)]
        return self._whole.match(plain, starts[0]) if len(starts) == 1 else None

    def begins(self, raw: bytes) -> bool:
        """Whether an event, perhaps a damaged one, begins on a line."""
        return self._start.search(_CONTROL.sub(b"", raw)) is not None

    def among(self, head: bytes) -> bool:
        """Whether one of the whole lines of a file's head is an event."""
        return any(self.find(line) for line in head.split(b"\n")[:-1])


class SerialReader(LogReader):
    """The events of such a log."""

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.started = False
        self._before = 0  # lines of other text before the first event
        self._ends_cut = False  # whether the last of these is the rest of an event
        self._first: TraceError | None = None

    def start(self) -> None:
        """Note that an event was seen."""
        if not self.started and self._ends_cut:
            self.loss["cut_lines"] += 1
        self.started = True

    def skip(self, raw: bytes, number: int, right: str) -> None:
        """Leave out a line of other text."""
        if not raw.strip(BLANK) or raw.startswith(b"#"):
            return
        if number == 1 and _CUT.match(raw):
            self.loss["cut_lines"] += 1
        elif self.started:
            self.bad += 1
        else:
            self._before += 1
            self._ends_cut = _CUT.match(raw) is not None
            if self._first is None:
                hint = "; prefix= (--prefix) says what stands before events"
                self._first = TraceError(bad_line(raw, right).reason + hint, line=number)

    def columns(self, source: str, *, tasks: tuple[str, ...] | None = (), **meta: str) -> Columns:
        """The events as columns; a file without any is none of this format."""
        if not self.started and self._first is not None:
            if self.strict:
                raise self._first
            self.bad += self._before
        return super().columns(source, tasks=tasks, **meta)
