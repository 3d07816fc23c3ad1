"""Instructions per call and bytes of code of the drop-in files, on every Cortex-M.

    python benchmarks/cortexm.py [--cpu cortex-m4] [--toolchain zig] [--json]

For each processor: instructions at -O2 of a malloc and of a free with k = 1, 4, 16, 64, 256 and
1024 free blocks in the list, and bytes of code at -Os and -O2: with the scheduler's calls empty, as
the instructions are counted, and as in a kernel, where vTaskSuspendAll() and xTaskResumeAll() are
called. Where the compiler is gcc 12.2, for
which FreeRTOS's own figures are known, those stand beside ours as "bar", and the exit status is 1
if one of ours is larger, a free's share of a node at -Os included.

Sizes are the whole object's text and read-only data. Instructions are counted from the first of
the function to its return, on a heap that was set up by a call before. Fixed part of malloc: 32
bytes from a fresh heap. With k: malloc(64) past k free blocks of 32 bytes; the free of a block of
64 bytes behind k free blocks, between two allocated neighbours ("alone") or two free ones
("merging both"). Instructions are not cycles.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NamedTuple

from rtosheap.cortexm import CPUS, find_toolchain
from rtosheap.cortexm._footprint import sections_of
from rtosheap.cortexm.images import ARENA, Configuration, Kernel, machine, object_file
from rtosheap.cortexm.machine import Machine
from rtosheap.cortexm.toolchain import Build

BLOCKS = (1, 4, 16, 64, 256, 1024)
HEAPS = ("heap_1", "heap_2", "heap_4", "heap_5")
HEAP_SIZE = 256 << 10


class Costs(NamedTuple):
    """Instructions, or None where the heap has no such operation."""

    malloc: int
    malloc_past: dict[int, int] | None = None
    free: dict[int, int] | None = None  # alone
    free_merging: dict[int, int] | None = None

    @staticmethod
    def per_node(by_blocks: dict[int, int]) -> float:
        return (by_blocks[1024] - by_blocks[64]) / (1024 - 64)

    @classmethod
    def fixed(cls, by_blocks: dict[int, int]) -> float:
        """What is left when the nodes' share is taken off. Entries are passed two at a time, and
        an odd number of them costs some instructions more: here the number is even."""
        return by_blocks[4] - 4 * cls.per_node(by_blocks)


def fresh(configuration: Configuration) -> Machine:
    """A processor with a heap that is set up, and empty."""
    built = machine(configuration, HEAP_SIZE)
    if configuration.heap == "heap_5":
        regions = [ARENA, HEAP_SIZE, 0, 0]
        table = ARENA + HEAP_SIZE + (32 << 10)
        built.write(table, b"".join(word.to_bytes(4, "little") for word in regions))
        built.call("vPortDefineHeapRegions", table)
    built.call("pvPortMalloc", 0)
    return built


def with_holes(configuration: Configuration, blocks: int) -> tuple[Machine, list[int]]:
    """A heap with so many free blocks of 32 bytes, then live blocks of 64, and the latter."""
    built = fresh(configuration)

    def malloc(size: int) -> int:
        address = built.call("pvPortMalloc", size).result
        assert address
        return address

    holes = []
    for _ in range(blocks):
        holes.append(malloc(32))
        malloc(8)
    live = [malloc(64) for _ in range(7)]
    for hole in holes:
        built.call("vPortFree", hole)
    return built, live


def costs_of(configuration: Configuration) -> Costs:
    malloc = fresh(configuration).call("pvPortMalloc", 32).instructions
    if configuration.heap == "heap_1":
        return Costs(malloc)
    past, alone, merging = {}, {}, {}
    for blocks in BLOCKS:
        built, _ = with_holes(configuration, blocks)
        past[blocks] = built.call("pvPortMalloc", 64).instructions
        built, live = with_holes(configuration, blocks)
        alone[blocks] = built.call("vPortFree", live[5]).instructions
        if configuration.heap == "heap_2":
            continue
        built, live = with_holes(configuration, blocks - 1)  # the block before is one to pass too
        built.call("vPortFree", live[1])
        built.call("vPortFree", live[3])
        merging[blocks] = built.call("vPortFree", live[2]).instructions
    return Costs(malloc, past, alone, merging or None)


def code_bytes(configuration: Configuration, *, calls: bool = False) -> int:
    """Of the drop-in file; `calls`: with calls of the scheduler, which is elsewhere."""
    if not calls:
        return sections_of(object_file(configuration)).code
    toolchain, flags = configuration.toolchain, configuration.flags
    defines = (*configuration.defines, "-DTEST_SCHEDULER=1")
    source = f"freertos/{configuration.heap}.c"
    return sections_of(Build(toolchain, flags, defines, [source]).result()).code


class Bar(NamedTuple):
    """FreeRTOS's own figures with arm-none-eabi-gcc 12.2: a fixed part, and so much a node."""

    malloc: int
    malloc_node: int | None
    free: int | None
    free_node: int | None
    merging: int | None
    bytes_os: int
    bytes_o2: int


BARS = {
    ("cortex-m4", "heap_1"): Bar(16, None, None, None, None, 128, 132),
    ("cortex-m4", "heap_2"): Bar(52, 12, 21, 5, None, 348, 372),
    ("cortex-m4", "heap_4"): Bar(52, 7, 34, 4, 44, 524, 564),
    ("cortex-m4", "heap_5"): Bar(48, 7, 34, 4, 44, 556, 608),
    ("cortex-m0", "heap_1"): Bar(24, None, None, None, None, 144, 148),
    ("cortex-m0", "heap_2"): Bar(69, 13, 27, 5, None, 396, 424),
    ("cortex-m0", "heap_4"): Bar(64, 8, 39, 4, None, 564, 588),
    ("cortex-m0", "heap_5"): Bar(61, 8, 39, 4, None, 600, 640),
}
# The bytes of some in a kernel, at -Os and -O2.
BARS_CALLED = {("cortex-m4", "heap_4"): (588, 616), ("cortex-m4", "heap_5"): (612, 660)}
# What heap_4 and heap_5 are to spend on a node, where FreeRTOS spends 7 and 4.
AIMS = {("cortex-m4", "heap_4"): (5, 3), ("cortex-m4", "heap_5"): (5, 3)}


def excesses(
    costs: Costs, sizes: dict[str, int], bar: Bar, aims: tuple[int, int] | None
) -> list[str]:
    """What is larger than its bar: never slower than FreeRTOS, whatever the number of blocks."""
    found = []

    def compare(what: str, ours: float, limit: float | None) -> None:
        if limit is not None and ours > limit + 1e-9:
            found.append(f"{what}: {ours:g} instead of at most {limit:g}")

    def compare_all(
        what: str, ours: dict[int, int] | None, fixed: int | None, node: int | None
    ) -> None:
        if ours is None or fixed is None or node is None:
            return
        compare(what, Costs.fixed(ours), fixed)
        compare(f"{what} per node", Costs.per_node(ours), node)
        for blocks, count in ours.items():
            compare(f"{what}, {blocks} free blocks", count, fixed + node * blocks)

    compare("malloc", costs.malloc, bar.malloc)
    compare("bytes at -Os", sizes["-Os"], bar.bytes_os)
    compare("bytes at -O2", sizes["-O2"], bar.bytes_o2)
    compare_all("malloc past free blocks", costs.malloc_past, bar.malloc, bar.malloc_node)
    compare_all("free", costs.free, bar.free, bar.free_node)
    compare_all("free, merging both", costs.free_merging, bar.merging, bar.free_node)
    if aims is not None:
        assert costs.malloc_past is not None
        assert costs.free is not None
        compare("malloc per node", Costs.per_node(costs.malloc_past), aims[0])
        compare("free per node", Costs.per_node(costs.free), aims[1])
    return found


def excesses_for_size(costs: Costs, bar: Bar) -> list[str]:
    """What a free spends on a node at -Os, where FreeRTOS spends what it does at -O2."""
    if costs.free is None or bar.free_node is None:
        return []
    ours = Costs.per_node(costs.free)
    if ours <= bar.free_node:
        return []
    return [f"free per node at -Os: {ours:g} instead of at most {bar.free_node}"]


def variants(heap: str) -> list[tuple[str, dict[str, bool]]]:
    plain: list[tuple[str, dict[str, bool]]] = [(heap, {})]
    if heap == "heap_4":
        plain += [
            ("heap_4, assertions", {"asserts": True}),
            ("heap_4, protector", {"protector": True}),
        ]
    return plain


def rows_for(cpu: str, toolchain: str | None) -> list[dict[str, Any]]:
    rows = []
    compiler = find_toolchain(toolchain)
    for heap in HEAPS:
        for label, options in variants(heap):
            configuration = Configuration(heap, CPUS[cpu], compiler, "-O2", Kernel(**options))
            costs = costs_of(configuration)
            sizes, called = (
                {
                    level: code_bytes(configuration._replace(optimize=level), calls=calls)
                    for level in ("-Os", "-O2")
                }
                for calls in (False, True)
            )
            bar = bar_called = None
            if not options and compiler.name == "arm-none-eabi-gcc" and "12.2" in compiler.version:
                bar = BARS.get((cpu, heap))
                bar_called = BARS_CALLED.get((cpu, heap))
            over = []
            if bar:
                small = costs_of(configuration._replace(optimize="-Os"))
                over = excesses(costs, sizes, bar, AIMS.get((cpu, heap)))
                over += excesses_for_size(small, bar)
            for level, most in zip(called, bar_called or called.values(), strict=True):
                if called[level] > most:
                    over.append(f"bytes with calls at {level}: {called[level]}, not {most} at most")
            rows.append(
                {
                    "cpu": cpu,
                    "heap": label,
                    **costs._asdict(),
                    "bytes": sizes,
                    "bytes_called": called,
                    "bar": bar and bar._asdict(),
                    "bar_called": bar_called,
                    "excesses": over,
                }
            )
    return rows


def line(label: str, values: list[Any]) -> str:
    return f"  {label:<34}" + "".join(f"{value:>8}" for value in values)


def formula(by_blocks: dict[int, int]) -> str:
    return f"{Costs.fixed(by_blocks):g} + {Costs.per_node(by_blocks):g} k"


def show(rows: list[dict[str, Any]]) -> None:
    print(line("malloc from a fresh heap", ["instr."]))
    for row in rows:
        bar = f"   (bar {row['bar']['malloc']})" if row["bar"] else ""
        print(line(row["heap"], [row["malloc"]]) + bar)
    for what, key, bars in (
        ("malloc past k free blocks", "malloc_past", ("malloc", "malloc_node")),
        ("free behind k free blocks, alone", "free", ("free", "free_node")),
        ("free, merging both", "free_merging", ("merging", "free_node")),
    ):
        print(line(f"{what}; k =", list(BLOCKS)))
        for row in rows:
            if row[key] is not None:
                bar = row["bar"]
                beside = ""
                if bar and bar[bars[0]] is not None:
                    beside = f"   (bar {bar[bars[0]]} + {bar[bars[1]]} k)"
                values = [row[key][blocks] for blocks in BLOCKS]
                print(line(row["heap"], values) + f"   {formula(row[key])}{beside}")
    print(line("bytes of code", ["-Os", "-O2"]))
    for row in rows:
        bar = row["bar"]
        beside = f"   (bar {bar['bytes_os']}, {bar['bytes_o2']})" if bar else ""
        print(line(row["heap"], list(row["bytes"].values())) + beside)
    print(line("bytes with the scheduler's calls", ["-Os", "-O2"]))
    for row in rows:
        bar = row["bar_called"]
        beside = f"   (bar {bar[0]}, {bar[1]})" if bar else ""
        print(line(row["heap"], list(row["bytes_called"].values())) + beside)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", choices=list(CPUS), action="append", help="default: all")
    parser.add_argument("--toolchain", choices=("arm-none-eabi-gcc", "zig"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    compiler = find_toolchain(args.toolchain)
    rows = []
    if not args.json:
        print(f"{compiler.version}; instructions at -O2; instructions are not cycles")
    for cpu in args.cpu or CPUS:
        mine = rows_for(cpu, args.toolchain)
        rows += mine
        if not args.json:
            print(f"\n{cpu}")
            show(mine)
    if args.json:
        print(json.dumps({"compiler": compiler.version, "rows": rows}, indent=2))
    over = [f"{row['cpu']}, {row['heap']}: {text}" for row in rows for text in row["excesses"]]
    for text in over:
        print(f"over the bar: {text}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
