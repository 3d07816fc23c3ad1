"""Integers as text that a browser unpacks: differences, in planes of bytes, deflated, in base64."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

#: A JavaScript number holds differences of such values exactly, folded ones too.
_LARGEST = 2**51 - 1


def pack(values: npt.NDArray[Any]) -> dict[str, Any]:
    """An array of integers for ``unpack()`` of ``viewer/unpack.js``.

    Parameters
    ----------
    values : ndarray of int, shape (n,)

    Returns
    -------
    dict
        ``n``, the values' number; ``width``, the bytes of each; ``delta``, whether they are
        differences; ``large``, null unless they are more than a JavaScript number holds, else
        ``"i"`` or ``"u"``: integers of 64 bits, with or without a sign, and differences of them
        modulo 2**64; and ``data``: the lowest bytes of all, then the next ones, and so on, of
        numbers that alternate in sign (0, -1, 1, -2, …), deflated, in base64.
    """
    whole = values.astype(np.int64)
    large = bool(whole.size) and not -_LARGEST <= int(values.min()) <= int(values.max()) <= _LARGEST
    plain, differences = _deflate(whole), _deflate(np.diff(whole, prepend=np.int64(0)))
    delta = len(differences[1]) < len(plain[1])
    width, data = differences if delta else plain
    text = base64.b64encode(data).decode("ascii")
    kind = values.dtype.kind if large else None
    return {"n": len(whole), "width": width, "delta": delta, "large": kind, "data": text}


def _deflate(values: npt.NDArray[np.int64]) -> tuple[int, bytes]:
    folded = ((values << 1) ^ (values >> 63)).astype("<u8")
    most = int(folded.max()) if folded.size else 0
    width = max((most.bit_length() + 7) // 8, 1)
    planes = folded.view(np.uint8).reshape(-1, 8)[:, :width].T
    return width, zlib.compress(planes.tobytes(), 9)
