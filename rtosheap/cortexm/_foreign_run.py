"""A trace through somebody's own allocator in the emulator, and what is held of its answers.

Each block is filled when it is given, and must hold that when it is given back; what lies beside
the arena must stay as it was. The rest of the memory is not there, or cannot be written to.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtosheap.cortexm._foreign_image import RAM
from rtosheap.cortexm.images import ARENA
from rtosheap.cortexm.machine import Call, Machine, MachineError
from rtosheap.cortexm.targets import Cpu
from rtosheap.traces import Op, Trace

#: Instructions of one call after which it is taken never to return.
LIMIT = 10_000_000
_PAGE = 4096
_WORD = 0xFFFF_FFFF
# What the arena holds before: any bytes may be there on a device.
_FRESH = b"\xa5"
_NOISE = Random(0).randbytes(1 << 16)


class Block(NamedTuple):
    """A block that the trace has."""

    address: int
    size: int  # as requested
    event: int  # that gave it

    @property
    def end(self) -> int:
        """Behind its last byte; one of no bytes takes one."""
        return self.address + max(self.size, 1)

    def __str__(self) -> str:
        return f"the live block of event {self.event:,}, {self.size:,} bytes at {self.address:#x}"


class Run(NamedTuple):
    """What a trace did.

    Attributes
    ----------
    addresses : ndarray of uint32
        Of each event: what malloc or realloc returned, 0 if nothing; the freed address on a free.
    failed : ndarray of bool
        An allocation that did not fit.
    costs : ndarray of uint32, shape (3, n)
        Instructions, and between how many cycles.
    setup : Call or None
        What the set-up cost; None if the allocator refused the arena.
    """

    addresses: npt.NDArray[np.uint32]
    failed: npt.NDArray[np.bool_]
    costs: npt.NDArray[np.uint32]
    setup: Call | None

    @property
    def failed_at(self) -> int | None:
        """The first event that failed, -1 if the arena was refused, None if all was served."""
        if self.setup is None:
            return -1
        return int(self.failed.argmax()) if self.failed.any() else None


class Device:
    """The allocator on the processor, over an arena of so many bytes."""

    def __init__(self, image: bytes, cpu: Cpu, size: int, alignment: int) -> None:
        self.size, self.alignment = size, alignment
        self._machine = Machine(image, cpu, [RAM, (ARENA, size)], LIMIT)
        self._beside = -size % _PAGE  # bytes up to where no memory is
        self._machine.write(ARENA, _FRESH * (size + self._beside))
        self.can_realloc = "rh_foreign_realloc" in self._machine.symbols
        self.blocks: dict[int, Block] = {}  # by the trace's id
        self._live: list[Block] = []  # in the order of addresses
        self.doing: tuple[int | None, str] = (None, "init")

    def call(self, name: str, *arguments: int) -> Call:
        """Call one of theirs."""
        try:
            done = self._machine.call(f"rh_foreign_{name}", *arguments)
        except MachineError as error:
            raise self.error(error.reason, self._asserted() or f"{name}() {error}") from None
        if self._beside:
            beside = self._machine.read(ARENA + self.size, self._beside)
            if beside != _FRESH * self._beside:
                at = next(i for i, byte in enumerate(beside) if byte != _FRESH[0])
                where = f"byte {at:,} behind the arena, at {ARENA + self.size + at:#x}"
                raise self.error("margin", f"{name}() wrote to {where}")
        return done

    def error(self, reason: str, text: str) -> MachineError:
        """What to raise of the event that it is at."""
        event, what = self.doing
        number = "" if event is None else f"event {event:,}, "
        arena = f"in an arena of {self.size:,} bytes"
        return MachineError(f"{number}{what}, {arena}: {text}", reason, event)

    def _asserted(self) -> str:
        """newlib's assert(), by its arguments."""
        if not self._machine.where().startswith("__assert_func"):
            return ""
        file, line, _, what = self._machine.registers()
        return f"assertion failed: {self._text(what)}, {self._text(file)}:{line}"

    def _text(self, address: int) -> str:
        return self._machine.read(address, 256).split(b"\0")[0].decode("utf-8", "replace")

    # ------------------------------------------------------------------ blocks

    def take(self, id: int, event: int, address: int, size: int) -> None:
        """The allocator gave this block: is it one that can be lived in?"""
        block = Block(address, size, event)
        text = f"the block of {size:,} bytes at {address:#x}"
        if address < ARENA or address + size > ARENA + self.size:
            raise self.error("outside", f"{text} does not lie in the arena")
        if address % self.alignment:
            text += f" is not aligned to {self.alignment} bytes"
            if address % 4 == 0:
                text += "; if that is meant, say alignment=4 (--alignment 4)"
            raise self.error("misaligned", text)
        at = bisect_left(self._live, block)
        for other in self._live[max(at - 1, 0) : at + 1]:
            if other.address < block.end and address < other.end:
                raise self.error("overlaps", f"{text} overlaps {other}")
        insort(self._live, block)
        self.blocks[id] = block
        self._machine.write(address, _payload(block, size))

    def give(self, id: int) -> Block:
        """The block of this id is no longer the trace's."""
        block = self.blocks.pop(id)
        del self._live[bisect_left(self._live, block)]
        return block

    def damage(self, block: Block) -> int | None:
        """The first byte of a block that is not as it was left, if any."""
        found, left = self._machine.read(block.address, block.size), _payload(block, block.size)
        return None if found == left else next(i for i in range(block.size) if found[i] != left[i])

    def lost(self, block: Block, address: int, size: int) -> bool:
        """Whether realloc did not keep what was in the block."""
        return self._machine.read(address, size) != _payload(block, size)


class Damage(Exception):
    """A live block does not hold what it should."""

    def __init__(self, block: Block, error: MachineError) -> None:
        super().__init__(str(error))
        self.block, self.error = block, error


def play(
    trace: Trace,
    make: Callable[[], Device],
    *,
    stop: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Run:
    """Run the trace on a new device, with `stop` up to the first event that fails.

    Raises
    ------
    MachineError
        The allocator did what none may; it names the event.
    """
    try:
        return _play(trace, make(), stop, progress, None)
    except Damage as damage:
        found = damage
    try:  # again, to see at which event it was done
        _play(trace, make(), stop, None, found.block.event)
    except Damage as damage:
        found = damage
    raise found.error


def _play(
    trace: Trace,
    device: Device,
    stop: bool,
    progress: Callable[[int, int], object] | None,
    watched: int | None,
) -> Run:
    count = len(trace)
    run = Run(
        np.zeros(count, np.uint32), np.zeros(count, np.bool_), np.zeros((3, count), "u4"), None
    )
    setup = device.call("init", ARENA, device.size)
    if not setup.result & 0xFF:
        return run
    lost: set[int] = set()  # ids whose allocation failed
    key, block = -1, None  # what is watched
    columns = zip(trace.op.tolist(), trace.id.tolist(), trace.size.tolist(), strict=True)
    for event, (op, id, size) in enumerate(columns):
        if progress is not None and event % 4096 == 0:
            progress(event, count)
        if op == Op.FREE:
            device.doing = event, "free"
            if id in device.blocks:
                run.addresses[event] = device.blocks[id].address
                run.costs[:, event] = _free(device, id)
            lost.discard(id)
        elif op == Op.MALLOC or id not in lost:
            name = "malloc" if op == Op.MALLOC else "realloc"
            device.doing = event, f"{name} of {size:,} bytes"
            address, run.costs[:, event] = _allocate(device, id, event, size)
            run.addresses[event] = address
            run.failed[event] = address == 0 and size != 0
            if run.failed[event] and id not in device.blocks:
                lost.add(id)
            if run.failed[event] and stop:
                break
        if block is not None and device.blocks.get(key) is block:
            _look_at(device, block)
        if event == watched:
            key, block = id, device.blocks.get(id)
    for each in device.blocks.values():
        _look_at(device, each)
    if progress is not None:
        progress(count, count)
    return run._replace(setup=setup)


def _allocate(device: Device, id: int, event: int, size: int) -> tuple[int, npt.NDArray[np.uint32]]:
    """The address of a malloc or, where the id is live, a realloc, and what it cost."""
    old = device.blocks.get(id)
    asked = min(size, _WORD)
    if old is None:
        call = device.call("malloc", asked)
        if call.result:
            device.take(id, event, call.result, size)
        return call.result, _cost(call)
    if device.can_realloc and size:
        _look_at(device, old)
        call = device.call("realloc", old.address, asked)
        if call.result:
            device.give(id)
            kept = min(old.size, size)
            if call.result in range(ARENA, ARENA + device.size - size + 1) and device.lost(
                old, call.result, kept
            ):
                raise device.error(
                    "lost", f"the first {kept:,} bytes of {old} are not at {call.result:#x}"
                )
            device.take(id, event, call.result, size)
        return call.result, _cost(call)
    call = device.call("malloc", asked)
    if call.result == 0 and size:
        return 0, _cost(call)  # the old block stays
    cost = _cost(call)
    if call.result:
        device.take(-1 - id, event, call.result, size)  # both are live for a moment
    cost += _free(device, id)
    if call.result:
        device.blocks[id] = device.blocks.pop(-1 - id)
    return call.result, cost


def _free(device: Device, id: int) -> npt.NDArray[np.uint32]:
    _look_at(device, device.blocks[id])
    return _cost(device.call("free", device.give(id).address))


def _look_at(device: Device, block: Block) -> None:
    at = device.damage(block)
    if at is not None:
        raise Damage(block, device.error("payload", f"byte {at:,} of {block} was written to"))


def _cost(call: Call) -> npt.NDArray[np.uint32]:
    return np.array(call[1:], np.uint32)


def _payload(block: Block, size: int) -> bytes:
    start = block.event * 7919 % len(_NOISE)
    noise = _NOISE[start : start + size]
    while len(noise) < size:
        noise += _NOISE[: size - len(noise)]
    return noise
