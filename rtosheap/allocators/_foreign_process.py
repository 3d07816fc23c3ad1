"""The process of a foreign allocator: its start, what is asked of it, and its end."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import subprocess
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtosheap.allocators import _foreign_wire as wire
from rtosheap.allocators._foreign_runner import bits_of, runner

#: Seconds between two looks at how far it has come.
_LOOK = 0.1
#: Seconds that it has to come to the end of an event where it is interrupted.
_GRACE = 1.0
_MOST_OUTPUT = 2000
#: Bytes of what it prints beyond which the rest is given back: the file lies in memory.
_MOST_KEPT = 1 << 20


@dataclass(frozen=True)
class Options:
    """All that makes a foreign heap what it is, but its size and place."""

    library: Path
    name: str
    alignment: int
    checks: str | None
    timeout: float
    cc: str | None


class Ended(Exception):
    """The process is no more. ``reason``: "crash", "exit" or "stuck"; ``text``: how."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason, self.text = reason, text


class Process:
    """A library in a process of its own, over an arena.

    What it says lies in ``told``; after :class:`Ended` its last words still do.
    """

    def __init__(self, options: Options, size: int, base_address: int) -> None:
        if not hasattr(os, "memfd_create"):
            raise OSError("a foreign allocator's process needs Linux")
        import fcntl  # Windows has none

        program = runner(bits_of(options.library), options.cc)
        self._timeout = options.timeout
        self._pid = os.getpid()
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:

            def kept(descriptor: int, stack: contextlib.ExitStack = undo) -> int:
                stack.callback(_close, descriptor)
                return descriptor

            sealed = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
            self._files = [
                kept(os.memfd_create(f"rtosheap-{name}", sealed)) for name in ("asked", "told")
            ]
            for file in self._files:
                os.ftruncate(file, wire.ARRAYS_AT)
                # Who reads what was cut off a file dies of it: the library must not cut.
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
            self._map()
            self._output = kept(os.memfd_create("rtosheap-output"))
            image = kept(os.memfd_create("rtosheap-runner"), theirs)
            with open(image, "wb", closefd=False) as writer:
                writer.write(program)
            commands, replies = os.pipe(), os.pipe()
            given = (*self._files, kept(commands[0], theirs), kept(replies[1], theirs))
            self._commands, self._replies = kept(commands[1]), kept(replies[0])
            numbers = (size, base_address, options.alignment, wire.CHECKS.index(options.checks))
            self._popen = subprocess.Popen(
                [f"/proc/self/fd/{image}", str(options.library), *map(str, (*numbers, *given))],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(*given, image),
                process_group=0,
            )
            undo.callback(_end, self._popen)
            self._handle = _handle(self._popen.pid)
            ours = [*self._files, self._output, self._commands, self._replies]
            ours += [] if self._handle is None else [self._handle]
            undo.pop_all()
        self._finalizer = weakref.finalize(self, _finish, self._pid, self._popen, ours)

    def begin(self) -> None:
        """Wait until the library is loaded and its init has returned.

        Raises
        ------
        Ended
        """
        try:
            self._wait(None)
        except Ended:
            raise
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------ what is shared

    def _map(self) -> None:
        self._asked, self._told = (mmap.mmap(file, 0) for file in self._files)
        self._asked_words = np.frombuffer(self._asked, np.uint64, len(wire.ASKED))
        self._told_words = np.frombuffer(self._told, np.uint64, len(wire.TOLD))

    def say(self, **words: int) -> None:
        """Set words of Python's."""
        for name, value in words.items():
            self._asked_words[wire.ASKED.index(name)] = value

    def told(self, name: str) -> int:
        """A word of the process's."""
        return int(self._told_words[wire.TOLD.index(name)])

    def make_room(self, asked: int, told: int) -> None:
        """Make the files as large, if they are smaller."""
        sizes = [max(len(self._asked), asked), max(len(self._told), told)]
        if sizes != [len(self._asked), len(self._told)]:
            for file, size in zip(self._files, sizes, strict=True):
                os.ftruncate(file, size)
            self._map()
        self.say(bytes=sizes[0], told_bytes=sizes[1])

    def put_events(self, op: Any, slot: Any, size: Any) -> None:
        """Write what is to be run."""
        wire.put_events(self._asked, op, slot, size)

    def columns(self, names: list[str], events: int) -> dict[str, Any]:
        """The columns, of which the process has written the first ``told("done")`` entries."""
        return wire.columns_in(self._told, names, events)

    def complaint(self) -> str:
        """What it complains of, "" if nothing."""
        number = self.told("complaint")
        known = number < len(wire.COMPLAINTS) and wire.is_sealed(self._told_words)
        return wire.COMPLAINTS[number] if known else "harness"

    def holds(self, names: list[str], events: int, done: int) -> bool:
        """Whether the columns are as the process wrote them."""
        return done <= events and all(
            wire.sum_of(values[:done]) == self.told(f"sum_{name}")
            for name, values in self.columns(names, events).items()
        )

    def pairs(self, count: int) -> list[tuple[int, int]]:
        """What a walk has listed."""
        listed = np.frombuffer(self._told, np.uint64, 2 * count, wire.ARRAYS_AT)
        return [(int(a), int(b)) for a, b in listed.reshape(count, 2)]

    def output(self) -> str:
        """The end of what it printed."""
        return self._last_output().decode(errors="replace").strip()

    def _last_output(self) -> bytes:
        size = os.fstat(self._output).st_size
        return os.pread(self._output, _MOST_OUTPUT, max(0, size - _MOST_OUTPUT))

    def _drop_output(self) -> None:
        """All but the end of a lot of output; where it goes on to write is the same for both."""
        if os.fstat(self._output).st_size > _MOST_KEPT:
            last = self._last_output()
            os.ftruncate(self._output, 0)
            os.lseek(self._output, 0, os.SEEK_SET)
            os.write(self._output, last)

    # ------------------------------------------------------------------ what is asked

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def ask(
        self, command: bytes, on_wait: Callable[[], object] | None = None
    ) -> BaseException | None:
        """Have a command done.

        Returns
        -------
        BaseException or None
            What came meanwhile, of the keyboard or of `on_wait`: no further event was begun then.
            It is raised if the process did not answer any more.

        Raises
        ------
        Ended
        """
        if os.getpid() != self._pid:
            raise RuntimeError("this process was forked from the one that has the allocator")
        self._drop_output()
        self.say(stop=0)
        self._told_words[wire.TOLD.index("done")] = 0
        try:
            os.write(self._commands, command)
        except BrokenPipeError:
            raise self._gone() from None
        try:
            self._wait(on_wait)
        except Ended:
            raise
        except BaseException as error:
            self.say(stop=1)
            try:
                self._wait(None, min(_GRACE, self._timeout))
            except Ended:
                raise error from None
            return error
        return None

    def _wait(self, on_wait: Callable[[], object] | None, timeout: float | None = None) -> None:
        """Until it answers; it ends if it makes no progress for too long."""
        timeout = self._timeout if timeout is None else timeout
        seen, since = -1, self._now()
        # What it has started may have its pipes: its own end is looked for, too.
        ends = [self._replies, *([self._handle] if self._handle is not None else [])]
        while not (ready := _ready(ends, min(_LOOK, timeout / 4))):
            self._drop_output()
            if self.told("done") != seen:
                seen, since = self.told("done"), self._now()
            elif self._now() - since > timeout:
                text = f"made no progress for {timeout:g} s"
                _end(self._popen)
                raise Ended("stuck", text)
            if on_wait is not None:
                on_wait()
        if self._replies not in ready or os.read(self._replies, 1) == b"":
            raise self._gone()

    def _now(self) -> float:
        return time.monotonic()

    def _gone(self) -> Ended:
        _end(self._popen, patience=1)
        code = self._popen.returncode
        if code < 0:
            name = signal.strsignal(-code) or "unknown"
            return Ended("crash", f"died of {_signal_name(-code)} ({name})")
        return Ended("exit", f"ended the process: exit({code})")

    def close(self) -> None:
        """End it."""
        self._finalizer()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _end(popen: subprocess.Popen[bytes], patience: float = 0) -> None:
    """Ends the process, if it does not by itself, and all that it has started."""
    if popen.returncode is not None:
        return
    handle = _handle(popen.pid)
    try:
        if handle is not None:  # until it has ended, but before its number can be another's
            _ready([handle], patience)
            _close(handle)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def _ready(descriptors: list[int], seconds: float) -> set[int]:
    """Those that can be read, or have come to their end."""
    poll = select.poll()  # select() knows the first 1,024 alone
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}


def _handle(pid: int) -> int | None:
    """A descriptor that can be read once a process has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:  # it has, and nobody waits for children: SIGCHLD is ignored
        return None


def _finish(pid: int, popen: subprocess.Popen[bytes], descriptors: list[int]) -> None:
    for descriptor in descriptors:
        _close(descriptor)
    if os.getpid() == pid:
        _end(popen)
