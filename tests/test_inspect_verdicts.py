"""What is said of small arenas that are cut, moved, misread or written over, in every way there is.

Each test asserts what holds of all its cases, and that their verdicts are those that were recorded
in data/inspection/verdicts.json, where they can be read: how many cases of each, and a digest of
all that the reports say. They are recorded anew with RTOSHEAP_WRITE_VERDICTS=1; look at what
changed before committing.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from parts import few_of

from rtosheap import Heap2, Heap3, Heap4, Heap5
from rtosheap.heaps import ImageState
from rtosheap.inspection import Report, inspect

BASE = 0x2000_0000
RECORDED = Path(__file__).parent / "data" / "inspection" / "verdicts.json"


class Sample(NamedTuple):
    """A heap of 10 blocks, some free: its memory, and how it is to be looked at."""

    heap: Any
    memory: bytes
    where: dict[str, int]

    def look(self, memory: Any, **other: Any) -> Report:
        return inspect(memory, **{"heap": type(self.heap), **self.where, **other})

    @property
    def headers(self) -> list[int]:
        """Of the blocks and, but for heap_2, of the end marker: offsets."""
        ends = [self.heap.base_address + len(self.memory) - 2 * self.word]
        blocks = [block.address for block in self.heap.blocks()]
        return [at - BASE for at in (*blocks, *(ends if self.heap.kind == 4 else []))]

    @property
    def word(self) -> int:
        return int(self.where.get("word_size", 4))


SIZES = (24, 40, 8, 100, 16, 64, 24, 30, 120, 50)


def sample_of(cls: Any, *free: int, size: int = 800, **options: Any) -> Sample:
    heap = cls(size, base_address=BASE, **options)
    live = [heap.malloc(asked) for asked in SIZES]
    for number, payload in enumerate(live):
        heap.view(payload)[:] = bytes([0x41 + number]) * len(heap.view(payload))
    for number in free:
        heap.free(live[number])
    own = {key: value for key, value in options.items() if key in ("word_size", "alignment")}
    return Sample(heap, bytes(heap.memory), {"base_address": BASE, **own})


SAMPLES = {
    "heap_4": sample_of(Heap4, 1, 4, 7),
    "heap_4 without a hole": sample_of(Heap4),
    "heap_4 of words of 8": sample_of(Heap4, 1, 4, 5, size=1024, word_size=8),
    "heap_4 on 16": sample_of(Heap4, 0, 3, 6, size=1024, alignment=16),
    "heap_4 with a canary": sample_of(Heap4, 2, 8, canary=0xDEADBEEF),
    "heap_4 before the mark": sample_of(Heap4, 1, 4, 7, kernel="V10.3.1"),
    "heap_2": sample_of(Heap2, 1, 4, 7),
    "heap_2 of words of 8": sample_of(Heap2, 3, 1, size=1024, word_size=8),
    "heap_2 before the mark": sample_of(Heap2, 1, 4, 7, kernel="V10.3.1"),
}


def verdict(report: Report) -> str:
    """In a few words, without the places."""
    if report.is_none:
        why = report.damage[0].message.split(": ", 1)[1].split("; what would fit")[0]
        fits = " | ".join(report.would_fit) or "nothing"
        return f"none: {re.sub(r'[0-9][0-9a-fx,]*', 'N', why)}: {fits}"
    said = []
    for damage in report.damage[:2]:
        whose = "" if damage.culprit is None else " of a block"
        tail = damage.suspicion.partition("; or nobody wrote it, and the heap ")[2]
        other = f", or {' '.join(tail.split()[:2])}" if tail else ""
        said.append(f"{damage.kind}: {damage.how or 'nobody'}{whose}{other}")
    return "; ".join(said) or "sound"


#: Of a report, what is no verdict on the bytes.
BESIDE = {"depends", "kernels", "notes", "word_size", "minimum_ever_free", "names"}


def check(name: str, reports: Iterable[Report], count: int) -> None:
    """The verdicts are those that were recorded."""
    found: Counter[str] = Counter()
    digest = hashlib.sha256()
    for report in reports:
        if report.is_none:
            said = (report.damage[0].address, len(report.damage), report.largest_request)
            assert (*said, report.canary) == (report.regions[0][0], 1, 0, 0)
        found[verdict(report)] += 1
        plain = report.to_dict()
        plain = {key: plain[key] for key in plain if key not in BESIDE}
        digest.update(json.dumps(plain).encode())
        digest.update("".join(note for note in report.notes if "release" not in note).encode())
    assert found.total() == count
    now = {"all": digest.hexdigest()[:12], **dict(sorted(found.items()))}
    if os.environ.get("RTOSHEAP_WRITE_VERDICTS"):
        every = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        every[name] = now
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(json.dumps(dict(sorted(every.items())), indent=1) + "\n")
    assert now == json.loads(RECORDED.read_text())[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_first_bytes_of_an_arena(name: str) -> None:
    """None of them is the whole heap."""
    sample = SAMPLES[name]
    counts = range(40, len(sample.memory), 4)
    reports = [sample.look(sample.memory[:count]) for count in counts]
    if sample.heap.kind == 4:
        assert not any(report.free_size == sample.heap.free_size for report in reports)
    check(f"{name}, cut", reports, len(counts))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_follows_an_arena(name: str) -> None:
    sample = SAMPLES[name]
    reports = [
        sample.look(sample.memory + fill * more)
        for fill in (b"\0", b"\x5a", b"\xff")
        for more in (*range(4, 40, 4), 64, 200, 1000)
    ]
    assert sum(report.is_none or bool(report.damage) for report in reports) > 20
    check(f"{name}, longer", reports, 36)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_arena_at_another_address(name: str) -> None:
    sample = SAMPLES[name]
    shifts = (
        -4096,
        -512,
        -256,
        -64,
        -32,
        -16,
        -8,
        -4,
        4,
        8,
        12,
        16,
        24,
        256,
        512,
        1 << 16,
        1 << 24,
    )
    reports = [sample.look(sample.memory, base_address=BASE + shift) for shift in shifts]
    check(f"{name}, moved", reports, len(shifts))


@pytest.mark.parametrize("name", SAMPLES)
def test_an_arena_that_is_read_as_another(name: str) -> None:
    sample = SAMPLES[name]
    others = [
        (heap, {"word_size": word, "alignment": alignment})
        for heap in (Heap2, Heap4)
        for word in (4, 8)
        for alignment in (4, 8, 16, 32)
        if alignment >= word
    ]
    reports = [sample.look(sample.memory, heap=heap, **where) for heap, where in others]
    reports.append(inspect(sample.memory, Heap3, base_address=BASE))
    check(f"{name}, misread", reports, 15)


#: What a header's words become: of the arena's own places, and of what lies around it.
def words_of(sample: Sample, at: int) -> list[tuple[int, int]]:
    top = 1 << (8 * sample.word - 1)
    size, end = len(sample.memory), sample.headers[-1]
    links = [0, 8, BASE, BASE + 4, BASE + end, BASE + end + 8, BASE + 64 * size,
             BASE + 64 * size + 8, top]  # fmt: skip
    sizes = [0, 8, 12, 16, end - at, end - at + 8, end - at + 4, 64 * size - at,
             64 * size - at + 8, top, top + 24, 2 * top - 1]  # fmt: skip
    return [*itertools.product(links, [s for s in sizes if s >= 0])]


@pytest.mark.parametrize("number", few_of(range(11), [0, 4]))
@pytest.mark.parametrize("name", SAMPLES)
def test_a_header_with_other_words(name: str, number: int) -> None:
    sample = SAMPLES[name]
    if number >= len(sample.headers):
        return
    at, word = sample.headers[number], sample.word
    reports = []
    for link, size in words_of(sample, at):
        memory = bytearray(sample.memory)
        written = link.to_bytes(word, "little") + size.to_bytes(word, "little")
        memory[at : at + 2 * word] = written
        report = sample.look(memory)
        reports.append(report)
        for damage in report.damage:
            if damage.kind == "header" and not report.is_none:
                assert damage.found == memory[damage.address - BASE :][: 2 * word]
    check(f"{name}, header {number}", reports, len(words_of(sample, at)))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_block_that_runs_over_its_end(name: str) -> None:
    """By 1 to 9 bytes, of letters, zeros and ones."""
    sample = SAMPLES[name]
    reports, named = [], 0
    for at, before in zip(sample.headers[1:], sample.heap.blocks(), strict=False):
        for fill, count in itertools.product((b"a", b"\0", b"\xff"), (1, 3, 4, 7, 8, 9)):
            memory = bytearray(sample.memory)
            memory[at : at + count] = fill * count
            report = sample.look(memory)
            reports.append(report)
            named += any(damage.culprit == before.address for damage in report.damage)
    assert named > len(reports) // 4
    check(f"{name}, overflow", reports, 18 * (len(sample.headers) - 1))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_block_that_runs_before_its_start(name: str) -> None:
    sample = SAMPLES[name]
    reports = []
    for at in sample.headers:
        for count in (1, 2, 3, 4, 5, 8):
            memory = bytearray(sample.memory)
            first = at + 2 * sample.word - count
            memory[first : first + count] = b"\xa5" * count
            reports.append(sample.look(memory))
    check(f"{name}, underflow", reports, 6 * len(sample.headers))


def test_regions_of_a_heap_5() -> None:
    heap = Heap5([(BASE, 200), (BASE + 0x1000, 304), (BASE + 0x2000, 104)])
    live = [heap.malloc(asked) for asked in (24, 40, 8, 64, 100, 50, 24)]
    heap.free(live[1])
    heap.free(live[4])
    whole = [(region.address, bytes(region.memory)) for region in heap.regions]
    reports = [inspect(whole, Heap5), inspect(whole[:2], Heap5), inspect(whole[1:], Heap5)]
    reports += [inspect(data, Heap4, base_address=at) for at, data in whole]
    reports += [
        inspect([(at + 64, data) for at, data in whole], Heap5, word_size=w) for w in (4, 8)
    ]
    for number, (start, data) in enumerate(whole):
        for at in range(0, len(data), 8):
            memory = bytearray(data)
            memory[at : at + 8] = b"overflow"
            other = [*whole[:number], (start, bytes(memory)), *whole[number + 1 :]]
            reports.append(inspect(other, Heap5))
    assert reports[0].damage == ()
    check("heap_5", reports, 8 + (200 + 304 + 104) // 8)


@pytest.mark.parametrize(
    "name", ["heap_4", "heap_4 with a canary", "heap_2", "heap_2 before the mark"]
)
def test_a_list_that_leads_elsewhere(name: str) -> None:
    """Of a heap of which a dump tells all: each link of the list, and its head, to each block."""
    sample = SAMPLES[name]
    heap, canary = sample.heap, sample.heap.canary or 0
    state = heap_state(heap)
    places = [BASE + at for at in sample.headers]
    places += [0, BASE + 4, state.end_marker or BASE + len(sample.memory)]
    cases = []
    for entry in heap.blocks():
        for link in () if entry.allocated else places:
            memory = bytearray(sample.memory)
            at = entry.address - BASE
            memory[at : at + sample.word] = (link ^ canary).to_bytes(sample.word, "little")
            cases.append((memory, state))
    cases += [(sample.memory, replace(state, head=link ^ canary)) for link in places]
    cases += [(sample.memory, replace(state, free_size=heap.free_size + by)) for by in (-8, 0, 8)]
    if heap.kind == 4:
        cases += [(sample.memory, replace(state, canary=canary ^ 1 << bit)) for bit in (0, 31)]
    whole = sample.look(sample.memory, state=state)
    assert whole.damage == ()
    reports = [sample.look(memory, state=known) for memory, known in cases]
    check(f"{name}, list", reports, len(cases))


def heap_state(heap: Any) -> ImageState:
    """What the device's variables hold beside the arena."""
    return ImageState(
        head=heap.free_blocks()[0].address ^ (heap.canary or 0),
        end_marker=heap.end_marker_address if heap.kind == 2 else None,
        free_size=heap.free_size,
        minimum_ever_free=heap.minimum_ever_free_size,
        allocations=heap.allocation_count,
        frees=heap.free_count,
        canary=heap.canary,
    )
