"""What a program requested, of a recording whose sizes are as its kernel logged them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from rtosheap.heaps.layout import Layout
from rtosheap.heaps.releases import find_kernel, since
from rtosheap.kinds import HeapKind, freertos_class, heap_name, layout_of
from rtosheap.traces import Op, TraceError
from rtosheap.traces.base import TraceBase
from rtosheap.traces.meta import ABI, described
from rtosheap.traces.sizes import ADJUSTED, LOGGED, NEAREST, REQUESTED, SIZES

__all__ = ["requested"]

_Trace = TypeVar("_Trace", bound=TraceBase)

#: The release from which on ``traceMALLOC`` is given the whole block.
_WHOLE_BLOCK = "V11.2.0"
_LARGEST_FAILED = "largest_failed_request"


def requested(
    trace: _Trace,
    heap: HeapKind,
    *,
    kernel: str | None = None,
    word_size: int | None = None,
    alignment: int | None = None,
) -> _Trace:
    """The trace with the largest requests that give the blocks that were logged.

    What was requested may be less, by what the alignment adds, and from V11.2 on by what was too
    small to split off; ``meta["sizes"]`` says by how much. A replay of these requests on the same
    heap returns the recorded addresses where the recording is whole.

    Parameters
    ----------
    trace : Trace
        With sizes as the kernel logged them: what TraceRecorder and other recorders have that hang
        on ``traceMALLOC``. Its ``meta["sizes"]`` says so.
    heap : type or str
        Which of FreeRTOS's heaps the device has. On heap_3 sizes are as requested.
    kernel : str, optional
        Its release, such as ``"V11.3.0"``; the newest by default.
    word_size, alignment : int, optional
        ``sizeof(size_t)``, by default what the recording says or 4, and ``portBYTE_ALIGNMENT``, by
        default 8.

    Raises
    ------
    ValueError
        The trace's sizes are no logged ones, or there is no such heap.
    TraceError
        A size that no block of such a heap has, or that no such kernel logs.

    Examples
    --------
    >>> from rtosheap.traces import Trace
    >>> logged = Trace("mm", [0, 1], [120, 16], meta={"sizes": LOGGED})
    >>> trace = requested(logged, "heap_4", kernel="V11.3.0")
    >>> trace.size.tolist()
    [112, 8]
    """
    meaning = trace.meta.get(SIZES, REQUESTED)
    if meaning not in (LOGGED, ADJUSTED):
        raise ValueError(
            f"heap is {heap_name(heap)!r}, for sizes as a kernel logs them; those of the trace are "
            f"{meaning}"
        )
    if word_size is None:
        word_size = 8 if trace.meta.get(ABI, "").startswith("8") else 4
    columns = replace(trace._columns, meta=described(dict(trace.meta)))
    given = {"word_size": word_size, "alignment": 8 if alignment is None else alignment}
    layout = layout_of(freertos_class(heap), {**given, "kernel": kernel})
    if layout.is_newlib:
        columns.meta[SIZES] = REQUESTED
        columns.loss = columns.loss._replace(rounded_sizes=0)
        return trace.with_columns(columns)
    release = find_kernel(kernel).name
    whole = release in since(_WHOLE_BLOCK)
    if whole and meaning == ADJUSTED:
        raise TraceError(
            f"kernel is {release}, which logs whole blocks; the recording's sizes are {meaning}: "
            "frees give back more than mallocs took, or requests that failed have sizes"
        )
    columns.size = _requests(trace, layout)
    failed = int(columns.meta.get(_LARGEST_FAILED, 0))
    if failed:
        columns.meta[_LARGEST_FAILED] = str(max(0, layout.largest_in(failed)))
    columns.meta[SIZES] = f"{NEAREST}, on {layout.name} of {release}: {_unknown(layout, whole)}"
    return trace.with_columns(columns)


def _requests(trace: TraceBase, layout: Layout) -> Any:
    """The sizes, each checked to be a block's."""
    asks = trace.op == Op.MALLOC
    blocks = trace.size[asks].astype(np.int64)
    requests = np.maximum(layout.largest_in(blocks), 0)
    wrong = (layout.block_size(requests) != blocks) | (trace.size[asks] >> np.uint64(62) > 0)
    if wrong.any():
        event = int(np.flatnonzero(asks)[wrong.argmax()])
        raise TraceError(
            f"event {event} has size {trace.size[event]}; a block of {layout.name} with an "
            f"alignment of {layout.alignment} and a header of {layout.header} bytes has none such",
            event=event,
        )
    size = np.zeros(len(trace), np.uint64)
    size[asks] = requests.astype(np.uint64)
    return size


def _unknown(layout: Layout, whole: bool) -> str:
    """How much less may have been requested, in words."""
    padding = f"of each up to {layout.alignment - 1} bytes were not requested"
    rest = layout.split_above // layout.step * layout.step
    if not whole or not layout.frees:
        return padding
    return f"{padding}, nor up to {rest} more that were too small to split off"
