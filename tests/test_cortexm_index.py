"""The index of heap_4 and heap_5 in images: the Python heap's arena, and what it costs."""

from __future__ import annotations

import io
import random
import sys
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from rtosheap import Trace, cortexm, data, minimum_heap_size
from rtosheap.cortexm import Measurement, measure
from rtosheap.cortexm._proof import constants
from rtosheap.cortexm.images import ARENA, Configuration, Kernel, image
from rtosheap.cortexm.targets import CPUS
from rtosheap.cortexm.toolchain import compile_text, csrc

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

from tools import missing, require, require_module

pytestmark = pytest.mark.long

GCC = "arm-none-eabi-gcc"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    require_module("capstone", "capstone")
    require_module("unicorn", "unicorn")
    require(GCC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTOSHEAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


HOLES = 300


@cache
def holes() -> Trace:
    """Many small holes, so that a chunk has several and the list is long; then any calls, some of
    which fail.
    """
    chance = random.Random(5)
    events: list[tuple[Any, ...]] = [("m", block, 1) for block in range(2 * HOLES)]
    events += [("f", block) for block in range(0, 2 * HOLES, 2)]
    live = list(range(1, 2 * HOLES, 2))
    for block in range(2 * HOLES, 4 * HOLES):
        if chance.random() < 0.6:
            events.append(("m", block, chance.choice((1, 8, 9, 24, 40, 100, 300, 4000))))
            live.append(block)
        else:
            events.append(("f", live.pop(chance.randrange(len(live)))))
    return Trace.from_events(events)


SIZE = 16 << 10
REGIONS = [(ARENA, SIZE // 2), (ARENA + 0x10_0000, SIZE // 2 + 4)]


def same(heap: str, **options: Any) -> Measurement:
    """The trace in an image: `measure` compares each address, and the arena's bytes at the end."""
    run = measure(holes(), heap, index=True, toolchain=GCC, **options)
    assert run.index
    assert len(run.trace) == 5 * HOLES
    assert 10 < run.replay.failures < 200
    assert run.nodes.max() > HOLES // 2 - 10
    return run


KERNELS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "protector": {"protector": True},
    "cleared": {"clear_on_free": True},
    "asserts": {"asserts": True},
    "all, aligned to 16": {
        "protector": True, "clear_on_free": True, "asserts": True, "alignment": 16,
    },
}  # fmt: skip


@pytest.mark.parametrize("chunk", [None, 1024])
@pytest.mark.parametrize("heap", ["heap_4", "heap_5"])
def test_the_arena_is_the_lists(heap: str, chunk: int | None) -> None:
    run = same(heap, heap_size=SIZE, chunk=chunk)
    plain = measure(holes(), heap, heap_size=SIZE, toolchain=GCC)
    assert run.instructions.max() < plain.instructions.max()


@pytest.mark.parametrize(("cpu", "optimize"), list(zip(CPUS, cycle(["-O2", "-Os"]))))
def test_the_arena_is_the_lists_on_every_processor(cpu: str, optimize: str) -> None:
    assert len(CPUS) == 6
    tried = 0
    for kernel in KERNELS.values():
        for chunk in (None, 1024):
            if chunk is not None:
                chunk = chunk * kernel.get("alignment", 8) // 8
            options = {"cpu": cpu, "optimize": optimize, "chunk": chunk, **kernel}
            size = SIZE * kernel.get("alignment", 8) // 8
            same("heap_4", heap_size=size, **options)
            same("heap_5", heap_size=size, **options)
            regions = [(at, n * size // SIZE) for at, n in REGIONS]
            same("heap_5", regions=regions, **options)
            tried += 3
    assert tried == 30


@pytest.mark.parametrize("heap", ["heap_1", "heap_2", "heap_3"])
def test_who_has_none(heap: str) -> None:
    with pytest.raises(ValueError, match=rf"index is True, and heap '{heap}'; only heap_4 and"):
        measure(holes(), heap, heap_size=SIZE, index=True)


# ------------------------------------------------------------- how large it is


def state_bytes(one: Configuration, heap_size: int) -> int:
    """Of the heap's state in the image."""
    elffile = pytest.importorskip("elftools.elf.elffile")
    table = elffile.ELFFile(io.BytesIO(image(one, heap_size))).get_section_by_name(".symtab")
    (heap,) = table.get_symbol_by_name("xHeap")
    return int(heap["st_size"])


@pytest.mark.parametrize("chunk", [None, 1024])
@pytest.mark.parametrize("heap", ["heap_4", "heap_5"])
def test_its_bytes_are_those_that_it_states(heap: str, chunk: int | None) -> None:
    """`RH_INDEX_BYTES`, of heaps of few levels and of all; but for the state's padding."""
    toolchain = cortexm.find_toolchain(GCC)
    source = csrc() / "freertos" / f"{heap}.c"
    plain = Configuration(heap, CPUS["cortex-m4"], toolchain, "-O2", Kernel())
    one = plain._replace(kernel=Kernel(indexed=True, chunk=chunk))
    tried = 0
    for size in (64, 4000, 65_536, 1 << 20):
        defines = (*one.defines, f"-DconfigTOTAL_HEAP_SIZE={size}")
        text = f'#include "{source}"\nconst unsigned long rh_constants[] = '
        text += f"{{RH_INDEX_BYTES({size}), sizeof(struct rh_index)}};\n"
        stated, index = constants(compile_text(toolchain, one.flags, defines, text), 2)
        assert 0 <= index - stated < 4
        assert state_bytes(one, size) - state_bytes(plain, size) == index
        tried += 1
    assert tried == 4


# ------------------------------------------------------------- what is promised


@pytest.fixture(scope="module")
def gcc_12_2() -> str:
    version = cortexm.find_toolchain(GCC).version
    if " 12.2." not in version:
        missing(f"arm-none-eabi-gcc 12.2, whose figures the bars are (this is {version})")
    return GCC


def test_a_short_longest_path(gcc_12_2: str) -> None:
    """Cortex-M4, -O2, 64 KiB, aligned to 8; and in 1 MiB not much longer."""
    small = cortexm.bound("heap_4", heap_size=64 << 10, index=True, toolchain=gcc_12_2)
    assert small.malloc <= 300
    assert small.free <= 350
    # What others found by filling a heap, and freeing its blocks in random order.
    assert 265 <= small.malloc_found <= small.malloc
    assert 192 <= small.free_found <= small.free
    assert 0 < small.index_bytes <= 0.03 * (64 << 10)
    assert 0 < small.code_bytes <= 2000


@pytest.mark.parametrize("heap", ["heap_4", "heap_5"])
def test_a_path_that_hardly_grows(gcc_12_2: str, heap: str) -> None:
    options: dict[str, Any] = {"index": True, "toolchain": gcc_12_2, "search": 0}
    small = cortexm.bound(heap, heap_size=64 << 10, **options)
    large = cortexm.bound(heap, heap_size=1 << 20, **options)
    assert large.malloc <= 1.5 * small.malloc
    assert large.free <= 1.5 * small.free
    assert large.index_bytes <= 0.03 * (1 << 20)


TYPICAL = ("mosq-broker", "lwip-3cli", "frtos-cm3-mixed")


@pytest.mark.parametrize("name", TYPICAL)
def test_what_a_typical_list_costs(gcc_12_2: str, name: str) -> None:
    """With chunks of 1 KiB, at most a quarter more than without an index."""
    trace = data.load(name)
    size = int(minimum_heap_size(trace, "heap_4").size * 1.2) // 8 * 8
    plain, indexed = (
        measure(trace, "heap_4", heap_size=size, toolchain=gcc_12_2, **options)
        for options in ({}, {"index": True, "chunk": 1024})
    )
    assert indexed.index
    assert not plain.index
    assert len(plain.trace) > 10_000
    assert int(indexed.instructions.sum()) <= 1.25 * int(plain.instructions.sum())
