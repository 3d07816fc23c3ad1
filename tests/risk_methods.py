"""Methods for `assess` that workers import: they count, fail and die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from rtosheap import Trace

#: In the process that assesses: how often a `Counted` was pickled.
PICKLED: list[int] = []


def as_recorded(traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
    """One of the recordings."""
    return traces[int(rng.integers(len(traces)))]


class Counted:
    """`as_recorded`, and each time that it is pickled, here or in a worker, is noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
        return as_recorded(traces, rng)

    def __getstate__(self) -> dict[str, Path]:
        PICKLED.append(os.getpid())
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.folder = state["folder"]
        number = len(list(self.folder.iterdir()))
        (self.folder / f"{os.getpid()}-{number}").touch()


def first_number(seed: int, run: int) -> float:
    """The first random number of a run."""
    return float(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(run,))).random())


class Dies:
    """Ends the worker in one run, so many times, which are counted in a folder."""

    def __init__(self, folder: Path, run: int, times: int) -> None:
        self.folder, self.number, self.times = folder, first_number(0, run), times

    def __call__(self, traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
        if rng.random() == self.number:
            deaths = len(list(self.folder.iterdir()))
            if deaths < self.times:
                (self.folder / f"{deaths}").touch()
                os._exit(1)
        return traces[0]


class Raises:
    """Raises in one run."""

    def __init__(self, run: int, error: BaseException) -> None:
        self.number, self.error = first_number(0, run), error

    def __call__(self, traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
        if rng.random() == self.number:
            raise self.error
        return traces[0]


class Interrupts:
    """Sends the process that assesses the signal of Ctrl-C, in one run."""

    def __init__(self, run: int) -> None:
        self.number, self.parent = first_number(0, run), os.getpid()

    def __call__(self, traces: tuple[Trace, ...], rng: np.random.Generator) -> Trace:
        if rng.random() == self.number:
            os.kill(self.parent, signal.SIGINT)
        return traces[0]
