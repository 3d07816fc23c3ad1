"""Programs that are made up, so that what their days need is known; and days given as lives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from rtosheap import Heap4, Trace
from rtosheap.sizing.minimum import smallest_size
from rtosheap.sizing.problem import SizingProblem
from rtosheap.traces.several import renamed

#: Microseconds of a day of these programs.
DAY = 300_000_000

Lives = Iterable[tuple[str, int, int, int]]


def from_lives(lives: Lives, *, end: int = DAY, **options: str) -> Trace:
    """A recording of blocks, each given as its task, birth, lifetime and size; what outlives the
    end is not freed, and the last event is a block of 8 bytes at `end`.
    """
    rows = []
    for number, (task, birth, age, size) in enumerate(lives):
        rows.append((birth, 1, "m", number, size, task))
        if birth + age < end:
            rows.append((birth + age, 0, "f", number, 0, task))
    rows.append((end, 1, "m", 10**9, 8, "end"))
    rows.sort(key=lambda row: row[:2])
    time, _, op, number, size, task = zip(*rows, strict=True)
    meta = {"time_unit": "us", **options}
    return Trace("".join(op), number, size, time=time, task=task, meta=meta)


def alike(trace: Trace, days: int) -> list[Trace]:
    """Days on which the same happens."""
    return [renamed(trace, f"day {number}") for number in range(days)]


def poisson_lives(
    rng: np.random.Generator, task: str, per_day: float, age: float, sizes: Iterable[int]
) -> Lives:
    """Blocks that come independently of one another and live exponentially long."""
    births = rng.uniform(0, DAY, rng.poisson(per_day)).astype(int)
    ages = 1 + rng.exponential(age, len(births)).astype(int)
    chosen = rng.choice(list(sizes), len(births))
    return [
        (task, int(birth), int(life), int(size))
        for birth, life, size in zip(births, ages, chosen, strict=True)
    ]


START = [("init", 0, 2 * DAY, 4096), ("init", 0, 2 * DAY, 3072)]


def poisson(rng: np.random.Generator) -> Trace:
    """Six independent tasks."""
    lives = list(START)
    for number, (per_day, age, sizes) in enumerate(
        [
            (400, 2e6, (16, 64, 100)),
            (60, 5e6, (512, 700)),
            (150, 1e6, (128,)),
            (25, 8e6, (1500,)),
            (10, 4e6, (3000,)),
            (300, 5e5, (40, 200)),
        ]
    ):
        lives += poisson_lives(rng, f"task{number}", per_day, age, sizes)
    return from_lives(lives)


def rare(rng: np.random.Generator) -> Trace:
    """A steady program, and a block of 6,000 bytes on one day of five."""
    lives = list(START)
    lives += poisson_lives(rng, "small", 300, 2e6, (16, 64, 100))
    lives += poisson_lives(rng, "medium", 60, 4e6, (512, 700))
    lives += poisson_lives(rng, "update", 0.2, 5e6, (6000,))
    return from_lives(lives)


def pool(rng: np.random.Generator) -> Trace:
    """Eight blocks of 1,000 bytes at the most, of which more are always wanted."""
    lives = list(START)
    until = np.zeros(8)
    for task, birth, age, size in sorted(poisson_lives(rng, "pool", 500, 6e6, (1000,))):
        place = int(until.argmin())
        if until[place] <= birth:
            until[place] = birth + age
            lives.append((task, birth, age, size))
    return from_lives(lives + list(poisson_lives(rng, "small", 200, 1e6, (40, 200))))


def heavy(rng: np.random.Generator) -> Trace:
    """Sizes of a Pareto distribution."""
    lives = list(START)
    for task in ("a", "b", "c"):
        for name, birth, age, _ in poisson_lives(rng, task, 150, 2e6, (1,)):
            lives.append((name, birth, age, int(min(64 * (1 + rng.pareto(2.2)), 200_000))))
    return from_lives(lives)


def bursts(rng: np.random.Generator) -> Trace:
    """Three bursts of blocks a day, of very different extent."""
    lives = START + list(poisson_lives(rng, "small", 300, 1e6, (40, 200)))
    for at in rng.uniform(0, DAY, rng.poisson(3)):
        for birth in at + rng.uniform(0, 2e6, 10 + rng.geometric(1 / 25)):
            if birth < DAY:
                age = 1 + int(rng.exponential(3e6))
                lives.append(("burst", int(birth), age, int(rng.choice((100, 300, 500)))))
    return from_lives(lives)


def regimes(rng: np.random.Generator) -> Trace:
    """Quiet times, and rushes in which all tasks have more to do."""
    lives, at = list(START), 0.0
    edges = [0.0]
    while at < DAY:
        for mean in (6e7, 1e7):
            at += rng.exponential(mean)
            edges.append(min(at, DAY))
    for task, quiet, rush, age, size in [
        ("small", 60, 1000, 1.5e6, 100),
        ("medium", 20, 400, 3e6, 300),
        ("large", 5, 80, 4e6, 1200),
    ]:
        for number, (begin, end) in enumerate(pairwise(edges)):
            count = rng.poisson((rush if number % 2 else quiet) * (end - begin) / DAY)
            births = rng.uniform(begin, end, count).astype(int).tolist()
            lives += [(task, at, 1 + int(rng.exponential(age)), size) for at in births]
    return from_lives(lives)


def apart(rng: np.random.Generator) -> Trace:
    """Three periodic tasks, in step from power-on, so that they never meet: all days need alike."""
    lives = list(START)
    for task, period, phase, age, size in [
        ("a", 10_000_000, 1_000_000, 2_000_000, 3000),
        ("b", 20_000_000, 4_000_000, 3_000_000, 2500),
        ("c", 40_000_000, 8_000_000, 1_500_000, 4000),
    ]:
        births = [at + int(rng.integers(100_000)) for at in range(phase, DAY, period)]
        lives += [(task, at, age, size) for at in births]
    return from_lives(lives)


PROGRAMS: dict[str, Callable[[np.random.Generator], Trace]] = {
    made.__name__: made for made in (poisson, rare, pool, heavy, bursts, regimes, apart)
}


def need(trace: Trace) -> int:
    """The smallest heap_4 that serves."""
    return smallest_size(SizingProblem(trace, Heap4, {}))
