"""Recorded traces and memory of crashed boards that come with the package, to try things on.

They were recorded by this project. The allocating code is real (lwIP, mbed TLS, cJSON, SQLite, the
FreeRTOS kernel and others); the drivers, scripts and inputs that exercised it were written for the
recording. They are not logs of shipped products. ``README.md`` beside this file lists them.
"""

from __future__ import annotations

from pathlib import Path

from rtosheap.traces import Trace
from rtosheap.traces.formats.streams import opened
from rtosheap.traces.formats.text import Header

__all__ = ["crash", "days", "describe", "load", "names", "path"]

_SUFFIX = ".trace.gz"


def names() -> tuple[str, ...]:
    """The names of the bundled traces, in alphabetical order.

    Examples
    --------
    >>> names()[:3]
    ('cjson-docs', 'coap-server', 'expat-upnp')
    """
    here = Path(__file__).parent
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in here.glob(f"*{_SUFFIX}")))


def path(name: str) -> Path:
    """The file of a bundled trace, in the text format, compressed with gzip.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Raises
    ------
    ValueError
        If there is no such trace; it lists those that there are.

    Examples
    --------
    >>> path("lwip-3cli").name
    'lwip-3cli.trace.gz'
    """
    if name not in names():
        raise ValueError(f"name is {name!r}; the bundled traces are {', '.join(names())}")
    return Path(__file__).with_name(name + _SUFFIX)


def load(name: str) -> Trace:
    """A bundled trace.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Raises
    ------
    ValueError
        If there is no such trace; it lists those that there are.

    Examples
    --------
    >>> load("lwip-3cli")
    <Trace 'lwip-3cli': 17288 events (8722 malloc, 0 realloc, 8566 free)>
    """
    return Trace.load(path(name))


def days(firmware: str) -> list[Trace]:
    """Recordings of the same firmware from power-on, each with other inputs and arrivals.

    Parameters
    ----------
    firmware : str
        ``"gateway"`` (sensors to MQTT), ``"server"`` (HTTP, a task for each connection) or
        ``"recorder"`` (samples to a flash file system).

    Returns
    -------
    list of Trace
        Five "days" of four to six minutes.

    Raises
    ------
    ValueError
        If there is no such firmware; it lists those that there are.

    Examples
    --------
    >>> [day.name for day in days("server")][:2]
    ['server-seed001', 'server-seed002']
    """
    files = sorted((Path(__file__).parent / "days").glob(f"*{_SUFFIX}"))
    mine = [file for file in files if file.name.rpartition("-")[0] == firmware]
    if not mine:
        known = sorted({file.name.rpartition("-")[0] for file in files})
        raise ValueError(f"firmware is {firmware!r}; there are days of {', '.join(known)}")
    return [Trace.load(file) for file in mine]


def describe(name: str) -> str:
    """Where a bundled trace comes from, and what is in it, from its header.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    str
        One ``key: value`` line each: name, source, workload, recorded, abi, licence, and counts.

    Raises
    ------
    ValueError
        If there is no such trace; it lists those that there are.

    Examples
    --------
    >>> print(describe("coap-server").splitlines()[1])
    source: Debian 12, libcoap3-bin 4.3.1-1 armhf (coap-server-notls -d 20)
    """
    with opened(path(name)) as (stream, _):
        meta = Header(stream, strict=True).meta
    return "\n".join(f"{key}: {value}" for key, value in meta.items())


def crash(heap: str = "heap_4") -> tuple[Path, Path]:
    """The memory of a board whose heap was written over, and the firmware that ran there.

    A small application over one of rtosheap's drop-in files, on a Cortex-M4 in QEMU, wrote 44 bytes
    into a block of 40. Its tasks and their lists are made up: no kernel ran.

    Parameters
    ----------
    heap : {"heap_4", "heap_5"}
        Which heap it has; that of heap_5 has two regions.

    Returns
    -------
    memory, elf : Path
        The RAM, as a core file such as gdb's ``rtosheap dump`` writes, and the ELF with its symbols
        and the types of its variables.

    Raises
    ------
    ValueError
        If there is none of such a heap; it lists those that there are.

    Examples
    --------
    >>> from rtosheap.device import load_dump
    >>> from rtosheap.inspection import inspect
    >>> memory, elf = crash()
    >>> dump = load_dump(memory, 4, elf=elf)
    >>> report = inspect(dump.memory, base_address=dump.base_address, state=dump.state)
    >>> print(report.damage[0].suspicion)
    the block at 0x200003f8 before it was probably written 3 bytes past its end
    """
    folder = Path(__file__).parent / "crashes"
    known = sorted(file.stem for file in folder.glob("*.elf"))
    if heap not in known:
        raise ValueError(f"heap is {heap!r}; there are crashes of {', '.join(known)}")
    return folder / f"{heap}.core", folder / f"{heap}.elf"
