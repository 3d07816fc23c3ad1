"""Judges mutants of Python: a plugin of pytest, which collects the tests once for all of them.

A first run finds which lines of the files each test runs, and how long it takes. Each mutant then
is a process forked from what was collected, in which its functions have the changed code, and runs
the tests that run its line, the quickest first, up to the first that fails. (A change of what
runs at the import, and so in no function, is not for forks: see `Judge.passes`.)

Asked and answered in lines of JSON, on the two pipes that the environment names.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib
import inspect
import json
import math
import os
import resource
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Container, Generator, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

#: Names of environment variables: the descriptors of the pipes, and the files that have mutants.
QUESTIONS, ANSWERS, FILES = "MUTATION_QUESTIONS", "MUTATION_ANSWERS", "MUTATION_FILES"
MEMORY = "MUTATION_MEMORY"
#: Seconds of tests that a mutant is put through at the most; of the clock, after which it hangs.
BUDGET, HANGS = 30.0, 1800
#: The status of a process whose mutant is none for forks.
IMPORT = 77

Place = tuple[str, int]


class Tracer:
    """Which lines of some files run, in what is traced. What has run whole is traced no more."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.left: dict[int, tuple[CodeType, set[int]]] = {}  # by the code: lines that did not run

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if code.co_filename not in self.files:
            return None
        known = self.left.get(id(code))
        if known is None:
            known = self.left[id(code)] = code, lines_in(code)
        known[1].discard(frame.f_lineno)
        frame.f_trace_lines = bool(known[1])
        return self

    @property
    def lines(self) -> set[Place]:
        return {
            (Path(code.co_filename).name, line)
            for code, left in self.left.values()
            for line in lines_in(code) - left
        }


def lines_in(code: CodeType) -> set[int]:
    return {line for *_, line in code.co_lines() if line}


class Measured:
    """A run of all tests: the lines and the seconds of each, what its fixtures took included."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.fixtures: dict[str, tuple[float, set[Place]]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, None, None]:
        """What a fixture of several tests does once is done for each of them."""
        if fixturedef.scope == "function":
            yield
            return
        before, outer, start = sys.gettrace(), Tracer(self.files), seconds_used()
        sys.settrace(outer)
        yield
        sys.settrace(before)
        self.fixtures[fixturedef.argname] = (seconds_used() - start, outer.lines)

    def run(self, session: pytest.Session, known: Container[int]) -> Iterator[dict[str, Any]]:
        session.config.pluginmanager.register(self)
        wanted = [(at, item) for at, item in enumerate(session.items) if at not in known]
        follow = [*(item for _, item in wanted[1:]), None]
        for (number, item), following in zip(wanted, follow, strict=True):
            clear_caches()
            tracer, start = Tracer(self.files), seconds_used()
            sys.settrace(tracer)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.settrace(None)
            if session.testsfailed:
                yield {"failed": item.nodeid}
                return
            seconds, lines = seconds_used() - start, tracer.lines
            for name in getattr(item, "fixturenames", ()):
                took, its = self.fixtures.get(name, (0.0, set[Place]()))
                seconds, lines = seconds + took, lines | its
            yield {"test": number, "seconds": seconds, "lines": sorted(lines)}


def seconds_used() -> float:
    """Of the processor, by this process and those that it started."""
    return sum(os.times()[:4])


def clear_caches() -> None:
    """What a cache holds was found by other code, or by another test."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper):
            module = str(getattr(found, "__module__", ""))
            if module.startswith("rtosheap") or is_of_tests(module):
                found.cache_clear()


def is_of_tests(module: str) -> bool:
    where = getattr(sys.modules.get(module), "__file__", None) or ""
    return Path(where).parent == Path.cwd()


@functools.cache
def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


# --- the code of a mutant --------------------------------------------------------------------


def codes_of(module: CodeType) -> Iterator[CodeType]:
    """A module's code, and all that is nested in it."""
    yield module
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def own(code: CodeType) -> object:
    """Of a code what is not nested in it."""
    constants = [repr(it) for it in code.co_consts if not isinstance(it, CodeType)]
    return code.co_code, constants, code.co_names, code.co_varnames


def is_of_a_function(code: CodeType) -> bool:
    """Not that of a comprehension that runs at the import."""
    at_import = code.co_name.startswith("<") and "<locals>" not in code.co_qualname
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and (
        not at_import or code.co_name == "<lambda>"
    )


def changed(before: CodeType, after: CodeType) -> bool:
    """Do functions alone differ?"""
    pairs = list(zip(codes_of(before), codes_of(after), strict=True))
    differ = [old for old, new in pairs if own(old) != own(new)]
    return bool(differ) and all(map(is_of_a_function, differ))


def put_in(path: str, after: CodeType) -> None:
    """Give each function of a file its new code."""
    new: dict[Place, list[CodeType]] = defaultdict(list)
    for code in codes_of(after):
        new[code.co_qualname, code.co_firstlineno].append(code)
    for found in gc.get_objects():
        if isinstance(found, FunctionType) and found.__code__.co_filename == path:
            old = found.__code__
            for code in new[old.co_qualname, old.co_firstlineno][:1]:
                found.__code__ = code


def put_constants_in(path: str, after: CodeType) -> bool:
    """Give a module the numbers that it has at the import now; whether there is any change."""
    module = next(m for m in sys.modules.values() if vars(m).get("__file__") == path)
    fresh = {"__name__": module.__name__}
    try:
        exec(after, fresh)
    except Exception:
        return False
    before = vars(module)
    new = {name: value for name, value in fresh.items() if isinstance(value, int)}
    new = {name: value for name, value in new.items() if before.get(name) != value}
    before.update(new)
    return bool(new)


# --- one process each ------------------------------------------------------------------------


def forked(work: Callable[[], int]) -> int:
    """The exit status of work in a process of its own."""
    pid = os.fork()
    if pid:
        status = os.waitpid(pid, 0)[1]
        return os.waitstatus_to_exitcode(status)
    status = 1
    try:
        os.setsid()
        status = work()
    finally:
        os._exit(status)


class Forks:
    """Answers for each mutant."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.files = set(os.environ[FILES].split(os.pathsep))
        self.before = {path: compile(Path(path).read_text(), path, "exec") for path in self.files}
        self.seconds: dict[int, float] = {}
        self.runs: dict[Place, set[int]] = defaultdict(set)
        self.memory = Path(os.environ[MEMORY])
        self.killers: dict[str, list[int]] = defaultdict(list)

    def name_of(self, test: int) -> str:
        """Of a test, in its file and for these files as they are."""
        item = self.session.items[test]
        return f"{digest(item.path, *map(Path, sorted(self.files)))} {item.nodeid}"

    def remembered(self) -> set[int]:
        """The tests that an earlier process measured."""
        rows = [json.loads(line) for line in self.memory.open()] if self.memory.exists() else []
        known = {row["name"]: row for row in rows}
        found = {at for at in range(len(self.session.items)) if self.name_of(at) in known}
        for at in found:
            self.learn(at, known[self.name_of(at)])
        return found

    def learn(self, test: int, row: dict[str, Any]) -> None:
        self.seconds[test] = row["seconds"]
        for path, line in row["lines"]:
            self.runs[path, line].add(test)

    def note(self, row: dict[str, Any]) -> None:
        with self.memory.open("a") as file:
            file.write(json.dumps({**row, "name": self.name_of(row["test"])}) + "\n")

    def measure(self) -> str:
        """Run all tests, in a process; which one fails, if any."""
        there, known = set(sys.modules), self.remembered()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(write, "w") as file:
                for row in Measured(self.files).run(self.session, known):
                    file.write(json.dumps(row) + "\n")
                file.write(json.dumps({"modules": [*sys.modules]}) + "\n")
            os._exit(0)
        os.close(write)
        failed = ""
        with os.fdopen(read) as file:
            for line in file:
                row = json.loads(line)
                failed = row.get("failed", failed)
                for name in (it for it in row.get("modules", ()) if it not in there):
                    try:
                        importlib.import_module(name)  # once, and not in each of the processes
                    except Exception:
                        continue
                if "test" in row:
                    self.learn(row["test"], row)
                    self.note(row)
        os.waitpid(child, 0)
        return failed

    def chosen(self, path: str, lines: Container[int] | None) -> list[int]:
        """The tests of a change of these lines, those first that killed others of the file."""
        its = {line: tests for (name, line), tests in self.runs.items() if name == Path(path).name}
        every = set().union(*(its[line] for line in its if lines is None or line in lines))
        names = [item.path for item in self.session.items]

        def order(test: int) -> tuple[float, str, int]:
            return round(math.log2(self.seconds[test] + 1e-3)), str(names[test]), test

        killers = [it for it in reversed(self.killers[path]) if it in every][:20]
        rest = sorted(every.difference(killers), key=order)
        tests, total = [], 0.0
        for test in [*killers, *rest]:
            total += self.seconds[test]
            if total <= BUDGET or not tests:
                tests.append(test)
        return tests

    def judge(self, path: str, text: str, first: int, last: int) -> dict[str, Any]:
        try:
            after = compile(text, path, "exec")
        except SyntaxError:
            return {"verdict": "does not compile"}
        in_functions = changed(self.before[path], after)
        tests = self.chosen(path, range(first, last + 1) if in_functions else None)
        items = [self.session.items[test] for test in tests]
        if not tests:
            return {"verdict": "survived"}
        read, write = os.pipe()

        def work() -> int:
            seconds = int(60 + 5 * sum(self.seconds[test] for test in tests))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(HANGS)
            if in_functions:
                put_in(path, after)
            elif not put_constants_in(path, after):
                return IMPORT
            clear_caches()
            for test, item, following in zip(tests, items, [*items[1:], None], strict=True):
                os.write(write, f"{test}\n".encode())
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.session.testsfailed:
                    return 1
            return 0

        status = forked(work)
        os.close(write)
        with os.fdopen(read) as file:
            begun = [int(line) for line in file]
        if status == IMPORT or not begun:
            return {"verdict": "runs at the import"}
        if status == 0:
            return {"verdict": "survived", "tests": len(tests)}
        killers = self.killers[path]
        if begun:
            killers[:] = [it for it in killers if it != begun[-1]] + begun[-1:]
        name = self.session.items[begun[-1]].nodeid if begun else "?"
        return {"verdict": "killed", "by": name}


def pytest_runtestloop(session: pytest.Session) -> bool:
    forks = Forks(session)
    with (
        os.fdopen(int(os.environ[QUESTIONS])) as questions,
        os.fdopen(int(os.environ[ANSWERS]), "w") as answers,
    ):
        print(json.dumps({"failed": forks.measure()}), file=answers, flush=True)
        for line in questions:
            print(json.dumps(forks.judge(**json.loads(line))), file=answers, flush=True)
    return True
