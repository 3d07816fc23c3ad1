"""Allocation traces: what a program asked of its allocator, event by event."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from os.path import basename
from typing import Any, BinaryIO, Self

from rtosheap.html import table_html
from rtosheap.traces.base import TraceBase
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats import files
from rtosheap.traces.formats.streams import contained, describe_source


class Trace(TraceBase):
    """A sequence of allocation events, in columns that cannot be written to.

    Parameters
    ----------
    op : array_like, shape (n,)
        ``"m"`` (malloc), ``"r"`` (realloc) or ``"f"`` (free) per event: letters, their ASCII codes
        or :class:`Op`; a str such as ``"mmf"`` serves too.
    id : array_like of int, shape (n,)
        The block, 0 to 2**63 - 1. An id is live from its malloc to its free, and may be used again
        after it; a realloc keeps it.
    size : array_like of int, shape (n,)
        What the program requested, in bytes, 0 to 2**64 - 1; 0 on a free.
    time : array_like of int, shape (n,), optional
        When, in ``meta["time_unit"]`` (ticks when it is not given); never decreasing.
    task : array_like of str, shape (n,), optional
        Who; a word without blanks, ``""`` where it is not known.
    meta : mapping of str to str, optional
        What is known of the trace, such as its ``name``, ``source`` or ``time_unit``.
    strict : bool, default True
        Whether an event that cannot be is an error. If False, events on an id that is not live and
        mallocs of one that is are left out, and a time that runs backwards is set to its
        predecessor's; :attr:`dropped` counts both.

    Raises
    ------
    TraceError
        A `ValueError` that names the column, the event and what would be right.
    TypeError
        A column of the wrong type.

    See Also
    --------
    Trace.load : from a file.
    Trace.from_events : from tuples.

    Notes
    -----
    Live bytes are requested bytes, without any heap's headers and padding, and a realloc counts at
    its new size only. A block of 0 bytes is live here (as in C libraries that return one for
    ``malloc(0)``); what a heap makes of it is the replay's business.

    Two traces are equal when their events are, with times and tasks, whatever their `meta` says
    (but for the time's unit). Traces can be pickled.

    Examples
    --------
    >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 30], meta={"name": "tiny"})
    >>> trace
    <Trace 'tiny': 4 events (3 malloc, 0 realloc, 1 free)>
    >>> trace.peak_live_bytes, trace.peak_event, trace.never_freed
    (120, 1, 2)
    >>> trace[2]
    Event(op='f', id=0, size=0, time=None, task=None)
    >>> trace.live_bytes()
    array([100, 120,  20,  50])
    """

    __slots__ = ()

    @classmethod
    def load(
        cls,
        path: str | PathLike[str] | BinaryIO,
        *,
        format: str | None = None,
        strict: bool = True,
        prefix: str | None = None,
        max_bytes: int | None = None,
        heap: Any = None,
        kernel: str | None = None,
        word_size: int | None = None,
        alignment: int | None = None,
    ) -> Self:
        """Read a trace from a file.

        Parameters
        ----------
        path : path or binary file object
            The file, which may be compressed with gzip or Zstandard. A file object is read from
            where it stands to its end, and left open.
        format : str, optional
            ``"text"``, ``"npz"``, ``"csv"``, ``"rep"``, or a recorder's: ``"valgrind"``,
            ``"mtrace"``, ``"ltrace"``, ``"heaptrack"``, ``"freertos"``, ``"pigweed"``,
            ``"recorder"``, ``"tracerecorder"``, ``"systemview"``, ``"eventrecorder"``,
            ``"espidf"``; see :mod:`rtosheap.traces.formats`. Told from the content when it is not
            given; the file's name does not matter.
        strict : bool, default True
            If False, bad lines and events that cannot be are left out and counted in
            :attr:`dropped`, instead of being errors.
        prefix : str, optional
            Of a log in lines: a regular expression of what stands before each line and is not its
            own, ``r"\\d+ms"`` say. It is matched at a line's beginning, within the first 200 bytes,
            and taken off; a line that does not begin so is read as it is. In FreeRTOS's and
            Pigweed's logs a prefix is found without it that ends with a blank or a sign
            (``[00:01.234] ``, ``12:34,heap,``). An expression that can match the same text in many
            ways, such as ``(a+)+``, may take for ever, as anywhere: Ctrl-C ends it.
        max_bytes : int, optional
            The most that the file may hold once it is unpacked; reading takes some 20 times as much
            memory at most. When it is not given it is 1 GiB, and for a compressed file 32
            times its size, or 64 MiB if that is more: a small file cannot take all memory.
        heap : type or str, optional
            Of a recording whose sizes are as the kernel logged them (``meta["sizes"]`` says so, and
            so does every result): which heap the device has. Sizes are then the largest requests
            that give the logged blocks, and ``meta["sizes"]`` says what may be too much. Without
            it, they are as they were logged, the header included.
        kernel, word_size, alignment : optional
            Of that heap: the kernel's release, the newest by default; `sizeof(size_t)`, by default
            what the recording says or 4; `portBYTE_ALIGNMENT`, by default 8.

        Raises
        ------
        TraceError
            Whatever the file holds: with its name, the line where the format has lines, and what
            would be right.
        ValueError
            A `heap` for a trace whose sizes are not as a kernel logged them, or no such heap; a
            `prefix` that is no regular expression.
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import io
        >>> trace = Trace.load(io.BytesIO(b"# rtosheap-trace 1\\nm 7 100\\nf 7\\n"))
        >>> len(trace), trace.peak_live_bytes
        (2, 100)
        """
        columns = files.read(path, format=format, strict=strict, prefix=prefix, max_bytes=max_bytes)
        lines = columns.lines
        columns.file = basename(describe_source(path) or "")
        if columns.file.startswith("<"):  # no file
            columns.file = "standard input" if columns.file == "<stdin>" else ""
        trace = cls.__new__(cls)
        with contained(describe_source(path)):
            try:
                trace._adopt(columns, strict)
            except TraceError as error:
                line = None if lines is None or error.event is None else lines.of(error.event)
                raise error.at(line=line, path=None) from None
        if heap is None:
            if any(option is not None for option in (kernel, word_size, alignment)):
                raise ValueError("kernel, word_size and alignment are those of a heap; name it")
            return trace
        options = {"kernel": kernel, "word_size": word_size, "alignment": alignment}
        try:
            asked: Self = import_module("rtosheap.requests").requested(trace, heap, **options)
        except TraceError as error:
            raise error.at(line=None, path=describe_source(path)) from None
        return asked

    def save(self, path: str | PathLike[str]) -> None:
        """Write the trace to a file, in the format that its name's suffix says.

        Parameters
        ----------
        path : path
            ``.trace`` and ``.trace.gz`` (the text format) and ``.npz`` hold everything.
            ``.csv`` and ``.csv.gz`` hold no `meta` and no recorded addresses; ``.rep`` (CMU malloc
            lab) holds neither these nor times nor tasks.

        Raises
        ------
        ValueError
            A suffix that is none of these.

        Warns
        -----
        TraceWarning
            When the format cannot hold all that this trace has; it says what is left out.
        """
        files.write(self, path)

    def summary(self) -> list[tuple[str, str]]:
        """What is known of the trace as (name, value) pairs of text, for a table: counts, peak,
        time, tasks, the header, and what makes it doubtful on a 32-bit target.

        Examples
        --------
        >>> trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 30])
        >>> for name, value in trace.summary():
        ...     print(f"{name}: {value}")
        events: 4: 3 malloc, 0 realloc, 1 free
        peak of live bytes: 120, at event 1
        most live blocks: 2
        largest request: 100 bytes
        never freed: 2 blocks, 50 bytes
        """
        facts: list[tuple[str, str]]
        facts = import_module("rtosheap.traces._summary").summary(self)
        return facts

    def _repr_html_(self) -> str:
        return table_html((f"trace {self.name}".rstrip(), ""), self.summary())

    def to_c(self, **names: str) -> str:
        """Print the trace as C that makes the same calls in firmware: a constant table with a line
        for each event, and a loop. An event takes 4 bytes of flash, 8 where a size is huge, a
        realloc twice that; RAM holds a pointer for each block that is live at once.

        Parameters
        ----------
        function : str
            Name of the function that makes the calls. ``long function(void)`` returns the index of
            the first event whose allocation failed, at which it stops, or -1.
        malloc, free : str
            What it calls. FreeRTOS has no realloc: one becomes malloc, memcpy, free.

        Returns
        -------
        str
            A translation unit of C99 that needs no header but the compiler's own.

        Raises
        ------
        ValueError
            A name that is no C identifier.

        Examples
        --------
        >>> from rtosheap import Trace
        >>> trace = Trace.from_events([("m", 0, 100), ("f", 0)])
        >>> print(trace.to_c().split("{")[1].split("}")[0])
        <BLANKLINE>
            M(0, 100), /* 0 */
            F(0), /* 1 */
        <BLANKLINE>
        """
        text: str = import_module("rtosheap.traces._to_c").to_c(self, **names)
        return text

    def explore(self, **keywords: Any) -> Any:
        """A page of the trace in all heaps, which a notebook shows: see :func:`rtosheap.report`."""
        return import_module("rtosheap.reports").report(self, **keywords)

    def what_if(self, *changes: Any) -> Self:
        """The same log with something changed: see :mod:`rtosheap.traces.changes`."""
        changed: Self = import_module("rtosheap.traces.changes").what_if(self, *changes)
        return changed


Trace.__module__ = "rtosheap.traces"  # where users import it from, and pickles find it
