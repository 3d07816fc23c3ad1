"""Numpy's own format: one array per column, compressed, without pickles.

Arrays: ``rtosheap_trace`` (the version, 1), ``op`` (uint8), ``id`` (int64), ``size`` (uint64);
where known ``time`` (int64), ``task_codes`` (int32, -1 for unknown) and ``task_names`` (UTF-8, a
newline between names, as uint8), ``recorded_address`` (uint64); ``meta`` (UTF-8 JSON, as uint8).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
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
from rtosheap.traces.formats.streams import DAMAGED, Stream
from rtosheap.traces.loss import Dropped, Loss, counts, from_counts
from rtosheap.traces.meta import check_meta

NAME = "npz"
HINT = "a zip file"

_VERSION = "rtosheap_trace"
_ADDRESS = "recorded_address"
_MISSING = "missing"
_UNUSED = 1024  # names beyond one for each event
_MAX_META = 1 << 24

_END_OF_ZIP, _ZIP_64 = b"PK\x05\x06", b"PK\x06\x07"
_MAX_DIRECTORY = 1 << 16
_ENCRYPTED = 1
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<>|](?:[iu][1248]|f[248]|b1|[SU][1-9]\d{0,3}))', 'fortran_order': False, "
    rb"'shape': \((?:(\d{1,18}),)?\), \} *+\n"
)


def sniff(head: bytes) -> bool:
    """Whether a file that begins so is a zip file."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read(stream: Stream, *, strict: bool) -> Columns:
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
            meta=_json(arrays["meta"].tobytes()),
        )
        if "time" in arrays:
            columns.time = integer_column(arrays["time"], "time", TIME_MIN, TIME_MAX, np.int64)
        if _MISSING in arrays:
            columns.loss, columns.dropped = _missing(_json(arrays[_MISSING].tobytes()))
        if _ADDRESS in arrays:
            columns.addresses = integer_column(arrays[_ADDRESS], _ADDRESS, 0, SIZE_MAX, np.uint64)
        if "task_codes" in arrays:
            names = arrays["task_names"].tobytes()
            if names.count(b"\n") > len(columns.op) + _UNUSED:
                raise TraceError("task_names holds more names than there are events")
            columns.task_names = tuple(names.decode().split("\n")) if names else ()
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


def _arrays(stream: Stream) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an archive, none of which is made before its size is known to be right."""
    data = stream.read()
    try:
        _check_directory(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            stream.check_unpacked(sum(member.file_size for member in members))
            return {
                member.filename.removesuffix(".npy"): _array(_unpacked(archive, member))
                for member in members
            }
    except TraceError:
        raise
    except (*DAMAGED, zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise _foreign(str(error)) from None


def _foreign(why: str) -> TraceError:
    return TraceError(f"is no .npz file of plain arrays: {why}")


def _check_directory(data: bytes) -> None:
    """Refuse a list of members that is too long for a trace's: each is an object in memory."""
    end = data.rfind(_END_OF_ZIP)
    size = int.from_bytes(data[end + 12 : end + 16], "little")
    if end >= 0 and (size > _MAX_DIRECTORY or data[max(0, end - 20) : end].startswith(_ZIP_64)):
        raise _foreign("its list of members is too long")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, as many as it says."""
    if member.flag_bits & _ENCRYPTED:
        raise _foreign(f"{member.filename[:40]!r} is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _foreign(f"{member.filename[:40]!r} is packed by method {member.compress_type}")
    with archive.open(member) as file:
        return file.read(member.file_size)  # with no size given, it would unpack past that


def _array(data: bytes) -> npt.NDArray[Any]:
    """The array of a .npy file as numpy writes plain ones; no header is evaluated."""
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data, 10, start) if data.startswith(_MAGIC) else None
    if header is None:
        raise _foreign(f"the array {data[:80]!r} has not one dimension of plain elements")
    dtype = np.dtype(header[1].decode())
    count = 1 if header[2] is None else int(header[2])
    if dtype.itemsize == 0 or dtype.itemsize * count != len(data) - start:
        raise _foreign(f"{len(data) - start:,} bytes for {count:,} elements of {dtype.itemsize}")
    array = np.frombuffer(data, dtype, offset=start)
    return array.reshape(()) if header[2] is None else array


def _json(text: bytes) -> Any:
    if len(text) > _MAX_META:
        raise TraceError(f"meta has {len(text):,} bytes; it must be {_MAX_META:,} at most")
    try:
        return json.loads(text.decode())
    except RecursionError:
        raise TraceError("meta is no object of texts") from None


def _missing(found: Any) -> tuple[Loss, Dropped]:
    """What the file says is missing of the trace: counts by kind."""
    good = isinstance(found, dict) and all(
        type(count) is int and 0 <= count < 1 << 63 for count in found.values()
    )
    try:
        return from_counts(found if good else {"?": 0})
    except KeyError:
        raise TraceError("missing is no object of counts by kind") from None


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
    lacks = counts(trace.loss, trace.dropped)
    if lacks:
        arrays[_MISSING] = np.frombuffer(json.dumps(lacks).encode(), dtype=np.uint8)
    if trace.task_codes is not None:
        arrays["task_codes"] = trace.task_codes
        arrays["task_names"] = np.frombuffer("\n".join(trace.task_names).encode(), dtype=np.uint8)
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
