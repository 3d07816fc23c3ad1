"""Recorded cases as streams for the programs, and what the programs must answer."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import vectors
from programs import (
    ASSERTED,
    FILL,
    MISTAKES,
    TRACED_FREE,
    Build,
    CaseResult,
    Result,
    Stream,
)


def build_of(case: vectors.Case, asserts: bool = True, indexed: bool = False) -> Build:
    protector = case.canary is not None
    return Build(case.heap, case.align, case.clear_on_free, protector, asserts, indexed)


def extent(case: vectors.Case) -> int:
    """Bytes of arena that a case needs."""
    return max(offset + size for offset, size in case.regions)


def stream_of(
    case: vectors.Case, builds: Sequence[Build], asserts: bool, fill: bool, lowest: int = -4096
) -> Stream:
    """A wild free whose header would lie below the offset ``lowest``, where a board may have no
    memory, is left out."""
    header = max(2 * case.word, case.align)
    ops: list[tuple[int, ...]] = []
    for op in case.ops:
        match op[0]:
            case "m":
                ops.append((1, op[1]))
            case "c":
                ops.append((2, op[1], op[2]))
            case "f":
                offset = case.expect[op[1]][0]
                ops.append((4,) if offset is None else (3, offset))
            case "f0":
                ops.append((4,))
            case "w":
                missing = op[1] - header < lowest
                ops.append((4,) if missing else (3, op[1] % (1 << 8 * case.word)))
            case "r":
                ops.append((5,))
            case "s":
                ops.append((6,))
    return Stream(
        build=builds.index(build_of(case, asserts, builds[0].indexed)),
        regions=[(offset, size) for offset, size in case.regions],
        canary=case.canary or 0,
        flags=FILL if fill else 0,
        ops=ops,
    )


class Judge:
    """Holds one case's results against the recording."""

    def __init__(self, case: vectors.Case, base: int, asserts: bool) -> None:
        self.case = case
        self.base = base
        self.asserts = asserts
        self.where = "set-up"
        self.maximum = (1 << 8 * case.word) - 1

    def same(self, what: str, got: object, expected: object) -> None:
        assert got == expected, (
            f"{self.case.id}, {self.where}: {what} is {got!r}, the real heap's is {expected!r}"
        )

    def results(self, got: CaseResult) -> int:
        """Compares each operation's; how many there were."""
        case = self.case
        refused = case.init[0] == "assert"
        self.same("asserted", bool(got.init.status & ASSERTED), refused)
        if refused:
            self.same("free size", got.init.free_size, 0)
            return 0
        self._sizes(got.init, case.init)
        self.same("suspensions", got.init.locks, 0)
        stats = iter(got.stats)
        previous = got.init
        for i, (op, expect, result) in enumerate(
            zip(case.ops, case.expect, got.results, strict=True)
        ):
            self.where = f"op {i} {op}"
            self.same("mistakes", result.status & MISTAKES, 0)
            self._sizes(result, expect)
            if op[0] in ("m", "c"):
                self._malloc(op, expect[0], result, previous)
            elif op[0] in ("f", "f0", "w"):
                self._free(expect[0], result, previous)
            else:
                self.same("suspensions", result.locks, 1 if op[0] == "s" else 0)
                self.same("traces", result.traces, 0)
            if op[0] == "s":
                self.same("statistics", next(stats), expect[0])
            previous = result
        self.where = "end"
        self.same("hook calls", got.hook_calls, case.final["hook"])
        return len(got.results)

    def _sizes(self, result: Result, expect: Sequence[object]) -> None:
        self.same("free size", result.free_size, expect[1])
        if self.case.heap >= 4:
            self.same("minimum", result.minimum, expect[2])

    def _malloc(self, op: list[int], offset: int | None, result: Result, previous: Result) -> None:
        size = op[1] if op[0] == "m" else op[1] * op[2]
        self.same("result", result.address, 0 if offset is None else self.base + offset)
        self.same("asserted", result.status & ASSERTED, 0)
        if size > self.maximum:  # calloc's overflow does not enter malloc
            self.same("suspensions and traces", (result.locks, result.traces), (0, 0))
            return
        self.same("suspensions and traces", (result.locks, result.traces), (1, 1))
        self.same("traced as a free", result.status & TRACED_FREE, 0)
        self.same("traced address", result.traced_address, result.address)
        if self.case.heap == 1:
            rounded = -(-size // self.case.align) * self.case.align
            self.same("traced size", result.traced_size, rounded if rounded <= self.maximum else 0)
        elif offset is None:
            self.same("traced size", result.traced_size, 0)
        elif previous.free_size != 0:  # heap_4 before its set-up: 0
            self.same("traced size", result.traced_size, previous.free_size - result.free_size)

    def _free(self, expect: str, result: Result, previous: Result) -> None:
        if result.address == 0 and expect == "assert":
            return  # left out by stream_of()
        asserted = expect == "assert"
        self.same("asserted", bool(result.status & ASSERTED), asserted and self.asserts)
        if asserted or result.address == 0:
            self.same("suspensions and traces", (result.locks, result.traces), (0, 0))
            return
        self.same("suspensions and traces", (result.locks, result.traces), (1, 1))
        self.same("traced as a free", bool(result.status & TRACED_FREE), True)
        self.same("traced address", result.traced_address, result.address)
        self.same("traced size", result.traced_size, result.free_size - previous.free_size)

    def arenas(self, got: CaseResult, reference: Callable[[int | None], list[bytes]]) -> None:
        """``reference`` gives the regions' bytes, for heap_2's end marker where it lies."""
        self.where = "end"
        marker = None
        if self.case.heap == 2 and (listed := self.case.final.get("free_list")):
            at = listed[-1][0] - self.case.regions[0][0]
            marker = int.from_bytes(got.arenas[0][at : at + self.case.word], "little")
            start = self.base + self.case.regions[0][0]
            assert not start <= marker < start + self.case.regions[0][1]
        for i, (mine, expected) in enumerate(zip(got.arenas, reference(marker), strict=True)):
            if mine != expected:
                at = next(k for k, (a, b) in enumerate(zip(mine, expected, strict=True)) if a != b)
                raise AssertionError(f"{self.case.id}: region {i} differs at byte {at}")

    def recorded_arenas(self, got: CaseResult) -> None:
        """Against the recording's hashes, where the arena lies at the recording's address."""
        arenas = [bytearray(arena) for arena in got.arenas]
        if self.case.heap == 2 and (listed := self.case.final.get("free_list")):
            at = listed[-1][0] - self.case.regions[0][0]
            assert self.case.end_marker is not None
            arenas[0][at : at + self.case.word] = self.case.end_marker.to_bytes(
                self.case.word, "little"
            )
        self.same("arena", [hashlib.sha256(a).hexdigest() for a in arenas], self.case.sha256)
