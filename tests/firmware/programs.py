"""Builds the programs that replay cases on the drop-in files, and talks to them.

``c/cases.h`` describes the streams.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
CORTEXM = CSRC / "cortexm"
C = Path(__file__).resolve().parent / "c"
INCLUDES = [f"-I{folder}" for folder in (C, CORTEXM, CORTEXM / "kernel", CSRC)]
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
MAGIC = 0x52484331

# c/cases.h
ASSERTED, UNBALANCED, TRACED_FREE, TRACED_UNLOCKED, HOOK_LOCKED, NOT_CLEARED = (
    1 << bit for bit in range(6)
)
MISTAKES = UNBALANCED | TRACED_UNLOCKED | HOOK_LOCKED | NOT_CLEARED
FILL = 1


#: Room for the index of each recorded case.
INDEX = ["-DconfigRTOSHEAP_BOUNDED=1", "-DconfigRTOSHEAP_BOUNDED_SIZE=65536"]
INDEX += ["-DconfigRTOSHEAP_BOUNDED_REGIONS=8"]


class Build(NamedTuple):
    """A configuration of a drop-in file that is fixed at compile time."""

    heap: int
    align: int = 8
    clear: bool = False
    protector: bool = False
    asserts: bool = True
    indexed: bool = False

    @property
    def name(self) -> str:
        flags = "".join("cpai"[i] for i, on in enumerate(self[2:]) if on)
        return f"h{self.heap}_{self.align}{flags and '_' + flags}"

    @property
    def macros(self) -> list[str]:
        return [
            f"-DCASES_HEAP={self.heap}",
            f"-DCASES_PREFIX={self.name}",
            '-DTEST_CONFIG_FILE="cases_config.h"',
            f"-DportBYTE_ALIGNMENT={self.align}",
            f"-DconfigHEAP_CLEAR_MEMORY_ON_FREE={int(self.clear)}",
            f"-DconfigENABLE_HEAP_PROTECTOR={int(self.protector)}",
            f"-DTEST_ASSERT={int(self.asserts)}",
            "-DTEST_SCHEDULER=1",
            "-DTEST_TRACE=1",
            *(INDEX if self.indexed else ()),
        ]


def all_builds(word: int, asserts: bool = True, indexed: bool = False) -> list[Build]:
    """Every configuration that the recorded cases have."""
    return [
        Build(heap, align, clear, protector, asserts, indexed)
        for heap in ((4, 5) if indexed else (1, 2, 4, 5))
        for align in (4, 8, 16)[word // 8 :]
        for clear in (False, True)[: 1 if heap == 1 else 2]
        for protector in (False, True)[: 1 if heap < 4 else 2]
    ]


def run(command: Sequence[str | Path]) -> str:
    """Run a compiler; its complaints are the error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, " ".join(map(str, command)) + "\n" + done.stderr
    return done.stdout


def compile_program(
    compiler: Sequence[str],
    builds: Sequence[Build],
    sources: Iterable[Path],
    folder: Path,
    link: Sequence[str | Path] = (),
    includes: Sequence[str] = (),
) -> Path:
    """Compile the builds and the sources, two at a time, and link them."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "heaps.c"
    table.write_text(
        '#include "cases.h"\n'
        + "".join(f"extern const struct cases_heap {b.name}_heap;\n" for b in builds)
        + "const struct cases_heap *const cases_heaps[] = {\n"
        + "".join(f"    &{b.name}_heap,\n" for b in builds)
        + "};\n"
        + f"const size_t cases_heap_count = {len(builds)};\n"
    )
    common = [*compiler, *WARNINGS, *INCLUDES, *includes]
    jobs: list[list[str | Path]] = []
    objects: list[Path] = []
    for build in builds:
        objects.append(folder / f"{build.name}.o")
        jobs.append([*common, *build.macros, "-c", C / "cases_heap.c", "-o", objects[-1]])
    for source in [table, C / "cases.c", *sources]:
        objects.append(folder / f"{source.stem}.o")
        jobs.append([*common, "-c", source, "-o", objects[-1]])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, jobs))
    program = folder / "program"
    run([*compiler, *objects, *link, "-o", program])
    return program


@dataclass
class Stream:
    """A case, as words."""

    build: int
    regions: Sequence[tuple[int, int]]  # (offset in the arena, size)
    canary: int = 0
    flags: int = 0
    ops: list[tuple[int, ...]] = field(default_factory=list)

    def words(self) -> list[int]:
        end = max(offset + size for offset, size in self.regions)
        head = [self.build, self.flags, self.canary, end, len(self.regions)]
        return [
            *head,
            *(x for r in self.regions for x in r),
            *(x for op in self.ops for x in op),
            0,
        ]


class Result(NamedTuple):
    status: int
    address: int
    free_size: int
    minimum: int
    traces: int
    traced_address: int
    traced_size: int
    locks: int


class CaseResult(NamedTuple):
    init: Result
    results: list[Result]
    stats: list[list[int]]  # of each statistics operation
    hook_calls: int
    arenas: list[bytes]


def encode(streams: Iterable[Stream], word: int) -> bytes:
    words = [w for stream in streams for w in stream.words()]
    words.append((1 << 8 * word) - 1)
    return struct.pack(f"<{len(words)}{'I' if word == 4 else 'Q'}", *words)


def hello(output: bytes, word: int) -> tuple[int, int]:
    """The arena's address and size."""
    magic, address, size = struct.unpack_from("<3I" if word == 4 else "<3Q", output)
    assert magic == MAGIC
    return address, size


def decode(output: bytes, streams: Iterable[Stream], word: int) -> list[CaseResult]:
    letter = "I" if word == 4 else "Q"
    at = 3 * word

    def take(count: int) -> tuple[int, ...]:
        nonlocal at
        values: tuple[Any, ...] = struct.unpack_from(f"<{count}{letter}", output, at)
        at += count * word
        return values

    cases = []
    for stream in streams:
        init = Result(*take(8))
        results, stats = [], []
        for op in stream.ops:
            results.append(Result(*take(8)))
            if op[0] == 6:
                stats.append(list(take(7)))
        (hook_calls,) = take(1)
        arenas = []
        for _, size in stream.regions:
            arenas.append(output[at : at + size])
            at += size
        cases.append(CaseResult(init, results, stats, hook_calls, arenas))
    assert at == len(output), "the program wrote more, or less, than the cases ask for"
    return cases
