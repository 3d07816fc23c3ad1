"""CSV read in C against the same read in Python: traces, errors and counts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fuzz import fuzz_readers
from hypothesis import given
from hypothesis import strategies as st
from reader_references import assert_same, read

from rtosheap import _formats
from rtosheap.traces.formats import streams, table

NUMBERS = ["0", "1", "7", "007", "9" * 18, "9" * 19, str(2**63), str(2**64 - 1), str(2**64)]
NUMBERS += ["", "-1", " 5", "5 ", "x", "1_0", "+1", '"5"', "9" * 4301, "\u0663"]
CELLS = {
    "op": ["m", "m", "m", "f", "f", "r", "", "x", "mm", " m", '"m"', "M"],
    "id": NUMBERS,
    "size": NUMBERS,
    "time": NUMBERS,
    "task": ["", "net", "net", "a b", 'a"b', '"a"', "n\u00e4he", "\x00", "t" * 64, "t" * 65, " x"],
}
ENDS = ["\n"] * 8 + ["\r\n", " \n", "\r\r\n", "\n\n", "\n\r\n", ",\n", "\x00\n", "\r \n"]
SMALL = fuzz_readers.saved(fuzz_readers.SMALL, ".csv")


@st.composite
def files(draw):
    """Rows of all forms, right and wrong."""
    given_ = draw(st.sampled_from([("op", "id", "size"), (*CELLS,), ("op", "id", "size", "task")]))
    names = draw(st.permutations(given_))
    rows = [",".join(names) + "\n"]
    for _ in range(draw(st.integers(1, 10))):
        row = []
        for name in names:
            few = CELLS[name][:3] if draw(st.integers(0, 4)) else CELLS[name]
            row.append(draw(st.sampled_from(few)))
        rows.append(",".join(row[: len(row) - draw(st.sampled_from([0] * 9 + [1]))]))
        rows.append(draw(st.sampled_from(ENDS)))
    data = "".join(rows).encode()
    return data[: len(data) - draw(st.integers(0, 3))]


@given(files())
def test_rows_of_all_forms(data):
    assert_same("csv", data)


@given(st.binary(max_size=80))
def test_any_bytes(data):
    assert_same("csv", data)
    assert_same("csv", b"op,id,size\nm,1,2\n" + data + b"\nf,1,0\n")


def test_changed_files():
    rng = random.Random(9)
    for _ in range(600):
        assert_same("csv", fuzz_readers.changed(rng, SMALL, [SMALL]))


def test_a_file_cut_anywhere():
    for end in range(len(SMALL) + 1):
        assert_same("csv", SMALL[:end])
        assert_same("csv", SMALL.replace(b"\n", b"\r\n")[:end])
    assert len(SMALL) > 60


def test_runs_of_each_byte():
    for byte in range(256):
        assert_same("csv", SMALL + bytes([byte]) * 3000)
        assert_same("csv", SMALL + bytes([byte]) * 300 + b"\nm,7,7,9,x\n")


def test_many_blocks_and_long_lines():
    names = [f"task{n % 300}" for n in range(9_000)]
    rows = "".join(f"m,{n},8,{n},{name}\n" for n, name in enumerate(names)).encode()
    assert len(rows) > 2 * streams._HEAD
    for line in (b"", b"q" * (3 * streams.MAX_LINE) + b"\n", b" " * streams.MAX_LINE):
        assert_same("csv", b"op,id,size,time,task\n" + rows + line + rows)


def test_a_wrong_row_names_no_task():
    assert_same("csv", b'task,op,id,size\nnone,m,x,1\nnet"x,m,1,1\nnone,m,1,\nnet,m,2,3\n')
    assert_same("csv", b'op,id,size,task\nm,1,1,net"x\nm,2,3,net\n')


def test_most_rows_are_read_in_c(monkeypatch):
    left = []
    row = table._Table._row
    monkeypatch.setattr(
        table._Table, "_row", lambda self, *given: (left.append(given), row(self, *given))[1]
    )
    read("csv", SMALL + b"\nf,9,0,9,\r\nm,7,7,9, x\n", False)
    assert [line for _, line in left] == [9]


def test_what_c_is_given_is_checked():
    columns = (*(np.zeros(2, dtype=kind) for kind in "BqQqBiq"), None)

    def scan(data=b"m,1,2\n", at=0, order=bytes(3), columns=columns):
        return _formats.scan_csv(order, data, at, len(data), 1, 0, columns, None, 0)

    assert scan(order=b"\0\1\2") == (6, 2, 1)
    assert scan(b"m,1,2", order=b"\0\1\2") == (0, 1, 0)  # whole lines only
    assert scan(b"m,1,2\n" * 3, order=b"\0\1\2") == (12, 3, 2)  # no more than there is room for
    for order in (b"", b"\0\1", b"\0\1\2\5", b"\0\1\2\2", b"\1\2\3"):
        with pytest.raises(ValueError, match="order must name op, id and size"):
            scan(order=order)
    with pytest.raises(ValueError, match="must lie within"):
        scan(at=7, order=b"\0\1\2")
    with pytest.raises(TypeError, match="scan_csv"):
        _formats.scan_csv()
