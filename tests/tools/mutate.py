"""Mutation testing of the core: each comparison, constant and operator changed, one at a time.

    python tests/tools/mutate.py --jobs 2 > tests/coverage/MUTATION.txt

A mutant that no test notices survives. First the C programs of tests/c run on it, compiled in six
configurations; what survives them gets extensions of its own, and meets the Python tests of the
conformance vectors, the heaps, the model, the replay and the laboratory. Mutants that do not
compile, or that compile to the same code as the original, do not count.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
HEADERS = {  # who includes them
    "rh_layout.h": ("heap_1.c", "heap_2.c", "heap_4.c", "heap_5.c", "newlib_nano.c"),
    "rh_first_fit.h": ("heap_4.c", "heap_5.c"),
}
FILES = ("heap_1.c", "heap_2.c", "heap_3.c", "heap_4.c", "heap_5.c", *HEADERS)
TESTS = ("test_conformance.py", "test_heaps_*.py", "test_corruption.py")
SLOW = "test_corruption.py::test_the_interpreter_survives_thousands"
#: Seconds of processor time, which a busy machine does not use up: some twenty times what the core
#: as it is takes. A mutant that loops is stopped here, and so is killed.
COMPILING, RUNNING, TESTING = 300, 60, 900

SWAPS = {
    "<": ("<=", ">"),
    "<=": ("<",),
    ">": (">=", "<"),
    ">=": (">",),
    "==": ("!=",),
    "!=": ("==",),
    "&&": ("||",),
    "||": ("&&",),
    "+": ("-",),
    "-": ("+",),
    "+=": ("-=",),
    "-=": ("+=",),
    "++": ("--",),
    "^": ("|",),
    "!": ("",),
    "true": ("false",),
    "false": ("true",),
}
TOKEN = re.compile(
    r'"[^"]*"|\b(?:true|false)\b|\b\d+\b|->|<<|>>|\+\+|--|\+=|-=|&&|\|\||<=|>=|==|!=|[<>+\-^!]'
)


class Mutant(NamedTuple):
    file: str
    line: int
    column: int
    old: str
    new: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}:{self.column}: {self.old or ' '} -> {self.new or 'nothing'}"
        )


class Plan(NamedTuple):
    """A program of tests/c: how it is compiled, of what, and how it is run."""

    name: str
    options: str
    sources: tuple[str, ...]
    runs: tuple[str, ...] = ("",)


HEAPS = tuple(f"csrc/core/heap_{n}.c" for n in range(1, 6))
HOST = tuple(f"csrc/host/{name}.c" for name in ("core_w32", "core_w64", "ops"))
CORE = "tests/c/test_core.c"
PLANS = (
    Plan(
        "rules",
        "-DRH_HOSTED=1 -DRH_CHECKS=0 -fsanitize=address",
        ("tests/c/test_check.c", *HEAPS, "csrc/host/newlib_nano.c"),
    ),
    Plan("assertions", "-DRH_CHECKS=1 -DRH_PROTECTOR=1", (CORE, *HEAPS)),
    Plan("firmware", "-DRH_TWO_TO_A_TURN=0", (CORE, *HEAPS)),
    Plan("checked", "-DRH_CHECKS=2", (CORE, *HEAPS)),
    Plan("hosted", "-DRH_HOSTED=1 -DRH_CHECKS=2", (CORE, *HOST)),
    Plan(
        "exhaustive",
        "-DRH_HOSTED=1 -DRH_CHECKS=2",
        ("tests/c/exhaustive.c", *HOST),
        tuple(f"{kind} 6 {word}" for kind in "245" for word in "48"),
    ),
)


def depends(source: str, changed: str) -> bool:
    """Is the file compiled into the source's object?"""
    name = Path(source).name
    if name.startswith("core_w") or name == changed:
        return True
    return name in HEADERS.get(changed, ())


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines of code with comments blanked; no directives (nor the macros that they define)."""
    blank = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    directive = False
    for number, line in enumerate(blank.splitlines(), 1):
        directive = directive or line.lstrip().startswith("#")
        if not directive:
            yield number, line
        directive = directive and line.endswith("\\")


def mutants_of(name: str) -> Iterator[Mutant]:
    for number, line in code_lines((ROOT / "csrc" / "core" / name).read_text()):
        for found in TOKEN.finditer(line):
            token = found[0]
            news: tuple[str, ...] = SWAPS.get(token, ())
            if token.isdigit():
                news = (str(int(token) + 1),)
            if token == "-" and line[found.end() : found.end() + 1] == ">":
                continue
            for new in news:
                yield Mutant(name, number, found.start() + 1, token, new)


def apply(mutant: Mutant, to: Path) -> None:
    path = to / "core" / mutant.file
    lines = path.read_text().splitlines(keepends=True)
    line, at = lines[mutant.line - 1], mutant.column - 1
    assert line[at:].startswith(mutant.old), (mutant, line)
    lines[mutant.line - 1] = line[:at] + mutant.new + line[at + len(mutant.old) :]
    path.write_text("".join(lines))


def succeeds(command: list[str], seconds: int, **options: object) -> bool:
    """Does the command end with 0 within these seconds of processor time?"""
    limited = ["sh", "-c", f'ulimit -t {seconds}; exec "$@"', "sh", *command]
    done = subprocess.run(
        limited,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    return bool(done.returncode == 0)


def test_files() -> list[str]:
    """The files that ``TESTS`` names, each of which must be there."""
    found = {pattern: sorted((ROOT / "tests").glob(pattern)) for pattern in TESTS}
    for pattern, paths in found.items():
        if not paths:
            sys.exit(f"TESTS names {pattern}, and tests/ has no such file")
    return [path.name for paths in found.values() for path in paths]


class Builder:
    """Compiles a copy of csrc/, and what was compiled before it is mutated."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.objects = work / "objects"
        self.objects.mkdir(parents=True)
        self.include = sysconfig.get_paths()["include"]
        for source in [*(ROOT / "csrc" / "python").glob("*.c"), ROOT / "csrc/host/ops.c"]:
            self.extension_object(
                ROOT / "csrc", source, self.objects, "-DRH_HOSTED=1 -DRH_CHECKS=2"
            )
        self.extension_object(
            ROOT / "csrc", ROOT / "csrc/host/replay.c", self.objects, "-DRH_HOSTED=1"
        )
        self.lab_objects = work / "lab"
        self.lab_objects.mkdir()
        for name in ("lab.c", "module.c"):
            self.extension_object(ROOT / "csrc", ROOT / "csrc/lab" / name, self.lab_objects, "")

    def extension_object(self, csrc: Path, source: Path, to: Path, options: str) -> bool:
        command = f"gcc -O0 -w -std=c11 -fPIC -DPy_LIMITED_API=0x030B0000 {options} -I{csrc}/core"
        command += f" -I{csrc}/host -I{csrc}/lab -isystem {self.include} -c {source}"
        return succeeds([*command.split(), "-o", str(to / f"{source.stem}.o")], COMPILING)

    def object(self, csrc: Path, source: Path, to: Path, options: str) -> bool:
        command = f"gcc -O0 -w -std=c11 {options} -I{csrc}/core -I{csrc}/host -c {source} -o {to}"
        return succeeds(command.split(), COMPILING)

    def program(self, csrc: Path, to: Path, plan: Plan, changed: str | None) -> bool:
        """Link a plan's program, with the objects that a change of one file makes anew."""
        objects = []
        for source in plan.sources:
            old = self.objects / plan.name / f"{Path(source).stem}.o"
            if not old.exists():
                old.parent.mkdir(exist_ok=True)
                if not self.object(ROOT / "csrc", ROOT / source, old, plan.options):
                    return False
            if changed is not None and depends(source, changed):
                old = to.with_suffix(f".{Path(source).stem}.o")
                mutated = csrc / Path(source).relative_to("csrc")
                if not self.object(csrc, mutated, old, plan.options):
                    return False
            objects.append(str(old))
        return succeeds(["gcc", *plan.options.split(), *objects, "-o", str(to)], COMPILING)

    def same_code(self, csrc: Path, name: str, to: Path) -> bool:
        """Does the optimiser make the same of it, hosted and as firmware?"""
        for source in HEADERS.get(name, (name,)):
            if source == "newlib_nano.c":  # a host's alone
                continue
            for options in ("-DRH_CHECKS=1", "-DRH_HOSTED=1 -DRH_CHECKS=2", "-DRH_PROTECTOR=1"):
                texts = []
                for tree in (ROOT / "csrc", csrc):
                    command = f"gcc -O2 -w -S -std=c11 {options} {tree}/core/{source} -o {to}"
                    if not succeeds(command.split(), COMPILING):
                        return False
                    texts.append(to.read_text().replace(str(tree), ""))
                if texts[0] != texts[1]:
                    return False
        return True

    def verdict(self, mutant: Mutant | None) -> str:
        with tempfile.TemporaryDirectory(dir=self.work) as directory:
            here = Path(directory)
            csrc = here / "csrc"
            shutil.copytree(ROOT / "csrc", csrc, ignore=shutil.ignore_patterns("cortexm"))
            if mutant is not None:
                apply(mutant, csrc)
            program = here / "program"
            for plan in PLANS:
                if not self.program(csrc, program, plan, mutant.file if mutant else None):
                    return "does not compile"
                for arguments in plan.runs:
                    if not succeeds([str(program), *arguments.split()], RUNNING):
                        return "killed"
            return self.python_verdict(csrc, here, mutant.file if mutant else "heap_3.c")

    def report(self, mutant: Mutant) -> str:
        verdict = self.verdict(mutant)
        print(f"{verdict}: {mutant}", file=sys.stderr, flush=True)
        return verdict

    def python_verdict(self, csrc: Path, here: Path, name: str) -> str:
        package = here / "rtosheap"
        shutil.copytree(ROOT / "rtosheap", package, ignore=shutil.ignore_patterns("*.so"))
        for kind, sources, old in (
            ("core", sorted((csrc / "host").glob("core_w*.c")), self.objects),
            ("lab", sorted((csrc / "lab").glob("level_*.c")), self.lab_objects),
        ):
            to = here / kind
            shutil.copytree(old, to)
            options = "-DRH_HOSTED=1 -DRH_CHECKS=2" if kind == "core" else ""
            for source in sources:
                if not self.extension_object(csrc, source, to, options):
                    return "does not compile"
            objects = [str(path) for path in to.glob("*.o")]
            linked = f"{package}/_{kind}.abi3.so"
            if not succeeds(["gcc", "-shared", *objects, "-o", linked], COMPILING):
                return "does not compile"
        environment = {**os.environ, "PYTHONPATH": str(here)}
        command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-m", ""]
        command += ["--deselect", SLOW, *test_files()]
        if not succeeds(command, TESTING, cwd=ROOT / "tests", env=environment):
            return "killed"
        if self.same_code(csrc, name, here / "x.s"):
            return "same code"
        return "survived"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", help="a file's name")
    parser.add_argument("--again", help="an earlier result, of which the survivors are tried anew")
    parser.add_argument("--every", type=int, default=1, help="take every nth mutant")
    chosen = parser.parse_args()
    test_files()
    files = [chosen.only] if chosen.only else FILES
    mutants = [mutant for name in files for mutant in mutants_of(name)][:: chosen.every]
    if chosen.again:
        survivors = Path(chosen.again).read_text()
        mutants = [mutant for mutant in mutants if f"{mutant}   " in survivors]
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(chosen.jobs) as pool:
        builder = Builder(Path(directory))
        if builder.verdict(None) not in ("survived", "same code"):
            sys.exit("the tests fail on the core as it is")
        verdicts = list(pool.map(builder.report, mutants))
    counted = [v for v in verdicts if v in ("killed", "survived")]
    killed = counted.count("killed")
    for name in files:
        own = [v for m, v in zip(mutants, verdicts, strict=True) if m.file == name]
        print(f"{name}: {own.count('killed')} killed, {own.count('survived')} survived", end="; ")
        rest = f"{own.count('same code')} the same code, {own.count('does not compile')}"
        print(f"{rest} do not compile")
    share = 100 * killed / max(len(counted), 1)
    print(f"all: {killed} of {len(counted)} mutants killed, {share:.1f} %")
    for mutant, verdict in zip(mutants, verdicts, strict=True):
        if verdict == "survived":
            text = (ROOT / "csrc" / "core" / mutant.file).read_text().splitlines()[mutant.line - 1]
            print(f"{mutant}   {text.strip()}")


if __name__ == "__main__":
    main()
