"""A trace as C source, to run on a device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from rtosheap.traces.base import TraceBase
from rtosheap.traces.doubts import doubts

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_HEAD = """\
/* {title}: {events} events, up to {live} live blocks.
 * {function}() returns the index of the first event whose allocation failed, or -1 if none did.
{doubts} */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *{malloc}(size_t size);
void {free}(void *block);
long {function}(void);

"""

_NOTHING = """\
long {function}(void)
{{
    return -1;
}}
"""

_TABLE = """\
{check}static void *{function}_blocks[{live}];

/* A word for each event: what it does, to which of the blocks, and how many bytes it requests; a
 * realloc is followed by the bytes that it keeps. */
#define M(block, size) (({word})(size) << {size_shift} | (block) << 2)
#define F(block) ((block) << 2 | 1)
#define R(block, size, kept) (({word})(size) << {size_shift} | (block) << 2 | 2), (kept)

static const {word} {function}_events[] = {{
{rows}}};

#undef M
#undef F
#undef R

long {function}(void)
{{
    const {word} *next = {function}_events;
    for (long event = 0; event < {events}; event++) {{
        const {word} word = *next++;
        void **block = &{function}_blocks[word >> 2 & {slot_mask}];
        const size_t size = (size_t)(word >> {size_shift});
        if ((word & 3) == 1) {{
            {free}(*block);
            continue;
        }}
        /* A request for 0 bytes may give NULL, which is no failure, and may be freed. */
        void *memory = {malloc}(size);
        if (memory == NULL && size != 0) return event;
{realloc}        *block = memory;
    }}
    return -1;
}}
"""

_REALLOC = """\
        if ((word & 3) == 2) {{
            const size_t kept = (size_t)*next++;
            if (kept != 0) memcpy(memory, *block, kept);
            {free}(*block);
        }}
"""

_CHECK = """\
#if SIZE_MAX < {largest}
#error "this trace requests more bytes than size_t can say"
#endif

"""


def to_c(
    trace: TraceBase,
    *,
    function: str = "run_trace",
    malloc: str = "pvPortMalloc",
    free: str = "vPortFree",
) -> str:
    """See :meth:`rtosheap.Trace.to_c`."""
    for name, value in (("function", function), ("malloc", malloc), ("free", free)):
        if not isinstance(value, str) or not _IDENTIFIER.match(value):
            raise ValueError(f"{name} is {value!r}; it must be a C identifier")
    live, largest = trace.max_live_blocks, trace.largest_request
    bits = max(live - 1, 0).bit_length()
    facts: dict[str, Any] = {
        "title": _comment(trace.name or "a trace"),
        "doubts": "".join(_warning(text) for text in doubts(trace, 4)),
        "events": len(trace),
        "live": live,
        "function": function,
        "malloc": malloc,
        "free": free,
    }
    head = _HEAD.format(**facts)
    if not live:
        return head + _NOTHING.format(**facts)
    return head + _TABLE.format(
        **facts,
        check=_CHECK.format(largest=largest) if largest >= 1 << 32 else "",
        word="uint32_t" if largest.bit_length() + bits <= 30 else "uint64_t",
        size_shift=2 + bits,
        slot_mask=f"0x{(1 << bits) - 1:x}",
        rows="".join(f"    {row}, /* {event} */\n" for event, row in enumerate(_rows(trace))),
        realloc=_REALLOC.format(**facts) if trace.reallocs else "",
    )


def _comment(text: str) -> str:
    """A text that can stand in a comment."""
    plain = text.replace("\n", " ").replace("\\", "/")
    return plain.replace("*/", "* /").replace("/*", "/ *")


def _warning(text: str) -> str:
    """Lines of the comment for something to know of the trace."""
    lines = wrap(_comment(f"Warning: {text}."), 96, break_on_hyphens=False)
    return "".join(f" * {line}\n" for line in lines)


def _rows(trace: TraceBase) -> Iterator[str]:
    """Each event; a block that was freed leaves its place to the next that is allocated."""
    places: dict[int, int] = {}
    sizes: dict[int, int] = {}
    left: list[int] = []
    for event in trace:
        if event.op == "f":
            left.append(places.pop(event.id))
            yield f"F({left[-1]})"
        elif event.op == "m":
            places[event.id] = left.pop() if left else len(places)
            yield f"M({places[event.id]}, {event.size})"
        else:
            kept = min(sizes[event.id], event.size)
            yield f"R({places[event.id]}, {event.size}, {kept})"
        sizes[event.id] = event.size
