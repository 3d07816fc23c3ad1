"""Whether a replay gives the addresses that were recorded on the device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtosheap.replays.run import Array
from rtosheap.tables import record_text
from rtosheap.traces.base import TraceBase


class AddressCheck(NamedTuple):
    """A replay's addresses beside those of the recording, event by event.

    Examples
    --------
    >>> import io
    >>> from rtosheap import Heap4, Trace, replay
    >>> log = b"M 0x20000408 100 112 0\\nF 0x20000408 112 1\\n=2 0 900 1016\\n"
    >>> replay(Trace.load(io.BytesIO(log)), Heap4(1024)).check_addresses()
    AddressCheck(compared=2, equal=0, first=0, recorded=0x20000408, replayed=0x20000008,
                 offset=0x400)
    """

    compared: int
    """Events."""
    equal: int
    """Events whose block lies where it was recorded."""
    first: int | None
    """The first event of which that is not so; None if there is none."""
    recorded: int | None
    """Its address in the recording."""
    replayed: int | None
    """Its address in the replay, 0 where the allocation failed."""
    offset: int | None
    """What every address of the replay lacks to the recorded one, if it is the same for all."""

    def __repr__(self) -> str:
        return record_text(self, addresses=("recorded", "replayed", "offset"))


def compare_addresses(trace: TraceBase, replayed: Array) -> AddressCheck:
    """The check of a trace's replay, which gave these addresses."""
    recorded = trace.recorded_address
    if recorded is None:
        raise ValueError(
            "trace has no recorded addresses; the logs of recorders have them, and what is "
            "converted from those to .trace or .npz"
        )
    wrong = np.flatnonzero(recorded != replayed)
    equal = len(recorded) - len(wrong)
    if len(wrong) == 0:
        return AddressCheck(len(recorded), equal, None, None, None, None)
    first = int(wrong[0])
    here, there = int(recorded[first]), int(replayed[first])
    apart = recorded - replayed  # modulo 2**64
    same = equal == 0 and bool((apart == apart[0]).all())
    return AddressCheck(len(recorded), equal, first, here, there, here - there if same else None)


AddressCheck.__module__ = "rtosheap.replays"  # where users import it from
