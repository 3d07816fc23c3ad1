"""What a free-list entry costs, so that nodes become instructions."""

from __future__ import annotations

from typing import NamedTuple


class Calibration(NamedTuple):
    """What an operation costs on a processor: a constant, and so much for each entry read.

    Attributes
    ----------
    malloc, free : (float, float)
        The constant and the cost of a free-list entry. A realloc costs both constants, and
        malloc's cost for each entry that it reads.
    unit : str
        What is counted, such as ``"instructions on a Cortex-M3"``.

    Examples
    --------
    >>> Calibration(malloc=(50, 6), free=(45, 5)).unit
    'instructions'
    """

    malloc: tuple[float, float]
    free: tuple[float, float]
    unit: str = "instructions"
