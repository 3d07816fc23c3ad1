"""Somebody's own allocator on a Cortex-M: its sources, in the emulator."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import ROOT
from parts import few_of

from rtosheap import Heap2, Heap3, Heap4, Op, Trace, cortexm, data, minimum_heap_size, replay
from rtosheap.cli import cortexm as command
from rtosheap.cortexm import MachineError, ToolchainError
from rtosheap.sizing import UnservableError

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require, require_module

FIRMWARE = ROOT / "tests" / "firmware"
CORE = ROOT / "csrc" / "core"


def ours(number: int) -> dict[str, Any]:
    """heap_2 or heap_4 as somebody's own allocator."""
    return {
        "sources": [FIRMWARE / "adapter_ours.c", CORE / f"heap_{number}.c"],
        "include": [CORE],
        "defines": {"RH_CHECKS": 0, "HEAP": number},
    }


HEAP_4 = ours(4)
GCC = "arm-none-eabi-gcc"
CPUS = ("cortex-m4", "cortex-m0")


def need(toolchain: str = GCC) -> None:
    require_module("unicorn", "unicorn")
    if toolchain == "zig":
        require_module("ziglang", "ziglang")
    else:
        require(toolchain)


def wrong(what: str, at: int, *more: str) -> dict[str, Any]:
    """The arguments for an allocator that goes wrong at a call."""
    defines = {"WRONG": what, "WRONG_AT": at, **dict.fromkeys(more)}
    return {"sources": [FIRMWARE / "adapter_wrong.c"], "defines": defines}


# ------------------------------------------------- heaps of ours, as if they were somebody else's

NAMES = ("coap-server", "lua-sched", "lwip-3cli", "frtos-cm3-mixed", "mosq-broker")
CASES = [
    *((name, 4, cpu, GCC) for name in NAMES for cpu in CPUS),
    *((name, 4, "cortex-m4", "zig") for name in NAMES[:3]),
    *((name, 2, cpu, GCC) for name in NAMES[:2] for cpu in CPUS),
]
QUICK = [
    *((name, 4, cpu, GCC) for name in NAMES[:2] for cpu in CPUS),
    ("coap-server", 4, "cortex-m4", "zig"),
    ("coap-server", 2, "cortex-m0", GCC),
]


@pytest.mark.parametrize(("name", "number", "cpu", "toolchain"), few_of(CASES, QUICK))
def test_a_heap_as_sources_is_that_heap(name: str, number: int, cpu: str, toolchain: str) -> None:
    """The adapter has a call and a test of its own, which the compiler places as it likes: a
    malloc and a free each cost so many instructions more, but for four at most.
    """
    need(toolchain)
    trace = data.load(name)
    mine = cortexm.measure(trace, f"heap_{number}", cpu=cpu, toolchain=toolchain)
    size = len(mine.replay.heap.memory)
    given = ours(number)
    theirs = cortexm.measure(trace, **given, heap_size=size, cpu=cpu, toolchain=toolchain)
    assert theirs.base_address == 0x2000_0000
    assert np.array_equal(theirs.addresses, mine.replay.column("address"))
    assert theirs.failures == mine.failures == 0
    more = theirs.instructions.astype(int) - mine.instructions
    kinds = 0
    for op in Op:
        chosen = more[trace.op == op]
        if len(chosen):
            assert chosen.min() >= 0
            assert chosen.max() <= 30
            assert np.ptp(chosen) <= 4
            kinds += 1
    assert kinds == (3 if trace.reallocs else 2)


def test_what_fails_is_what_fails_on_heap_4() -> None:
    need()
    trace = data.load("coap-server")
    theirs = cortexm.measure(trace, **HEAP_4, heap_size=24 * 1024)
    mine = cortexm.measure(trace, "heap_4", heap_size=24 * 1024)
    assert theirs.failures == mine.failures > 0
    assert np.array_equal(theirs.addresses, mine.replay.column("address"))
    assert np.array_equal(theirs.failed, np.array(mine.replay["address"] == 0) & (trace.size > 0))


@pytest.mark.parametrize(
    "name", few_of(["coap-server", "expat-upnp", "lwip-3cli"], ["coap-server"])
)
def test_the_c_library_s_malloc_is_heap_3(name: str) -> None:
    """Debian 12's newlib-nano, with a realloc of its own."""
    need()
    trace = data.load(name)
    theirs = cortexm.measure(trace, sources=[FIRMWARE / "adapter_newlib.c"])
    least = minimum_heap_size(trace, Heap3, newlib="debian-12").size
    assert theirs.heap_size == -(-least // 8) * 8
    mine = replay(trace, Heap3(theirs.heap_size, newlib="debian-12"))
    assert np.array_equal(theirs.addresses, mine.column("address"))
    assert theirs.library_flash > 500 > theirs.flash
    assert theirs.library_ram > 0


SIZED = ("coap-server", "lua-sched", "expat-upnp", "lwip-3cli")


@pytest.mark.parametrize("name", few_of(SIZED, SIZED[:1]))
def test_the_smallest_arena_is_heap_4_s(name: str) -> None:
    """heap_4 serves in each larger arena, so that bisection cannot miss."""
    need()
    trace = data.load(name)
    found = cortexm.measure(trace, **HEAP_4)
    smallest = found.smallest
    assert smallest is not None
    assert found.heap_size == smallest.size == minimum_heap_size(trace, Heap4).size
    assert not smallest.exact
    tried = dict(smallest.tried)
    assert tried[smallest.size] is None
    event = tried[smallest.size - 8]
    assert event == minimum_heap_size(trace, Heap4).witness
    assert 8 <= len(tried) == len(smallest.tried) <= 24
    assert all((at is None) == (size >= smallest.size) for size, at in tried.items())
    given = cortexm.measure(trace, **HEAP_4, heap_size=smallest.size)
    assert given.smallest is None
    assert np.array_equal(given.instructions, found.instructions)


@pytest.mark.long
def test_the_smallest_arena_of_heap_2_is_one_below_which_it_fails() -> None:
    """A larger heap_2 may fail where a smaller one serves."""
    need()
    trace = data.load("lua-sched")
    found = cortexm.measure(trace, **ours(2))
    assert found.smallest is not None
    tried = dict(found.smallest.tried)
    assert tried[found.heap_size] is None
    assert tried[found.heap_size - 8] is not None
    for size in (found.heap_size, found.heap_size - 8):
        assert replay(trace, Heap2(size)).first_failure == tried[size]
    least = minimum_heap_size(trace, Heap2, search="full").size
    assert least <= found.heap_size == found.smallest.size


def test_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    need()
    found = cortexm.measure(data.load("coap-server"), **HEAP_4, name="mine", cpu="cortex-m0")
    facts = found.to_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["heap"], facts["cpu"], facts["heap_size"]) == ("mine", "cortex-m0", 34224)
    assert facts["smallest"]["exact"] is False
    assert facts["malloc"]["most"] == found.of(Op.MALLOC).max()
    at = facts["malloc"]["most_event"]
    assert found.instructions[at] == facts["malloc"]["most"]
    assert facts["malloc"]["mean"] == pytest.approx(found.of(Op.MALLOC).mean())
    assert facts["cycles_source"] == found.timing_source
    assert facts["setup"] == found.setup > 10
    lines = dict(found.summary())
    assert lines["allocator"] == "mine on a cortex-m0, -O2"
    assert lines["arena"].startswith("34,224 bytes, the least that was found")
    assert f"most {facts['malloc']['most']:,} (event {at:,})" in lines["malloc, instructions"]


# ------------------------------------------------------------------------ what goes wrong

EVENTS = Trace.from_events(
    [
        *[("m", 0, 40), ("m", 1, 24), ("f", 0), ("m", 2, 16), ("m", 3, 8)],
        *[("f", 1), ("r", 2, 12), ("m", 4, 16), ("f", 2)],
    ]
)
#: What it does at which call; the reason, the event, and what of the error says so.
WRONGS = [
    ("FAULT", 4, "crash", 4, r"stopped in rh_foreign_malloc, at 0x.*of 0x60000000"),
    ("CODE", 4, "crash", 4, r"write-protected memory .*of 0x0$"),
    ("LOOP", 5, "stuck", 5, r"free\(\) did not return within 10,000,000 instructions"),
    ("RECURSION", 4, "crash", 4, r"stopped in recurse.*of 0xffff"),
    ("ASSERTION", 3, "crash", 3, r"assertion failed: next == NULL, .*adapter_wrong.c:\d+$"),
    ("ABORT", 1, "crash", 1, r"stopped in abort"),
    ("BEFORE", 4, "crash", 4, r"of 0x1fffffff$"),
    ("BEHIND", 2, "margin", 2, r"free\(\) wrote to byte 3 behind the arena, at 0x200003eb$"),
    ("FAR_BEHIND", 4, "crash", 4, r"of 0x200013e8$"),
    ("LIVE", 4, "payload", 4, r"byte 5 of the live block of event 3, 16 bytes at 0x20000040"),
    ("LIVE", 8, "payload", 8, r"event 8, free, .* byte 5 of the live block of event 7"),
    ("OUTSIDE", 0, "outside", 0, r"the block of 40 bytes at 0x200003c1 does not lie in the arena"),
    ("MISALIGNED", 4, "misaligned", 4, r"at 0x20000052 is not aligned to 8 bytes$"),
    ("HALF_ALIGNED", 4, "misaligned", 4, r"54 is not aligned to 8 bytes; .*alignment=4"),
    ("OVERLAP", 4, "overlaps", 4, r"of 8 bytes at 0x20000040 overlaps the live block of event 3"),
    ("LOSE", 6, "lost", 6, r"the first 12 bytes of the live block of event 3"),
    ("JUMP", 4, "crash", 4, r"Fetch from non-executable memory"),
]


@pytest.mark.parametrize("cpu", few_of(CPUS, CPUS[:1]))
@pytest.mark.parametrize(("what", "at", "reason", "event", "message"), WRONGS)
def test_an_allocator_that_goes_wrong(
    cpu: str, what: str, at: int, reason: str, event: int, message: str
) -> None:
    need()
    given = wrong(what, at, "WITH_REALLOC", *(["WITH_ASSERT"] if what == "ASSERTION" else []))
    with pytest.raises(MachineError, match=message) as caught:
        cortexm.measure(EVENTS, **given, heap_size=1000, cpu=cpu)
    assert (caught.value.reason, caught.value.event) == (reason, event)
    assert str(caught.value).startswith(f"event {event}, ")
    assert "in an arena of 1,000 bytes" in str(caught.value)


def test_blocks_that_are_aligned_to_4_bytes_where_that_is_meant() -> None:
    need()
    run = cortexm.measure(EVENTS, **wrong("HALF_ALIGNED", 4), heap_size=1000, alignment=4)
    assert run.addresses[4] == 0x2000_0054


def test_one_that_goes_right_and_its_own_realloc() -> None:
    need()
    plain = cortexm.measure(EVENTS, **wrong("NOTHING", 4), heap_size=1000)
    own = cortexm.measure(EVENTS, **wrong("NOTHING", 4, "WITH_REALLOC"), heap_size=1000)
    blocks = [0x2000_0000, 0x2000_0028, 0x2000_0000, 0x2000_0040, 0x2000_0050, 0x2000_0028]
    blocks += [0x2000_0058, 0x2000_0068, 0x2000_0058]
    assert plain.addresses.tolist() == own.addresses.tolist() == blocks
    malloc, free = plain.of(Op.MALLOC)[-1], plain.of(Op.FREE)[-1]
    assert plain.of(Op.REALLOC).tolist() == [malloc + free]
    assert own.of(Op.REALLOC)[0] > malloc + free  # it copies, here
    assert own.library_flash > plain.library_flash == 0  # memcpy


def test_requests_for_nothing_and_blocks_that_could_not_be_had() -> None:
    need()
    events = [("m", 0, 0), ("m", 1, 2000), ("r", 1, 8), ("f", 1), ("m", 1, 8), ("r", 1, 5000)]
    events += [("r", 1, 0), ("r", 1, 16), ("f", 1), ("f", 0)]
    trace = Trace.from_events(events)
    theirs = cortexm.measure(trace, **HEAP_4, heap_size=1000)
    mine = cortexm.measure(trace, "heap_4", heap_size=1000)
    assert theirs.failed.tolist() == [event in (1, 5) for event in range(10)]
    assert np.array_equal(theirs.addresses, mine.replay.column("address"))
    # An event that calls nothing costs nothing.
    assert theirs.instructions[2] == theirs.instructions[3] == 0


@pytest.mark.parametrize("events", [[], [("m", 0, 0), ("f", 0)], [("m", 0, 1)]])
def test_traces_of_next_to_nothing(events: list[tuple[Any, ...]]) -> None:
    need()
    trace = Trace.from_events(events)
    found = cortexm.measure(trace, **HEAP_4)
    assert found.failures == 0
    assert found.heap_size == minimum_heap_size(trace, Heap4).size
    assert len(found.addresses) == len(found.instructions) == len(events)
    assert "events" in dict(found.summary())


def test_an_arena_that_the_allocator_refuses() -> None:
    need()
    with pytest.raises(ValueError, match=r"heap_size is 56; rh_foreign_init\(\) refused"):
        cortexm.measure(EVENTS, **wrong("NOTHING", 0), heap_size=56)


def test_a_trace_that_no_arena_serves() -> None:
    """It reuses nothing."""
    need()
    events: list[tuple[Any, ...]] = []
    for number in range(600):
        events += [("m", number, 1000), ("f", number)]
    trace = Trace.from_events(events)
    with pytest.raises(UnservableError, match=r"no arena up to [\d,]+ bytes .* event \d+ fails"):
        cortexm.measure(trace, **wrong("NOTHING", 10_000))


# --------------------------------------------------------------------------- flash and RAM

PLAIN = """\
#include "rh_foreign.h"
static unsigned char *next, *end;
bool rh_foreign_init(void *memory, size_t size) {
    next = memory;
    end = next + size;
    return true;
}
void *rh_foreign_malloc(size_t size) {
    unsigned char *block = next;
    if (size + 8 > (size_t)(end - next)) return NULL;
    next += (size + 7) & ~(size_t)7;
    WORK;
    return block;
}
void rh_foreign_free(void *memory) {
    (void)memory;
}
size_t rh_foreign_free_size(void) { /* no event calls it */
    static const unsigned char much[4096] = {1};
    return much[(size_t)(end - next) & 4095];
}
"""


@pytest.mark.parametrize("toolchain", [GCC, "zig"])
def test_flash_and_ram_are_those_of_the_sources(tmp_path: Path, toolchain: str) -> None:
    need(toolchain)
    source = tmp_path / "plain.c"
    source.write_text(PLAIN)
    trace = Trace.from_events([("m", 0, 8), ("m", 1, 8), ("f", 0), ("f", 1)])

    def memory(table: str = "", work: str = "(void)0") -> tuple[int, int]:
        source.write_text(f"{table}\n{PLAIN}")
        run = cortexm.measure(
            trace,
            sources=[source],
            defines={"WORK": work},
            heap_size=1024,
            toolchain=toolchain,
        )
        assert (run.library_flash, run.library_ram) == (0, 0)
        return run.flash, run.ram

    flash, ram = memory()
    assert 30 < flash < 120
    assert ram == 8
    grown = []
    for kind, value in (("const ", "{1, 2}"), ("", "{0}"), ("", "{1, 2}")):
        sizes = [
            memory(
                f"volatile unsigned sink; extern {kind}unsigned char table[{length}];\n"
                f"{kind}unsigned char table[{length}] = {value};",
                "sink = table[(size_t)block / 8 % 128]",
            )
            for length in (256, 512)
        ]
        grown.append(tuple(np.subtract(sizes[1], sizes[0]).tolist()))
    assert grown == [(256, 0), (0, 256), (256, 256)]


# ------------------------------------------------------------------------------- arguments


def test_what_does_not_compile_says_why(tmp_path: Path) -> None:
    need()
    bad = tmp_path / "bad.c"
    bad.write_text('#include "rh_foreign.h"\nint broken( { return 1; }\n')
    with pytest.raises(
        ToolchainError, match=rf"{bad} does not compile:\n(.*\n)*.*bad.c:2:\d+: err"
    ):
        cortexm.measure(EVENTS, sources=[bad])
    bad.write_text('#include "nowhere.h"\n')
    with pytest.raises(ToolchainError, match=r"nowhere.h: No such file"):
        cortexm.measure(EVENTS, sources=[bad])


def test_what_does_not_link_says_why(tmp_path: Path) -> None:
    need()
    half = tmp_path / "half.c"
    half.write_text(
        '#include "rh_foreign.h"\nbool rh_foreign_init(void *m, size_t n) { return m && n; }\n'
        "void *rh_foreign_malloc(size_t size) { return (void *)size; }\n"
    )
    with pytest.raises(ToolchainError, match=r"half.c do not link:\n(.*\n)*.*rh_foreign_free"):
        cortexm.measure(EVENTS, sources=[half])


@pytest.mark.parametrize("toolchain", [GCC, "zig"])
def test_what_would_not_be_constructed_does_not_link(tmp_path: Path, toolchain: str) -> None:
    need(toolchain)
    source = tmp_path / "begins.c"
    begin = (
        "static volatile int begun;\n__attribute__((constructor)) void begin(void) { begun = 1; }"
    )
    source.write_text(f"{PLAIN}\n{begin}\n")
    with pytest.raises(ToolchainError, match="constructed before main"):
        cortexm.measure(EVENTS, sources=[source], defines={"WORK": "(void)0"}, toolchain=toolchain)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sources": []}, ValueError, "sources is empty"),
        ({"sources": "adapter.c"}, TypeError, "sources is 'adapter.c'; it must be a sequence"),
        ({"sources": [b"nowhere.c"]}, TypeError, "sources has b'nowhere.c'; it must be a sequence"),
        ({"sources": ["nowhere.c"]}, ValueError, "sources has 'nowhere.c', which is no file"),
        ({**HEAP_4, "include": ["nowhere"]}, ValueError, "include has 'nowhere', which is no fol"),
        ({**HEAP_4, "defines": ["X=1"]}, TypeError, r"defines is \['X=1'\]; it must be a mapping"),
        ({**HEAP_4, "cpu": "z80"}, ValueError, "cpu is 'z80'"),
        ({**HEAP_4, "optimize": "-O9"}, ValueError, "optimize is '-O9'"),
        ({**HEAP_4, "alignment": 3}, ValueError, "alignment is 3"),
        ({**HEAP_4, "heap_size": 0}, ValueError, "heap_size is 0"),
        ({**HEAP_4, "heap_size": "1K"}, TypeError, "heap_size is '1K'"),
        ({**HEAP_4, "heap": "heap_4"}, ValueError, "heap is 'heap_4'; .* sources are given"),
        ({**HEAP_4, "protector": True}, ValueError, "protector is True"),
        ({**HEAP_4, "regions": [(0, 8)]}, ValueError, "regions is"),
        ({"defines": {"X": 1}}, ValueError, "defines is {'X': 1}; it goes with sources"),
        ({"name": "mine"}, ValueError, "name is 'mine'; it goes with sources"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    need()
    with pytest.raises(error, match=message):
        cortexm.measure(EVENTS, **arguments)


# --------------------------------------------------------------------------------- command


def run_command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser)
    status: int = command.run(parser.parse_args([str(word) for word in arguments]))
    return status


SOURCES = [f"--source={path}" for path in HEAP_4["sources"]]
SOURCES += [f"--include={CORE}", "--define=RH_CHECKS=0", "--define=HEAP=4"]


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    need()
    assert (
        run_command("coap-server", *SOURCES, "--name=mine", "--heap=heap_4", "--cpu=cortex-m4") == 0
    )
    text = capsys.readouterr().out
    assert "bytes of mine; in brackets" in text
    assert "least found, 12 tried" in text
    assert [line.split()[1:3] for line in text.splitlines() if " free " in line] == [
        ["mine", "free"],
        ["heap_4", "free"],
    ]


def test_command_json(capsys: pytest.CaptureFixture[str]) -> None:
    need()
    assert run_command("coap-server", *SOURCES, "--heap-size=20K", "--json") == 1  # some fail
    found = json.loads(capsys.readouterr().out)
    assert found["footprints"] == []
    assert [row["cpu"] for row in found["measurements"]] == ["cortex-m0", "cortex-m4"]
    for row in found["measurements"]:
        assert (row["heap"], row["heap_size"]) == ("adapter_ours", 20480)
        assert row["smallest"] is None
        assert row["failures"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source=nowhere.c"], "sources has 'nowhere.c'"),
        (["--alignment=4"], "are of --source: say --source, too"),
        (["--define=X"], "--alignment and --name are of --source"),
        (["--bound", "--source=x.c", "--heap-size=1K"], "--bound is of the heaps"),
        (
            [
                f"--source={FIRMWARE / 'adapter_wrong.c'}",
                *("--define=WRONG=FAULT", "--define=WRONG_AT=3", "--heap-size=64K"),
            ],
            "event 3, malloc",
        ),
    ],
)
def test_command_with_bad_input(words: list[str], message: str) -> None:
    need()
    with pytest.raises(ValueError, match=message):  # the command line makes it one line
        run_command(*words)
