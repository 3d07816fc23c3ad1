"""The 33 recorded traces: those that the package bundles, and the tests' own."""

from __future__ import annotations

import functools
from pathlib import Path

import rtosheap.data
from rtosheap.traces import Trace

_FOLDER = Path(__file__).parent / "data" / "traces"
_SUFFIX = ".trace.gz"
#: How many events each has; what is loaded must have as many.
EVENTS = {
    "ash-script": 10_082,
    "bc-pi": 140_792,
    "cbor-msgs": 97_725,
    "cjson-docs": 69_492,
    "cjson-docs64": 69_492,
    "cjson-tele": 90_046,
    "coap-server": 1_225,
    "duk-sort": 25_939,
    "expat-upnp": 12_028,
    "frtos-cm3-mixed": 43_660,
    "frtos-posix-mixed": 33_366,
    "gif-anim": 426,
    "jansson-cfg": 28_178,
    "jim-app": 33_308,
    "lua-json": 36_451,
    "lua-json64": 36_430,
    "lua-sched": 5_848,
    "lwip-1cli": 5_807,
    "lwip-3cli": 17_288,
    "lwip-3cli64": 17_042,
    "mosq-broker": 14_262,
    "mosq-pub": 4_831,
    "mujs-app": 38_143,
    "mujs-sort": 30_815,
    "png-decode": 294,
    "png-decode64": 294,
    "sqlite-log": 10_595,
    "sqlite-log-nola": 11_757,
    "sqlite-log-nola64": 11_889,
    "tls-client-ec": 150_016,
    "tls-client-rsa-resume": 22_166,
    "yaml-cfg": 24_608,
    "zlib-ota": 1_140,
}


def all_names() -> tuple[str, ...]:
    """The names of all of them, in alphabetical order."""
    return tuple(EVENTS)


def path(name: str) -> Path:
    """The file of one of them."""
    own = _FOLDER / (name + _SUFFIX)
    return own if own.exists() else rtosheap.data.path(name)


@functools.cache
def load(name: str) -> Trace:
    """One of them; loaded once per process, since a trace cannot be changed."""
    trace = Trace.load(path(name))
    assert len(trace) == EVENTS[name]
    return trace
