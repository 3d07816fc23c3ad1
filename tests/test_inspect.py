"""A dump becomes a heap: sound ones exactly, damaged ones with the culprit's name."""

from __future__ import annotations

import doctest
import itertools
import json
import random
import struct
import sys
from pathlib import Path

import arena_damage
import intel_hex
import numpy as np
import pytest
import vectors
from parts import few_of

import rtosheap.device as loaders
import rtosheap.heaps.image
import rtosheap.inspection
from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, HeapCorruptionError, Trace, replay
from rtosheap.cli import main
from rtosheap.heaps import ImageState
from rtosheap.inspection import inspect

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import tools

BASE = 0x2000_0400


@pytest.mark.parametrize("module", [rtosheap.heaps.image, rtosheap.inspection._inspect])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def used(cls=Heap4, seed=1, size=4096, **options):
    """A heap after a while, with its live payloads filled with what is no header."""
    if cls is Heap5:
        heap = Heap5([(0x1000_0000, 1024), (BASE, size), (BASE + size + 64, 512)], **options)
    else:
        heap = cls(size, base_address=BASE, **options)
    rng = random.Random(seed)
    live = []
    for _ in range(200):
        if live and rng.random() < 0.48 and cls is not Heap1:
            heap.free(live.pop(rng.randrange(len(live))))
        else:
            p = heap.malloc(rng.choice([8, 20, 24, 40, 64, 100]))
            if p is not None:
                heap.view(p)[:] = bytes(rng.choices(range(1, 256), k=len(heap.view(p))))
                live.append(p)
    return heap, live


def image(heap):
    if heap.kind == 5:
        return [(region.address, bytes(region.memory)) for region in heap.regions]
    return bytes(heap.memory)


# ---------------------------------------------------------------------- sound dumps


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cls", [Heap2, Heap4, Heap5])
@pytest.mark.parametrize(
    "options",
    [{}, {"word_size": 8, "alignment": 8}, {"alignment": 16}, {"alignment": 4}],
    ids=str,
)
def test_a_heap_comes_back_from_its_bytes(cls, seed, options):
    heap, live = used(cls, seed, **options)
    where = {} if cls is Heap5 else {"base_address": BASE}
    found = cls.from_image(image(heap), **where, **options)
    assert found.blocks() == heap.blocks()
    assert found.free_size == heap.free_size
    assert image(found) == image(heap)
    if cls is Heap4 or cls is Heap2:
        assert found.free_blocks() == heap.free_blocks()
    # and it lives on as the device would
    for p in live[::2]:
        heap.free(p)
        found.free(p)
    for size in (8, 100, 48, 300):
        assert found.malloc(size) == heap.malloc(size)
    assert image(found) == image(heap)
    found.check()


def test_the_arena_is_copied():
    heap, _ = used()
    memory = bytearray(heap.memory)
    before = bytes(memory)
    Heap4.from_image(memory, base_address=BASE).malloc(100)
    assert bytes(memory) == before


@pytest.mark.parametrize("clear", [1, 2, np.True_, 0, []])
def test_clear_on_free_is_whatever_is_true_or_not(clear):
    found = Heap4.from_image(bytes(Heap4(256).memory), clear_on_free=clear)
    assert found.clear_on_free is bool(clear)


def test_the_canary_is_found():
    heap, _ = used(canary=0xDEADBEEF)
    assert Heap4.from_image(image(heap), base_address=BASE).canary == 0xDEADBEEF
    assert inspect(image(heap), base_address=BASE).canary == 0xDEADBEEF
    plain, _ = used()
    assert Heap4.from_image(image(plain), base_address=BASE).canary is None


def test_the_state_is_taken():
    heap, _ = used()
    state = ImageState(
        free_size=heap.free_size,
        minimum_ever_free=heap.minimum_ever_free_size,
        allocations=heap.allocation_count,
        frees=heap.free_count,
    )
    found = Heap4.from_image(image(heap), base_address=BASE, state=state)
    assert found.stats() == heap.stats()
    wrong = ImageState(free_size=heap.free_size - 8)
    with pytest.raises(HeapCorruptionError, match="counter"):
        Heap4.from_image(image(heap), base_address=BASE, state=wrong)
    report = inspect(image(heap), base_address=BASE, state=wrong)
    assert [damage.kind for damage in report.damage] == ["counter"]


def test_heap_1():
    heap, live = used(Heap1)
    handed = heap.size - heap.alignment - heap.free_size
    found = Heap1.from_image(image(heap), base_address=BASE, state=ImageState(used=handed))
    assert found.free_size == heap.free_size
    assert found.malloc(8) == heap.malloc(8)
    guess = Heap1.from_image(image(used(Heap1)[0]), base_address=BASE)
    assert guess.free_size == used(Heap1)[0].free_size
    assert live


def test_heap_3():
    heap, live = used(Heap3)
    found = Heap3.from_image(image(heap), base_address=BASE)
    assert found.blocks() == heap.blocks()
    assert found.free_blocks() == heap.free_blocks()
    for p in live[::3]:
        heap.free(p)
        found.free(p)
    assert [found.malloc(n) for n in (10, 70, 30)] == [heap.malloc(n) for n in (10, 70, 30)]


def test_largest_request():
    for cls in (Heap1, Heap2, Heap3, Heap4, Heap5):
        for seed in range(3):
            heap, _ = used(cls, seed)
            where = {} if cls is Heap5 else {"base_address": BASE}
            report = inspect(image(heap), cls, **where)
            assert report.damage == ()
            assert report.heap.free_size == heap.free_size
            size = report.largest_request
            trial = heap.copy()
            if size:
                assert trial.malloc(size) is not None
            assert heap.copy().malloc(size + 1) is None


@pytest.mark.parametrize("name", [n for n in vectors.NAMES if "heap1" not in n])
def test_conformance_arenas(name):
    """The arenas of the real heaps, all of those whose bytes were kept."""
    classes = {2: Heap2, 4: Heap4, 5: Heap5}
    seen = 0
    for case in vectors.load(name):
        if not case.bytes:
            continue
        data = [bytes.fromhex(text) for text in case.bytes]
        options = {"word_size": case.word, "alignment": case.align}
        listed, base = case.final["free_list"], vectors.BASE
        if case.heap == 5:
            head = base + (listed[0][0] if listed else case.final["ends"][-1])
            canary = case.canary or 0
            options["state"] = ImageState(head=head ^ canary, canary=canary)
            starts = [address for address, _ in case.target_regions]
            memory = list(zip(starts, data, strict=True))
        else:
            memory = data[0]
            options["base_address"] = case.target_regions[0][0]
        heap = classes[case.heap].from_image(memory, **options)
        blocks = [[b.address - base, b.size, b.allocated] for b in heap.blocks()]
        assert blocks == case.final["blocks"]
        assert [[b.address - base, b.size] for b in heap.free_blocks()] == listed
        assert inspect(memory, f"heap_{case.heap}", **options).damage == ()
        seen += 1
    assert seen == vectors.RECORDED[name].shown


# ---------------------------------------------------------------------- ten damaged dumps


class Patient:
    """A heap_4 whose blocks' neighbours are known, to be damaged."""

    def __init__(self):
        self.heap = Heap4(2048, base_address=BASE)
        self.p = [self.heap.malloc(n) for n in (24, 40, 16, 100, 24, 60, 8, 24, 32, 48)]
        for p in self.p:
            self.heap.view(p)[:] = b"\x5a" * self.heap.usable_size(p)
        for k in (2, 5, 8):
            self.heap.free(self.p[k])
        self.memory = bytearray(self.heap.memory)

    def header(self, k):
        return self.p[k] - 8

    def write(self, address, data):
        at = address - BASE
        self.memory[at : at + len(data)] = data

    def overflow(self, k, data):
        """Write past the end of a block; returns its header's address."""
        self.write(self.p[k] + self.heap.usable_size(self.p[k]), data)
        return self.header(k)


def _one_byte(x):
    return x.overflow(0, b"!"), "overflow", 1


def _link_only(x):
    return x.overflow(0, b"ABCD"), "overflow", 4


def _whole_header(x):
    return x.overflow(3, b"overflow"), "overflow", 8


def _far(x):
    return x.overflow(3, b"text that is far too long"), "overflow", 8


def _into_a_free_block(x):
    return x.overflow(4, b"abcdef"), "overflow", 6


def _terminator(x):
    return x.overflow(1, b"\0"), "overflow", 1


def _zeros(x):
    x.write(x.p[6], bytes(8))
    return x.overflow(6, bytes(8)), "overflow", 8


def _last_block(x):
    heap = x.heap
    rest = heap.malloc(heap.stats().largest_free_block - 8)
    memory = bytearray(heap.memory)
    x.memory = memory
    x.write(rest + heap.usable_size(rest), b"zz")
    return rest - 8, "overflow", 2


def _underflow(x):
    x.write(x.p[4] - 3, b"\x99\x98\x97")
    return x.header(4), "underflow", 3


def _stale_pointer(x):
    x.write(x.p[5] + 64 - 8 + 8, b"late")  # past the end of what is free now
    return x.header(5), "after free", 4


DAMAGE = [
    _one_byte,
    _link_only,
    _whole_header,
    _far,
    _into_a_free_block,
    _terminator,
    _zeros,
    _last_block,
    _underflow,
    _stale_pointer,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_right_block_is_named(damage):
    patient = Patient()
    culprit, how, past = damage(patient)
    report = inspect(patient.memory, Heap4, base_address=BASE)
    first = report.damage[0]
    assert (hex(first.culprit), first.how, first.past) == (hex(culprit), how, past)
    assert first.found.hex(" ") in first.message
    assert first.shown
    assert first.message in str(report)
    json.dumps(report.to_dict())
    whole = [b.address for b in patient.heap.blocks()]
    assert [b.address for b in report.blocks] == whole
    with pytest.raises(HeapCorruptionError):
        Heap4.from_image(patient.memory, base_address=BASE)
    if report.heap is not None:  # drawn as far as it can be, and found damaged by its own check
        with pytest.raises(HeapCorruptionError):
            report.heap.check()


@pytest.mark.parametrize(("cls", "options"), few_of([
    (Heap2, {}), (Heap2, {"word_size": 8}), (Heap4, {}), (Heap4, {"word_size": 8}),
    (Heap4, {"canary": 0xDEADBEEF}), (Heap5, {}), (Heap5, {"word_size": 8}),
], [(Heap4, {})]))  # fmt: skip
def test_the_right_block_is_named_everywhere(cls, options):
    """Ten ways, at every pair of blocks that adjoin, in fragmented arenas."""
    wrong = tried = 0
    for seed in range(3):
        heap, _ = used(cls, seed, **options)
        whole = image(heap)
        data = dict(whole)[BASE] if cls is Heap5 else whole
        where = {"word_size": heap.word_size}
        if cls is not Heap5:
            where |= {"base_address": BASE}
        if cls is Heap2:  # a whole RAM's ELF would tell
            where |= {"state": ImageState(end_marker=heap.end_marker_address)}

        def look(memory, whole=whole, where=where):
            if cls is Heap5:
                memory = [(at, memory if at == BASE else part) for at, part in whole]
            return inspect(memory, cls, **where)

        sound = look(data)
        assert not sound.damage
        blocks = [b for b in sound.blocks if BASE <= b.address < BASE + len(data)]
        for way, write in arena_damage.WAYS.items():
            for a, b in itertools.pairwise(blocks):
                if not a.allocated or (way.startswith("an underflow") and not b.allocated):
                    continue
                at, what, culprit = write(a, b)
                if way == "zeros":
                    at, what = b.address - 8, bytes(8 + 2 * heap.word_size)
                memory = bytearray(data)
                memory[at - BASE : at - BASE + len(what)] = what
                found = look(memory).damage
                right = bool(found) and found[0].culprit == culprit
                assert right or way == "40 bytes", (way, hex(a.address), found)
                wrong += not right
                tried += 1
    assert tried > 50
    assert wrong <= 0.01 * tried  # 40 bytes may be more than one block


def test_zeros_below_which_there_are_none_did_not_run_over_the_link():
    x = Patient()
    x.write(x.header(1), bytes(8))
    (damage,) = inspect(x.memory, base_address=BASE).damage
    assert (damage.how, damage.culprit, damage.past) == ("underflow", x.header(1), 4)
    first = Patient()
    first.write(BASE, bytes(8))
    (damage,) = inspect(first.memory, base_address=BASE).damage
    assert (damage.how, damage.culprit, damage.past) == ("overflow", None, 8)


def test_a_cycle_and_what_it_loses():
    patient = Patient()
    free = [b.address for b in patient.heap.free_blocks()]
    patient.write(free[2], free[1].to_bytes(4, "little"))
    kinds = [d.kind for d in inspect(patient.memory, base_address=BASE).damage]
    assert kinds == ["link", "cycle", "lost"]


def test_a_lost_block():
    patient = Patient()
    free = [b.address for b in patient.heap.free_blocks()]
    patient.write(free[0], free[2].to_bytes(4, "little"))
    report = inspect(patient.memory, base_address=BASE)
    assert [d.kind for d in report.damage] == ["link", "lost"]
    assert report.damage[1].address == free[1]


def test_a_head_that_leads_astray():
    patient = Patient()
    state = ImageState(head=BASE + 4)
    report = inspect(patient.memory, base_address=BASE, state=state)
    assert report.damage[0].kind == "head"


def test_heap_2_damage():
    heap, _ = used(Heap2)
    memory = bytearray(heap.memory)
    free = heap.free_blocks()
    at = free[1].address - BASE
    memory[at : at + 4] = free[0].address.to_bytes(4, "little")
    kinds = {d.kind for d in inspect(memory, Heap2, base_address=BASE).damage}
    assert "cycle" in kinds or "lost" in kinds


@pytest.mark.parametrize("cls", [Heap1, Heap2, Heap3, Heap4, Heap5])
def test_any_bytes_can_be_inspected(cls):
    rng = random.Random(7)
    heap, _ = used(cls)
    for _ in range(60):
        memory = image(heap)
        pieces = [memory] if cls is not Heap5 else [data for _, data in memory]
        out = []
        for piece in map(bytearray, pieces):
            for _ in range(rng.choice([1, 4, 40])):
                piece[rng.randrange(len(piece))] = rng.randrange(256)
            out.append(bytes(piece) if rng.random() < 0.8 else rng.randbytes(len(piece)))
        if cls is Heap5:
            out = list(zip([at for at, _ in memory], out, strict=True))
            report = inspect(out, cls)
        else:
            report = inspect(out[0], cls, base_address=BASE)
        assert str(report)
        json.dumps(report.to_dict())


# ---------------------------------------------------------------------- names from a trace


def test_blocks_are_named_by_task_and_age():
    trace = Trace(
        "mmmfm",
        id=[0, 1, 2, 1, 3],
        size=[20, 30, 40, 0, 50],
        time=[1, 2, 3, 4, 10],
        task=["net", "ui", "net", "ui", "log"],
    )
    heap = Heap4(1024, base_address=BASE)
    replay(trace, heap)
    report = inspect(heap.memory, base_address=BASE, trace=trace)
    named = [(b.owner.task, b.owner.requested, b.owner.age) for b in report.blocks if b.owner]
    assert named == [("net", 20, 9), ("net", 40, 7), ("log", 50, 0)]
    assert "3 of 3 allocated blocks are the trace's" in str(report)
    memory = bytearray(heap.memory)
    block = next(b for b in report.blocks if not b.allocated)
    memory[block.address + block.size - BASE] = 1  # past the end of what ui freed
    damaged = inspect(memory, base_address=BASE, trace=trace)
    assert damaged.damage[0].how == "after free"
    assert damaged.owner_of(damaged.damage[0]).task == "ui"
    assert "ui's" in str(damaged)


def test_a_trace_without_addresses_needs_chunks_that_a_heap_can_have():
    trace = Trace("mmm", id=range(3), size=[20, 30, 40], task=["net", "ui", "net"])
    heap = Heap3(1024, base_address=BASE)
    replay(trace, heap)
    memory = bytearray(heap.memory)
    second = heap.blocks()[1].address - BASE
    memory[second : second + 4] = bytes(4)  # its size
    options = {"base_address": BASE, "state": ImageState(used=1024 - heap.free_size)}
    assert inspect(memory, Heap3, **options).heap is None
    with pytest.raises(ValueError, match="no recorded addresses, and no heap to replay it in"):
        inspect(memory, Heap3, trace=trace, **options)


def test_who_freed_a_block_is_not_who_had_it():
    trace = Trace("mmf", id=[0, 1, 0], size=[8, 40, 0], task=["net", "ui", "ui"])
    heap = Heap4(1024, base_address=BASE)
    replay(trace, heap)
    memory = bytearray(heap.memory)
    memory[16] = 1  # past the end of what net had, which ui freed
    damaged = inspect(memory, base_address=BASE, trace=trace)
    assert damaged.damage[0].how == "after free"
    owner = damaged.owner_of(damaged.damage[0])
    assert (owner.event, owner.task, owner.requested) == (0, "net", 8)


def test_heap_1_gets_its_blocks_from_a_trace():
    trace = Trace("mm", id=[0, 1], size=[10, 20])
    heap = Heap1(256, base_address=BASE)
    replay(trace, heap)
    report = inspect(heap.memory, Heap1, base_address=BASE, trace=trace,
                     state=ImageState(used=40))  # fmt: skip
    assert [b.size for b in report.blocks] == [16, 24, 256 - 8 - 40]


# ---------------------------------------------------------------------- files


def test_raw_and_hex(tmp_path):
    heap, _ = used()
    raw, text = tmp_path / "a.bin", tmp_path / "a.hex"
    raw.write_bytes(heap.memory)
    text.write_text(intel_hex.dump(BASE, bytes(heap.memory)))
    assert loaders.load_memory(raw, base=BASE) == loaders.load_memory(text)
    with pytest.raises(ValueError, match="base address"):
        loaders.load_memory(raw)
    broken = text.read_text().replace("0", "1", 9)
    text.write_text(broken)
    with pytest.raises(ValueError, match="line 1"):
        loaders.load_memory(text)
    lines = intel_hex.dump(BASE, bytes(64)).splitlines()
    text.write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match="cut short"):
        loaders.load_memory(text)


def test_an_elf_core(tmp_path):
    """The smallest core there is: one header, one piece of memory."""
    tools.require_module("elftools", "pyelftools")
    heap, _ = used()
    data = bytes(heap.memory)
    head = b"\x7fELF\x01\x01\x01" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", 4, 40, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    piece = struct.pack("<IIIIIIII", 1, 84, BASE, BASE, len(data), len(data), 6, 4)
    path = tmp_path / "core"
    path.write_bytes(head + piece + data)
    assert loaders.load_memory(path).pieces == ((BASE, data),)
    with pytest.raises(ValueError, match="no symbols"):
        loaders.load_symbols(path)
    path.write_bytes(b"\x7fELF" + bytes(9))
    with pytest.raises(ValueError, match="damaged ELF"):
        loaders.load_memory(path)


def test_the_names_of_freertos():
    """The symbols of a kernel's own heap_4 and heap_2 say where the state lies."""
    heap, _ = used(canary=0xC0FFEE11)
    first = heap.free_blocks()[0].address
    numbers = [
        first ^ 0xC0FFEE11, 0, heap.free_size, heap.minimum_ever_free_size, heap.allocation_count,
        heap.free_count, 0xC0FFEE11,
    ]  # fmt: skip
    names = {
        "xStart": 0, "xFreeBytesRemaining": 8, "xMinimumEverFreeBytesRemaining": 12,
        "xNumberOfSuccessfulAllocations": 16, "xNumberOfSuccessfulFrees": 20, "xHeapCanary": 24,
    }  # fmt: skip
    state_at = 0x2000_0100
    table = {name: (state_at + offset, 4) for name, offset in names.items()}
    table["ucHeap"] = (BASE, 4096)
    ram = struct.pack("<7I", *numbers)
    memory = loaders.Memory(((state_at, ram), (BASE, bytes(heap.memory))))
    arena = loaders.find_arena(memory, loaders.Symbols(table, 4), 4)
    assert (arena.base, arena.size, arena.state.canary) == (BASE, 4096, 0xC0FFEE11)
    found = Heap4.from_image(heap.memory, base_address=BASE, state=arena.state)
    assert found.stats() == heap.stats()
    # a dump of the arena alone: what lies outside is not known
    arena = loaders.find_arena(loaders.Memory(memory.pieces[1:]), loaders.Symbols(table, 4), 4)
    assert arena.state.known() == ()

    two, _ = used(Heap2, end_marker_address=0x2000_0200)
    table = {"ucHeap": (BASE, 4096), "xStart": (state_at, 8), "xEnd": (0x2000_0200, 8)}
    ram = struct.pack("<2I", two.free_blocks()[0].address, 0)
    memory = loaders.Memory(((state_at, ram), (BASE, bytes(two.memory))))
    arena = loaders.find_arena(memory, loaders.Symbols(table, 4), 2)
    assert arena.state == ImageState(head=two.free_blocks()[0].address, end_marker=0x2000_0200)
    found = Heap2.from_image(two.memory, base_address=BASE, state=arena.state)
    assert found.end_marker_address == 0x2000_0200
    assert found.free_blocks() == two.free_blocks()
    with pytest.raises(ValueError, match="ucHeap"):
        loaders.find_arena(memory, loaders.Symbols({}, 4), 4)


def test_command_line(tmp_path, capsys):
    patient = Patient()
    patient.overflow(0, b"boom")
    path = tmp_path / "dump.bin"
    path.write_bytes(patient.memory)
    figure = tmp_path / "map.png"
    status, out = run([str(path), "--base", hex(BASE), "-o", str(figure)], capsys)
    assert status == 1
    assert "probably written 4 bytes past its end" in out
    assert figure.read_bytes().startswith(b"\x89PNG")
    status, out = run([str(path), "--base", hex(BASE), "--json"], capsys)
    assert json.loads(out)["damage"][0]["culprit"] == BASE
    path.write_bytes(patient.heap.memory)
    assert run([str(path), "--base", hex(BASE), "--heap", "heap_4"], capsys)[0] == 0


def run(arguments, capsys):
    status = main(["inspect", *arguments])
    return status, capsys.readouterr().out


def test_command_line_without_a_base(tmp_path, capsys):
    """It lies where the help says."""
    heap = Heap4(1024)
    heap.malloc(100)
    path = tmp_path / "dump.bin"
    path.write_bytes(heap.memory)
    status, out = run([str(path)], capsys)
    assert (status, out.splitlines()[0]) == (0, "heap_4, 1,024 bytes at 0x20000000")
    status, out = run([str(path), "--json"], capsys)
    found = json.loads(out)
    assert (found["kernels"], found["would_fit"]) == (
        ["any release, without the heap protector"], [],
    )  # fmt: skip
    status, out = run([str(path), "--base", "0x20000400"], capsys)
    assert status == 1
    assert "this is no heap_4: " in out
    assert "what would fit: heap_4 at the base address 0x20000000" in out
    status, out = run([str(path), "--base", "0x20000400", "--json"], capsys)
    assert json.loads(out)["damage"][0]["kind"] == "no such heap"
    figure = tmp_path / "map.png"
    assert main(["inspect", str(path), "--base", "0x20000400", "-o", str(figure)]) == 2
    assert "cannot be drawn" in capsys.readouterr().err
