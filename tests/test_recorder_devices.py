"""The recorder on a Cortex-M: images that record themselves, their dumps, the cost of an event."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import arena_damage
import pytest

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, Trace, replay
from rtosheap.device import find_arena, load_memory, load_symbols
from rtosheap.inspection import inspect
from rtosheap.traces import Loss

pytestmark = pytest.mark.long

BASE = 0x2000_0000
CPUS = {
    "m0": ("cortex-m0", "microbit", "microbit.ld"),
    "m4": ("cortex-m4", "mps2-an386", "mps2.ld"),
}


@pytest.fixture(scope="module", params=list(CPUS))
def recorded(request, made_once):
    """Runs an image once for each processor and kind: its folder."""

    def run(kind):
        def fill(folder):
            recorder_images.record(folder, *CPUS[request.param], kind)

        return made_once(f"recorded-{request.param}-{kind}", fill)

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
    assert wrapped.loss == Loss(failed=wrapped.loss.failed)
    assert hooked.loss == wrapped.loss._replace(rounded_sizes=hooked.loss.rounded_sizes)


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


@pytest.mark.parametrize(("protector", "asserts"), list(itertools.product([0, 1], [0, 1])))
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
    trace = same_addresses(folder / "wrapped.bin", Heap3(size, newlib="3.3.0"))
    assert trace.loss == Loss(failed=trace.loss.failed)


# ---------------------------------------------------------------------- what the linker does

APPLICATION = ("recorder_main.c",)
RECORDER = ("rh_recorder.c", "rh_recorder_wrap.c", "rh_recorder_freertos.c")
HEAP = ("heap_4.c",)


def wrapped_with(lto, folder, *flags):
    recorder_images.record(folder, *CPUS["m4"], recorder_images.DROP_IN, defines=flags, lto=lto)
    return folder / "wrapped.bin", (folder / "unreached.bin").exists()


def assert_complete(path):
    """A capture that lacks nothing, and has nothing twice."""
    trace = same_addresses(path, Heap4(6144))
    assert trace.loss == Loss(failed=trace.loss.failed)


@pytest.mark.parametrize(
    "lto",
    [(), APPLICATION, HEAP, RECORDER, APPLICATION + RECORDER, HEAP + RECORDER],
    ids=lambda lto: "+".join(name.removesuffix(".c") for name in lto) or "none",
)
def test_link_time_optimisation_without_both_program_and_heap(lto, tmp_path):
    path, unreached = wrapped_with(lto, tmp_path)
    assert not unreached
    assert_complete(path)


@pytest.mark.parametrize("recorder", [(), RECORDER], ids=["", "recorder"])
def test_a_program_that_does_not_reach_the_recorder_is_told(recorder, tmp_path):
    path, unreached = wrapped_with(APPLICATION + HEAP + recorder, tmp_path)
    assert unreached
    assert path.read_bytes() == b""


@pytest.mark.parametrize("partition", ["max", "1to1"])
def test_a_calloc_that_reaches_the_wrap_of_malloc_is_recorded_once(partition, tmp_path):
    """In parts of their own, the heap's calloc and its malloc are as good as in two files."""
    everything = APPLICATION + HEAP + RECORDER
    path, unreached = wrapped_with(everything, tmp_path, f"-flto-partition={partition}")
    assert not unreached
    assert_complete(path)


@pytest.mark.parametrize("name", ["pvPortMalloc", "vPortFree", "pvPortCalloc"])
def test_a_wrap_that_the_linker_is_not_told_of_does_not_link(name, tmp_path, monkeypatch):
    flags = recorder_images._LINK[recorder_images.DROP_IN]
    less = [flag.replace(f"--wrap={name}", f"--wrap=no_{name}") for flag in flags]
    monkeypatch.setitem(recorder_images._LINK, recorder_images.DROP_IN, less)
    with pytest.raises(AssertionError, match=f"undefined reference to `__real_{name}'"):
        wrapped_with(None, tmp_path)


# ---------------------------------------------------------------------- kernels


def with_tasks(folder, version, *configured):
    """Compile the recorder for a kernel; the symbols that it leaves to the kernel, per file."""
    gcc = tools.require("arm-none-eabi-gcc")
    major, minor = version.split(".")
    undefined = {}
    for name in ("rh_recorder", "rh_recorder_wrap"):
        target = folder / f"{name}.o"
        recorder_images.run([
            gcc, "-mcpu=cortex-m3", "-mthumb", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
            f"-I{recorder_images.HERE / 'tasks'}", '-DRHR_CONFIG_FILE="rh_recorder_task.h"',
            "-DRHR_WRAP_FREERTOS=1", f"-DTEST_MAJOR={major}", f"-DTEST_MINOR={minor}", *configured,
            "-c", recorder_images.CSRC / "recorder" / f"{name}.c", "-o", target,
        ])  # fmt: skip
        listed = subprocess.run([gcc.replace("gcc", "nm"), "-u", target], capture_output=True,
                                text=True, check=True).stdout  # fmt: skip
        undefined[name] = set(listed.split()) - {"U"}
    return undefined


HANDLE, MUTEXES = "-DINCLUDE_xTaskGetCurrentTaskHandle=1", "-DconfigUSE_MUTEXES=1"
RECURSIVE = "-DconfigUSE_RECURSIVE_MUTEXES=1"


@pytest.mark.parametrize(
    ("version", "configured"),
    [
        ("10.0", [HANDLE]),
        ("10.0", [MUTEXES]),
        ("10.4", [MUTEXES]),
        ("11.1", [HANDLE]),
        ("11.1", [MUTEXES, RECURSIVE]),
    ],
)
def test_tasks_are_asked_of_a_kernel_that_tells_them(version, configured, tmp_path):
    undefined = with_tasks(tmp_path, version, *configured)["rh_recorder"]
    assert undefined == {"xTaskGetTickCount", "xTaskGetCurrentTaskHandle", "pcTaskGetName"}


@pytest.mark.parametrize(
    ("version", "configured"),
    [("10.0", []), ("10.0", [RECURSIVE]), ("11.1", []), ("11.1", [MUTEXES])],
)
def test_a_kernel_that_may_not_tell_tasks_is_told_at_compile_time(version, configured, tmp_path):
    with pytest.raises(AssertionError, match="set INCLUDE_xTaskGetCurrentTaskHandle to 1, or"):
        with_tasks(tmp_path, version, *configured)
    undefined = with_tasks(tmp_path, version, *configured, "-DRHR_TASK()=NULL")["rh_recorder"]
    assert "xTaskGetCurrentTaskHandle" not in undefined


@pytest.mark.parametrize(
    ("version", "calloc"),
    [("9.0", False), ("10.4", False), ("10.5", True), ("11.0", True)],
)
def test_calloc_is_wrapped_where_the_kernel_has_it(version, calloc, tmp_path):
    undefined = with_tasks(tmp_path, version, HANDLE)["rh_recorder_wrap"]
    assert ("__real_pvPortCalloc" in undefined) == calloc
    assert {"vTaskSuspendAll", "xTaskResumeAll", "__real_pvPortMalloc"} <= undefined


# ---------------------------------------------------------------------- costs


@pytest.mark.parametrize(("name", "most"), [("cortex-m0", 210), ("cortex-m4", 150)])
def test_cost_of_an_event(name, most, tmp_path):
    """Instructions of one event, with a ring and with a sink that does nothing."""
    tools.require_module("unicorn", "unicorn")
    from rtosheap.cortexm.machine import Machine
    from rtosheap.cortexm.targets import cpu_named

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
        done = subprocess.run([gcc.replace("gcc", "nm"), "-u", target], capture_output=True,
                              text=True, check=True)  # fmt: skip
        assert done.stdout.split() == []
