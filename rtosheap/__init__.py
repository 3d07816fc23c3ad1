"""FreeRTOS's five heaps, byte for byte: replay, size and see a heap before anything is flashed.

A heap is used as in firmware; addresses are the target's, the memory is yours::

    heap = rtosheap.Heap4(16 * 1024)        # or Heap1, Heap2, Heap3, Heap5
    p = heap.malloc(100)
    heap.free(p)

A recorded trace is run through it, and says how large it must be::

    trace = rtosheap.Trace.load("my.trace")  # or rtosheap.data.load("mosq-broker")
    result = rtosheap.replay(trace, rtosheap.Heap4(48 * 1024))
    size = rtosheap.minimum_heap_size(trace, rtosheap.Heap4)
    print(rtosheap.compare(trace))
    print(rtosheap.assess([trace], rtosheap.Heap4))  # another day: how much, and how sure
    rtosheap.report(trace).save("report.html")       # to look at, and to hand on

Names: Heap1 ... Heap5 with Block, FreeBlock, HeapStats, Region and the errors HeapError,
InvalidFreeError, DoubleFreeError, HeapCorruptionError, HeapAssertionError; PolicyHeap (any
policy), ForeignHeap and ForeignError (anybody's allocator from a shared library); kernels, newlibs
(what kernel= and newlib= take); Trace, Op, TraceError; replay, Replay, Pin; minimum_heap_size,
MinimumSize, UnservableError; compare, Comparison, HeapResult; assess, vary, Risk; report,
HtmlReport.

Modules, loaded when they are used: heaps, allocators, traces, replays, sizing, comparison, risk,
reports, fragmentation; plot (pictures), data (bundled traces), testing (Hypothesis strategies),
inspection (RAM dumps), corruption (the laboratory of faults), cortexm (what a call costs on a
device), freertos (FreeRTOS's own names). ``help(rtosheap.Heap4)`` and the like say more; so does
the command line, ``rtosheap --help``.
"""

from __future__ import annotations

import importlib
import sys

from rtosheap import _moved

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "allocators": ("ForeignError", "ForeignHeap", "PolicyHeap"),
    "comparison": ("Comparison", "HeapResult", "compare"),
    "heaps": (
        "Block",
        "DoubleFreeError",
        "FreeBlock",
        "Heap",
        "Heap1",
        "Heap2",
        "Heap3",
        "Heap4",
        "Heap5",
        "HeapAssertionError",
        "HeapCorruptionError",
        "HeapError",
        "HeapStats",
        "InvalidFreeError",
        "Region",
        "kernels",
        "newlibs",
    ),
    "replays": ("Pin", "Replay", "replay"),
    "reports": ("HtmlReport", "report"),
    "risk": ("Risk", "assess", "vary"),
    "sizing": ("MinimumSize", "UnservableError", "minimum_heap_size"),
    "traces": ("Op", "Trace", "TraceError"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = frozenset(
    {
        *_NAMES,
        "corruption",
        "cortexm",
        "data",
        "device",
        "fragmentation",
        "freertos",
        "inspection",
        "kinds",
        "plot",
        "testing",
    }
)

_moved.install()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"rtosheap.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        try:
            return importlib.import_module(f"rtosheap.{name}")
        except ImportError as error:
            raise AttributeError(f"rtosheap.{name} cannot be imported: {error}") from error
    if name == "__all__":
        # pydoc prints all that it names in full, 4,000 lines; help(rtosheap) is the page above.
        asked_by_pydoc = sys._getframe(1).f_globals.get("__name__") == "pydoc"
        return [] if asked_by_pydoc else sorted(_HOMES)
    raise AttributeError(f"module 'rtosheap' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
