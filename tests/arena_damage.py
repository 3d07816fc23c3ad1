"""Ten ways in which a block is written where it should not be."""

from __future__ import annotations


def _overflow(data):
    return lambda a, b: (b.address, data, a.address)


#: How a dump is damaged, given two blocks that adjoin: where, by what, and who is to be blamed.
WAYS = {
    "a terminator": _overflow(b"\x01"),
    "2 bytes": _overflow(b"\xab\xcd"),
    "a link": _overflow(b"link"),
    "5 bytes": _overflow(b"12345"),
    "a header": _overflow(b"headline"),
    "20 bytes": _overflow(b"twenty bytes of text"),
    "40 bytes": _overflow(b"\xff" * 40),
    "zeros": lambda a, b: (b.address - 8, bytes(16), a.address),
    "an underflow of 2": lambda a, b: (b.payload - 2, b"\x11\x22", b.address),
    "an underflow of 4": lambda a, b: (b.payload - 4, b"\x31\x32\x33\x34", b.address),
}
