"""A trace as C source, to run on a device."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rtosheap.traces.base import TraceBase

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_HEAD = """\
/* {title}: {events} events, up to {live} live blocks.
 * {function}() returns the index of the first event whose allocation failed, or -1 if none did. */
#include <stddef.h>
#include <string.h>

void *{malloc}(size_t size);
void {free}(void *block);
long {function}(void);

{table}long {function}(void)
{{
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
    slots, count = trace.slots
    title = (trace.name or "a trace").replace("*/", "* /").replace("\n", " ").replace("\\", "/")
    head = _HEAD.format(
        title=title,
        events=len(trace),
        live=trace.max_live_blocks,
        function=function,
        malloc=malloc,
        free=free,
        table=f"static void *block[{count}];\n\n" if count else "",
    )
    lines = _calls(trace, slots.tolist(), malloc, free)
    return head + "".join(f"    {line}\n" for line in lines) + "    return -1;\n}\n"


def _calls(trace: TraceBase, slots: list[int], malloc: str, free: str) -> Iterator[str]:
    sizes: dict[int, int] = {}
    for index, (event, slot) in enumerate(zip(trace, slots, strict=True)):
        block = f"block[{slot}]"
        if event.op == "f":
            yield f"{free}({block}); /* event {index} */"
            continue
        # A request for 0 bytes gives NULL, which is no failure, and may be freed.
        fails = f" == NULL) return {index};"
        if event.op == "m":
            call = f"{block} = {malloc}({event.size}u)"
            yield f"if (({call}){fails}" if event.size else f"{call}; /* event {index} */"
        else:
            yield "{"
            yield f"    void *moved = {malloc}({event.size}u); /* event {index} */"
            if event.size:
                yield f"    if (moved{fails}"
            kept = min(sizes[slot], event.size)
            if kept:
                yield f"    memcpy(moved, {block}, {kept}u);"
            yield f"    {free}({block});"
            yield f"    {block} = moved;"
            yield "}"
        sizes[slot] = event.size
