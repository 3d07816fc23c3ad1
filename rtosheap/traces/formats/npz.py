"""Numpy's own format: one array per column, compressed, without pickles.

Arrays: ``rtosheap_trace`` (the version, 1), ``op`` (uint8), ``id`` (int64), ``size`` (uint64);
where known ``time`` (int64), ``task_codes`` (int32, -1 for unknown) and ``task_names`` (UTF-8, a
newline between names, as uint8), ``recorded_address`` (uint64); ``meta`` (UTF-8 JSON, as uint8).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rtosheap.traces.base import TraceBase
from rtosheap.traces.columns import (
    ID_MAX,
    SIZE_MAX,
    TIME_MAX,
    TIME_MIN,
    Columns,
    integer_column,
    names_in_use,
    op_column,
    valid_task,
)
from rtosheap.traces.errors import TraceError
from rtosheap.traces.meta import check_meta

NAME = "npz"
HINT = "a zip file"

_VERSION = "rtosheap_trace"
_ADDRESS = "recorded_address"


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is a zip file."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read(stream: BinaryIO, *, strict: bool) -> Columns:
    """Read the arrays; see :class:`~rtosheap.traces.formats.Reader`."""
    arrays = _arrays(stream)
    version = arrays.get(_VERSION)
    if version is None:
        raise TraceError(f"holds no array {_VERSION!r}, so it was not written by Trace.save")
    if version.shape != () or version != 1:
        raise TraceError(f"the version is {version}; this reads version 1")
    missing = [name for name in ("op", "id", "size", "meta") if name not in arrays]
    if missing:
        raise TraceError(f"holds no array {missing[0]!r}")
    try:
        columns = Columns(
            op=op_column(arrays["op"]),
            id=integer_column(arrays["id"], "id", 0, ID_MAX, np.int64),
            size=integer_column(arrays["size"], "size", 0, SIZE_MAX, np.uint64),
            meta=json.loads(arrays["meta"].tobytes().decode()),
        )
        if "time" in arrays:
            columns.time = integer_column(arrays["time"], "time", TIME_MIN, TIME_MAX, np.int64)
        if _ADDRESS in arrays:
            columns.addresses = integer_column(arrays[_ADDRESS], _ADDRESS, 0, SIZE_MAX, np.uint64)
        if "task_codes" in arrays:
            names = arrays["task_names"].tobytes().decode()
            columns.task_names = tuple(names.split("\n")) if names else ()
            high = len(columns.task_names) - 1
            columns.task_codes = integer_column(
                arrays["task_codes"], "task_codes", -1, high, np.int32
            )
        _check(columns)
    except TraceError:
        raise
    except (TypeError, KeyError, ValueError) as error:
        raise TraceError(f"an array is not as Trace.save writes it: {error}") from None
    return columns


def _arrays(stream: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(stream.read()), allow_pickle=False) as archive:
            return dict(archive)
    except (zipfile.BadZipFile, ValueError, EOFError, zlib.error, OSError, KeyError) as error:
        raise TraceError(f"is no .npz file of plain arrays: {error}") from None


def _check(columns: Columns) -> None:
    if not isinstance(columns.meta, dict):
        raise TraceError(f"meta is {columns.meta!r}; it must be an object")
    check_meta(columns.meta)
    lengths = {name: len(column) for name, column in columns.arrays().items()}
    if len(set(lengths.values())) != 1:
        raise TraceError(f"the arrays differ in length: {lengths}")
    if columns.task_codes is not None:
        if len(set(columns.task_names)) != len(columns.task_names):
            raise TraceError("task_names holds a name twice")
        for name in columns.task_names:
            if not valid_task(name):
                raise TraceError(f"task_names holds {name!r}, which is not a word")
        columns.task_codes, columns.task_names = names_in_use(
            columns.task_codes, columns.task_names
        )


def lost(trace: TraceBase) -> list[str]:
    """Nothing; see :class:`~rtosheap.traces.formats.Writer`."""
    return []


def write(trace: TraceBase, stream: BinaryIO) -> None:
    """Write the arrays; see :class:`~rtosheap.traces.formats.Writer`."""
    meta = json.dumps(dict(trace.meta), ensure_ascii=False)
    arrays: dict[str, npt.NDArray[Any]] = {
        _VERSION: np.array(1),
        "op": trace.op,
        "id": trace.id,
        "size": trace.size,
        "meta": np.frombuffer(meta.encode(), dtype=np.uint8),
    }
    if trace.time is not None:
        arrays["time"] = trace.time
    if trace.recorded_address is not None:
        arrays[_ADDRESS] = trace.recorded_address
    if trace.task_codes is not None:
        arrays["task_codes"] = trace.task_codes
        arrays["task_names"] = np.frombuffer("\n".join(trace.task_names).encode(), dtype=np.uint8)
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
