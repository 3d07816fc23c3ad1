"""A heap and a table as HTML."""

from xml.dom.minidom import parseString

import pytest
from plot_cases import HEAPS

from rtosheap import Heap3, Heap4
from rtosheap.html import heap_html, table_html

pytestmark = pytest.mark.usefixtures("matplotlib_defaults")


@pytest.mark.parametrize("data_name", HEAPS)
def test_the_html_of_a_heap_is_well_formed_and_bounded(data_name):
    html = heap_html(HEAPS[data_name]())
    parseString(html.replace("&nbsp;", " ").replace("&emsp;", " "))
    assert html.count("<svg") == 1
    assert "KiB free" in html or "B free" in html
    assert ("corrupt" in html) == (data_name == "corrupt")


def test_the_html_of_a_heap_of_many_blocks_is_short():
    heap = Heap4(1 << 20)
    blocks = [heap.malloc(20) for _ in range(20_000)]
    for block in blocks[:10_000:2]:
        heap.free(block)
    html = heap_html(heap)
    assert len(html) < 20_000
    assert 'fill-opacity="1.00"' in html  # where all is allocated
    assert 'fill-opacity="0.50"' in html  # where every other block was freed


def test_the_html_of_the_host_s_heap_and_of_an_escaped_table():
    assert "host" in heap_html(Heap3.host())
    table = table_html(["<a>", "b"], [["x & y", 1.5], [None, True], ["", 12345]])
    assert "&lt;a&gt;" in table
    assert "x &amp; y" in table
    assert "12,345" in table
    with pytest.raises(ValueError, match=r"rows\[0\] has 1 values"):
        table_html(["a", "b"], [["x"]])
