"""What can be wrong with a trace, and doubtful about one."""

from __future__ import annotations

from typing import Any


class TraceError(ValueError):
    """A trace, or a file that should hold one, is not valid.

    Parameters
    ----------
    reason : str
        What is wrong, and what would be right.
    event : int, optional
        Index of the event concerned.
    line : int, optional
        Number of the line concerned, from 1.
    path : str, optional
        The file.

    Attributes
    ----------
    reason, event, line, path
        As given.

    Examples
    --------
    >>> print(TraceError("no such op", line=3, path="a.trace"))
    a.trace, line 3: no such op
    """

    def __init__(
        self,
        reason: str,
        *,
        event: int | None = None,
        line: int | None = None,
        path: str | None = None,
    ) -> None:
        self.reason = reason
        self.event = event
        self.line = line
        self.path = path
        where = [] if path is None else [path]
        where += [] if line is None else [f"line {line}"]
        super().__init__(f"{', '.join(where)}: {reason}" if where else reason)

    def at(self, *, line: int | None, path: str | None) -> TraceError:
        """The same error with the place filled in where it was not known."""
        return TraceError(
            self.reason,
            event=self.event,
            line=line if self.line is None else self.line,
            path=path if self.path is None else self.path,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"event": self.event, "line": self.line, "path": self.path}
        return _rebuild_error, (self.reason, state)


def _rebuild_error(reason: str, place: dict[str, Any]) -> TraceError:
    return TraceError(reason, **place)


class TraceWarning(UserWarning):
    """Something about a trace is lost or doubtful, though it can be read or written.

    Examples
    --------
    Where nothing may be lost, it is made an error:

    >>> import warnings
    >>> from rtosheap import Trace
    >>> trace = Trace("m", id=[0], size=[8], task=["net"])
    >>> with warnings.catch_warnings(action="error", category=TraceWarning):
    ...     trace.save("mine.rep")
    Traceback (most recent call last):
    rtosheap.traces.TraceWarning: mine.rep: .rep cannot hold tasks
    """


for _type in (TraceError, TraceWarning):
    _type.__module__ = "rtosheap.traces"  # where users import them from
