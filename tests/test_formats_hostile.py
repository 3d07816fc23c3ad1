"""Files made to do harm: nothing but a `TraceError`, and no more memory than is stated."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import zstandard
from needs import LAST_RESORT, ROOT
from parts import few_of
from steps import steps
from systemview_files import Target as SystemView
from trace_files import MAGIC, load, saved
from tracerecorder_files import MALLOC, SNAPSHOT, Event, Target

from rtosheap.cli import main
from rtosheap.traces import Trace, TraceError, formats
from rtosheap.traces.formats import files, text
from rtosheap.traces.formats.streams import ALWAYS, MAX_BYTES, MAX_LINE, MAX_RATIO

pytestmark = pytest.mark.filterwarnings("error")

MANY = b"9" * 5000  # more digits than int() takes


def meant(data: bytes, **options: object) -> TraceError:
    """The error that a reader has for a file, and not the boundary."""
    with pytest.raises(TraceError) as caught:
        load(data, **options)
    assert "cannot be read" not in str(caught.value)
    assert not isinstance(caught.value.__cause__, MemoryError)
    return caught.value


# ---------------------------------------------------------------------- the boundary


@pytest.mark.parametrize(
    "wrong",
    [
        AssertionError(),
        RecursionError("deep"),
        OverflowError("large"),
        KeyError("k"),
        AttributeError("a"),
        struct.error("s"),
        NotImplementedError(),
        SyntaxError("y"),
        StopIteration(),
    ],
    ids=lambda wrong: type(wrong).__name__,
)
@pytest.mark.parametrize("name", formats.NAMES)
def test_whatever_a_reader_raises_is_a_trace_error(monkeypatch, tmp_path, name, wrong):
    def fail(stream, *, strict):
        stream.read(3)
        raise wrong

    path = tmp_path / "x.log"
    path.write_bytes(b"hello\n")
    reader = formats.READERS[formats.NAMES.index(name)]
    monkeypatch.setattr(reader, "read", fail)
    kind = type(wrong).__name__
    with pytest.raises(
        TraceError, match=rf"x\.log: cannot be read up to byte 3: .*{kind}"
    ) as caught:
        Trace.load(path, format=name)
    assert caught.value.path == str(path)


def test_what_memory_does_not_hold_is_a_trace_error_and_what_the_system_does_is_not(monkeypatch):
    def fail(error):
        def read(stream, *, strict):
            raise error

        return read

    monkeypatch.setattr(text, "read", fail(MemoryError()))
    with pytest.raises(TraceError, match="takes more memory than there is"):
        load(MAGIC)
    for error in (OSError(5, "no such luck"), KeyboardInterrupt()):
        monkeypatch.setattr(text, "read", fail(error))
        with pytest.raises(type(error)):
            load(MAGIC)


def test_numbers_of_thousands_of_digits():
    for data, name in [
        (MAGIC + b"m 1 %s\n", "text"),
        (MAGIC + b"m 1 0\nf 1 -%s\n", "text"),
        (b"op,id,size\nm,%s,1\n", "csv"),
        (b"1\n1\na 1 %s\n", "rep"),
        (b"%s\n1\na 1 1\n", "rep"),
        (b"1\n%s\na 1 1\n", "rep"),
        (b"v 1 3\n+ %s 1 1\n", "heaptrack"),
        (b"v 1 3\nc %s\n", "heaptrack"),
        (b"v 1 3\nc ffffffffffffffff\n+ 1 1 1\n", "heaptrack"),
        (b"= Start\n@ a + 0x1 0x%s\n", "mtrace"),
        (b"= Start\n@ a + (nil) 0x%s\n", "mtrace"),
        (b"M 0x1 %s 1 1\n", "freertos"),
        (b"M 0x1 1 1 1\nM 0x1 1 1 %s\n", "freertos"),
        (b"m %s 0x1\n", "pigweed"),
        (b"--1-- malloc(%s) = 0x1\n", "valgrind"),
        (b"--1-- calloc(%s,%s) = 0x0\n", "valgrind"),
        (b"--1-- malloc(1) = 0x%s\n", "valgrind"),
        (b"malloc(%s) = 0x1\n", "ltrace"),
        (b"calloc(%s, %s) = 0\n", "ltrace"),
        (b"malloc(0x%s) = 0\n", "ltrace"),
    ]:
        error = meant(data.replace(b"%s", MANY), format=name)
        assert error.line is not None, data
        assert len(str(error)) < 400
    zeros = b"0" * 5000
    assert load(MAGIC + b"m %s1 %s8\nf 1\n".replace(b"%s", zeros))[0] == ("m", 1, 8, None, None)


def test_the_largest_failed_request_can_be_said():
    trace = load(b"calloc(18446744073709551615, 18446744073709551615) = 0\n", format="ltrace")
    assert trace.meta["largest_failed_request"] == str((2**64 - 1) ** 2)


def test_a_heap_that_two_processes_share_in_name_alone(tmp_path):
    """A task of which no event is left has no name in the trace, so that it is saved as it is."""
    trace = load("1 a->malloc(5) = 0x10\n2 a->free(0) = <void>\n3 a->malloc(6) = 0x20\n")
    assert trace.task_names == ("1", "3")
    for suffix in (".trace", ".npz", ".csv"):
        with pytest.warns() if suffix == ".csv" else pytest.MonkeyPatch.context():
            assert Trace.load(saved(trace, tmp_path, "x" + suffix)) == trace


# ---------------------------------------------------------------------- .npz


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def plain(shape: str, descr: str = "'<i8'") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()


def archive(**changes: bytes) -> bytes:
    """The members of a small .npz, changed."""
    good = {
        "rtosheap_trace": npy(plain("()"), struct.pack("<q", 1)),
        "op": npy(plain("(1,)", "'|u1'"), b"m"),
        "id": npy(plain("(1,)"), bytes(8)),
        "size": npy(plain("(1,)", "'<u8'"), bytes(8)),
        "meta": npy(plain("(2,)", "'|u1'"), b"{}"),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in (good | changes).items():
            file.writestr(f"{name}.npy", data)
    return out.getvalue()


HEADERS = {
    "8 TiB": plain("(1099511627776,)"),
    "more than ssize_t": plain("(99999999999999999999,)"),
    "empty elements": plain("(99999999,)", "'<U0'"),
    "objects": plain("(1,)", "'|O'"),
    "fields": plain("(1,)", "[('a', '<i8')]"),
    "no such type": plain("(1,)", "'<i3'"),
    "no width": plain("(1,)", "'<i0'"),
    "two dimensions": plain("(1, 1)"),
    "nested": b"(" * 3000,
    "signs": b"-" * 30_000 + b"1",
    "cut": plain("(1,)")[:-10],
    "a call": plain("exit()"),
    "digits": plain("(" + "9" * 5000 + ",)"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HEADERS)
def test_npz_headers_are_not_evaluated(name):
    error = meant(archive(id=npy(HEADERS[name], bytes(8))))
    assert str(error).startswith("is no .npz file of plain arrays: ")


def test_npz_texts():
    def as_array(data):
        return npy(plain(f"({len(data)},)", "'|u1'"), data)

    assert load(archive())[0] == ("m", 0, 0, None, None)
    for data in (b"[" * 100_000, b'{"a": ' * 50_000, MANY, b"\xff", b'{"a": "\\ud800"}'):
        assert meant(archive(meta=as_array(data)))
    assert "16,777,216 at most" in str(meant(archive(meta=as_array(b" " * (1 << 24) + b"{}"))))
    names = {
        "task_codes": npy(plain("(1,)", "'<i4'"), bytes(4)),
        "task_names": as_array(b"\n" * 9999),
    }
    assert "more names than there are events" in str(meant(archive(**names)))


def read_or_refused(data: bytes) -> bool:
    """Whether a file is read; what only the boundary caught is an error."""
    try:
        load(data, format="npz")
    except TraceError as error:
        if "cannot be read" in str(error):
            raise
        return False
    return True


def test_npz_archives():
    data, tried, read = archive(), 0, 0
    for at in range(len(data)):
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
            if read_or_refused(bad):
                read += 1
            tried += 1
    assert tried == 2 * len(data)
    assert 0 < read < tried  # a time is no part of the checks, say
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as file:
            file.writestr("op.npy", b"m")
        assert f"'op.npy' is packed by method {method}" in str(meant(out.getvalue()))
    encrypted = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    assert "is encrypted" in str(meant(encrypted))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for number in range(2000):
            file.writestr(f"{number}.npy", b"")
    assert "its list of members is too long" in str(meant(out.getvalue()))


# ---------------------------------------------------------------------- what a file may hold


def test_limits_are_as_stated():
    assert (MAX_BYTES, MAX_RATIO, ALWAYS, MAX_LINE) == (1 << 30, 32, 1 << 26, 1 << 20)
    said = " ".join((Trace.load.__doc__ or "").split())
    assert "it is 1 GiB, and for a compressed file 32 times its size, or 64 MiB if that" in said
    assert "reading takes some 20 times as much memory at most" in said


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_max_bytes(pack, tmp_path):
    data = MAGIC + b"m 1 8\nf 1\n" * 2000
    assert len(load(pack(data), max_bytes=len(data))) == 4000
    with pytest.raises(
        TraceError, match=r"holds more than 20,018 bytes once unpacked, .* max_bytes="
    ):
        load(pack(data), max_bytes=len(data) - 1)
    with pytest.raises(TraceError, match=r"holds more than 9 bytes"):
        load(pack(data), max_bytes=9)
    for bad in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"max_bytes is {bad}; it must be an int above 0"):
            load(data, max_bytes=bad)


def test_max_bytes_is_of_what_an_npz_unpacks_to(tmp_path):
    trace = Trace("m" * 5000, np.arange(5000), np.zeros(5000, np.uint64))
    path = saved(trace, tmp_path, "x.npz")
    assert path.stat().st_size < 20_000
    with pytest.raises(TraceError, match=r"x\.npz: holds more than 20,000 bytes once unpacked"):
        Trace.load(path, max_bytes=20_000)
    assert Trace.load(path, max_bytes=100_000) == trace


def test_max_bytes_and_format_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "x.trace"
    path.write_bytes(gzip.compress(MAGIC + b"m 1 8\nf 1\n" * 2000))
    assert main(["size", str(path), "--max-bytes", "1K"]) == 2
    said = capsys.readouterr().err
    assert "x.trace: holds more than 1,024 bytes once unpacked" in said
    assert said.count("\n") == 1
    assert main(["size", str(path), "--max-bytes", "20K"]) == 0
    assert main(["size", str(path), "--format", "csv"]) == 2
    assert "x.trace, line 1: the column" in capsys.readouterr().err
    for command in ("compare", "size", "replay", "convert", "cortexm", "inspect"):
        assert main([command, "--help"]) == 0
        assert {"--format", "--max-bytes"} <= set(capsys.readouterr().out.split())
    assert main(["convert", "--help"]) == 0
    said = capsys.readouterr().out
    for reader in files.READERS:
        assert f"  {reader.NAME:13} {reader.HINT}\n" in said


# ---------------------------------------------------------------------- bombs


def systemview(*, calls: int = 0) -> bytes:
    """A recording that has begun, or allocations at the same address."""
    target = SystemView()
    if not calls:
        target.sync()
    for _ in range(calls):
        target.alloc(0x20000004, 1)
    return bytes(target.data)


SYSTEMVIEW = systemview()
EVENTRECORDER = struct.pack("<HHQIII", 2, 20, 0, 0xFF00, 1, 1000)
LIST = b"Index Time (s) Component Event Property Value\n----- -------- --------- ------- -----\n"
ESPIDF = b'[%d.0] HEAP: Allocated 1 bytes @ 0x1 from task "a" on core 0 by:\n'

#: What a file of a format may begin with, and what then is repeated: no events.
BOMBS: dict[str, list[tuple[bytes, bytes]]] = {
    "None": [(b"", b"\0"), (b"", b"\n"), (b"\0", b"RHRING")],
    "text": [(MAGIC, b"a"), (MAGIC + b"# a: ", b"b"), (MAGIC, b"m ")],
    "npz": [(b"PK\x03\x04", b"\0"), (b"", b"PK\x01\x02")],
    "csv": [(b"op,id,size\n", b"a"), (b"op,id,size\n", b","), (b"", b"op,")],
    "rep": [(b"1\n1\n", b"1"), (b"1\n1\n", b"1\n"), (b"", b"1\n"), (b"1\n1\na", b" 1")],
    "recorder": [(b"RHE1", b"\0"), (b"RHRING1\0", b"RHE1")],
    "heaptrack": [(b"v 1 3\n", b"a"), (b"v 1 3\n+ ", b"1 ")],
    "mtrace": [(b"= Start\n", b"@"), (b"= Start\n@ ", b"+ ")],
    "freertos": [(b"M 0x1 1 1 1\n", b"M"), (b"M 0x1 1 1 1\n", b"M 0x")],
    "pigweed": [(b"m 1 0x1\n", b"m"), (b"m 1 0x1\n", b"m 1 0x")],
    "valgrind": [(b"--1-- malloc(1) = 0x1\n", b"-"), (b"--1-- malloc(1) = 0x1\n--1-- (", b"1,")],
    "ltrace": [(b"malloc(1) = 0x1\n", b"m"), (b"malloc(1) = 0x1\nmalloc(", b"1) = ")],
    "tracerecorder": [(Target().head(), b"\0"), (SNAPSHOT, b"\xa1")],
    "systemview": [(bytes(10), b"\0"), (SYSTEMVIEW, b"\x03\0"), (SYSTEMVIEW, b"\xff")],
    "eventrecorder": [
        (EVENTRECORDER, b"\x02\0\x14\0" + bytes(20)), (b"<EventsTable>", b"<events/>"),
        (b"<EventsTable><events><value>", b"a"), (b'{"events":[', b"{},"),
        (b'{"events":[{"value":"', b"a"), (LIST, b"1 1.0 a\n"),
    ],
    "espidf": [(b"", b"["), (ESPIDF % 1, b"a"), (ESPIDF % 1, b"[")],
}  # fmt: skip
MALLOCS = [Event(MALLOC, (8, 8), 0)] * 65_536
#: Events that take the most memory for their bytes.
DENSE = {
    "text": (MAGIC, b"f 1 1 a\n"),
    "csv": (b"op,id,size,time\n", b"m,1,1,1\n"),
    "rep": (b"1\n99999999\n", b"a 1 1\nf 1\n"),
    "heaptrack": (b"v 1 3\na 1 1\n", b"+ 0\n"),
    "mtrace": (b"= Start\n", b"@ + 0x1 0x1\n"),
    "freertos": (b"", b"M 0x1 1 1 1\n"),
    "pigweed": (b"m 1 0x1\n", b"m 1 1\n"),
    "valgrind": (b"", b"--1-- malloc(1) = 0x1\n"),
    "ltrace": (b"", b"malloc(1) = 0x1\n"),
    "tracerecorder": (Target(entries=[]).head(), b"".join(Target().encode(MALLOCS))),
    "systemview": (SYSTEMVIEW, systemview(calls=1)),
    "eventrecorder": (EVENTRECORDER, struct.pack("<HHQIII", 2, 20, 0, 0xF400, 8, 8)),
}

CHILD = """
import gzip, io, resource, sys, warnings
import zstandard
from rtosheap.traces import Trace, TraceError
import test_formats_hostile as t

def high():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if "VmHWM" in line)

def read(data, **how):
    try:
        return f"{len(Trace.load(io.BytesIO(data), strict=False, **how))} events"
    except TraceError as error:
        assert "cannot be read" not in str(error) and "memory" not in str(error), error
        return str(error)

warnings.simplefilter("ignore")
name, kind = sys.argv[1:]
how = {"format": None if name == "None" else name}
if kind == "dense":
    start, unit = t.DENSE[name]
    data, most = start + unit * ((1 << 22) // len(unit)), 1 << 22
    packed = zstandard.ZstdCompressor().compress(data)
    del data
    before = high()
    print(read(packed, max_bytes=most - 100, **how))
    print(read(packed, max_bytes=most + 100, **how))
    print((high() - before) / most)
else:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    packs = (lambda data: gzip.compress(data, 6), zstandard.ZstdCompressor().compress)
    bombs = t.BOMBS[name] * (2 if len(t.BOMBS[name]) == 1 else 1)
    for number, (start, unit) in enumerate(bombs):
        pack, many = packs[number % 2], unit * ((1 << 24) // len(unit))
        print(read(pack(start) + pack(many) * 80, **how))  # 1.25 GiB
    print(high())
"""


def child(name: str, kind: str) -> list[str]:
    paths = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, name, kind],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", few_of(BOMBS, ["text", "npz"]))
def test_a_bomb_of_any_format_stays_within_a_gibibyte(name):
    *said, high = child(name, "bombs")
    assert len(said) == max(len(BOMBS[name]), 2)
    assert int(high) < 1 << 29
    for line in said:
        assert not line.endswith(" events") or line == "1 events", line


@pytest.mark.long
@pytest.mark.parametrize("name", DENSE)
def test_a_trace_takes_20_times_its_bytes_at_most(name):
    refused, read, times = child(name, "dense")
    assert "holds more than" in refused
    assert int(read.removesuffix(" events")) >= 0
    assert 2 < float(times) < 21


def test_a_header_is_bounded():
    many = b"".join(b"# k%d: v\n" % number for number in range((1 << 16) + 1))
    assert "more than 65,536 keys in the header" in str(meant(MAGIC + many))
    assert load(MAGIC + b"# k: " + b"v" * 70_000 + b"\nm 1 8\n").meta["k"] == "v" * 70_000
    assert meant(MAGIC + b"# k: " + b"v" * MAX_LINE + b"\n").line == 2


NO_LINES = ("npz", "recorder", "tracerecorder", "systemview", "eventrecorder")


@pytest.mark.parametrize("name", [name for name in formats.NAMES if name not in NO_LINES])
def test_a_line_is_bounded(name):
    before = {"text": MAGIC, "csv": b"op,id,size\n", "rep": b"1\n9\n", "heaptrack": b"v 1 3\n"}
    error = meant(before.get(name, b"") + b"m" * (3 * MAX_LINE) + b"\nm 1 8\n", format=name)
    assert error.reason == "a line of more than 1,048,576 bytes"


def test_a_long_line_is_left_out_where_a_log_goes_on():
    log = b"m 24 0x20001000\n" + b"\xff" * (3 * MAX_LINE) + b"\nf 0x20001000\n"
    trace = load(log, strict=False)
    assert (len(trace), trace.dropped.bad_line) == (2, 1)


def test_telling_a_format_looks_at_no_more_than_a_head():
    """However much comes after it."""
    for data in (b"\n" * 70_000, b"hello\n" * 20_000):
        assert "none of the formats" in str(meant(data))
        small, large = (steps(lambda d=d: refuse(d)) for d in (data, data * 20))
        assert abs(large - small) < 1000  # Python's own clean-up is counted, now and then


def refuse(data: bytes) -> None:
    with contextlib.suppress(TraceError):
        load(data)
