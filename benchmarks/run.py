"""The benchmarks: ratios measured in one run, and instruction counts by callgrind.

    python benchmarks/run.py

needs a C compiler, valgrind for the counts, and rtosheap installed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rtosheap import Heap4, Trace, data, replay
from rtosheap.risk import assess, vary
from rtosheap.risk.recordings import Recordings
from rtosheap.risk.runs import Plan

HERE = Path(__file__).parent
ROOT = HERE.parent
COMPILE = ("cc", "-std=c11", "-O2", "-g")


def compile_driver(folder: Path, checks: int) -> Path:
    """The replay's C driver with the core at a level of checks."""
    program = folder / f"replay_driver_{checks}"
    sources = [HERE / "replay_driver.c", *sorted((ROOT / "csrc" / "host").glob("*.c"))]
    options = ["-DRH_HOSTED=1", f"-DRH_CHECKS={checks}", f"-I{ROOT}/csrc/core"]
    options.append(f"-I{ROOT}/csrc/host")
    subprocess.run([*COMPILE, *options, *map(str, sources), "-o", str(program)], check=True)
    return program


def _environment(**more: str) -> dict[str, str]:
    """This one, but that bytecode is kept: what a second start finds."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **more}


def instructions(command: list[str], *, inside: str | None = None, also: str | None = None) -> int:
    """Instructions that a command executes, in the whole or inside one function, or two."""
    only = [f"--toggle-collect={name}" for name in (inside, also) if name]
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *only, *command],
        check=True,
        capture_output=True,
        text=True,
        # the same start of the interpreter each time, and no threads that wait in a loop
        env=_environment(PYTHONHASHSEED="0", OPENBLAS_NUM_THREADS="1"),
    )
    found = re.search(r"Collected : (\d+)", run.stderr)
    assert found is not None, run.stderr
    return int(found[1])


def benchmark_checks(folder: Path, events: int) -> None:
    print(f"\nreplay of {events:,} events, heap_4, record=(): instructions per event")
    print(
        f"{'live blocks':>12} {'checks off':>11} {'checked':>9} {'ratio':>6}   (bar 2.2, goal 1.8)"
    )
    programs = {checks: compile_driver(folder, checks) for checks in (0, 2)}
    for live in (50, 1000):
        count = {
            checks: instructions(
                [str(program), "4", "list", str(events), str(live)], inside="measured"
            )
            for checks, program in programs.items()
        }
        per_event = {checks: n / events for checks, n in count.items()}
        ratio = count[2] / count[0]
        print(f"{live:>12} {per_event[0]:>11.1f} {per_event[2]:>9.1f} {ratio:>6.2f}")


ENGINES = ("list", "index", "chosen")
#: By how many live blocks: how many events are measured with the list, and how many before them.
LIVE = {
    50: (200_000, 0),
    1000: (200_000, 50_000),
    10_000: (100_000, 300_000),
    100_000: (5000, 10**6),
}
#: Policies, whose own index serves every engine: FIT/ORDER/COALESCE.
POLICIES = (
    "first/address/free",
    "next/address/free",
    "best/address/free",
    "best/size/never",
    "first/lifo/free",
    "good/lifo/free",
    "buddy/lifo/free",
)
#: Recordings on heap_2, whose lists are short and long.
ON_HEAP_2 = ("lwip-3cli", "mosq-broker", "tls-client-rsa-resume", "cjson-docs")


def engines_of(program: Path, kind: int, live: int) -> dict[str, float]:
    """Instructions an event by each engine, of random sizes and lifetimes."""
    few, before = LIVE[live]
    found = {}
    for engine in ENGINES:
        events = few if engine == "list" else 300_000
        command = [str(program), str(kind), engine, str(events), str(live), str(before)]
        found[engine] = instructions(command, inside="measured") / events
    return found


def of_the_driver(program: Path) -> float:
    """What an event takes outside of the heap's calls."""
    command = [str(program), "4", "list", "200000", "50"]
    calls = instructions(command, inside="heap4_malloc", also="heap4_free")
    return (instructions(command, inside="measured") - calls) / 200_000


def recorded_on_heap_2(program: Path, name: str, file: Path) -> dict[str, float]:
    """The same of a recording, in a heap that serves it but for what is fragmented."""
    trace = data.load(name)
    slot, ids = trace.slots
    columns = (trace.op, slot.astype(np.int32), trace.size.astype(np.uint64))
    counts = np.array([len(trace), ids], np.uint64)
    file.write_bytes(b"".join(column.tobytes() for column in (counts, *columns)))
    arena = str(int(trace.peak_live_bytes) * 5 // 4 // 8 * 8 + 1024)
    return {
        engine: instructions([str(program), "2", engine, str(file), arena], inside="measured")
        / len(trace)
        for engine in ENGINES
    }


def benchmark_engines(folder: Path) -> None:
    """What a replay costs by its list, by an index, and by the one that it chooses."""
    program = compile_driver(folder, 2)
    print("\nreplay with the engines, record=(): instructions per event")
    print(f"{'':>24} {'list':>11} {'index':>11} {'chosen':>11}")
    rows = {
        f"heap_{kind}, {live:,} live": engines_of(program, kind, live)
        for kind in (4, 3, 2)
        for live in LIVE
    }
    rows |= {
        f"heap_2, {name}": recorded_on_heap_2(program, name, folder / "trace") for name in ON_HEAP_2
    }
    for name, found in rows.items():
        print(f"{name:>24} " + " ".join(f"{found[engine]:>11,.0f}" for engine in ENGINES))
    for policy in POLICIES:
        for live in LIVE:
            before = LIVE[live][1]
            command = [str(program), policy, "chosen", "300000", str(live), str(before)]
            found = instructions(command, inside="measured") / 300_000
            print(f"{f'{policy}, {live:,}':>24} {'':>11} {'':>11} {found:>11,.0f}")
    own = of_the_driver(program)
    print(f"of an event {own:.0f} are not the heap's   (bars: heap_4 at 50 chosen 316, at 100,000 ")
    print(f"{own + 333:.0f}, three times TLSF's 111 and those)")


def load_trivial(folder: Path) -> Any:
    """An extension type with two methods that take and give the ints of a malloc and a free."""
    library = folder / "trivial.abi3.so"
    include = sysconfig.get_paths()["include"]
    command = [*COMPILE, "-shared", "-fPIC", "-DPy_LIMITED_API=0x030B0000", f"-I{include}"]
    subprocess.run([*command, str(HERE / "trivial.c"), "-o", str(library)], check=True)
    spec = importlib.util.spec_from_file_location("trivial", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Trivial()


def holed_heap() -> Heap4:
    """A heap with 4 free blocks."""
    heap = Heap4(16 * 1024)
    live = [heap.malloc(100) for _ in range(8)]
    for address in live[1:7:2]:
        heap.free(address)
    assert len(heap.free_blocks()) == 4
    return heap


def pairs(first: Callable[[int], Any], second: Callable[[Any], Any], n: int) -> None:
    held = [1 << 29 | at for at in range(1000)]
    del held[::2]  # no int that is made or dropped below is the first or last of its memory pool
    for _ in range(n):
        second(first(200))


def seconds(function: Callable[[], object], repeat: int = 15) -> float:
    """The fastest of several runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def benchmark_calls(folder: Path) -> None:
    n = 100_000
    heap, trivial = holed_heap(), load_trivial(folder)
    # Interleaved, so that what else the machine does meets both.
    best = [float("inf"), float("inf")]
    for _ in range(15):
        best[0] = min(best[0], seconds(lambda: pairs(heap.malloc, heap.free, n), 1))
        best[1] = min(best[1], seconds(lambda: pairs(trivial.first, trivial.second, n), 1))
    ratio = best[0] / best[1]
    print("\nheap.malloc + heap.free from Python, 4 free blocks, against two trivial methods")
    print(f"{best[0] / n * 1e9:.0f} ns and {best[1] / n * 1e9:.0f} ns: ratio {ratio:.2f}", end="")
    print("   (bar 3, goal 2)")
    if shutil.which("valgrind"):
        count = {}
        for which in ("heap", "trivial"):
            few, many = (
                instructions([sys.executable, __file__, "--pairs", which, str(folder), str(k)])
                for k in (10_000, 110_000)
            )
            count[which] = (many - few) / 100_000
        ratio = count["heap"] / count["trivial"]
        print(
            f"{count['heap']:.0f} and {count['trivial']:.0f} instructions: ratio {ratio:.2f}"
            "   (bar 1.5, goal 1.25)"
        )


def random_trace(events: int, live: int) -> Trace:
    """Random sizes and lifetimes, about `live` blocks at a time."""
    random = np.random.default_rng(1)
    ids = random.integers(0, 2 * live, events)
    order = np.argsort(ids, kind="stable")
    first = np.r_[True, ids[order][1:] != ids[order][:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(events), 0))
    turn = np.empty(events, np.int64)
    turn[order] = np.arange(events) - start
    op = np.where(turn % 2 == 0, ord("m"), ord("f")).astype(np.uint8)
    size = np.where(op == ord("m"), random.integers(1, 129, events), 0).astype(np.uint64)
    return Trace(op, ids, size)


def benchmark_model() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from model import Model4

    events = 20_000
    trace = random_trace(events, 50)
    few = [
        (chr(op), int(i), int(n)) for op, i, n in zip(trace.op, trace.id, trace.size, strict=True)
    ]

    def in_python() -> None:
        heap, live = Model4(16384), {}
        for op, block, size in few:
            if op == "m":
                live[block] = heap.malloc(size)
            else:
                heap.free(live.pop(block))

    in_c = seconds(lambda: replay(trace, Heap4(16384), record=()))
    model = seconds(in_python, 3)
    print(f"\nreplay of {events:,} events against the Python model of the tests")
    print(
        f"{in_c / events * 1e9:.0f} ns and {model / events * 1e9:.0f} ns an event: "
        f"ratio {model / in_c:.0f}"
    )


def benchmark_memory() -> None:
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); "
        "from run import random_trace; from rtosheap import Heap4, replay; "
        "t = random_trace(10_000_000, 1000); r = replay(t, Heap4(262144)); "
        "print(r.failures, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(HERE)], check=True, capture_output=True, text=True
    )
    failures, peak = map(int, run.stdout.split())
    print(
        f"\n10,000,000 events, all default columns: {peak / 2**20:.2f} GiB at the peak, "
        f"{failures} failures   (bar 1 GiB)"
    )


RISK_RUNS = 9


def risk_plan() -> tuple[Plan, list[Trace]]:
    """What a run of `assess` needs, for five recorded days of a server and heap_4, and the days
    that its first runs make.
    """
    traces = tuple(data.days("server"))
    plan = Plan(traces, None, Heap4, {}, None, (), Recordings(traces).duration, 0)
    seeds = np.random.SeedSequence(0).spawn(RISK_RUNS)
    plan.run(0)  # makes the model
    return plan, [vary(traces, seed=seed) for seed in seeds]


def risk_runs(plan: Plan, days: list[Trace], which: str) -> None:
    """The first runs of `assess`, or bare replays of the same days."""
    for number, day in enumerate(days):
        if which == "runs":
            plan.run(number)
        else:
            replay(day, Heap4(1 << 18), record=())


def benchmark_risk() -> None:
    plan, days = risk_plan()
    events = sum(map(len, days))
    print(
        f"\na run of assess (a day of {events // len(days):,} events is made, and its smallest "
        "heap_4 found) against a bare replay of that day, per event   (bar 6)"
    )
    best = {"runs": float("inf"), "replays": float("inf")}
    for _ in range(15):
        for which, least in best.items():
            start = time.process_time()
            risk_runs(plan, days, which)
            best[which] = min(least, time.process_time() - start)
    print(
        f"{best['runs'] / events * 1e9:.0f} ns and {best['replays'] / events * 1e9:.0f} ns of a "
        f"processor: ratio {best['runs'] / best['replays']:.2f}"
    )
    if shutil.which("valgrind"):
        command = [sys.executable, __file__, "--risk"]
        nothing = instructions([*command, "nothing"])
        count = {which: (instructions([*command, which]) - nothing) / events for which in best}
        print(
            f"{count['runs']:.0f} and {count['replays']:.0f} instructions: "
            f"ratio {count['runs'] / count['replays']:.2f}"
        )
    recorded = plan.traces
    here = seconds(lambda: assess(recorded, Heap4, runs=1000), 3)
    with ProcessPoolExecutor(2) as pool:
        two = seconds(lambda: assess(recorded, Heap4, runs=1000, executor=pool), 3)
    print(f"1,000 runs: {here:.1f} s here, {two:.1f} s on two processes")


#: Formats whose reading is measured.
READERS = (
    *("text", "csv", "valgrind", "mtrace", "ltrace", "heaptrack", "freertos", "pigweed"),
    "recorder",
)


def columns(events: int) -> tuple[Any, Any, Any]:
    """A thousand blocks at a time are allocated, and freed."""
    at = np.arange(events)
    op = np.where(at // 1000 % 2 == 0, ord("m"), ord("f")).astype(np.uint8)
    size = np.where(op == ord("m"), 16 + at % 1000, 0).astype(np.uint64)
    return op, at % 1000, size


def write_files(folder: Path, events: int) -> None:
    """The same events as a file of each format that is read by the line, and of the recorder."""
    op, block, size = (column.tolist() for column in columns(events))
    rows = [(o == 109, b, s, 0x4A4B040 + 2048 * b) for o, b, s in zip(op, block, size, strict=True)]
    files = {
        "text": ["# rtosheap-trace 1"]
        + [f"m {b} {s}" if new else f"f {b}" for new, b, s, _ in rows],
        "csv": ["op,id,size"] + [f"m,{b},{s}" if new else f"f,{b},0" for new, b, s, _ in rows],
        "valgrind": [
            f"--123-- malloc({s}) = 0x{at:X}" if new else f"--123-- free(0x{at:X})"
            for new, _, s, at in rows
        ],
        "mtrace": ["= Start"]
        + [
            f"@ ./a.out:[0x401136] + {at:#x} {s:#x}" if new else f"@ ./a.out:[0x401152] - {at:#x}"
            for new, _, s, at in rows
        ],
        "ltrace": [
            f"12 a.out->malloc({s})                = {at:#x}"
            if new
            else f"12 a.out->free({at:#x})            = <void>"
            for new, _, s, at in rows
        ],
        "heaptrack": ["v 10400 3"]
        + [f"+ {s:x} 1 {at:x}" if new else f"- {at:x}" for new, _, s, at in rows],
        "freertos": [
            f"M {at:#x} {s} {s + 8} {n}" if new else f"F {at:#x} {s + 8} {n}"
            for n, (new, _, s, at) in enumerate(rows)
        ]
        + [f"={events} 0 1000 1000"],
        "pigweed": [f"m {s} {at:#x}" if new else f"f {at:#x}" for new, _, s, at in rows],
    }
    for name, lines in files.items():
        (folder / f"{events}.{name}").write_text("\n".join([*lines, ""]))
    (folder / f"{events}.recorder").write_bytes(b"".join(records(rows)))


def records(rows: list[tuple[bool, int, int, int]]) -> Iterator[bytes]:
    """The same as the recorder on a device writes it; its header says how."""
    for n, (new, block, size, _) in enumerate(rows):
        if n % 64 == 0:
            sync = b"RHE1" + n.to_bytes(4, "little") + bytes(4) + 0x2000_0000.to_bytes(8, "little")
            yield record(n, 3, 0, sync + bytes([3, 0, 8, 0]))
        body = ((size << 20 if new else 0) | (1 + 256 * block)).to_bytes(4, "little")
        yield record(n, 0 if new else 1, 0, body if new else body[:3])


def record(number: int, kind: int, detail: int, body: bytes) -> bytes:
    """A record with its check."""
    first = number % 64 << 2 | kind | detail << 8
    words = [first, *(int.from_bytes(body[at : at + 4], "little") for at in range(0, len(body), 4))]
    mixed = 0x5248_0000 + 4 + len(body)
    for word in words:
        mixed = ((mixed ^ word) * 0x9E37_79B1) & 0xFFFF_FFFF
        mixed ^= mixed >> 15
    return first.to_bytes(2, "little") + (mixed & 0xFFFF).to_bytes(2, "little") + body


def take_events(what: str, folder: Path, events: int) -> None:
    """A trace out of columns or out of a file; for "columns", the columns alone."""
    if what in ("columns", "Trace"):
        given = columns(events)
        if what == "Trace":
            Trace(*given)
    else:
        Trace.load(folder / f"{events}.{what}", format=what)


def benchmark_events(folder: Path) -> None:
    few, many = 100_000, 300_000
    count = {}
    for events in (few, many):
        write_files(folder, events)
    for what in ("columns", "Trace", *READERS):
        command = [sys.executable, __file__, "--events", what, str(folder)]
        first, second = (instructions([*command, str(events)]) for events in (few, many))
        count[what] = (second - first) / (many - few)
    count["Trace"] -= count["columns"]
    print("\na trace is made or read: instructions an event")
    bars = {"Trace": 40, "text": 200, "valgrind": 500}
    for what in ("Trace", *READERS):
        said = f"   (bar {bars[what]})" if what in bars else ""
        print(f"{what:>12} {count[what]:>9.0f}{said}")


def benchmark_start() -> None:
    """What a start costs in the whole: the second run, since the first one writes bytecode."""
    command = [sys.executable, "-m", "rtosheap"]
    starts = {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import numpy"': [sys.executable, "-c", "import numpy"],
        "rtosheap --help": [*command, "--help"],
        "rtosheap size coap-server": [*command, "size", "coap-server"],
        "rtosheap compare coap-server": [*command, "compare", "coap-server"],
    }
    count = {}
    for name, words in starts.items():
        subprocess.run(words, check=True, capture_output=True, env=_environment())
        count[name] = instructions(words)
    bare, numpy = list(count.values())[:2]
    print("\ninstructions of a start   (bars: --help 2.5 bare Pythons, size 1.5 import numpy)")
    for name, n in count.items():
        print(f"{name:30} {n / 1e6:7.1f} M {n / bare:6.2f} bare {n / numpy:6.2f} numpy")


def main() -> None:
    if sys.argv[1:2] == ["--risk"]:
        if sys.argv[2] == "nothing":
            risk_plan()
        else:
            risk_runs(*risk_plan(), sys.argv[2])
        return
    if sys.argv[1:2] == ["--events"]:
        take_events(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    if sys.argv[1:2] == ["--pairs"]:
        _, _, which, folder, n = sys.argv
        made = load_trivial(Path(folder)) if which == "trivial" else holed_heap()
        first, second = (
            (made.first, made.second) if which == "trivial" else (made.malloc, made.free)
        )
        pairs(first, second, int(n))
        return
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("valgrind"):
            benchmark_checks(Path(folder), 1_000_000)
            benchmark_engines(Path(folder))
            benchmark_start()
            benchmark_events(Path(folder))
        else:
            print("no valgrind: instructions are not counted")
        benchmark_calls(Path(folder))
    benchmark_model()
    benchmark_memory()
    benchmark_risk()


if __name__ == "__main__":
    main()
