"""Durations as people write them."""

from __future__ import annotations

import math
import re

#: Seconds of the units that a trace's time may have.
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_SPOKEN = {**_SECONDS, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ns|us|ms|s|min|h|d|w)")


def in_units(duration: int | float | str, unit: str | None) -> int:
    """A duration in a trace's unit of time.

    Parameters
    ----------
    duration : int, float or str
        A number in that unit, or such as ``"90s"``, ``"12h"``, ``"7d"``.
    unit : str or None
        The trace's; None where it has no times, and durations are numbers of events.

    Raises
    ------
    ValueError
        It is no duration, not positive, or written in seconds where the unit is not known in them.
    """
    if isinstance(duration, str):
        match = _WRITTEN.fullmatch(duration.strip())
        if match is None:
            raise ValueError(
                f"duration is {duration!r}; it must be a number and ns, us, ms, s, min, h, d or w, "
                "such as '7d'"
            )
        if unit not in _SECONDS:
            said = "the recordings have no times" if unit is None else f"time is in {unit}"
            what = "events" if unit is None else unit
            raise ValueError(
                f"duration is {duration!r}, but {said}: give the number of {what} instead"
            )
        value = float(match[1]) * _SPOKEN[match[2]] / _SECONDS[unit]
    else:
        try:
            value = float(duration)
        except OverflowError:
            value = math.inf
        except TypeError:
            raise TypeError(
                f"duration is {duration!r}; it must be a number, or a text such as '7d'"
            ) from None
    if not 1 <= value < 2**62:
        raise ValueError(
            f"duration is {duration!r}; it must be from 1 to 2**62 in the traces' unit, "
            f"{unit or 'events'}"
        )
    return round(value)


def spoken(duration: int, unit: str | None) -> str:
    """A duration for people."""
    if unit not in _SECONDS:
        return f"{duration:,} {unit or 'events'}"
    seconds = duration * _SECONDS[unit]
    name = next((name for name in ("d", "h", "min") if seconds >= 2 * _SPOKEN[name]), "s")
    return f"{seconds / _SPOKEN[name]:.3g} {name}"
