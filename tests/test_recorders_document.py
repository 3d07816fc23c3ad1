"""docs/recorders.md: every command in it runs, on a recording of the recorder that it is about."""

from __future__ import annotations

import gzip
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recorder_device
from needs import ROOT
from test_espidf import EVENTS, HEAD, TAIL
from workloads import random_trace

from rtosheap import Heap4, Trace

TEXT = (ROOT / "docs" / "recorders.md").read_text()
DATA = Path(__file__).parent / "data"
RECORDED = "recordings/{}.zst"
#: What the document calls the file of each recorder, and a recording of that recorder.
SAMPLES = {
    "stream.psf": RECORDED.format("tracerecorder-4.11.0-frtos-11.3.psf"),
    "ring.bin": RECORDED.format("tracerecorder-4.11.0-frtos-11.3-ring.bin"),
    "recording.SVDat": RECORDED.format("systemview-frtos-11.3-shift2.rtt.bin"),
    "EventRecorder.log": RECORDED.format("eventrecorder-frtos-11.3.log"),
    "events.json": RECORDED.format("eventrecorder-frtos-11.3.eventlist.json"),
    "valgrind.log": "recorders/valgrind/cjson-tele12.log",
    "ltrace.log": "recorders/ltrace/cjson-tele12.libc.log",
    "mtrace.log": "recorders/mtrace/cjson-tele12.log",
    "heaptrack.raw.zst": "recorders/heaptrack/cjson-tele12.raw.zst",
}
#: The beginning of a kernel's log.
KERNEL = gzip.decompress((DATA / "freertos-logs" / "cm3-mode0.log.gz").read_bytes()).splitlines()
KERNEL = KERNEL[:500]


def sections() -> Iterator[tuple[str, list[str]]]:
    """Each section, with the commands that it shows."""
    for section in re.split(r"^#+ ", TEXT, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
        yield section.partition("\n")[0], [line for one in blocks for line in one.splitlines()]


SHOWN = {title: commands for title, commands in sections() if commands}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return recorder_device.build("", tmp_path_factory.mktemp("host"))


def lay_out(title: str, request: pytest.FixtureRequest) -> None:
    """The files of a section, in this folder."""
    for name, sample in SAMPLES.items():
        Path(name).write_bytes((DATA / sample).read_bytes())
    Path("serial.log").write_bytes(b"\r\n".join([b"boot", *(b"[1] " + x for x in KERNEL), b""]))
    Path("glued.log").write_bytes(b"\n".join([b"boot", *(b"17ms" + x for x in KERNEL), b""]))
    Path("noisy.log").write_bytes(b"\n".join([*KERNEL[:9], b"M 0x20F 0x3", *KERNEL[9:], b""]))
    Path("heap.txt").write_text(HEAD + EVENTS + TAIL)
    Path("pigweed.txt").write_text("m 20 0x20004450  # malloc\nm 8 0x2000447c\nf 0x2000447c\n")
    if title.startswith("rtosheap's own"):
        device = request.getfixturevalue("device")
        device.start(recorder_device.BASE, ring=1 << 14)
        heap = Heap4(64 * 1024, base_address=recorder_device.BASE)
        device.record(random_trace(np.random.default_rng(1), 500), heap)
        Path("ram.bin").write_bytes(b"\1" * 64 + device.bytes())
    if title in ("On a PC", "The number"):
        name = "pc" if title == "On a PC" else "device"
        Trace("mmf", [0, 1, 0], [48, 30, 0]).save(f"{name}.trace.gz")


@pytest.mark.parametrize("title", SHOWN)
def test_its_commands_run(title: str, request: pytest.FixtureRequest, run: Any) -> None:
    lay_out(title, request)
    for line in SHOWN[title]:
        words = shlex.split(line)
        assert words[0] == "rtosheap", line
        done = run(*words[1:])
        assert done.status == 0, (line, done.err)
        if words[1] == "convert":
            assert int(re.findall(r": ([\d,]+) events", done.out)[0].replace(",", "")) > 1


def test_it_has_a_section_and_a_command_for_each_format() -> None:
    titles = re.findall(r"^##+ (.*)", TEXT, re.MULTILINE)
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    anchors = {re.sub(r"[^\w -]", "", title).replace(" ", "-").lower() for title in titles}
    assert set(links) <= anchors
    assert {line.split()[2] for lines in SHOWN.values() for line in lines} > set(SAMPLES)
    assert "docs/recorders.md" in (ROOT / "README.md").read_text()


def test_what_it_says_of_names_and_errors_is_so() -> None:
    headers = "".join(path.read_text() for path in (ROOT / "csrc" / "recorder").glob("*.h"))
    names = set(re.findall(r"\b(?:RHL|RHR|rhr)_\w+", TEXT))
    assert names
    assert names <= set(re.findall(r"\b\w+", headers))
    for name in re.findall(r"rh_\w+\.[ch]", TEXT):
        assert (ROOT / "csrc" / "recorder" / name).is_file(), name
    with pytest.raises(ValueError, match="which bytes of a request are pointers"):
        Trace("m", [0], [8]).what_if("pointer-size:4")
