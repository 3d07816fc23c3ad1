"""The tasks of a kernel, by the names of its variables and the types of the debug information."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtosheap.device.elf import Elf, Member, Symbol
from rtosheap.device.memory import Memory
from rtosheap.tables import record_text

__all__ = ["Task", "Tasks", "find_tasks"]

_CURRENT = ("pxCurrentTCB", "pxCurrentTCBs")  # the second where a kernel runs on several cores
_LISTS = (
    "pxReadyTasksLists",
    "xDelayedTaskList1",
    "xDelayedTaskList2",
    "xPendingReadyList",
    "xSuspendedTaskList",
    "xTasksWaitingTermination",
)
_IN_LIST = ("xStateListItem", "xGenericListItem")  # the second up to V8
_MOST = 4096  # tasks; a damaged list leads anywhere


@dataclass(frozen=True)
class Task:
    """A task as its control block says.

    Attributes
    ----------
    name : str
    tcb : int
        Address of its control block.
    tcb_size : int
        Bytes of that.
    stack : int
        The lowest address of its stack.
    top : int or None
        Where its stack pointer was when it last stopped running; None if that is not known.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import find_tasks, load_memory, read_elf
    >>> memory, elf = data.crash()
    >>> task = find_tasks(load_memory(memory), read_elf(elf)).tasks[0]
    >>> task
    Task(name='main', tcb=0x20000110, tcb_size=68, stack=0x20000008, top=0x200000c8)
    >>> task.top - task.stack  # bytes of its stack that are left
    192
    """

    name: str
    tcb: int
    tcb_size: int
    stack: int
    top: int | None = None

    def __repr__(self) -> str:
        return record_text(self, addresses=("tcb", "stack", "top"))


@dataclass(frozen=True)
class Tasks:
    """The tasks that were found.

    Attributes
    ----------
    tasks : tuple of Task
        In the order of the kernel's lists, the running one first.
    notes : tuple of str
        Why some may be missing.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import find_tasks, load_memory, read_elf
    >>> memory, elf = data.crash()
    >>> found = find_tasks(load_memory(memory), read_elf(elf))
    >>> [task.name for task in found.tasks], found.notes
    (['main', 'idle', 'sensor', 'logger'], ())
    """

    tasks: tuple[Task, ...] = ()
    notes: tuple[str, ...] = ()


def find_tasks(memory: Memory, elf: Elf) -> Tasks:
    """The tasks in a kernel's lists.

    Parameters
    ----------
    memory : Memory
        Of the device, with the kernel's variables; what it lacks is missing in the result, and
        said.
    elf : Elf
        The firmware, with debug information.

    Returns
    -------
    Tasks

    Raises
    ------
    ValueError
        If the ELF is damaged.

    Examples
    --------
    >>> from rtosheap import data
    >>> from rtosheap.device import load_memory, read_elf
    >>> memory, elf = data.crash()
    >>> found = find_tasks(load_memory(memory), read_elf(elf))
    >>> [(task.name, hex(task.stack)) for task in found.tasks][:3]
    [('main', '0x20000008'), ('idle', '0x200002a8'), ('sensor', '0x20000178')]
    """
    places = {symbol.plain: symbol for symbol in elf.symbols or ()}
    current = next((name for name in _CURRENT if name in places), None)
    if current is None:
        return Tasks(notes=("the ELF has no pxCurrentTCB: which tasks there are is not known",))
    tcb = elf.members(current, places[current].value, pointed=True)
    if tcb is None or not {"pxStack", "pcTaskName"} <= tcb.keys():
        return Tasks(
            notes=(
                f"the ELF has no debug information for {current}: build the kernel with -g to have "
                "the tasks' names",
            )
        )
    lists = _Lists(memory, elf, tcb)
    place = places[current]
    for at in range(place.value, place.value + max(place.size, elf.word), elf.word):
        running = memory.word(at, elf.word)
        if running:
            lists.tasks[running] = None
    notes: list[str] = []
    lost = [name for name in _LISTS if name in places and not lists.follow(places[name])]
    if lost:
        notes.append(f"tasks may be missing: {', '.join(lost)} could not be followed to its end")
    tasks = [_task(memory, elf.word, at, tcb) for at in lists.tasks]
    if None in tasks:
        notes.append(f"{tasks.count(None)} control blocks of tasks could not be read")
    return Tasks(tuple(task for task in tasks if task is not None), tuple(notes))


class _Lists:
    """A kernel's lists of tasks, and what was found in them."""

    def __init__(self, memory: Memory, elf: Elf, tcb: Mapping[str, Member]) -> None:
        #: Addresses of control blocks, in the order in which they were found.
        self.tasks: dict[int, None] = {}
        self._memory, self._elf, self._word = memory, elf, elf.word
        item = next((item for item in _IN_LIST if item in tcb), "")
        link, owner = (tcb.get(f"{item}.{part}") for part in ("pxNext", "pvOwner"))
        #: Bytes from an item to its link and to its owner; None where no type tells.
        self._item: tuple[int, int] | None = None
        if link is not None and owner is not None:
            start = tcb[item].offset
            self._item = link.offset - start, owner.offset - start

    def follow(self, place: Symbol) -> bool:
        """Add the tasks in a list, or in each of an array of lists; whether all could be read."""
        members = self._elf.members(place.plain, place.value) or {}
        # Where the ends of the lists are, and their links to the first item.
        heads = [
            (member.offset, members[f"{path}.pxNext"].offset)
            for path, member in members.items()
            if path.rpartition(".")[2] == "xListEnd" and f"{path}.pxNext" in members
        ]
        if self._item is None or not heads:
            return False
        return all(
            self._walk(place.value + end, place.value + first, *self._item) for end, first in heads
        )

    def _walk(self, end: int, first: int, link: int, owner: int) -> bool:
        """Add the owners of a list's items; whether it led from its first link back to its end."""
        at, seen = self._memory.word(first, self._word), set[int]()
        while at != end:
            if not at:
                return at == 0 and not seen  # a list that the kernel has not yet set up
            task = self._memory.word(at + owner, self._word)
            if not task or at in seen or len(self.tasks) >= _MOST:
                return False
            seen.add(at)
            self.tasks[task] = None
            at = self._memory.word(at + link, self._word)
        return True


def _task(memory: Memory, word: int, at: int, tcb: Mapping[str, Member]) -> Task | None:
    size = max(member.offset + member.size for member in tcb.values())
    data = memory.read(at, size)
    if data is None:
        return None

    def part(path: str) -> bytes:
        member = tcb[path]
        return data[member.offset : member.offset + member.size]

    name = part("pcTaskName").partition(b"\0")[0].decode(errors="backslashreplace")
    top = int.from_bytes(part("pxTopOfStack"), "little") if "pxTopOfStack" in tcb else None
    return Task(name, at, size, int.from_bytes(part("pxStack"), "little"), top)
