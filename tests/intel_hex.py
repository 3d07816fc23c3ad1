"""Intel HEX, written for the tests."""

from __future__ import annotations


def dump(base: int, data: bytes) -> str:
    """The records of one piece of memory."""

    def record(kind: int, address: int, body: bytes) -> str:
        whole = bytes([len(body)]) + address.to_bytes(2, "big") + bytes([kind]) + body
        return ":" + (whole + bytes([-sum(whole) & 0xFF])).hex().upper()

    lines, upper = [], -1
    for at in range(0, len(data), 16):
        address = base + at
        if address >> 16 != upper:
            upper = address >> 16
            lines.append(record(4, 0, upper.to_bytes(2, "big")))
        lines.append(record(0, address & 0xFFFF, data[at : at + 16]))
    return "\n".join([*lines, record(1, 0, b""), ""])
