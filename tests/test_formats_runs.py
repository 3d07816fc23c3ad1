"""Long runs of the same bytes: every reader comes to an end, and says what is wrong."""

from __future__ import annotations

import contextlib
import io

import pytest

from rtosheap.traces import Trace, TraceError
from rtosheap.traces.formats import READERS

FORMATS = [None, *(reader.NAME for reader in READERS)]
#: What the readers look for: repeated, it is what an expression could take in many ways.
WORDS = [
    b" \n", b"#\n", b"\r\n", b"\n \n", b"1\n", b"m 1 ", b"f ", b"@ ", b"@ (", b"= ", b") = ",
    b"a 1 ", b"v 1 ", b"op,", b"0x", b"M 0x1 ", b"malloc(", b"a->malloc(", b"<... malloc resumed> ",
    b"--1-- malloc(", b"==1== ", b"RHE1", b"RHRING1\0", b"PK\x03\x04",
]  # fmt: skip
BEFORE = [
    b"",
    b"m 1 2\n",
    b"@ a + 0x1 0x2\n",
    b"v 10000\n",
    b"# rtosheap-trace 1\n",
    b"op,id,size\n",
]


def load(data: bytes, name: str | None) -> None:
    with contextlib.suppress(TraceError):
        Trace.load(io.BytesIO(data), format=name, strict=False)


@pytest.mark.filterwarnings("ignore::rtosheap.traces.TraceWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_runs_of_every_byte(name: str | None) -> None:
    for byte in range(256):
        load(bytes([byte]) * 5000, name)


@pytest.mark.filterwarnings("ignore::rtosheap.traces.TraceWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_runs_of_words(name: str | None) -> None:
    for before in BEFORE:
        for word in WORDS:
            load(before + word * 1000, name)
