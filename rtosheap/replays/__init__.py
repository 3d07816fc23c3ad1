"""A whole trace through a heap, in C and without the GIL, with what happened at each event."""

from rtosheap.replays._addresses import AddressCheck
from rtosheap.replays._pins import Pin
from rtosheap.replays._replay import replay
from rtosheap.replays.cost import Calibration
from rtosheap.replays.result import Replay
from rtosheap.replays.run import COLUMNS, DEFAULT_COLUMNS, FAILURES, Failure

__all__ = [
    "COLUMNS",
    "DEFAULT_COLUMNS",
    "FAILURES",
    "AddressCheck",
    "Calibration",
    "Failure",
    "Pin",
    "Replay",
    "replay",
]
