"""The log of a FreeRTOS kernel with a log call each in pvPortMalloc and vPortFree.

``M 0xADDR REQUESTED BLOCK TICK``, ``F 0xADDR BLOCK TICK``, ``X 0x0 REQUESTED 0 TICK`` (a request
that failed), and at the end ``=EVENTS FAILS MINEVERFREE FREE``. Requests are as made, times are
ticks. What the last line says besides is kept in the trace's meta. Other text may stand between
the lines, and before them on each: what a terminal or a logger writes there.
"""

from __future__ import annotations

from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import bad_line
from rtosheap.traces.formats._serial import Events, SerialReader
from rtosheap.traces.loss import Loss

NAME = "freertos"
HINT = "lines 'M 0xADDR REQUESTED BLOCK TICK' and 'F 0xADDR BLOCK TICK'"

_EVENTS = Events(
    rb"(?:([MX]) 0[xX]([0-9a-fA-F]{1,16}) (\d{1,20}) \d{1,20}|F 0[xX]([0-9a-fA-F]{1,16}) \d{1,20})"
    rb" (\d{1,18})",
    rb"[MFX] 0[xX]",
)
_END = Events(rb"=(\d{1,18}) (\d{1,18}) (\d{1,20}) (\d{1,20})", rb"=\d")
_RIGHT = "'M 0xADDR REQUESTED BLOCK TICK', 'F 0xADDR BLOCK TICK' or 'X 0x0 REQUESTED 0 TICK'"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _EVENTS.among(head)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    columns = reader.columns("FreeRTOS log", time_unit="ticks")
    if reader.end is None:
        columns.warnings.append("the last line '=EVENTS ...' is missing; the log was cut short")
    else:
        events, fails, minimum, free = reader.end
        columns.meta["minimum_ever_free"], columns.meta["free"] = str(minimum), str(free)
        lost = max(0, events - len(columns.op) - columns.loss.foreign_frees)
        missing = max(0, fails - columns.loss.failed)
        columns.loss = columns.loss.merged(Loss(lost_events=lost, failed=missing))
    return columns


class _Reader(SerialReader):
    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.end: tuple[int, ...] | None = None

    def take(self, raw: bytes, number: int) -> None:
        match = _EVENTS.find(raw)
        if match is None:
            self._other(raw, number)
            return
        self.start()
        op, address, size, freed, tick = match.groups()
        if self.end is not None:
            raise TraceError("an event after the last line '=EVENTS FAILS MINEVERFREE FREE'")
        now = int(tick)
        if self.now is not None and now < self.now:
            raise TraceError(f"the tick is {now}, after {self.now}; ticks must not decrease")
        self.now = now
        if op is None:
            self.free(int(freed, 16), number)
        else:
            self.malloc(0 if op == b"X" else int(address, 16), int(size), number)

    def _other(self, raw: bytes, number: int) -> None:
        match = _END.find(raw)
        if match is not None and self.end is None:
            self.end = tuple(int(part) for part in match.groups())
        elif _EVENTS.begins(raw):
            raise bad_line(raw, _RIGHT)
        elif self.end is None:
            self.skip(raw, number, _RIGHT)
