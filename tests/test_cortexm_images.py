"""The drop-in files on emulated boards: the arena of the image against the memory of the Python
heap that lies at the same address, byte for byte, after every case and every trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors
from replay_reference import OneByOne

import rtosheap
from rtosheap import data
from rtosheap.cortexm import CPUS

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import boards
import judge
import programs
from tools import missing, require

pytestmark = pytest.mark.long

MICROBIT = ("cortex-m0", "cortex-m0plus")
Made = tuple[Path, list[programs.Build]]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Builds the image of a processor once."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    made: dict[str, Made] = {}

    def make(cpu: str) -> Made:
        if cpu not in made:
            builds = programs.all_builds(4)
            made[cpu] = (boards.build(cpu, builds, tmp_path_factory.mktemp(cpu)), builds)
        return made[cpu]

    return make


def python_heap(case: vectors.Case, base: int, marker: int | None) -> Any:
    """The heap that Python has at the image's addresses, after the case."""
    options: dict[str, Any] = {"word_size": case.word, "alignment": case.align}
    address, size = base + case.regions[0][0], case.regions[0][1]
    heap: Any
    if case.heap == 1:
        heap = rtosheap.Heap1(size, base_address=address, **options)
    elif case.heap == 2:
        options |= {"clear_on_free": case.clear_on_free, "end_marker_address": marker}
        heap = rtosheap.Heap2(size, base_address=address, **options)
    elif case.heap == 4:
        options |= {"clear_on_free": case.clear_on_free, "canary": case.canary}
        heap = rtosheap.Heap4(size, base_address=address, **options)
    else:
        options |= {"clear_on_free": case.clear_on_free, "canary": case.canary}
        regions = [(base + offset, size) for offset, size in case.regions]
        heap = rtosheap.Heap5(regions, **options)
    for op, expect in zip(case.ops, case.expect, strict=True):
        if op[0] == "m":
            heap.malloc(op[1])
        elif op[0] == "c":
            heap.calloc(op[1], op[2])
        elif op[0] == "f" and expect[0] == "ok" and case.expect[op[1]][0] is not None:
            heap.free(base + case.expect[op[1]][0])
        elif op[0] == "r":
            heap.reset_minimum_ever_free_size()
    return heap


def was_set_up(case: vectors.Case) -> bool:
    """heap_1, heap_2 and heap_4 are set up by the first malloc, a Python heap from the start."""
    limit = 1 << 8 * case.word
    return case.heap == 5 or any(
        op[0] == "m" or (op[0] == "c" and op[1] * op[2] < limit) for op in case.ops
    )


#: Cases, and their operations, whose arenas a board has the memory for: the micro:bit has 12 KiB.
RECORDED = {True: (689, 156_164), False: (750, 164_574)}


@pytest.mark.parametrize("cpu", list(CPUS))
def test_every_recorded_case(image: Callable[[str], Made], cpu: str) -> None:
    program, builds = image(cpu)
    board = boards.board_of(cpu)
    cases, streams = [], []
    for name in vectors.NAMES:
        for case in vectors.load(name) if name.endswith("_w32") else []:
            if judge.extent(case) <= board.arena_size:
                cases.append(case)
                streams.append(judge.stream_of(case, builds, True, False, lowest=0))
                streams[-1].ops.append((6,))  # statistics at the end, of every heap
    output = boards.run(cpu, program, streams)
    operations = 0
    for case, got in zip(cases, programs.decode(output, streams, 4), strict=True):
        judged = judge.Judge(case, board.arena_address, True)
        *stats, last = got.stats
        operations += judged.results(got._replace(results=got.results[:-1], stats=stats))
        if case.init[0] == "assert":
            continue
        if board.arena_address == vectors.BASE:
            judged.recorded_arenas(got)
        if not was_set_up(case):
            assert not any(map(any, got.arenas))
            continue
        heaps: list[Any] = []

        def reference(marker: int | None, case: Any = case, heaps: Any = heaps) -> list[bytes]:
            heaps.append(python_heap(case, board.arena_address, marker))
            return vectors.region_bytes(heaps[0])

        judged.arenas(got, reference)
        judged.same("statistics at the end", last, list(heaps[0].stats()))
    assert (len(cases), operations) == RECORDED[cpu in MICROBIT]


# Traces.

RESULT = np.dtype([(name, "<u4") for name in programs.Result._fields])


def trace_heap(kind: int, address: int, size: int) -> tuple[Any, list[tuple[int, int]]]:
    """A heap that fills the arena, and its regions as offsets."""
    if kind == 3:
        return rtosheap.Heap3(size, base_address=address, newlib=NEWLIB), [(0, size)]
    if kind != 5:
        heap_class: Any = {1: rtosheap.Heap1, 2: rtosheap.Heap2, 4: rtosheap.Heap4}[kind]
        return heap_class(size, base_address=address), [(0, size)]
    third = size // 3 // 8 * 8
    regions = [(0, third - 104), (third, third), (2 * third, size - 2 * third)]
    return rtosheap.Heap5([(address + at, length) for at, length in regions]), regions


def trace_stream(
    trace: rtosheap.Trace, heap: Any, regions: list[tuple[int, int]], build: int
) -> tuple[programs.Stream, list[int]]:
    """The calls that a replay makes, and the addresses that they return (0 for a free)."""
    start = heap.regions[0].address - regions[0][0]
    if heap.kind == 3:  # the image has no realloc
        addresses = OneByOne(heap, apart=True).addresses(trace)
    else:
        addresses = rtosheap.replay(trace, heap, record=("address",)).column("address").tolist()
    ops: list[tuple[int, ...]] = []
    expected: list[int] = []
    where: dict[int, tuple[int, int]] = {}  # address and size of a block
    for op, block, size, address in zip(
        trace.op.tolist(),
        trace.id.tolist(),
        trace.size.tolist(),
        addresses,
        strict=True,
    ):
        old = where.get(block)
        if op == rtosheap.Op.FREE:
            if old is not None and heap.kind != 1:
                ops.append((3, old[0] - start))
                expected.append(0)
            where.pop(block, None)
            continue
        if op == rtosheap.Op.REALLOC and old is None and address == 0:
            continue  # of a block whose allocation failed
        ops.append((1, size))
        expected.append(address)
        if address == 0:
            continue
        where[block] = address, size
        if op == rtosheap.Op.REALLOC and old is not None:
            if kept := min(old[1], size):
                ops.append((7, address - start, old[0] - start, kept))
                expected.append(0)
            if heap.kind != 1:
                ops.append((3, old[0] - start))
                expected.append(0)
    return programs.Stream(build, regions, ops=ops), expected


def check_trace(output: bytes, at: int, stream: programs.Stream, expected: list[int]) -> int:
    """Compare one trace's addresses; where its arenas start."""
    results = np.frombuffer(output, RESULT, count=len(stream.ops), offset=at + RESULT.itemsize)
    malloc = np.array([op[0] == 1 for op in stream.ops])
    addresses = np.where(malloc, results["address"], 0)
    wrong = np.flatnonzero(addresses != np.array(expected))
    assert not len(wrong), f"call {wrong[0]}: {addresses[wrong[0]]:#x}, {expected[wrong[0]]:#x}"
    assert not np.any(results["status"] & programs.MISTAKES)
    return at + (len(stream.ops) + 1) * RESULT.itemsize


THREE = ("coap-server", "lua-sched", "frtos-cm3-mixed")
#: Calls that the traces make, over heaps 1, 2, 4 and 5. (On the micro:bit much fails: fewer frees.)
CALLS = {
    "cortex-m0": 139_066,
    "cortex-m3": 692_832,  # all bundled traces
    "cortex-m4": 178_639,
    "cortex-m7": 178_639,
    "cortex-m33": 178_639,
}


@pytest.mark.parametrize("cpu", CALLS)
def test_traces(image: Callable[[str], Made], cpu: str) -> None:
    program, builds = image(cpu)
    board = boards.board_of(cpu)
    names = data.names() if cpu == "cortex-m3" else THREE
    size = board.arena_size if cpu in MICROBIT else 1 << 20
    streams, heaps, expected = [], [], []
    for name in names:
        trace = data.load(name)
        for kind in (1, 2, 4, 5):
            heap, regions = trace_heap(kind, board.arena_address, size)
            stream, addresses = trace_stream(
                trace, heap, regions, builds.index(programs.Build(kind))
            )
            streams.append(stream)
            heaps.append(heap)
            expected.append(addresses)
    assert sum(len(stream.ops) for stream in streams) == CALLS[cpu]
    output = boards.run(cpu, program, streams)
    at = 12
    for stream, heap, addresses in zip(streams, heaps, expected, strict=True):
        at = check_trace(output, at, stream, addresses)
        (hook_calls,) = np.frombuffer(output, "<u4", count=1, offset=at)
        at += 4
        assert hook_calls == sum(
            a == 0 for a, op in zip(addresses, stream.ops, strict=True) if op[0] == 1
        )
        for (_, length), expected_bytes in zip(
            stream.regions, vectors.region_bytes(heap), strict=True
        ):
            mine = output[at : at + length]
            at += length
            if heap.kind == 2:  # its end marker lies elsewhere
                mine, expected_bytes = without_marker(heap, mine, expected_bytes)
            assert mine == expected_bytes
    assert at == len(output)


def without_marker(heap: Any, *arenas: bytes) -> list[bytes]:
    last = heap.free_blocks()[-1].address - heap.base_address
    return [arena[:last] + bytes(4) + arena[last + 4 :] for arena in arenas]


# heap_3.

NEWLIB = "3.3.0"  # the one that Debian 12's toolchain brings


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = require("arm-none-eabi-gcc")
    text = programs.run(["sh", "-c", f"echo '#include <_newlib_version.h>' | {gcc} -E -dM -"])
    version = next(
        line.split()[2].strip('"') for line in text.splitlines() if " _NEWLIB_VERSION " in line
    )
    if version != NEWLIB:
        missing(f"newlib {NEWLIB}, whose malloc this tries (this is {version})")
    return boards.build("cortex-m3", [programs.Build(3)], tmp_path_factory.mktemp("nano"))


def test_newlib_nano_gives_the_recorded_cases(nano: Path) -> None:
    """The image is a judge that can be trusted: it repeats what was recorded elsewhere."""
    import zlib

    cases = vectors.load_nano()
    streams = []
    start = boards.board_of("cortex-m3").arena_address
    for case in cases:
        shift = case.base - start
        ops: list[tuple[int, ...]] = []
        for op in case.ops:
            if op[0] == "m":
                ops.append((1, op[1]))
            elif op[0] == "c":
                ops.append((1, op[1] * op[2]))
            elif op[0] == "f0" or case.expect[op[1]][0] is None:
                ops.append((4,))
            else:
                ops.append((3, shift + case.expect[op[1]][0]))
        streams.append(programs.Stream(0, [(shift + case.offset, case.size)], ops=ops))
    assert sum(len(stream.ops) for stream in streams) == vectors.NANO_OPERATIONS
    output = boards.run("cortex-m3", nano, streams)
    for case, got in zip(cases, programs.decode(output, streams, 4), strict=True):
        for i, (result, op) in enumerate(zip(got.results, case.ops, strict=True)):
            where = f"{case.id}, op {i} {op}"
            expected, reached = case.expect[i]
            if expected != "ok":
                assert result.address == (0 if expected is None else case.base + expected), where
            assert result.free_size == reached, where
            assert not result.status & programs.MISTAKES, where
            null = op[0] == "f0" or (op[0] == "f" and case.expect[op[1]][0] is None)
            assert (result.locks, result.traces) == ((0, 0) if null else (1, 1)), where
            if op[0] == "m":
                assert result.traced_size == op[1], where
                assert result.traced_address == result.address, where
            elif not null:
                assert result.traced_size == 0, where
        assert got.hook_calls == sum(row[0] is None for row in case.expect), case.id
        assert f"{zlib.crc32(got.arenas[0]):08x}" == case.crc32, case.id


def test_heap_3_follows_newlib_nano(nano: Path) -> None:
    """The same addresses and bytes for every bundled trace."""
    board = boards.board_of("cortex-m3")
    size = board.arena_size
    streams, heaps, expected = [], [], []
    for name in data.names():
        heap, regions = trace_heap(3, board.arena_address, size)
        stream, addresses = trace_stream(data.load(name), heap, regions, 0)
        streams.append(stream)
        heaps.append(heap)
        expected.append(addresses)
    assert sum(len(stream.ops) for stream in streams) == 197_916
    output = boards.run("cortex-m3", nano, streams)
    at = 12
    for stream, heap, addresses in zip(streams, heaps, expected, strict=True):
        at = check_trace(output, at, stream, addresses) + 4
        assert output[at : at + size] == bytes(heap.memory)
        at += size
