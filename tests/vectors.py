"""The recorded vectors, and a runner that holds a heap against them.

The runner needs no more than the public heap API, which the models of ``model`` offer too, so
that model and extension are judged by the same lines. ``data/conformance/README.md`` describes the
data.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
CONFORMANCE = DATA / "conformance"
NEWLIB = DATA / "newlib"
LOGS = DATA / "freertos-logs"

BASE = 0x2000_0000  # where the arena images were recorded


class Recorded(NamedTuple):
    """How much a file of the vectors holds; what is loaded must be as much."""

    cases: int
    operations: int
    images: int  # cases with the hashes of their arenas; the others' regions are refused
    shown: int  # cases with the bytes of their arenas


RECORDED = {
    "heap1_w32": Recorded(cases=100, operations=7_357, images=100, shown=47),
    "heap1_w64": Recorded(cases=100, operations=5_674, images=100, shown=45),
    "heap2_w32": Recorded(cases=180, operations=46_002, images=180, shown=91),
    "heap2_w64": Recorded(cases=180, operations=45_861, images=180, shown=92),
    "heap4_w32": Recorded(cases=260, operations=59_163, images=260, shown=118),
    "heap4_w64": Recorded(cases=259, operations=59_206, images=259, shown=143),
    "heap5_w32": Recorded(cases=210, operations=52_052, images=204, shown=106),
    "heap5_w64": Recorded(cases=209, operations=54_037, images=203, shown=87),
}
NAMES = list(RECORDED)
NANO = "heap3_newlib_nano_w32"
NANO_CASES, NANO_OPERATIONS = 300, 89_480


class RecordedNano(NamedTuple):
    """How much a file of newlib-nano's cases holds."""

    cases: int
    operations: int
    images: int  # cases with the checksum of their arena
    cut: int  # cases that end before a fault, or with an extended chunk


RECORDED_NANO = {
    NANO: RecordedNano(cases=300, operations=89_480, images=300, cut=0),
    "heap3_newlib_nano_3.3.0_extra_w32": RecordedNano(180, 16_764, 180, 0),
    "heap3_newlib_nano_4.2.0_w32": RecordedNano(427, 39_447, 427, 180),
    "heap3_newlib_nano_4.3.0_w32": RecordedNano(450, 82_825, 450, 79),
    "heap3_newlib_nano_4.4.0_w32": RecordedNano(480, 106_244, 480, 0),
    "heap3_newlib_nano_calls_3.3.0_w32": RecordedNano(60, 8_400, 0, 0),
    "heap3_newlib_nano_calls_4.0.0_w32": RecordedNano(60, 8_400, 60, 0),
    "heap3_newlib_nano_calls_4.4.0_w32": RecordedNano(60, 8_400, 60, 0),
}
#: An older newlib, and the newest.
FEW_NANO = ["heap3_newlib_nano_4.2.0_w32", "heap3_newlib_nano_4.4.0_w32"]
#: Events of each log of a running kernel.
LOG_EVENTS = {"cm3-mode0.log.gz": 43_660, "posix-mode0.log.gz": 33_366}

Op = list[Any]
Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Case:
    """One configuration of a FreeRTOS heap, the calls, and what they gave."""

    id: str
    heap: int
    word: int
    align: int
    regions: list[list[int]]
    clear_on_free: bool
    canary: int | None
    init: list[Any]
    ops: list[Op]
    expect: list[list[Any]]
    final: dict[str, Any]
    # From the arena file; absent where the definition of the regions is refused.
    sha256: list[str] | None = None
    bytes: list[str] | None = None
    end_marker: int | None = None

    @property
    def target_regions(self) -> list[tuple[int, int]]:
        """(address, size) of each region on the target."""
        return [(BASE + offset, size) for offset, size in self.regions]


@dataclass(frozen=True)
class NanoCase:
    """One run of newlib-nano's malloc over ``sbrk``.

    `cut` says why it ends early; then `next_op` is what would have come next.
    """

    id: str
    base: int
    offset: int
    size: int
    ops: list[Op]
    expect: list[list[Any]]
    free_list: list[list[int]]
    crc32: str | None = None
    version: str = "3.3.0"
    cut: str | None = None
    next_op: Op | None = None

    @property
    def address(self) -> int:
        return self.base + self.offset


def rows(name: str, folder: Path = CONFORMANCE) -> Iterator[dict[str, Any]]:
    """The lines of a file, as they are."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="ascii") as lines:
        for line in lines:
            yield json.loads(line)


def case_of(row: dict[str, Any], image: dict[str, Any] | None = None) -> Case:
    fields = {key: row[key] for key in Case.__annotations__ if key in row}
    return Case(**fields, **(image or {}))


def load(name: str) -> list[Case]:
    """All cases of one of ``NAMES``, with their arena images."""
    images = {image["id"]: image for image in rows(f"arena_{name}")}
    cases = []
    for row in rows(name):
        image = images.pop(row["id"], {})
        assert image.get("base", BASE) == BASE
        taken = {key: image[key] for key in ("sha256", "bytes", "end_marker") if key in image}
        cases.append(case_of(row, taken))
    assert not images, f"images without a case: {list(images)}"
    found = Recorded(
        cases=len(cases),
        operations=sum(len(case.ops) for case in cases),
        images=sum(case.sha256 is not None for case in cases),
        shown=sum(case.bytes is not None for case in cases),
    )
    assert found == RECORDED[name]
    return cases


def newlibs_of(name: str, cases: Sequence[NanoCase]) -> list[str]:
    """The releases whose results the cases are."""
    (version,) = {case.version for case in cases}
    if version == "3.3.0" and "calls" not in name:
        return [version, "4.0.0"]  # realloc, calloc and memalign alone tell them apart
    return [version]


def load_nano(name: str = NANO) -> list[NanoCase]:
    """All cases of one of ``RECORDED_NANO``."""
    cases = []
    for row in rows(name, CONFORMANCE if name == NANO else NEWLIB):
        fields = {key: row[key] for key in NanoCase.__annotations__ if key in row}
        if "cut" in row:
            whole = _whole_lists()[row["id"]]
            assert whole[: len(row["ops"])] == row["ops"]
            fields["next_op"] = next(iter(whole[len(row["ops"]) :]), None)
        cases.append(NanoCase(**fields))
    found = RecordedNano(
        cases=len(cases),
        operations=sum(len(case.ops) for case in cases),
        images=sum(case.crc32 is not None for case in cases),
        cut=sum(case.cut is not None for case in cases),
    )
    assert found == RECORDED_NANO[name]
    return cases


@cache
def _whole_lists() -> dict[str, list[Op]]:
    """By id, the operations that were given to every version: under 3.3.0 none was cut."""
    whole = [*rows(NANO), *rows("heap3_newlib_nano_3.3.0_extra_w32", NEWLIB)]
    return {row["id"]: row["ops"] for row in whole}


def region_bytes(heap: Any) -> list[bytes]:
    """The bytes of every region, of a model or of a heap."""
    if hasattr(heap, "regions_bytes"):
        return list(heap.regions_bytes())
    return [bytes(region.memory) for region in heap.regions]


class _Checker:
    """Compares, and says where a difference is."""

    def __init__(self, case_id: str) -> None:
        self.case_id = case_id
        self.where = "set-up"

    def same(self, what: str, got: object, expected: object) -> None:
        assert got == expected, (
            f"{self.case_id}, {self.where}: {what} is {got!r}, the real heap's is {expected!r}"
        )


class Refusals(NamedTuple):
    """What a heap raises where the real one refuses, stops or crashes; () where it never does."""

    regions: type[Exception]  # that cannot be a heap
    free: Errors  # of what is not live
    malloc: Errors = ()  # that asserts
    stats: Errors = ()  # that follow a null link


def _call(heap: Any, op: Op, addresses: list[int | None], base: int, refusals: Refusals) -> Any:
    """Make one call; the result is what ``expect`` has. Its address goes to ``addresses``."""
    kind = op[0]
    addresses.append(None)
    allocations: dict[str, Callable[[], int | None]] = {
        "m": lambda: heap.malloc(op[1]),
        "c": lambda: heap.calloc(op[1], op[2]),
        "a": lambda: heap.memalign(op[1], op[2]),
    }
    if kind == "r" and len(op) == 3:  # of heap_3; the others' resets the mark
        allocations["r"] = lambda: heap.realloc(addresses[op[1]], op[2])
    if kind in allocations:
        try:
            address = allocations[kind]()
        except refusals.malloc:
            return "assert"
        addresses[-1] = address
        return None if address is None else address - base
    if kind == "s":
        return list(heap.stats())
    if kind == "r":
        heap.reset_minimum_ever_free_size()
        return "ok"
    # An op that got no memory left None, which free() accepts as it does NULL.
    targets: dict[str, Callable[[], int | None]] = {
        "f": lambda: addresses[op[1]],
        "f0": lambda: None,
        "w": lambda: base + op[1],
    }
    try:
        heap.free(targets[kind]())
    except refusals.free:
        return "assert"
    return "ok"


def _sets_up_heap_4(op: Op, word: int) -> bool:
    """Whether the real heap_4 sets itself up in this call: in each malloc, even one that fails."""
    kind, *numbers = op
    return kind == "m" or (kind == "c" and math.prod(numbers) < 1 << (8 * word))


def run_case(case: Case, make_heap: Callable[[Case], Any], refusals: Refusals) -> int:
    """Replay a case on the heap that ``make_heap`` builds; how many operations were compared.

    Raises AssertionError, with the case and the operation, at the first difference.
    """
    check = _Checker(case.id)
    if case.init == ["assert"]:
        try:
            make_heap(case)
        except refusals.regions:
            return 0
        raise AssertionError(f"{case.id}: the regions should have been refused")

    heap = make_heap(case)
    # The real heap_4 answers zeros until its first malloc sets it up. That is the drop-in file's
    # business: ours is set up by its constructor. Its free size, minimum and statistics are not
    # compared before that call, its final state not at all if there was none.
    is_set_up = case.heap != 4
    if is_set_up:
        check.same("free size", heap.free_size, case.init[1])
        if len(case.init) > 2:
            check.same("minimum ever free", heap.minimum_ever_free_size, case.init[2])

    addresses: list[int | None] = []
    for index, (op, expected) in enumerate(zip(case.ops, case.expect, strict=True)):
        check.where = f"op {index} {op}"
        is_set_up = is_set_up or _sets_up_heap_4(op, case.word)
        result = _call(heap, op, addresses, BASE, refusals)
        if is_set_up or op[0] != "s":
            check.same("result", result, expected[0])
        if is_set_up:
            check.same("free size", heap.free_size, expected[1])
            if len(expected) > 2:
                check.same("minimum ever free", heap.minimum_ever_free_size, expected[2])

    check.where = "after the last op"
    check.same("count of failed mallocs", heap.malloc_failed_count, case.final["hook"])
    # heap_2 sets itself up lazily too, but without a malloc only its lists would show it.
    if case.final.get("ends") == []:
        return len(addresses)
    if case.heap != 1:
        _check_final_blocks(check, case, heap)
    if case.heap in (4, 5):
        try:
            stats = list(heap.stats())
        except refusals.stats:
            stats = None
        check.same("statistics", stats, case.final.get("stats"))
    if case.sha256 is not None:
        _check_image(check, case, region_bytes(heap))
    return len(addresses)


def _check_final_blocks(check: _Checker, case: Case, heap: Any) -> None:
    blocks = [[address - BASE, size, int(allocated)] for address, size, allocated in heap.blocks()]
    if case.final.get("blocks") is not None:
        check.same("list of blocks", blocks, case.final["blocks"])
    text = json.dumps(blocks, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    check.same("SHA-256 of the blocks", digest, case.final["blocks_sha256"])
    free_list = [[address - BASE, size] for address, size in heap.free_blocks()]
    check.same("free list", free_list, case.final["free_list"])
    ends = []
    for offset, size in case.regions:
        # Where no block lies, end and first block coincide: a region that is only its marker.
        first = -(-offset // case.align) * case.align
        inside = (start + length for start, length, _ in blocks if offset <= start < offset + size)
        ends.append(max(inside, default=first))
    check.same("ends", ends, case.final["ends"])


def _check_image(check: _Checker, case: Case, images: Sequence[bytes]) -> None:
    check.same("number of regions", len(images), len(case.sha256))
    if case.bytes is not None:  # first, for it shows where the difference is
        check.same("arena", [image.hex() for image in images], case.bytes)
    digests = [hashlib.sha256(image).hexdigest() for image in images]
    check.same("SHA-256 of the arena", digests, case.sha256)


def run_nano_case(
    case: NanoCase,
    make_heap: Callable[[NanoCase], Any],
    *,
    break_of: Callable[[Any], int] | None = None,
    faults: dict[str, type[Exception]] | None = None,
) -> int:
    """Replay a newlib-nano case on a heap_3; how many operations were compared.

    ``break_of`` gives the bytes that ``sbrk`` has handed out. Without it the break is where the
    last entry of the free list, the part that ``sbrk`` has not reached, starts. ``faults`` are what
    the heap raises, by the reason why a case was cut: in the operation that is not in the case any
    more. For an extended chunk, if at all, in the last, with the ``address`` that it got.
    """
    faults = faults or {}
    refusals = Refusals(regions=ValueError, free=())
    check = _Checker(case.id)
    heap = make_heap(case)
    addresses: list[int | None] = []
    for index, (op, (result, reached)) in enumerate(zip(case.ops, case.expect, strict=True)):
        check.where = f"op {index} {op}"
        is_last = index == len(case.ops) - 1
        if is_last and case.cut == "extended" and case.cut in faults:
            call = partial(_call, heap, op, addresses, case.base, refusals)
            error: Any = _fault(check, case, call, faults)
            check.same("result", error.address - case.base, result)
        else:
            check.same("result", _call(heap, op, addresses, case.base, refusals), result)
        if break_of is not None:
            check.same("break", break_of(heap), reached)
        elif reached < case.size:
            rest = (case.address + reached, case.size - reached)
            check.same("rest", tuple(heap.free_blocks()[-1]), rest)

    check.where = "after the last op"
    reached = case.expect[-1][1]
    expected = list(case.free_list)
    if reached < case.size:
        expected.append([case.offset + reached, case.size - reached])
    free_list = [[address - case.base, size] for address, size in heap.free_blocks()]
    check.same("free list", free_list, expected)
    (image,) = region_bytes(heap)
    if case.crc32 is not None:
        check.same("CRC-32 of the arena", f"{zlib.crc32(image):08x}", case.crc32)
    if case.next_op is not None and case.cut != "extended":
        check.where = f"op {len(case.ops)} {case.next_op}, which is cut"
        call = partial(_call, heap, case.next_op, addresses, case.base, refusals)
        _fault(check, case, call, faults)
    return len(case.ops)


def _fault(
    check: _Checker,
    case: NanoCase,
    call: Callable[[], Any],
    faults: dict[str, type[Exception]],
) -> Exception:
    """What the call raises, which must be the fault for which the case is cut."""
    assert case.cut is not None
    try:
        result = call()
    except faults[case.cut] as error:
        return error
    raise AssertionError(f"{check.case_id}, {check.where}: {result!r}, not: {case.cut}")


class LogEvent(NamedTuple):
    """A line of a golden log: ``requested`` is None for a free."""

    address: int
    requested: int | None
    block: int


@dataclass(frozen=True)
class GoldenLog:
    """What the heap_4 of a running FreeRTOS kernel did."""

    base_address: int
    size: int
    word: int
    align: int
    events: list[LogEvent]
    minimum_ever_free: int
    free: int


def load_log(name: str) -> GoldenLog:
    """A log of ``data/freertos-logs``, by its file name."""
    layout = (LOGS / "layout.tsv").read_text(encoding="ascii").splitlines()
    size, linked_at, header, align, word = next(
        row.split("\t")[1:] for row in layout if row.startswith(name + "\t")
    )
    events = []
    with gzip.open(LOGS / name, "rt", encoding="ascii") as lines:
        for line in lines:
            kind, *values = line.split()
            if kind == "M":
                events.append(LogEvent(int(values[0], 16), int(values[1]), int(values[2])))
            elif kind == "F":
                events.append(LogEvent(int(values[0], 16), None, int(values[1])))
            else:
                count, failures, minimum, free = int(kind.lstrip("=")), *map(int, values)
    assert (count, failures) == (len(events), 0)
    assert count == LOG_EVENTS[name]
    # A program that is loaded anywhere: the first payload follows the arena's first header.
    base_address = events[0].address - int(header)
    assert (base_address - int(linked_at.split()[0], 16)) % 4096 == 0
    return GoldenLog(base_address, int(size), int(word), int(align), events, minimum, free)


def run_log(log: GoldenLog, heap: Any) -> int:
    """Make the calls of a golden log; the heap must return every logged address. How many."""
    index = -1
    for index, event in enumerate(log.events):
        before = heap.free_size
        if event.requested is None:
            heap.free(event.address)
            taken = heap.free_size - before
        else:
            address = heap.malloc(event.requested)
            assert address == event.address, f"event {index}: {address!r}, the log has {event}"
            taken = before - heap.free_size
        assert taken == event.block, f"event {index}: a block of {taken}, the log has {event}"
    assert heap.minimum_ever_free_size == log.minimum_ever_free
    assert heap.free_size == log.free
    return index + 1
