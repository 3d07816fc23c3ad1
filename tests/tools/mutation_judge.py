"""What a mutant is put through: programs of tests/c, and test files on extensions of its own."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import mutation_forks
from mutants import Mutant, mutated

ROOT = Path(__file__).parent.parent.parent
COPIED = ("csrc", "rtosheap", "tests", "benchmarks", "docs", "README.md", "pyproject.toml")
#: Seconds of processor time, which a busy machine does not use up: several times what the code as
#: it is takes. A mutant that loops is stopped here, and so is killed. One that waits ends with the
#: last, which are seconds of the clock.
COMPILING, RUNNING, TESTING, WAITING = 300, 60, 600, 7200
#: Of a first look at all mutants, which puts off what takes longer.
HASTY = 60
#: Kibibytes that a process of the tests may have.
MEMORY = 8 * 2**20


class Target(NamedTuple):
    """Files, and what is to notice their mutants: the test files of each run of pytest."""

    files: tuple[str, ...]
    tests: tuple[tuple[str, ...], ...]
    marked: str = "not long"  # which of their tests
    compiled: bool = False  # is it in the extensions, and in the programs of tests/c?
    alone: bool = False  # does each of its .c compile without a kernel's headers?
    within: str = ""  # an option of the binaries that have it


class Binary(NamedTuple):
    """A program of tests/c, or an extension."""

    name: str
    options: str
    sources: tuple[str, ...]
    link: str = ""
    runs: tuple[str, ...] = ("",)
    extension: bool = False


#: In several runs of pytest, since most mutants are killed by the first.
HEAP_TESTS = (
    (
        "test_heaps_calls.py",
        "test_heaps_copies.py",
        "test_heaps_statistics.py",
        "test_replay.py",
        "test_heaps_damaged.py",
        "test_heaps_construction.py",
        "test_heap_pickles.py",
        "test_heap_snapshots.py",
    ),
    (
        "test_sizing.py",
        "test_layout.py",
        "test_heaps_memory.py",
        "test_heaps_host.py",
        "test_conformance.py",
        "test_conformance_kernels.py",
        "test_model_profiles.py",
        "test_metamorphic.py",
        "test_corruption.py",
        "test_corrupt_arenas.py",
        "test_stateful.py",
    ),
)
FORMAT_TESTS = (
    (
        "test_formats_text.py",
        "test_formats_csv.py",
        "test_formats_rep.py",
        "test_formats_npz.py",
        "test_formats_addresses.py",
        "test_importers*.py",
        "test_recorder_streams.py",
        "test_recorder_sync.py",
        "test_recorder_log.py",
        "test_doubts.py",
    ),
    (
        "test_formats_runs.py",
        "test_formats_files.py",
        "test_formats_hostile.py",
        "test_formats_fuzz.py",
    ),
)
TARGETS = {
    "host": Target(("csrc/host/*.[ch]",), HEAP_TESTS, "", compiled=True),
    "index": Target(
        ("csrc/core/rh_index.h", "csrc/core/rh_first_fit_index.h"),
        (("test_index.py", "test_index_edges.py"),),
        compiled=True,
        within="-DRH_INDEX=1",
    ),
    "core": Target(
        (
            "csrc/core/heap_*.[ch]",
            "csrc/core/rh_first_fit.h",
            "csrc/core/rh_first_fit_inspect.h",
            "csrc/core/rh_inspect.h",
            "csrc/core/rh_[!fi]*.h",
        ),
        HEAP_TESTS,
        "",
        compiled=True,
    ),
    "sizing": Target(
        ("rtosheap/sizing/*.py",),
        (
            (
                "test_sizing_edges.py",
                "test_sizing_parts.py",
                "test_sizing_words.py",
                "test_several.py",
                "test_plot_sizing.py",
                "test_what_if.py",
                "test_sizing.py",
                "test_compare.py",
            ),
        ),
    ),
    "replays": Target(
        ("rtosheap/replays/*.py",),
        (
            (
                "test_replay.py",
                "test_fragmentation.py",
                "test_formats_addresses.py",
                "test_pickles.py",
                "test_compare.py",
            ),
        ),
    ),
    "recorder": Target(
        ("csrc/recorder/*.[ch]",),
        (
            (
                "test_recorder_ring.py",
                "test_recorder_sync.py",
                "test_recorder_wrap.py",
                "test_recorder_log.py",
                "test_recorder_streams.py",
                "test_recorder_devices.py",
            ),
        ),
        "",
        alone=True,
    ),
    "freertos": Target(
        ("csrc/freertos/*.[ch]",),
        (
            ("test_dropins_calls.py", "test_dropins_regions.py"),
            ("test_dropins_kernels.py", "test_dropins.py"),
        ),
        "",
    ),
    "inspection": Target(
        ("rtosheap/inspection/*.py",),
        (
            (
                "test_inspect_extent.py",
                "test_inspect_verdicts.py",
                "test_inspect_depends.py",
                "test_inspect_reports.py",
                "test_inspect.py",
                "test_inspect_misread.py",
            ),
            (
                "test_inspect_kernels.py",
                "test_inspect_releases.py",
                "test_device*.py",
                "test_cli.py",
            ),
        ),
    ),
    "formats": Target(("rtosheap/traces/formats/*.py",), FORMAT_TESTS),
}
#: Of those, a test that takes minutes and tells nothing of its own.
LEFT_OUT = "tests/test_corruption.py::test_the_interpreter_survives_thousands"

HEAPS = tuple(f"csrc/core/heap_{n}.c" for n in range(1, 6))
HOST = tuple(f"csrc/host/{name}.c" for name in ("core_w32", "core_w64", "ops", "versions"))
REPLAY = "csrc/host/replay.c"
CORE = "tests/c/test_core.c"
PYTHON = "-fPIC -DPy_LIMITED_API=0x030B0000"
#: Of the programs, too: so what they have in common with the extension is compiled once.
HOSTED = f"-DRH_HOSTED=1 -DRH_CHECKS=2 {PYTHON}"


def folder(path: str) -> tuple[str, ...]:
    return tuple(str(found.relative_to(ROOT)) for found in sorted(ROOT.glob(f"{path}/*.c")))


BINARIES = (
    Binary(
        "indexed",
        "-DRH_HOSTED=1 -DRH_CHECKS=2 -DRH_INDEX=1 -DRH_INDEX_SIZE=520000 -DRH_INDEX_REGIONS=8",
        ("tests/c/test_index.c",),
        runs=("500 1 7",),
    ),
    Binary(
        "rules",
        "-DRH_HOSTED=1 -DRH_CHECKS=0 -fsanitize=address",
        ("tests/c/test_check.c", *HEAPS, "csrc/host/newlib_nano.c"),
    ),
    Binary("assertions", "-DRH_CHECKS=1 -DRH_PROTECTOR=1", (CORE, *HEAPS)),
    Binary("firmware", "-DRH_TWO_TO_A_TURN=0", (CORE, *HEAPS)),
    Binary("checked", "-DRH_CHECKS=2", (CORE, *HEAPS)),
    Binary("hosted", HOSTED, (CORE, *HOST)),
    Binary(
        "exhaustive",
        HOSTED,
        ("tests/c/exhaustive.c", *HOST),
        runs=tuple(f"{kind} 6 {word}" for kind in "245" for word in "48"),
    ),
    Binary(
        "_core",
        HOSTED,
        (*folder("csrc/python"), *HOST, REPLAY),
        "-shared -pthread",
        extension=True,
    ),
    Binary(
        "_formats",
        f"{PYTHON} -Icsrc/formats",
        folder("csrc/formats"),
        "-shared",
        extension=True,
    ),
    Binary(
        "_lab",
        PYTHON,
        ("csrc/host/versions.c", *folder("csrc/lab")),
        "-shared",
        extension=True,
    ),
)
#: The other ways in which the core is compiled: code that is the same in all of them is the same.
FIRMWARE = ("-DRH_CHECKS=1", "-DRH_PROTECTOR=1", "-DRH_HOSTED=1 -DRH_CHECKS=0", HOSTED)


def status_of(
    command: list[str], seconds: int, memory: int | None = None, **options: object
) -> int | None:
    """What the command ends with within these seconds of processor time; None: it does not."""
    limit = "" if memory is None else f"ulimit -v {memory};"
    limited = ["sh", "-c", f'ulimit -t {seconds}; {limit} exec "$@"', "sh", *command]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        limited,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    ) as started:
        try:
            status = started.wait(WAITING)
            return None if status in (-signal.SIGXCPU, -signal.SIGKILL) else status
        except subprocess.TimeoutExpired:
            return None
        finally:  # and what it started: all in the session that is its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def succeeds(command: list[str], seconds: int, **options: Any) -> bool:
    return status_of(command, seconds, **options) == 0


def is_python(target: Target) -> bool:
    return all(pattern.endswith(".py") for pattern in target.files)


def lines_of(source: str, line: int) -> tuple[int, int]:
    """The first and the last line of the statement there, without the statements in it."""
    first, last = line, line
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        start, end = node.lineno, node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if body:
            end = max(start, body[0].lineno - 1)
        if start <= line <= end:
            first, last = start, end
    return first, last


class Forks:
    """A process of pytest that judges mutants of Python, each in a fork; see mutation_forks.py."""

    def __init__(self, judge: Judge, target: Target) -> None:
        tests = tuple(name for run in target.tests for name in run)
        files = [str(it) for pattern in target.files for it in judge.tree.glob(pattern)]
        asked, self.questions = os.pipe()
        self.answers, answering = os.pipe()
        environment = {
            **os.environ,
            "PYTHONPATH": f"{judge.tree}:{judge.tree / 'tests' / 'tools'}",
            "CI": "1",
            mutation_forks.QUESTIONS: str(asked),
            mutation_forks.ANSWERS: str(answering),
            mutation_forks.MEMORY: str(judge.memory / re.sub(r"\W", "_", f"{target.files}")),
            mutation_forks.FILES: os.pathsep.join(files),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "mutation_forks"]
        command += ["-p", "no:cacheprovider", "--assert=plain", "--tb=no", "-m", target.marked]
        command += [f"--basetemp={judge.work / 'temporary'}", f"--deselect={LEFT_OUT}"]
        self.process = subprocess.Popen(
            [*command, *judge.test_files(tests)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=judge.tree / "tests",
            env=environment,
            pass_fds=(asked, answering),
        )
        os.close(asked)
        os.close(answering)
        self.lines = os.fdopen(self.answers)

    def answer(self) -> dict[str, Any]:
        line = self.lines.readline()
        if not line:
            sys.exit("the tests ended before their time")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, **question: object) -> dict[str, Any]:
        os.write(self.questions, (json.dumps(question) + "\n").encode())
        return self.answer()

    def end(self) -> None:
        os.close(self.questions)
        self.process.wait()


class Judge:
    """A copy of the tree, in which one file at a time is another."""

    def __init__(self, work: Path, memory: Path) -> None:
        self.work = work
        self.memory = memory  # a folder for what was measured of tests
        self.tree = work / "tree"
        self.objects = work / "objects"
        ignored = shutil.ignore_patterns("*.so", "__pycache__", ".hypothesis", "build")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.tree / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.tree / name)
        include = sysconfig.get_paths()["include"]
        self.include = [f"-Icsrc/{name}" for name in ("core", "host", "lab", "python", "recorder")]
        self.include += ["-isystem", include]
        self.depends: dict[tuple[str, str], set[str]] = {}
        self.fresh: set[Path] = set()  # objects of the present mutant
        self.mutated: set[Binary] = set()  # extensions of some mutant
        self.writes = 0
        self.forks: dict[Target, Forks] = {}
        self.patient = False  # else what takes long has no verdict: ""

    def write(self, path: str, text: str) -> None:
        """Each time with another time, by which Python knows that its bytecode is of another."""
        self.writes += 1
        (self.tree / path).write_text(text)
        os.utime(self.tree / path, (10**9 + self.writes,) * 2)

    def compile(self, source: str, options: str, to: Path, *more: str) -> bool:
        command = ["gcc", "-O0", "-w", "-std=c11", *options.split(), *self.include, source]
        return succeeds([*command, *(more or ("-c",)), "-o", str(to)], COMPILING, cwd=self.tree)

    def dependencies(self, source: str, options: str) -> set[str]:
        """The files of the tree that are compiled into a source's object."""
        if (source, options) not in self.depends:
            command = ["gcc", "-std=c11", "-MM", *options.split(), *self.include, source]
            made = subprocess.run(
                command, capture_output=True, text=True, check=True, cwd=self.tree
            ).stdout
            names = made.split(":", 1)[1].replace("\\\n", " ").split()
            self.depends[source, options] = {os.path.normpath(name) for name in names}
        return self.depends[source, options]

    def link(self, binary: Binary, changed: str | None) -> Path | None:
        """The binary, of which what depends on the changed file is compiled anew."""
        objects = []
        for source in binary.sources:
            folder = self.objects / re.sub(r"\W", "_", binary.options)
            folder.mkdir(parents=True, exist_ok=True)
            new = changed in self.dependencies(source, binary.options)
            to = folder / (source.replace("/", "_") + (".new.o" if new else ".o"))
            there = to in self.fresh if new else to.exists()
            if not there and not self.compile(source, binary.options, to):
                return None
            if new:
                self.fresh.add(to)
            objects.append(str(to))
        if binary.extension:
            program = self.tree / "rtosheap" / f"{binary.name}.abi3.so"
        else:
            program = self.work / f"{binary.name}.program"
        command = ["gcc", *binary.options.split(), *binary.link.split(), *objects]
        program.unlink(missing_ok=True)  # an interpreter may still have the last one
        made = succeeds([*command, "-o", str(program)], COMPILING)
        return program if made else None

    def affected(self, path: str) -> list[Binary]:
        return [
            binary
            for binary in BINARIES
            if any(path in self.dependencies(s, binary.options) for s in binary.sources)
        ]

    def status_of(
        self, tests: tuple[str, ...], marked: str, seconds: int, changed: str
    ) -> int | None:
        """Of all the tests, first those that failed for the last mutant of the changed file."""
        # CI: Hypothesis's examples are the same each time
        environment = {**os.environ, "PYTHONPATH": str(self.tree), "CI": "1"}
        command = [sys.executable, "-m", "pytest", "-qx", "--failed-first", "-p", "no:xdist"]
        command += ["--assert=plain", "--tb=no"]  # a reason may take long to find
        command += ["-o", f"cache_dir={self.work / 'failed' / changed}", "-m", marked]
        command += [f"--deselect={LEFT_OUT}", *self.test_files(tests)]
        where = self.tree / "tests"
        return status_of(command, seconds, MEMORY, cwd=where, env=environment)

    def passes(self, tests: tuple[str, ...], marked: str, changed: str = "nothing") -> bool:
        return self.status_of(tests, marked, TESTING, changed) == 0

    def test_files(self, names: tuple[str, ...]) -> list[str]:
        """The files that a target names, each of which must be there."""
        found = {name: sorted((self.tree / "tests").glob(name)) for name in names}
        for name, paths in found.items():
            if not paths:
                sys.exit(f"a target names {name}, and tests/ has no such file")
        return [path.name for paths in found.values() for path in paths]

    def build(self) -> None:
        for binary in BINARIES:
            program = self.link(binary, None)
            if program is None:
                sys.exit(f"{binary.name} does not compile")
            for arguments in () if binary.extension else binary.runs:
                if not succeeds([str(program), *arguments.split()], RUNNING):
                    sys.exit(f"{binary.name} {arguments} fails on the code as it is")

    def check_tests(self, target: Target) -> None:
        """What fails now tells nothing of any mutant."""
        if is_python(target):
            self.forks[target] = forks = Forks(self, target)
            failed = forks.answer()["failed"]
            if failed:
                sys.exit(f"{failed} fails on the code as it is")
            return
        for tests in target.tests:
            print(f"{' '.join(tests)} on the code as it is", file=sys.stderr, flush=True)
            if not self.passes(tests, target.marked):
                sys.exit(f"{' '.join(tests)} fails on the code as it is")

    def end(self) -> None:
        for forks in self.forks.values():
            forks.end()

    def _of_python(self, mutant: Mutant, target: Target, source: str) -> str:
        first, last = lines_of(source, mutant.line)
        where, text = self.tree / mutant.path, mutated(source, mutant)
        found = self.forks[target].ask(path=str(where), text=text, first=first, last=last)
        if found["verdict"] == "killed":
            return f"killed by {found['by']}"
        if found["verdict"] != "runs at the import":
            return str(found["verdict"])
        if not self.patient:
            return ""
        for tests in target.tests:
            if not self.passes(tests, target.marked, mutant.path):
                return f"killed by {tests[0]} and those after it"
        return "survived"

    def verdict(self, mutant: Mutant, target: Target) -> str:
        source = (self.tree / mutant.path).read_text()
        self.write(mutant.path, mutated(source, mutant))
        try:
            if is_python(target):
                return self._of_python(mutant, target, source)
            verdict = self._verdict(mutant, target)
            survives = verdict in ("survived", "") and target.compiled
            same = survives and self.same_code(mutant.path, source)
            return "the same code" if same else verdict
        finally:
            self.write(mutant.path, source)
            self.fresh.clear()

    def _verdict(self, mutant: Mutant, target: Target) -> str:
        alone = target.alone and mutant.path.endswith(".c")
        if alone and not self.compile(mutant.path, "", self.work / "alone.o"):
            return "does not compile"
        affected = self.affected(mutant.path) if target.compiled else []
        affected = [binary for binary in affected if target.within in binary.options]
        for binary in self.mutated.difference(affected):
            self.link(binary, None)
        self.mutated = {binary for binary in affected if binary.extension}
        for binary in affected:
            program = self.link(binary, mutant.path)
            if program is None:
                return "does not compile"
            for arguments in () if binary.extension else binary.runs:
                if not succeeds([str(program), *arguments.split()], RUNNING):
                    return f"killed by {binary.name}"
        for tests in target.tests:
            if self.patient:
                killed = not self.passes(tests, target.marked, mutant.path)
            else:
                killed = self.status_of(tests, "not long", HASTY, mutant.path) not in (0, None)
            if killed:
                return f"killed by {tests[0]} and those after it"
        return "survived" if self.patient else ""

    def same_code(self, path: str, original: str) -> bool:
        """Does the optimiser make the same of it, hosted and as firmware?"""
        compiled = [(s, b.options) for b in self.affected(path) for s in b.sources]
        compiled += [(source, options) for source in HEAPS for options in FIRMWARE]
        mutant = (self.tree / path).read_text()
        for source, options in dict.fromkeys(compiled):
            if path not in self.dependencies(source, options):
                continue
            texts = []
            for text in (mutant, original):
                self.write(path, text)
                to = self.work / "code.s"
                made = self.compile(source, options.replace("-fsanitize=address", ""), to, *CODE)
                texts.append(to.read_text() if made else "")
            self.write(path, mutant)
            if texts[0] != texts[1] or not texts[0]:
                return False
        return True


CODE = ("-O2", "-S")
