"""A trace as C source, to run on a device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtosheap.trace import Trace

__all__ = ["to_c"]

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
    trace: Trace,
    *,
    function: str = "run_trace",
    malloc: str = "pvPortMalloc",
    free: str = "vPortFree",
) -> str:
    """Print a trace as C that makes the same calls in firmware.

    Parameters
    ----------
    trace : Trace
        One line or two of C for each event: cut what you need out of a long one.
    function : str
        Name of the function that makes the calls. ``long function(void)`` returns the index of
        the first event whose allocation failed, at which it stops, or -1.
    malloc, free : str
        What it calls. FreeRTOS has no realloc: one becomes malloc, memcpy, free.

    Returns
    -------
    str
        A translation unit of C99 that needs no header but the compiler's own.

    Raises
    ------
    ValueError
        A name that is no C identifier.

    Examples
    --------
    >>> from rtosheap import Trace
    >>> print(to_c(Trace.from_events([("m", 0, 100), ("f", 0)])).split("{")[1])
    <BLANKLINE>
        if ((block[0] = pvPortMalloc(100u)) == NULL) return 0;
        vPortFree(block[0]); /* event 1 */
        return -1;
    }
    <BLANKLINE>
    """
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


def _calls(trace: Trace, slots: list[int], malloc: str, free: str) -> Iterator[str]:
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
