"""Whose a block is: a live program's tasks and variables, by its ELF and its memory."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from live_program import Live, build
from parts import few_of
from test_gdb_session import say, text, wrong

from rtosheap.cli import gdb_script
from rtosheap.device import (
    Elf,
    Memory,
    Task,
    find_heap,
    find_kind,
    find_pointers,
    find_tasks,
    load_symbols,
    variable_at,
)
from rtosheap.inspection import Report, inspect, look_around, named_blocks, who

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

WORD = 8


@pytest.fixture(autouse=True)
def _library() -> None:
    tools.require_module("elftools", "pyelftools")


@pytest.fixture(scope="module", params=[1, 2, 4, 5])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Live:
    return build(tmp_path_factory.mktemp("live"), request.param)


@pytest.fixture
def damaged(tmp_path: Path) -> Live:
    return build(tmp_path, 4)


def looked(live: Live) -> tuple[Report, Memory]:
    """A report with names on the program's heap."""
    memory = live.memory()
    kind = find_kind(load_symbols(live.elf)) or 4
    found = find_heap(memory, kind, elf=live.elf)
    report = inspect(
        found.memory, f"heap_{kind}", base_address=found.base_address, word_size=found.word_size,
        state=found.state, releases=found.releases, alignment=8,
    )  # fmt: skip
    return named_blocks(report, look_around(memory, live.elf, report)), memory


def names(report: Report) -> list[str]:
    return ["; ".join(report.names.get(block.address, ())) for block in report.blocks]


def test_the_tasks(live: Live) -> None:
    found = find_tasks(live.memory(), live.elf)
    assert found.notes == ()
    assert [task.name for task in found.tasks] == ["main", "idle", "sensor", "logger"]
    main = found.tasks[0]
    assert main.tcb == live.pointer("pxCurrentTCB")
    assert main.top is not None
    assert main.top - main.stack == (64 - 16) * 4
    assert f"tcb={main.tcb:#x}" in repr(main)


def test_every_block_by_its_name(live: Live) -> None:
    report, _ = looked(live)
    assert report.damage == ()
    expected = [
        "stack of main", "TCB of main; pxCurrentTCB points to it", "stack of sensor",
        "TCB of sensor", "stack of idle", "TCB of idle", "app.queue points to it",
        "app.inner[1].text points 4 bytes into it",
    ]  # fmt: skip
    if report.kind == "heap_1":  # one block of all
        whole = names(report)[0]
        assert all(name.partition(";")[0] in whole for name in expected[:6])
        return
    by_name = [name for name in names(report) if name]
    assert by_name == [*expected, "app_end points to it"]
    plain = json.loads(json.dumps(report.to_dict()))
    assert next(iter(plain["names"].values())) == ["stack of main"]
    assert f"{report.blocks[6].size:8,} allocated  app.queue points to it" in str(report)


def test_who_it_is(live: Live) -> None:
    report, memory = looked(live)
    around = look_around(memory, live.elf, report)

    def told(address: int) -> str:
        return str(who(report, address, memory, elf=live.elf, around=around))

    app = live.address("app")
    assert told(app + 8) == f"{app + 8:#010x} is outside the heap: app.queue"
    assert told(app + 4).endswith("outside the heap: app + 4")
    static = next(task for task in around.tasks if task.name == "logger")
    assert told(static.tcb + 3).endswith("3 bytes into the TCB of logger")
    assert told(static.stack + 16).endswith("uxStaticStack + 16, the stack of logger")
    assert told(8).endswith("outside the heap, and in no variable")
    if report.kind == "heap_1":
        return
    queue = next(
        b for b in report.blocks if names(report)[report.blocks.index(b)][:9] == "app.queue"
    )
    assert told(queue.payload) == (
        f"{queue.payload:#010x} is the payload of the allocated block at {queue.address:#010x}, "
        f"{queue.size:,} bytes, {queue.size - 16:,} bytes before its end\n  app.queue points to it"
    )
    assert "10 bytes into the payload" in told(queue.payload + 10)
    assert "in the header of the allocated block" in told(queue.address + 1)
    hidden = int.from_bytes(memory.read(queue.payload + 3 * WORD, WORD) or b"", "little")
    sensor = next(task for task in around.tasks if task.name == "sensor")
    lines = told(hidden).splitlines()[1:]
    header = queue.payload - queue.address
    assert lines == [
        f"  {sensor.stack + 44 * 4:#010x} points to it, {44 * 4} bytes into the block at "
        f"{sensor.stack - header:#010x} (stack of sensor)",
        f"  {queue.payload + 24:#010x} points to it, 24 bytes into the block at "
        f"{queue.address:#010x} (app.queue points to it)",
    ]
    found = who(report, hidden, memory, elf=live.elf, around=around)
    assert found.block is not None
    assert json.loads(json.dumps(found.to_dict()))["block"]["payload"] == hidden


def test_the_debugger_sees_the_same(live: Live) -> None:
    """gdb's side tells the file, and where the program was loaded."""
    how: dict[str, Any] = {
        "files": ["/dev/null/none", str(live.path)][1:],
        "landmarks": {"pxCurrentTCB": live.address("pxCurrentTCB")},
    }
    report, memory = looked(live)
    lines = text(memory, "blocks", **how).splitlines()
    assert lines[0] == report.title
    assert lines[1:] == report.block_lines(report.blocks)
    assert "verdict         sound" in text(memory, "state", **how)
    assert "app.queue" in text(memory, "who", hex(live.address("app") + 8), **how)
    moved = {"files": how["files"], "landmarks": {}}
    assert "does not let" in wrong(Memory((), live.memory().read), "state", **moved)


def test_a_stack_that_overflowed(damaged: Live) -> None:
    sensor = next(t for t in find_tasks(damaged.memory(), damaged.elf).tasks if t.name == "sensor")
    damaged.write(sensor.stack - 16, b"\xa5" * 16)
    damaged.write(sensor.tcb, (sensor.stack - 24).to_bytes(WORD, "little"))
    report, memory = looked(damaged)
    assert report.damage[0].address == sensor.stack - 16
    lines = "\n".join(report.damage_lines())
    assert (
        "the block of that header: stack of sensor, whose stack pointer is 24 bytes below it\n"
        "    a stack that grows down writes over that header first when it overflows\n" in lines
    )
    result = say(memory, "check", files=[str(damaged.path)],
                 landmarks={"pxCurrentTCB": damaged.address("pxCurrentTCB")})  # fmt: skip
    assert lines in result["text"]


def test_lists_that_lead_nowhere(damaged: Live) -> None:
    tasks = {task.name: task for task in find_tasks(damaged.memory(), damaged.elf).tasks}
    item = 8  # of xStateListItem in its TCB; pxNext lies 8 bytes on, pvOwner 24
    for bad in (1, tasks["sensor"].tcb + item, 0):
        damaged.write(tasks["sensor"].tcb + item + 8, bad.to_bytes(WORD, "little"))
        found = find_tasks(damaged.memory(), damaged.elf)
        assert {task.name for task in found.tasks} == set(tasks)
        assert "xDelayedTaskList1 could not be followed" in found.notes[0]
    damaged.write(tasks["sensor"].tcb + item + 24, (3).to_bytes(WORD, "little"))
    found = find_tasks(damaged.memory(), damaged.elf)
    assert {task.name for task in found.tasks} == set(tasks) - {"sensor"}
    assert "1 control blocks of tasks could not be read" in found.notes[-1]


def test_a_kernel_that_has_not_begun(tmp_path: Path) -> None:
    """All is zero in the file itself."""
    live = build(tmp_path, 4)
    memory = Memory((), lambda _, size: bytes(size))
    assert find_tasks(memory, live.elf).tasks == ()
    assert find_tasks(memory, live.elf).notes == ()


def test_without_debug_information(tmp_path: Path) -> None:
    live = build(tmp_path, 4, "-g0")
    assert find_kind(load_symbols(live.elf)) is None
    report, memory = looked(live)
    landmarks = {"pxCurrentTCB": live.address("pxCurrentTCB")}
    told = text(memory, "state", files=[str(live.path)], landmarks=landmarks)
    assert f"{live.path} does not tell which heap it is: heap_4 was taken (--heap)" in told
    assert "app + 8 points to it" in names(report)
    assert any("build the kernel with -g to have the tasks' names" in n for n in report.notes)


def test_what_is_not_there_is_said(live: Live) -> None:
    report, memory = looked(live)
    arena = Memory([(at, memory.read(at, size) or b"") for at, size in report.regions])
    pointers, notes = find_pointers(arena, live.elf, report.regions)
    assert pointers == ()
    assert "bytes of the firmware's variables are not there" in notes[0]
    assert find_tasks(arena, live.elf).tasks == ()
    assert variable_at(live.elf, live.address("app_end")) == "app_end"


@pytest.mark.parametrize("seed", few_of(range(200), range(0, 200, 10)))
def test_any_memory_is_looked_at(seed: int, damaged: Live) -> None:
    """Random bytes where the variables are: whatever is found, nothing else is raised."""
    import random

    dice = random.Random(seed)
    real = damaged.memory()

    def fetch(address: int, size: int) -> bytes | None:
        data = bytearray(real.read(address, size) or b"")
        for _ in range(dice.randrange(3) if data else 0):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data) if data else None

    found = find_tasks(Memory((), fetch), damaged.elf)
    assert all(isinstance(task, Task) for task in found.tasks)
    report = inspect(bytes(8192), "heap_4", base_address=real.pieces[0][0], word_size=WORD)
    look_around(Memory((), fetch), damaged.elf, report)


def test_the_program_whose_names_gdb_has(tmp_path: Path) -> None:
    """A boot loader has the same names, and so may a local variable where the target stands."""
    files = []
    for name, padding in (("boot", 64), ("app", 640)):
        source = tmp_path / f"{name}.c"
        source.write_text(
            f"int pxCurrentTCB = 1;\nchar {name}_padding[{padding}] = {{1}};\nint xStart = 1;\n"
            "int ucHeap = 1;\n"
        )
        files.append(tmp_path / f"{name}.elf")
        recorder_images.run(
            [tools.require("gcc"), source, "-O0", "-nostdlib", "-static", "-no-pie", "-Wl,-e,0",
             "-fno-toplevel-reorder", "-o", files[-1]]
        )  # fmt: skip

    def found(**landmarks: int) -> Elf | None:
        opening = {"files": list(map(str, files)), "landmarks": landmarks}
        return gdb_script._firmware(argparse.Namespace(elf=None), opening)

    for image in files:
        table = {name: at for name, (at, _) in load_symbols(image).table.items()}
        places = {name: table[name] for name in ("pxCurrentTCB", "xStart", "ucHeap")}
        for moved in (0, 0x1000):
            elf = found(**{name: at + moved for name, at in places.items()})
            assert elf is not None
            assert elf.name == str(image)
            assert load_symbols(elf).table["xStart"][0] == places["xStart"] + moved
        if image == files[0]:
            elf = found(**{**places, "xStart": 0x2000_F000})
            assert elf is not None
            assert elf.name == str(image)
            assert load_symbols(elf).table["xStart"][0] == places["xStart"]


def test_a_kernel_on_several_cores(tmp_path: Path) -> None:
    live = build(tmp_path, 4, "-DTASK_CORES=2")
    found = find_tasks(live.memory(), live.elf)
    assert [task.name for task in found.tasks] == ["main", "sensor", "idle", "logger"]


@pytest.mark.parametrize("flags", [("-O2", "-flto"), ("-O0",)])
def test_heap_5_however_it_is_linked(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Its array of memory may be called as another heap's arena."""
    live = build(tmp_path, 5, "-DucSpace=ucHeap", *flags)
    assert find_kind(load_symbols(live.elf)) == 5
