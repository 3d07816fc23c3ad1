"""What CMSIS-View's ``eventlist`` prints: a table as text, as XML or as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple
from xml.parsers import expat

from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats.streams import MAX_LINE, lines, too_long

_TABLE = re.compile(rb"(?:\A|\n)[ \t]*+Index ++Time \(s\) ++Component ++Event Property ++Value")
_DASHES = re.compile(rb"-++ ++-++ ++(-++ ++)(-++ ++)-++\s*+\Z")
_ROW = re.compile(rb"\s*+(\d{1,18}) ++(\d{1,10}\.\d{1,18}) ++(\S.*+)", re.DOTALL)
_STATISTICS = b"Start/Stop event statistic"
_XML = re.compile(rb"\s*+(?:<\?xml[^>]*+>\s*+)?<(?:!DOCTYPE\s++)?EventsTable\b")
_JSON = re.compile(rb'\s*+\{\s*+"events"\s*+:\s*+\[')
_OBJECT = re.compile(r'\{(?>(?:[^{}\[\]"]++|"(?>(?:[^"\\]++|\\.)*)")*)\}', re.DOTALL)
_BETWEEN = re.compile(r"[\s,]*+")
_VALUES = re.compile(
    r"\w{1,40}+=0x([0-9a-fA-F]{1,8})(?:, \w{1,40}+=(?:0x([0-9a-fA-F]{1,8})|(\d{1,10})))?\s*+\Z"
)
_NAMES = ("index", "time", "component", "eventProperty", "value")
_CHUNK = 1 << 16
_DEEPEST = 3  # an element of an event within the table
_MOST_SECONDS = 2**53 / 10**9


class Row(NamedTuple):
    """What is read of a row: its number, microseconds, and texts."""

    number: int
    time: int
    property: str
    value: str


def form_of(head: bytes) -> str | None:
    """Which of the forms a file has that begins so: ``"txt"``, ``"xml"``, ``"json"`` or None."""
    if _XML.match(head):
        return "xml"
    if _JSON.match(head):
        return "json"
    return "txt" if _TABLE.search(head) else None


def values_of(text: str) -> tuple[int, int] | None:
    """The address of a value and the number behind it, 0 if there is none; None if it has not."""
    match = _VALUES.match(text)
    if match is None:
        return None
    address, hexadecimal, decimal = match.groups()
    number = int(decimal or hexadecimal or "0", 10 if decimal else 16)
    return (int(address, 16), number) if number < 1 << 32 else None


class Rows:
    """The rows of a file; those that are none are errors, or counted in `bad`."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.bad = 0

    def leave_out(self, reason: str, line: int | None = None) -> None:
        """Raise for a row that is none, or count it."""
        if self._strict:
            raise TraceError(f"{reason}; strict=False (--no-strict) leaves it out", line=line)
        self.bad += 1

    def of(self, stream: BinaryIO, form: str) -> Iterator[Row]:
        """The rows, in their order."""
        ways = {"txt": self._of_text, "xml": self._of_xml, "json": self._of_json}
        return ways[form](stream)

    def _row(self, index: Any, seconds: Any, property_: Any, value: Any) -> Row | None:
        """A row of its fields, as they are in the file; None if it was left out."""
        try:
            number, time = int(index), float(seconds)
            if 0 <= time < _MOST_SECONDS and isinstance(property_ + value, str):
                return Row(number, round(time * 10**9) // 1000, property_, value)
        except (ValueError, TypeError, OverflowError):
            pass
        fields = (index, seconds, property_, value)
        shown = ", ".join(repr(field)[:40] for field in fields) if self._strict else ""
        self.leave_out(f"{shown} is no event: it must have an index, a time and two texts")
        return None

    def _of_text(self, stream: BinaryIO) -> Iterator[Row]:
        """Of a table whose columns are padded with blanks: what stands in a row under which."""
        component = width = 0
        for number, raw in enumerate(lines(stream), 1):
            if len(raw) > MAX_LINE:
                raise too_long().at(line=number, path=None)
            if not width:
                dashes = _DASHES.match(raw)
                if dashes is not None:
                    component, width = len(dashes[1]), len(dashes[2])
                continue
            if raw.strip() == _STATISTICS:
                return
            match = _ROW.match(raw)
            if match is None:
                self.bad += bool(raw.strip())  # the rest of a text of several lines
            elif not raw.endswith(b"\n"):
                self.leave_out("the file ends within an event", number)
            else:
                index, seconds, rest = match.groups()
                text = rest.decode("utf-8", "replace")
                property_ = text[component : component + width].strip()
                row = self._row(index, seconds, property_, text[component + width :].strip())
                if row is not None:
                    yield row

    def _of_json(self, stream: BinaryIO) -> Iterator[Row]:
        """Of an object whose first member is the list of events."""
        data = stream.read()
        begin = _JSON.match(data).end()  # type: ignore[union-attr]
        text = data[begin:].decode("utf-8", "replace")
        del data
        at = 0
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
            if text.startswith("]", at):
                return
            match = _OBJECT.match(text, at)
            if match is None:
                self.leave_out(f"the list of events goes on with {text[at : at + 24]!r}")
                return
            if len(match[0]) > MAX_LINE:
                raise too_long()
            at = match.end()
            try:
                found = json.loads(match[0])
            except ValueError as error:
                self.leave_out(f"an event is no JSON ({error})"[:200])
                continue
            row = self._row(*(found.get(name) for name in _NAMES if name != "component"))
            if row is not None:
                yield row

    def _of_xml(self, stream: BinaryIO) -> Iterator[Row]:
        """Of a table with an element for each event."""
        found, taken = _Elements(), 0
        while not found.ended:
            chunk = stream.read(_CHUNK)
            try:
                found.feed(chunk)
            except expat.ExpatError as error:
                self.leave_out(f"is no XML ({error})")
                found.ended = True
            for index, seconds, _, property_, value in found.take():
                taken += 1
                row = self._row(index, seconds, property_, value)
                if row is not None:
                    yield row


class _Elements:
    """The events of XML that comes in pieces: no document type, no entities, no attributes.

    Whatever is not like this, or longer than a line may be, is an error.
    """

    def __init__(self) -> None:
        self.ended = False
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._events: list[list[str]] = []
        self._fields: dict[str, str] = {}
        self._open: list[str] = []
        self._parts: list[str] = []
        self._length = 0
        self._fed = 0

    def feed(self, chunk: bytes) -> None:
        """Parse a piece; an empty one is the end."""
        self._fed += len(chunk)
        self.ended = not chunk
        self._parser.Parse(chunk, not chunk)
        if self._fed - self._parser.CurrentByteIndex > MAX_LINE:
            raise too_long()  # a tag of that length is parsed again with each piece

    def take(self) -> list[list[str]]:
        """The fields of the events since the last call."""
        found, self._events = self._events, []
        return found

    def _refuse(self, *_: object) -> None:
        raise TraceError("has a document type, which no list of eventlist has")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        depth = len(self._open)
        right = (("EventsTable",), ("events",), _NAMES)
        if depth > _DEEPEST or name not in right[depth - 1] or attributes:
            raise TraceError(
                f"has the element {name[:40]!r} at depth {depth}; a list of eventlist is an "
                "EventsTable of events with index, time, component, eventProperty and value"
            )
        self._parts, self._length = [], 0

    def _text(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > MAX_LINE:
            raise too_long()

    def _end(self, name: str) -> None:
        if len(self._open) == _DEEPEST:
            self._fields[name] = "".join(self._parts)
        elif name == "events":
            self._events.append([self._fields.get(field, "") for field in _NAMES])
            self._fields = {}
        self._open.pop()
        self._parts, self._length = [], 0
