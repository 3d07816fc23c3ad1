"""The fuzzer of the readers: what it makes is changed files of every format, and some are traces.

Long runs are commands: see fuzz/RESULTS.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from fuzz import fuzz_readers
from needs import LAST_RESORT, ROOT

from rtosheap.traces import formats

HOW_LONG = ["--executions", "20000"]
if os.environ.get("CI") == "true":
    HOW_LONG += ["--seconds", "60"]


def fuzz(folder, *options):
    """What the fuzzer says, which ends well."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "fuzz" / "fuzz_readers.py", "--save", folder, *options],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_changed_files_of_every_format_read_as_every_format(tmp_path):
    said = fuzz(tmp_path, *HOW_LONG).splitlines()
    numbers = re.fullmatch(r"(\d+) executions, (\d+) traces, (\d+) MiB", said[-1])
    assert numbers is not None
    executions, traces, mebibytes = map(int, numbers.groups())
    assert executions >= 20_000
    assert traces > executions / 4
    assert mebibytes < 1024
    rows = [re.fullmatch(r"([\w ]+): ([\d,]+) traces, ([\d,]+) errors", row) for row in said[:-1]]
    counts = {row[1]: [int(n.replace(",", "")) for n in row.groups()[1:]] for row in rows if row}
    assert set(counts) == {"told by its content", *formats.NAMES}
    assert sum(map(sum, counts.values())) == executions
    for name, (read, refused) in counts.items():
        assert min(read, refused) > executions / 2000, name


def test_a_seed_says_what_a_run_is(tmp_path):
    first = fuzz(tmp_path, "--executions", "300", "--seed", "5").splitlines()[:-1]
    assert first == fuzz(tmp_path, "--executions", "300", "--seed", "5").splitlines()[:-1]
    assert first != fuzz(tmp_path, "--executions", "300", "--seed", "6").splitlines()[:-1]


@pytest.mark.filterwarnings("ignore::rtosheap.traces.TraceWarning")
def test_every_format_has_a_valid_file():
    found = fuzz_readers.seeds()
    assert {name for name, _ in found} == set(formats.NAMES) - {"recorder"}
    assert len(found) == 44
    for name, data in found:
        trace = fuzz_readers.load(data, name, strict=False)
        assert trace is not None
        alone = trace.loss.runtime_blocks > 0  # heaptrack's own, and no other yet
        assert len(trace) > 0 or alone or b"cjson.x64->free" in data


def test_what_only_the_boundary_catches_is_a_finding(monkeypatch, tmp_path):
    def read(stream, *, strict):
        if b"\xff" in stream.read():
            raise KeyError("found")
        raise formats.files.TraceError("refused")

    monkeypatch.setattr(fuzz_readers, "REFERENCES", {})
    for reader in formats.READERS:
        monkeypatch.setattr(reader, "read", read)
    with pytest.raises(fuzz_readers.Finding, match=r"only the boundary caught KeyError\('found'\)"):
        fuzz_readers.run(5000, 0, 0, (tmp_path / "finding").write_bytes)
    assert b"\xff" in (tmp_path / "finding").read_bytes()


def test_what_is_read_otherwise_is_a_finding(monkeypatch, tmp_path):
    monkeypatch.setitem(fuzz_readers.REFERENCES, "mtrace", fuzz_readers.REFERENCES["ltrace"])
    with pytest.raises(fuzz_readers.Finding, match="otherwise than in Python alone, as mtrace"):
        fuzz_readers.run(5000, 0, 0, (tmp_path / "finding").write_bytes)


def test_many_steps_are_a_finding(monkeypatch):
    data = b"= Start\n" + b"\r\n" * 15_000  # lines that are left to Python
    fuzz_readers.weigh(data, "mtrace", False)
    monkeypatch.setattr(fuzz_readers, "STEPS", 1)
    with pytest.raises(fuzz_readers.Finding, match="steps for 30,008 bytes"):
        fuzz_readers.weigh(data, "mtrace", False)
