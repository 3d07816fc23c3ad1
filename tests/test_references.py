"""The reference pages of docs/ say what is so: each table and example is held to the code."""

from __future__ import annotations

import builtins
import importlib
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recorder_device
import recorder_reference
from hypothesis import given
from hypothesis import strategies as st
from needs import ROOT
from test_formats_files import META
from test_public_names import PUBLIC
from trace_strategies import valid_traces

from rtosheap import Trace, TraceError
from rtosheap.traces import Dropped, Loss, loss, meta, sizes
from rtosheap.traces.columns import ID_MAX, SIZE_MAX
from rtosheap.traces.formats import files, streams

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import c_headers

CSRC = ROOT / "csrc"
#: What firmware, adapters and tools may include: the files of the C API.
HEADERS = [
    *("core/rh_heap.h", *(f"core/heap_{n}.h" for n in range(1, 6))),
    *("recorder/rh_recorder.h", "recorder/rh_recorder_wrap.h", "recorder/rh_recorder_freertos.h"),
    *("foreign/rh_foreign.h", "policies/rh_policy.h", "recorder/rh_log.h"),
]


def page(name: str) -> str:
    """A page's text."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one that is no lower."""
    hidden = re.sub(r"```.*?```", lambda m: re.sub(r"(?m)^#", "-", m[0]), text, flags=re.DOTALL)
    head = re.search(rf"^(#+) {re.escape(title)}\n", hidden, re.MULTILINE)
    assert head is not None, title
    end = re.search(rf"^#{{1,{len(head[1])}}} ", hidden[head.end() :], re.MULTILINE)
    return text[head.end() :][: end.start() if end else None]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables' rows, without the heads."""
    lines = re.sub(r"^\|.*\n(?=\|---)", "", text, flags=re.MULTILINE).splitlines()
    kept = [line for line in lines if line.startswith("| ") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in kept]


def fence(text: str) -> str:
    """What stands between the first fences."""
    return re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)[0]


def codes(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


# --------------------------------------------------------------------- the trace format


def regex_of(grammar: str, rule: str) -> re.Pattern[str]:
    """The regular expression of a rule of an ABNF whose rules do not recur."""
    rules = dict(re.findall(r"^([\w-]+) += (.*)$", grammar, re.MULTILINE))
    token = re.compile(
        r"\s+|%s\"(?P<exact>[^\"]*)\"|\"(?P<text>[^\"]*)\"|%x(?P<low>\w+)(?:-(?P<high>\w+))?"
        r"|(?P<least>\d*)\*(?P<most>\d*)|(?P<rule>[A-Za-z][\w-]*)|(?P<sign>[][()/])"
    )

    def expand(name: str) -> str:
        out, repeat, depth, at = "", "", [], 0
        text = rules[name]
        while at < len(text):
            match = token.match(text, at)
            assert match is not None, text[at:]
            at = match.end()
            if match["most"] is not None:
                repeat = f"{{{match['least'] or 0},{match['most']}}}"
                continue
            if match["sign"] in ("(", "["):
                out += "(?:"
                depth.append("?" if match["sign"] == "[" else repeat)
                repeat = ""
            elif match["sign"] in (")", "]"):
                out += ")" + depth.pop()
            elif match["sign"] == "/":
                out += "|"
            elif not match[0].isspace():
                if match["rule"] is not None:
                    piece = f"(?:{expand(match['rule'])})"
                elif match["low"] is not None:
                    low, high = (chr(int(match[n] or match["low"], 16)) for n in ("low", "high"))
                    piece = f"[{re.escape(low)}-{re.escape(high)}]"
                else:
                    piece = re.escape(match["exact"] or match["text"])
                out += f"(?:{piece}){repeat}"
                repeat = ""
        return out

    return re.compile(expand(rule))


TRACE_FORMAT = page("trace-format")
TRACE, KEY_LINE = (
    regex_of(fence(section(TRACE_FORMAT, "Grammar")), rule) for rule in ("trace", "key-line")
)
EXAMPLES = re.findall(r"```text\n(# rtosheap-trace[^`]*)```\n\n→ (.*)\n", TRACE_FORMAT)


def of_the_grammar(text: str) -> bool:
    """Whether a file has the form that the specification gives."""
    return TRACE.fullmatch(text if text.endswith("\n") else text + "\n") is not None


def what_is_read(text: str, **options: Any) -> str:
    """What a reader makes of a file, as the specification puts it."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            trace = Trace.load(io.BytesIO(text.encode()), **options)
        except TraceError as error:
            if options:
                return "also with `strict=False`"
            return f"error: `{error}`; {what_is_read(text, strict=False)}"
    lacks = loss.counts(trace.loss, trace.dropped)
    kinds = " ".join(f"{kind}={lacks[kind]}" for kind in sorted(lacks))
    events = f"{len(trace)} event" + "s" * (len(trace) != 1)
    if options:
        return f"with `strict=False`: {events}, missing: {kinds}"
    said = f"{events}, peak {trace.peak_live_bytes}" + (f"; missing: {kinds}" if kinds else "")
    return "; ".join([said, *(f"warning: `{warning.message}`" for warning in warned)])


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 19


@pytest.mark.parametrize(("text", "said"), EXAMPLES)
def test_an_example_of_the_trace_format(text: str, said: str) -> None:
    assert what_is_read(text) == said
    wrong = f"```text\n{text}```" in section(TRACE_FORMAT, "Not of the grammar")
    assert of_the_grammar(text) != wrong


@given(valid_traces(), META)
def test_what_is_written_is_of_the_grammar(trace: Trace, keys: dict[str, str]) -> None:
    out = io.BytesIO()
    columns = (trace.op, trace.id, trace.size)
    named = Trace(*columns, time=trace.time, task=trace.task, meta=keys)
    files.WRITERS[".trace"].write(named, out)
    assert of_the_grammar(out.getvalue().decode())


FIELDS = st.sampled_from(
    [
        *("m", "r", "f", "x", "", " ", "\t", "#", "# a: 1", "# a:1", "# :", "0", "1", "007", "-5"),
        *("1.5", "0x1f", "0xg", "main", "é", "a\u200bb", "a\xa0b", "\r", "\x0b", "\x1c"),
    ]
)


@given(st.lists(st.lists(FIELDS, max_size=6).map(" ".join), max_size=4).map("\n".join))
def test_the_grammar_is_what_is_read(lines: str) -> None:
    """What has another form is an error of a line's form, and only that is."""
    text = "# rtosheap-trace 1\n" + lines
    printable = all(c.isprintable() or c in " \t\n\v\f\r\x1c" for c in text)
    refused, beyond = False, False
    try:
        Trace.load(io.BytesIO(text.encode()))
    except TraceError as error:
        refused = True
        beyond = error.event is not None or "in the header twice" in error.reason
    if of_the_grammar(text):
        assert beyond or not refused or not printable
    else:
        assert refused


HEADER = st.sampled_from(["#", " ", "\t", ":", "key", "a b", "#", ": ", "\r", "\v", "é", "'"])


@given(st.lists(HEADER, max_size=7).map("".join))
def test_what_a_key_is(line: str) -> None:
    trace = Trace.load(io.BytesIO(f"# rtosheap-trace 1\n#{line}\n".encode()))
    assert bool(KEY_LINE.fullmatch(f"#{line}\n")) == bool(trace.meta)
    for key, value in trace.meta.items():
        assert (key, value) == (line.partition(":")[0].strip(), line.partition(":")[2].strip())


def test_keys_of_the_header() -> None:
    text = section(TRACE_FORMAT, "Keys of the header")
    told = {name for name in codes(text) if re.fullmatch(r"\w+", name)}
    source = "".join(path.read_text() for path in sorted((ROOT / "rtosheap").rglob("*.py")))
    used = set(re.findall(r"\bmeta(?:\.get\(|\.pop\(|\[)[\"'](\w+)[\"']", source))
    named = {meta.UNTIMED, meta.ADDRESSED, meta.MISSING, meta.INCOMPLETE, meta.ALL_COUNTED}
    assert len(used) > 8
    assert {*used, *named, meta.ABI, sizes.SIZES, *meta.STATISTICS} <= told
    own = [codes(row[0])[0] for row in rows(text)[:3]]
    for key in own:
        with pytest.raises(TraceError, match="own"):
            Trace("", [], [], meta={key: "x"}).save(Path("never.trace"))
    assert own == [meta.UNTIMED, meta.ADDRESSED, meta.MISSING]


def test_limits_of_the_trace_format() -> None:
    told = dict(rows(section(TRACE_FORMAT, "Limits")))
    assert (ID_MAX, SIZE_MAX) == (2**63 - 1, 2**64 - 1)
    assert (told["id"], told["size"]) == ("0 to 2^63 - 1", "0 to 2^64 - 1")
    assert told["a line"].startswith(f"{streams.MAX_LINE:,} bytes")
    assert told["keys"] == f"{importlib.import_module('rtosheap.traces.formats.text')._MAX_KEYS:,}"
    assert (streams.MAX_BYTES, streams.ALWAYS) == (1 << 30, 64 << 20)
    assert told["a file, unpacked"].startswith(
        f"1 GiB; of a packed one {streams.MAX_RATIO} times its size, or 64 MiB"
    )


def test_suffixes() -> None:
    table = rows(section(TRACE_FORMAT, "Other formats"))
    assert {name for row in table[:4] for name in codes(row[0])} == set(files.WRITERS)


def test_arrays_of_npz() -> None:
    trace = Trace.load(
        io.BytesIO(b"# rtosheap-trace 1\n# missing: failed=1\n# addressed: yes\nm 1 8 5 a 0x8\n")
    )
    out = io.BytesIO()
    files.WRITERS[".npz"].write(trace, out)
    arrays = np.load(io.BytesIO(out.getvalue()))
    table = rows(section(TRACE_FORMAT, "`.npz`"))
    assert {codes(row[0])[0]: row[1].split(",")[0] for row in table} == {
        name: str(arrays[name].dtype) for name in arrays.files
    }
    plain = io.BytesIO()
    files.WRITERS[".npz"].write(Trace("m", [1], [8]), plain)
    needed = {codes(row[0])[0] for row in table if row[2] == "needed"}
    assert needed == set(np.load(io.BytesIO(plain.getvalue())).files)


@pytest.mark.parametrize(("title", "name"), [("`.csv`", "csv"), ("`.rep`", "rep")])
def test_other_formats(title: str, name: str) -> None:
    text = fence(section(TRACE_FORMAT, title))
    trace = Trace.load(io.BytesIO(text.encode()))
    assert trace == Trace.load(io.BytesIO(text.encode()), format=name)
    assert (len(trace), trace.peak_live_bytes) == ((2, 100) if name == "csv" else (3, 100))


# --------------------------------------------------------------------- the recorder's stream

STREAM = page("recorder-stream")


def bytes_of_the_example() -> bytes:
    """The dump's bytes, each line where it says that it is."""
    out = b""
    lines = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} )+) *;", STREAM, re.MULTILINE)
    for at, line in lines:
        assert int(at, 16) == len(out)
        out += bytes.fromhex(line)
    return out


def test_the_stream_is_read_as_told(tmp_path: Path) -> None:
    trace = Trace.load(io.BytesIO(bytes_of_the_example()))
    trace.save(tmp_path / "x.trace")
    told = re.findall(r"```text\n(# rtosheap-trace.*?)```", STREAM, re.DOTALL)
    assert told == [(tmp_path / "x.trace").read_text()]


def test_the_check_is_as_told() -> None:
    """The C of the page, in Python."""
    code = section(STREAM, "The check")
    start, factor = (int(word, 16) for word in re.findall(r"0x(\w{8})u", code))
    assert "mixed ^= mixed >> 15" in code
    record = bytes_of_the_example()[:28]
    words = np.frombuffer(record[:2] + b"\0\0" + record[4:], "<u4").tolist()
    mixed = start + len(record)
    for word in words:
        mixed = (mixed ^ word) * factor & 0xFFFFFFFF
        mixed ^= mixed >> 15
    assert (mixed & 0xFFFF).to_bytes(2, "little") == record[2:4]


def test_lengths_of_records() -> None:
    """Of each kind with each detail that the table has; the name's is in its words."""
    table = [row for row in rows(section(STREAM, "A record")) if len(row) == 4]
    seen = 0
    for name, detail, lengths, _ in table:
        data = bytes(4) + b"RHE1"
        if not detail.startswith("bits 0-1"):
            told = [int(n) for n in re.findall(r"\d+", lengths)]
            details = [0] if name[0] in "01" else [int(n) for n in re.findall(r"\d+", detail)]
            found = [recorder_reference._length(data, 0, int(name[0]), n) for n in details]
            assert found == told, name
            seen += len(found)
    assert seen == 14
    name_of = {n: recorder_reference._length(b"", 0, 3, 2 | n << 2) for n in (1, 3, 4, 32, 63)}
    assert name_of == {n: 4 + -(-(1 + n) // 4) * 4 for n in name_of}
    assert f"8 to {name_of[63]}, here {name_of[32]} at most" in STREAM
    assert f"at most {recorder_reference._AHEAD} events ahead" in STREAM


@pytest.mark.long
def test_the_recorder_writes_the_example(tmp_path: Path) -> None:
    calls = rows(section(STREAM, "An example"))
    device: Any = recorder_device.build("", tmp_path)
    device.start()
    for call, tick, task in calls:
        name, arguments, gives = re.findall(r"(\w+)\((.*)\)(?: gives (\w+))?", call)[0]
        *old, size = (int(number, 0) for number in arguments.split(", "))
        when: dict[str, Any] = {"tick": int(tick), "task": task}
        if name == "free":
            device.event("f", size, **when)
        else:
            device.event(name[0], int(gives, 0), size, *old, **when)
    assert len(calls) == 6
    assert device.bytes()[: device._library.host_written()] == bytes_of_the_example()


# --------------------------------------------------------------------- C


def declared(name: str) -> list[c_headers.Declared]:
    """What a header declares, macros apart."""
    found = c_headers.declared(c_headers.body((CSRC / name).read_text()))
    return [one for one in found if one.kind != "macro"]


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_says_what_it_promises(name: str) -> None:
    assert c_headers.first_comment((CSRC / name).read_text())
    helpers = {"rh_log2", "rhr_function", "rhr_reaches", "rhr_start_wrapped"}
    for one in declared(name):
        assert helpers & set(one.names) or one.comment, one.names


def test_the_c_api_has_every_function() -> None:
    fences = dict[str, list[str]]()
    for header, names in c_headers.fences(page("c-api")):
        fences[header] = names
        text = c_headers.page(header, (CSRC / header).read_text(), names)
        assert text.count(".. c:") >= max(len(names) > 0, 1)
    assert set(HEADERS) <= set(fences)
    public = re.compile(r"^RH_API [\w ]+?\**(\w+)\(", re.MULTILINE)
    for source in sorted((CSRC / "core").glob("heap_?.c")):
        named = set(public.findall(source.read_text()))
        listed = {name for one in declared(f"core/{source.stem}.h") for name in one.names}
        assert named
        assert named <= listed
        assert not fences[f"core/{source.stem}.h"]
    functions = {
        name for header in HEADERS for one in declared(header) if one.kind == "function"
        for name in one.names
    }  # fmt: skip
    assert len(functions) > 45


# --------------------------------------------------------------------- macros

MACROS = page("macros")
DEFAULT = re.compile(r"#\s*define (\w+)(?:\([\w, ]*\))?((?:[^\n]*\\\n)*[^\n]*)\n")


def options_of(name: str) -> dict[str, set[str]]:
    """The macros that a file lets its user set, and the values that it gives them else."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / name).read_text(), flags=re.DOTALL)
    guard = re.findall(r"^#ifndef (\w+_H)$", text, re.MULTILINE)[:1]
    asked = re.findall(r"^#ifn?def ((?:RH|RHR|RHL|configR|configH|configE)\w*)", text, re.MULTILINE)
    out: dict[str, set[str]] = {}
    for macro in dict.fromkeys(asked):
        values = {
            " ".join(value.replace("\\\n", " ").split())
            for found, value in DEFAULT.findall(text)
            if found == macro
        }
        out[macro] = values - {""}
    return {macro: values for macro, values in out.items() if macro not in guard}


TOLD = {
    match[1]: rows(section(MACROS, f"`{match[1]}`"))
    for match in re.finditer(r"^### `(.*)`$", MACROS, re.MULTILINE)
}


@pytest.mark.parametrize("name", TOLD)
def test_macros(name: str) -> None:
    told = {codes(row[0])[0]: set(codes(row[1])) for row in TOLD[name]}
    asked = options_of(name)
    if name == "core/rh_index.h":
        asked["RH_INDEX_SIZE"] = set()
    if name == "recorder/rh_recorder_wrap.c":
        asked["RHR_UNLOCK"] = {"((void)xTaskResumeAll())", "((void)0)"}
    assert told == asked


def test_no_file_has_other_macros() -> None:
    found = {
        f"{folder}/{path.name}"
        for folder in ("core", "recorder")
        for path in (CSRC / folder).iterdir()
        if path.suffix in (".c", ".h") and options_of(f"{folder}/{path.name}")
    }
    assert found == set(TOLD)


def test_macros_of_freertos() -> None:
    table = rows(section(MACROS, "A FreeRTOS kernel's configuration"))
    told = {codes(row[0])[0]: set(codes(row[1])) for row in table}
    text = "".join(path.read_text() for path in sorted((CSRC / "freertos").iterdir()))
    derived = {"configASSERT_DEFINED", "configRTOSHEAP"}
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert set(told) == set(re.findall(r"\bconfig[A-Z]\w+", text)) - derived
    asked = options_of("freertos/rh_freertos.h")
    assert {name: values for name, values in told.items() if values} == {
        name: values for name, values in asked.items() if values
    }
    for row in table:
        uses = {
            path.stem for path in (CSRC / "freertos").glob("heap_?.c") if uses_macro(path, row[0])
        }
        assert row[2] == "all" or set(re.findall(r"heap_\d", row[2])) <= uses, row


def uses_macro(path: Path, cell: str) -> bool:
    """Whether a drop-in file, or what it includes beside the core, has a macro."""
    text = path.read_text()
    for name in re.findall(r'#include "(rh_freertos\w*\.h)"', text):
        text += (path.parent / name).read_text()
    return codes(cell)[0] in text


def test_variables_of_cmake() -> None:
    text = (CSRC / "CMakeLists.txt").read_text()
    found = dict(re.findall(r"^set\((RTOSHEAP_\w+) (\S+) CACHE STRING", text, re.MULTILINE))
    found |= dict(re.findall(r'^option\((RTOSHEAP_\w+) ".*?" (\w+)\)', text, re.MULTILINE))
    table = rows(section(MACROS, "Without FreeRTOS, by CMake"))
    assert {codes(row[0])[0]: codes(row[1])[0] for row in table} == found
    for row in table:
        assert all(macro in text for macro in codes(row[2]))


# --------------------------------------------------------------------- errors

ERRORS = page("errors")


def public_errors() -> dict[str, type[BaseException]]:
    """Every exception and warning that a public package hands on, by its name."""
    out = {}
    for package in PUBLIC:
        face = importlib.import_module(package)
        for name in face.__all__:
            thing = getattr(face, name)
            if isinstance(thing, type) and issubclass(thing, BaseException):
                out[name] = thing
    return out


def test_exceptions() -> None:
    text = section(ERRORS, "Exceptions")
    above: list[tuple[int, str]] = []
    drawn = {}
    for indent, name, package in re.findall(r"^( *)(\w+) *([\w.]*)$", fence(text), re.MULTILINE):
        above = [(depth, base) for depth, base in above if depth < len(indent)]
        if package:
            drawn[name] = above[-1][1]
            assert getattr(importlib.import_module(package), name) is public_errors()[name]
        above.append((len(indent), name))
    assert drawn == {name: error.__bases__[0].__name__ for name, error in public_errors().items()}
    told = [name for row in rows(text) for name in codes(row[0])]
    assert told[: len(drawn)] == [*dict.fromkeys(told)][: len(drawn)]
    assert set(told[: len(drawn)]) == set(drawn)
    assert all(issubclass(getattr(builtins, name), Exception) for name in told[len(drawn) :])


def enumerators(name: str) -> list[str]:
    """Those of an enumeration in rh_heap.h."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / "core" / "rh_heap.h").read_text(), flags=re.DOTALL)
    found = re.search(rf"enum {name} {{(.*?)}}", text, re.DOTALL)
    assert found is not None
    return re.findall(r"RH_\w+", found[1])


def test_statuses() -> None:
    table = rows(section(ERRORS, "Statuses of the core"))[: len(enumerators("rh_status"))]
    assert [codes(row[0])[0] for row in table] == enumerators("rh_status")
    text = (CSRC / "python" / "construct.c").read_text()
    raised = dict(re.findall(r"case (RH_\w+):\s+PyErr_\w+\(PyExc_(\w+)", text))
    assert len(raised) == 6
    for row in table:
        (status,) = codes(row[0])
        if status in raised:
            assert codes(row[3]) == [raised[status]]
        if row[1] == "set-up":
            assert codes(row[3])[0] in ("ValueError", "MemoryError")
    failures = {name for row in table for name in re.findall(r'failure `"(\w+)"`', row[3])}
    assert failures < set(importlib.import_module("rtosheap.replays.run").FAILURES)


def test_rules() -> None:
    table = rows(section(ERRORS, "Broken rules"))
    assert [codes(row[0])[0] for row in table] == enumerators("rh_rule")
    text = (CSRC / "python" / "errors.c").read_text()
    names = dict(re.findall(r'\[(RH_RULE_\w+)\] = \{"([\w ]+)"', text))
    assert {codes(row[0])[0]: codes(row[1])[0] for row in table} == names


@pytest.mark.parametrize(
    ("title", "words", "kinds"),
    [
        ("`trace.loss`", loss._WORDS, Loss._fields),
        ("`trace.dropped`", loss._DROPPED_WORDS, Dropped._fields),
    ],
)
def test_kinds_of_loss(title: str, words: dict[str, str], kinds: tuple[str, ...]) -> None:
    table = rows(section(section(ERRORS, "What a trace lacks"), title))
    assert [codes(row[0])[0] for row in table[: len(kinds)]] == list(kinds)
    for kind, counts, harmless in table[: len(kinds)]:
        assert counts == words[codes(kind)[0]]
        assert harmless == ("yes" if codes(kind)[0] in loss._HARMLESS else "no")


def test_exit_statuses(run: Any, tmp_path: Path) -> None:
    """Those that the help has; 130 and 141 have their own tests."""
    table = rows(section(ERRORS, "Exit statuses"))
    assert [row[0] for row in table] == ["0", "1", "2", "130", "141"]
    (tmp_path / "x.trace").write_text("# rtosheap-trace 1\nm 1 4000\nm 2 4000\n")
    (tmp_path / "freed.trace").write_text("# rtosheap-trace 1\nm 1 4000\nf 2\n")
    replay = ("replay", "x.trace", "--heap", "heap_4", "--heap-size")
    for words, status in (
        ((*replay, "16K"), 0),
        ((*replay, "6K"), 1),
        (("check", "x.trace", "--heap", "heap_4", "--heap-size", "6K"), 1),
        (("compare", "x.trace", "--heap-size", "6K"), 1),
        ((*replay, "?"), 2),
        (("size", "freed.trace", "--heap", "heap_4"), 2),
    ):
        assert run(*words).status == status, words
