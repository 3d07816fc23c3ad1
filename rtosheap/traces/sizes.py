"""What a recorder means by a size, where it is not what a program requested: `meta["sizes"]`."""

from __future__ import annotations

#: The header key.
SIZES = "sizes"

REQUESTED = "as requested"
#: Sizes as a kernel's trace macros have them.
LOGGED = "as the kernel logs them: the block's, or the request with header and padding"
#: The same, where the recording itself shows which.
ADJUSTED = "as a kernel up to V11.1 logs them: the request with header and padding"

#: What begins the words for sizes that are as near to what was requested as they can be had.
NEAREST = "the largest requests that give the logged blocks"


_BETWEEN = " + "


def join_meanings(*meanings: str) -> str:
    """What sizes are in a trace that is put together from others."""
    return _BETWEEN.join(sorted({one for some in meanings for one in some.split(_BETWEEN)}))


def warn_of_sizes(meaning: str) -> str | None:
    """What a result must say that rests on sizes of such a meaning; None if there is nothing."""
    found = meaning.split(_BETWEEN)
    if LOGGED in found or ADJUSTED in found:
        return (
            f"sizes are {meaning}, so that a heap comes out larger than it need be: "
            "Trace.load(…, heap=…, kernel=…) or rtosheap convert --heap … --kernel … takes the "
            "header off"
        )
    nearest = any(one.startswith(NEAREST) for one in found)
    return f"sizes are {meaning}" if nearest else None
