"""What a firmware's tasks and variables say of the blocks of its heap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rtosheap.device import Elf, Memory, Pointer, Task, find_pointers, find_tasks, variable_at
from rtosheap.inspection.report import Found, Report, block_dict, whose
from rtosheap.tables import record_text

__all__ = ["Surroundings", "Who", "look_around", "named_blocks", "who"]

_SHOWN = 4
_NEAR = 1 << 16  # bytes by which a stack may have overflown


@dataclass(frozen=True)
class Surroundings:
    """What lies around a heap.

    Attributes
    ----------
    tasks : tuple of Task
    pointers : tuple of Pointer
        Of the firmware's variables, into the heap.
    notes : tuple of str
        What is not known.

    Examples
    --------
    By hand, where nothing but a debugger knows the firmware:

    >>> from rtosheap import Heap4
    >>> from rtosheap.device import Pointer
    >>> from rtosheap.inspection import inspect, named_blocks
    >>> heap = Heap4(256)
    >>> around = Surroundings((), (Pointer(at=0x2030_0000, to=heap.malloc(24), name="queue"),))
    >>> named_blocks(inspect(heap.memory), around).names
    {536870912: ('queue points to it',)}
    """

    tasks: tuple[Task, ...]
    pointers: tuple[Pointer, ...]
    notes: tuple[str, ...] = ()


def look_around(memory: Memory, elf: Elf, report: Report) -> Surroundings:
    """The tasks of a firmware, and which of its variables point into its heap.

    Debug information that cannot be read is as good as none.

    Parameters
    ----------
    memory : Memory
        Of the device, with the variables of kernel and application.
    elf : Elf
        The firmware.
    report : Report
        On its heap.

    Returns
    -------
    Surroundings

    Raises
    ------
    ValueError
        If the ELF's sections or symbols are damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_dump, load_memory, read_elf
    >>> from rtosheap.inspection import inspect
    >>> path, firmware = data.crash()
    >>> memory, elf = load_memory(path), read_elf(firmware)
    >>> report = inspect(load_dump(path, 4, elf=elf).memory)
    >>> around = look_around(memory, elf, report)
    >>> len(around.tasks), len(around.pointers), around.pointers[2]
    (4, 14, Pointer(at=0x2030001c, to=0x20000398, name='app_queue'))
    """
    try:
        tasks = find_tasks(memory, elf)
        found, notes = tasks.tasks, tasks.notes
    except ValueError as error:
        found, notes = (), (f"the tasks are not known: {error}",)
    pointers, missing = find_pointers(memory, elf, report.regions)
    return Surroundings(found, pointers, (*notes, *missing))


def named_blocks(report: Report, around: Surroundings) -> Report:
    """The report with the names of its blocks: a task's stack or control block, what a variable
    points to.

    Parameters
    ----------
    report : Report
    around : Surroundings
        What :func:`look_around` found.

    Returns
    -------
    Report
        With `names` by the address of a block's header, and the notes of both.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_dump, load_memory, read_elf
    >>> from rtosheap.inspection import inspect, look_around
    >>> path, firmware = data.crash()
    >>> memory, elf = load_memory(path), read_elf(firmware)
    >>> report = inspect(load_dump(path, 4, elf=elf).memory)
    >>> report = named_blocks(report, look_around(memory, elf, report))
    >>> report.names[report.damage[0].culprit]
    ('app_state.link.message points to it',)
    """
    names = {
        block.address: tuple(labels)
        for block in report.blocks
        if (labels := _labels(block, around))
    }
    return replace(report, names=names, notes=(*report.notes, *around.notes))


def _labels(block: Found, around: Surroundings) -> list[str]:
    tasks = _of_tasks(block, around.tasks)
    # The kernel's lists point into its control blocks.
    exactly = bool(tasks) or not (block.allocated or block.broken)
    return tasks + _of_variables(block, around.pointers, exactly=exactly)


def _of_tasks(block: Found, tasks: tuple[Task, ...]) -> list[str]:
    end = block.address + block.size
    labels = []
    for task in tasks:
        if block.payload <= task.tcb < end:
            labels.append(f"TCB of {task.name}")
        if block.payload <= task.stack < end:
            below = task.stack - task.top if task.top else 0
            past = f", whose stack pointer is {below:,} bytes below it" if 0 < below < _NEAR else ""
            labels.append(f"stack of {task.name}{past}")
    if labels and not block.allocated:
        labels = [f"{label}, though it is free" for label in labels]
    return labels


def _of_variables(block: Found, pointers: tuple[Pointer, ...], *, exactly: bool) -> list[str]:
    """The variables that point to a block's payload, and unless it is `exactly`, into it: stale
    pointers into what a free block once was are many.
    """
    end = block.payload + 1 if exactly else block.address + block.size
    inside = sorted(
        (one for one in pointers if block.payload <= one.to < end), key=lambda one: one.to
    )
    labels = [_points(one, block) for one in inside[:_SHOWN]]
    more = len(inside) - _SHOWN
    return [*labels, f"{more} more pointers into it"] if more > 0 else labels


def _points(pointer: Pointer, block: Found) -> str:
    count = pointer.to - block.payload
    return f"{pointer.name} points {f'{count} bytes into' if count else 'to'} it"


@dataclass(frozen=True)
class Who:
    """Whose an address is.

    Attributes
    ----------
    address : int
    where : str
        In words what lies there.
    block : Found or None
        Of the heap, if it is in one.
    names : tuple of str
        What that is: a task's stack or control block, what a variable points to.
    pointers : tuple of str
        Where in other blocks words lead to this one's payload, in words.
    notes : tuple of str
        What is not known.

    Examples
    --------
    >>> from rtosheap import Heap4
    >>> from rtosheap.device import Memory
    >>> from rtosheap.inspection import inspect, who
    >>> heap = Heap4(256)
    >>> p, q = heap.malloc(24), heap.malloc(24)
    >>> heap.view(q)[:4] = p.to_bytes(4, "little")  # q's block points to p's
    >>> memory = bytes(heap.memory)
    >>> print(who(inspect(memory), p + 2, Memory([(0x2000_0000, memory)])))
    0x2000000a is 2 bytes into the payload of the allocated block at 0x20000000, 32 bytes,
    22 bytes before its end
      0x20000028 points to it, 0 bytes into the block at 0x20000020 (allocated)
    """

    address: int
    where: str
    block: Found | None = None
    names: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return record_text(self, addresses=("address",))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.address:#010x} is {self.where}",
                *(f"  {name}" for name in (*self.names, *self.pointers)),
                *(f"  note: {note}" for note in self.notes),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        values: dict[str, Any] = dict(vars(self))
        values["block"] = None if self.block is None else block_dict(self.block)
        return values


def who(
    report: Report,
    address: int,
    memory: Memory,
    *,
    elf: Elf | None = None,
    around: Surroundings | None = None,
) -> Who:
    """Whose an address of a device is: which block's, which task's, which variable's.

    Parameters
    ----------
    report : Report
        On the device's heap; with names (:func:`named_blocks`), if the ELF is there.
    address : int
    memory : Memory
        Of the device.
    elf : Elf, optional
        The firmware, for its variables.
    around : Surroundings, optional
        For its tasks.

    Returns
    -------
    Who

    Raises
    ------
    ValueError
        If the ELF is damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_dump, load_memory, read_elf
    >>> from rtosheap.inspection import inspect, look_around, named_blocks
    >>> path, firmware = data.crash()
    >>> memory, elf = load_memory(path), read_elf(firmware)
    >>> report = inspect(load_dump(path, 4, elf=elf).memory)
    >>> around = look_around(memory, elf, report)
    >>> report = named_blocks(report, around)
    >>> print(who(report, 0x2000_0404, memory, elf=elf, around=around))
    0x20000404 is 4 bytes into the payload of the allocated block at 0x200003f8, 48 bytes,
    36 bytes before its end
      app_state.link.message points to it
    >>> who(report, 0x2030_0120, memory, elf=elf, around=around).where
    'outside the heap: uxStaticStack + 8, the stack of logger'
    """
    block = report.block_at(address)
    if block is None:
        return Who(address, _elsewhere(report, address, elf, around))
    end = block.address + block.size
    what = "allocated" if block.allocated else "free"
    broken = ", whose header is broken," if block.broken else ""
    at = address - block.payload
    place = f"{at} bytes into the payload" if at > 0 else "the payload"
    if at < 0:
        place = "in the header"
    where = (
        f"{place} of the {what} block{broken} at {block.address:#010x}, {block.size:,} bytes, "
        f"{end - address:,} bytes before its end"
    )
    owner = [] if block.owner is None else [f"allocated: {whose(block.owner)}"]
    names = (*report.names.get(block.address, ()), *owner)
    pointers = tuple(_within(report, block, memory, around)) if block.allocated else ()
    if not names and not pointers and block.allocated and around is not None:
        names = ("no task's, and no variable and no other block points to its start",)
    return Who(address, where, block, names, pointers, () if around is None else around.notes)


def _within(report: Report, block: Found, memory: Memory, around: Surroundings | None) -> list[str]:
    """Where in other allocated blocks words lead to a block's payload, in words."""
    word = report.word_size
    tops = {} if around is None else {task.stack: task.top for task in around.tasks}
    needle, found = block.payload.to_bytes(word, "little"), []
    for other in report.blocks:
        if not other.allocated or other is block:
            continue
        data = memory.read(other.payload, other.address + other.size - other.payload) or b""
        top = tops.get(other.payload) or 0
        at = data.find(needle)
        while at >= 0:
            place = other.payload + at
            if at % word == 0 and place >= top:  # below its pointer a stack holds what has been
                label = "; ".join(report.names.get(other.address, ())) or "allocated"
                found.append(
                    f"{place:#010x} points to it, {at} bytes into the block at "
                    f"{other.address:#010x} ({label})"
                )
            at = data.find(needle, at + 1)
    return found


def _elsewhere(report: Report, address: int, elf: Elf | None, around: Surroundings | None) -> str:
    """What an address outside every block is, in words."""
    for base, size in report.regions:
        if base <= address < base + size:
            return f"in the heap at {base:#010x}, but in no block of it"
    for task in () if around is None else around.tasks:
        if task.tcb <= address < task.tcb + task.tcb_size:
            return f"outside the heap: {address - task.tcb} bytes into the TCB of {task.name}"
    variable = None if elf is None else variable_at(elf, address)
    if variable is None:
        return "outside the heap" + ("" if elf is None else ", and in no variable")
    stacks = [
        task.name for task in (() if around is None else around.tasks)
        if elf is not None and variable_at(elf, task.stack) == variable.partition(" + ")[0]
    ]  # fmt: skip
    return f"outside the heap: {variable}" + "".join(f", the stack of {name}" for name in stacks)
