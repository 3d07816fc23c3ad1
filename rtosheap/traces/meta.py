"""A trace's header: its keys, and what they may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rtosheap.traces.errors import TraceError

#: A key in the text format's header.
META_KEY = re.compile(r"[^\s:]++")


#: The header key under which the text format writes a trace that has tasks but no times.
UNTIMED = "untimed"

#: And that of a trace whose lines end with the addresses that were recorded.
ADDRESSED = "addressed"

#: And that under which it writes what is missing of a trace, as ``kind=count`` words.
MISSING = "missing"

#: Why a recording is not whole where no count says it, in words.
INCOMPLETE = "incomplete"

#: That a log's own count says that no event is missing of it, in words.
ALL_COUNTED = "all_counted"

#: That a log's end is not marked, so that whether it was cut short is not known, in words.
UNENDED = "unended"

#: What a program's pointers were like where it was recorded: ``LP64 (x86-64, 8-byte pointers)``.
ABI = "abi"

#: Bytes that the changes of :func:`rtosheap.traces.changes.what_if` need outside the heap.
SET_ASIDE = "set_aside_bytes"

#: Bytes that a C++ runtime takes for itself before a program begins, on a 64-bit host.
RUNTIMES_BLOCK = 72_704


def check_meta(meta: Mapping[Any, Any]) -> None:
    """Raise unless every key and value can stand in the text format's header."""
    for key, value in meta.items():
        for what, text in (("key", key), ("value", value)):
            if not isinstance(text, str):
                raise TypeError(f"meta {what} {text!r} of {key!r} is not a str")
        if not META_KEY.fullmatch(key) or not encodes(key):
            raise TraceError(f"meta key {key!r} is not a word without blanks and colons")
        if value != value.strip() or "\n" in value or "\r" in value or not encodes(value):
            raise TraceError(
                f"meta[{key!r}] is {value!r}; it must be one line without blanks at its ends"
            )
    for key in (UNTIMED, ADDRESSED, MISSING):
        if key in meta:
            raise TraceError(f"meta key {key!r} is the text format's own; use another")


def set_aside_of(meta: Mapping[str, str]) -> int:
    """Bytes that are needed outside the heap; 0 where no change has said any."""
    text = meta.get(SET_ASIDE, "0")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"meta[{SET_ASIDE!r}] is {text!r}; it must be a number of bytes")
    return int(text)


def encodes(text: str) -> bool:
    """Whether UTF-8 can hold a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: Header keys that say what is in a trace; wrong as soon as it is cut or put together.
STATISTICS = frozenset(
    {
        "events",
        "allocs",
        "frees",
        "reallocs",
        "peak_live_bytes",
        "max_live_blocks",
        "never_freed",
        "never_freed_bytes",
        "zero_size_requests",
        "largest_request",
    }
)


def described(meta: Mapping[str, str]) -> dict[str, str]:
    """The keys that stay true when the events change."""
    return {key: value for key, value in meta.items() if key not in STATISTICS}
