"""The how-to pages of docs/, gone through from top to bottom as a reader does: each block that is a
file is written, each command runs, and prints what the page says.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctools
import pytest
from foreign_libraries import SOURCES, has_bits
from how_tos import DOCS, Block, blocks, shown, written
from needs import LAST_RESORT, ROOT, missing, tool
from parts import few_of
from test_documents import STEPS
from test_recorders_document import SHOWN

from rtosheap import Heap4
from rtosheap.cli import COMMANDS, _load, _parser
from rtosheap.inspection import inspect

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import tools

#: What no machine of ours can do, and why. Its part that is rtosheap's is held to its parser.
NOT_RUN = {
    'arm-none-eabi-gdb -x "$(rtosheap gdb-script)" firmware.elf': (
        "a reader's gdb, board and firmware: test_gdb_session.py has gdb on boards in QEMU"
    ),
    "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/rtosheap demo": (
        "what the README begins with; it needs an index of packages, as test_wheel.py does"
    ),
}
#: How a command begins that takes long, or needs a compiler for a device or QEMU.
LONG = (
    "pytest", "python days.py", "python on_dask.py", "rtosheap assess", "rtosheap cortexm",
    "rtosheap report", "sbatch",
)  # fmt: skip
#: What takes long elsewhere in a line, or in a block of Python.
LONG_WORDS = ("--elf", "--probability", "libtlsf.so", "rtosheap.cortexm")
#: Programs that a reader of the page has, and this machine has not.
SBATCH = '#!/bin/bash\nSLURM_CPUS_PER_TASK=2 SLURM_ARRAY_TASK_ID=2 bash "$1"\n'
SRUN = '#!/bin/bash\n"$@" &\n"$@" &\nwait\n'


# ------------------------------------------------------------------ what a page's reader has


def _allocator(folder: Path, everything: bool) -> None:
    """A stand-in for TLSF, and the page's adapter for it."""
    if not everything:
        return
    if not has_bits(32):
        missing("gcc -m32 (gcc-multilib)")
    tools.require_module("unicorn", "unicorn")
    tools.require("arm-none-eabi-gcc")
    stand_ins = SOURCES / "stand_ins"
    for header in stand_ins.glob("*.h"):
        shutil.copy(header, folder)
    (folder / "tlsf.c").write_text(f'#include "{stand_ins / "stand_in.c"}"\n')
    (adapter,) = [b.text for b in blocks("allocator.md", "c") if '"tlsf.h"' in b.text]
    (folder / "adapter.c").write_text(adapter)


def _cluster(folder: Path, everything: bool) -> None:
    """Stand-ins for SLURM's two commands, and recordings."""
    if everything:
        tools.require_module("distributed", "distributed")
    (folder / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "traces").mkdir()
    for path in sorted((ROOT / "rtosheap" / "data" / "days").glob("gateway*"))[:2]:
        shutil.copy(path, folder / "traces")


def _crash_dump(folder: Path, everything: bool) -> None:
    """The RAM of a board in QEMU, and its firmware."""
    if not everything:
        return
    import device_images

    from rtosheap.device import Target, load_symbols

    tools.require_module("elftools", "pyelftools")
    image = device_images.own(folder, 4)
    at = {name: value for name, (value, _) in load_symbols(image).table.items()}
    spans = ((0x2000_0000, 0x2000_2000), (at["rh_data_start"], at["rh_bss_end"]))
    ram = bytearray(spans[-1][1] - 0x2000_0000)
    with device_images.Machine(image) as machine, Target(machine.where) as target:
        for start, end in spans:
            read = target.read(start, end - start)
            assert read is not None
            ram[start - 0x2000_0000 : end - 0x2000_0000] = read
    (folder / "dump.bin").write_bytes(ram)
    image.rename(folder / "firmware.elf")


PAGES: dict[str, Callable[[Path, bool], None] | None] = {
    "allocator.md": _allocator,
    "cluster.md": _cluster,
    "crash-dump.md": _crash_dump,
    "gate.md": None,
}
#: How many commands and blocks of Python run of each: those that are quick, and all.
RAN = {
    "allocator.md": (2, 7),
    "cluster.md": (1, 7),
    "crash-dump.md": (4, 5),
    "gate.md": (9, 13),
}
#: What test_recorders_document.py, test_documents.py and test_drop_in_page.py run.
ELSEWHERE = {
    *(line for lines in SHOWN.values() for line in lines),
    *(line for line, _ in STEPS),
    *shown("drop-in.md"),
}


# ------------------------------------------------------------------ the play


class Play:
    """A reader at work in a folder; `everything`: what takes long, too."""

    def __init__(self, folder: Path, run: Any, capfd: Any, everything: bool) -> None:
        self.folder, self.run, self.capfd, self.everything = folder, run, capfd, everything
        self.said: str | None = None  # by the block before
        self.ran = 0

    def block(self, block: Block) -> None:
        if block.language == "text":
            if block.follows and self.said is not None:
                printed = self.said.splitlines()
                assert [x for x in block.lines if x not in printed] == [], self.said
            return
        self.said = None
        if block.file is not None:
            path = written(self.folder, block)
            if block.language == "yaml":
                self.pipeline(path)
        elif block.language == "sh":
            self.shell(block)
        elif block.language == "python" and self.wanted(block.text):
            self.capfd.readouterr()
            exec(compile(block.text, "page", "exec"), {"__name__": "page"})
            self.said = self.capfd.readouterr().out
            self.ran += 1

    def wanted(self, text: str) -> bool:
        long = text.startswith(LONG) or any(word in text for word in LONG_WORDS)
        return self.everything or not long

    def shell(self, block: Block) -> None:
        if all(line.startswith("rtosheap ") for line in block.lines):
            self.said = "".join(self.rtosheap(line) for line in block.lines)
        elif self.wanted(block.text):
            self.said = self.bash(block.text)

    def rtosheap(self, line: str) -> str:
        """A line of its own is called here, without a new process."""
        if not self.wanted(line):
            return ""
        status = re.search(r"# exit status (\d)", line)
        words = [
            name
            for word in shlex.split(line, comments=True)[1:]
            for name in (sorted(glob.glob(word)) if "*" in word else [word])
        ]
        done = self.run(*words)
        assert done.status == int(status[1] if status else 0), (line, done.out, done.err)
        if "-o" in words:
            assert (self.folder / words[words.index("-o") + 1]).stat().st_size > 1000
        self.ran += 1
        return str(done.out)

    def bash(self, text: str) -> str:
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, capture_output=True,
            text=True, env={**os.environ, "PATH": ":".join(path)}, timeout=LAST_RESORT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        self.ran += 1
        return done.stdout

    def pipeline(self, path: Path) -> None:
        """The commands of a pipeline; what they are to install is here."""
        try:
            import yaml
        except ImportError:
            missing("pyyaml (pip install distributed)")
        job = yaml.safe_load(path.read_text())
        job = job.get("jobs", job)["heap"]
        lines = job.get("script") or [step["run"] for step in job["steps"] if "run" in step]
        assert "pip install ./rtosheap" in lines
        assert len(lines) >= 3
        for line in lines:
            if line != "pip install ./rtosheap":
                self.rtosheap(line)


@pytest.mark.parametrize(
    ("name", "everything"),
    few_of(
        [(name, everything) for everything in (False, True) for name in PAGES],
        [(name, False) for name in PAGES],
    ),
)
def test_a_page(name: str, everything: bool, tmp_path: Path, run: Any, capfd: Any) -> None:
    lay_out = PAGES[name]
    if lay_out is not None:
        lay_out(tmp_path, everything)
    play = Play(tmp_path, run, capfd, everything)
    for block in blocks(name):
        play.block(block)
    assert play.ran == RAN[name][everything]
    if name == "cluster.md" and everything:
        made = {path.name for path in tmp_path.rglob("*.json")}
        assert made == {"risk.json", "gateway-002.trace.gz.json"}


# ------------------------------------------------------------------ nothing is left out


def test_every_command_line_runs_in_some_test() -> None:
    for path in sorted(DOCS.glob("*.md")):
        if path.name in PAGES:
            continue
        left = set(shown(path.name)) - ELSEWHERE - set(NOT_RUN)
        assert not left, path.name
    every = {line for path in DOCS.glob("*.md") for line in shown(path.name)}
    assert set(NOT_RUN) <= every
    assert len(every) > 50


def test_what_does_not_run_is_at_least_said_right() -> None:
    for line in NOT_RUN:
        (words,) = re.findall(r"rtosheap ([\w-]+)((?: [^)\"]*)?)", line)
        assert words[0] in COMMANDS
        _parser.parser_of(words[0], _load(words[0])).parse_args(shlex.split(words[1]))


#: What C of the documents needs of other people's software, none of which is here.
OTHERS = ("trcRecorder.h", "SEGGER_SYSVIEW.h", "freertos_evr.h", "esp_heap_trace.h")
#: By what stands in it, C that other tests look at: test_foreign_page.py, test_drop_in_page.py,
#: test_references.py.
COMPILED = ("rh_foreign.h", "rh4_malloc", "heap_4_rtosheap.c", "mixed")
#: And that is compiled here: as the kernel's configuration, and as a file beside a kernel.
COMPILES = ("rh_log.h", "rh_recorder_wrap.h")


def test_all_c_compiles(tmp_path: Path) -> None:
    every = [block.text for path in sorted(DOCS.glob("*.md")) for block in blocks(path.name, "c")]
    seen = [word for text in every for word in (*OTHERS, *COMPILED, *COMPILES) if word in text]
    assert len(seen) == len(every) == 12
    (config,), (program,) = ([x for x in every if word in x] for word in COMPILES)
    told = "int my_printf(const char *format, ...);\nunsigned long xTaskGetTickCount(void);\n"
    (tmp_path / "config.h").write_text(told + config)
    (tmp_path / "program.c").write_text(program)
    csrc, folder = ROOT / "csrc", f"-I{ROOT / 'csrc' / 'recorder'}"
    task = [f"-I{ROOT / 'tests' / 'firmware' / 'tasks'}", '-DRHR_CONFIG_FILE="rh_recorder_task.h"']
    task += ["-DRHR_WRAP_FREERTOS=1", "-DTEST_MAJOR=11", "-DTEST_MINOR=3"]
    task += ["-DINCLUDE_xTaskGetCurrentTaskHandle=1"]
    kernel = [f"-I{csrc / 'cortexm' / 'kernel'}", f"-I{tmp_path}", '-DTEST_CONFIG_FILE="config.h"']
    gcc = [tool("gcc"), "-c", "-Wall", "-Werror", folder, "-o", tmp_path / "made.o"]
    ctools.run([*gcc, *kernel, csrc / "freertos" / "heap_4.c"])
    ctools.run([*gcc, *task, tmp_path / "program.c"])


def test_headers_that_were_damaged_are_what_the_page_calls_them() -> None:
    text = (DOCS / "crash-dump.md").read_text()
    rows = dict(re.findall(r"^\| `((?:\w\w ){7}\w\w)` \| (.*) \|$", text, re.MULTILINE))
    assert len(rows) == 6
    sounds = {row for row, said in rows.items() if said.startswith("sound")}
    for row, said in rows.items():
        blocks_of = (256, 96, 192, 128) if row[12:14] == "c8" else (256, 96, 96, 128)
        heap = Heap4(8192, base_address=0x2000_0400)
        payloads = [heap.malloc(size) for size in blocks_of]
        if blocks_of[2] == 192:
            heap.free(payloads[2])
        memory = bytearray(heap.memory)
        at = payloads[2] - 8 - 0x2000_0400
        assert memory[at : at + 8].hex(" ") in sounds
        memory[at : at + 8] = bytes.fromhex(row)
        damage = inspect(bytes(memory), "heap_4", base_address=0x2000_0400).damage
        how = {"past its end": "overflow", "before its start": "underflow"}
        expected = [kind for words, kind in how.items() if words in said]
        assert [one.how for one in damage][:1] == expected
