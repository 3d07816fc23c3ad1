"""Logs as they are met: through a serial line, behind prefixes, among other text; plain ltrace."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
import zstandard
from trace_files import load

from rtosheap import Trace, TraceError
from rtosheap.cli import main
from rtosheap.traces import Dropped, Loss, TraceWarning
from rtosheap.traces.doubts import is_complete

DATA = Path(__file__).parent / "data"

pytestmark = pytest.mark.filterwarnings("error")

FREERTOS = [
    b"M 0x2024a188 116 128 0",
    b"M 0x2024a208 1024 1032 0",
    b"X 0x0 99999 0 2",
    b"F 0x2024a188 128 3",
    b"=3 1 100 200",
]
PIGWEED = [b"m 116 0x2024a188", b"m 1024 0x2024a208", b"m 99999 0x0", b"f 0x2024a188"]
LOGS = {"freertos": FREERTOS, "pigweed": PIGWEED}
EVENTS = [("m", 0, 116), ("m", 1, 1024), ("f", 0, 0)]
#: What a terminal, a logger or a shell writes before a line, and perhaps after it.
PREFIXES = {
    "none": (b"", b""),
    "time in brackets": (b"[00:01.234] ", b""),
    "date in brackets": (b"[2026-11-26 12:34:56.123] ", b""),
    "no blank": (b"[00:01.234]", b""),
    "arrow": (b"12:34:56.789 -> ", b""),
    "esp-idf": (b"I (123) heap: ", b""),
    "esp-idf in colour": (b"\x1b[0;32mI (123) heap: ", b"\x1b[0m"),
    "colour alone": (b"\x1b[1;31m", b"\x1b[m"),
    "cleared line": (b"\x1b[2K\x1b[?25h", b"\x1b[K"),
    "cleared screen": (b"\x1b[2J\x1b[H", b""),
    "zeros": (b"\0\0", b"\0"),
    "zephyr": (b"[00:00:01.234,000] <inf> heap: ", b""),
    "syslog": (b"Nov 26 12:34:56 board kernel[1]: ", b""),
    "table": (b"|0001|", b""),
    "csv": (b"17,heap,", b""),
    "signs": (b"t=17;-", b""),
    "beyond ascii": ("17 \u2502".encode(), b""),
    "letters of events": (b"F 1 M 2: ", b""),
}
BANNER = [
    b"ets Jul 29 2019 12:21:46",
    b"",
    b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
    b"\xff\xfe\x00garbage",
    b"Memory free: 0x1000 M",
]


def brief(trace: Trace) -> list[tuple[str, int, int]]:
    return [(event.op, event.id, event.size) for event in trace]


@pytest.mark.parametrize("before", ["", "[1] "])
def test_comments_behind_pigweeds_requests(before):
    """As in the example of Pigweed's documentation."""
    lines = [
        "m 20 0x20004450  # malloc 20 bytes, the pointer is 0x20004450",
        "m 8 0x2000447c   # malloc 8 bytes, the pointer is 0x2000447c",
        "f 0x2000447c     # free the pointer at 0x2000447c",
    ]
    trace = load("".join(f"{before}{line}\n" for line in lines))
    assert brief(trace) == [("m", 0, 20), ("m", 1, 8), ("f", 1, 0)]
    assert not trace.dropped
    assert brief(load("m 20 20004450 # first\n")) == [("m", 0, 20)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", LOGS)
def test_prefixes(name, prefix, end):
    before, after = PREFIXES[prefix]
    trace = load(b"".join(before + line + after + end for line in LOGS[name]))
    assert trace.meta["source"] == load(b"\n".join(LOGS[name]) + b"\n").meta["source"]
    assert brief(trace) == EVENTS
    assert trace.loss == Loss(failed=1)
    assert not trace.dropped


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", LOGS)
def test_a_banner_a_cut_first_line_and_other_text(name, prefix):
    before, after = PREFIXES[prefix]
    first, *lines = [before + line + after for line in LOGS[name]]
    log = [LOGS[name][0][5:], *BANNER, first, b"wifi: up", b"I (14) app: 5 M", *lines]
    for strict in (True, False):
        trace = load(b"\r\n".join(log) + b"\r\n", strict=strict)
        assert brief(trace) == EVENTS
        assert trace.loss == Loss(failed=1, cut_lines=1)
        assert trace.dropped == Dropped(bad_line=2)  # of the text before the first event, none


@pytest.mark.parametrize("name", LOGS)
def test_a_line_that_was_cut_behind_a_terminals_banner(name):
    first = LOGS[name][0]
    for banner in (b"=~=~=~= PuTTY log 2026.11.27 =~=~=~=", b"\r\n\x00\x00"):
        trace = load(b"\r\n".join([banner, first[5:], *LOGS[name]]) + b"\r\n")
        assert brief(trace) == EVENTS
        assert trace.loss == Loss(failed=1, cut_lines=1)
        assert not trace.dropped


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("end", [b"\n\r", b"\r\r\n", b"\n\0\0\n\r\0"])
def test_lines_of_nothing_are_nothing(name, end):
    trace = load(end.join(LOGS[name]) + end)
    assert brief(trace) == EVENTS
    assert trace.loss == Loss(failed=1)
    assert not trace.dropped


def test_events_behind_the_last_line_are_missing():
    """A log of two starts, each with its own last line, of which one alone can be read."""
    log = b"M 0x10 5 16 0\nF 0x10 16 1\n=2 0 1 1\n"
    with pytest.raises(TraceError, match="line 4: an event after the last line"):
        load(log + log)
    trace = load(log + log, strict=False)
    assert len(trace) == 2
    assert trace.dropped == Dropped(bad_line=3)
    assert not is_complete(trace)
    assert is_complete(load(log + b"idle\n"))


def test_a_total_that_may_count_failures_hides_no_damaged_event():
    log = b"M 0x10 5 16 0\nX 0x0 5 0 1\n%bM 0x20 5 16 3\n=3 1 1 1\n"
    assert load(log % b"").loss == Loss(failed=1)
    found = load(log % b"M 0x30 5 1wifi\n", strict=False)
    assert found.loss == Loss(failed=1, lost_events=1)
    assert found.dropped == Dropped(bad_line=1)


@pytest.mark.parametrize("name", LOGS)
def test_a_damaged_event_is_an_error_that_says_what_to_do(name):
    lines = [b"boot", *LOGS[name]]
    lines[2] = b"[1] " + lines[2][:-3] + b"I (7) wifi: up"  # two writers on one line
    log = b"\n".join(lines) + b"\n"
    with pytest.raises(
        TraceError, match=r"is no event; it must be .*--no-strict\) leaves it out"
    ) as e:
        load(log)
    assert e.value.line == 3
    if name == "freertos":  # whose last line counts the events
        log = log.replace(b"=3 1", b"=2 1")
    trace = load(log, strict=False)
    assert brief(trace) == [EVENTS[0], EVENTS[2]]
    assert trace.dropped == Dropped(bad_line=1)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("before", [b"", b"[1] ", b"\x1b[32m"])
@pytest.mark.parametrize("rest", [100, -4])
def test_two_events_on_one_line_are_an_error(name, before, rest):
    """Where an end of line was lost, nobody knows what else was: neither is taken in silence."""
    first, second, *more = LOGS[name]
    log = b"\n".join([first, before + second[:rest] + b" " + before + first, *more]) + b"\n"
    with pytest.raises(TraceError, match=r"is no event; it must be") as caught:
        load(log)
    assert caught.value.line == 2
    trace = load(log, strict=False)
    assert brief(trace) == [EVENTS[0], EVENTS[2]]
    assert trace.dropped == Dropped(bad_line=1)


def test_a_recorded_log_behind_prefixes_is_what_it_is_without():
    plain = gzip.decompress((DATA / "freertos-logs" / "cm3-mode0.log.gz").read_bytes())
    lines = plain.splitlines()[:3000] + plain.splitlines()[-1:]
    right = load(b"\n".join(lines) + b"\n")
    noisy = [b"*** boot ***"]
    for number, line in enumerate(lines):
        noisy.append(b"[%08d] I (%d) heap: " % (number, number) + line)
        if number % 100 == 99:
            noisy.append(b"[%08d] I (%d) app: tick" % (number, number))
    found = load(b"\n".join(noisy) + b"\n")
    assert len(found) == 3000
    assert found == right
    assert found.dropped.bad_line == 30
    assert found.loss == right.loss


def test_a_banner_of_any_length_is_read_once_the_format_is_named():
    log = b"boot\n" * 20_000 + b"\n".join(FREERTOS) + b"\n"
    with pytest.raises(TraceError, match="none of the formats"):
        load(log)
    assert brief(load(log, format="freertos")) == EVENTS


@pytest.mark.parametrize("name", LOGS)
def test_a_file_without_an_event_is_no_log(name):
    with pytest.raises(TraceError, match="line 2: 'hello' is no event") as caught:
        load(b"\nhello\nworld\n", format=name)
    assert caught.value.line == 2
    with pytest.warns() if name == "freertos" else pytest.MonkeyPatch.context():
        trace = load(b"hello\nworld\n", format=name, strict=False)
    assert (len(trace), trace.dropped.bad_line) == (0, 2)


def test_the_command_line_reads_one(tmp_path, capsys):
    path = tmp_path / "serial.log"
    lines = [*BANNER, *(b"[1] " + line for line in FREERTOS[:2]), b"x", *FREERTOS[2:], b""]
    path.write_bytes(b"\n".join(lines))
    assert main(["convert", str(path), str(tmp_path / "x.trace")]) == 0
    out, err = capsys.readouterr()
    assert "3 events" in out
    assert "left out or mended: 1 bad line" in err


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_log_that_a_shell_of_windows_wrote(encoding):
    """PowerShell's ``>`` writes UTF-16."""
    lines = ["boot \u2502 \U0001f600", *(f"[1] {line.decode()}" for line in FREERTOS), ""]
    text = "\r\n".join(lines)
    data = ("\ufeff" + text).encode(encoding)
    assert load(data) == load(text)
    assert brief(load(gzip.compress(data), format="freertos")) == EVENTS
    assert brief(load(data + b"\n", prefix=r"\[\d+\] ")) == EVENTS  # half a sign at the end
    many = "".join(f"M 0x{8 * i:x} 5 16 {i}\n" for i in range(1, 20_001)) + "=20000 0 1 1\n"
    assert len(load(("\ufeff" + many).encode(encoding))) == 20_000
    with pytest.raises(TraceError, match="holds more than 100 bytes"):
        load(data * 9, max_bytes=100)


def test_memory_that_begins_as_utf_16_does_is_not_taken_for_text():
    for data in (b"\xff\xfe", b"\xff\xfe" + bytes(99), b"\xfe\xff\x01\x02\x03" * 50):
        with pytest.raises(TraceError, match="none of the formats"):
            load(data)


# ---------------------------------------------------------------------- prefixes that are named


@pytest.mark.parametrize("before", [b"17ms", b"\x1b[0;32m17ms", "17\u00b5s".encode()])
@pytest.mark.parametrize("name", LOGS)
def test_a_prefix_that_nobody_would_find(name, before):
    log = b"boot\n" + b"\n".join(before + line for line in LOGS[name]) + b"\n"
    with pytest.raises(TraceError, match=r"line 1: .*prefix= \(--prefix\) says what stands before"):
        load(log, format=name)
    for how in ({}, {"format": name}):
        trace = load(log, prefix=r"\d+[m\u00b5]s", **how)
        assert brief(trace) == EVENTS
        assert trace.loss == Loss(failed=1)


def test_a_prefix_is_taken_off_any_log_in_lines():
    text = "".join(f"host7{line}\n" for line in CALLS.splitlines())
    assert brief(load(text, prefix="host7")) == PLAIN
    assert brief(load("xx# rtosheap-trace 1\nxxm 0 80\nm 1 9\n", prefix="x*")) == [
        ("m", 0, 80),
        ("m", 1, 9),
    ]


def test_lines_that_do_not_begin_so_are_read_as_they_are():
    log = b"17msM 0x10 5 16 1\nM 0x20 6 16 2\n17msapp: hello\nfoo\n=2 0 1 1\n"
    trace = load(log, format="freertos", prefix=r"\d+ms")
    assert brief(trace) == [("m", 0, 5), ("m", 1, 6)]
    assert trace.dropped == Dropped(bad_line=2)


def test_a_prefix_is_looked_for_at_the_beginning_of_a_line_alone():
    """A few megabytes in one line, at an expression that is quadratic in it, take no time."""
    long = b"a" * (3 << 20)
    log = b"\n".join([long, *(b"aab" + line for line in FREERTOS), b""])
    with pytest.raises(TraceError, match="line 1: a line of more than"):
        load(log, format="freertos", prefix=r"a*a*b")
    trace = load(log, format="freertos", prefix=r"a*a*b", strict=False)
    assert (brief(trace), trace.dropped) == (EVENTS, Dropped(bad_line=1))
    assert load(b"b" * 199 + b"M 0x10 5 16 1\n=1 0 1 1\n", prefix="b+").op.tobytes() == b"m"
    with pytest.raises(TraceError, match="is no event"):
        load(b"b" * 201 + b"M 0x10 5 16 1\n", format="freertos", prefix="b+")


def test_a_prefix_that_no_line_has_is_told():
    with pytest.warns(match="no line begins with the prefix 'zz'"):
        load(b"\n".join(FREERTOS) + b"\n", prefix="zz")


@pytest.mark.parametrize("prefix", ["(", "a{2,1}", "*", "(?P<x>a)(?P<x>b)"])
def test_what_is_no_regular_expression(prefix, capsys):
    with pytest.raises(ValueError, match=r"prefix is .*: no regular expression: "):
        load(b"", prefix=prefix)
    assert main(["convert", "in.log", "out.trace", "--prefix", prefix]) == 2
    assert "argument --prefix: " in capsys.readouterr().err
    with pytest.raises(TypeError, match="prefix is b'x'"):
        load(b"", prefix=b"x")


def test_the_command_line_takes_a_prefix(tmp_path, capsys):
    path = tmp_path / "serial.log"
    path.write_bytes(b"\n".join([b"boot", *(b"17ms" + line for line in FREERTOS), b""]))
    out = str(tmp_path / "x.trace")
    assert main(["convert", str(path), out, "--format", "freertos", "--prefix", r"\d+ms"]) == 0
    assert "3 events" in capsys.readouterr().out
    assert main(["size", str(path), "--format", "freertos", "--prefix", r"\d+ms", "--json"]) == 0
    assert '"peak_live_bytes": 1140' in capsys.readouterr().out


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_log_with_a_banner_prefixes_and_foreign_lines(prefix):
    """Some 5 % of the lines are another's; the first and the last are cut."""
    before, after = PREFIXES[prefix]
    plain = gzip.decompress((DATA / "freertos-logs" / "cm3-mode0.log.gz").read_bytes())
    events = plain.splitlines()[:2000]
    foreign = [b"wifi: up", b"I (14) app: 5 M", b"\x1b[0;33mW (15) x: F", b"\xff\xfe\x00"]
    log = [events[0][5:], *BANNER]
    for number, line in enumerate(events):
        log.append(before + line + after)
        if number % 20 == 10:
            log.append(foreign[number // 20 % 4])
    data = b"\r\n".join([*log, before + b"M 0x2024a1"])
    right = load(b"\n".join([*events, b"=2000 0 1 1", b""]))
    with pytest.warns(match="the last line '=EVENTS ...' is missing"):
        trace = load(data, format="freertos", strict=False)
    assert trace == right
    assert trace.loss == right.loss.merged(Loss(cut_lines=2))
    assert trace.dropped == Dropped(bad_line=100)


def test_a_device_that_started_anew():
    again = [b"M 0x2024a188 50 64 0", b"F 0x2024a188 64 0"]
    log = b"\n".join([*FREERTOS[:2], b"rst:0x1", *again, b""])
    late = log.replace(b"1032 0", b"1032 7")
    with pytest.raises(TraceError, match=r"line 4: the tick is 0, after 7; .* another recording"):
        load(late)
    with pytest.warns(match="the last line"):
        trace = load(late, strict=False)
    assert trace.op.tobytes() == b"mmfmf"
    assert trace.time.tolist() == [0, 7, 7, 7, 7]
    assert trace.dropped == Dropped(bad_line=1, time_set=2)
    assert trace.loss == Loss(implied_frees=1)


# ---------------------------------------------------------------------- ltrace

CALLS = """\
__libc_start_main(0x401d60, 1, 0x7ffd3e9c2b18, 0x4046e0 <unfinished ...>
setlocale(LC_ALL, "")                            = "C.UTF-8"
getenv("COLUMNS")                                = nil
malloc(80)                                       = 0x1c4e2a0
puts("malloc(5) = 0x10")                         = 18
realloc(0x1c4e2a0, 200)                          = 0x1c4e300
free(0x1c4e300)                                  = <void>
+++ exited (status 0) +++
"""
PLAIN = [("m", 0, 80), ("r", 0, 200), ("f", 0, 0)]


WHO_AND_WHEN = [
    *(
        "",
        "[pid 6352] ",
        "6352 ",
        "12:34:56 ",
        "12:34:56.123456 ",
        "1764158400.123456 ",
        "0.000123 ",
    ),
    *("[pid 6352] 12:34:56.1 ", "prog->", "[pid 1] prog->"),
    *("[0x5635ad1221f9] ", "6352 12:34:56.1 [0x5635ad1221f9]   ", "  "),
]


@pytest.mark.parametrize("before", WHO_AND_WHEN)
def test_ltrace_without_options_and_with_prefixes(before):
    text = "".join(f"{before}{line}\n" for line in CALLS.splitlines())
    assert brief(load(text)) == PLAIN
    assert load(text).meta["source"] == "ltrace"
    lasted = text.replace("\n", " <0.000123>\n")  # -T
    assert brief(load(lasted)) == PLAIN


def test_ltrace_of_threads_on_a_terminal():
    trace = load(
        "malloc(24)                                       = 0x55d0c0\n"
        "[pid 12] malloc(10 <unfinished ...>\n"
        "[pid 13] calloc(5, 31)                           = 0x55d0f0\n"
        "[pid 12] <... malloc resumed> )                  = 0x55d120\n"
        "[pid 13] free(0x55d0c0)                          = <void>\n"
        "[pid 13] +++ exited (status 0) +++\n"
    )
    assert brief(trace) == [("m", 0, 24), ("m", 1, 155), ("m", 2, 10), ("f", 0, 0)]
    assert trace.task_names == ("13", "12")
    assert trace[0].task == ""


NO_CALLS = [
    *(
        "malloc(80)                   0x10",
        "malloc(80) = ",
        "malloc(80 = 0x10",
        "malloc(80) = 0x10 x",
    ),
    *("malloc(-1) = 0x10", "malloc(8_0) = 0x10", "malloc(0x) = 0x10", "malloc() = 0x10"),
    *("malloc(9) = 0x1_0", "malloc(9) = x"),
]


@pytest.mark.parametrize("line", NO_CALLS)
def test_what_begins_as_a_call_and_is_none(line):
    text = f"malloc(80) = 0x1c4e2a0\n{line}\n"
    with pytest.raises(TraceError, match="is no event") as caught:
        load(text)
    assert caught.value.line == 2
    assert load(text, strict=False).dropped.bad_line == 1


def test_a_program_that_only_speaks_of_malloc_is_no_log():
    for text in ("p = malloc(80);\n", "malloc(80) returns memory\n", "strlen(5) = 0x10\n"):
        with pytest.raises(TraceError, match="none of the formats"):
            load(text)


@pytest.mark.parametrize("before", [b"  0.000104 ", b"31080   0.000104 ", b"[pid 7]   0.000104 "])
def test_ltraces_relative_times(before):
    """As of ``ltrace -r``, and ``-f -r``."""
    log = (DATA / "recorders" / "ltrace" / "edge.libc.log").read_bytes()
    lines = [line.partition(b" ")[2] for line in log.splitlines()]
    found = load(b"\n".join(before + line for line in lines) + b"\n")
    right = load(b"\n".join(lines) + b"\n")
    assert brief(found) == brief(right)
    assert found.loss == right.loss


def test_valgrinds_times():
    """As of ``valgrind --time-stamp=yes``."""
    log = (DATA / "recorders" / "valgrind" / "edge.log").read_bytes()
    timed = re.sub(rb"(?m)^(--|==)(?=\d)", rb"\g<1>00:00:00:01.464 ", log)
    assert timed != log
    found, right = load(timed), load(log)
    assert len(right) == 25
    assert brief(found) == brief(right)
    assert found.loss == right.loss


@pytest.mark.parametrize("name", ["valgrind", "ltrace", "mtrace", "heaptrack", "espidf"])
def test_a_log_without_any_call_is_told(name):
    """It may be another file, or the recorder may not have been told to log calls."""
    log = b"= Start\n" if name == "mtrace" else b"==7== Memcheck, a memory error detector\n"
    with pytest.warns(TraceWarning, match="holds no call of malloc or free") as said:
        assert len(load(log, format=name)) == 0
    assert ("--trace-malloc=yes" in str(said[0].message)) == (name == "valgrind")


def test_a_prefix_that_takes_all_is_told():
    with pytest.warns(TraceWarning, match="holds no call of malloc or free"):
        load(b"\n".join(PIGWEED) + b"\n", format="pigweed", prefix=".*")


TWO_CALLS = b"7 malloc(8) = 0x10\n8 malloc(9) = 0x30\n"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (b"8 +++ exited (status 0) +++\n7 +++ exited (status 1) +++\n", None),
        (b"7 +++ killed by SIGTERM +++\n", None),
        (b"7 +++ killed by SIGSEGV +++\n", "SIGSEGV ended the program"),
        (b"7 --- SIGSEGV (Segmentation fault) ---\n", "ends before the program does"),
        (b"", "ends before the program does"),
        (b"8 +++ exited (status 0) +++\n7 free(0x10) = <void>\n", "ends before"),
    ],
)
def test_a_log_of_ltrace_that_is_cut_off_or_that_crashed(end, said):
    """As of programs with threads, some of which ltrace kills, or it dies itself."""
    trace = load(TWO_CALLS + end)
    assert len(trace) == 2 + end.count(b"free")
    assert not trace.loss
    assert is_complete(trace) == (said is None)
    assert (said or "") in trace.meta.get("incomplete", "")


def test_a_byte_order_mark_hides_no_first_call():
    for log in (
        b"malloc(8) = 0x10\n+++ exited (status 0) +++\n",
        b"--7-- malloc(8) = 0x10\n",
        b"= Start\n@ ./a:[0x1] + 0x10 0x8\n",
        b"v 10400 3\n+ 8 1 10\n",
        b"m 8 0x2024a188\n",
    ):
        assert brief(load(b"\xef\xbb\xbf" + log)) == brief(load(log)) == [("m", 0, 8)]


def test_a_device_that_starts_anew_is_never_exact():
    """Its memory of before the start is not freed in the log, and may be where nothing is again."""
    log = b"M 0x90 50 64 7\nM 0x10 5 16 0\nF 0x10 16 9\n=%d 0 1 1\n"
    for events in (2, 3):  # of the second start, or of both
        trace = load(log % events, strict=False)
        assert len(trace) == 3
        assert not trace.loss
        assert trace.dropped == Dropped(time_set=1)
        assert not is_complete(trace)


def test_a_file_of_zstd_that_is_cut_short():
    """Wherever that is: at the end of a line, too."""
    plain = b"".join(b"m %d 0x2024%04x\n" % (x % 97, x) for x in range(60_000))
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(plain)
    assert len(load(frame)) == 60_000
    assert len(load(frame + zstandard.ZstdCompressor().compress(b"\n"))) == 60_000
    for stop in (20, len(frame) // 2, len(frame) - 4, len(frame) - 1):
        with pytest.raises(TraceError, match=r"damaged .the file ends within a frame"):
            load(frame[:stop], format="pigweed")
