"""What is missing of a recording, or strange about it, is said by every result."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import tool
from plot_cases import legends

from rtosheap import (
    Heap4,
    Trace,
    assess,
    compare,
    data,
    minimum_heap_size,
    plot,
    replay,
    vary,
)
from rtosheap.cli import main
from rtosheap.comparison import compare_what_if
from rtosheap.requests import requested
from rtosheap.sizing import sizing_points
from rtosheap.traces import Dropped, Loss
from rtosheap.traces.doubts import doubts, is_complete
from rtosheap.traces.formats.files import write
from rtosheap.traces.formats.heaptrack import read as read_heaptrack
from rtosheap.traces.loss import _DROPPED_WORDS, _HARMLESS, _WORDS
from rtosheap.traces.sizes import ADJUSTED, LOGGED

LOSS = Loss(lost_events=22, damaged_bytes=600, free_null_lines=3)
DROPPED = Dropped(bad_line=4, time_set=1)
SAMPLES = Path(__file__).parent / "data" / "recorders"


def with_losses(loss: Loss = LOSS, dropped: Dropped = DROPPED) -> Trace:
    trace = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 300])
    columns = trace._columns
    columns.loss, columns.dropped = loss, dropped
    return trace


@pytest.mark.parametrize("suffix", [".trace", ".trace.gz", ".npz"])
def test_losses_are_saved_with_the_trace(tmp_path: Path, suffix: str) -> None:
    trace = with_losses()
    trace.save(tmp_path / f"t{suffix}")
    again = Trace.load(tmp_path / f"t{suffix}")
    assert (again.loss, again.dropped) == (LOSS, DROPPED)
    assert again == trace
    assert "missing" not in again.meta
    whole = Trace("m", id=[0], size=[8])
    whole.save(tmp_path / f"w{suffix}")
    assert not Trace.load(tmp_path / f"w{suffix}").loss


@pytest.mark.parametrize("suffix", [".csv", ".rep"])
def test_formats_that_cannot_hold_them_say_so(tmp_path: Path, suffix: str) -> None:
    with pytest.warns(UserWarning, match="what is missing of"):
        write(with_losses(), tmp_path / f"t{suffix}")


@pytest.mark.parametrize(
    "text", ["lost_events", "lost_events=", "lost_events=-1", "x=1", "lost_events=" + "9" * 30]
)
def test_a_header_that_miscounts(text: str) -> None:
    data = f"# rtosheap-trace 1\n# missing: {text}\nm 0 8\n".encode()
    with pytest.raises(ValueError, match=r"'missing' holds .* words such as lost_events=22"):
        Trace.load(io.BytesIO(data))


def test_a_day_made_of_lossy_recordings_says_so(lossy: tuple[Trace, Trace]) -> None:
    made = vary(lossy, seed=1)
    assert made.loss == Loss()
    of_parts, wide = doubts(made, 4)
    assert of_parts == "the recording is not complete: it was made of recordings that are not"
    assert wide.startswith(WIDE)
    assert not is_complete(made)
    assert not minimum_heap_size(made, Heap4).exact
    assert doubts(vary([made, lossy[0]], seed=1), 4) == (of_parts, wide)
    logged = Trace("mf", [0, 0], [16, 0], time=[0, 9], meta={"sizes": LOGGED})
    assert vary(logged, seed=1).meta["sizes"] == LOGGED
    assert doubts(vary(Trace("mf", [0, 0], [16, 0], time=[0, 9]), seed=1), 4) == ()


def test_c_says_them(lossy: tuple[Trace, Trace]) -> None:
    head = lossy[0].to_c().partition("#include")[0]
    assert "does not hold: 22" in " ".join(head.replace(" * ", " ").split())
    assert WIDE in " ".join(head.replace(" * ", " ").split())
    assert "Warning" not in Trace("m", [0], [8]).to_c()
    hostile = Trace("m", [0], [8], meta={"incomplete": "*/ #error /* \\"}).to_c()
    assert "*/ #error" not in hostile


def test_every_kind_has_words_and_a_weight() -> None:
    assert set(_WORDS) == set(Loss._fields)
    assert set(_DROPPED_WORDS) == set(Dropped._fields)
    assert set(_WORDS) & set(_DROPPED_WORDS) == set()
    assert set(_WORDS) | set(_DROPPED_WORDS) > _HARMLESS


def test_every_result_says_them() -> None:
    trace = with_losses()
    expected = ["lost_events", "damaged_bytes", "free_null_lines", "bad_line", "time_set"]
    size = minimum_heap_size(trace, Heap4)
    sides = compare(trace, heaps=["heap_1", "heap_4"])
    ran = replay(trace, Heap4(1024))
    for result in (size, sides, ran):
        (warning,) = result.warnings
        assert "not complete" in warning
        assert "does not hold: 22" in warning
        assert "free(NULL)" not in warning  # they change nothing
        flat = " ".join(str(result).split())
        assert "does not hold: 22" in flat
        assert "does not hold: 22" in result._repr_html_()
    for result in (size, sides):
        found = json.loads(json.dumps(result.to_dict()))
        assert sorted(found["loss"]) == sorted(expected)
        assert found["warnings"] == list(result.warnings)
    assert not size.exact
    assert not size.to_dict()["exact"]
    assert not any(row.exact for row in sides)
    harmless = minimum_heap_size(with_losses(Loss(free_null_lines=3), Dropped()), Heap4)
    assert harmless.exact
    assert harmless.warnings == ()


#: Every command that a recording is given to, and what else it needs.
COMMANDS = {
    "size": "size lossy.trace",
    "size of several": "size lossy.trace other.trace",
    "compare": "compare lossy.trace --heap heap_1 --heap heap_4",
    "compare what-if": "compare lossy.trace --heap heap_4 --what-if round:8",
    "replay": "replay lossy.trace --heap-size 164K",
    "assess": "assess lossy.trace other.trace --runs 30 --probability 0.2",
    "check": "check lossy.trace --heap-size 164K",
    "check that fails": "check lossy.trace --heap-size 1K",
    "check modelled": "check lossy.trace --heap-size 164K --probability 0.2 --runs 30",
    "diff": "diff lossy.trace other.trace",
    "report": "report lossy.trace -o page.html --heap heap_4",
    "convert": "convert lossy.trace out.trace",
    "cortexm": "cortexm lossy.trace --heap heap_1 --cpu cortex-m4",
}
WITHOUT_JSON = ("report", "convert")


@pytest.fixture(scope="module")
def lossy() -> tuple[Trace, Trace]:
    """Recordings of a 64-bit host that lack something, one of them by a name of its own."""
    found = []
    for day in data.days("recorder")[:2]:
        columns = day[:1500]._columns
        columns.meta["abi"] = "LP64 (x86-64, 8-byte pointers)"
        columns.loss, columns.dropped = LOSS, DROPPED
        found.append(day.with_columns(columns))
    return found[0], found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_them(lossy: tuple[Trace, Trace], run: Any, name: str) -> None:
    for trace, file in zip(lossy, ("lossy.trace", "other.trace"), strict=True):
        trace.save(file)
    if name == "cortexm":
        tool("arm-none-eabi-gcc")
    words = COMMANDS[name].split()
    done = run(*words)
    assert done.status == (name == "check that fails"), done.err
    said = " ".join(done.out.split())
    for text in ("does not hold: 22", "no event, left out: 4", WIDE):
        assert text in said
    if name in WITHOUT_JSON:
        written = Path(words[words.index("-o") + 1] if "-o" in words else words[-1])
        text = written.read_text()
        assert "does not hold: 22" in text or "lost_events=22" in text
        return
    shown = run(*words, "--json").json
    for one in shown["measurements"] if name == "cortexm" else [shown]:
        assert one["exact"] is False
        assert one["loss"]["lost_events"] in (22, 44)
        warnings = " ".join(one["warnings"])
        assert "does not hold: 22" in warnings
        assert WIDE in warnings


def test_what_is_whole_is_exact(run: Any) -> None:
    Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 300]).save("a.trace")
    Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 400]).save("b.trace")
    for words in ("size a.trace", "compare a.trace", "replay a.trace --heap-size 1K",
                  "check a.trace --heap-size 1K", "diff a.trace b.trace"):  # fmt: skip
        shown = run(*words.split(), "--json").json
        assert (shown["exact"], shown["loss"], shown["warnings"]) == (True, {}, [])


def test_a_verdict_says_them_itself() -> None:
    whole = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 300])
    wide = Trace(whole.op, whole.id, whole.size, meta={"abi": "LP64"})
    narrow = Trace(whole.op, whole.id, whole.size, meta={"abi": "ILP32"})
    part = "This holds for what was recorded only, and not all of it was."
    of_host = "It was recorded with pointers of 8 bytes: where they have 4, blocks that hold "
    of_device = "It was recorded with pointers of 4 bytes: where they have 8, blocks that hold "
    for trace, word_size, text in (
        (with_losses(), 4, part),
        (wide, 4, f"{of_host}pointers are smaller."),
        (narrow, 8, f"{of_device}pointers are larger."),
        (whole, 4, None),
        (wide, 8, None),
    ):
        verdict = compare(trace, heaps=["heap_4"], word_size=word_size).verdict
        assert verdict.endswith(text or ".")
        assert ("recorded" in verdict) == (text is not None)
        none = compare(trace, heaps=["heap_4"], word_size=word_size, heap_size=64).verdict
        assert ("recorded" in none) == (text is not None)


def test_a_cpp_runtimes_block() -> None:
    meta = {"source": "glibc mtrace"}
    trace = Trace("mm", id=[0, 1], size=[72_704, 100], meta=meta)
    (warning,) = minimum_heap_size(trace, Heap4, word_size=8).warnings
    assert "the first block, of 72,704 bytes, is the C++ runtime's" in warning
    without = trace.what_if("without:size=72704")
    result = minimum_heap_size(without, Heap4, word_size=8)
    assert (result.peak_live_bytes, result.warnings) == (100, ())
    for other in (
        Trace("m", id=[0], size=[72_704]),
        Trace("mm", id=[0, 1], size=[100, 72_704], meta=meta),
    ):
        assert minimum_heap_size(other, Heap4, word_size=8).warnings == ()


def test_a_64_bit_hosts_recording_for_a_32_bit_device() -> None:
    by_abi = Trace("m", id=[0], size=[8], meta={"abi": "LP64 (x86-64)"})
    by_address = Trace("m", id=[0], size=[8])
    by_address._columns.addresses = np.array([0x5555_0000_1000], np.uint64)
    for trace in (by_abi, by_address):
        (warning,) = minimum_heap_size(trace, Heap4).warnings
        assert "64-bit host" in warning
        assert compare(trace).warnings == (warning,)
        assert replay(trace, Heap4(1024)).warnings == (warning,)
        assert minimum_heap_size(trace, Heap4, word_size=8).warnings == ()
        assert minimum_heap_size(trace, Heap4).exact  # of what was recorded


# ---------------------------------------------------------------------- from other machines

WIDE = "recorded on a 64-bit host, for a heap of 32-bit words"
OWN = "the first block, of 72,704 bytes, is the C++ runtime's"
LEFT_OUT = "the first block, of 72,704 bytes, was left out: it is the C++ runtime's"
UNKNOWN = "valgrind's log does not tell how large a pointer was"
#: What is said of the samples of each recorder, beside what they lack.
SAID = {
    "heaptrack/cjson-tele12.raw.zst": [LEFT_OUT, WIDE],
    "heaptrack/cjson-tele12.interp.zst": [LEFT_OUT, WIDE],
    "heaptrack/threads.interp.zst": [LEFT_OUT, WIDE],
    "mtrace/cjson-tele12.log": [WIDE],
    "mtrace/lua-arm.log": [],
    "ltrace/cjson-tele12.libc.log": [WIDE],
    "valgrind/cjson-tele12.log": [UNKNOWN],
    "valgrind/edge.log": [OWN, UNKNOWN],
}


def said_of(trace: Trace, word_size: int = 4) -> list[str]:
    """What is said of a trace, beside what it lacks."""
    return [text for text in doubts(trace, word_size) if not text.startswith("the recording is")]


@pytest.mark.parametrize("name", SAID)
def test_a_hosts_recording_for_a_small_device(name: str, tmp_path: Path) -> None:
    """However it was saved, cut, put together or changed."""
    trace = Trace.load(SAMPLES / name)
    trace.save(tmp_path / "a.trace")
    again = Trace.load(tmp_path / "a.trace")
    for known in (
        trace,
        again,
        trace[:-1],
        trace + again,
        trace.repeat(2),
        trace.what_if("round:8"),
    ):
        told = said_of(known)
        assert len(told) == len(SAID[name])
        assert all(map(str.startswith, told, SAID[name]))
    assert WIDE not in " ".join(said_of(trace, 8))


def test_the_runtimes_block_is_left_out_by_a_change(tmp_path: Path, capsys) -> None:
    name = str(SAMPLES / "valgrind/edge.log")
    with_it = minimum_heap_size(Trace.load(name), Heap4)
    assert with_it.peak_live_bytes == 72_704 + 384
    out = tmp_path / "own.trace"
    assert main(["convert", name, str(out), "--what-if", "without:size=72704"]) == 0
    assert "0 bytes are needed outside the heap" in capsys.readouterr().out
    trace = Trace.load(out)
    assert trace.meta["what_if"] == "without:size=72704"
    without = minimum_heap_size(trace, Heap4)
    assert without.peak_live_bytes == 384
    (warning,) = said_of(trace)
    assert warning.startswith(UNKNOWN)


def test_lines_that_a_log_counts_as_no_events_are_not_missing(tmp_path: Path) -> None:
    log = b"M 0x10 5 16 1\nwifi: up\nM 0x20 5 16 2\nF 0x10 16 3\n=%d 0 1 1\n"
    cut = b"0x8 3\n" + log
    for text in (log % 3, cut % 3):
        trace = Trace.load(io.BytesIO(text), format="freertos")
        trace.save(tmp_path / "a.trace")
        for one in (trace, Trace.load(tmp_path / "a.trace"), trace + trace, trace[:2]):
            assert one.dropped.bad_line
            assert doubts(one, 4) == ()
            assert is_complete(one)
        result = minimum_heap_size(trace, Heap4)
        assert result.exact
        assert result.summary()[0][0] == "smallest size"
        assert compare(trace, heaps=["heap_4"]).exact
    for total in (2, 4):
        trace = Trace.load(io.BytesIO(log % total), format="freertos")
        assert "no event, left out: 1" in doubts(trace, 4)[0]
        assert not compare(trace, heaps=["heap_4"]).exact
        other = Trace.load(io.BytesIO(log % 3), format="freertos")
        assert "no event, left out: 2" in doubts(trace + other, 4)[0]


def test_the_end_of_a_longer_recording_is_said_without_a_count(tmp_path: Path, capsys: Any) -> None:
    end = Trace("mm", [0, 1], [8, 9], meta={"incomplete": "the buffer had wrapped"})
    result = minimum_heap_size(end, Heap4)
    assert result.warnings == ("the recording is not complete: the buffer had wrapped",)
    assert result.summary()[0][0] == "smallest size for what was recorded"
    end.save(tmp_path / "a.trace")
    assert main(["convert", str(tmp_path / "a.trace"), str(tmp_path / "b.trace")]) == 0
    assert "the buffer had wrapped" in capsys.readouterr().out


def test_an_empty_part_hides_nothing() -> None:
    whole, wrapped = Trace("m", [0], [8]), Trace("m", [0], [8], meta={"incomplete": "wrapped"})
    for joined in (whole + wrapped[1:], wrapped[:0] + whole, wrapped[:0] + whole[:0]):
        assert not is_complete(joined)
    counted = Trace.load(io.BytesIO(b"M 0x10 5 16 1\n=1 0 1 1\n"), format="freertos")
    noise = b"M 0x10 5 16 1\nwifi: up\n=2 0 1 1\n"
    lost = Trace.load(io.BytesIO(noise), format="freertos")
    assert is_complete(counted + counted[:0])
    assert not is_complete(counted + lost[:0])
    cut = Trace.load(io.BytesIO(b"0x8 3\nM 0x10 5 16 1\n=1 0 1 1\n"), format="freertos")
    assert is_complete(cut + Trace("", [], [], time=[]))
    assert not is_complete(cut + lost[:0])


@pytest.mark.parametrize("how", ["raw", "interp"])
def test_heaptracks_own_block_is_left_out(how: str, tmp_path: Path, capsys) -> None:
    name = str(SAMPLES / f"heaptrack/cjson-tele12.{how}.zst")
    trace = Trace.load(name)
    assert (trace.loss.runtime_blocks, trace.peak_live_bytes) == (1, 4_452)
    assert 72_704 not in trace.size
    assert is_complete(with_losses(Loss(runtime_blocks=1), Dropped()))
    out = tmp_path / "own.trace"
    assert main(["convert", name, str(out)]) == 0
    assert "blocks of the recorder's own C++ runtime, left out: 1" in capsys.readouterr().out
    assert main(["size", str(out)]) == 0
    assert LEFT_OUT in " ".join(capsys.readouterr().out.split())


def test_errors_behind_heaptracks_block_name_the_line() -> None:
    text = b"v 1 3\n+ 11c00 1 10\n+ 8 1 20\n- 20\n- 10\n+ 8 1 30\n"
    columns = read_heaptrack(io.BytesIO(text), strict=True)
    assert columns.op.tobytes() == b"mfm"
    assert [columns.lines.of(event) for event in range(3)] == [3, 4, 6]
    alone = read_heaptrack(io.BytesIO(b"v 1 3\n+ 11c00 1 10\n"), strict=True)
    assert (len(alone.op), alone.loss.runtime_blocks) == (0, 1)


def test_a_change_that_leaves_blocks_out_spells_itself() -> None:
    changed = Trace("mmff", [0, 1, 1, 0], [8, 99, 0, 0]).what_if("without:size>=10")
    assert changed.size.tolist() == [8, 0]
    assert (changed.meta["what_if"], changed.meta["set_aside_bytes"]) == ("without:size>=10", "0")
    with pytest.raises(ValueError, match="without"):
        changed.what_if("without:")


@pytest.mark.parametrize(
    ("abi", "word_size", "less"),
    [
        ("LP64 (x86-64, 8-byte pointers)", 4, "smaller"),
        ("8-byte pointers", 4, "smaller"),
        ("LP64 (x86-64, 8-byte pointers)", 8, None),
        ("ILP32 (ARM EABI, 4-byte pointers)", 4, None),
        ("ILP32 (ARM EABI, 4-byte pointers)", 8, "larger"),
        ("", 4, None),
    ],
)
def test_pointers_of_two_machines(abi: str, word_size: int, less: str | None) -> None:
    trace = Trace("m", [0], [8], meta={"abi": abi} if abi else {})
    other = Trace("m", [0], [8], meta={"abi": "4-byte pointers" if word_size == 4 else "LP64"})
    found = doubts(trace, word_size)
    assert [f"is {less} on the device" in text for text in found] == [True] * (less is not None)
    assert doubts(trace + other, word_size) == doubts(other + trace, word_size) == found


def test_sizes_and_what_is_missing_stay_told_of_traces_put_together() -> None:
    logged = Trace("m", [0], [16], meta={"sizes": LOGGED, "incomplete": "its end alone"})
    other = Trace("m", [0], [16], meta={"sizes": ADJUSTED, "incomplete": "its middle"})
    asked = Trace("m", [0], [16])
    assert (logged + logged).meta["sizes"] == (logged + logged + logged).meta["sizes"] == LOGGED
    for left, right in ((logged, other), (logged, asked), (logged + asked, other)):
        both = left + right
        assert doubts(both, 4) == doubts(right + left, 4)
        assert "its end alone" in doubts(both, 4)[0]
        (told,) = [text for text in doubts(both, 4) if text.startswith("sizes are")]
        assert LOGGED in told
        with pytest.raises(ValueError, match="those of the trace are"):
            requested(both, Heap4)
    assert doubts(logged[:], 4) == doubts(logged.what_if("round:8"), 4) == doubts(logged, 4)
    asked_for = requested(logged + logged, Heap4)
    assert asked_for.size.tolist() == [8, 8]
    assert "up to 7 bytes" in (asked_for + asked).meta["sizes"]
    assert not doubts(asked, 4)


def test_what_is_known_of_a_valgrind_log_can_be_said() -> None:
    trace = Trace.load(SAMPLES / "valgrind/cjson-tele12.log")
    told = Trace(trace.op, trace.id, trace.size, meta={**trace.meta, "abi": "4-byte pointers"})
    assert said_of(trace)
    assert said_of(told) == []


# ---------------------------------------------------------------------- what else rests on a trace


def test_traces_that_are_repeated_lack_so_many_times_as_much() -> None:
    trace = with_losses()
    assert trace.repeat(2).loss == (trace + trace).loss == LOSS.times(2) == LOSS.merged(LOSS)
    assert trace.repeat(3).dropped == DROPPED.times(3) == Dropped(bad_line=12, time_set=3)
    assert not trace.repeat(0).loss


def test_curves_changes_and_pictures_say_them() -> None:
    trace, whole = with_losses(), Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 300])
    (warning,) = minimum_heap_size(trace, Heap4).warnings
    changed = compare_what_if(trace, "round:32", heaps=["heap_4"])
    assert changed.warnings == (warning,)
    assert f"Warning: {warning}." in " ".join(str(changed).split())
    assert sizing_points(trace, heaps=["heap_4"], sizes=[512]).warnings == (warning,)
    draw = [
        lambda shown: plot.comparison(compare(shown, heaps=["heap_4"])),
        lambda shown: plot.usage(replay(shown, Heap4(1024))),
        lambda shown: plot.memory_over_time(replay(shown, Heap4(1024))),
        lambda shown: plot.fragmentation(replay(shown, Heap4(1024), record="all")),
        lambda shown: plot.cost(replay(shown, Heap4(1024))),
        lambda shown: plot.sizing(shown, heaps=["heap_4"], sizes=[512]),
    ]
    for function in draw:
        titles = [legends(function(shown))[0].get_title().get_text() for shown in (trace, whole)]
        assert "1 warning" in titles[0]
        assert "warning" not in titles[1]


def test_a_picture_of_a_risk_says_them(lossy: tuple[Trace, Trace]) -> None:
    for days, told in ((lossy, True), (data.days("recorder")[:2], False)):
        ax = plot.risk(assess([day[:600] for day in days], Heap4, runs=20))
        title = legends(ax)[0].get_title().get_text()
        assert ("of what was recorded only" in title.replace("\n", " ")) == told


def test_a_replay_of_a_part_is_not_exact(tmp_path: Path, capsys) -> None:
    for trace, exact in (
        (with_losses(), False),
        (with_losses(Loss(free_null_lines=1), Dropped()), True),
    ):
        trace.save(tmp_path / "t.trace")
        assert main(["replay", str(tmp_path / "t.trace"), "--heap-size", "1K", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["exact"] is exact


def test_what_is_smallest_is_called_so_where_it_is() -> None:
    whole = Trace("mmfm", id=[0, 1, 0, 2], size=[100, 20, 0, 300])
    wide = Trace(whole.op, whole.id, whole.size, meta={"abi": "LP64"})
    named = [
        ("heap_4", whole, "smallest size"),
        ("heap_4", wide, "smallest size"),
        ("heap_2", wide, "smallest size"),
        ("heap_2", data.load("lua-sched"), "smallest size found"),  # not all sizes were tried
        ("heap_4", with_losses(), "smallest size for what was recorded"),
    ]
    for heap, trace, name in named:
        assert minimum_heap_size(trace, heap).summary()[0][0] == name


def test_events_of_other_processes_are_told():
    log = b"--7-- malloc(8) = 0x40\n" + b"--8-- malloc(8) = 0x50\n" * 3
    trace = Trace.load(io.BytesIO(log), format="valgrind")
    assert any("3 events of other processes were left out, beside 1" in t for t in doubts(trace, 4))


def test_a_log_without_its_end_is_told_after_it_was_converted(tmp_path):
    log = b"M 0x20000408 100 112 1234\nM 0x20000478 50 64 1235\n"
    with pytest.warns(match="whether the log was cut short is not known"):
        trace = Trace.load(io.BytesIO(log), format="freertos")
    trace.save(tmp_path / "kept.trace.gz")
    for one in (trace, Trace.load(tmp_path / "kept.trace.gz"), trace[:1]):
        assert any("whether the log was cut short is not known" in text for text in doubts(one, 4))
