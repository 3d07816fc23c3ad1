"""What a change of a trace is, and the words that texts of changes begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, TypeAlias, TypeVar

from rtosheap.traces.base import TraceBase

_Trace = TypeVar("_Trace", bound=TraceBase)


class Change(Protocol):
    """One thing that is different: what has these methods is a change.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> class Twice:
    ...     def apply(self, trace):
    ...         return trace.repeat(2), 0
    ...     def __str__(self):
    ...         return "twice"
    >>> Trace("mf", id=[0, 0], size=[8, 0]).what_if(Twice())
    <Trace: 4 events (2 malloc, 0 realloc, 2 free)>
    """

    def apply(self, trace: _Trace) -> tuple[_Trace, int]:
        """The trace as it would have been, and the bytes that this sets aside outside the heap."""

    def __str__(self) -> str:
        """The change as text, which :func:`parse_what_if` reads."""


#: From the words after the colon to a change; ValueError where they spell none.
Parser: TypeAlias = Callable[[Sequence[str]], "Change"]
_PARSERS: dict[str, tuple[Parser, str]] = {}
#: A change that replays, which a trace cannot know: it registers itself, and is loaded by name.
_REPLAYING = "rtosheap.sizing.apart"
#: Other packages that add changes name, in this group, the modules that register them.
_GROUP = "rtosheap.changes"
#: Why sizes are not turned into those of another machine.
_NO_POINTERS = (
    "a trace does not say which bytes of a request are pointers, so that nobody knows what it "
    "would be with others: record a 32-bit build (gcc -m32) or the device itself, or say the "
    "sizes that you know of both, as in resize:48=28"
)


def register(word: str, parse: Parser, form: str) -> None:
    """Add a change to those that a text can spell.

    Parameters
    ----------
    word : str
        What its text begins with, before the colon.
    parse : callable
        Takes the words after the colon, which commas separate; raises ValueError.
    form : str
        How the text is written, for the error that lists what there is.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> from rtosheap.traces.changes import Round, register
    >>> register("cache-lines", lambda words: Round((32,)), "cache-lines")
    >>> Trace("m", id=[0], size=[40]).what_if("cache-lines").size
    array([64], dtype=uint64)
    """
    _PARSERS[word] = parse, form


def parse_what_if(text: str) -> list[Change]:
    """The changes that a text spells, with ``;`` between them.

    Raises
    ------
    ValueError
        If it spells none.

    Examples
    --------
    >>> from rtosheap.traces.changes import parse_what_if
    >>> [str(change) for change in parse_what_if("static:size>=1K;in-place")]
    ['static:size>=1024', 'in-place']
    """
    return [_parse(part.strip()) for part in text.split(";") if part.strip()] or [_parse("")]


def _parse(text: str) -> Change:
    word, _, rest = text.partition(":")
    if word == "pointer-size":
        raise ValueError(f"what-if is {text!r}; {_NO_POINTERS}")
    words = [part.strip() for part in rest.split(",") if part.strip()]
    if word not in _PARSERS:
        import_module(_REPLAYING)
    broken = _load_registered() if word not in _PARSERS else []
    if word not in _PARSERS:
        forms = [form for _, form in _PARSERS.values()]
        known = f"it must be {', '.join(forms[:-1])} or {forms[-1]}"
        raise ValueError("; ".join([f"what-if is {text!r}", known, *broken]))
    try:
        return _PARSERS[word][0](words)
    except ValueError as error:
        raise ValueError(f"what-if {text!r}: {error}") from None


def _load_registered() -> list[str]:
    """Load what other packages add; the result says which of it cannot be loaded."""
    from importlib.metadata import entry_points  # slow to import

    broken = []
    for plugin in entry_points(group=_GROUP):
        try:
            plugin.load()
        except Exception as error:  # whatever a stranger's module does
            broken.append(f"{plugin.value} of the entry points {_GROUP} cannot be loaded: {error}")
    return broken


Change.__module__ = "rtosheap.traces.changes"  # where users import it from
