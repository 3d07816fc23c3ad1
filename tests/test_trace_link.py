"""Linking in C against linking with numpy: the same links, errors and counts."""

from __future__ import annotations

import copy

import link_reference
import numpy as np
import pytest
import traces
from hypothesis import given
from hypothesis import strategies as st
from trace_strategies import loose_events

from rtosheap import _formats
from rtosheap.traces import Trace, TraceError, _lifetimes
from rtosheap.traces.columns import Columns

FEW = st.integers(0, 5)


def columns_of(events, times=None):
    op, ids, sizes = zip(*events, strict=True) if events else ((), (), ())
    return Columns(
        op=np.array([ord(letter) for letter in op], dtype=np.uint8),
        id=np.array(ids, dtype=np.int64),
        size=np.array(sizes, dtype=np.uint64),
        time=None if times is None else np.array(times, dtype=np.int64),
    )


def outcome(check, columns, strict):
    """All that a check says and does."""
    columns = copy.deepcopy(columns)
    try:
        links = check(columns, strict)
    except TraceError as error:
        return str(error), error.event
    arrays = {name: (column.dtype, column.tolist()) for name, column in columns.arrays().items()}
    return links.dtype, links.tolist(), arrays, columns.dropped


@st.composite
def broken_columns(draw):
    """Events that need not fit together, frees with sizes and times that run backwards."""
    events = draw(loose_events())
    if events and draw(FEW) == 0:
        at = draw(st.integers(0, len(events) - 1))
        events[at] = ("f", events[at][1], 7)
    times = None
    if draw(st.booleans()):
        times = draw(st.lists(st.integers(0, 3), min_size=len(events), max_size=len(events)))
        times = times if draw(FEW) == 0 else sorted(times)
    return columns_of(events, times)


@given(broken_columns(), st.booleans())
def test_a_check_says_what_the_reference_says(columns, strict):
    right = outcome(link_reference.check, columns, strict)
    assert outcome(_lifetimes.check, columns, strict) == right


@given(loose_events(max_size=200))
def test_links_and_slots_are_the_references(events):
    columns = columns_of(events)
    previous, bad = link_reference.link(columns.op, columns.id)
    found, wrong = _lifetimes.link(columns.op, columns.id)
    assert (found.dtype, found.tolist()) == (previous.dtype, previous.tolist())
    assert (wrong.dtype, wrong.tolist()) == (bad.dtype, bad.tolist())
    slot, count = link_reference.dense(columns.id)
    here, slots = _lifetimes.dense(columns.id)
    assert (here.dtype, here.tolist(), slots) == (slot.dtype, slot.tolist(), count)


def test_recorded_traces_are_linked_as_by_the_reference():
    found = traces.all_names()
    for name in found:
        trace = traces.load(name)
        for spread in (1, 10**9):  # ids for a table of their own, and for a hash
            previous, bad = link_reference.link(trace.op, trace.id * spread)
            ours, wrong = _lifetimes.link(trace.op, trace.id * spread)
            assert (ours == previous).all()
            assert not bad.any()
            assert not wrong.any()
            slot, count = link_reference.dense(trace.id * spread)
            here, slots = _lifetimes.dense(trace.id * spread)
            assert (here == slot).all()
            assert slots == count
    assert len(found) >= 9


def test_many_ids_grow_the_table():
    ids = np.random.default_rng(1).integers(0, 2**62, 100_000)
    rank, distinct = _lifetimes.ranked(ids)
    assert (distinct[rank] == ids).all()
    assert len(distinct) == len(set(ids.tolist()))


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_the_seed_changes_nothing(seed):
    ids = np.array([5, 2**62, 5, 0], dtype=np.int64)
    rank = np.empty(4, dtype=np.int64)
    assert np.frombuffer(_formats.rank(ids, rank, seed), np.int64).tolist() == [5, 2**62, 0]
    assert rank.tolist() == [0, 1, 0, 2]


def test_what_c_is_given_is_checked():
    op, ids, size = (np.zeros(2, dtype=kind) for kind in (np.uint8, np.int64, np.uint64))
    previous, bad = np.zeros(2, dtype=np.int32), np.zeros(2, dtype=np.bool_)
    with pytest.raises(ValueError, match="an id is not below 0"):
        _formats.link(op, ids, size, previous, bad, 0)
    with pytest.raises(ValueError, match="an id is not below 5"):
        _formats.link(op, ids - 1, size, previous, None, 5)
    for wrong in range(5):
        arrays = [op, ids, size, previous, bad]
        arrays[wrong] = np.zeros(3, dtype=np.uint16)
        with pytest.raises(ValueError, match="must be an aligned array"):
            _formats.link(*arrays, 1)
    previous.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        _formats.link(op, ids, size, previous, None, 1)
    with pytest.raises(OverflowError):
        _formats.link(op, ids, size, previous, None, -1)
    with pytest.raises(TypeError, match="rank"):
        _formats.rank(ids)


@pytest.mark.parametrize("op", [[109, 365], np.array([109, 621], np.int64), b"mx", "m\u016d"])
def test_a_letter_that_only_ends_like_one_is_none(op):
    with pytest.raises(TraceError, match=r"op\[1\] is"):
        Trace(op, [0, 1], [1, 1])
