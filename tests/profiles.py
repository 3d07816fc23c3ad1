"""Recorded cases of older kernels' heaps, and the arenas that these kernels would have left.

``data/profiles/README.md`` describes the data. An arena is built from a case's final state by the
rules there, with none of the package's code.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vectors import BASE, Case, case_of, rows

from rtosheap.heaps import ImageState

PROFILES = Path(__file__).parent / "data" / "profiles"
#: Cases of each file.
RECORDED = {
    "absorb_heap5_w32": 64, "absorb_heap5_w64": 24,
    "early_heap1_w32": 60, "early_heap1_w64": 20,
    "early_heap2_w32": 68, "early_heap2_w64": 28,
    "early_heap4_w32": 64, "early_heap4_w64": 24,
    "early_heap5_w32": 64, "early_heap5_w64": 24,
    "mincap_heap4_w32": 64, "mincap_heap4_w64": 24,
    "mincap_heap5_w32": 60, "mincap_heap5_w64": 20,
    "pad_heap2_w32": 68, "pad_heap2_w64": 28,
    "pad_heap4_w32": 64, "pad_heap4_w64": 24,
    "pad_heap5_w32": 64, "pad_heap5_w64": 24,
    "padearly_heap2_w32": 68, "padearly_heap2_w64": 28,
    "padnodetect_heap2_w32": 68, "padnodetect_heap2_w64": 28,
    "protassert_heap5_w32": 60, "protassert_heap5_w64": 20,
}  # fmt: skip
#: Operations of each file.
OPERATIONS = {
    "absorb_heap5_w32": 9_431, "absorb_heap5_w64": 3_333,
    "early_heap1_w32": 3_770, "early_heap1_w64": 1_163,
    "early_heap2_w32": 8_164, "early_heap2_w64": 2_571,
    "early_heap4_w32": 7_956, "early_heap4_w64": 2_821,
    "early_heap5_w32": 9_518, "early_heap5_w64": 3_313,
    "mincap_heap4_w32": 9_479, "mincap_heap4_w64": 3_472,
    "mincap_heap5_w32": 9_023, "mincap_heap5_w64": 3_140,
    "pad_heap2_w32": 8_485, "pad_heap2_w64": 2_731,
    "pad_heap4_w32": 7_800, "pad_heap4_w64": 3_125,
    "pad_heap5_w32": 8_201, "pad_heap5_w64": 3_729,
    "padearly_heap2_w32": 8_163, "padearly_heap2_w64": 2_585,
    "padnodetect_heap2_w32": 7_896, "padnodetect_heap2_w64": 2_620,
    "protassert_heap5_w32": 8_629, "protassert_heap5_w64": 3_516,
}  # fmt: skip
NAMES = list(RECORDED)
#: Of each heap one file, of both words, and the oldest and the newest kernels among them.
FEW = [
    "early_heap1_w32", "early_heap2_w32", "padnodetect_heap2_w64", "mincap_heap4_w64",
    "early_heap4_w32", "protassert_heap5_w32",
]  # fmt: skip
#: By profile and heap, the first and the last release that it describes: of early heap_4 and heap_5
#: the first one with statistics.
KERNELS = {
    ("early", 1): ("V8.2.3", "V10.4.5"),
    ("early", 2): ("V8.2.3", "V10.4.2"),
    ("padearly", 2): ("V10.4.3", "V10.4.5"),
    ("padnodetect", 2): ("V10.4.6", "V10.4.6"),
    ("pad", 2): ("V10.5.0", "V10.6.2"),
    ("early", 4): ("V10.3.0", "V10.4.6"),
    ("pad", 4): ("V10.5.0", "V10.5.1"),
    ("mincap", 4): ("V10.6.0", "V11.2.0"),
    ("early", 5): ("V10.3.0", "V10.4.6"),
    ("pad", 5): ("V10.5.0", "V10.5.1"),
    ("absorb", 5): ("V10.6.0", "V10.6.2"),
    ("mincap", 5): ("V11.0.0", "V11.2.0"),
    ("protassert", 5): ("V11.3.0", "V11.3.0"),
}

#: By profile and heap, how ``inspect`` calls the releases; with the heap protector, and without.
RELEASES = {
    ("early", 1): "V10.4.5 or earlier",
    ("early", 2): "V10.4.5 or earlier",
    ("padearly", 2): "V10.4.5 or earlier",
    ("padnodetect", 2): "V10.4.6",
    ("pad", 2): "V10.5.0 or later",
}
UNPROTECTED = "any release, without the heap protector"
PROTECTED = {"mincap": ("V11.0.0 to V11.1.0", "V11.2.0 or later"),
             "protassert": ("V11.2.0 or later",)}  # fmt: skip
XEND = 0x40  # bytes from heap_2's arena to its end marker


class Image(NamedTuple):
    """An arena that a kernel left.

    `memory` is what ``inspect`` takes, `state` what an ELF with symbols would tell; `blocks` are
    None for heap_1, and in an arena that was never set up.
    """

    case: str
    heap: int
    kernel: str
    memory: Any
    options: dict[str, int]
    state: ImageState
    blocks: list[tuple[int, int, bool]] | None
    is_set_up: bool = True


def load(name: str) -> list[dict[str, Any]]:
    """All cases of a file."""
    cases = list(rows(name, PROFILES))
    assert len(cases) == RECORDED[name]
    return cases


def cases(name: str) -> list[Case]:
    """The same for ``vectors.run_case``."""
    return [case_of(row) for row in load(name)]


def kernels(name: str) -> tuple[str, str]:
    """The first and the last release that a file's cases hold for."""
    profile, heap, _ = name.split("_")
    return KERNELS[profile, int(heap[-1])]


def images(name: str, *, written: bool) -> Iterator[Image]:
    """The arenas of a file's cases; `written`: with payloads and leftovers, as after a real run.

    Regions that the kernel refused leave none.
    """
    profile = name.split("_", 1)[0]
    for case in load(name):
        if case["init"] == ["assert"]:
            continue
        build = _heap_1 if case["heap"] == 1 else _Builder
        kernels = (RELEASES.get((profile, case["heap"]), UNPROTECTED),)
        if case["protector"]:
            kernels = PROTECTED[profile]
        for kernel in kernels:
            built = build(case, kernel, random.Random(case["id"]) if written else None)
            yield built if isinstance(built, Image) else built.image()


def _options(case: dict[str, Any]) -> dict[str, int]:
    options = {"word_size": case["word"], "alignment": case["align"]}
    if case["heap"] != 5:
        options["base_address"] = BASE + case["regions"][0][0]
    return options


def _heap_1(case: dict[str, Any], kernel: str, rng: random.Random | None) -> Image:
    """heap_1 writes nothing; its aligned arena begins one alignment higher in an early kernel."""
    ((offset, size),) = case["regions"]
    align = case["align"]
    free = (case["expect"][-1] if case["expect"] else case["init"])[1]
    used, start = size - align - free, (offset + align) // align * align - offset
    memory = bytearray(size)
    if rng is not None and used:
        memory[start : start + used] = bytes(rng.choices(range(1, 256), k=used))
    state = ImageState(used=used, start=BASE + offset + start)
    return Image(case["id"], 1, kernel, bytes(memory), _options(case), state, None)


@dataclass
class _Builder:
    """The arena of a heap with headers, from the final blocks and the final list."""

    case: dict[str, Any]
    kernel: str
    rng: random.Random | None

    def image(self) -> Image:
        case, final = self.case, self.case["final"]
        self.word = case["word"]
        self.header = -(-2 * self.word // case["align"]) * case["align"]
        self.canary = case["canary"] if case["protector"] else 0
        self.marked = case["heap"] != 2 or self.kernel == "V10.5.0 or later"
        self.memory = [(BASE + at, bytearray(size)) for at, size in case["regions"]]
        blocks = [(BASE + at, size, bool(live)) for at, size, live in final["blocks"]]
        entries = [BASE + at for at, _ in final["free_list"]]
        end = BASE + final["ends"][-1] if final["ends"] else 0
        if case["heap"] == 2:
            at, size = case["regions"][0]
            end = (BASE + at + size + XEND) // 16 * 16
        if final["ends"]:
            self._fill(blocks)
            self._headers(blocks, [*entries, end])
        memory: Any = [(at, bytes(data)) for at, data in self.memory]
        state = ImageState(
            head=([*entries, end][0] if final["ends"] else 0) ^ self.canary,
            end_marker=end if case["heap"] == 2 else None,
            canary=self.canary or None,
        )
        return Image(
            case["id"],
            case["heap"],
            self.kernel,
            memory if case["heap"] == 5 else memory[0][1],
            _options(case),
            state,
            blocks,
            bool(final["ends"]),
        )

    def _put(self, address: int, data: bytes) -> None:
        base, memory = next(
            (at, part) for at, part in self.memory if at <= address < at + len(part)
        )
        memory[address - base : address - base + len(data)] = data

    def _header(self, address: int, link: int, size: int) -> None:
        self._put(address, b"".join(x.to_bytes(self.word, "little") for x in (link, size)))

    def _fill(self, blocks: list[tuple[int, int, bool]]) -> None:
        """What a program wrote, and in free blocks a header that was swallowed in a merge."""
        if self.rng is None:
            return
        for address, size, live in blocks:
            rest = size - self.header
            self._put(address + self.header, bytes(self.rng.choices(range(1, 256), k=rest)))
            if not live and rest >= 3 * self.header and size % self.case["align"] == 0:
                inner = self.rng.randrange(self.header, rest - self.header, self.case["align"])
                self._header(address + inner, address + size, size - inner)

    def _headers(self, blocks: list[tuple[int, int, bool]], listed: list[int]) -> None:
        following = dict(itertools.pairwise(listed))
        sizes = {address: size for address, size, _ in blocks}
        top = 1 << (8 * self.word - 1)
        for address, size, live in blocks:
            if not live:
                self._header(address, following[address] ^ self.canary, size)
            elif self.marked:
                plain = self.kernel == "V11.0.0 to V11.1.0"
                self._header(address, 0 if plain else self.canary, size | top)
            else:  # what it held in the list, or zero: no case tells
                larger = (entry for entry in listed if sizes.get(entry, size) >= size)
                self._header(address, next(larger) if self.rng else 0, size)
        if self.case["heap"] == 2:
            return
        ends = [BASE + end for end in self.case["final"]["ends"]]
        for end in ends[:-1]:  # one that was absorbed holds what it held then
            self._header(end, following.get(end, ends[-1]) ^ self.canary, 0)
        self._header(ends[-1], self.canary, 0)
