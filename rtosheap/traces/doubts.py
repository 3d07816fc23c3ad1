"""What makes a result doubtful that rests on a trace, in words."""

from __future__ import annotations

from collections.abc import Iterator

from rtosheap.traces.base import TraceBase
from rtosheap.traces.loss import missing

#: Every recording of heaptrack begins with a block of so many bytes, which is not the program's.
_HEAPTRACK_BLOCK = 72_704


def is_complete(trace: TraceBase) -> bool:
    """Whether nothing is missing of a trace that a heap would have had to do."""
    return not missing(trace.loss, trace.dropped)


def doubts(trace: TraceBase, word_size: int) -> tuple[str, ...]:
    """What any result must say that rests on a trace.

    Parameters
    ----------
    trace : Trace
    word_size : {4, 8}
        Bytes of a word of the heap that the result is about.
    """
    return tuple(_doubts(trace, word_size))


def _doubts(trace: TraceBase, word_size: int) -> Iterator[str]:
    lacks = missing(trace.loss, trace.dropped)
    if lacks:
        yield (
            "the recording is not complete, so that this holds for what was recorded only: "
            + "; ".join(lacks)
        )
    by_heaptrack = "heaptrack" in trace.meta.get("source", "")
    if by_heaptrack and len(trace) and int(trace.size[0]) == _HEAPTRACK_BLOCK:
        yield (
            f"the first block, of {_HEAPTRACK_BLOCK:,} bytes, is the recorder's and not the "
            f"program's: trace.what_if('static:size={_HEAPTRACK_BLOCK}') leaves it out"
        )
    if word_size == 4 and _has_wide_words(trace):
        yield (
            "recorded on a 64-bit host, for a heap of 32-bit words: what holds pointers or sizes "
            "is smaller on the device"
        )


def _has_wide_words(trace: TraceBase) -> bool:
    """Whether a trace was recorded where a pointer has 8 bytes, as far as it says."""
    address = trace.recorded_address
    wide = address is not None and len(address) > 0 and int(address.max()) >= 1 << 32
    return wide or trace.meta.get("abi", "").startswith("LP64")
