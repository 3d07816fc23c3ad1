"""ltrace's log of malloc and its kin, plain or with ``-e`` (``CALLER->malloc``), or with ``-x``
(``malloc@LIB``), among any other calls.

A call that another interrupts is split into ``name(args <unfinished ...>`` and ``<... name
resumed> ) = RET``, and counts when it returns; a free already when its address is given out again,
so that the order is the allocator's. Of calls inside a call (``operator new`` and its malloc) the
inner one counts. With several threads or processes (``-f``) each is a task, named by its number.

Without ``-x``, calls through function pointers are missing. Of aligned requests ltrace knows no
prototypes, and posix_memalign hides its result, so that they are left out; their frees are foreign.
A call that ltrace marks ``<no return ...>`` is left out too, since it has lost track of the thread
there. With threads ltrace may kill the program, or itself: a log that does not end with the end of
the program, ``+++ exited …``, or with a crash, is not complete.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from rtosheap.traces.columns import Columns, Tasks
from rtosheap.traces.formats._address_log import LogReader, bad_line, whole
from rtosheap.traces.meta import INCOMPLETE

NAME = "ltrace"
HINT = "lines 'malloc(N) = 0xADDR', also as 'CALLER->malloc' or 'malloc@LIB'"

_NAME = re.compile(
    rb"(?:malloc|calloc|realloc|reallocarray|free|cfree|aligned_alloc|memalign|posix_memalign|valloc|"
    rb"pvalloc|_Zn[wa][jm]\w*+|_Zd[la]Pv\w*+)\Z"
)
# Who, when (-r: behind blanks), from where (-i), and what: CALLER->NAME(, NAME@LIB(, NAME(, or
# <... NAME resumed>
_HEAD = re.compile(
    rb" *+(?:\[pid )?(?:(\d++)\]?+ )? *+(?:\d[\d:.]++ )?(?:\[0x[0-9a-f]++\] )? *+"
    rb"(?:<\.\.\. (\w++) resumed> |([^\s(]++)\()"
)
_LASTED = re.compile(rb"<[\d.]{1,32}>\Z")
_UNFINISHED, _NO_RETURN = b" <unfinished ...>", b" <no return ...>"
_ENDED = re.compile(rb"\+\+\+ (?:exited \(|killed by (SIG(?:SEGV|BUS|ILL|TRAP))?)")
_USUAL = re.compile(rb"[1-9]\d{0,17}\Z")  # number of a task
_ALIGNED = frozenset({b"aligned_alloc", b"memalign", b"posix_memalign", b"valloc", b"pvalloc"})
_FREES = frozenset({b"free", b"cfree"})
_RIGHT = "'NAME(ARGUMENTS) = RESULT', or the two halves of one that was interrupted"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    found = filter(None, map(_line, head.split(b"\n")[:-1]))
    return any(line.unfinished() or line.returned() for line in found)


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the calls; see :class:`~rtosheap.traces.formats.Reader`."""
    reader = _Reader(strict).of(stream)
    names = reader.tasks.names
    columns = reader.columns("ltrace", tasks=names if len(names) > 1 else ())
    where = columns.lines
    last = where.of(len(columns.op) - 1) if where is not None and len(columns.op) else 0
    if reader.crash:
        columns.meta[INCOMPLETE] = (
            f"{reader.crash} ended the program, which ltrace may do to one that has threads"
        )
    elif reader.ended <= (last or 0):
        columns.meta[INCOMPLETE] = "the log ends before the program does"
    return columns


class _Line(NamedTuple):
    """What a line tells of a call."""

    who: bytes
    name: bytes
    resumed: bool
    rest: bytes  # behind the name

    def unfinished(self) -> tuple[bytes, bool] | None:
        """The arguments of a call that has not returned, and whether it will."""
        for mark in (_UNFINISHED, _NO_RETURN):
            if self.rest.endswith(mark) and not self.resumed:
                return self.rest.removesuffix(mark), mark == _UNFINISHED
        return None

    def returned(self) -> tuple[bytes, bytes] | None:
        """Arguments and result."""
        call, _, lasted = self.rest.rpartition(b" ")
        if not _LASTED.match(lasted):
            call = self.rest
        arguments, _, result = call.rstrip().rpartition(b" = ")
        arguments = arguments.rstrip()
        whole = arguments.endswith(b")") and result and b" " not in result
        return (arguments[:-1], result) if whole else None


def _line(raw: bytes) -> _Line | None:
    """A line that tells of malloc or its kin, whole or not; None if it does not."""
    head = _HEAD.match(raw)
    if head is None:
        return None
    who, resumed, token = head.groups(b"")
    name = resumed or token.rpartition(b"->")[2].partition(b"@")[0]
    if _NAME.match(name) is None:
        return None
    return _Line(who, name, bool(resumed), raw[head.end() :].rstrip())


class _Open(NamedTuple):
    """A call that has not returned."""

    name: bytes
    arguments: bytes
    events: int  # calls counted on this thread before it
    returns: bool  # False: the log says so, even where it shows a return later


class _Reader(LogReader):
    TASKED = True

    def __init__(self, strict: bool) -> None:
        super().__init__(strict)
        self.tasks = Tasks()
        self._freeing: dict[int, bytes] = {}  # blocks whose free has not returned, and who frees
        self._open: dict[bytes, list[_Open]] = {}
        self._counted: dict[bytes, int] = {}
        self._waiting = 0  # calls in `_open` that are to return
        self.ended = 0  # the last line that says that a thread or a process ended
        self.crash = ""  # of what, if not by itself

    def scan(self, data: bytearray, at: int, end: int, line: int) -> tuple[int, int]:
        """Take calls that nothing interrupts."""
        if self._waiting or self._freeing:
            return at, line
        return self.scan_ltrace(data, at, end, line)

    def take(self, raw: bytes, number: int) -> None:
        line = _line(raw)
        if line is None:
            end = _ENDED.search(raw)
            if end is not None:
                self.ended = number
                self.crash = self.crash or (end[1] or b"").decode()
            return
        who, name = line.who, line.name
        opened, call = line.unfinished(), line.returned()
        try:
            if opened is not None:
                self._begin(who, name, *opened)
            elif call is None:
                raise bad_line(raw, _RIGHT)
            elif line.resumed:
                self._resumed(who, name, call[1], number)
            else:
                self._count(who, name, *call, number)
        except (ValueError, IndexError):
            raise bad_line(raw, _RIGHT) from None

    def _begin(self, who: bytes, name: bytes, arguments: bytes, returns: bool) -> None:
        opened = self._open.setdefault(who, [])
        opened.append(_Open(name, arguments, self._counted.get(who, 0), returns))
        self._waiting += returns
        self.loss["unreturned_calls"] += not returns
        if name in _FREES and returns:
            self._freeing[_argument(arguments, 0)] = who

    def _resumed(self, who: bytes, name: bytes, result: bytes, number: int) -> None:
        opened = self._open.get(who, [])
        while opened:
            call = opened.pop()
            self._waiting -= call.returns
            if call.name != name:
                continue  # it never returned: a longjmp or an exit
            if not call.returns:
                return
            inner = self._counted.get(who, 0) != call.events
            if inner and name != b"realloc":
                return  # what it did is told already
            if name in _FREES and self._freeing.pop(_argument(call.arguments, 0), None) is None:
                return
            self._count(who, name, call.arguments, result, number)
            return

    def _count(self, who: bytes, name: bytes, arguments: bytes, result: bytes, number: int) -> None:
        self.who = self.tasks.code(who.decode())
        self._counted[who] = self._counted.get(who, 0) + 1
        if self._counted[who] == 1 and _USUAL.match(who):
            self.name_task(int(who), self.who)
        if name in _FREES or name.startswith(b"_Zd"):
            self.free(_argument(arguments, 0), number)
            return
        if name in _ALIGNED:
            self.loss["unseen_blocks"] += 1
            return
        address = _number(result)
        if address in self._freeing:
            freer = self._freeing.pop(address)
            self.who = self.tasks.code(freer.decode())
            self.free(address, number)
            self.who = self.tasks.code(who.decode())
        if result.startswith(b"0x"):
            self.saw(len(result) - 2)
        if name in (b"realloc", b"reallocarray"):
            size = _argument(arguments, 1)
            size *= _argument(arguments, 2) if name == b"reallocarray" else 1
            self.realloc(_argument(arguments, 0), address, size, number)
        else:
            size = _argument(arguments, 0)
            size *= _argument(arguments, 1) if name == b"calloc" else 1
            self.malloc(address, size, number)


def _argument(arguments: bytes, at: int) -> int:
    return _number(arguments.split(b",")[at].strip())


def _number(text: bytes) -> int:
    if text == b"nil":
        return 0
    return whole(text[2:], 16) if text.startswith(b"0x") else whole(text)
