"""The calls of a FreeRTOS kernel as its trace macros have them: sizes of blocks, tasks by address.

``traceMALLOC`` is given the request with header and padding up to V11.1, and the whole block from
V11.2 on; ``traceFREE`` always the whole block. So a free that gives back more than its malloc took
shows the former, and so does a request that failed and has a size.
"""

from __future__ import annotations

import numpy as np

from rtosheap.traces.columns import Columns, Tasks, names_in_use, valid_task
from rtosheap.traces.errors import TraceError
from rtosheap.traces.formats._address_log import AddressLog
from rtosheap.traces.loss import Loss
from rtosheap.traces.sizes import ADJUSTED, LOGGED, SIZES

#: What a recording says that lay in a buffer of the device.
WRAPPED = "the recorder's buffer had wrapped, so that the recording is the end of a longer one"

#: Live blocks whose sizes are compared with those of their frees.
_MOST_SIZES = 1 << 16
_MOST_TASKS = 1 << 20


class KernelLog(AddressLog):
    """The events of such a recording, taken one by one; `who` is a number of its `tasks`."""

    TIMED = TASKED = True
    #: What a user is told of a recording without any call.
    SILENT = "holds no malloc and no free; whether they are recorded is chosen on the device"

    def __init__(self) -> None:
        super().__init__()
        self.tasks = TaskNumbers()
        self.missed()
        self._adjusted = False
        self._sizes: dict[int, int] = {}

    def missed(self) -> None:
        """Note that events are missing here: who runs is not known, nor which blocks are live."""
        self.who = -1
        self._sizes = {}

    def allocate(self, address: int, size: int) -> None:
        """An allocation, with the size that the kernel logged."""
        if address == 0:
            self.refuse(size)
            return
        if len(self._sizes) < _MOST_SIZES:
            self._sizes[address] = size
        self.malloc(address, size, 0)

    def refuse(self, size: int) -> None:
        """A request that failed."""
        self._adjusted = self._adjusted or size > 0
        self.fail(size)

    def release(self, address: int, size: int) -> None:
        """A free, with the size of the whole block."""
        self._adjusted = self._adjusted or size > self._sizes.pop(address, size)
        self.free(address, 0)

    def recording(self, source: str, **meta: str) -> Columns:
        """The events as columns, with names for the numbers of tasks."""
        columns = self.columns(source, tasks=None, **meta)
        columns.lines = None
        columns.meta[SIZES] = ADJUSTED if self._adjusted else LOGGED
        rounded = int((columns.op == ord("m")).sum())
        columns.loss = columns.loss.merged(Loss(rounded_sizes=rounded))
        self.tasks.give_to(columns)
        if not (len(columns.op) or columns.loss):
            columns.warnings.append(self.SILENT)
        return columns


class TaskNumbers:
    """A number for each task: the addresses and handles that tell them are given out again."""

    def __init__(self) -> None:
        self._number_of: dict[int, int] = {}
        self._names: list[str] = []
        self._keys: list[int] = []

    def of(self, key: int) -> int:
        """The number of the task that an address is now."""
        number = self._number_of.get(key)
        return self._new(key) if number is None else number

    def known(self, key: int) -> int | None:
        """The same, or None of an address that was no task yet, or was forgotten."""
        return self._number_of.get(key)

    def _new(self, key: int, name: str = "") -> int:
        if len(self._names) == _MOST_TASKS:
            raise TraceError(f"tells of more than {_MOST_TASKS:,} tasks")
        self._number_of[key] = len(self._names)
        self._names.append(name)
        self._keys.append(key)
        return len(self._names) - 1

    def is_named(self, key: int, name: bytes) -> int:
        """The task of an address is called so from now on; its number."""
        text, number = _word(name), self._number_of.get(key)
        if number is None or self._names[number] != text:
            return self._new(key, text)
        return number

    def was_named(self, key: int, name: bytes) -> None:
        """The task of an address was called so up to now."""
        self._names[self.of(key)] = _word(name)
        self.forget(key)

    def forget(self, key: int) -> None:
        """Whatever is at an address from now on is another task."""
        self._number_of.pop(key, None)

    def forget_all(self) -> None:
        """The same of every address."""
        self._number_of.clear()

    def unnamed(self) -> list[int]:
        """Where tasks are that have no name."""
        return [key for key, number in self._number_of.items() if not self._names[number]]

    def give_to(self, columns: Columns) -> None:
        """Put names in the place of numbers; a task without one is called by its address."""
        assert columns.task_codes is not None
        tasks = Tasks()
        named = [
            tasks.code(name or f"?{key:x}")
            for key, name in zip(self._keys, self._names, strict=True)
        ]
        unnamed = np.array([*(not name for name in self._names), True])
        codes = np.array([*named, -1], np.int32)
        columns.loss = columns.loss.merged(
            Loss(unknown_tasks=int(unnamed[columns.task_codes].sum()))
        )
        columns.task_codes, columns.task_names = names_in_use(
            codes[columns.task_codes], tasks.names
        )


def _word(name: bytes) -> str:
    """A name as a trace has it, without blanks; "" if it cannot have it."""
    text = "_".join(name.partition(b"\0")[0].decode("utf-8", "replace").split())
    return text if valid_task(text) else ""
