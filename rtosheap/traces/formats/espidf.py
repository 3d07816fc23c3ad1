"""What ESP-IDF's ``sysviewtrace_proc.py -p`` prints of a heap trace in host mode.

Lines ``[0.002244575] HEAP: Allocated 1 bytes @ 0x3ffaffd8 from task "alloc" on core 0 by:`` and
``[…] HEAP: Freed bytes @ 0x…``, each with its callers on the lines that follow. Lines of logs may
stand between; what is printed again behind ``HEAP TRACE REPORT``, as leaks, is not read. Sizes are
those that ESP-IDF says were allocated.

By the sample in ESP-IDF's documentation alone, and tried on nothing else. The ``.svdat`` file
itself is not read: it holds these events as those of a SystemView module, whose bytes that
documentation does not describe. Callers are left out. Blocks of internal and of external RAM become
one trace.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from rtosheap.traces.columns import Columns, Tasks, valid_task
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import LogReader, bad_line
from rtosheap.traces.meta import ABI

NAME = "espidf"
HINT = "what sysviewtrace_proc.py of ESP-IDF prints of a heap trace in host mode"

_HEAP = re.compile(rb"\[\d{1,9}\.\d{1,9}\] HEAP: ")
_EVENT = re.compile(
    rb"\[(\d{1,9})\.(\d{1,9})\] HEAP: (?:Allocated (\d{1,10})|Freed) bytes @ 0x([0-9a-fA-F]{1,8})"
    rb' from task "([^"]*+)" on core \d{1,2} by:\s*+\Z'
)
_REPORT = re.compile(rb"=++ HEAP TRACE REPORT =++\s*+\Z")
_RIGHT = (
    "'[SECONDS] HEAP: Allocated SIZE bytes @ 0xADDR from task \"NAME\" on core N by:', or the same "
    "with 'Freed' for 'Allocated SIZE'"
)


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return any(_EVENT.match(line) for line in head.split(b"\n"))


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the events; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    meta = {"time_unit": "ns", ABI: "4-byte pointers"}
    return reader.columns("ESP-IDF heap trace", tasks=reader.tasks.names, **meta)


class _Reader(LogReader):
    TIMED = TASKED = True

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.tasks = Tasks()
        self._ended = False

    def take(self, raw: bytes, number: int) -> None:
        if self._ended or not raw.startswith(b"["):
            self._ended = self._ended or _REPORT.match(raw) is not None
            return
        match = _EVENT.match(raw)
        if match is None:
            if _HEAP.match(raw):
                raise bad_line(raw, _RIGHT)
            return
        seconds, parts, size, address, name = match.groups()
        now = int(seconds) * 10**9 + int(parts.ljust(9, b"0"))
        if now < self.now:
            raise TraceError(f"the time is {now} ns, after {self.now}; times must not decrease")
        self.now = now
        self.who = self._code(name)
        self.saw(len(address))
        if size is None:
            self.free(int(address, 16), number)
        else:
            self.malloc(int(address, 16), int(size), number)

    def _code(self, name: bytes) -> int:
        """The number of a task, -1 if its name is none that a trace can have."""
        text = "_".join(name.decode("utf-8", "replace").split())
        if not valid_task(text):
            self.loss["unknown_tasks"] += 1
            return -1
        return self.tasks.code(text)
