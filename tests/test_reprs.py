"""What a result looks like in an interpreter: addresses in hexadecimal, no more than matters."""

from __future__ import annotations

import copy
import gzip
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

from rtosheap import Block, FreeBlock, Heap4, Heap5, Trace, compare, data, plot, replay
from rtosheap.comparison import compare_what_if, difference
from rtosheap.device import Segment, Symbol
from rtosheap.inspection import inspect
from rtosheap.replays import AddressCheck
from rtosheap.traces import Dropped, Loss


def test_addresses_are_hexadecimal() -> None:
    memory = bytearray(1024)
    heap = Heap4(memory)
    heap.malloc(100)
    heap.free(heap.malloc(50))
    block, free = heap.blocks()[0], heap.free_blocks()[0]
    assert repr(block) == "Block(address=0x20000000, size=112, allocated=True)"
    assert repr(free) == f"FreeBlock(address=0x20000070, size={free.size})"
    assert eval(repr(block), {"Block": Block}) == block
    assert eval(repr(free), {"FreeBlock": FreeBlock}) == free
    report = inspect(memory)
    assert "regions=((0x20000000, 1024),)" in repr(report)
    assert repr(report.blocks[0]).startswith("Found(address=0x20000000, payload=0x20000008, size=")
    memory[0] ^= 0xFF
    assert "address=0x2000" in repr(inspect(memory).damage[0])
    assert repr(Symbol("heap", 0x2000_0000, 4, "object")).startswith(
        "Symbol(name='heap', value=0x20000000, "
    )
    assert repr(Segment(0x2000_0000, 0x800_0000, b"x")) == (
        "Segment(address=0x20000000, load_address=0x8000000, data=b'x')"
    )
    assert repr(AddressCheck(2, 1, 1, 0x2000_0010, 0, None)) == (
        "AddressCheck(compared=2, equal=1, first=1, recorded=0x20000010, replayed=0x0, offset=None)"
    )


def test_regions_do_not_print_the_arena() -> None:
    heap = Heap5([(0x1000_0000, 1024), (0x2000_0000, bytearray(512))])
    assert repr(heap.regions) == (
        "(Region(address=0x10000000, memory=<bytearray of 1,024 bytes>), "
        "Region(address=0x20000000, memory=<bytearray of 512 bytes>))"
    )
    assert heap.regions[1].memory is not None


def test_pins_and_rows() -> None:
    trace = data.load("lwip-3cli")
    found = replay(trace, Heap4(46 * 1024))
    pin = found.pins(found.first_failure or 0)[0]
    assert repr(pin).startswith(f"Pin(address={pin.address:#x}, size={pin.size}, requested=")
    assert "regions=((0x20000000, 52024),)" in repr(compare(trace, heaps=["heap_4"])[0])


def test_a_trace_without_a_name_is_called_by_its_file(tmp_path: Path, run: Any) -> None:
    path = tmp_path / "monday.csv"
    path.write_text("op,id,size\nm,0,100\nf,0,\nm,1,50\n")
    trace = Trace.load(path)
    assert (trace.name, dict(trace.meta)) == ("monday", {})
    assert repr(trace).startswith("<Trace 'monday': ")
    assert (trace[:2].name, copy.copy(trace).name) == ("monday", "monday")
    assert pickle.loads(pickle.dumps(trace)).name == "monday"
    assert compare(trace, heaps=["heap_4"]).trace_name == "monday"
    assert "Heap report: monday" in trace.explore(heaps=["heap_4"]).html
    trace.save(tmp_path / "tuesday.trace")
    assert "monday" not in (tmp_path / "tuesday.trace").read_text()
    assert Trace.load(tmp_path / "tuesday.trace").name == "tuesday"
    named = Trace("m", [0], [8], meta={"name": "own"})
    named.save(tmp_path / "other.trace")
    assert Trace.load(tmp_path / "other.trace").name == "own"
    assert Trace.load(io.BytesIO(path.read_bytes())).name == ""
    assert "serves monday with" in run("compare", str(path)).out.replace("\n", " ")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ""])
def test_every_result_names_the_file(
    tmp_path: Path, run: Any, monkeypatch: Any, suffix: str
) -> None:
    text = b"op,id,size\nm,0,100\nf,0,\nm,1,50\n"
    path = tmp_path / f"v1.2-monday{suffix}"
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    name, given = "v1.2-monday", str(path)
    trace = Trace.load(path)
    replayed = replay(trace, Heap4(1024))
    both = compare_what_if(trace, "round:32", heaps=["heap_4"])
    assert trace.name == name
    for result in (trace, replayed, compare(trace, heaps=["heap_4"]), both):
        assert repr(name) in repr(result)
        assert name in result._repr_html_()
    assert str(both).startswith(f"{name}, what if round:32; ")
    assert f"{name} in heap_4" in replayed.explore().html
    assert difference(trace, trace[:1], "heap_4").old[0].name == name
    figure = plot.comparison(both.before).get_figure()
    assert any(text.get_text().startswith(f"{name}, ") for text in figure.findobj(Text))

    size = ("--heap-size", "1K")
    for words in (
        ("replay", given, *size),
        ("compare", given),
        ("compare", given, "--what-if", "round:32"),
        ("size", given),
        ("assess", given, "--runs", "8", "--probability", "0.5"),
        ("check", given, *size),
        ("diff", given, "coap-server"),
        ("report", given, "-o", str(tmp_path / "page.html")),
    ):
        out = run(*words).out
        assert name in out, words
        assert Path(given).name == name or Path(given).name not in out
    assert f"<title>Heap report: {name}</title>" in (tmp_path / "page.html").read_text()
    for words in (("replay", given, *size), ("compare", given), ("size", given)):
        assert run(*words, "--json").json["trace"] == name
    assert run("assess", given, "--runs", "8", "--probability", "0.5", "--json").json[
        "recordings"
    ] == [name]


def test_losses_are_those_that_occurred() -> None:
    assert repr(Loss(lost_events=22, cut_lines=1)) == "Loss(lost_events=22, cut_lines=1)"
    assert repr(Dropped(bad_line=4)) == "Dropped(bad_line=4)"
    assert (repr(Loss()), repr(Dropped())) == ("Loss()", "Dropped()")
    assert repr(Trace("m", [0], [8]).loss) == "Loss()"
