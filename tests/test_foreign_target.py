"""One adapter on the host, as a library of 32 bits, and on a Cortex-M: the same offsets."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import traces
from foreign_libraries import SOURCES, library
from needs import ROOT
from parts import few_of

from rtosheap import ForeignHeap, Trace, cortexm, replay
from rtosheap.fragmentation import pigweed_fragmentation

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import require, require_module

#: What the adapter is built with; the arenas are such that some of the traces fail in the small.
ADAPTERS = {"our_heap_4.c": (), "simple.c": ("TELLS", "REALLOCATES"), "bump.c": ()}
TRACES = ("coap-server", "lua-sched", "lwip-3cli")
SIZES = (96 << 10, 20_008)


@pytest.mark.parametrize(
    ("source", "cpu"),
    few_of(product(ADAPTERS, ["cortex-m0", "cortex-m4"]), [("our_heap_4.c", "cortex-m0")]),
)
def test_host_and_device_place_alike(tmp_path: Path, source: str, cpu: str) -> None:
    require_module("unicorn", "unicorn")
    require("arm-none-eabi-gcc")
    defines = ADAPTERS[source]
    built = library(tmp_path, source, *defines, bits=32)
    events = failures = 0
    for name in TRACES:
        trace = Trace.load(traces.path(name))[:6000]
        for size in SIZES:
            host = replay(trace, ForeignHeap.load(built, size))
            device = cortexm.measure(
                trace,
                sources=[SOURCES / source],
                include=[ROOT / "csrc" / "core"],
                defines=dict.fromkeys(defines),
                cpu=cpu,
                heap_size=size,
            )
            assert np.array_equal(device.addresses, host.column("address"))
            assert np.array_equal(device.failed, host.column("failed"))
            assert device.base_address == host.heap.base_address
            events += len(trace)
            failures += device.failures
    assert events == 2 * (1225 + 5848 + 6000)
    assert failures > 0


def test_pigweed_s_measure_of_a_foreign_allocator(tmp_path: Path) -> None:
    """By the sizes that it tells."""
    heap = ForeignHeap.load(library(tmp_path, "our_heap_4.c"), 4096)
    run = replay(Trace.from_events([("m", 0, 40), ("m", 1, 40), ("f", 0)]), heap)
    with pytest.raises(ValueError, match="another allocator"):
        pigweed_fragmentation(run)
    sizes = [size for _, size in heap.free_blocks()]
    assert len(sizes) == 2
    assert 0 < pigweed_fragmentation(sizes) < 0.5
