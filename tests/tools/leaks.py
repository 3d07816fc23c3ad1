"""Calls every method and every error path of the extensions, and prints what they leak.

Run by test_leaks.py in a process of its own: ``python leaks.py``. Prints a line of JSON for each
call: its name, how many objects and references were left after thousands of calls, and bytes.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import mmap
import pickle
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, _core
from rtosheap._lab import Lab

Cases = dict[str, Callable[[], Any]]  # what to call, by a name that the result is told with

WARM, ROUNDS = 200, 3000
BASE = 0x2000_0000


class Index:
    def __index__(self) -> int:
        return 24


class Broken:
    def __index__(self) -> int:
        raise KeyError("broken")


def heaps() -> list[Any]:
    return [
        Heap1(1 << 16),
        Heap2(4096),
        Heap3(4096),
        Heap3.host(),
        Heap4(4096, canary=7),
        Heap5([(BASE, 512), (BASE + 1024, bytearray(512))]),
    ]


def refused(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], None]:
    """A call that must raise."""

    def call() -> None:
        try:
            function(*arguments, **options)
        except Exception:
            return
        raise AssertionError(f"{function} accepts {arguments} {options}")

    return call


def corrupt() -> Any:
    heap = Heap4(bytearray(1024))
    address = heap.malloc(16)
    heap.memory[:8] = b"\xff" * 8
    return heap, address


def replays(heap: Any, columns: bool, progress: Any = None) -> Callable[[], Any]:
    op = np.frombuffer(b"mmrff" * 4, np.uint8)
    slot = np.tile(np.array([0, 1, 0, 0, 1], np.int32), 4)
    size = np.tile(np.array([8, 20, 40, 0, 0], np.uint64), 4)
    dtypes = ["u8", "u8", "u8", "u8", "u4", "u8", "u4", "?", "u1"]
    wanted = {
        name: np.zeros(20, dtype)
        for name, dtype in zip(_core.COLUMNS, dtypes, strict=True)
        if columns
    }
    engine = "index" if columns else None
    return lambda: _core.replay(heap, op, slot, size, 2, wanted, False, True, progress, engine)


def aborted(done: int, total: int) -> None:
    raise KeyError("enough")


def name_of(heap: Any) -> str:
    return type(heap).__name__ + (".host" if repr(heap).startswith("<Heap3.host") else "")


def serve(heap: Any, frees: bool, host: bool) -> None:
    addresses = [heap.malloc(20), heap.calloc(2, 8), heap.malloc(Index())]
    for address in addresses:
        if address is None:
            continue
        heap.view(address)[0] = 1
        heap.usable_size(address)
        heap._is_live(address)
        if frees:
            heap.free(address)
    heap.free(None)
    if not host:
        heap.malloc(1 << 30)
        heap.calloc(1 << 16, 1 << 15)
        heap.malloc(0)
        if not frees:
            heap.reset()


def attributes(heap: Any, host: bool) -> list[Any]:
    return [
        getattr(heap, attribute, None)
        for attribute in dir(_core.Heap)
        if not attribute.startswith("__")
        and not callable(getattr(type(heap), attribute))
        and (not host or "count" in attribute)
    ]


def lend(heap: Any) -> None:
    address = heap.malloc(8)
    view = heap.view(address)
    refused(heap.free, address)()
    view.release()
    heap.free(address)
    refused(heap.free, address)()


def look(heap: Any) -> None:
    heap.stats()
    heap.blocks()
    heap._blocks(True)
    heap.free_blocks()
    heap.check()
    heap._stats()
    heap._free_blocks()
    heap._regions()
    heap._region_views()
    heap.reset_minimum_ever_free_size()
    repr(heap)
    heap._repr_html_()
    heap._snapshot()


def free_twice(heap: Any) -> None:
    address = heap.malloc(20)
    heap.free(address)
    refused(heap.free, address)()


def move(heap: Any) -> None:
    """The C library's calls."""
    address = heap.realloc(heap.realloc(None, 8), 60)
    heap.memalign(3, 8)
    for one in (heap.memalign(64, 8), heap.realloc(address, 4)):
        heap.realloc(one, 0)


def cases_of(heap: Any) -> Cases:
    """What every heap has."""
    name = name_of(heap)
    host, frees = name == "Heap3.host", name != "Heap1"
    calls = {
        "malloc('8')": refused(heap.malloc, "8"),
        "malloc(-1)": refused(heap.malloc, -1),
        "malloc(2**70)": refused(heap.malloc, 1 << 70),
        "malloc(broken)": refused(heap.malloc, Broken()),
        "calloc(1)": refused(heap.calloc, 1),
        "calloc('1', 2)": refused(heap.calloc, "1", 2),
        "calloc(1, broken)": refused(heap.calloc, 1, Broken()),
        "free('x')": refused(heap.free, "x"),
        "free(12)": refused(heap.free, 12),
        "free(-1)": refused(heap.free, -1),
        "free(2**80)": refused(heap.free, 1 << 80),
        "free(broken)": refused(heap.free, Broken()),
        "view(12)": refused(heap.view, 12),
        "view('x')": refused(heap.view, "x"),
        "usable_size(12)": refused(heap.usable_size, 12),
        "attributes": partial(attributes, heap, host),
        "setattr": refused(setattr, heap, "size", 3),
    }
    if name == "Heap3":
        calls |= {
            "realloc and memalign": partial(move, heap),
            "realloc(1)": refused(heap.realloc, 1),
            "realloc('x', 1)": refused(heap.realloc, "x", 1),
            "realloc(12, 1)": refused(heap.realloc, 12, 1),
            "realloc(0, broken)": refused(heap.realloc, 0, Broken()),
            "memalign(8)": refused(heap.memalign, 8),
            "memalign('x', 1)": refused(heap.memalign, "x", 1),
            "memalign(8, broken)": refused(heap.memalign, 8, Broken()),
        }
    found: Cases = {f"{name}: serve": partial(serve, heap, frees, host)}
    found |= {f"{name}.{label}": call for label, call in calls.items()}
    return found | (host_cases(heap) if host else arena_cases(heap))


def host_cases(heap: Any) -> Cases:
    name = name_of(heap)
    labels = ("stats", "blocks", "free_blocks", "check", "reset", "copy", "_snapshot")
    found: Cases = {f"{name}.{label}": refused(getattr(heap, label)) for label in labels}
    found[f"{name} buffer"] = refused(memoryview, heap)
    found[f"{name} make"] = lambda: (lambda h: (h.malloc(9), h.calloc(3, 3)))(Heap3.host())
    found[f"{name} view"] = partial(lend, heap)
    return found


def arena_cases(heap: Any) -> Cases:
    name = name_of(heap)
    has_regions = name == "Heap5"
    found = {
        "look": partial(look, heap),
        "reset": heap.reset,
        "copy": lambda: (heap.copy(), copy.copy(heap), copy.deepcopy(heap)),
        "pickle": lambda: pickle.loads(pickle.dumps(heap)),
        "buffer": refused(memoryview, heap) if has_regions else lambda: memoryview(heap).release(),
        "replay": replays(heap, True),
        "replay, progress": replays(heap, False, lambda done, total: None),
        "replay, aborted": refused(replays(heap, False, aborted)),
    }
    if name != "Heap1":
        found["free twice"] = partial(free_twice, heap)
    return {f"{name}: {label}": call for label, call in found.items()}


def corrupt_cases() -> Cases:
    broken, address = corrupt()
    head = Heap4(bytearray(1024))
    head.memory[:8] = b"\xff" * 8
    return {
        "corrupt.stats": broken.stats,
        "corrupt.blocks": refused(broken.blocks),
        "corrupt.free_blocks": broken.free_blocks,
        "corrupt.check": refused(broken.check),
        "corrupt.free": refused(broken.free, address),
        "corrupt.view": refused(broken.view, address),
        "corrupt.usable_size": refused(broken.usable_size, address),
        "corrupt: repr": lambda: (repr(broken), broken._repr_html_()),
        "corrupt.malloc": refused(head.malloc, 8),
        "corrupt: replay": refused(replays(head, True)),
    }


def construction_cases() -> Cases:
    buffer, array, mapped = bytearray(1024), np.zeros(1024, np.uint8), mmap.mmap(-1, 4096)
    return {
        "Heap4(int)": lambda: Heap4(1024),
        "Heap4(buffer)": lambda: Heap4(buffer),
        "Heap4(array)": lambda: Heap4(array),
        "Heap4(mmap)": lambda: Heap4(mapped),
        "Heap5": lambda: Heap5([(BASE, 99), (BASE + 99, buffer)]),
        "Heap2": lambda: Heap2(128, end_marker_address=64, clear_on_free=True, word_size=8),
        "Heap4()": refused(Heap4),
        "Heap4(str)": refused(Heap4, "x"),
        "Heap4(bytes)": refused(Heap4, b"1234567890" * 10),
        "Heap4(3)": refused(Heap4, 3),
        "Heap4(-1)": refused(Heap4, -1),
        "Heap4(broken)": refused(Heap4, Broken()),
        "Heap4(alignment=3)": refused(Heap4, 99, alignment=3),
        "Heap4(word_size=3)": refused(Heap4, 99, word_size=3),
        "Heap4(base_address=-1)": refused(Heap4, 99, base_address=-1),
        "Heap4(canary='')": refused(Heap4, 99, canary=""),
        "Heap4(nonsense)": refused(Heap4, 99, nonsense=1),
        "Heap2(end_marker_address)": refused(Heap2, 99, end_marker_address=BASE),
        "Heap5([])": refused(Heap5, []),
        "Heap5(7)": refused(Heap5, 7),
        "Heap5([7])": refused(Heap5, [7]),
        "Heap5(overlapping)": refused(Heap5, [(BASE, 64), (BASE, bytearray(64))]),
        "Heap5(broken)": refused(Heap5, [(BASE, 64), (Broken(), 64)]),
        "Heap5(one bad)": refused(Heap5, [(BASE, bytearray(64)), (BASE + 64, "x")]),
        "Heap()": refused(_core.Heap),
    }


def restore_cases() -> Cases:
    snapshot, memory = Heap4(256)._snapshot(), bytearray(256)
    lists = (snapshot["blocks"], snapshot["free_list"], snapshot["ever"])
    version_1 = (1, 4, 4, 8, 0, False, 0, (BASE,), (248, 0, 0, 0, 0), *lists)
    found: Cases = {
        "_restore": lambda: _core._restore(Heap4, [memory], snapshot),
        "_restore()": refused(_core._restore),
        "_restore(class)": refused(_core._restore, int, [memory], snapshot),
        "_restore(memories)": refused(_core._restore, Heap4, [], snapshot),
        "_restore(version 1)": lambda: _core._restore(Heap4, [memory], version_1),
        "_restore(list)": refused(_core._restore, Heap4, [memory], []),
        "_restore(missing)": refused(_core._restore, Heap4, [memory], {"version": 2}),
        "_restore(unknown)": refused(_core._restore, Heap4, [memory], {**snapshot, "x": 1}),
    }

    def tried(bad: Any) -> None:
        with contextlib.suppress(Exception):
            _core._restore(Heap4, [memory], bad)

    for wrong in ("x", None, -1, (1,), [("a",)]):
        for name in snapshot:
            found[f"_restore({name}, {wrong!r})"] = partial(tried, {**snapshot, name: wrong})
        for i in range(len(version_1)):
            bad = (*version_1[:i], wrong, *version_1[i + 1 :])
            found[f"_restore({i}, {wrong!r})"] = partial(tried, bad)
    return found


def replay_cases() -> Cases:
    op, slot, size = np.frombuffer(b"m", np.uint8), np.zeros(1, np.int32), np.zeros(1, np.uint64)
    heap, bytes_ = Heap4(512), np.zeros(1, np.uint8)
    last = (False, False, None)
    wrong: dict[str, tuple[Any, ...]] = {
        "none": (),
        "no heap": (7, op, slot, size, 1, {}, *last),
        "no array": (heap, 7, slot, size, 1, {}, *last),
        "short": (heap, op, np.zeros(2, np.int32), size, 1, {}, *last),
        "size": (heap, op, slot, bytes_, 1, {}, *last),
        "slot": (heap, op, slot, size, 0, {}, *last),
        "slots": (heap, op, slot, size, "x", {}, *last),
        "columns": (heap, op, slot, size, 1, (None,), *last),
        "column": (heap, op, slot, size, 1, {"address": bytes_}, *last),
        "unknown column": (heap, op, slot, size, 1, {"x": bytes_}, *last),
        "op": (heap, bytes_, slot, size, 1, {}, *last),
        "engine": (heap, op, slot, size, 1, {}, *last, "x"),
    }
    return {
        f"replay({label})": refused(_core.replay, *arguments) for label, arguments in wrong.items()
    }


NEWEST = ("main", "4.4.0")  # kernel and newlib


def lab_cases() -> Cases:
    def lab() -> Lab:
        return Lab(4, 1, ((BASE, 512),), 4, 8, 0, 0, 1000, 4, *NEWEST)

    here = lab()
    served = bytearray(2)

    def used() -> None:
        address = here.malloc(20)[1]
        here.write(address, b"1234")
        here.read(address, 4)
        here.blocks()
        here.slots()
        here.refill()
        here.free(address)
        here.run(b"mf", bytes(8), (9).to_bytes(8, "little") * 2, 0, 2, served, bytes(2))

    return {
        "Lab": lab,
        "Lab: use": used,
        "Lab.free": lambda: here.free(BASE + 64),
        "Lab()": refused(Lab),
        "Lab(regions)": refused(Lab, 4, 1, ((BASE, "x"),), 4, 8, 0, 0, 1000, 4, *NEWEST),
        "Lab(small)": refused(Lab, 4, 1, ((BASE, 3),), 4, 8, 0, 0, 1000, 4, *NEWEST),
        "Lab.run(short)": refused(here.run, b"mf", b"", b"", 0, 2, served, None),
        "Lab.run(slot)": refused(here.run, b"m", b"\xff" * 4, bytes(8), 0, 1, bytearray(1), None),
        "Lab.malloc(x)": refused(here.malloc, "x"),
        "Lab.free(x)": refused(here.free, "x"),
        "Lab.read(x)": refused(here.read, "x"),
        "Lab.write(x)": refused(here.write, 1, 2),
    }


def cases() -> Cases:
    found: Cases = {}
    for heap in heaps():
        found |= cases_of(heap)
    for more in (corrupt_cases, construction_cases, restore_cases, replay_cases, lab_cases):
        found |= more()
    return found


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def watched() -> list[Any]:
    """Objects that every call may take a reference to and forget."""
    return [
        None,
        True,
        False,
        _core,
        *(getattr(_core, f"Heap{i}") for i in range(1, 6)),
        Heap4,
        Heap5,
    ]


def leak_of(call: Callable[[], Any]) -> tuple[int, int, int]:
    for _ in range(WARM):
        call()
    gc.collect()
    references = [sys.getrefcount(one) for one in watched()]
    blocks, size = sys.getallocatedblocks(), resident()
    for _ in range(ROUNDS):
        call()
    gc.collect()
    after = sys.getallocatedblocks() - blocks
    grown = resident() - size
    more = max(
        now - then for now, then in zip(map(sys.getrefcount, watched()), references, strict=True)
    )
    return after, more, grown


def main() -> None:
    for name, call in cases().items():
        try:
            blocks, references, grown = leak_of(call)
        except Exception as error:
            raise RuntimeError(f"{name} fails") from error
        print(json.dumps([name, blocks, references, grown]), flush=True)


if __name__ == "__main__":
    main()
