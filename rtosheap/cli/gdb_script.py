"""``rtosheap gdb-script``: the commands for gdb, and what they call."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtosheap import device
from rtosheap.cli import _arguments, _failures, _looking, _output, _parser
from rtosheap.device import Elf, Memory, read_elf, write_core
from rtosheap.inspection import who
from rtosheap.kinds import NAMES, layout_of

ABOUT = "Print the path of a file that gives gdb the command 'rtosheap'."
EXAMPLE = """\
in a shell:
  arm-none-eabi-gdb -x "$(rtosheap gdb-script)" firmware.elf

in gdb, on a halted target behind any server, or on a core file:
  rtosheap                the heap's state, in short
  rtosheap blocks         every block, with the task or the variable that it belongs to
  rtosheap free           the free blocks
  rtosheap check          what is damaged, and which block is suspected of it
  rtosheap map -o map.png
  rtosheap dump FILE      for 'rtosheap inspect FILE --elf firmware.elf', and for others
  rtosheap who ADDRESS    which block, task and variable it belongs to
  rtosheap watch ADDRESS  stop when the header after that block is written over

The file needs Python 3.6 in gdb and nothing else; it reads memory, and the work is done by this
rtosheap. Where gdb does not find it, the environment variable RTOSHEAP names its program.
"""
_SCRIPT = Path(device.__file__).parent / "gdb" / "rtosheap-gdb.py"
_PROTOCOL = 1


def add(parser: Any) -> None:
    """Add its arguments."""
    parser.add_argument(
        "--serve",
        action="store_true",
        help="what the file calls: answer one command, in lines of JSON on standard input and "
        "output",
    )


def run(args: argparse.Namespace) -> int:
    """Run it."""
    if args.serve:
        return serve(sys.stdin, sys.stdout)
    print(_SCRIPT)
    return 0


class _Said(Exception):
    """What the parser of a command's arguments says: its help, or what is wrong."""


class _Closed(Exception):
    """The other side has gone."""


class Session:
    """A debugger at the other end of two streams of JSON lines."""

    def __init__(self, reads: Any, writes: Any) -> None:
        self._reads, self._writes = reads, writes

    def receive(self) -> dict[str, Any]:
        """The next message."""
        line = self._reads.readline()
        if not line:
            raise _Closed
        try:
            message = json.loads(line)
        except RecursionError:
            message = None
        if not isinstance(message, dict):
            raise ValueError(f"the debugger says {line.strip()[:80]}, which is no message")
        return message

    def send(self, **message: Any) -> None:
        """Say something."""
        self._writes.write(json.dumps(message) + "\n")
        self._writes.flush()

    def read(self, address: int, size: int) -> bytes | None:
        """The target's bytes; None where it has none."""
        self.send(read=[address, size])
        answer = self.receive()
        if "error" in answer:
            return None
        data = bytes.fromhex(answer.get("bytes", ""))
        return data if len(data) == size else None

    def ask(self, question: str) -> str | None:
        """What the user answers; None where nobody does."""
        self.send(ask=question)
        answer = self.receive().get("answer")
        return answer if isinstance(answer, str) else None


def serve(reads: Any, writes: Any) -> int:
    """Answer one command of the file for gdb."""
    session = Session(reads, writes)
    try:
        opening = session.receive()
        if opening.get("protocol") != _PROTOCOL:
            raise ValueError(
                "the file that gdb has loaded is another version's; load what 'rtosheap "
                "gdb-script' prints"
            )
        # What is printed would be taken for an answer.
        with contextlib.redirect_stdout(sys.stderr):
            result = _done(session, opening)
    except _Closed:
        return 1
    except _Said as said:
        text, kind = said.args
        result = {kind: text}
    except Exception as error:
        told = _failures.told(error)
        if told is None:
            raise
        result = {"error": f"rtosheap: {told[1]}"}
    session.send(**result)
    return 0


@dataclass(frozen=True)
class _Verb:
    """A command: what it does, what it is told, and whether it needs what lies around the heap."""

    run: Callable[[_looking.Seen, argparse.Namespace], dict[str, Any]]
    ABOUT: str
    words: tuple[str, ...] = ()
    around: bool = True
    EXAMPLE = ""

    def add(self, parser: Any) -> None:
        """Add its arguments."""
        for word in self.words:
            if word == "-o":
                _arguments.add_figure(parser, "the heap's map")
            elif word == "ADDRESS":
                parser.add_argument("address", metavar=word, type=_arguments.parse_address)
            else:
                parser.add_argument("file", metavar=word, type=Path)
        _looking.add_heap(parser, arena="the symbol ucHeap")


def _done(session: Session, opening: dict[str, Any]) -> dict[str, Any]:
    """The result of a command."""
    name = str(opening.get("command"))
    verb = _VERBS.get(name)
    if verb is None:
        raise ValueError(f"command is {name!r}; it must be one of {', '.join(_VERBS)}")
    words = [str(word) for word in opening.get("arguments", ())]
    args = _parsed(name, verb, words)
    _looking.check_live(args)
    elf = _firmware(args, opening)
    memory = Memory((), session.read)
    if elf is None and args.arena is None and not args.regions:
        args = _parsed(name, verb, [*words, *_asked(session, args)])
    return verb.run(_looking.look(memory, elf, args, around=verb.around), args)


def _parsed(name: str, verb: _Verb, words: list[str]) -> argparse.Namespace:
    """What is said to a command; its help goes to whoever asked, as an error does."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return _parser.parse(name, verb, words)
    except SystemExit as stop:
        raise _Said(said.getvalue().strip(), "error" if stop.code else "text") from None


def _firmware(args: argparse.Namespace, opening: dict[str, Any]) -> Elf | None:
    """The program that has a heap, of those that gdb knows, with the addresses that gdb has."""
    marks = opening.get("landmarks", {})
    if not isinstance(marks, dict) or not all(type(at) is int for at in marks.values()):
        raise ValueError(f"landmarks are {str(marks)[:80]}; they must be addresses by their names")
    files = [args.elf] if args.elf else [str(name) for name in opening.get("files", ())]
    found: list[tuple[int, Elf]] = []
    for elf in map(read_elf, files):
        places = {symbol.plain: symbol.value for symbol in elf.symbols or ()}
        moved = Counter(marks[mark] - places[mark] for mark in marks if mark in places)
        # They differ where gdb has one of the names from another program, or a local variable.
        if len(moved) == 1:
            return elf.moved_by(*moved)
        by, count = moved.most_common(1)[0] if moved else (0, 0)
        found.append((count, elf.moved_by(by)))
    _, best = max(found, key=lambda one: one[0], default=(0, None))
    return best if best is not None and best.symbols is not None else None


def _asked(session: Session, args: argparse.Namespace) -> list[str]:
    """Where a heap is of which no symbol tells, as options."""
    heap = args.heap or session.ask("Which heap is it (heap_1 ... heap_5)?")
    if heap is not None:
        heap = heap if heap.startswith("heap_") else f"heap_{heap}"
        several = heap in NAMES and layout_of(heap).has_regions
        what, option = ("are its regions", "--region") if several else ("is its arena", "--arena")
        example = "ADDRESS:SIZE, such as 0x20000000:16K" + ", ..." * several
        where = session.ask(f"Where {what} ({example})?")
        if where is not None:
            found = [word for one in where.split(",") for word in (option, one.strip())]
            return ["--heap", heap, *found]
    raise ValueError(
        "no symbols: where the heap lies is not known; say it by --heap heap_4 --arena "
        "ADDRESS:SIZE (of heap_5 --region ADDRESS:SIZE, once for each), or give the firmware by "
        "--elf FILE"
    )


def _text(seen: _looking.Seen, args: argparse.Namespace, lines: list[str]) -> dict[str, Any]:
    if args.json:
        return {"text": _output.json_text(seen.report.to_dict())}
    return {"text": "\n".join(lines)}


def _state(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    report = seen.report
    verdict = "sound"
    if report.is_none:
        verdict = f"no {report.kind}, or not one yet"
    elif report.damage:
        more = f", and {len(report.damage) - 1} more" if len(report.damage) > 1 else ""
        verdict = f"damaged: {report.damage[0].message}{more} (rtosheap check)"
    return _text(seen, args, [*report.state_lines(), f"  verdict         {verdict}"])


def _blocks(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    report = seen.report
    return _text(seen, args, [report.title, *report.block_lines(report.blocks)])


def _free(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    report = seen.report
    free = [block for block in report.blocks if not block.allocated]
    numbers = (
        f"  {report.free_block_count} blocks, {report.free_size:,} bytes, largest "
        f"{report.largest_free_block:,}; largest request {report.largest_request:,} bytes"
    )
    return _text(seen, args, [report.title, numbers, *report.block_lines(free)])


def _check(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    report = seen.report
    lines = report.state_lines() if report.is_none else [report.title, *report.damage_lines()]
    return _text(seen, args, lines)


def _map(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    if args.output is None:
        raise ValueError("-o is missing; write rtosheap map -o map.png")
    _looking.draw(seen.report, args.output)
    return {"text": f"figure: {args.output}"}


def _dump(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    pieces = seen.memory.pieces
    machine = "EM_ARM" if seen.elf is None else seen.elf.machine
    args.file.write_bytes(write_core(pieces, word=seen.report.word_size, machine=machine))
    held = sum(len(data) for _, data in pieces)
    return {"text": f"{args.file}: {held:,} bytes of memory, which the report on the heap rests on"}


def _who(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    found = who(seen.report, args.address, seen.memory, elf=seen.elf, around=seen.around)
    if args.json:
        return {"text": _output.json_text(found.to_dict())}
    return {"text": str(found)}


def _watch(seen: _looking.Seen, args: argparse.Namespace) -> dict[str, Any]:
    report = seen.report
    block = report.block_at(args.address)
    if block is None:
        raise ValueError(f"ADDRESS is {args.address:#x}, which is in no block of the heap")
    layout = layout_of(report.kind)
    if not layout.frees:
        raise ValueError(f"{report.kind} keeps no headers: there is none after a block")
    if block is report.blocks[-1] and not layout.ends_in_marker:
        raise ValueError(f"the block at {block.address:#x} is the last, and no header follows it")
    following, size = block.address + block.size, (1 if layout.is_newlib else 2) * report.word_size
    return {
        "text": f"the header after the block at {block.address:#010x}, {block.size:,} bytes, is at "
        f"{following:#010x}",
        "watch": [following, size],
    }


_VERBS = {
    "state": _Verb(_state, "The heap's state, in short.", around=False),
    "blocks": _Verb(_blocks, "Every block."),
    "free": _Verb(_free, "The free blocks.", around=False),
    "check": _Verb(_check, "What is damaged, and which block is suspected of it."),
    "map": _Verb(_map, "Draw the heap's map.", ("-o",), around=False),
    "dump": _Verb(_dump, "Write what the heap consists of into an ELF core file.", ("FILE",)),
    "who": _Verb(_who, "Which block, task and variable an address belongs to.", ("ADDRESS",)),
    "watch": _Verb(_watch, "Where the header after a block is.", ("ADDRESS",), around=False),
}
