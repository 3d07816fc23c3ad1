"""Images on a board in QEMU, read over its gdb server: the memory that the heaps in Python say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import device_images
import pytest
from arena_damage import WAYS
from device_images import END_MARKER, Damage, Machine, Program
from parts import few_of
from test_device_releases import since

from rtosheap import kernels
from rtosheap.device import (
    Arena,
    Memory,
    Target,
    find_arena,
    find_kind,
    find_regions,
    load_memory,
    load_symbols,
)
from rtosheap.heaps.layout import Layout
from rtosheap.inspection import Report, inspect

WORD = 4


@pytest.fixture(autouse=True)
def _library() -> None:
    device_images.tools.require_module("elftools", "pyelftools")


def table(image: Path) -> dict[str, int]:
    return {name: value for name, (value, _) in load_symbols(image).table.items()}


def ram(image: Path, program: Program) -> Memory:
    """The heap's memory and the variables, as they are on the board, whoever looks how often."""
    at = table(image)
    spans = [(region.address, len(region.memory)) for region in program.heap.regions]
    spans += [(at["rh_data_start"], at["rh_bss_end"] - at["rh_data_start"])]
    spans += [(END_MARKER, 8)] if at.get("xEnd") == END_MARKER else []
    looks: list[list[bytes | None]] = []
    with Machine(image) as machine:
        for _ in range(2):
            with Target(machine.where) as target:
                assert target.halted
                looks += [[target.read(*span) for span in spans] for _ in range(2)]
    assert all(look == looks[0] for look in looks)
    pieces = [(at, data) for (at, _), data in zip(spans, looks[0], strict=True) if data is not None]
    assert len(pieces) == len(spans)
    return Memory(tuple(pieces))


def arena_of(image: Path, memory: Memory, heap: int, program: Program) -> Arena:
    """The arena by the image's symbols; of heap_5 the first region."""
    regions = [(region.address, len(region.memory)) for region in program.heap.regions]
    if heap == 5:
        assert find_regions(memory, image)[1] == regions
        return find_arena(memory, load_symbols(image), heap, base=regions[0][0], size=regions[0][1])
    arena = find_arena(memory, load_symbols(image), heap)
    assert [(arena.base, arena.size)] == regions
    return arena


def report_of(
    image: Path, memory: Memory, heap: int, program: Program, kernel: str | None = None
) -> Report:
    arena = arena_of(image, memory, heap, program)
    regions: Any = memory.pieces[: len(program.heap.regions)]
    where = {} if heap == 5 else {"base_address": arena.base}
    return inspect(
        regions if heap == 5 else regions[0][1],
        f"heap_{heap}",
        **where,
        state=arena.state,
        releases=arena.releases,
        kernel=kernel,
    )


def blocks_of(program: Program) -> list[tuple[int, int, bool]]:
    return [tuple(block[:3]) for block in program.heap.blocks()]


# ---------------------------------------------------------------------- over a drop-in file

OWN = [(1, False), (2, False), (3, False), (4, False), (5, False), (4, True), (5, True)]
SOME = [(1, False), (3, False), (4, True), (5, False)]


@pytest.mark.parametrize(("heap", "protector"), few_of(OWN, SOME))
def test_an_application_over_a_drop_in(heap: int, protector: bool, tmp_path: Path) -> None:
    """Its heap is the one in Python, and its variables and tasks are where the blocks are."""
    image = device_images.own(tmp_path, heap, protector=protector)
    program = device_images.own_heap(heap, protector=protector)
    memory, at = ram(image, program), table(image)
    report = report_of(image, memory, heap, program)
    assert not report.damage
    if heap != 1:
        assert [(b.address, b.size, b.allocated) for b in report.blocks] == blocks_of(program)
    payloads = program.payloads
    assert memory.word(at["app_queue"], WORD) == payloads[device_images.QUEUE]
    assert memory.word(at["app_log"], WORD) == payloads[device_images.LOG] + 8
    assert memory.word(at["app_small"], WORD) == payloads[device_images.SMALL]
    assert memory.word(at["app_state"] + 4, WORD) == payloads[device_images.MESSAGE]
    assert memory.word(at["app_state"] + 16, WORD) == payloads[device_images.BUFFER]
    assert memory.word(payloads[device_images.QUEUE] + 20, WORD) == payloads[device_images.NODE]
    control, stack = device_images.TASKS["sensor"]
    assert memory.word(payloads[stack] + 160, WORD) == payloads[device_images.LOCAL]
    top = memory.word(payloads[control], WORD)
    assert top is not None
    assert payloads[stack] < top < payloads[stack] + 160
    assert memory.word(at["pxCurrentTCB"], WORD) == payloads[device_images.TASKS["main"][0]]
    for name, (number, _) in device_images.TASKS.items():
        assert name.encode() + b"\0" in (memory.read(payloads[number], 96) or b"")


def wounded(program: Program, way: str) -> tuple[Damage, int]:
    """A way at a pair of the program's own, where it leaves a trace: the damage, and the block
    that did it.
    """
    underflow = way.startswith("an underflow")
    layout = Layout.of(program.heap)
    unmarked = layout.live_link is None  # the link of a live block may be any
    fit = [
        (a, b)
        for a, b in device_images.pairs(program)[:-1]  # the last may be what sbrk has not reached
        if b.size >= 48
        and (b.allocated if underflow else not (b.allocated and unmarked))
        # A size of newlib's that was written below may be another chunk's that was written past.
        and not (layout.is_newlib and underflow and b.payload - b.address < 8)
    ]
    return device_images.wound(way, fit[3 * list(WAYS).index(way) % len(fit)])


DAMAGED = [(*own, way) for own in OWN[1:] for way in WAYS]
#: All of them: test_gdb.py.


@pytest.mark.parametrize(("heap", "protector", "way"), few_of(DAMAGED[::7], DAMAGED[:1]))
def test_an_application_that_damages_its_heap(
    heap: int, protector: bool, way: str, tmp_path: Path
) -> None:
    program = device_images.own_heap(heap, protector=protector)
    damage, culprit = wounded(program, way)
    image = device_images.own(tmp_path, heap, damage=damage, protector=protector)
    memory = ram(image, program)
    for at, data in damage:
        assert memory.read(at, len(data)) == data
    found = report_of(image, memory, heap, program).damage[0]
    if heap == 3 and not way.startswith("an underflow"):
        # Sizes lead from chunk to chunk: it may be the one that was not written.
        assert f"the chunk at {culprit:#010x} before it was written past its end" in found.suspicion
    else:
        assert found.culprit == culprit


# ---------------------------------------------------------------------- a kernel's own heap

RELEASES = [
    (heap, kernel.name, protector)
    for heap in (1, 2, 4, 5)
    for kernel in kernels()
    for protector in (False, True)[: 1 + (heap > 3 and since(kernel.name, "V11.0.0"))]
]
FEW = [
    (1, "V9.0.0", False),
    (2, "V10.4.6", False),
    (4, "V10.3.1", False),
    (4, "V11.1.0", True),
    (5, "V11.3.0", True),
]


@pytest.mark.parametrize(("heap", "release", "protector"), few_of(RELEASES, FEW))
def test_the_variables_of_a_release(
    heap: int, release: str, protector: bool, tmp_path: Path
) -> None:
    """Whole, and damaged in each of the ten ways: what the ELF begins with is what a board has."""
    image = device_images.kernel(tmp_path, heap, release, protector=protector)
    program = device_images.kernel_heap(heap, release, protector=protector)
    regions = device_images.memory_of(program.heap)
    rest = load_memory(image).pieces
    memory = Memory((*regions, *rest))
    assert find_kind(load_symbols(image)) == heap
    assert all(Memory(rest).read(at, len(data)) == data for at, data in regions)
    arena = arena_of(image, memory, heap, program)
    assert not arena.releases or release in arena.releases
    stats = program.heap.stats()
    if heap == 1:
        assert arena.state.start == program.payloads[0]
    else:
        assert arena.state.free_size == stats.available
        assert arena.state.canary == (device_images.CANARY if protector else None)
    report = report_of(image, memory, heap, program, release)
    assert not report.damage
    assert not report.would_fit
    if heap == 1:  # which has no headers
        return
    assert [(b.address, b.size, b.allocated) for b in report.blocks] == blocks_of(program)
    for way in WAYS:
        damage, culprit = wounded(program, way)
        memory = Memory((*device_images.memory_of(program.heap, damage), *rest))
        for kernel in (release, None):
            found = report_of(image, memory, heap, program, kernel).damage
            assert found[0].culprit == culprit, (way, kernel)


@pytest.mark.parametrize(
    ("heap", "release", "way"),
    [(2, "V10.0.0", "20 bytes"), (4, "V11.0.1", "zeros"), (5, "V10.5.1", "5 bytes")],
)
def test_a_damaged_heap_of_a_release_on_a_board(
    heap: int, release: str, way: str, tmp_path: Path
) -> None:
    program = device_images.kernel_heap(heap, release)
    damage, culprit = wounded(program, way)
    image = device_images.kernel(tmp_path, heap, release, damage=damage)
    memory = ram(image, program)
    regions = device_images.memory_of(program.heap, damage)
    assert list(memory.pieces[: len(regions)]) == regions
    assert report_of(image, memory, heap, program, release).damage[0].culprit == culprit


# ---------------------------------------------------------------------- the board


def test_a_board_that_waits_for_a_gdb(tmp_path: Path) -> None:
    image = device_images.own(tmp_path, 4)
    at = table(image)
    with Machine(image, running=False) as machine, Target(machine.where) as target:
        assert target.read(at["app_queue"], WORD) == bytes(WORD)


def test_an_image_that_ends_otherwise(tmp_path: Path) -> None:
    """Here it writes where no memory is."""
    image = device_images.own(tmp_path, 4, damage=[(0x6000_0000, b"x")])
    with pytest.raises(AssertionError, match="the image did not come to its end"):
        Machine(image)
