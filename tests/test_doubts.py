"""What is missing of a recording, or strange about it, is said by every result."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import needs
import numpy as np
import pytest

from rtosheap import Heap4, Trace, compare, minimum_heap_size, replay
from rtosheap.cli import main
from rtosheap.traces import Dropped, Loss
from rtosheap.traces.formats.files import write
from rtosheap.traces.loss import _DROPPED_WORDS, _HARMLESS, _WORDS

LOSS = Loss(lost_events=22, damaged_bytes=600, free_null_lines=3)
DROPPED = Dropped(bad_line=4, time_set=1)
PROGRAM = [sys.executable, "-m", "rtosheap"]


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


@pytest.mark.parametrize("command", ["size", "compare", "replay"])
def test_every_command_says_them(tmp_path: Path, capsys, command: str) -> None:
    file = tmp_path / "t.trace"
    with_losses().save(file)
    more = ["--heap-size", "1K"] if command == "replay" else []
    assert main([command, str(file), *more]) == 0
    assert "does not hold: 22" in " ".join(capsys.readouterr().out.split())
    assert main([command, str(file), "--json", *more]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["loss"]["lost_events"] == 22
    assert "22" in shown["warnings"][0]
    if command == "size":
        assert shown["exact"] is False


def test_heaptracks_own_block() -> None:
    meta = {"source": "heaptrack (raw)"}
    trace = Trace("mm", id=[0, 1], size=[72_704, 100], meta=meta)
    (warning,) = minimum_heap_size(trace, Heap4, word_size=8).warnings
    assert "the first block, of 72,704 bytes, is the recorder's" in warning
    without = trace.what_if("static:size=72704")
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


# ---------------------------------------------------------------------- the command line's ends


def shell(line: str) -> subprocess.CompletedProcess[str]:
    command = line.replace("rtosheap", f"{sys.executable} -m rtosheap", 1)
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=needs.LAST_RESORT
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("rtosheap size coap-server >&-", "standard output is closed"),
        ("rtosheap size - <&-", "-: standard input is closed"),
        ("rtosheap size coap-server >/dev/full", "No space left on device"),
        ("rtosheap compare coap-server --json >/dev/full", "No space left on device"),
    ],
)
def test_a_stream_that_is_closed_or_full(line: str, complaint: str) -> None:
    done = shell(line)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


def test_standard_error_that_is_closed() -> None:
    assert shell("rtosheap size nothing-here 2>&-").returncode == 2


def test_an_interrupt_with_workers() -> None:
    """One line, however many processes were at work."""
    begun = subprocess.Popen(
        [*PROGRAM, "compare", "sqlite-log", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{begun.pid}/task/{begun.pid}/children")
    last = time.monotonic() + needs.LAST_RESORT
    while begun.poll() is None and len(children.read_text().split()) < 2:
        assert time.monotonic() < last
    os.killpg(begun.pid, signal.SIGINT)
    _, complaint = begun.communicate(timeout=needs.LAST_RESORT)
    if begun.returncode != 0:  # else it was faster
        assert begun.returncode in (130, -signal.SIGINT)
        assert "Traceback" not in complaint
        assert complaint in ("rtosheap: interrupted\n", "")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from rtosheap.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "command",
    [
        ["size", "huge.trace", "--word-size", "8"],
        ["replay", "huge.trace", "--word-size", "8", "--heap-size", "8000M"],
        ["compare", "huge.trace", "--word-size", "8", "--heap", "heap_4"],
    ],
    ids=lambda command: command[0],
)
def test_what_is_too_large_for_this_machine_is_named(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "huge.trace").write_text(
        "# rtosheap-trace 1\nm 0 2000000000\nm 1 2000000000\nf 0\nf 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=needs.LAST_RESORT,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "bytes" in done.stderr
    assert any(word.replace(",", "").isdigit() for word in done.stderr.split())


def test_null_is_0_too() -> None:
    heap = Heap4(1024)
    heap.free(0)
    assert heap.free_count == 0
