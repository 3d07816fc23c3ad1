"""Processes that work for a command, where an interrupt is the command's."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from rtosheap.work import Progress

_T = TypeVar("_T")

#: So many tasks can say how much of them is done.
_TASKS = 256
_shares: Any = None  # in a worker: of all tasks


def _begin(shares: Any) -> None:
    """A worker begins. A terminal interrupts its whole group: this process tells the others."""
    global _shares
    _shares = shares
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class _Report:
    task: int

    def __call__(self, done: int, total: int) -> None:
        _shares[self.task] = max(_shares[self.task], done / max(total, 1))


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """An executor of so many processes; where this block ends by an interrupt, so do they."""
    with _Workers(jobs) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


class _Workers(ProcessPoolExecutor):
    """Starts its processes, which submit() does, where no interrupt gets lost: Python drops what a
    hook of fork() raises. Its tasks can say how much of them is done.
    """

    def __init__(self, jobs: int) -> None:
        #: What waits for a process that was ended would be waited for, too, by whoever sends it.
        self.at_once = jobs
        self._shares = multiprocessing.Array("d", _TASKS, lock=False)
        super().__init__(jobs, initializer=_begin, initargs=(self._shares,))

    def report(self, task: int) -> Progress | None:
        """The progress of a task, in whatever process."""
        if task >= _TASKS:
            return None
        self._shares[task] = 0.0
        return _Report(task)

    def share(self, task: int) -> float:
        """How much of a task is done, as far as it said."""
        return self._shares[task] if task < _TASKS else 0.0

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        with _interrupts_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What interrupts this block does so at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no interrupt comes here
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            signal.raise_signal(signal.SIGINT)
