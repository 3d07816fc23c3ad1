"""The text format read in C against the same read in Python: traces, errors and counts."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest
import traces
from hypothesis import given
from hypothesis import strategies as st
from parts import few_of
from reader_references import assert_same

from rtosheap import _formats
from rtosheap.traces.formats import text

MAGIC = b"# rtosheap-trace 1\n"
FIELDS = [
    "0",
    "7",
    "00",
    "-3",
    "+1",
    "1" * 18,
    "9" * 19,
    str(2**64 - 1),
    str(2**64),
    "1_0",
    "\u0663",
]
TASKS = ["net", "t" * 64, "t" * 65, "n\u00e4he", "a\tb", "a\x0bb", "\x00", "#x", "f", "\ufeff"]
ENDS = [" \n", "\r\n", "\r\r\n", "\n\n", "\n# x\n", "\n \n"]
BYTES = [b" ", b"\n", b"\r", b"x", b"9", b"\xff", b""]
PLACES = ["0x20000008", "0xAbC", "0x", "0X1", "0x" + "f" * 16, "0x" + "1" * 17, "12", "0xg"]


@pytest.mark.parametrize(
    "name", few_of(traces.all_names(), ["coap-server", "frtos-posix-mixed", "gif-anim"])
)
def test_a_recorded_trace(name):
    data = traces.path(name).read_bytes()
    assert_same("text", gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


@st.composite
def files(draw):
    """Lines of all forms, right and wrong."""
    word = st.sampled_from(FIELDS) | st.integers(0, 10**6).map(str)
    addressed = draw(st.booleans())
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        op = draw(st.sampled_from("mmmrff") | st.sampled_from(["", "mm", "M", "#", "q"]))
        row = [op, draw(word), *([draw(word)] if op in "mr" else [])]
        row += draw(st.lists(word, max_size=1)) + draw(st.lists(st.sampled_from(TASKS), max_size=1))
        if addressed and draw(st.integers(0, 9)):
            row.append(draw(st.sampled_from(PLACES)))
        blank = draw(st.sampled_from([" "] * 8 + ["  ", "\t"]))
        end = draw(
            st.sampled_from(["\n"] * 8 + [" \n", "\r\n", "\r\r\n", "\n\n", "\n# x\n", "\n \n"])
        )
        rows.append(blank.join(row) + end)
    head = MAGIC + (b"# addressed: yes\n" if addressed else b"")
    data = head + "".join(rows).encode()
    return data[: len(data) - draw(st.integers(0, 3))]


@given(files())
def test_lines_of_all_forms(data):
    assert_same("text", data)


@given(st.binary(max_size=80))
def test_any_bytes(data):
    assert_same("text", MAGIC + data)
    assert_same("text", MAGIC + b"m 1 2\n" + data + b"\nf 1\n")


def test_changed_files():
    rng = random.Random(5)
    name = "frtos-cm3-mixed"
    valid = gzip.decompress(traces.path(name).read_bytes())[:4000]
    valid = valid[: valid.rindex(b"\n") + 1]
    for _ in range(400):
        data = bytearray(valid)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(MAGIC), len(data))
            data[at : at + rng.randrange(3)] = rng.choice(BYTES)
        assert_same("text", bytes(data))


def test_names_beyond_a_tables_first_size_and_over_blocks():
    names = [f"task{n % 3000}" for n in range(90_000)]
    events = [f"m {n} 8 {n} {name}\n" for n, name in enumerate(names)]
    data = MAGIC + "".join(events).encode()
    assert len(data) > 2 * text._READ_BLOCK
    assert_same("text", data)


def test_what_c_is_given_is_checked():
    kinds = "BqQqBiq"
    columns = (*(np.zeros(2, dtype=kind) for kind in kinds), None)

    def scan(data=b"m 1 2\n", at=0, end=None, count=0, columns=columns, code_of=None):
        end = len(data) if end is None else end
        return _formats.scan_text(data, at, end, 1, count, columns, code_of, 0)

    assert scan() == (6, 2, 1)
    assert scan(b"m 1 2") == (0, 1, 0)  # whole lines only
    assert scan(b"m 1 2\nm 1", end=6) == (6, 2, 1)
    assert scan(b"") == (0, 1, 0)
    assert scan(b"m 1 2\n" * 3) == (12, 3, 2)  # no more than there is room for
    for wrong in ({"at": 7}, {"end": 7}, {"count": 3}):
        with pytest.raises(ValueError, match="must lie within"):
            scan(**wrong)
    for wrong in ({"at": -1}, {"end": -1}, {"count": -1}):
        with pytest.raises(OverflowError):
            scan(**wrong)
    with pytest.raises(TypeError, match="columns must be a tuple of 8"):
        scan(columns=columns[:7])
    with pytest.raises(ValueError, match="time must be an aligned array of 2 items of 8 bytes"):
        scan(columns=(*columns[:3], np.zeros(2, dtype="i"), *columns[4:]))
    with pytest.raises(TypeError, match="integer"):
        scan(b"m 1 2 3 a\n", code_of=lambda name: "x")
    with pytest.raises(ZeroDivisionError):
        scan(b"m 1 2 3 a\n", code_of=lambda name: 1 // 0)
    assert scan(b"m 1 2 3 a\n", code_of=lambda name: None) == (0, 1, 0)
    assert scan(b"m 1 2 3 a\n", code_of=lambda name: 2**40) == (0, 1, 0)
