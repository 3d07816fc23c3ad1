"""What the calls of a trace cost, event by event."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtosheap.cortexm.targets import Cpu
from rtosheap.traces import Op, Trace

Ints = npt.NDArray[Any]

NAMES = {Op.MALLOC: "malloc", Op.REALLOC: "realloc", Op.FREE: "free"}


class Costs:
    """The instructions of each event, and what made the code."""

    trace: Trace
    heap: str
    instructions: Ints
    least_cycles: Ints | None
    most_cycles: Ints | None
    timing_source: str | None
    cpu: str
    optimize: str
    compiler: str
    flags: tuple[str, ...]

    def _count(self, costs: npt.NDArray[np.uint32], cpu: Cpu) -> None:
        """Take the rows of a run: instructions, and bounds of their cycles."""
        if costs.shape != (3, len(self.trace)):
            raise ValueError(
                f"costs has the shape {costs.shape}; it must be {(3, len(self.trace))}"
            )
        self.instructions = costs[0]
        self.least_cycles = self.most_cycles = self.timing_source = None
        if cpu.timing is not None:
            self.least_cycles, self.most_cycles = costs[1], costs[2]
            self.timing_source = cpu.timing.source
        self.cpu = cpu.name

    def of(self, op: Op) -> Ints:
        """The instructions of all events of one kind that called the heap."""
        chosen: Ints = self.instructions[self._calls(op)]
        return chosen

    def _calls(self, op: Op) -> Ints:
        """Which events are those."""
        return np.flatnonzero((self.trace.op == op) & (self.instructions > 0))

    def percentile(self, op: Op, percent: float) -> float:
        """The instructions that so many percent of a kind of event do not exceed (0 if none)."""
        values = self.of(op)
        return float(np.percentile(values, percent, method="higher")) if len(values) else 0.0

    def _facts(self) -> dict[str, Any]:
        """What was measured of which code, as plain values."""
        return {
            "heap": self.heap,
            "cpu": self.cpu,
            "optimize": self.optimize,
            "compiler": self.compiler,
            "flags": list(self.flags),
            "events": len(self.trace),
        }

    def _facts_of(self, op: Op) -> dict[str, Any] | None:
        """The numbers of one kind of event, if there are any."""
        values, chosen = self.of(op), self._calls(op)
        if not len(values):
            return None
        facts: dict[str, Any] = {
            "calls": len(values),
            "mean": float(values.mean()),
            "median": self.percentile(op, 50),
            "percentile_99": self.percentile(op, 99),
            "most": int(values.max()),
            "most_event": int(chosen[values.argmax()]),
        }
        if self.least_cycles is not None and self.most_cycles is not None:
            facts["most_cycles_between"] = [
                int(self.least_cycles[chosen].max()),
                int(self.most_cycles[chosen].max()),
            ]
        return facts


def lines_of(facts: dict[str, Any], name: str) -> list[tuple[str, str]]:
    """The numbers of ``"malloc"``, ``"realloc"`` or ``"free"`` in words, if there are any."""
    if name not in facts:
        return []
    row = facts[name]
    text = (
        f"mean {row['mean']:,.1f}, median {row['median']:,.0f}, 99 % {row['percentile_99']:,.0f}, "
        f"most {row['most']:,} (event {row['most_event']:,})"
    )
    lines = [(f"{name}, instructions", text)]
    if "most_cycles_between" in row:
        least, most = row["most_cycles_between"]
        lines.append((f"{name}, most cycles", f"between {least:,} and {most:,}"))
    return lines
