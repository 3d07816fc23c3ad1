"""What recorders write: every sample imports to what it must, and says what it could not tell."""

from __future__ import annotations

import csv
import gzip
import io
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import zstandard
from parts import few_of
from steps import steps
from trace_files import load
from trace_strategies import triples

from rtosheap import Heap4, Trace, TraceError, replay
from rtosheap.cli import main
from rtosheap.traces import Dropped, Loss, TraceWarning, formats

DATA = Path(__file__).parent / "data"
SAMPLES = DATA / "recorders"
LOGS = DATA / "freertos-logs"
EXPECTED = list(csv.DictReader((SAMPLES / "EXPECTED.tsv").open(), delimiter="\t"))
BYTES = {row["file"]: int(row["bytes"]) for row in EXPECTED}
LOSSES = ("failed", "free_null_lines", "foreign_frees", "implied_frees")

pytestmark = pytest.mark.filterwarnings("error")


def sample(name):
    folder, _, file = name.partition("/")
    return LOGS / file if folder == "freertos" else SAMPLES / name


def unpacked(name):
    data = sample(name).read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    elif name.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    assert len(data) == BYTES[name]
    return data


def test_there_are_17_samples_and_three_of_heaptrack_interpreted():
    found = {str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*")}
    logs = {name for name in BYTES if name.startswith("freertos/")}
    interpreted = {name for name in found if ".interp." in name}
    assert (len(BYTES), len(logs), len(interpreted)) == (17, 2, 3)
    assert found == set(BYTES) - logs | interpreted


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_samples(row):
    trace = Trace.load(sample(row["file"]))
    found = {name: getattr(trace.loss, name) for name in LOSSES}
    found["bytes"] = len(unpacked(row["file"]))
    found["events"] = len(trace)
    names = ("allocs", "frees", "reallocs", "peak_live_bytes", "max_live_blocks", "never_freed")
    found.update({name: getattr(trace, name) for name in names})
    assert trace.loss.runtime_blocks == row["file"].startswith("heaptrack/")
    if trace.loss.runtime_blocks:  # in the file it is live from the first event to the last ones
        more = {"events": 2, "allocs": 1, "frees": 1, "peak_live_bytes": 72_704}
        more["max_live_blocks"] = 1
        found.update({name: found[name] + count for name, count in more.items()})
    assert found == {name: int(value) for name, value in row.items() if name != "file"}


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_a_sample_is_told_by_its_content(row):
    data = unpacked(row["file"])
    name = row["file"].partition("/")[0]
    assert [reader.NAME for reader in formats.READERS if reader.sniff(data[:65536])] == [name]
    assert load(data) == Trace.load(sample(row["file"])) == load(data, format=name)


def test_one_program_seen_by_three_recorders():
    # every import numbers ids alike, in the order of allocation
    streams = [
        triples(Trace.load(sample(name)))
        for name in (
            "valgrind/cjson-tele12.log",
            "ltrace/cjson-tele12.libc.log",
            "mtrace/cjson-tele12.log",
        )
    ]
    assert streams[0] == streams[1] == streams[2]
    assert len(streams[0]) == 1872


HEAPTRACK = {"cjson-tele12": 1_890, "edge": 23}


@pytest.mark.parametrize("name", HEAPTRACK)
def test_heaptrack_interpreted_is_raw_but_for_the_blocks(name):
    raw, seen = (Trace.load(sample(f"heaptrack/{name}.{how}.zst")) for how in ("raw", "interp"))
    assert len(seen) == HEAPTRACK[name]
    assert raw.op.tobytes() == seen.op.tobytes()
    assert raw.live_bytes().tolist() == seen.live_bytes().tolist()
    assert seen.recorded_address is None
    assert seen.loss.split_reallocs == raw.loss.split_reallocs > 0
    assert (seen.loss.ambiguous_frees > 0) == (name == "cjson-tele12")
    assert raw.time is not None
    assert raw.time_unit == "ms"


def test_heaptrack_interpreted_threads():
    seen = Trace.load(sample("heaptrack/threads.interp.zst"))
    raw = Trace.load(sample("heaptrack/threads.raw.zst"))
    assert (seen.allocs, seen.frees, seen.never_freed) == (raw.allocs, raw.frees, raw.never_freed)


def test_loss_in_words():
    loss = Trace.load(sample("ltrace/edge.plt.log")).loss
    assert loss == Loss(failed=1, free_null_lines=1, foreign_frees=4, unseen_blocks=3)
    assert str(loss).splitlines()[0] == "requests that failed, which a trace leaves out: 1"
    assert len(str(loss).splitlines()) == 4
    assert not Trace("m", [0], [1]).loss


def test_freertos_golden_addresses():
    """A Heap4 at the recorded arena returns what the kernel's did, by the recording itself."""
    trace = Trace.load(LOGS / "cm3-mode0.log.gz")
    heap = Heap4(49152, base_address=0x2024A180)
    result = replay(trace, heap, record=("address", "failed"))
    assert len(trace) == 43_660
    assert np.array_equal(result["address"], trace.recorded_address)
    assert heap.minimum_ever_free_size == int(trace.meta["minimum_ever_free"])
    assert heap.free_size == int(trace.meta["free"])


def test_threads_are_tasks_in_global_order():
    trace = Trace.load(sample("ltrace/threads.plt.log"))
    assert trace.task_names == ("6372", "6373", "6374")
    # a block's free may stand in another thread than its malloc
    assert trace.frees > 0


def test_convert_prints_the_loss(tmp_path, capsys):
    out = tmp_path / "edge.trace"
    assert main(["convert", str(sample("valgrind/edge.log")), str(out)]) == 0
    said = capsys.readouterr().out
    assert "25 events" in said
    assert "requests whose alignment a trace cannot hold: 3" in said
    assert len(Trace.load(out)) == 25


def test_slices_and_sums_keep_the_loss():
    trace = Trace.load(sample("valgrind/edge.log"))
    assert trace[3:9].loss == trace.loss
    assert trace[3:9].recorded_address.tolist() == trace.recorded_address[3:9].tolist()
    assert (trace + trace).loss.failed == 2
    assert (trace + trace).recorded_address is None


# ---------------------------------------------------------------------- single rules

RULES = {
    "valgrind: realloc(NULL) is a malloc": (
        "--1-- realloc(0x0,9)malloc(9) = 0x10\n--1-- free(0x10)\n",
        ["m0 9", "f0 0"],
        {},
    ),
    "valgrind: operators of 32 bits": (
        "--1-- _Znwj(9) = 0x10\n--1-- _ZdlPvj(0x10)\n",
        ["m0 9", "f0 0"],
        {},
    ),
    "valgrind: an operator that aligns": (
        "--1-- _ZnwmSt11align_val_t(size 40, al 64) = 0x40\n--1-- _Znam(size 8) = 0x10\n",
        ["m0 40", "m1 8"],
        {"alignments": 1},
    ),
    "valgrind: a block given out twice": (
        "--1-- malloc(1) = 0x10\n--1-- malloc(2) = 0x10\n",
        ["m0 1", "f0 0", "m1 2"],
        {"implied_frees": 1},
    ),
    "valgrind: another process": (
        "--1-- malloc(1) = 0x10\n--2-- malloc(2) = 0x10\n",
        ["m0 1"],
        {"other_processes": 1},
    ),
    "valgrind: other text": (
        "==1== Memcheck\nhello\n--1-- REDIR: 0x1 (x) redirected\n--1-- calloc(2,3) = 0x10\n",
        ["m0 6"],
        {},
    ),
    "valgrind: a realloc that fails keeps its block": (
        "--1-- malloc(1) = 0x10\n--1-- realloc(0x10,99) = 0x0\n--1-- free(0x10)\n",
        ["m0 1", "f0 0"],
        {"failed": 1},
    ),
    "valgrind: a realloc of a foreign block": (
        "--1-- realloc(0x20,99) = 0x10\n",
        ["m0 99"],
        {"foreign_reallocs": 1},
    ),
    "mtrace: a failed realloc": (
        "= Start\n@ a:[0x1] + 0x10 0x9\n@ a:[0x1] ! 0x10 0xff\n@ a:[0x1] ! 0x10 0\n= End\n",
        ["m0 9", "f0 0"],
        {"failed": 1},
    ),
    "mtrace: a caller with blanks": (
        "= Start\n@ /my dir/a:(f+1)[0x1] + 0x10 0x9\n",
        ["m0 9"],
        {},
    ),
    "ltrace: a free whose block is given out before it returns": (
        "1 a->malloc(5) = 0x10\n1 a->free(0x10 <unfinished ...>\n2 a->malloc(6) = 0x10\n"
        "1 <... free resumed> ) = <void>\n",
        ["m0 5", "f0 0", "m1 6"],
        {},
    ),
    "ltrace: nil": ("1 a->malloc(5) = nil\n1 a->malloc(5) = 0x10\n", ["m0 5"], {"failed": 1}),
    "ltrace: no process numbers": (
        "a->calloc(5, 2) = 0x10\na->free(0x10) = <void>\n",
        ["m0 10", "f0 0"],
        {},
    ),
    "pigweed": (
        "m 10 0x1000\nm 20 0x1010\nf 0x1000\nf 0x0\nm 99 0x0\nf 0x77\n",
        ["m0 10", "m1 20", "f0 0"],
        {"free_null_lines": 1, "failed": 1, "foreign_frees": 1},
    ),
    "pigweed without 0x": ("m 10 20001000\nf 20001000\n", ["m0 10", "f0 0"], {}),
    "freertos: failures and lost lines": (
        "M 0x10 5 16 1\nX 0x0 999 0 2\nF 0x10 16 3\n=4 1 10 20\n",
        ["m0 5", "f0 0"],
        {"failed": 1, "lost_events": 2},
    ),
    "heaptrack: raw": (
        "v 10400 3\n+ ff 1 a0\nc 10\n- a0\n- b0\n",
        ["m0 255", "f0 0"],
        {"foreign_frees": 1},
    ),
}


@pytest.mark.parametrize(("text", "right", "loss"), RULES.values(), ids=RULES)
def test_rules(text, right, loss):
    trace = load(text)
    assert [f"{e.op}{e.id} {e.size}" for e in trace] == right
    assert trace.loss == Loss(**loss)


def test_the_largest_failed_request_is_kept():
    assert load("m 10 0x10\nm 99 0x0\n").meta["largest_failed_request"] == "99"


# ---------------------------------------------------------------------- what is wrong

BAD = {
    "valgrind": "--1-- malloc(7) = 0x10\n--1-- malloc(x) = 0x20\n",
    "mtrace": "= Start\n@ a:[0x1] + 0x10\n",
    "mtrace without a mark": "= Start\n@ a:[0x1] + 0x10 0x9\na:[0x1] + 0x20 0x9\n",
    "mtrace half": "= Start\n@ a:[0x1] > 0x10 0x9\n",
    "mtrace other half": "= Start\n@ a:[0x1] - 0x10\n@ a:[0x1] < 0x10\n@ a:[0x1] - 0x10\n",
    "ltrace": "1 a->malloc(5) = 0x10\n1 a->malloc(5) 0x20\n",
    "ltrace number": "1 a->malloc(5) = 0x10\n1 a->malloc(five) = 0x20\n",
    "heaptrack": "v 10400 3\n+ ff 1\n",
    "heaptrack version": "v 10400 9\n+ ff 1 10\n",
    "heaptrack index": "v 10400 3\na 10 1\n+ 0\n+ 1\n",
    "freertos": "M 0x10 5 16 1\nM 0x20 5 16\n",
    "freertos tick": "M 0x10 5 16 5\nM 0x20 5 16 4\n",
    "pigweed": "m 10 0x10\nm ten 0x20\n",
}
LINES = {
    "mtrace other half": 4,
    "mtrace without a mark": 3,
    "heaptrack version": 1,
    "heaptrack index": 4,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_an_error_with_its_number(name):
    with pytest.raises(TraceError) as caught:
        load(BAD[name], format=name.partition(" ")[0])
    assert caught.value.line == LINES.get(name, 2)
    if "version" in name:
        return
    with pytest.warns() if name.startswith("freertos") else pytest.MonkeyPatch.context():
        dropped = load(BAD[name], format=name.partition(" ")[0], strict=False).dropped
    assert dropped == (Dropped(time_set=1) if name == "freertos tick" else Dropped(bad_line=1))


@pytest.mark.parametrize("row", few_of(EXPECTED, EXPECTED[::3]), ids=lambda row: row["file"])
def test_a_cut_last_line_is_tolerated_and_reported(row):
    """Wherever a log is cut, what stands before is imported as it would have been."""
    warnings.simplefilter("ignore", TraceWarning)
    data = unpacked(row["file"])[:6000]
    name = row["file"].partition("/")[0]
    whole = data[: data.rfind(b"\n") + 1]
    reference = load(whole, format=name)
    last = data[len(whole) :] or b"x"
    for end in range(1, len(last)):
        found = load(whole + last[:end], format=name)
        if found.loss.cut_lines or len(found) == len(reference):
            assert triples(found) == triples(reference)
        else:  # a whole line that lacks its end only
            assert found.loss.cut_lines == 0
    for end in range(len(whole) - 300, len(whole)):
        found = load(data[:end], format=name)
        assert found.loss.cut_lines <= 1
        assert triples(found) == triples(reference)[: len(found)]
    assert load(whole[: whole.rfind(b"\n", 0, -1) + 3], format=name).loss.cut_lines == 1


def test_a_log_without_its_end_says_so():
    with pytest.warns(TraceWarning, match="cut short"):
        load("M 0x10 5 16 1\n")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_every_format_may_be_compressed(pack):
    data = unpacked("valgrind/edge.log")
    assert load(pack(data)) == load(data)
    assert load(pack(b"# rtosheap-trace 1\n") + pack(b"m 1 5\n"))[0].size == 5


def test_damaged_zstandard_is_an_error():
    data = bytearray(sample("heaptrack/edge.raw.zst").read_bytes())
    data[20:40] = bytes(20)
    with pytest.raises(TraceError, match="compressed data are damaged"):
        load(bytes(data))


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_whatever_a_log_holds_it_is_read_or_refused(row):
    """Changed bytes, lines and numbers make a `TraceError` at most."""
    warnings.simplefilter("ignore", TraceWarning)
    rng = random.Random(row["file"])
    lines = unpacked(row["file"])[:20_000].splitlines(keepends=True)[:80]
    name = row["file"].partition("/")[0]
    for _ in range(50):
        changed = bytearray(b"".join(lines))
        for _ in range(rng.choice([1, 1, 3, 20])):
            at = rng.randrange(len(changed))
            piece = rng.choice(
                [b"9" * 30, b"f" * 30, b"0", b"-", b" ", b"\n", b"0x", b"(", b"\xff"]
            )
            changed[at : at + rng.choice([0, 1, 5])] = piece
        for strict in (True, False):
            try:
                trace = load(bytes(changed), format=name, strict=strict)
            except TraceError:
                continue
            assert len(trace) <= len(lines) * 4


def test_an_import_takes_as_much_for_each_of_many_lines():
    """Some 37 steps of Python a line, however many there are: a million took 2 s when written."""
    lines = unpacked("mtrace/cjson-tele12.log").splitlines(keepends=True)[1:]
    assert len(lines) == 1890
    for times in (2, 20):
        data = b"= Start\n" + b"".join(lines) * times
        assert steps(lambda data=data: load(data)) < 60 * times * len(lines)
    assert len(load(b"= Start\n" + b"".join(lines) * 133)) > 245_000
