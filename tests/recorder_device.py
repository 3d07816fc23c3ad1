"""The recorder of csrc/recorder, compiled for this machine."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

from rtosheap import replay

BASE = 0x2000_0000


class Device:
    """The recorder, compiled for this machine."""

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))
        self._library.host_written.restype = ctypes.c_size_t
        self._library.host_started.restype = ctypes.c_bool
        self._library.host_start.argtypes = [
            ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_size_t
        ]  # fmt: skip
        self._library.host_event.argtypes = [
            ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32,
            ctypes.c_void_p,
        ]  # fmt: skip
        self._names = {}

    def start(self, base=BASE, meaning=0, overhead=0, ring=0):
        self._ring = ring
        self._buffer = ctypes.create_string_buffer(ring or 1 << 22)
        self._library.host_start(self._buffer, base, meaning, overhead, ring)

    def start_ring(self, size, fill=0):
        """A smaller ring in the same memory, which is filled before."""
        ctypes.memset(self._buffer, fill, self._ring)
        self._library.host_start(self._buffer, BASE, 0, 0, size)

    def ring_started(self):
        return bool(self._library.host_started())

    def event(self, kind, address, size=0, old=0, tick=0, task=None):
        name = ctypes.addressof(self._buffer_of(task)) if task else None
        self._library.host_event(ord(kind), address, size, old, tick, name)

    def _buffer_of(self, task):
        return self._names.setdefault(task, ctypes.create_string_buffer(task.encode()))

    def forget(self, task):
        self._library.host_forget(self._names[task])

    def rename(self, task, name):
        """Another task with the same handle, and a name that is no longer."""
        self._names[name] = self._names.pop(task)
        self._names[name].value = name.encode()

    def bytes(self):
        return self._buffer.raw[: self._ring or self._library.host_written()]

    def record(self, trace, heap):
        """All of a trace, as a heap serves it."""
        addresses = replay(trace, heap, record=("address",))["address"].tolist()
        times = [0] * len(trace) if trace.time is None else trace.time.tolist()
        names = [""] * len(trace) if trace.task is None else trace.task.tolist()
        where = {}
        for i, (event, address) in enumerate(zip(trace, addresses, strict=True)):
            old = where.get(event.id, 0)
            self.event(event.op, address, event.size, old, times[i], names[i])
            where[event.id] = address


def build(option, folder):
    """It, with this compiler option or none. What is undefined ends the process."""
    path = folder / "recorder.so"
    csrc, here = recorder_images.CSRC / "recorder", recorder_images.HERE
    recorder_images.run([
        tools.require("gcc"), "-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion",
        "-Wsign-conversion", "-Wcast-align", "-Wmissing-prototypes", "-Wshadow", "-Werror", "-fPIC",
        "-fsanitize=undefined,bounds-strict", "-fsanitize-undefined-trap-on-error", "-shared",
        f"-I{csrc}", f"-I{here}", '-DRHR_CONFIG_FILE="recorder_config.h"', *option.split(),
        csrc / "rh_recorder.c", here / "recorder_host.c", "-o", path,
    ])  # fmt: skip
    return Device(path)
