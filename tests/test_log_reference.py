"""Recorders' logs read in C against the same read in Python: traces, errors and counts."""

from __future__ import annotations

import gzip
import io
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import recorder_reference
import zstandard
from fuzz import fuzz_readers
from hypothesis import given
from hypothesis import strategies as st
from parts import few_of
from reader_references import LOGS, assert_same, read

from rtosheap import _formats
from rtosheap.traces.formats import _address_log, streams
from rtosheap.traces.formats.streams import MAX_LINE

DATA = Path(__file__).parent / "data"
SEEDS = [(name, data) for name, data in fuzz_readers.seeds() if name in LOGS]

#: Lines of each format, and what stands in the place of N, H, 0x and T.
LINES = {
    "valgrind": [
        *("--1-- malloc(N) = 0xH", "--1-- free(0xH)", "--1-- calloc(N,N) = 0xH"),
        *("--1-- realloc(0xH,N) = 0xH", "--1-- realloc(0xH,N)malloc(N) = 0xH"),
        *("--1-- realloc(0xH,0)free(0xH)", "--1-- realloc(0x0,N)malloc(N) = 0xH"),
        *("--1-- _Znwm(N) = 0xH", "--1-- _ZdlPvm(0xH, N)", "--1-- _Zna(N) = 0xH"),
        *("--1-- memalign(al 64, size N) = 0xH", "--1-- _ZnwmSt11align_val_t(size N, al 64) = 0xH"),
        *("--2-- malloc(N) = 0xH", "--12-- free(0xH)", "--1-- malloc(size N) = 0xH"),
        *("==1== said", "--1-- REDIR: 0xH (x)", "--1-- free(0xH", "--1-- free(0xH)", "--1-- f(1)"),
    ],
    "freertos": [
        *("M 0xH N N T", "M 0xH N N T", "F 0xH N T", "F 0xH N T", "X 0x0 N 0 T", "M 0XH <=N N T"),
        *("M 0xH N T", "[00:01] M 0xH N N T", "I (5) a: F 0xH N T", "a>F 0xH N T", "aF 0xH N T"),
        *("\x1b[0mF 0xH N T", "a M 0x1 M 0xH N N T", "a M 0xH F 0x", "=N N N N", "# x", "text"),
        *("M 0x1 F 0xH N T", "F 0xH <=N T", "M 0xH <=N T", "M 0xH N N", "M 0xH N N T N", ""),
        *("F 0xH N T \x1b[0m", "\tF 0xH N T", "M  0xH N N T"),
    ],
    "pigweed": [
        *("m N 0xH", "m N 0xH", "m N H", "f 0xH", "f H", "f 0XH", "m N 0x0", "> m N 0xH"),
        *("] f 0xH", "m N", "f", "m  N 0xH", "# x", "text", "m H 0xH", "f 0xH 1"),
    ],
    "mtrace": [
        *("@ a:[0x1] + 0xH 0xH", "@ a:[0x1] - 0xH", "@ a:[0x1] < 0xH\n@ a:[0x1] > 0xH 0xH"),
        *("@ a:[0x1] + 0xH 0", "@ a:[0x1] ! 0xH 0xH", "@ a:[0x1] + (nil) 0xH", "= Start", ""),
        *("@ a:[0x1] < 0xH", "@ a:[0x1] > 0xH 0xH", "@ + 0xH 0xH", "@ - 0xH", "- 0xH", "@ - - 0xH"),
        *("@ a b + - 0xH", "@ a+ - 0xH", "@ a\t+ - 0xH", "@ a\t+ 0xH 0xH", "@  + 0xH 0xH", "@x"),
        *("@ a + 0xH  0xH", "@ a + - 0xH", "@ a > < 0xH", "@ a < 0xH\n\n@ a > 0xH 0xH", "@", "@ "),
        *("@ a < 0xH\n@ b - 0xH", "@ a - 0XH", "@ a\t+  - 0xH", "@ a +\t - 0xH", "x @ a - 0xH"),
        *("@ a - 0xH 0xH",),
    ],
    "ltrace": [
        *("W malloc(N) = 0xH", "W a->malloc(N)     = 0xH", "W free@libc.so.6(0xH)  = <void>"),
        *("W a->b->free(0xH) = <void>", "W calloc(N, N) = 0xH", "W calloc(N,N) = 0xH"),
        *("W realloc(0xH, N) = 0xH", "W realloc(nil, N) = 0xH", "W malloc(N) = nil", "W malloc(N"),
        *("W malloc(N <unfinished ...>", "W <... malloc resumed> ) = 0xH", "W free(0xH) = 5"),
        *("W free(0xH <unfinished ...>", "W <... free resumed> ) = <void>", "W free(N) = <void>"),
        *("W malloc(N <no return ...>", "W reallocarray(0xH, N, N) = 0xH", "W _Znwm(N) = 0xH"),
        *("W _ZdlPvm(0xH, N) = <void>", "W _ZnaX(N) = 0xH", "W _ZdlP(0xH) = <void>", "W _Z(1) = 2"),
        *("W a@b->malloc@c@d(N) = 0xH", 'W getenv("X") = nil', "W puts(0xH) = 1"),
        *("W malloc(N) = 0xH <0.0001>", "12:00 malloc(N) = 0xH", "W (N) = 0xH", "W cfree(0xH) = 0"),
        *("+++ exited (status 0) +++", "W memalign(N, N) = 0xH", "W malloc(N)= 0xH"),
        *("W free(0xH)) = <void>", "W realloc(0xH,  N) = 0xH", "W _ZnwmX-(N) = 0xH"),
        *("W malloc (N) = 0xH", "W xfree(0xH) = 1", "W malloc(N) = N"),
    ],
    "heaptrack": [
        *("+ H 1 H", "+ H H H", "- H", "- H", "+ K", "- K", "+ K", "- K", "- K", "a H 1"),
        *("c H", "c 7fffffffffffffff", "c H H", "v 10400 3", "v 1 9", "i H 1", "i H", "a H 1 2"),
        *("", "#", "+", "s 4 x", "a H", "a 1 1 1 1", "- H H", "c 8000000000000000", "x H"),
        *("i", "+ ", "+  H 1 H"),
    ],
}  # fmt: skip
#: What a file of each begins with, now and then, so that C has its part.
STARTS = {"freertos": ["M 0x10 5 16 0\n", "M 0x10 16 0\n", "M 0x10 <=5 16 0\n"],
          "pigweed": ["m 5 0x10\n"],
          "heaptrack": ["v 1 3\n", "v 1 3\n+ 1 1 10\n", "v 1 3\na 8 1\na 9 1\n+ 0\n"],
          "ltrace": ["1 free(0x1) = <void>\n2 free(0x1) = <void>\n"]}  # fmt: skip
METHODS = ["add_kind", "malloc_of", "free_of", "name_task", "read_records", "scan_valgrind"]
METHODS += ["scan_mtrace", "scan_ltrace", "scan_heaptrack", "scan_freertos", "scan_pigweed"]
WHO = ["1 ", "1 ", "2 ", "[pid 1] ", "", "01 ", "1] ", "7" * 30 + " "]
NUMBERS = ["0", "1", "24", "007", "9" * 18, "9" * 19, str(2**63), str(2**64 - 1), str(2**64)]
NUMBERS += ["9" * 20, "1" * 21, "", "-1", "x", "1_0", "9" * 4301]
ADDRESSES = [
    "0",
    "10",
    "20",
    "30",
    "aBc",
    "abc",
    "4A4F040",
    "f" * 16,
    "1" + "0" * 16,
    "f" * 20,
    "1" * 21,
    "g",
]
ENDS = ["\n"] * 8 + ["\r\n", " \n", "\r\r\n", "\n\n", "\x00\n", "\x0b\n", " 1\n", "\xff\n"]


def whole_samples():
    """All that recorders wrote, with its format."""
    for path in sorted([*(DATA / "recorders").glob("*/*"), *(DATA / "freertos-logs").glob("*.gz")]):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        yield ("freertos" if path.suffix == ".gz" else path.parent.name), data


def test_samples():
    samples = [*whole_samples(), *SEEDS]
    for name, data in samples:
        assert_same(name, data)
        assert_same(name, data.replace(b"\n", b"\r\n"))
    assert len(samples) == 43


@pytest.mark.parametrize("name", LOGS)
def test_c_takes_the_lines_of_a_sample(monkeypatch, name):
    """All but those that begin a log, end it, or are unusual; threads interrupt each other."""
    left = []
    take = _address_log.LogReader._take_line
    monkeypatch.setattr(
        _address_log.LogReader,
        "_take_line",
        lambda self, raw, number: (left.append(raw), take(self, raw, number))[1],
    )
    lines = 0
    for format_, data in [*whole_samples(), ("pigweed", b"m 1 0x10\r\nf 0x10\n" * 200)]:
        if format_ == name:
            read(name, data, False)
            lines += data.count(b"\n")
    assert lines > 200
    assert len(left) < lines / (6 if name == "ltrace" else 50)


@pytest.mark.parametrize("name", few_of([*LOGS, "recorder"], ["ltrace", "recorder"]))
def test_a_sample_cut_anywhere(name):
    cut = 0
    samples = [data[:700] for format_, data in SEEDS if format_ == name]
    if name == "recorder":
        samples = [fuzz_readers.a_recording(random.Random(seed))[:400] for seed in range(3)]
    for data in samples:
        for end in range(len(data)):
            assert_same(name, data[:end])
            cut += 1
    assert cut > 80


@pytest.mark.parametrize("name", few_of([*LOGS, "recorder"], ["ltrace", "recorder"]))
def test_changed_samples(name):
    rng = random.Random(name)
    others = [data for _, data in SEEDS]
    own = [data for format_, data in SEEDS if format_ == name]
    for _ in range(600):
        data = fuzz_readers.a_recording(rng) if name == "recorder" else rng.choice(own)
        if name != "recorder" or rng.random() < 0.5:
            data = fuzz_readers.changed(rng, data, others)
        assert_same(name, data)


@st.composite
def logs(draw, name):
    """Lines of all forms, right and wrong."""
    tick, rows = 0, [draw(st.sampled_from([*STARTS.get(name, []), ""]))]
    for _ in range(draw(st.integers(1, 12))):
        row = draw(st.sampled_from(LINES[name]))
        for mark, words in (("N", NUMBERS), ("H", ADDRESSES)):
            few = words[1:4] if draw(st.integers(0, 3)) else words
            while mark in row:
                row = row.replace(mark, draw(st.sampled_from(few)), 1)
        row = row.replace("K", draw(st.sampled_from("0001123")))
        who = draw(
            st.sampled_from(["1 ", "1 ", "2 ", "[pid 1] ", "", "01 ", "1] ", "7" * 30 + " "])
        )
        row = who + row[2:] if row.startswith("W ") else row
        if "T" in row:
            tick += draw(st.sampled_from([0, 0, 1, 1, 1, 1, 10**17, -1]))
            row = row.replace("T", str(tick))
        rows.append(row + draw(st.sampled_from(ENDS)))
    data = "".join(rows).encode("latin-1")
    return data[: len(data) - draw(st.integers(0, 3))]


@pytest.mark.parametrize("name", LINES)
@given(data=st.data())
def test_lines_of_all_forms(name, data):
    assert_same(name, data.draw(logs(name)))


@pytest.mark.parametrize("who", ["01", "1", "0", "00"])
def test_a_task_is_called_as_its_line_has_it(who):
    """Even by a line that is no event, and though another's number is the same."""
    for rest in ("malloc(1) = 0x10", "free() = <void>"):
        log = f"{who} {rest}\n1 malloc(2) = 0x20\n[pid 1] malloc(3) = 0x30\n0 malloc(4) = 0x40\n"
        assert_same("ltrace", log.encode())


def test_a_free_that_never_returned():
    """What it freed is given out again, with no call waiting."""
    calls = ["free(0x20) = <void>", "malloc(1) = 0x10", "free(0x10 <unfinished ...>"]
    calls += ["<... malloc resumed> ) = 0x30", "malloc(2) = 0x10", "free(0x10) = <void>"]
    assert_same("ltrace", "".join(f"1 {call}\n" for call in calls).encode())


@pytest.mark.parametrize("name", few_of((*LOGS, "recorder"), ["valgrind"]))
def test_runs_of_each_byte(name):
    start = next((data for format_, data in SEEDS if format_ == name), b"")[:400]
    for byte in range(256):
        assert_same(name, start + bytes([byte]) * 3000)
        assert_same(name, start + bytes([byte]) * 300 + b"\n" + start)


@pytest.mark.parametrize("name", LOGS)
def test_lines_across_blocks_and_too_long_ones(name):
    data = next(data for format_, data in SEEDS if format_ == name)
    data = data[: data.rindex(b"\n") + 1]
    block = streams._HEAD
    longest = (MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE)
    for length in (block - 300, block - 1, block, *longest):
        for line in (b"q" * length, b"#" * (length - 1) + b"\n"):
            assert_same(name, data + line + data + line)


def test_many_blocks_beyond_a_tables_first_size():
    """Live blocks at addresses that lie far apart, some given out twice, freed in any order."""
    rng = random.Random(3)
    at = [rng.choice([16 * n + 16, n << 40 | 1 << 30, 2**64 - 1 - n]) for n in range(9_000)]
    calls = [f"--1-- malloc({n}) = 0x{address:X}\n" for n, address in enumerate(at)]
    calls += [f"--1-- malloc(7) = 0x{address:X}\n" for address in at[:100]]
    calls += [f"--1-- realloc(0x{at[n]:X},9) = 0x{n + 5:X}\n" for n in range(0, 2000, 3)]
    rng.shuffle(at)
    calls += [f"--1-- free(0x{address:X})\n" for address in at]
    assert_same("valgrind", "".join(calls).encode())


def test_a_free_that_never_returns():
    """Its block may be given out again at any time."""
    log = "1 malloc(1) = 0x10\n2 malloc(2) = 0x20\n1 realloc(0x20, 3 <unfinished ...>\n"
    log += "1 free(0x10 <unfinished ...>\n1 <... realloc resumed> ) = 0x30\n"
    log += "2 malloc(3) = 0x10\n2 malloc(3) = 0x40\n"
    assert_same("ltrace", log.encode())
    arrays, _, *rest = read("ltrace", log.encode(), True)
    assert (arrays["task_codes"][1][-3:], rest[3].implied_frees) == ([0, 1, 1], 0)


def test_numbers_of_tasks_that_differ_in_zeros():
    log = "1 malloc(1) = 0x10\n01 malloc(2) = 0x20\n1 malloc(3) = 0x30\n01 free(0x10) = <void>\n"
    assert_same("ltrace", log.encode() * 2)
    assert read("ltrace", log.encode(), True)[0]["task_codes"][1] == [0, 1, 0, 1]


def test_what_c_is_given_is_checked():
    log = _formats.Log(5)

    def scan(data=b"--1-- free(0x1)\n", at=0, end=None, process=b"--1-- "):
        return log.scan_valgrind(data, at, len(data) if end is None else end, 1, process)

    assert scan() == (16, 2)
    assert scan(b"--1-- free(0x1)") == (0, 1)  # whole lines only
    assert scan(process=b"") == (0, 1)
    assert scan(b"") == (0, 1)
    assert log.counts()["foreign_frees"] == 1
    for wrong in ({"at": 17}, {"end": 17}):
        with pytest.raises(ValueError, match="must lie within"):
            scan(**wrong)
    for wrong in ({"at": -1}, {"end": -1}):
        with pytest.raises(OverflowError):
            scan(**wrong)
    for call in ("malloc", "free", "realloc", "fail", *METHODS):
        with pytest.raises(TypeError, match=call):
            getattr(log, call)()
    for call in ("malloc_of", "free_of"):
        with pytest.raises(ValueError, match="kind must be below kinds"):
            getattr(log, call)(0, 1)
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError):
            log.malloc(wrong, 1, 1)
    with pytest.raises(TypeError):
        log.free("1", 1)
    with pytest.raises(TypeError, match="a log with times and tasks"):
        log.read_records(b"", int)
    with pytest.raises(TypeError):
        _formats.Log()
    log = _formats.Log(5, timed=True, tasked=True)
    name = recorder_name(b"net")
    with pytest.raises(ZeroDivisionError):
        log.read_records(name, lambda task, name: 1 // 0)
    with pytest.raises(ValueError, match="a key is not below 0"):
        log.read_records(name, lambda task, name: -1)
    asked = []
    log.read_records(name, lambda task, name: asked.append((task, name)) or 7)
    assert asked == [(3, b"net")]
    assert {name: len(column) for name, column in log.take_columns().items()} == dict.fromkeys(
        ("op", "id", "size", "address", "line", "time", "task"), 0
    )


def recorder_name(name):
    raw = bytes([3, len(name) << 2 | 2, 0, 0, 3]) + name
    raw += b"\0" * (-len(raw) % 4)
    return raw[:2] + recorder_reference.check(raw).to_bytes(2, "little") + raw[4:]


def test_an_address_that_no_64_bits_name():
    warnings.simplefilter("ignore")
    sync = fuzz_readers.record(0, 3, 0, b"RHE1" + bytes(8) + b"\xff" * 8 + bytes([3, 0, 8, 0]))
    freed = fuzz_readers.record(0, 1, 0, b"\x02\x00\x00")
    given_out = fuzz_readers.record(1, 0, 0, b"\x02\x00\x10\x00")
    assert read("recorder", sync + freed, True)[5].foreign_frees == 1
    for data in (sync + freed, sync + freed + given_out):
        assert_same("recorder", data)
    assert "the address is" in read("recorder", sync + freed + given_out, True)[0]


def test_columns_are_handed_over_once():
    log = _formats.Log(1)
    log.malloc(16, 8, 3)
    assert np.frombuffer(log.take_columns()["line"], np.int64).tolist() == [3]
    assert log.take_columns()["line"] == b""
    log.free(16, 4)
    assert np.frombuffer(log.take_columns()["id"], np.int64).tolist() == [0]
