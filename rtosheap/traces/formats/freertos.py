"""The log of a FreeRTOS kernel with a log call each in pvPortMalloc and vPortFree.

``M 0xADDR REQUESTED BLOCK TICK``, ``F 0xADDR BLOCK TICK``, ``X 0x0 REQUESTED 0 TICK`` (a request
that failed), and at the end ``=EVENTS FAILS MINEVERFREE FREE``. Times are ticks. What the last line
says besides is kept in the trace's meta. Other text may stand between the lines, and before them on
each: what a terminal or a logger writes there.

Who logs by FreeRTOS's macros knows the block only (``csrc/recorder/rh_log.h``): REQUESTED is then
``<=N``, the block without its header, or it is left out of all lines, and a header of 8 bytes is
taken off here (16 where an address has more than 32 bits). EVENTS are the lines M and F; a total
that exceeds them by the number of lines X counts those, too. Where it is right, the lines that were
left out were no events: nothing is missing for them.
"""

from __future__ import annotations

from typing import BinaryIO

from rtosheap.traces.columns import Columns
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import bad_line
from rtosheap.traces.formats._serial import Events, SerialReader
from rtosheap.traces.loss import Dropped, Loss
from rtosheap.traces.meta import ALL_COUNTED, INCOMPLETE, UNENDED
from rtosheap.traces.sizes import SIZES

NAME = "freertos"
HINT = "lines 'M 0xADDR [REQUESTED] BLOCK TICK' and 'F 0xADDR BLOCK TICK'"

_EVENTS = Events(
    rb"(?:([MX]) 0[xX]([0-9a-fA-F]{1,16})(?: (<=)?(\d{1,20}))? (\d{1,20})"
    rb"|F 0[xX]([0-9a-fA-F]{1,16}) \d{1,20}) (\d{1,18})",
    rb"[MFX] 0[xX]",
)
_END = Events(rb"=(\d{1,18}) (\d{1,18}) (\d{1,20}) (\d{1,20})", rb"=\d{1,18} \d")
_RIGHT = "'M 0xADDR [REQUESTED] BLOCK TICK', 'F 0xADDR BLOCK TICK' or 'X 0x0 [REQUESTED] 0 TICK'"
_MEANING = "the block's, without its header"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return _EVENTS.among(head)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    columns = reader.columns("FreeRTOS log", time_unit="ticks")
    columns.dropped = columns.dropped.merged(Dropped(time_set=reader.set_back))
    if reader.set_back:
        columns.meta[INCOMPLETE] = (
            "the ticks fall, as where a device starts anew: what was live before is taken for live"
        )
    if columns.loss.rounded_sizes:
        columns.meta[SIZES] = _MEANING
    if reader.end is None:
        columns.meta[UNENDED] = (
            "the last line '=EVENTS ...' is missing: whether the log was cut short is not known"
        )
        columns.warnings.append(columns.meta[UNENDED])
    else:
        events, fails, minimum, free = reader.end
        columns.meta["minimum_ever_free"], columns.meta["free"] = str(minimum), str(free)
        loss = columns.loss
        lost = events - len(columns.op) + loss.implied_frees - loss.foreign_frees
        if lost == loss.failed and not reader.bad:  # a total that counts these, too
            lost = 0
        if lost == 0 and not reader.went_on:
            columns.meta[ALL_COUNTED] = "the log's last line has as many events"
        lost = max(0, lost)
        missing = max(0, fails - loss.failed)
        columns.loss = loss.merged(Loss(lost_events=lost, failed=missing))
    return columns


class _Reader(SerialReader):
    TIMED = True

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.end: tuple[int, ...] | None = None
        self._sized: bool | None = None  # whether lines say what was requested
        self.set_back = 0  # events whose tick was less than the one before
        self.went_on = False  # whether there are events behind the last line

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take events, once the first has told what lines say."""
        if self._sized is None or self.end is not None:
            return at, line
        return self.scan_freertos(data, at, end, line, self._sized)

    def take(self, raw: bytes, number: int) -> None:
        match = _EVENTS.find(raw)
        if match is None:
            self._other(raw, number)
            return
        self.start()
        op, address, most, size, block, freed, tick = match.groups()
        if op is not None and self._sized not in (None, size is not None):
            raise bad_line(raw, f"{_RIGHT}, with REQUESTED in all lines or in none")
        if self.end is not None:
            self.went_on = True
            raise TraceError("an event after the last line '=EVENTS FAILS MINEVERFREE FREE'")
        now = int(tick)
        if now >= self.now:  # 0 at first
            self.now = now
        elif self.strict:
            raise TraceError(
                f"the tick is {now}, after {self.now}; ticks must not decrease: where a device "
                "started anew another recording begins; strict=False (--no-strict) reads on"
            )
        else:
            self.set_back += 1
        if op is None:
            self.free(int(freed, 16), number)
        else:
            self._sized = size is not None
            self._malloc(0 if op == b"X" else int(address, 16), most, size, int(block), number)

    def _malloc(
        self, address: int, most: bytes | None, size: bytes | None, block: int, number: int
    ) -> None:
        header = 16 if address >> 32 else 8
        self.malloc(address, max(0, block - header) if size is None else int(size), number)
        if address != 0 and (size is None or most is not None):
            self.loss["rounded_sizes"] += 1

    def _other(self, raw: bytes, number: int) -> None:
        match = _END.find(raw)
        if match is not None:
            if self.end is not None:
                raise TraceError("a second last line '=EVENTS FAILS MINEVERFREE FREE'")
            self.end = tuple(int(part) for part in match.groups())
        elif _EVENTS.begins(raw):
            raise bad_line(raw, _RIGHT)
        elif self.end is None:
            self.skip(raw, number, _RIGHT)
