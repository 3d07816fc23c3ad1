"""A fuzzer of the readers: valid files of every format, changed, read as every format.

    python tests/fuzz/fuzz_readers.py [--executions N] [--seconds S] [--seed K] [--save FOLDER]
                                      [--format NAME]

It reads so many files, and goes on until the seconds have passed. A file may make a trace, which
then survives saving and loading, or a `TraceError` that the reader meant: what only the boundary
caught counts as a finding, as does more memory than `MEMORY`, more steps of Python than so many a
byte, or another outcome than that of a reader in Python alone. One run is what its seed is.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import zstandard

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import recorder_reference as recorder  # noqa: E402
import systemview_files as systemview  # noqa: E402
from reader_references import REFERENCES, outcome  # noqa: E402
from steps import steps  # noqa: E402
from tracerecorder_files import RING, Target, a_run  # noqa: E402
from tracerecorder_snapshots import SNAPSHOT, a_snapshot  # noqa: E402

from rtosheap.traces import Trace, TraceError, TraceWarning, formats  # noqa: E402
from rtosheap.traces.formats.streams import DAMAGED  # noqa: E402

MEMORY = 1 << 30
STEPS = 400  # of Python for a byte, at most; a recorder's stream is searched at every byte
STEPS_OF = {"recorder": 6000, None: 6000}
MOST = 20_000  # bytes of a file before it is compressed
EVERY = 64  # so many executions have their steps counted, and their traces saved
COMPARED = 4  # so many are read in Python alone, too, if a part of the format's reader is in C
DATA = HERE.parent / "data"

Rng = random.Random


# ---------------------------------------------------------------------- valid files


def logs() -> list[tuple[str, bytes]]:
    """The beginnings of the logs that recorders wrote, with their formats."""
    found = []
    for path in sorted([*(DATA / "recorders").glob("*/*"), *(DATA / "freertos-logs").glob("*.gz")]):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        name = "freertos" if path.suffix == ".gz" else path.parent.name
        found.append((name, b"".join(data.splitlines(keepends=True)[:30])[:2000]))
    return found


SERIAL = b"""a188 116 128 0
rst:0x1 (POWERON_RESET),boot:0x13\r
[00:00.001] I (12) heap: M 0x2024a188 116 128 0\r
\x1b[0;32mI (12) heap: M 0x2024a208 1024 1032 0\x1b[0m\r
wifi: up
[00:00.003] X 0x0 99999 0 2\r
F 0x2024a188 128 3
[00:00.009] =4 1 100 200
"""
PIGWEED = b"""# requests
m 24 0x20001000
> m 100 0x20001020
f 0x20001000
m 99 0x0
f 0x0
m 10 20002000
"""
LTRACE = b"""__libc_start_main(0x401d60, 1, 0x7ffd3e9c2b18, 0x4046e0 <unfinished ...>
getenv("X")                                      = nil
malloc(80)                                       = 0x1c4e2a0
[pid 12] 12:00:01.5 malloc(16 <unfinished ...>
[pid 13] free(0)                                 = <void> <0.000123>
[pid 12] <... malloc resumed> )                  = 0x1c4e3a0
13 a->realloc(0x1c4e3a0, 5 <no return ...>
reallocarray@libc.so.6(0x1c4e2a0, 5, 6)          = 0x1c4e4a0
free(0x1c4e2a0)                                  = <void>
"""
ESPIDF = b"""Processing...
[0.002244575] HEAP: Allocated 1 bytes @ 0x3ffaffd8 from task "alloc" on core 0 by:
/home/user/main.c:47

[0.002405000] LOG: I (264) example: Task[0x3ffb6cf4]: allocated 2 bytes @ 0x3ffaffe0
[0.002563725] HEAP: Freed bytes @ 0x3ffaffd8 from task "a freer" on core 1 by:
[0.102436025] HEAP: Allocated 2500 bytes @ 0x3ffaffe0 from task "alloc" on core 0 by:
=============== HEAP TRACE REPORT ===============
[0.102436025] HEAP: Allocated 2500 bytes @ 0x3ffaffe0 from task "alloc" on core 0 by:
"""
SMALL = Trace.from_events(
    [("m", 0, 64, 5, "a"), ("m", 1, 8, 5, "net"), ("r", 0, 80, 6, "a"), ("f", 0, 9), ("f", 1, 9)],
    meta={"name": "small", "source": "here", "events": "5"},
)  # fmt: skip


def percepio() -> list[tuple[str, bytes]]:
    """Streams, rings and a snapshot as TraceRecorder writes them."""
    plain = Target(14)
    events, names = a_run(1, 80, target=plain, backwards=True)
    ring, _ = plain.ring(events, 900, names=names)
    others = [Target(10, ">"), Target(12, word=8), Target(13, clock=4), Target(14, cores=2)]
    streams = [target.stream(a_run(2, 60, target=target)[0]) for target in (plain, *others)]
    found = [*streams, ring, a_snapshot(1, 300, 150)[0]]
    return [("tracerecorder", data) for data in found]


def segger() -> list[tuple[str, bytes]]:
    """SystemView's packets, some of them lost, with a sync now and then."""
    found = []
    for seed, full in enumerate((0.0, 0.1)):
        rng, target = random.Random(seed), systemview.Target(2 * seed)
        for _ in range(2):
            target.sync()
            target.define()
            systemview.a_run(target, rng, 60, full)
        found.append(bytes(target.data))
    return [("systemview", data) for data in (*found, b";\n; Author\t\tme\n;\n" + found[0])]


def arm() -> list[tuple[str, bytes]]:
    """The beginnings of Event Recorder's log and of the lists of it, in every form."""
    found = {}
    for path in sorted((DATA / "recordings").glob("eventrecorder*.zst")):
        with zstandard.open(path, "rb") as file:
            found[path.name.split(".", 2)[2]] = file.read(6000)
    xml, json = found["eventlist.xml.zst"], found["eventlist.json.zst"]
    lists = [found[name] for name in found if ".txt" in name]
    ends = b"\n   Start/Stop event statistic\n   --------------------------\n"
    data = [found["log.zst"], *(text[: text.rindex(b"\n") + 1] + ends for text in lists)]
    data.append(xml[: xml.rindex(b"<events>")] + b"</EventsTable>")
    data.append(json[: json.rindex(b',{"index"')] + b'],"statistics":[]}')
    return [("eventrecorder", one) for one in data]


def saved(trace: Trace, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", TraceWarning)
        path = Path(folder) / f"x{suffix}"
        trace.save(path)
        return undated(path.read_bytes()) if suffix == ".npz" else path.read_bytes()


def undated(archive: bytes) -> bytes:
    """An archive that does not say when it was made."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            how = member.compress_type
            new.writestr(zipfile.ZipInfo(member.filename), old.read(member), compress_type=how)
    return out.getvalue()


def seeds() -> list[tuple[str, bytes]]:
    """Valid files, with their formats."""
    written = [
        (formats.WRITERS[s].NAME, saved(SMALL, s)) for s in (".trace", ".csv", ".rep", ".npz")
    ]
    plain = ("text", saved(Trace("mmf", [0, 1, 0], [8, 9, 0]), ".trace"))
    by_hand = [("freertos", SERIAL), ("pigweed", PIGWEED), ("ltrace", LTRACE), ("espidf", ESPIDF)]
    made = [*percepio(), *segger(), *arm()]
    return [*logs(), *made, *by_hand, *written, plain]


# ---------------------------------------------------------------------- files made by their rules


def record(number: int, kind: int, detail: int, body: bytes) -> bytes:
    """A record of the recorder's with a right check."""
    raw = bytes([number % 64 << 2 | kind, detail, 0, 0]) + body
    return raw[:2] + recorder.check(raw).to_bytes(2, "little") + raw[4:]


def a_recording(rng: Rng) -> bytes:
    """Whole records, most in order, of every kind and with any numbers."""
    number, out = rng.randrange(64), []
    some = lambda n: rng.choice([bytes(n), b"\xff" * n, rng.randbytes(n)])  # noqa: E731
    for _ in range(rng.randrange(1, 40)):
        what = rng.randrange(8)
        if what == 0 or not out:
            body = b"RHE1" + number.to_bytes(4, "little") + some(4) + some(8)
            out.append(record(number, 3, 0, body + bytes([3, 0, 8, rng.randrange(5)])))
            continue
        if what < 6:
            kind = what % 3
            detail = (
                rng.choice([rng.randrange(4), rng.randrange(4) | 8])
                if kind == 2
                else rng.randrange(256)
            )
            word = 8 if detail & 8 else 4
            length = (4, 3, 8 + word * (3 if detail & 7 == 2 else 2))[kind]
            out.append(record(number, kind, detail, some(length)))
            number += rng.choice([1, 1, 1, 1, 2, 50])
        elif what == 6:
            out.append(record(number, 3, 1, some(4)))
        else:
            size = rng.randrange(1, 20)
            body = (bytes([rng.randrange(256)]) + some(size)).ljust((size + 4) // 4 * 4, b"\0")
            out.append(record(number, 3, size << 2 & 0xFC | 2, body))
    data = b"".join(out)
    if rng.random() < 0.2:
        words = (len(data), rng.randrange(len(data)), rng.randrange(3))
        data = some(9) + b"RHRING1\0" + b"".join(n.to_bytes(4, "little") for n in words) + data
    return data


HEADERS = [
    *(b"'<i8'", b"'<u8'", b"'|u1'", b"'<f8'", b"'|O'", b"'<U9999'", b"[('a', '<i4')]"),
    *(
        b"(1,)",
        b"(999999999999999,)",
        b"()",
        b"(2, 2)",
        b"(((((",
        b"True",
        b"lambda: 0",
        b"-" * 3000,
    ),
]


def an_archive(rng: Rng, valid: bytes) -> bytes:
    """An .npz whose members are changed before they are packed, so that their sums are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(valid)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if rng.random() < 0.3:
                data = changed(rng, data, [data])
            if rng.random() < 0.2:
                at = rng.randrange(10, 60)
                data = data[:at] + rng.choice(HEADERS) + data[at + rng.choice([0, 4, 30]) :]
            if rng.random() < 0.9:
                how = rng.choice([0, 8, 8, 12, 14])
                new.writestr(zipfile.ZipInfo(member.filename), data, compress_type=how)
    return out.getvalue()


# ---------------------------------------------------------------------- changes

WORDS = [
    *(
        b" \n",
        b"#\n",
        b"\r",
        b"\n\n",
        b"\xff",
        b"\0",
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
    ),
    *(
        b"# rtosheap-trace 1\n",
        b"# a: b\n",
        b"# untimed: ",
        b"m 1 ",
        b"r 0 0",
        b"f -1",
        b"op,",
        b'"',
    ),
    *(b"@ ", b"(nil)", b") = ", b"a 1 ", b"v 1 ", b"0x", b"M 0x1 ", b"=1 ", b"-", b"1e9", b"_"),
    *(b"malloc(", b"a->", b"<... malloc resumed> ", b" <unfinished ...>", b"--1-- ", b"==1== "),
    *(b"RHE1", b"RHRING1\0", b"PK\x03\x04"),
    *(
        systemview.SYNC,
        b"\x1f\x04\x03\0",
        b"<events>",
        b"<!DOCTYPE ",
        b"&amp;",
        b"</",
        b'{"index":',
    ),
    *(b"pvAddress=0x1, uiSize=8", b"Malloc", b"0xF401", b"] HEAP: "),
    *(RING, SNAPSHOT, Target().head(), b"\x01\0\0\x20", b"\x38\x20"),
]
NUMBERS = [
    *(b"0", b"-1", b"1", b"255", b"4294967296", b"9223372036854775807", b"9223372036854775808"),
    *(b"18446744073709551615", b"18446744073709551616", b"ffffffffffffffff", b"0" * 23 + b"1"),
]


def changed(rng: Rng, data: bytes, others: list[bytes]) -> bytes:
    """Some of a file's bytes, lines or numbers, otherwise."""
    out = bytearray(data or b"\n")
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        at, what = rng.randrange(len(out) + 1), rng.randrange(10)
        end = min(len(out), at + rng.choice([1, 1, 2, 8, 100]))
        if what == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            out[at:end] = rng.randbytes(end - at)
        elif what == 2:
            del out[at:end]
        elif what == 3:
            del out[at:]
        elif what == 4:
            out[at:at] = out[at:end] * rng.choice([1, 2, 50])
        elif what == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            out[at:end] = other[start : start + 300]
        elif what == 6:
            out[at:at] = rng.choice(WORDS) * rng.choice([1, 1, 2, 100])
        elif what == 7:
            digits = rng.choice([*NUMBERS, b"9" * rng.choice([19, 30, 5000])])
            starts = [n for n, byte in enumerate(out) if 48 <= byte <= 57]
            at = rng.choice(starts) if starts else at
            out[at : at + rng.choice([0, 1, 3])] = digits
        elif what == 8:
            out[at:at] = bytes([rng.randrange(256)]) * rng.choice([10, 300, 3000])
        else:
            lines = bytes(out).splitlines(keepends=True)
            rng.shuffle(lines)
            out[:] = b"".join(lines)
        out = out[:MOST] or bytearray(b"\n")
    return bytes(out)


def packed(rng: Rng, data: bytes) -> bytes:
    """The file as it is, or compressed; some compressed files are damaged."""
    how = rng.randrange(12)
    if how == 0:
        data = gzip.compress(data, 1, mtime=0)
    elif how == 1:
        data = zstandard.ZstdCompressor().compress(data)
    return changed(rng, data, [data]) if how < 2 and rng.random() < 0.3 else data


def a_file(rng: Rng, valid: list[tuple[str, bytes]], names: tuple[str, ...]) -> tuple[str, bytes]:
    """A file, and which of the formats it is of or was of."""
    by_name: dict[str, list[bytes]] = {}
    for name, data in valid:
        by_name.setdefault(name, []).append(data)
    name = rng.choice(names)
    if name == "recorder":
        data = a_recording(rng)
    else:
        data = rng.choice(by_name[name])
        if name == "npz" and rng.random() < 0.8:
            data = an_archive(rng, data)
    if name not in ("recorder", "npz") or rng.random() < 0.3:
        data = changed(rng, data, [data for _, data in valid])
    return name, packed(rng, data)


# ---------------------------------------------------------------------- what must be


class Finding(AssertionError):
    """What a file must not lead to."""


def meant(error: BaseException) -> bool:
    """Whether a reader, and not the boundary, made an error."""
    cause = error.__cause__
    return cause is None or isinstance(cause, (TraceError, *DAMAGED))


def load(data: bytes, name: str | None, strict: bool) -> Trace | None:
    """The trace of a file; None if a reader refuses it."""
    try:
        return Trace.load(io.BytesIO(data), format=name, strict=strict)
    except TraceError as error:
        if not meant(error):
            raise Finding(f"only the boundary caught {error.__cause__!r}") from error
        return None


def compare(data: bytes, name: str, strict: bool) -> None:
    """Read a file in Python alone as well."""
    reader = formats.READERS[formats.NAMES.index(name)]
    if outcome(reader, data, strict) != outcome(REFERENCES[name], data, strict):
        raise Finding(f"is read otherwise than in Python alone, as {name}")


def weigh(data: bytes, name: str | None, strict: bool) -> None:
    """Count the steps that a file takes, and save and load its trace."""
    found: list[Trace | None] = []
    taken = steps(lambda: found.append(load(data, name, strict)))
    packed_up = data[:2] == b"\x1f\x8b" or data[:4] == b"\x28\xb5\x2f\xfd"
    if taken > STEPS_OF.get(name, STEPS) * (MOST if packed_up else len(data)) + 20_000:
        raise Finding(f"{taken:,} steps for {len(data):,} bytes")
    for trace in filter(None, found):
        for suffix in (".trace", ".npz"):
            again = Trace.load(io.BytesIO(saved(trace, suffix)))
            if again != trace or again.meta != trace.meta:
                raise Finding(f"is another trace once it is saved as {suffix}")


def run(
    executions: int,
    seconds: float,
    seed: int,
    keep: Callable[[bytes], object],
    names: tuple[str, ...] = formats.NAMES,
) -> Counter[str]:
    """Read that many files of the formats; what became of them, by format."""
    valid, found = seeds(), Counter[str]()
    end = time.monotonic() + seconds
    for number in itertools.count():
        if number >= executions and time.monotonic() >= end:
            break
        rng = random.Random(f"{seed} {number}")
        own, data = a_file(rng, valid, names)
        name = rng.choice([own, own, None, rng.choice(formats.NAMES)])
        strict = rng.random() < 0.5
        try:
            if number % EVERY == 0:
                weigh(data, name, strict)
            elif number % COMPARED == 0 and name in REFERENCES:
                compare(data, name, strict)
            what = "errors" if load(data, name, strict) is None else "traces"
        except Exception:
            keep(data)
            print(f"execution {number} of seed {seed}, as {name}, strict={strict}:")
            raise
        found[f"{what} {name}"] += 1
    return found


def peak_kib() -> int:
    """The most memory that this program had; `ru_maxrss` would begin with its parent's peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=10**6)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=formats.NAMES, help="only files that are or were of it")
    parser.add_argument("--save", type=Path, default=Path())
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", TraceWarning)
    try:
        names = (args.format,) if args.format else formats.NAMES
        save = (args.save / "finding").write_bytes
        found = run(args.executions, args.seconds, args.seed, save, names)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return 1
    peak = peak_kib() >> 10
    for name in (None, *formats.NAMES):
        counts = (f"{found[f'{what} {name}']:,} {what}" for what in ("traces", "errors"))
        print(f"{name or 'told by its content'}: {', '.join(counts)}")
    traces = sum(count for what, count in found.items() if what.startswith("traces"))
    print(f"{found.total()} executions, {traces} traces, {peak} MiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
