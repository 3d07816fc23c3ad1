"""What makes a result doubtful that rests on a trace, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rtosheap.tables import counted
from rtosheap.traces.base import TraceBase
from rtosheap.traces.loss import missing
from rtosheap.traces.meta import ABI, ALL_COUNTED, INCOMPLETE, RUNTIMES_BLOCK, UNENDED
from rtosheap.traces.sizes import SIZES, warn_of_sizes

_NOT_COMPLETE = "the recording is not complete"
#: Sources on a host, as their readers name them.
_RECORDERS = ("heaptrack", "valgrind", "glibc mtrace", "ltrace")
_POINTERS = {8: re.compile(r"\bLP64\b|\b8-byte pointers"), 4: re.compile(r"\bILP32\b|\b4-byte p")}


def is_complete(trace: TraceBase) -> bool:
    """Whether nothing is missing of a trace that a heap would have had to do."""
    return not lacks(trace) and INCOMPLETE not in trace.meta


def lacks(trace: TraceBase) -> list[str]:
    """What is missing of a trace that a heap would have had to do, a line for each kind.

    Lines of a log that were left out are none of it where the log's count says that they were no
    events.
    """
    if ALL_COUNTED in trace.meta:
        loss, dropped = trace.loss._replace(cut_lines=0), trace.dropped._replace(bad_line=0)
        return missing(loss, dropped)
    return missing(trace.loss, trace.dropped)


def says_incomplete(warnings: Iterable[str]) -> bool:
    """Whether one of the warnings of a result is that something is missing."""
    return any(_NOT_COMPLETE in text for text in warnings)


def doubts(trace: TraceBase, word_size: int) -> tuple[str, ...]:
    """What any result must say that rests on a trace.

    Parameters
    ----------
    trace : Trace
    word_size : {4, 8}
        Bytes of a word of the heap that the result is about.
    """
    found = lacks(trace)
    lacking = f"{_NOT_COMPLETE}, so that this holds for what was recorded only: {'; '.join(found)}"
    return (*([lacking] if found else []), *further_doubts(trace, word_size))


def cautions(traces: Sequence[TraceBase], word_size: int) -> list[str]:
    """What a verdict says of them itself, in a sentence each; :func:`doubts` has the details."""
    said = []
    if not all(map(is_complete, traces)):
        said.append("This holds for what was recorded only, and not all of it was.")
    others = {size for trace in traces for size in _pointers(trace)} - {word_size}
    if others:
        said.append(
            f"It was recorded with pointers of {max(others)} bytes: where they have {word_size}, "
            f"blocks that hold pointers are {'smaller' if max(others) > word_size else 'larger'}."
        )
    return said


def further_doubts(trace: TraceBase, word_size: int) -> Iterator[str]:
    """Of :func:`doubts`, what is told beside the counts of what a trace lacks."""
    if INCOMPLETE in trace.meta:
        yield f"{_NOT_COMPLETE}: {trace.meta[INCOMPLETE]}"
    if UNENDED in trace.meta:
        yield trace.meta[UNENDED]
    if trace.loss.other_processes:
        yield (
            f"{counted(trace.loss.other_processes, 'event')} of other processes were left out, "
            f"beside {len(trace):,} of the first one: it is this one that counts here"
        )
    sizes = warn_of_sizes(trace.meta.get(SIZES, ""))
    if sizes is not None:
        yield sizes
    source = trace.meta.get("source", "")
    if trace.loss.runtime_blocks:
        yield (
            f"the first block, of {RUNTIMES_BLOCK:,} bytes, was left out: it is the C++ runtime's, "
            "which heaptrack brings into every program"
        )
    elif source.startswith(_RECORDERS) and len(trace) and int(trace.size[0]) == RUNTIMES_BLOCK:
        yield (
            f"the first block, of {RUNTIMES_BLOCK:,} bytes, is the C++ runtime's, and not the "
            f"program's own: trace.what_if('without:size={RUNTIMES_BLOCK}') or rtosheap convert "
            "--what-if leaves it out"
        )
    yield from _other_pointers(trace, word_size, source)


def _other_pointers(trace: TraceBase, word_size: int, source: str) -> Iterator[str]:
    """Blocks that hold pointers are of another size where pointers are."""
    found = _pointers(trace)
    if found - {word_size}:
        host, less = (64, "smaller") if word_size == 4 else (32, "larger")
        yield (
            f"recorded on a {host}-bit host, for a heap of {8 * word_size}-bit words: what holds "
            f"pointers or sizes is {less} on the device"
        )
    if not found and source.startswith("valgrind"):
        yield (
            "valgrind's log does not tell how large a pointer was: what holds pointers or sizes is "
            f"of another size on the device unless it was {word_size} bytes "
            f"(meta['{ABI}'] = '{word_size}-byte pointers' says that it was)"
        )


def _pointers(trace: TraceBase) -> set[int]:
    """How many bytes pointers had where a trace was recorded, as far as it says."""
    abi, address = trace.meta.get(ABI, ""), trace.recorded_address
    found = {size for size, words in _POINTERS.items() if words.search(abi)}
    if address is not None and len(address) and int(address.max()) >= 1 << 32:
        found.add(8)
    return found
