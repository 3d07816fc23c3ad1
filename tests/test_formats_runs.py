"""Long runs of the same bytes: every reader comes to an end, and soon."""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
import random
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from fuzz.fuzz_readers import a_recording, seeds
from parts import few_of
from steps import steps

from rtosheap.traces import Trace, TraceError, formats, meta
from rtosheap.traces.formats._serial import Events

FORMATS = [None, *formats.NAMES]
#: What the readers look for: repeated, it is what an expression could take in many ways.
WORDS = [
    b" \n", b"#\n", b"\r\n", b"\n \n", b"1\n", b"m 1 ", b"f ", b"@ ", b"@ (", b"= ", b") = ",
    b"a 1 ", b"v 1 ", b"op,", b"0x", b"M 0x1 ", b"malloc(", b"a->malloc(", b"<... malloc resumed> ",
    b"--1-- malloc(", b"==1== ", b"RHE1", b"RHRING1\0", b"PK\x03\x04", b'"', b",", b"a->", b" <1>",
    b"\x1b[0m", b"] M 0x", b"= 0x1 ", b"[pid 1] ", b"12:34 ", b"=1 1 1 1 ",
]  # fmt: skip
BEFORE = [
    b"",
    b"m 1 2\n",
    b"@ a + 0x1 0x2\n",
    b"v 10000\n",
    b"# rtosheap-trace 1\n",
    b"op,id,size\n",
]

pytestmark = pytest.mark.filterwarnings("ignore::rtosheap.traces.TraceWarning")


def load(data: bytes, name: str | None) -> None:
    with contextlib.suppress(TraceError):
        Trace.load(io.BytesIO(data), format=name, strict=False)


def valid(name: str | None) -> bytes:
    """The beginning of a file of a format, cut inside a line."""
    if name == "recorder":
        return a_recording(random.Random(1))
    return next((data[:-9] for own, data in seeds() if own == name), b"")


@pytest.mark.parametrize("name", few_of(FORMATS, FORMATS[:4]))
def test_twice_as_long_a_run_takes_twice_the_steps(name: str | None) -> None:
    """Of every byte, from the file's start and behind what is valid."""
    runs = 0
    for before in {b"", valid(name)}:
        for byte in range(256):
            once, twice = (
                steps(lambda n=n, byte=byte, before=before: load(before + bytes([byte]) * n, name))
                for n in (400, 800)
            )
            assert twice <= 2 * once + 50, (before, byte)
            runs += 1
    assert runs == (256 if name is None else 512)


@pytest.mark.parametrize("name", FORMATS)
def test_runs_of_words(name: str | None) -> None:
    for before in BEFORE:
        for word in WORDS:
            once, twice = (
                steps(lambda n=n, word=word, before=before: load(before + word * n, name))
                for n in (60, 120)
            )
            assert twice <= 2 * once + 50, (before, word)


@pytest.mark.parametrize("name", FORMATS)
def test_long_runs_of_every_byte(name: str | None) -> None:
    """Inside an expression nothing counts steps: this would not come to an end."""
    for byte in range(256):
        load(bytes([byte]) * 20_000, name)


def expressions() -> Iterator[tuple[str, re.Pattern[Any]]]:
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(
        formats.__path__, formats.__name__ + ".")]  # fmt: skip
    for module in (*modules, meta):
        for name, value in vars(module).items():
            parts = vars(value).values() if isinstance(value, Events) else [value]
            for part in parts:
                if isinstance(part, re.Pattern):
                    yield f"{module.__name__}.{name}", part


def takes_back(parsed: Any) -> bool:
    """Whether something in an expression repeats without a bound and may give back what it took."""
    for operation, argument in parsed:
        if operation is _constants.ATOMIC_GROUP and _is_repeat(argument):  # nothing comes after it
            if takes_back(argument[0][1][2]):
                return True
            continue
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] > 32:
            return True
        inner = argument if isinstance(argument, tuple) else (argument,)
        for part in inner:
            branches = part if isinstance(part, list) else [part]
            if any(takes_back(one) for one in branches if isinstance(one, _parser.SubPattern)):
                return True
    return False


def _is_repeat(parsed: Any) -> bool:
    return len(parsed) == 1 and parsed[0][0] is _constants.MAX_REPEAT


def test_no_readers_expression_takes_back_what_it_took() -> None:
    found = list(expressions())
    assert len(found) > 25
    for name, pattern in found:
        assert not takes_back(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)), name
    for bad in (r"a+b", r"(?:a|b*)c", r"x(?=a*)", r"(a.*?)", r"a{3,}", r"(?>a*b)", r"(?>(?:a*b)+)"):
        assert takes_back(_parser.parse(bad)), bad
    for good in (r"a++(?:b|c{1,9}+)?d{4}", r"(?>(?:a++b)+)c"):
        assert not takes_back(_parser.parse(good)), good
