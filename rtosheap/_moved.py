"""Pickled heaps, traces, `HeapResult`s and `TraceError`s of before 0.1.0 name modules that are
gone: what they name is found where it lies now.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # that of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: Of each module that is gone, what pickles take from it, and where that is.
_NAMES = {
    "rtosheap._columns": {"Columns": "rtosheap.traces.columns"},
    "rtosheap._result": {"HeapResult": "rtosheap.comparison"},
    "rtosheap._trace_types": {"_rebuild_error": "rtosheap.traces.errors"},
    "rtosheap.trace": dict.fromkeys(
        ("Dropped", "Event", "Loss", "Op", "Slots", "Trace"), "rtosheap.traces"
    ),
}


class _Moved:
    """Finds and loads them, when nothing else does."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _NAMES:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, cls())  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        for name, home in _NAMES[module.__name__].items():
            setattr(module, name, getattr(importlib.import_module(home), name))


def install() -> None:
    """Let unpickling find what has moved."""
    if _Moved not in sys.meta_path:
        sys.meta_path.append(_Moved)
