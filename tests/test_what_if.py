"""What if: each change does what it says, and nothing else."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
import traces
from hypothesis import given
from trace_strategies import triples, valid_traces

from rtosheap import Heap4, Trace, replay
from rtosheap.cli import main
from rtosheap.comparison import compare_what_if
from rtosheap.sizing import minimum_heap_size
from rtosheap.traces.changes import Align, InPlace, Pool, Resize, Static, Which, parse_what_if

LOG = Trace(
    "mmrmrfff",
    id=[0, 1, 1, 2, 1, 0, 1, 2],
    size=[2048, 20, 40, 30, 35, 0, 0, 0],
    time=range(8),
    task=["main", "net", "ui", "ui", "net", "main", "net", "ui"],
    meta={"name": "log", "events": "8"},
)


def test_static_by_size():
    changed = LOG.what_if(Static(Which(least=1024)))
    assert triples(changed) == [("m", 1, 20), ("r", 1, 40), ("m", 2, 30), ("r", 1, 35),
                              ("f", 1, 0), ("f", 2, 0)]  # fmt: skip
    assert changed.meta["set_aside_bytes"] == "2048"
    assert changed.meta["what_if"] == "static:size>=1024"
    assert changed.time.tolist() == [1, 2, 3, 4, 6, 7]
    assert changed.task_names == ("net", "ui")
    assert "events" not in changed.meta


def test_a_block_goes_with_its_mallocs_task():
    changed = LOG.what_if("static:task=net")
    assert {e.id for e in changed} == {0, 2}
    assert changed.meta["set_aside_bytes"] == "40"


def test_pool():
    changed = LOG.what_if(Pool(Which(most=100)))
    assert {e.id for e in changed} == {0}
    assert changed.meta["set_aside_bytes"] == str(40 * 2)
    assert {e.id for e in LOG.what_if("pool:size<=100,block=32")} == {0, 1}


def test_region():
    changed = LOG.what_if("region:task=net")
    apart = Trace("mrrf", [1] * 4, [20, 40, 35, 0])
    assert changed.meta["set_aside_bytes"] == str(minimum_heap_size(apart, Heap4).size)


def test_round():
    assert LOG.what_if("round:64").size.tolist() == [2048, 64, 64, 64, 64, 0, 0, 0]
    assert LOG.what_if("round:32/64").size.tolist() == [2048, 32, 64, 32, 64, 0, 0, 0]
    assert LOG.what_if("round:64,task=ui").size.tolist()[:5] == [2048, 20, 40, 64, 35]
    big = Trace("m", [0], [2**64 - 1])
    assert big.what_if("round:16").size.tolist() == [2**64 - 1]


def test_resize():
    assert LOG.what_if("resize:20=12/40=24").size.tolist()[:5] == [2048, 12, 24, 30, 35]
    assert LOG.what_if("resize:20=40/40=20").size.tolist()[:3] == [2048, 40, 20]
    assert LOG.what_if(Resize(((20, 12), (30, 18)), Which("ui"))).size.tolist()[1:4] == [20, 40, 18]
    assert LOG.what_if("resize:0x14=1K,size<=20").size.tolist()[1] == 1024


@pytest.mark.parametrize("text", ["pointer-size:4", "pointer-size", "round:8; pointer-size:4"])
def test_pointers_of_another_size_are_not_guessed(text):
    with pytest.raises(ValueError, match=r"'pointer-size.*which bytes .* are pointers.*gcc -m32"):
        LOG.what_if(text)


def test_in_place():
    assert triples(LOG.what_if(InPlace())) == [e for i, e in enumerate(triples(LOG)) if i != 4]
    reserved = LOG.what_if("in-place:reserve")
    assert reserved.reallocs == 0
    assert triples(reserved)[1] == ("m", 1, 40)


def test_align():
    assert LOG.what_if(Align(32)).size.tolist()[:3] == [2072, 44, 64]
    assert LOG.what_if("align:8").size.tolist() == LOG.size.tolist()


def test_changes_compose_in_order():
    one = LOG.what_if("static:size>=1K", "round:32")
    assert one == LOG.what_if("static:size>=1K").what_if("round:32")
    assert one.meta["what_if"] == "static:size>=1024; round:32"
    assert one.meta == LOG.what_if("static:size>=1K;round:32").meta


TEXTS = [
    "static:task=a,size>=4",
    "pool:size=8,block=16",
    "region:size<=9",
    "round:8/16,task=x",
    "in-place",
    "in-place:reserve",
    "align:64,size>=100",
    "resize:48=28/72=40,task=net",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_back(text):
    (change,) = parse_what_if(text)
    assert str(change) == text
    assert hash(change) == hash(parse_what_if(text)[0])  # so it is a key of a dict


@pytest.mark.parametrize(
    "text",
    ["", "statics:task=a", "static", "static:task>=a", "round", "round:0", "round:9/8", "align:24",
     "align:8/16", "pool:size<9,", "in-place:now", "round:x", "static:block=8",
     "resize", "resize:48", "resize:48=0", "resize:8=4/8=5", "resize:8=4,block=8", "resize:8=1e3",
     "resize:8=99999999999999999999999", "static:task=a,task=b", "pool:size>=3,size=5",
     "pool:block=8,block=9"],
)  # fmt: skip
def test_bad_texts_are_said_to_be(text):
    with pytest.raises(ValueError, match=r"what-if|must be"):
        parse_what_if(text)


def test_a_strangers_broken_change_hides_none(monkeypatch):
    broken = EntryPoint("mine", "rtosheap_no_such_module", "rtosheap.changes")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    assert str(parse_what_if("region:size<=9")[0]) == "region:size<=9"
    with pytest.raises(ValueError, match=r"'regoin:size<=9'.* region:.*rtosheap_no_such_module"):
        parse_what_if("regoin:size<=9")


def test_an_unknown_task_is_said():
    with pytest.raises(ValueError, match="'nobody'; the trace's tasks are: main, net, ui"):
        LOG.what_if("static:task=nobody")
    with pytest.raises(TypeError):
        LOG.what_if(8)


@given(valid_traces())
def test_any_trace(trace):
    for text in ("static:size>=50", "pool:size<=20", "round:16", "in-place", "in-place:reserve"):
        changed = trace.what_if(text)
        assert Trace.from_events(list(changed)) == changed  # its events fit together
        assert changed.never_freed <= trace.never_freed
    total = trace.what_if("static:size>=50").peak_live_bytes
    aside = int(trace.what_if("static:size>=50").meta["set_aside_bytes"])
    assert total <= trace.peak_live_bytes <= total + aside


@pytest.mark.parametrize("text", ["1,024", "-1", "", "9" * 19])
def test_bytes_set_aside_that_are_no_number(text):
    trace = Trace("m", id=[0], size=[8], meta={"set_aside_bytes": text})
    with pytest.raises(ValueError, match=r"set_aside_bytes.*must be a number of bytes"):
        trace.what_if("align:16")
    with pytest.raises(ValueError, match=r"set_aside_bytes.*must be a number of bytes"):
        compare_what_if(trace, "align:16")


def test_before_and_after():
    """Static task stacks: the question that a FreeRTOS log is asked first."""
    trace = traces.load("frtos-cm3-mixed")[:6000]
    result = compare_what_if(trace, "static:size>=512", heaps=["heap_4"])
    ((name, before, after, outside),) = result.rows()
    assert name == "heap_4"
    assert after < before
    assert outside == result.set_aside
    assert "heap_4" in str(result)
    changed = trace.what_if("static:size>=512")
    assert replay(changed, Heap4(after)).failures == 0
    assert result.to_dict()["after"]["heaps"][0]["size"] == after


def test_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "log.trace"
    LOG.save(path)
    words = ["compare", str(path), "--heap", "heap_4", "--what-if", "static:size>=1K;round:16"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("log, what if static:size>=1024; round:16; outside the heap then: 2,048 ")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["what_if"]["set_aside_bytes"] == 2048
    assert main([*words[:-1], "statics"]) == 2
    assert "what-if" in capsys.readouterr().err
