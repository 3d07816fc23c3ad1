"""What gdb's command and rtosheap say to one another, without a gdb."""

from __future__ import annotations

import ast
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from arena_damage import WAYS
from needs import ROOT

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.cli import gdb_script, main
from rtosheap.device import Memory, load_memory, write_core
from rtosheap.inspection import inspect

BASE = 0x2000_0400
SCRIPT = ROOT / "rtosheap" / "device" / "gdb" / "rtosheap-gdb.py"
Answers = dict[str, str]


class Lines:
    """One direction of a pipe."""

    def __init__(self) -> None:
        self._lines: Queue[str] = Queue()

    def write(self, line: str) -> None:
        self._lines.put(line)

    def flush(self) -> None:
        pass

    def readline(self) -> str:
        return self._lines.get()


@contextmanager
def served() -> Iterator[tuple[Lines, Lines]]:
    """rtosheap at the other end of two pipes."""
    there, back = Lines(), Lines()

    def work() -> None:
        try:
            gdb_script.serve(there, back)
        finally:
            back.write("")  # the end of the pipe

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield there, back
    finally:
        there.write("")
        thread.join()


def say(
    memory: Memory, command: str, *words: str, answers: Answers | None = None, **opening: Any
) -> dict[str, Any]:
    """What rtosheap answers a gdb that reads this memory, and whose user answers so."""
    said = {"protocol": 1, "command": command, "arguments": words, **opening}
    with served() as (there, back):
        while True:
            there.write(json.dumps(said) + "\n")
            line = back.readline()
            assert line, "it ended without a result"
            message: dict[str, Any] = json.loads(line)
            if "read" in message:
                data = memory.read(*message["read"])
                said = {"error": "no"} if data is None else {"bytes": data.hex()}
            elif "ask" in message:
                question = message["ask"]
                found = (answer for key, answer in (answers or {}).items() if key in question)
                said = {"answer": next(found, None)}
            else:
                return message


def text(memory: Memory, command: str, *words: str, **how: Any) -> str:
    """The text of a result that is none of an error."""
    result = say(memory, command, *words, **how)
    assert "error" not in result, result
    return str(result["text"])


def wrong(memory: Memory, command: str, *words: str, **how: Any) -> str:
    """What is said to be wrong."""
    result = say(memory, command, *words, **how)
    assert result.keys() == {"error"}, result
    return str(result["error"])


def used(cls: Any = Heap4, **options: Any) -> tuple[Any, Memory, list[int]]:
    """A heap with blocks and a hole, its memory, and the payloads."""
    regions = [(BASE, 1024), (BASE + 0x1000, 1024)]
    heap = cls(regions) if cls is Heap5 else cls(2048, base_address=BASE, **options)
    payloads = [heap.malloc(size) for size in (40, 60, 80, 100, 24)]
    if cls is not Heap1:
        heap.free(payloads[2])
    pieces = [(r.address, bytes(r.memory)) for r in heap.regions] if cls is Heap5 else [
        (BASE, bytes(heap.memory))
    ]  # fmt: skip
    return heap, Memory(pieces), payloads


ARENA = ("--arena", f"{BASE:#x}:2048")
REGIONS = ("--region", f"{BASE:#x}:1K", "--region", f"{BASE + 0x1000:#x}:1K")
KINDS = [(Heap1, ARENA), (Heap2, ARENA), (Heap3, ARENA), (Heap4, ARENA), (Heap5, REGIONS)]


@pytest.mark.parametrize(("cls", "where"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_command_of_each_heap(cls: Any, where: tuple[str, ...], tmp_path: Path) -> None:
    heap, memory, payloads = used(cls)
    name = f"heap_{heap.kind}"
    where = ("--heap", name, *where)
    state = text(memory, "state", *where)
    assert state.startswith(f"{name}, ")
    assert state.endswith("\n  verdict         sound")
    report = json.loads(text(memory, "blocks", *where, "--json"))
    blocks = text(memory, "blocks", *where)
    assert len(report["blocks"]) == len(blocks.splitlines()) - 1
    assert all(f"{block['address']:#010x}" in blocks for block in report["blocks"])
    free = text(memory, "free", *where)
    assert " allocated" not in free
    assert len(free.splitlines()) == 2 + sum(not block["allocated"] for block in report["blocks"])
    assert text(memory, "check", *where).splitlines()[1:] == ["damage: none"]
    assert "is the payload" in text(memory, "who", hex(payloads[0]), *where)
    if cls is Heap1:
        assert "heap_1 keeps no headers" in wrong(memory, "watch", hex(payloads[0]), *where)
    else:
        result = say(memory, "watch", hex(payloads[0] + 3), *where)
        following = next(b for b in report["blocks"] if b["payload"] == payloads[1])
        assert result["watch"] == [following["address"], 4 if cls is Heap3 else 8]
    if cls is not Heap1:
        png = tmp_path / "map.png"
        assert text(memory, "map", *where, "-o", str(png)) == f"figure: {png}"
        assert png.read_bytes().startswith(b"\x89PNG")
    core = tmp_path / "core.elf"
    assert f"{core}: " in text(memory, "dump", str(core), *where)
    held = load_memory(core)
    assert all(held.read(at, len(data)) == data for at, data in memory.pieces)


@pytest.mark.parametrize("way", WAYS)
def test_check_names_the_block(way: str) -> None:
    heap, _, _ = used()
    first, second = inspect(heap.memory, base_address=BASE).blocks[:2]
    at, data, blamed = WAYS[way](first, second)
    heap.memory[at - BASE : at - BASE + len(data)] = data
    memory = Memory([(BASE, bytes(heap.memory))])
    told = text(memory, "check", "--heap", "heap_4", *ARENA)
    expected = inspect(heap.memory, base_address=BASE)
    assert expected.damage[0].culprit == blamed
    assert expected.damage[0].message in told
    assert f"{blamed:#010x}" in told
    state = text(memory, "state", "--heap", "heap_4", *ARENA)
    assert f"verdict         damaged: {expected.damage[0].message}" in state


def test_it_asks_where_no_symbol_tells() -> None:
    _, memory, _ = used()
    answers = {"Which heap": "4", "Where is its arena": f"{BASE:#x}:2K"}
    assert "verdict         sound" in text(memory, "state", answers=answers)
    assert "verdict         sound" in text(memory, "state", "--heap", "heap_4", answers=answers)
    _, memory, _ = used(Heap5)
    answers = {"Which": "heap_5", "regions": f"{BASE:#x}:1K, {BASE + 0x1000:#x}:1K"}
    assert "heap_5, 1,024 bytes at 0x20000400, 1,024" in text(memory, "state", answers=answers)
    for given in ({}, {"Which heap": "4"}):
        assert "say it by --heap heap_4 --arena ADDRESS:SIZE" in wrong(
            memory, "state", answers=given
        )
    assert "invalid choice: 'heap_9'" in wrong(
        memory, "state", answers={"Which": "9", "Where": "1:1"}
    )
    assert "'nowhere' is no region" in wrong(
        memory, "state", answers={"Which": "4", "Where": "nowhere"}
    )


def test_what_is_wrong_is_told() -> None:
    _, memory, _ = used()
    assert "the target does not let 4096 bytes at 0x20000400 be read" in wrong(
        memory, "state", "--arena", f"{BASE:#x}:4K"
    )
    assert "no block of the heap" in wrong(memory, "watch", "0x10", *ARENA)
    assert wrong(memory, "map", *ARENA) == "rtosheap: -o is missing; write rtosheap map -o map.png"
    assert "invalid choice: 'heap_9'" in wrong(memory, "state", "--heap", "heap_9")
    assert "required: ADDRESS" in wrong(memory, "who", *ARENA)
    assert "command is 'explode'; it must be one of state, blocks" in wrong(memory, "explode")
    assert "another version's" in wrong(memory, "state", protocol=2)
    assert "no such file" in wrong(memory, "state", files=["/nowhere/a.elf"]).lower()
    assert text(memory, "check", "--help").startswith("usage: rtosheap check [-h]")


def test_the_last_block_of_heap_2_has_no_header_after_it() -> None:
    heap, memory, _ = used(Heap2)
    last = heap.blocks()[-1]
    where = ("--heap", "heap_2", *ARENA)
    assert "no header follows it" in wrong(memory, "watch", hex(last.address + 9), *where)


def test_a_debugger_that_goes_away() -> None:
    for first in ("", json.dumps({"protocol": 1, "command": "state", "arguments": ARENA}) + "\n"):
        there, back = Lines(), Lines()
        there.write(first)
        there.write("")
        assert gdb_script.serve(there, back) == 1


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "no JSON",
        "[" * 200_000,
        *(
            json.dumps({"protocol": 1, "command": "state", **wrong})
            for wrong in (
                {"files": 3}, {"arguments": None}, {"landmarks": []}, {"landmarks": None},
                {"landmarks": {"ucHeap": float("nan")}}, {"landmarks": {"ucHeap": "x"}},
            )
        ),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_debugger_that_says_anything(line: str) -> None:
    with served() as (there, back):
        there.write(line + "\n")
        assert json.loads(back.readline()).keys() == {"error"}


def test_the_path_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gdb-script"]) == 0
    assert Path(capsys.readouterr().out.strip()) == SCRIPT


def test_the_file_is_for_python_3_6(tmp_path: Path) -> None:
    """The syntax, by this Python's grammar and, where there is one, by such a Python itself."""
    text = SCRIPT.read_text()
    ast.parse(text, feature_version=(3, 6))
    needed = {one.names[0].name for one in ast.parse(text).body if isinstance(one, ast.Import)}
    assert needed == {"gdb", "json", "os", "shutil", "subprocess", "sys"}
    for python in Path.home().glob(".pyenv/versions/3.6.*/bin/python"):
        copy = tmp_path / SCRIPT.name
        copy.write_text(text)
        subprocess.run([python, "-m", "py_compile", copy], check=True)


def test_a_core_joins_what_overlaps(tmp_path: Path) -> None:
    pieces = [(0x108, b"IJKL"), (0x100, b"ABCDEFGHIJ"), (0x200, b"xyz"), (0x102, b"CD")]
    for word in (4, 8):
        path = tmp_path / f"core{word}.elf"
        path.write_bytes(
            write_core(pieces, word=word, machine="EM_X86_64" if word == 8 else "EM_ARM")
        )
        assert load_memory(path).pieces == ((0x100, b"ABCDEFGHIJKL"), (0x200, b"xyz"))


def test_a_memory_is_asked_once() -> None:
    asked = []

    def fetch(address: int, size: int) -> bytes | None:
        asked.append((address, size))
        return bytes(size) if address < 100 else None

    memory = Memory([(50, b"abcd")], fetch)
    assert [memory.read(51, 2), memory.read(0, 8), memory.read(2, 2), memory.read(200, 1)] == [
        b"bc", bytes(8), bytes(2), None,
    ]  # fmt: skip
    assert asked == [(0, 8), (200, 1)]
    assert (memory.live, Memory().live) == (True, False)
    over = memory.over([(200, b"rom")])
    assert (over.read(200, 3), over.read(51, 1)) == (b"rom", b"b")
