"""The recorder: from the device to a trace, whole, cut and with bytes missing."""

from __future__ import annotations

import ctypes
import io
import itertools
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import traces

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import arena_damage
import recorder_images
import tools

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, TraceError, replay
from rtosheap.device import find_arena, load_memory, load_symbols
from rtosheap.formats import recorder as wire
from rtosheap.inspect import inspect
from rtosheap.trace import Loss

BASE = 0x2000_0000
CPUS = {
    "m0": ("cortex-m0", "microbit", "microbit.ld"),
    "m4": ("cortex-m4", "mps2-an386", "mps2.ld"),
}


class Device:
    """The recorder, compiled for this machine."""

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))
        self._library.host_written.restype = ctypes.c_size_t
        self._library.host_start.argtypes = [
            ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_size_t
        ]  # fmt: skip
        self._library.host_event.argtypes = [
            ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32,
            ctypes.c_void_p,
        ]  # fmt: skip
        self._names = {}

    def start(self, base=BASE, meaning=0, overhead=0, ring=0):
        self._ring = ring
        self._buffer = ctypes.create_string_buffer(ring or 1 << 22)
        self._library.host_start(self._buffer, base, meaning, overhead, ring)

    def event(self, kind, address, size=0, old=0, tick=0, task=None):
        name = None
        if task:
            name = self._names.setdefault(task, ctypes.create_string_buffer(task.encode()))
            name = ctypes.addressof(name)
        self._library.host_event(ord(kind), address, size, old, tick, name)

    def forget(self, task):
        self._library.host_forget(self._names[task])

    def bytes(self):
        return self._buffer.raw[: self._ring or self._library.host_written()]

    def record(self, trace, heap):
        """All of a trace, as a heap serves it."""
        addresses = replay(trace, heap, record=("address",))["address"].tolist()
        times = [0] * len(trace) if trace.time is None else trace.time.tolist()
        names = [""] * len(trace) if trace.task is None else trace.task.tolist()
        where = {}
        for i, (event, address) in enumerate(zip(trace, addresses, strict=True)):
            old = where.get(event.id, 0)
            self.event(event.op, address, event.size, old, times[i], names[i])
            where[event.id] = address


@pytest.fixture(scope="module", params=["", "-DRHR_CALLERS=1"], ids=["plain", "callers"])
def device(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return build("", tmp_path_factory.mktemp("plain"))


def build(option, folder):
    path = folder / "recorder.so"
    csrc, here = recorder_images.CSRC / "recorder", recorder_images.HERE
    recorder_images.run([
        tools.require("gcc"), "-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion",
        "-Wsign-conversion", "-Wcast-align", "-Wmissing-prototypes", "-Wshadow", "-Werror", "-fPIC",
        "-shared", f"-I{csrc}", f"-I{here}", '-DRHR_CONFIG_FILE="recorder_config.h"',
        *option.split(), csrc / "rh_recorder.c", here / "recorder_host.c", "-o", path,
    ])  # fmt: skip
    return Device(path)


def load(data):
    return Trace.load(io.BytesIO(data))


def plain_events(trace):
    return [(e.op, e.size, e.time, e.task) for e in trace]


# ---------------------------------------------------------------------- whole streams


def test_a_recorded_trace_comes_back(device):
    trace = traces.load("frtos-cm3-mixed")
    device.start()
    device.record(trace, Heap4(48 << 10))
    found = load(device.bytes())
    assert found.loss == Loss()
    assert found.op.tobytes() == trace.op.tobytes()
    assert found.size.tolist() == trace.size.tolist()
    assert trace.time is None or found.time.tolist() == trace.time.tolist()
    again = replay(found, Heap4(48 << 10), record=("address",))["address"]
    assert np.array_equal(again, found.recorded_address)


def test_bytes_per_event(plain):
    """7 for a free, 8 for a malloc, and what syncs, names and long pauses cost."""
    trace = traces.load("frtos-cm3-mixed")
    plain.start()
    plain.record(trace, Heap4(48 << 10))
    assert 7.5 < len(plain.bytes()) / len(trace) < 8.5
    one_by_one = list(wire.records(plain.bytes()))
    own = [record.length for record in one_by_one if record.kind in "mf" and record.short]
    assert 7.4 < sum(own) / len(own) < 7.6


def test_reallocs_large_sizes_and_far_addresses(device):
    device.start()
    device.event("m", BASE + 8, 5000)
    device.event("m", BASE + 0x1000_0008, 10)
    device.event("m", BASE + 0x1000_0104, 10)  # not a multiple of 8
    device.event("m", BASE - 64, 4096)
    device.event("r", BASE + 0x4000, 70_000, BASE + 8)
    device.event("m", 0, 1 << 20)
    device.event("r", 0, 1 << 21, BASE + 0x4000)
    device.event("f", 0)
    device.event("r", 0, 0, BASE + 0x4000)
    found = load(device.bytes())
    assert [(e.op, e.id, e.size) for e in found] == [
        ("m", 0, 5000), ("m", 1, 10), ("m", 2, 10), ("m", 3, 4096), ("r", 0, 70_000), ("f", 0, 0)
    ]  # fmt: skip
    where = [BASE + 8, BASE + 0x1000_0008, BASE + 0x1000_0104, BASE - 64, BASE + 0x4000]
    assert found.recorded_address.tolist() == [*where, BASE + 0x4000]
    assert found.loss == Loss(failed=2)
    assert found.meta["largest_failed_request"] == str(1 << 21)


def test_time_and_tasks(device):
    device.start()
    times = [5, 5, 20, 21, 37, 1000, 100_000, 100_016, 100_031]
    tasks = ["a", "b", "", "a", "c d", "b", "a", "a", "b"]
    for i, (tick, task) in enumerate(zip(times, tasks, strict=True)):
        device.event("m", BASE + 64 * i, 8, tick=tick, task=task)
    found = load(device.bytes())
    assert found.time.tolist() == times
    assert found.task.tolist() == [task.replace(" ", "_") for task in tasks]


def test_more_tasks_than_the_table_has(device):
    device.start()
    for i in range(20):
        device.event("m", BASE + 64 * i, 8, task=f"task-number-{i:02}-of-many")
    found = load(device.bytes())
    assert found.task.tolist() == [f"task-number-{i:02}-o" for i in range(14)] + [""] * 6


def test_a_forgotten_tasks_handle_is_used_again(device):
    device.start()
    for i in range(14):
        device.event("m", BASE + 64 * i, 8, task=f"t{i}")
    device.forget("t3")
    device.event("m", BASE + 6400, 8, task="new")
    assert load(device.bytes()).task.tolist() == [f"t{i}" for i in range(14)] + ["new"]


def test_the_clock_may_wrap(device):
    device.start()
    for i, tick in enumerate([2**32 - 20, 2**32 - 3, 2, 40]):
        device.event("m", BASE + 64 * i, 8, tick=tick)
    assert load(device.bytes()).time.tolist() == [2**32 - 20, 2**32 - 3, 2**32 + 2, 2**32 + 40]


def test_what_sizes_mean(device):
    device.start(meaning=2, overhead=8)
    device.event("m", BASE + 8, 112)
    found = load(device.bytes())
    assert found.size.tolist() == [104]
    assert found.loss == Loss(rounded_sizes=1)
    device.start(meaning=1, overhead=8)
    device.event("m", BASE + 8, 112)
    assert load(device.bytes()).size.tolist() == [112]


def test_callers_are_recorded(tmp_path):
    device = build("-DRHR_CALLERS=1", tmp_path)
    device.start()
    device.event("m", BASE, 8)
    found = [record for record in wire.records(device.bytes()) if record.kind == "c"]
    assert [record.address for record in found] == [0xCA11E4]


# ---------------------------------------------------------------------- what is lost


def stream(device, events=4000):
    """A stream, and where each record lies in it."""
    device.start()
    device.record(traces.load("lua-json")[:events], Heap4(256 << 10))
    data, at, out = device.bytes(), 0, []
    for record in wire.records(data):
        out.append((at, record))
        at += record.length
    assert at == len(data)
    return data, out


@pytest.mark.parametrize("seed", range(5))
def test_one_byte_in_a_hundred_is_missing(device, seed):
    """It imports without an error, and loses no more than the damaged records."""
    data, where = stream(device)
    rng = random.Random(seed)
    gone = {at for at in range(len(data)) if rng.random() < 0.01}
    found = load(bytes(byte for at, byte in enumerate(data) if at not in gone))
    damaged = sum(any(at + i in gone for i in range(record.length)) for at, record in where)
    assert 0.4 * damaged < found.loss.lost_events <= damaged
    # nothing is made up: what came through is what was recorded, in its order
    events = [(r.kind, r.size, r.address) for _, r in where if r.kind in "mfrx"]
    seen = [
        (r.kind, r.size, r.address)
        for r in wire.records(bytes(b for at, b in enumerate(data) if at not in gone))
        if r.kind in "mfrx"
    ]
    everything = iter(events)
    assert all(event in everything for event in seen)
    assert len(seen) >= len(events) - damaged


def test_noise_between_records(device):
    data, _ = stream(device, 500)
    whole = load(data)
    rng = random.Random(3)
    noisy = rng.randbytes(500) + data[:2000] + rng.randbytes(999) + data[2000:] + rng.randbytes(50)
    found = load(noisy)
    assert len(found) >= len(whole) - 2
    assert found.loss.damaged_bytes >= 1500


def test_a_long_gap_is_counted(device):
    data, where = stream(device)
    events = [at for at, record in where if record.kind in "mfrx"]
    found = load(data[: events[500]] + data[events[1500] :])
    assert found.loss.lost_events == 1000
    assert found.loss.damaged_bytes == 0


def test_a_stream_that_begins_and_ends_in_the_middle(device):
    data, where = stream(device)
    events = [at for at, record in where if record.kind in "mfrx"]
    found = load(data[events[100] + 3 : events[900] + 2])
    assert found.loss.lost_events == 101
    assert found.loss.foreign_frees > 0


def test_the_time_before_the_first_whole_one(device):
    device.start()
    for i in range(200):
        device.event("m", BASE + 64 * i, 8, tick=1000 + 3 * i)
    data = device.bytes()
    starts = [record for record in wire.records(data) if record.kind in "mfrx"]
    assert len(starts) == 200
    late = data[len(data) // 8 :]
    found = load(late)
    assert found.time.tolist() == [1000 + 3 * i for i in range(200 - len(found), 200)]


def test_a_device_that_starts_anew(device):
    device.start()
    for i in range(70):
        device.event("m", BASE + 64 * i, 8, tick=i)
    first = device.bytes()
    device.start()
    for i in range(70):
        device.event("m", BASE + 64 * i, 8, tick=i)
    found = load(first + device.bytes())
    assert len(found) == found.allocs == 140
    assert found.loss == Loss()
    assert (np.diff(found.time) >= 0).all()


def test_a_ring(device):
    for events, ring in [(50, 4096), (4000, 4096), (4000, 1001)]:
        device.start(ring=ring + 20 if ring % 4 else ring)
        trace = traces.load("lua-json")[:events]
        device.record(trace, Heap4(256 << 10))
        dump = random.Random(1).randbytes(333) + device.bytes() + bytes(100)
        found = load(dump)
        assert found.loss.lost_events == (0 if events == 50 else found.loss.lost_events)
        count = len(found) + found.loss.foreign_frees
        assert found.loss.lost_events + count == len(trace)
        late = load(bytes(200_001) + dump)  # somewhere in a device's whole memory
        assert late == found


def test_whatever_a_capture_holds_it_is_read_or_refused(plain):
    data, _ = stream(plain, 300)
    rng = random.Random(5)
    for _ in range(100):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 5, 50])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        start, end = sorted(rng.randrange(len(data)) for _ in range(2))
        try:
            trace = load(bytes(changed[start:end]))
        except TraceError:
            continue
        assert trace.time is None or (np.diff(trace.time) >= 0).all()


def test_no_sync_no_trace(device):
    device.start()
    device.event("m", BASE, 8)
    with pytest.raises(TraceError, match="none of the formats"):
        load(device.bytes()[28:])
    with pytest.raises(TraceError, match="no whole sync"):
        Trace.load(io.BytesIO(device.bytes()[28:]), format="recorder")


# ---------------------------------------------------------------------- on the device


@pytest.fixture(scope="module", params=list(CPUS))
def recorded(request, tmp_path_factory):
    """Runs an image once for each processor and kind: its folder."""
    made = {}

    def run(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("image")
            recorder_images.record(made[kind], *CPUS[request.param], kind)
        return made[kind]

    return run


def same_addresses(path, heap):
    trace = Trace.load(path)
    found = replay(trace, heap, record=("address",))["address"]
    assert int((found != trace.recorded_address).sum()) == 0
    assert len(trace) > 2900
    return trace


def test_end_to_end_with_plain_calls(recorded):
    folder = recorded(recorder_images.CORE)
    heap = Heap4(6144)
    trace = same_addresses(folder / "capture.bin", heap)
    assert trace.reallocs > 100
    assert set(trace.task_names) == {"sensor", "network", "log"}
    assert trace.loss == Loss(failed=trace.loss.failed)
    # the arena that the device left becomes the heap that Python has
    image = (folder / "arena.bin").read_bytes()
    assert Heap4.from_image(image).blocks() == heap.blocks()
    report = inspect(image, trace=trace)
    assert not report.damage
    assert all(block.owner for block in report.blocks if block.allocated)
    ring = Trace.load(folder / "ring.bin")
    assert ring.size.tolist()[-20:] == trace.size.tolist()[-20:]


def test_end_to_end_in_a_kernel(recorded):
    folder = recorded(recorder_images.DROP_IN)
    hooked = same_addresses(folder / "capture.bin", Heap4(6144))
    wrapped = same_addresses(folder / "wrapped.bin", Heap4(6144))
    assert hooked.loss.rounded_sizes > 1000
    assert hooked.meta["sizes"] == "the block's, without its header"
    assert wrapped.meta["sizes"] == "as requested"
    assert "largest_failed_request" not in hooked.meta  # heap_4's macro tells 0
    assert wrapped.loss.rounded_sizes == 0
    assert (hooked.size >= wrapped.size).all()
    assert int(wrapped.meta["largest_failed_request"]) > 4000
    assert hooked.loss.failed == wrapped.loss.failed > 0


def test_a_whole_ram_with_its_elf(recorded):
    tools.require_module("elftools", "pyelftools")
    folder = recorded(recorder_images.DROP_IN)
    memory = load_memory(folder / "ram.bin", base=BASE)
    arena = find_arena(memory, load_symbols(folder / "image.elf"), 4)
    assert (arena.base, arena.size) == (BASE, 6144)
    state = arena.state
    assert {"head", "free_size", "minimum_ever_free", "allocations", "frees"} <= set(state.known())
    heap = Heap4(6144)
    trace = same_addresses(folder / "wrapped.bin", heap)
    image = memory.read(arena.base, arena.size)
    found = Heap4.from_image(image, state=state)
    assert found.blocks() == heap.blocks()
    assert found.stats() == heap.stats()
    damaged = bytearray(image)
    report = inspect(image, state=state, trace=trace)
    victim = next(b for b in report.blocks if b.allocated and b.owner)
    at = victim.address + victim.size - BASE
    damaged[at : at + 4] = b"over"
    worse = inspect(damaged, state=state, trace=trace)
    assert worse.damage[0].culprit == victim.address
    assert worse.owner_of(worse.damage[0]) == victim.owner


@pytest.mark.parametrize("heap", [1, 2, 5])
def test_the_state_of_the_other_drop_ins(heap, tmp_path):
    """A whole RAM and its ELF, of each heap that keeps its state in rtosheap's own struct."""
    tools.require_module("elftools", "pyelftools")
    recorder_images.record(tmp_path, *CPUS["m4"], recorder_images.DROP_IN, heap)
    memory = load_memory(tmp_path / "ram.bin", base=BASE)
    arena = find_arena(memory, load_symbols(tmp_path / "image.elf"), heap)
    trace = Trace.load(tmp_path / "wrapped.bin")
    if heap == 5:
        regions = [(BASE, 2048), (BASE + 2048, 4096)]
        model = Heap5(regions)
        image = [(at, memory.read(at, size)) for at, size in regions]
    else:
        model = {1: Heap1, 2: Heap2}[heap](6144)
        image = memory.read(arena.base, arena.size)
    found = replay(trace, model, record=("address",))["address"]
    assert int((found != trace.recorded_address).sum()) == 0
    rebuilt = type(model).from_image(image, state=arena.state)
    assert rebuilt.free_size == model.free_size
    if heap != 1:
        assert rebuilt.blocks() == model.blocks()
        assert rebuilt.free_blocks() == [tuple(b) for b in model.free_blocks()] or heap == 2
        assert not inspect(image, f"heap_{heap}", state=arena.state, trace=trace).damage


@pytest.mark.parametrize("asserts", [0, 1])
@pytest.mark.parametrize("protector", [0, 1])
def test_the_state_of_heap_4_in_every_layout(asserts, protector, tmp_path):
    """Its fields depend on configASSERT and on the heap protector."""
    tools.require_module("elftools", "pyelftools")
    defines = [f"-DTEST_ASSERT={asserts}", f"-DconfigENABLE_HEAP_PROTECTOR={protector}"]
    recorder_images.record(tmp_path, *CPUS["m0"], recorder_images.DROP_IN, 4, defines)
    memory = load_memory(tmp_path / "ram.bin", base=BASE)
    arena = find_arena(memory, load_symbols(tmp_path / "image.elf"), 4)
    assert arena.state.canary == (0x5EEDCA9A if protector else None)
    heap = Heap4(6144, canary=arena.state.canary)
    same = replay(Trace.load(tmp_path / "wrapped.bin"), heap)
    found = Heap4.from_image(memory.read(arena.base, arena.size), state=arena.state)
    assert same.failures == 0
    assert found.stats() == heap.stats()
    assert found.blocks() == heap.blocks()


def test_ten_damaged_dumps(recorded):
    """The right block is named, wherever in the device's arena it lies, in each of ten ways."""
    folder = recorded(recorder_images.DROP_IN)
    image = (folder / "ram.bin").read_bytes()[:6144]
    trace = Trace.load(folder / "wrapped.bin")
    blocks = inspect(image, trace=trace).blocks
    pairs = [(a, b) for a, b in itertools.pairwise(blocks) if a.allocated]
    assert len(pairs) >= 10
    assert any(not b.allocated for _, b in pairs)
    for way, (name, write) in enumerate(arena_damage.WAYS.items()):
        for pair, (a, b) in enumerate(pairs):
            if name.startswith("an underflow") and not b.allocated:
                continue
            damaged = bytearray(image)
            where, data, culprit = write(a, b)
            damaged[where - BASE : where - BASE + len(data)] = data
            report = inspect(damaged, trace=trace)
            found = report.damage[0]
            assert found.culprit == culprit, (name, way, pair, found.message)
            assert report.owner_of(found) == (a if culprit == a.address else b).owner
            assert found.how == ("underflow" if culprit == b.address else "overflow")


def test_end_to_end_with_newlib(recorded):
    folder = recorded(recorder_images.NEWLIB)
    size = (folder / "arena.bin").stat().st_size
    same_addresses(folder / "wrapped.bin", Heap3(size))


# ---------------------------------------------------------------------- costs


@pytest.mark.parametrize(("name", "most"), [("cortex-m0", 210), ("cortex-m4", 150)])
def test_cost_of_an_event(name, most, tmp_path):
    """Instructions of one event, with a ring and with a sink that does nothing."""
    tools.require_module("unicorn", "unicorn")
    from rtosheap.cortexm._machine import Machine
    from rtosheap.cortexm._targets import cpu_named

    image = recorder_images.measured(tmp_path, name, "-O2")
    machine = Machine(image, cpu_named(name), [(BASE, 16 << 10)])
    recorder = machine.symbols["recorder"]
    costs = {}
    for ring in (0, 1):
        machine.call("measured_start", ring)
        machine.call("rhr_malloc", recorder, BASE + 8, 100)  # with the sync
        costs["malloc", ring] = machine.call("rhr_malloc", recorder, BASE + 128, 100).instructions
        costs["free", ring] = machine.call("rhr_free", recorder, BASE + 128).instructions
    print(f"{name}: {costs}")
    assert max(costs.values()) <= most
    assert costs["malloc", 0] < costs["malloc", 1]


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4"])
def test_it_calls_nothing(cpu, tmp_path):
    """No libc, no allocation: no symbol is left to be found elsewhere, at any optimisation."""
    gcc = tools.require("arm-none-eabi-gcc")
    source = recorder_images.CSRC / "recorder" / "rh_recorder.c"
    for level in ("-O0", "-Os", "-O2", "-O3"):
        target = tmp_path / f"r{level}.o"
        recorder_images.run([gcc, f"-mcpu={cpu}", "-mthumb", "-std=c11", level, "-ffreestanding",
                             "-c", source, "-o", target])  # fmt: skip
        import subprocess

        done = subprocess.run([gcc.replace("gcc", "nm"), "-u", target], capture_output=True,
                              text=True, check=True)  # fmt: skip
        assert done.stdout.split() == []


def test_regions_of_heap_5_record_like_others(plain):
    regions = [(0x1000_0000, 4096), (BASE, 65536)]
    plain.start(base=0x1000_0000)
    plain.record(traces.load("coap-server"), Heap5(regions))
    found = load(plain.bytes())
    again = replay(found, Heap5(regions), record=("address",))["address"]
    assert np.array_equal(again, found.recorded_address)
