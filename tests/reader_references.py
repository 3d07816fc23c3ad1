"""What each reader that has a part in C must say: the same as one in Python alone."""

from __future__ import annotations

import io

import csv_reference
import log_reference
import recorder_reference
import text_reference

from rtosheap.traces import TraceError, formats
from rtosheap.traces.formats.streams import Stream

#: Formats of logs, in lines.
LOGS = ("valgrind", "mtrace", "ltrace", "heaptrack", "freertos", "pigweed")
REFERENCES = {
    "text": text_reference,
    "csv": csv_reference,
    "recorder": recorder_reference,
    **{name: log_reference.reader(name) for name in LOGS},
}


def outcome(reader, data, strict):
    """All that reading says."""
    try:
        columns = reader.read(Stream(io.BytesIO(data)), strict=strict)
    except TraceError as error:
        return str(error), error.line, error.event
    except Exception as error:  # what the boundary makes a TraceError of
        return type(error), str(error)
    columns.freeze()
    arrays = {name: (column.dtype, column.tolist()) for name, column in columns.arrays().items()}
    where = columns.lines and [columns.lines.of(event) for event in range(len(columns.op))]
    rest = (columns.task_names, columns.meta, columns.dropped, columns.loss, columns.warnings)
    return arrays, where, *rest


def read(name, data, strict):
    """What the reader of a format says."""
    return outcome(formats.READERS[formats.NAMES.index(name)], data, strict)


def assert_same(name, data):
    """Assert that it is what the reference says."""
    for strict in (True, False):
        assert read(name, data, strict) == outcome(REFERENCES[name], data, strict)
