"""Heaps that an earlier release pickled load as they were, and what a snapshot must hold.

``data/pickles/heap_*.pickle`` were written when a snapshot was a tuple, its version 1;
``heaps.json`` says what the heaps were. Each had allocated, freed and failed to allocate.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtosheap import Heap1, Heap2, Heap4, Heap5, _core

PICKLES = Path(__file__).parent / "data" / "pickles"
WERE = json.loads((PICKLES / "heaps.json").read_text())
COUNTED = ("free_size", "minimum_ever_free_size", "malloc_failed_count", "allocation_count")
OPTIONS = ("word_size", "alignment", "clear_on_free", "canary", "end_marker_address")


def test_there_is_a_pickle_of_each() -> None:
    assert {path.stem for path in PICKLES.glob("heap_[1-5]*.pickle")} == set(WERE)
    assert len(WERE) == 14
    assert {name[:6] for name in WERE} == {f"heap_{kind}" for kind in range(1, 6)}


@pytest.mark.parametrize("name", WERE)
def test_a_heap_pickled_in_version_1_loads(name: str) -> None:
    heap = pickle.loads((PICKLES / f"{name}.pickle").read_bytes())
    were = WERE[name]
    assert f"heap_{heap.kind}" == name[:6]
    assert list(heap.stats()) == were["stats"]
    assert [list(block) for block in heap.blocks()] == were["blocks"]
    assert [list(block) for block in heap.free_blocks()] == were["free_blocks"]
    assert [[r.address, bytes(r.memory).hex()] for r in heap.regions] == were["regions"]
    for attribute in (*COUNTED, "free_count", *OPTIONS):
        assert getattr(heap, attribute) == were[attribute], attribute
        assert type(getattr(heap, attribute)) is type(were[attribute]), attribute
    heap.check()
    # It goes on as its copy of today's version does.
    twin = pickle.loads(pickle.dumps(heap))
    assert twin._snapshot() == heap._snapshot()
    for size in (5, 50, 500, 17):
        assert twin.malloc(size) == heap.malloc(size)
    assert twin._snapshot() == heap._snapshot()


def snapshot_of(**options: Any) -> tuple[dict[str, Any], bytearray]:
    heap = Heap4(256, **options)
    heap.malloc(24)
    return heap._snapshot(), bytearray(heap.memory)


def test_what_a_snapshot_holds() -> None:
    snapshot, _ = snapshot_of(canary=0x5EED_CA9A, clear_on_free=True)
    assert {name: type(value) for name, value in snapshot.items()} == {
        **dict.fromkeys(("version", "kind", "word_size", "alignment"), int),
        **{"clear_on_free": bool, "canary": int, "end_marker_address": type(None)},
        **{"addresses": tuple, "minimum_ever_free": int, "allocations": int, "frees": int},
        **{"failed": int, "reached": int, "blocks": bytes, "free_list": bytes, "ever": bytes},
        **{"kernel": str, "newlib": type(None), "extended": int, "moved": bytes},
        **{"policy": type(None), "rover": int},
    }
    assert snapshot["version"] == 4
    assert snapshot["clear_on_free"] is True
    assert snapshot_of(canary=0)[0]["canary"] == 0
    assert snapshot_of()[0]["canary"] is None
    assert Heap2(64)._snapshot()["end_marker_address"] == Heap2(64).end_marker_address
    assert Heap5([(8, 64), (80, 64)])._snapshot()["addresses"] == (8, 80)


@pytest.mark.parametrize("name", snapshot_of()[0])
def test_an_entry_that_is_missing_or_of_another_type(name: str) -> None:
    snapshot, memory = snapshot_of()
    with pytest.raises(ValueError, match=f"'{name}'"):
        _core._restore(Heap4, [memory], {k: v for k, v in snapshot.items() if k != name})
    for wrong in (1.0, [1], *([] if name in ("kernel", "newlib") else ["x"])):
        with pytest.raises(TypeError, match=f"'{name}' must be"):
            _core._restore(Heap4, [memory], {**snapshot, name: wrong})
    if type(snapshot[name]) is int:
        for number in (-1, 1 << 64):
            with pytest.raises(ValueError, match=name if name != "version" else "version"):
                _core._restore(Heap4, [memory], {**snapshot, name: number})


def test_an_entry_that_is_unknown() -> None:
    snapshot, memory = snapshot_of()
    for unknown in ("protector", 7, None, ("kind",)):
        with pytest.raises(ValueError, match=repr(unknown).strip("()")):
            _core._restore(Heap4, [memory], {**snapshot, unknown: 1})  # type: ignore[dict-item]

    class Text(str):
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return self is other

    with pytest.raises(ValueError, match="'kind' is given twice"):
        _core._restore(Heap4, [memory], {**snapshot, Text("kind"): 4})


def test_version_3_knew_no_policy() -> None:
    snapshot, memory = snapshot_of()
    third = {name: snapshot[name] for name in snapshot if name not in ("policy", "rover")}
    heap = _core._restore(Heap4, [memory], {**third, "version": 3})
    assert heap._snapshot() == snapshot


def test_another_version_is_named() -> None:
    snapshot, memory = snapshot_of()
    with pytest.raises(ValueError, match="version 5"):
        _core._restore(Heap4, [memory], {"version": 5, "entries": "of tomorrow"})
    for wrong in ([], None, list(snapshot.items())):
        with pytest.raises(TypeError, match="must be a dict"):
            _core._restore(Heap4, [memory], wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="version 2"):
        _core._restore(Heap4, [memory], (2, 4, 4, 8, 0, False, 0, (8,), (0,) * 5, b"", b"", b""))


def test_columns_go_by_their_names() -> None:
    op, slot = np.array([ord("m")], np.uint8), np.zeros(1, np.int32)
    size, address = np.full(1, 8, np.uint64), np.zeros(1, np.uint64)

    def run(columns: Any) -> dict[str, int]:
        return _core.replay(Heap1(64), op, slot, size, 1, columns, False, False, None)

    counts = run({"address": address})
    assert address[0] == 0x2000_0000
    assert (counts["done"], counts["live_bytes"], counts["first_failure"]) == (1, 8, -1)
    with pytest.raises(ValueError, match="'adress'"):
        run({"adress": address})
    with pytest.raises(ValueError, match="no column 7"):
        run({7: address})
    with pytest.raises(ValueError, match="nodes must be an aligned array"):
        run({"nodes": address})
    for wrong in (None, (address,), [("address", address)]):
        with pytest.raises(TypeError, match="columns must be a dict"):
            run(wrong)
    assert _core.FAILURES == ("none", "exhaustion", "fragmentation", "assertion")
