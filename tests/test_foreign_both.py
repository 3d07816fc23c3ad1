"""One allocator's sources twice: as a library of 32 bits, and in the emulator of a Cortex-M."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_libraries import SOURCES, library
from needs import ROOT, tool

from rtosheap import ForeignHeap, data, replay
from rtosheap.cortexm import measure

CORE = ROOT / "csrc" / "core"


@pytest.mark.parametrize("source", ["our_heap_4.c", "simple.c"])
@pytest.mark.parametrize("name", ["coap-server", "lua-sched"])
def test_both_give_the_same_addresses(tmp_path: Path, source: str, name: str) -> None:
    tool("arm-none-eabi-gcc")
    trace = data.load(name)
    size = int(trace.peak_live_bytes * 1.3) // 8 * 8
    device = measure(trace, sources=[SOURCES / source], include=[CORE], heap_size=size)
    heap = ForeignHeap.load(
        library(tmp_path, source, bits=32), size, base_address=device.base_address
    )
    host = replay(trace, heap)
    assert np.array_equal(host.column("address"), device.addresses)
    assert np.array_equal(host.column("failed"), device.failed)
    assert host.failures == device.failures
    assert (device.addresses != 0).sum() > 1000
