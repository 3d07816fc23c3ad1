"""Processes that work for a command, where an interrupt is the command's."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """An executor of so many processes; where this block ends by an interrupt, so do they."""
    # a terminal interrupts its whole group; this process tells the others
    quiet = (signal.SIGINT, signal.SIG_IGN)
    with _Workers(jobs, initializer=signal.signal, initargs=quiet) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


class _Workers(ProcessPoolExecutor):
    """Starts its processes, which submit() does, where no interrupt gets lost: Python drops what a
    hook of fork() raises.
    """

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
