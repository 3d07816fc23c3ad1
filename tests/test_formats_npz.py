"""NumPy's .npz: plain arrays alone, and what is wrong with others."""

from __future__ import annotations

import gzip
import io
import json
import pickle

import numpy as np
import pytest
from trace_files import load, saved
from trace_strategies import make

from rtosheap.traces import Event, Trace, TraceError

pytestmark = pytest.mark.filterwarnings("error")


def npz(**changes):
    """The bytes of a small .npz, with arrays changed, or left out where they are None."""
    arrays = {
        "rtosheap_trace": np.array(1),
        "op": np.array([109, 102], np.uint8),
        "id": np.array([1, 1]),
        "size": np.array([8, 0], np.uint64),
        "meta": np.frombuffer(b"{}", np.uint8),
    }
    arrays.update(changes)
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file.getvalue()


def as_bytes(text_):
    return np.frombuffer(text_.encode(), np.uint8)


def test_npz_is_read():
    assert list(load(npz())) == [Event("m", 1, 8), Event("f", 1, 0)]
    named = {"task_codes": np.array([2, -1]), "task_names": as_bytes("a\nb\nc")}
    trace = load(npz(**named))
    assert trace.task_names == ("c",)  # only what is in use
    assert trace[0].task == "c"
    assert load(gzip.compress(npz())) == load(npz())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rtosheap_trace": None}, "holds no array 'rtosheap_trace', so it was not written by"),
        ({"rtosheap_trace": np.array(2)}, "the version is 2; this reads version 1"),
        ({"rtosheap_trace": np.array([1, 1])}, "the version is .*; this reads version 1"),
        ({"op": None}, "holds no array 'op'"),
        ({"op": np.array([109, 7], np.uint8)}, r"op\[1\] is .*7\)?; it must be 'm'"),
        ({"id": np.array([1.0, 1.0])}, "id must hold integers, not float64"),
        ({"id": np.array([1, -1])}, r"id\[1\] is -1; it must be from 0"),
        ({"size": np.array([8, 4])}, r"size\[1\] is 4 on a free"),
        ({"size": np.array([8])}, "the arrays differ in length: {'op': 2, 'id': 2, 'size': 1}"),
        ({"time": np.array([8])}, "the arrays differ in length: .*'time': 1"),
        ({"time": np.array([8, 7])}, "event 1: time 7 is before 8"),
        ({"id": np.array([1, 2])}, "event 1: free of id 2, which was never allocated"),
        ({"id": np.array([[1, 2]])}, "is no .npz file of plain arrays: .* has not one dimension"),
        ({"id": np.array([1, None], dtype=object)}, "is no .npz file of plain arrays"),
        ({"meta": as_bytes("[]")}, r"meta is \[\]; it must be an object"),
        ({"meta": as_bytes("{")}, "an array is not as Trace.save writes it"),
        ({"meta": as_bytes('{"a": 5}')}, "meta value 5 of 'a' is not a str"),
        ({"task_codes": np.array([0, 0])}, "an array is not as Trace.save writes it: 'task_names'"),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a")},
            r"task_codes\[1\] is 1; it must be from -1 to 0",
        ),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a\na")},
            "task_names holds a name twice",
        ),
        (
            {"task_codes": np.array([0, 1]), "task_names": as_bytes("a\nb c")},
            "task_names holds 'b c', which is not a word",
        ),
    ],
)
def test_npz_errors(tmp_path, changes, message):
    path = tmp_path / "bad.npz"
    path.write_bytes(npz(**changes))
    with pytest.raises(TraceError, match=message) as caught:
        Trace.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_npz_that_is_cut_or_garbled():
    data = npz()
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(data[:-50])
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(data[:40] + b"garbage" + data[47:])
    with pytest.raises(TraceError, match=r"is no \.npz file of plain arrays"):
        load(pickle.dumps([1]), format="npz")


def test_npz_holds_no_pickles(tmp_path):
    trace = make(("m", 1, 8, 5, "zäh"), meta={"name": "ü"})
    path = saved(trace, tmp_path, "x.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert all(array.dtype.kind in "iu" for array in dict(archive).values())
        assert json.loads(archive["meta"].tobytes()) == {"name": "ü"}
