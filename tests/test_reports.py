"""What a page holds, without a browser: tables, the closing line, what is packed for the map."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traces
from foreign_libraries import library
from test_doubts import DROPPED, LOSS, with_losses
from test_report_browser import lanes

import rtosheap
from rtosheap import ForeignHeap, Heap4, Heap5, Trace, compare, data, minimum_heap_size, replay
from rtosheap.replays.blocks import block_table
from rtosheap.reports import HtmlReport, report
from rtosheap.reports._accounts import accounts, never_freed
from rtosheap.traces.loss import missing


def data_of(page: HtmlReport) -> dict[str, Any]:
    (text,) = re.findall('<script id="data" type="application/json">(.*?)</script>', page.html)
    found: dict[str, Any] = json.loads(text)
    return found


def unpacked(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    """What ``unpack.js`` makes of it."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    bytes_each = planes.reshape(packed["width"], packed["n"]).astype(np.int64)
    folded = (bytes_each << (8 * np.arange(packed["width"]))[:, None]).sum(axis=0)
    values = (folded.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(folded & 1)
    return np.cumsum(values) if packed["delta"] else values


def test_the_parts_in_their_order() -> None:
    trace = data.load("cjson-docs")
    page = report(trace, heaps=["heap_4", "heap_2"])
    assert page.comparison is not None
    parts = [
        escape(page.comparison.verdict),
        "#define configTOTAL_HEAP_SIZE ( ( size_t ) ",
        "<h2>Heaps</h2>",
        "<table>",
        "<h2>Address against time</h2>",
        'id="map"',
        'id="lines"',
        'id="holes"',
        "<h2>Who has the memory</h2>",
        "<h2>Never given back</h2>",
    ]
    places = [page.html.index(part) for part in parts]
    assert places == sorted(places)
    size = minimum_heap_size(trace, Heap4).size
    assert f"( ( size_t ) {size} ) /* heap_4 */" in page.html
    assert not re.search(r"(src|href)\s*=|@import|url\(|fetch\(|XMLHttp", page.html)


def test_the_closing_line_of_each_kind_of_heap() -> None:
    trace = data.load("lwip-3cli")
    both = report(trace, heaps=["heap_3", "heap_4"]).html
    assert "/* heap_3: 50840 bytes between the ends of sbrk&#x27;s heap */\n#define" in both
    assert "( ( size_t ) 52024 ) /* heap_4 */" in both
    policy = report(trace, heaps=["heap_4", "best-fit/address/coalescing", "heap_1"])
    assert policy.comparison is not None
    size = policy.comparison["best-fit/address/coalescing"].size
    assert policy.comparison.best == policy.comparison["best-fit/address/coalescing"]
    assert (
        f"<pre>/* best-fit/address/coalescing: {size} bytes */\n"
        "#define configTOTAL_HEAP_SIZE ( ( size_t ) 52024 ) /* heap_4 */</pre>"
    ) in policy.html
    page = report(trace, heaps=[Heap5], regions=[(0x1000_0000, 8192), (0x2000_0000, None)])
    row = compare(trace, heaps=[Heap5], regions=[(0x1000_0000, 8192), (0x2000_0000, None)])[0]
    assert row.regions is not None
    last = row.regions[1][1]
    assert f"{{ ( uint8_t * ) 0x10000000, 8192 }},\n    {{ ( uint8_t * ) 0x20000000, {last}" in (
        page.html
    )
    assert "    { NULL, 0 }\n};" in page.html


def test_blocks_are_those_of_the_replay() -> None:
    trace = data.load("mosq-broker")
    page = data_of(report(trace, heaps=["heap_1", "heap_4", "tlsf"], heap_size=64 * 1024))
    (day,) = page["days"]
    assert [view["heap"] for view in day["views"]] == ["heap_1", "heap_4", "tlsf"]
    born, asked = unpacked(day["born"]), unpacked(day["asked"])
    for view, kind in zip(day["views"], ("heap_1", "heap_4", "tlsf"), strict=True):
        heap = rtosheap.kinds.heap_class(kind)(64 * 1024)
        table = block_table(replay(trace, heap))
        served = np.ones(len(born), bool)
        served[unpacked(view["refused"])] = False
        assert np.array_equal(born[served], table.event)
        assert np.array_equal(unpacked(view["offset"])[served], table.offset)
        assert np.array_equal((unpacked(view["taken"]) + asked)[served], table.size)


def test_a_heap_that_is_not_empty_has_earlier_blocks() -> None:
    heap = Heap4(4096)
    addresses = [heap.malloc(100), heap.malloc(50)]
    trace = Trace("mmf", [0, 1, 0], [200, 300, 0])
    (view,) = data_of(replay(trace, heap).explore())["days"][0]["views"]
    before = [unpacked(one) for one in view["before"]]
    assert before[0].tolist() == [0, 0]
    assert (before[1] + 0x2000_0000 + 8).tolist() == addresses
    assert before[2].tolist() == [112, 64]


def test_what_is_not_recorded_or_not_told_is_said(tmp_path: Path) -> None:
    trace = Trace.load(traces.path("coap-server"))
    page = replay(trace, Heap4(40 << 10)).explore()  # the default columns
    assert "Not shown: &#x27;largest_free_block&#x27; was not recorded: pass record=" in page.html
    (view,) = data_of(page)["days"][0]["views"]
    assert view["largest"] is None
    assert view["free"] is not None
    heap = ForeignHeap.load(library(tmp_path, "bump.c", bits=32), 40 << 10)
    page = replay(trace, heap, record="all").explore()
    (view,) = data_of(page)["days"][0]["views"]
    assert [view[name] for name in ("free", "largest", "spans", "tells_taken")] == [
        None,
        None,
        None,
        False,
    ]
    assert page.html.count("Not shown: ") >= 3
    with pytest.raises(ValueError, match="does not tell where its arena lies"):
        replay(trace, Placeless(), record=["address", "failed"]).explore()


class Placeless:
    """An allocator that says nothing of itself."""

    def __init__(self) -> None:
        self.next = 0x1000

    def malloc(self, size: int) -> int:
        address, self.next = self.next, self.next + (size + 16 & ~15)
        return address

    def free(self, address: int) -> None:
        pass


def test_each_tasks_account_and_what_is_never_freed() -> None:
    tasks = ["a", "b", "a", "a", "b"]
    trace = Trace("mmmfm", [0, 1, 2, 0, 3], [100, 50, 30, 0, 20], task=tasks)
    html = report(trace, heaps=["heap_4"]).html
    who = html[html.index("<h2>Who has") : html.index("<h2>Never")]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in who.split("<tr>")[2:]]
    assert rows == [["a", "2", "130", "130", "1", "30"], ["b", "2", "50", "70", "2", "70"]]
    leaks = html[html.index("<h2>Never") :]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in leaks.split("<tr>")[2:]]
    assert rows == [["1", "50", "1", "b"], ["2", "30", "2", "a"], ["3", "20", "4", "b"]]


def test_what_was_lost_is_said_at_the_top_and_beside_the_accounts() -> None:
    html = report(with_losses(), heaps=["heap_4"]).html
    words = missing(LOSS, DROPPED)
    assert len(words) > 1
    top, below = html[: html.index("<h2>Heaps")], html[html.index("<h2>Who has") :]
    assert "the recording is not complete" in top
    for word in words:
        assert word in top
        assert f"not all was recorded: {word}." in below
    assert "not all was recorded" not in report(data.load("coap-server"), heaps=["heap_4"]).html


def test_the_page_is_small() -> None:
    """100,000 events, in five heaps."""
    page = report(lanes(100_000), heap_size=250_000)
    assert len(data_of(page)["days"][0]["views"]) == 5
    assert len(page.html.encode()) < 2_000_000


def test_days_on_the_command_line(run: Any) -> None:
    done = run("report", "recorder", "-o", "page.html", "--heap", "heap_4", "--heap", "tlsf")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("\n\nreport: page.html\n")
    html = Path("page.html").read_text()
    days = data_of(HtmlReport(html))["days"]
    assert [day["name"] for day in days] == [day.name for day in data.days("recorder")]
    assert [[view["heap"] for view in day["views"]] for day in days] == [["heap_4", "tlsf"]] * 5
    sizes = {view["size"] for day in days for view in day["views"] if view["heap"] == "heap_4"}
    assert sizes == {minimum_heap_size(data.days("recorder"), Heap4).size}
    assert html.count("<h2>Who has the memory, ") == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "page.pdf"), "'page.pdf' does not end in .html"),
        ((), "required: -o/--output"),
        (("-o", "page.html", "--heap", "heap_9"), "heap_9"),
        (("-o", "missing/page.html"), "missing/page.html"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Any, arguments: tuple[str, ...], says: str) -> None:
    done = run("report", "coap-server", *arguments)
    assert done.status == 2
    assert says in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("size", [2**51, 2**60, 2**64 - 1])
def test_what_javascript_does_not_hold_is_packed(size: int) -> None:
    time = [1_764_200_000_000_000_001, 1_764_200_000_000_000_078]
    trace = Trace("mm", [2**63 - 1, 1], [size, 8], time=time)
    (day,) = data_of(replay(trace, Heap4(1024)).explore())["days"]
    assert day["born"]["large"] is None
    for name, values in (("asked", trace.size), ("time", trace.time), ("id", trace.id)):
        assert day[name]["large"] == values.dtype.kind
        assert (unpacked(day[name]).astype(values.dtype) == values).all()


def test_a_name_that_is_no_text_does_not_cost_a_page(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xff.trace")
    Trace("m", id=[0], size=[8]).save(path)
    trace = Trace.load(path)
    page = tmp_path / "page.html"
    report(trace, heaps=["heap_4"]).save(page)
    text = page.read_text(encoding="utf-8")
    assert "<h1>Heap report: b\ufffd</h1>" in text
    assert text.endswith("</html>\n")


def test_accounts_of_what_no_memory_holds() -> None:
    most = 2**64 - 1
    trace = Trace("mmmf", id=[0, 1, 2, 1], size=[100, 8, most - 200, 0])
    (account,) = accounts(trace)
    assert (account.at_peak, account.most) == (most - 92, most - 92)
    assert (account.kept, account.kept_bytes) == (2, most - 100)
    kept, count = never_freed(trace)
    assert [one.size for one in kept] == [most - 200, 100]
    assert count == 2


def test_one_block_that_was_never_given_back() -> None:
    page = report(Trace("m", id=[0], size=[1]), heaps=["heap_4"]).html
    assert "1 block, 1 byte, is live at the end." in page
