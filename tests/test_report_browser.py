"""A report in a real browser: what it shows is what the package says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_libraries import library
from needs import missing, tool

from rtosheap import ForeignHeap, Heap2, Heap3, Heap4, Trace, data, replay
from rtosheap.replays import Failure
from rtosheap.replays.blocks import block_table
from rtosheap.reports import report

pytestmark = pytest.mark.long

HOSTILE = "</script><img/onerror=document.title='hacked'/src=x>"
SIZE = 46 * 1024
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it may run as root, as in a container, whose /dev/shm may be small
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--window-size=1200,1400",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver, chromium = tool("chromedriver"), tool("chromium")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        missing("selenium")

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in FLAGS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    window.set_script_timeout(600)
    window.set_page_load_timeout(600)
    yield window
    window.quit()


def wait(browser: Any, condition: str) -> None:
    browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        f"const test = () => ({condition}) ? done() : requestAnimationFrame(test); test();"
    )


def show(browser: Any, path: Path) -> None:
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())
    wait(browser, "document.body.dataset.ready")
    settle(browser)


def settle(browser: Any) -> None:
    """Until what is due was painted."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => "
        "requestAnimationFrame(() => done())));"
    )


def text(browser: Any, name: str) -> str:
    return browser.execute_script(f"return document.getElementById({name!r}).textContent")


def choose(browser: Any, name: str, value: str) -> None:
    browser.execute_script(
        "const [name, value] = arguments, field = document.getElementById(name);"
        "field.value = value; field.dispatchEvent(new Event('input'));"
        "field.dispatchEvent(new Event('change'));",
        name,
        value,
    )
    settle(browser)


def point(browser: Any, event: float, place: float, kind: str = "pointermove") -> None:
    """The pointer at an event and a byte of the heap."""
    browser.execute_script(
        """
        const [event, place, kind] = arguments, over = document.getElementById("over");
        const sight = JSON.parse(document.getElementById("map").dataset.sight);
        const frame = document.getElementById("map").getBoundingClientRect();
        const x = frame.left + (event - sight.x0) / (sight.x1 - sight.x0) * frame.width;
        const y = frame.top + (sight.y1 - place) / (sight.y1 - sight.y0) * frame.height;
        over.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: y, pointerId: 1 }));
        """,
        event,
        place,
        kind,
    )
    settle(browser)


def sight(browser: Any) -> dict[str, float]:
    """What of the map is in sight."""
    return json.loads(browser.execute_script("return document.getElementById('map').dataset.sight"))


def press(browser: Any, key: str, shift: bool = False) -> dict[str, float]:
    browser.execute_script(
        "document.getElementById('over').dispatchEvent("
        "new KeyboardEvent('keydown', {key: arguments[0], shiftKey: arguments[1]}))",
        key,
        shift,
    )
    settle(browser)
    return sight(browser)


def pixels(browser: Any) -> str:
    return browser.execute_script("return document.getElementById('over').toDataURL()")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return data.load("lwip-3cli")


@pytest.fixture(scope="module")
def page(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    report(trace, heaps=["heap_4", "heap_2"], heap_size=SIZE).save(path)
    return path


def test_no_errors_and_no_requests(browser: Any, page: Path) -> None:
    show(browser, page)
    assert browser.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        one["params"]["request"]["url"]
        for one in sent
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [page.as_uri()]


def test_failures_are_those_of_a_replay(browser: Any, page: Path, trace: Trace) -> None:
    show(browser, page)
    choose(browser, "heap", "0")
    found = replay(trace, Heap4(SIZE))
    failed = np.flatnonzero(found.failed)
    assert len(failed) > 5
    assert text(browser, "failures") == f"{len(failed):,} failed"
    choose(browser, "cursor", "0")
    for event in failed[:4]:
        browser.execute_script("document.getElementById('next').click()")
        settle(browser)
        assert text(browser, "now").startswith(f"event {event:,}")
        assert "refused, " + found.failure_reason(int(event)) in text(browser, "now")
        assert f"Free {found['free_size'][event]:,} B" in text(browser, "now")
    browser.execute_script("document.getElementById('previous').click()")
    settle(browser)
    assert text(browser, "now").startswith(f"event {failed[2]:,}:")


@pytest.mark.parametrize("heap", [Heap2, Heap3, Heap4], ids=lambda heap: heap.__name__)
def test_at_a_failure_the_holes_and_what_pins_them(
    browser: Any, tmp_path: Path, trace: Trace, heap: Any
) -> None:
    found = replay(trace, heap(SIZE), record="all")
    found.explore().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html")
    events = np.flatnonzero(found["failure"] == Failure.FRAGMENTATION)[:3].tolist()
    assert len(events) == 3
    for event in events:
        choose(browser, "cursor", str(event))
        before = found.heap_at(event)
        said = text(browser, "holes-text")
        assert f"; {len(found.pins(event)):,} live blocks between them." in said
        spans = holes(before)
        assert said.startswith(f"{len(spans):,} holes of ")
        rows = browser.execute_script(
            "return [...document.getElementById('holes-rows').rows].map((row) =>"
            " [...row.cells].map((cell) => cell.textContent))"
        )
        assert len(rows) == min(len(spans), 12)
        places = {int(row[0], 16) for row in rows}
        blur = 4 if heap is Heap3 else 0
        assert all(not {at, at - blur}.isdisjoint(spans) for at in places)
        assert ("All within 4 B" in said) == (heap is Heap3)
        pins = {f"block {pin.id}, {pin.requested:,} B, " for pin in found.pins(event)}
        assert any(row[2].startswith(tuple(pins)) for row in rows)
    choose(browser, "cursor", "0")
    assert browser.execute_script("return document.getElementById('holes').hidden")


def holes(heap: Any) -> list[int]:
    """Where runs of free blocks begin."""
    found, free = [], False
    for block in heap.blocks():
        if not block.allocated and not free:
            found.append(block.address)
        free = not block.allocated
    return found


def test_the_slider_moves_the_picture(browser: Any, page: Path) -> None:
    show(browser, page)
    choose(browser, "cursor", "100")
    before = pixels(browser)
    choose(browser, "cursor", "9000")
    assert pixels(browser) != before
    assert text(browser, "now").startswith("event 9,000")


def test_a_block_that_is_pointed_at_is_named(browser: Any, page: Path, trace: Trace) -> None:
    show(browser, page)
    choose(browser, "heap", "0")
    found = replay(trace, Heap4(SIZE))
    table = block_table(found)
    lived = np.flatnonzero((table.end - table.event > 3000) & (table.size > 200))
    assert len(lived) > 10
    for at in lived[:4]:
        middle = (table.event[at] + min(table.end[at], len(trace))) / 2
        event, place = float(middle), float(table.offset[at] + table.size[at] / 2)
        point(browser, event, place)
        name = text(browser, "pointed")
        assert f"block {trace.id[table.event[at]]} at " in name
        assert (
            f"{0x2000_0000 + table.offset[at]:#010x}: {table.requested[at]:,} B requested" in name
        )
        assert f"{table.size[at]:,} B taken" in name
        assert f"born at event {table.event[at]:,}" in name
        point(browser, event, place, "pointerdown")
        point(browser, event, place, "pointerup")
        assert text(browser, "pinned").startswith(f"Pinned: {name}")


def test_filters_count_what_numpy_counts(browser: Any, page: Path, trace: Trace) -> None:
    show(browser, page)
    choose(browser, "heap", "0")
    table = block_table(replay(trace, Heap4(SIZE)))
    every = (trace.op != ord("f")).sum()
    asked, life = table.requested, table.end - table.event
    refused = trace.size[replay(trace, Heap4(SIZE)).failed]
    choose(browser, "leastSize", "100")
    choose(browser, "mostSize", "600")
    size = ((asked >= 100) & (asked <= 600)).sum() + ((refused >= 100) & (refused <= 600)).sum()
    assert text(browser, "passing") == f"{size:,} of {every:,} blocks"
    choose(browser, "leastSize", "")
    choose(browser, "mostSize", "")
    assert text(browser, "passing") == f"{every:,} blocks"
    choose(browser, "mostLife", "10")
    assert int(text(browser, "passing").split(" of")[0].replace(",", "")) >= (life <= 10).sum()


def test_keys_and_the_wheel(browser: Any, page: Path) -> None:
    show(browser, page)

    choose(browser, "cursor", "500")
    press(browser, "ArrowRight")
    assert text(browser, "now").startswith("event 501")
    press(browser, "ArrowLeft", shift=True)
    assert not text(browser, "now").startswith("event 50")
    whole = press(browser, "0")
    near = press(browser, "+")
    assert near["x1"] - near["x0"] == pytest.approx((whole["x1"] - whole["x0"]) / 2)
    press(browser, "End")
    press(browser, "0")
    browser.execute_script(
        "const over = document.getElementById('over'), frame = over.getBoundingClientRect();"
        "over.dispatchEvent(new WheelEvent('wheel', { deltaY: -400, clientX: frame.left + 10,"
        " clientY: frame.top + 10, cancelable: true }))"
    )
    settle(browser)
    closer = sight(browser)
    assert closer["x1"] - closer["x0"] < whole["x1"] / 2
    assert press(browser, "0") == whole


def test_a_block_is_pinned_and_left_by_keys(browser: Any, page: Path, trace: Trace) -> None:
    show(browser, page)
    choose(browser, "heap", "0")
    found = replay(trace, Heap4(SIZE))
    table = block_table(found)
    at = int(np.flatnonzero((table.end - table.event > 500) & (table.event > 3000))[0])
    event = int(table.event[at])
    live = np.flatnonzero(table.live_at(event))
    order = live[np.argsort(table.offset[live])].tolist()
    place = order.index(at)
    ids = [trace.id[table.event[one]] for one in order]
    choose(browser, "cursor", str(event))
    press(browser, "Enter")
    assert f"Pinned: block {ids[place]} at " in text(browser, "pinned")
    assert f"below it lies block {ids[place - 1]}" in text(browser, "pinned")
    assert f"above it block {ids[place + 1]}" in text(browser, "pinned")
    press(browser, "ArrowUp")
    assert f"Pinned: block {ids[place + 1]} at " in text(browser, "pinned")
    press(browser, "ArrowDown")
    press(browser, "ArrowDown")
    assert f"Pinned: block {ids[place - 1]} at " in text(browser, "pinned")
    press(browser, "Escape")
    assert text(browser, "pinned") == ""


def test_another_heap_at_the_same_moment(browser: Any, page: Path, trace: Trace) -> None:
    show(browser, page)
    choose(browser, "heap", "0")
    choose(browser, "cursor", "6000")
    press(browser, "+")
    span = [sight(browser)[side] for side in ("x0", "x1")]
    assert f"Free {replay(trace, Heap4(SIZE))['free_size'][6000]:,} B" in text(browser, "now")
    choose(browser, "heap", "1")
    assert text(browser, "now").startswith("event 6,000")
    assert f"ree {replay(trace, Heap2(SIZE))['free_size'][6000]:,} B" in text(browser, "now")
    assert [sight(browser)[side] for side in ("x0", "x1")] == span


def test_a_drag_moves_the_map(browser: Any, page: Path) -> None:
    show(browser, page)
    for _ in range(3):
        press(browser, "+")
    before = sight(browser)
    middle = {side: (before[f"{side}0"] + before[f"{side}1"]) / 2 for side in "xy"}
    step = (before["x1"] - before["x0"]) / 4
    point(browser, middle["x"], middle["y"], "pointerdown")
    point(browser, middle["x"] - step, middle["y"])
    point(browser, middle["x"] - step, middle["y"], "pointerup")
    after = sight(browser)
    assert after["x0"] - before["x0"] == pytest.approx(step, rel=0.02)
    assert after["x1"] - after["x0"] == pytest.approx(before["x1"] - before["x0"])


def test_days_and_their_tasks(browser: Any, tmp_path: Path) -> None:
    days = data.days("gateway")[:2]
    path = tmp_path / "days.html"
    report(days, heaps=["heap_4"], heap_size=74 * 1024).save(path)
    show(browser, path)
    for number, day in enumerate(days):
        choose(browser, "day", str(number))
        wait(browser, f"document.getElementById('cursor').max == {len(day) - 1}")
        failed = int(replay(day, Heap4(74 * 1024)).failures)
        said = f"{failed:,} failed" if failed else "none failed"
        wait(browser, f"document.getElementById('failures').textContent === {said!r}")
        asks = day.op != ord("f")
        for code in (1, 3):
            choose(browser, "task", str(code))
            own = int((asks & (day.task_codes == code)).sum())
            assert text(browser, "passing") == f"{own:,} of {asks.sum():,} blocks"
        choose(browser, "by", "task")
        named = text(browser, "legend")
        assert all((name or "no task") in named for name in day.task_names)


def test_paper_is_light(browser: Any, page: Path) -> None:
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        show(browser, page)
        look = "return [...document.getElementById('map').getContext('2d')"
        look += ".getImageData(5, 5, 1, 1).data].slice(0, 3)"
        assert browser.execute_script(look) == [35, 38, 43]  # --free in the dark
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert browser.execute_script(look) == [247, 244, 234]
        browser.execute_script("dispatchEvent(new Event('afterprint'))")
        assert browser.execute_script(look) == [35, 38, 43]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_what_is_not_told_is_not_shown(browser: Any, tmp_path: Path) -> None:
    trace = data.load("coap-server")
    heap = ForeignHeap.load(library(tmp_path, "bump.c", bits=32), 40 << 10)
    replay(trace, heap, record="all").explore().save(tmp_path / "foreign.html")
    show(browser, tmp_path / "foreign.html")
    assert browser.get_log("browser") == []
    hidden = "return [0, 1, 2].map((i) => document.getElementById(`line-${i}`).hidden)"
    assert browser.execute_script(hidden) == [True, True, True]
    assert "ree " not in text(browser, "now")
    for kind in ("pointermove", "pointerdown", "pointerup"):
        point(browser, 600, 100, kind)
    assert "taken" not in text(browser, "pinned")


def test_blocks_from_before_and_nothing_at_all(browser: Any, tmp_path: Path) -> None:
    heap = Heap4(4096)
    kept = [heap.malloc(600) for _ in range(3)]
    heap.free(kept[1])
    trace = Trace("mm", [0, 1], [500, 3000])
    found = replay(trace, heap, record="all")
    found.explore().save(tmp_path / "used.html")
    show(browser, tmp_path / "used.html")
    assert found["failure"].tolist() == [0, 1]
    free = int(found["free_size"][1])
    assert text(browser, "holes-text") == (
        f"2 holes of {free:,} B together, the largest of {found['largest_free_block'][1]:,} B; "
        "1 live block between them."
    )
    assert "from before the trace" in text(browser, "holes-rows")
    assert "from before the trace" in text(browser, "legend")
    replay(Trace("", [], []), Heap4(4096), record="all").explore().save(tmp_path / "empty.html")
    show(browser, tmp_path / "empty.html")
    assert browser.get_log("browser") == []
    assert text(browser, "section").startswith("There is nothing to draw")


def test_names_that_are_no_text(browser: Any, tmp_path: Path) -> None:
    tasks = [HOSTILE.replace(" ", "/"), "<b>net</b>"]
    hostile = Trace("mm", [0, 1], [100, 200], task=tasks, meta={"name": HOSTILE})
    path = tmp_path / "hostile.html"
    report(hostile, heaps=["heap_4"], title=HOSTILE).save(path)
    show(browser, path)
    assert browser.get_log("browser") == []
    assert browser.title == HOSTILE
    assert browser.execute_script("return document.querySelectorAll('img, b').length") == 0
    listed = browser.execute_script(
        "return [...document.getElementById('task').options].map((one) => one.textContent)"
    )
    assert listed == ["every task", *tasks]


def test_numbers_that_javascript_does_not_hold(browser: Any, tmp_path: Path) -> None:
    """Times in ns since 1970, ids that are hashes, and a request for which a size_t wrapped."""
    hashed, now = 2**63 - 25, 1_764_200_000_000_000_001
    ids = [hashed, 5, hashed, 5]
    large = Trace(
        "mmff",
        ids,
        [100, 2**64 - 1, 0, 0],
        time=[now, now, now + 77, now + 78],
        meta={"time_unit": "ns"},
    )
    replay(large, Heap4(4096)).explore().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html")
    assert browser.get_log("browser") == []
    refused = "event 1 (1,764,200,000,000,000,001 ns): 18,446,744,073,709,551,615 B refused"
    assert text(browser, "now").startswith(refused)
    assert "requested, 100 to 18,446,744,073,709,551,615 B" in text(browser, "legend")
    press(browser, "Home")
    press(browser, "Enter")
    pinned = text(browser, "pinned")
    assert f"block {hashed} at" in pinned
    assert "given back at event 2, after 2 events (77 ns)" in pinned


def test_what_was_never_served_is_not_given_back(browser: Any, tmp_path: Path) -> None:
    """Frees of a block that was refused, and of one of 0 bytes."""
    nothing = Trace("mmmfff", [0, 1, 2, 0, 1, 2], [9000, 0, 100, 0, 0, 0])
    replay(nothing, Heap4(4096)).explore().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html")
    said = []
    press(browser, "Home")
    for _ in range(6):
        said.append(text(browser, "now").split(". Free")[0])
        press(browser, "ArrowRight")
    assert said[3:] == ["event 3", "event 4", "event 5: block 2 given back"]


def test_one_of_a_thing(browser: Any, tmp_path: Path) -> None:
    replay(Trace("mf", [7, 7], [100, 0]), Heap4(4096)).explore().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html")
    assert text(browser, "passing") == "1 block"
    press(browser, "Enter")
    assert "given back at event 1, after 1 event;" in text(browser, "pinned")


def test_the_page_of_a_notebook(browser: Any, page: Path, trace: Trace) -> None:
    """In a frame of its own, where nothing else is."""
    html = report(trace, heaps=["heap_4"], heap_size=SIZE)._repr_html_()
    frame = page.with_name("notebook.html")
    frame.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{html}", encoding="utf-8")
    browser.get(frame.as_uri())
    browser.switch_to.frame(0)
    try:
        wait(browser, "document.body.dataset.ready")
        assert text(browser, "failures").endswith("failed")
    finally:
        browser.switch_to.default_content()


def shapes(blocks: int, shape: str) -> Trace:
    """Blocks that are short-lived, or all live for long, or each as large as the heap."""
    ids = np.arange(blocks)
    if shape == "long":  # all are asked for, then all given back
        op, lane = np.repeat([ord("m"), ord("f")], blocks), np.r_[ids, ids]
    else:
        op, lane = np.tile([ord("m"), ord("f")], blocks), np.repeat(ids, 2)
    bytes_each = 200_000 if shape == "tall" else 24
    size = np.where(op == ord("m"), bytes_each, 0)
    return Trace(op.astype(np.uint8), lane, size.astype(np.uint64))


@pytest.mark.parametrize("shape", ["short", "long", "tall"])
def test_a_frame_costs_no_more_than_its_blocks_and_pixels(
    browser: Any, tmp_path: Path, shape: str
) -> None:
    """However long or large they are: a block is at most 16 pixels of work."""
    blocks = 8000
    replay(shapes(blocks, shape), Heap4(320_000)).explore().save(tmp_path / "page.html")
    show(browser, tmp_path / "page.html")
    assert text(browser, "failures") == "none failed"
    writes = int(browser.execute_script("return document.getElementById('map').dataset.writes"))
    assert blocks <= writes <= 16 * blocks
    inside = "const c = document.getElementById('map');"
    inside += "return [...c.getContext('2d').getImageData(arguments[0] * c.width, arguments[1]"
    inside += " * c.height, 1, 1).data]"
    free = [247, 244, 234, 255]  # --free
    covered = {"short": (0.5, 0.9), "long": (0.5, 0.6), "tall": (0.5, 0.8)}[shape]
    assert browser.execute_script(inside, 0.5, 0.05) == free
    if shape != "short":  # less than a pixel is covered there
        assert browser.execute_script(inside, *covered) != free


def lanes(events: int) -> Trace:
    """A random program with 500 variables."""
    random = np.random.default_rng(1)
    lane = random.integers(0, 500, events)
    order = np.argsort(lane, kind="stable")
    turn = np.empty(events, np.int64)
    start = np.r_[0, np.flatnonzero(np.diff(lane[order])) + 1]
    turn[order] = np.arange(events) - np.repeat(start, np.diff(np.r_[start, events]))
    op = np.where(turn % 2 == 0, ord("m"), ord("f")).astype(np.uint8)
    size = np.where(op == ord("m"), random.integers(16, 500, events), 0).astype(np.uint64)
    return Trace(op, lane, size)


def test_a_million_blocks(browser: Any, tmp_path: Path) -> None:
    """They are painted, at any zoom."""
    path = tmp_path / "million.html"
    report(lanes(2_000_000), heaps=["heap_4"], heap_size=250_000).save(path)
    assert path.stat().st_size < 12_000_000
    show(browser, path)
    assert browser.get_log("browser") == []
    count = int(text(browser, "passing").removesuffix(" blocks").replace(",", ""))
    assert count > 999_000
    written = "return Number(document.getElementById('map').dataset.writes)"
    assert count <= browser.execute_script(written) <= 4 * count
    for _ in range(6):
        frames = int(browser.execute_script("return document.getElementById('map').dataset.frames"))
        browser.execute_script("document.getElementById('in').click()")
        wait(browser, f"document.getElementById('map').dataset.frames > {frames}")
        assert browser.execute_script(written) <= 4 * count
