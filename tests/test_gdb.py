"""gdb's command ``rtosheap``: on boards in QEMU, on core files, on a program of a host."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import device_images
import pytest
from arena_damage import WAYS
from device_images import BASE, KERNEL_BASE, Machine, Program, own, own_heap, pairs
from live_program import compile_program
from needs import LAST_RESORT, ROOT

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools
from test_device_releases import RELEASES
from test_target_qemu import DAMAGED, wounded

pytestmark = pytest.mark.long

SCRIPT = ROOT / "rtosheap" / "device" / "gdb" / "rtosheap-gdb.py"
#: Runs commands in a gdb and writes down what each printed, or its error.
DRIVER = """
import json, os
said = []
for command in json.load(open(os.environ["GDB_COMMANDS"])):
    verb, *words = command.split()
    if verb == "memory":
        at, size = (int(word, 0) for word in words)
        said.append(bytes(gdb.selected_inferior().read_memory(at, size)).hex())
        continue
    if verb == "write":
        gdb.selected_inferior().write_memory(int(words[0], 0), bytes.fromhex(words[1]))
        said.append("")
        continue
    try:
        said.append(gdb.execute(command, to_string=True) or "")
    except gdb.error as error:
        said.append("error: " + str(error))
json.dump(said, open(os.environ["GDB_SAID"], "w"))
"""
RAM = f"memory {BASE:#x} {0x3000:#x}"


def gdb(folder: Path, *commands: str, program: str = "gdb-multiarch") -> list[str]:
    """What a gdb says to each of the commands."""
    debugger = tools.require(program)
    (folder / "driver.py").write_text(DRIVER)
    (folder / "commands.json").write_text(json.dumps(commands))
    environment = {
        **os.environ,
        "GDB_COMMANDS": str(folder / "commands.json"),
        "GDB_SAID": str(folder / "said.json"),
        "RTOSHEAP": str(Path(sys.executable).parent / "rtosheap"),
    }
    words = [debugger, "-nx", "-q", "-batch", "-ex", "set pagination off", "-ex", "set confirm off"]
    done = subprocess.run(
        [*words, "-x", str(SCRIPT), "-x", str(folder / "driver.py")], env=environment, text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=LAST_RESORT, check=False,
    )  # fmt: skip
    assert (folder / "said.json").exists(), done.stdout + done.stderr
    said: list[str] = json.loads((folder / "said.json").read_text())
    assert len(said) == len(commands)
    return said


def at_board(folder: Path, image: Path, machine: Machine, *commands: str) -> list[str]:
    return gdb(folder, f"file {image}", f"target remote {machine.where}", *commands)[2:]


def written(damage: Any) -> list[str]:
    """What the driver writes."""
    return [f"write {at:#x} {data.hex()}" for at, data in damage]


def blocks_of(text: str) -> list[tuple[int, int, bool]]:
    report = json.loads(text)
    return [(b["address"], b["size"], b["allocated"]) for b in report["blocks"]]


def expected_blocks(program: Program) -> list[tuple[int, int, bool]]:
    found = [tuple(block[:3]) for block in program.heap.blocks()]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("heap", "protector"),
    [(1, False), (2, False), (3, False), (4, False), (4, True), (5, False), (5, True)],
)
def test_every_command_on_a_board(heap: int, protector: bool, tmp_path: Path) -> None:
    image = own(tmp_path, heap, protector=protector)
    program = own_heap(heap, protector=protector)
    payload = program.payloads[device_images.MESSAGE]
    with Machine(image) as machine:
        before, state, blocks, free, check, drawn, _, who, watch, after = at_board(
            tmp_path, image, machine, RAM, "rtosheap", "rtosheap blocks --json", "rtosheap free",
            "rtosheap check", f"rtosheap map -o {tmp_path}/map.png",
            f"rtosheap dump {tmp_path}/core", "rtosheap who app_state.link.message+3",
            f"rtosheap watch {payload}", RAM,
        )  # fmt: skip
    assert before == after
    assert state.startswith(f"heap_{heap}, ")
    assert state.endswith("  verdict         sound\n")
    assert check.endswith("damage: none\n")
    if heap == 1:
        assert "error: rtosheap: heap_1 keeps no headers" in watch
    else:
        assert blocks_of(blocks) == expected_blocks(program)
        assert len(free.splitlines()) == 2 + sum(not b[2] for b in expected_blocks(program))
        assert "app_state.link.message points to it" in who
        assert watch.startswith("the header after the block at ")
        following = next(b for b in expected_blocks(program) if b[0] > payload)
        assert f"0x{following[0]:08x}" in watch
    assert drawn == f"figure: {tmp_path}/map.png\n"
    names = json.loads(blocks)["names"]
    flat = [name for some in names.values() for name in some]
    for task in device_images.TASKS:
        assert f"TCB of {task}" in flat
        assert f"stack of {task}" in flat
    core = gdb(tmp_path, f"file {image}", f"core-file {tmp_path}/core", "rtosheap blocks --json")[2]
    assert json.loads(core) == json.loads(blocks)
    shell = inspected(tmp_path / "core", "--elf", image, "--json")
    assert json.loads(shell)["blocks"] == json.loads(blocks)["blocks"]


def inspected(*words: Any) -> str:
    """What a shell's rtosheap inspect prints."""
    command = [sys.executable, "-m", "rtosheap", "inspect", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("heap", "protector"), [(2, False), (3, False), (4, False), (4, True), (5, False), (5, True)]
)
def test_the_block_that_did_it(heap: int, protector: bool, tmp_path: Path) -> None:
    """Ten ways of damage, one after the other on the same board, and each taken back."""
    image = own(tmp_path, heap, protector=protector)
    program = own_heap(heap, protector=protector)
    heap_memory = dict(device_images.memory_of(program.heap))
    commands = []
    expected = []
    for way in (way for *which, way in DAMAGED if which == [heap, protector]):
        damage, culprit = wounded(program, way)
        ((at, data),) = damage
        (base,) = (b for b, m in heap_memory.items() if b <= at < b + len(m))
        whole = heap_memory[base][at - base : at - base + len(data)]
        commands += [*written(damage), RAM, "rtosheap check --json", RAM, *written([(at, whole)])]
        expected.append((way, culprit))
    with Machine(image) as machine:
        said = at_board(tmp_path, image, machine, *commands, "rtosheap check")
    assert said[-1].endswith("damage: none\n")
    for number, (way, culprit) in enumerate(expected):
        before, check, after = said[5 * number + 1 : 5 * number + 4]
        assert before == after
        damage = json.loads(check)["damage"]
        assert damage, way
        if heap == 3 and not way.startswith("an underflow"):
            assert f"{culprit:#010x} before it was written past" in damage[0]["suspicion"], way
        else:
            assert damage[0]["culprit"] == culprit, way
    assert len(expected) == 10


@pytest.mark.parametrize("number", range(len(RELEASES)))
def test_a_kernels_own_heap(number: int, tmp_path: Path) -> None:
    """Of every release one, with its own variables; whole, and damaged in a way."""
    heap, release, way = (1, 2, 4, 5)[number % 4], RELEASES[number], [*WAYS][number % len(WAYS)]
    image = device_images.kernel(tmp_path, heap, release)
    program = device_images.kernel_heap(heap, release)
    damage, culprit = wounded(program, way) if heap != 1 else ([], None)
    ram = f"memory {KERNEL_BASE:#x} {0x1000:#x}"
    with Machine(image) as machine:
        blocks, state, *_, before, check, after = at_board(
            tmp_path, image, machine, "rtosheap blocks --json", "rtosheap", *written(damage), ram,
            "rtosheap check --json", ram,
        )  # fmt: skip
    assert before == after
    assert state.endswith("  verdict         sound\n")
    report = json.loads(blocks)
    assert report["kind"] == f"heap_{heap}"
    if heap != 1:
        assert "head" in report["taken"]
        assert blocks_of(blocks) == expected_blocks(program)
        assert json.loads(check)["damage"][0]["culprit"] == culprit


def test_a_watch_stops_for_whoever_overflows(tmp_path: Path) -> None:
    program = own_heap(4)
    payload = program.payloads[device_images.MESSAGE]
    first = next(a for a, _ in pairs(program) if a.payload == payload)
    image = own(tmp_path, 4, damage=[(first.address + first.size - 2, b"12345")])
    with Machine(image, running=False) as machine:
        said = at_board(
            tmp_path, image, machine, "break vPortFree", "break device_stop", "continue",
            f"rtosheap watch {payload:#x}", "delete 1", "continue", "backtrace", "rtosheap check",
        )  # fmt: skip
    assert "Hardware watchpoint" in said[3]
    assert "hurt" in said[5] + said[6].splitlines()[0], said
    assert "The heap itself wrote here before" in said[5]
    assert "probably written 1 byte past its end" in said[7]
    assert "app_state.link.message points to it" in said[7]


#: An interrupt that comes in the middle of a malloc and writes past a block's end.
INTERRUPT = """
#include "FreeRTOS.h"

uint8_t ucHeap[configTOTAL_HEAP_SIZE] __attribute__((section(".arena"), aligned(8)));
static char *volatile first;
static int armed;
static uint32_t vectors[16] __attribute__((aligned(128)));

void vAssertCalled(void) {}

void pend(void) {
    if (armed) *(volatile uint32_t *)0xE000ED04 = 1u << 28;
    __asm__ volatile("dsb\\nisb" ::: "memory");
}

static void interrupt(void) { first[40] = 'x'; }

__attribute__((noinline)) void device_stop(void) { __asm__ volatile(""); }

int main(void) {
    vectors[14] = (uint32_t)interrupt; /* PendSV */
    *(volatile uint32_t *)0xE000ED08 = (uint32_t)vectors;
    first = pvPortMalloc(40);
    (void)pvPortMalloc(60);
    armed = 1;
    device_stop();
    (void)pvPortMalloc(60);
    device_stop();
    for (;;) {}
}
"""


def test_a_watch_stops_for_an_interrupt_of_malloc(tmp_path: Path) -> None:
    (tmp_path / "interrupt.c").write_text(INTERRUPT)
    sources = ("cortexm/startup.c", "freertos/heap_4.c", "cortexm/memory_functions.c")
    image = tmp_path / "interrupt.elf"
    (tmp_path / "pend.h").write_text("void pend(void);\n")
    recorder_images.link(
        [tmp_path / "interrupt.c", *(recorder_images.CSRC / name for name in sources)], image,
        device_images.CPU, device_images.SCRIPT, "-O2", "-nostdlib", "-Wno-missing-prototypes",
        "-DconfigAPPLICATION_ALLOCATED_HEAP=1", f"-DconfigTOTAL_HEAP_SIZE={device_images.SIZE}",
        "-DtraceMALLOC(block,size)=pend()", "-include", "pend.h", f"-I{tmp_path}",
    )  # fmt: skip
    with Machine(image, running=False) as machine:
        said = at_board(
            tmp_path, image, machine, "break device_stop", "continue", "rtosheap watch first",
            "continue", "backtrace",
        )  # fmt: skip
    assert "Hardware watchpoint" in said[2]
    assert said[4].startswith("#0 ")
    assert "interrupt ()" in said[4].splitlines()[0]
    assert "in pvPortMalloc" in said[4]


def test_a_heap_without_symbols(tmp_path: Path) -> None:
    image = own(tmp_path, 4)
    whole = expected_blocks(own_heap(4))
    bare = tmp_path / "bare.elf"
    strip = tools.require("arm-none-eabi-gcc").replace("gcc", "strip")
    recorder_images.run([strip, image, "-o", bare])
    with Machine(bare) as machine:
        asked, said, elf = at_board(
            tmp_path, bare, machine, "rtosheap",
            f"rtosheap blocks --json --heap heap_4 --arena {BASE:#x}:{device_images.SIZE}",
            f"rtosheap blocks --json --elf {image}",
        )  # fmt: skip
    assert "error: rtosheap: no symbols" in asked
    assert blocks_of(said) == blocks_of(elf) == whole


def test_a_wrong_answer_is_not_kept(tmp_path: Path) -> None:
    """At a terminal it asks, and again unless what was answered led to a heap."""
    image = own(tmp_path, 4)
    bare = tmp_path / "bare.elf"
    strip = tools.require("arm-none-eabi-gcc").replace("gcc", "strip")
    recorder_images.run([strip, image, "-o", bare])
    where = f"{BASE:#x}:{device_images.SIZE}"
    answers = f"four\n{where}\n4\nthere\n4\n{where}\n"
    script = ["target remote {}", *["rtosheap"] * 3, "rtosheap check", "kill"]
    with Machine(bare) as machine:
        words = [word for line in script for word in ("-ex", line.format(machine.where))]
        said = at_terminal(answers, "-x", str(SCRIPT), str(bare), *words)
    assert said.count("Which heap is it") == said.count("Where is its arena") == 3
    assert said.count("invalid choice: 'heap_four'") == 1
    assert said.count("'there' is no region") == 1
    assert "verdict         sound" in said
    assert "damage: none" in said


def at_terminal(typed: str, *words: str) -> str:
    """What a gdb at a terminal says to somebody who types this, and is done with it then."""
    ours, its = pty.openpty()
    environment = {
        **os.environ, "TERM": "dumb", "RTOSHEAP": str(Path(sys.executable).parent / "rtosheap"),
    }  # fmt: skip
    command = [tools.require("gdb-multiarch"), "-nx", "-q", "-ex", "set confirm off"]
    process = subprocess.Popen(
        [*command, *words, "-ex", "quit"], stdin=its, stdout=its, stderr=its, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(its)
    os.write(ours, typed.encode())
    said = bytearray()
    try:
        while data := os.read(ours, 4096):
            said += data
    except OSError:  # its end of the terminal is closed
        pass
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return said.decode()


def test_what_is_no_target(tmp_path: Path) -> None:
    image = own(tmp_path, 4)
    no_file, _, no_target, help_text = gdb(
        tmp_path, "rtosheap", f"file {image}", "rtosheap check", "help rtosheap"
    )
    assert (
        no_file == no_target == ("error: no target: connect to one (target remote), or load a core")
    )
    assert "rtosheap watch -- Stop when" in help_text


def test_a_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = own(tmp_path, 4)
    with Machine(image) as machine:
        said = at_board(
            tmp_path, image, machine,
            "python os.environ['RTOSHEAP'] = '/nowhere/rtosheap'", "rtosheap check",
            "python os.environ['RTOSHEAP'] = '/bin/true'", "rtosheap check",
            "python os.environ['RTOSHEAP'] = '/bin/echo'", "rtosheap check",
            "python os.environ['RTOSHEAP'] = '/bin/false'", "rtosheap check",
            "python os.environ['RTOSHEAP'] = '~/nowhere'", "rtosheap check",
        )  # fmt: skip
    assert said[1].startswith("error: /nowhere/rtosheap cannot be run: No such file or directory")
    assert "say where it is" in said[1]
    assert said[3] == "error: rtosheap ended without a result; what it said stands above"
    assert said[5] == "error: rtosheap said what is no JSON: gdb-script --serve"
    assert said[7] == said[3]
    assert said[9].startswith(f"error: {Path.home()}/nowhere cannot be run")


def test_any_expression_is_an_address(tmp_path: Path) -> None:
    """A struct is meant by its place; a register is a signed number."""
    image = own(tmp_path, 4)
    message = own_heap(4).payloads[device_images.MESSAGE]
    with Machine(image) as machine:
        said = at_board(
            tmp_path, image, machine, "rtosheap who app_state", "rtosheap who app_state.link",
            "rtosheap who 'app_state.link.message + 2'", "set $r0 = 0xc0000000",
            "rtosheap who $r0", "rtosheap who $nothing", "rtosheap who $lr.x",
        )  # fmt: skip
    assert "outside the heap: app_state.count" in said[0]
    assert "outside the heap: app_state.link.message" in said[1]
    assert said[2].startswith(f"{message + 2:#010x} is 2 bytes into the payload")
    assert said[4].startswith("0xc0000000 is outside the heap")
    assert said[5].startswith("error: ADDRESS is '$nothing': ")
    assert said[6].startswith("error: ADDRESS is '$lr.x': ")


def test_words_are_as_everywhere_in_gdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    image = own(tmp_path, 4)
    with Machine(image) as machine:
        dump, unknown = at_board(tmp_path, image, machine, "rtosheap dump ~/core", "rtosheap chek")
    assert dump.startswith(f"{tmp_path}/core: ")
    assert (tmp_path / "core").exists()
    assert unknown == "error: there is no command rtosheap chek; see help rtosheap"


@pytest.mark.parametrize("heap", [2, 4, 5])
def test_from_a_shell(heap: int, tmp_path: Path) -> None:
    program = own_heap(heap)
    damage, culprit = wounded(program, "5 bytes")
    image = own(tmp_path, heap, damage=damage)
    with Machine(image) as machine:
        report = json.loads(inspected("--target", machine.where, "--elf", image, "--json"))
        again = json.loads(inspected("--target", machine.where, "--elf", image, "--json"))
    assert report == again
    assert report["kind"] == f"heap_{heap}"
    assert culprit in [one["culprit"] for one in report["damage"]]
    assert ["app_queue points to it"] in report["names"].values()


@pytest.mark.parametrize("debugger", ["gdb-multiarch", "gdb"])
def test_a_program_of_a_host_and_its_core(debugger: str, tmp_path: Path) -> None:
    """Position-independent: it is loaded anywhere."""
    image = compile_program(tmp_path / "program", 4, "-fPIE", "-pie", "-DDEVICE_MAIN=1")
    said = gdb(
        tmp_path, f"file {image}", "break device_stop", "run", "rtosheap blocks --json",
        "rtosheap who app_end", f"generate-core-file {tmp_path}/core", "kill",
        f"core-file {tmp_path}/core", "rtosheap blocks --json", program=debugger,
    )  # fmt: skip
    names = [name for some in json.loads(said[3])["names"].values() for name in some]
    assert {"stack of sensor", "TCB of idle", "app.queue points to it"} <= set(names)
    assert "app_end points to it" in said[4]
    assert json.loads(said[8]) == json.loads(said[3])
    shell = json.loads(inspected(tmp_path / "core", "--elf", image, "--json"))
    assert shell["names"] == json.loads(said[3])["names"]
