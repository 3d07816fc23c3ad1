"""The core and the extensions under the sanitizers, memcheck and a short run of the fuzzer.

Long runs are commands: see fuzz/RESULTS.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from ctools import WARNINGS, run
from needs import LAST_RESORT, ROOT, missing, tool

pytestmark = pytest.mark.long

CORE = ROOT / "csrc" / "core"
HOST = ROOT / "csrc" / "host"
HERE = ROOT / "tests"
HEAPS = [CORE / f"heap_{n}.c" for n in range(1, 6)]
HOSTED = [HOST / name for name in ("core_w32.c", "core_w64.c", "ops.c")]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FUZZ_SECONDS = 60 if os.environ.get("CI") == "true" else 5

SANITIZED_TESTS = (
    "test_conformance.py",
    "test_corruption.py",
    "test_engines.py",
    *sorted(file.name for file in HERE.glob("test_heaps_*.py")),
    "test_hostile_python.py",
    "test_metamorphic.py",
    "test_replay.py",
    "test_stateful.py",
    "test_threads.py",
)


def core_program(to: Path, *options: Any, cc: str = "gcc") -> Path:
    """c/test_core.c, as firmware or (with -DRH_HOSTED=1) as a host has the core."""
    hosted = "-DRH_HOSTED=1" in options
    sources = HOSTED if hosted else HEAPS
    source = HERE / "c" / "test_core.c"
    includes = ["-DRH_CHECK_LOOPS=1", "-DRH_POLICIES=0"] if hosted else []
    includes += [f"-I{CORE}", f"-I{HOST}"]
    run([tool(cc), "-g", "-O1", *WARNINGS, *options, *includes, source, *sources, "-o", to])
    return to


def assert_that_it_ran(printed: str) -> None:
    """Every configuration serves and refuses more than 20,000 calls."""
    numbers = re.fullmatch(r"(\d+) served, (\d+) refused\n", printed)
    assert numbers is not None, printed
    assert min(map(int, numbers.groups())) > 20_000


FIRMWARE = {
    "none": [],
    "assertions": ["-DRH_CHECKS=1"],
    "checked": ["-DRH_CHECKS=2"],
    "protector": ["-DRH_PROTECTOR=1"],
    "assertions, protector": ["-DRH_CHECKS=1", "-DRH_PROTECTOR=1", "-DRH_CLEAR_ON_FREE=1"],
    "aligned to 16": ["-DRH_ALIGNMENT=16", "-DRH_TWO_TO_A_TURN=0"],
    "hosted": ["-DRH_HOSTED=1", "-DRH_CHECKS=2"],
    "hosted, one to a turn": ["-DRH_HOSTED=1", "-DRH_CHECKS=2", "-DRH_TWO_TO_A_TURN=0"],
}


#: Each in one compiler, in turn; what is all checked, and what a host has, in both.
SANITIZED_BUILDS = [
    *zip(FIRMWARE, cycle(["gcc", "clang"])),
    ("checked", "clang"),
    ("hosted", "clang"),
]


@pytest.mark.parametrize(("name", "cc"), SANITIZED_BUILDS)
def test_core_under_the_sanitizers(tmp_path: Path, name: str, cc: str) -> None:
    program = core_program(tmp_path / cc, *SANITIZED, *FIRMWARE[name], cc=cc)
    assert_that_it_ran(run([program]).stdout)


def test_every_policy_under_the_sanitizers(tmp_path: Path) -> None:
    """A replay of each fit, order and time of coalescing, in C."""
    program = tmp_path / "driver"
    options = [*SANITIZED, "-DRH_HOSTED=1", "-DRH_CHECKS=2", f"-I{CORE}", f"-I{HOST}"]
    sources = [ROOT / "benchmarks" / "replay_driver.c", *sorted(HOST.glob("*.c"))]
    run([tool("gcc"), "-std=c11", "-g", "-O1", *options, *sources, "-o", program])
    policies = 0
    for fit in ("first", "next", "best", "worst", "good", "buddy"):
        for order in ("address", "lifo", "fifo", "size"):
            if order == "size" and fit in ("next", "good", "buddy"):
                continue
            for coalesce in ("free", "never", "deferred"):
                told = [program, f"{fit}/{order}/{coalesce}", "chosen", "4000", "200"]
                done = run(told, env={"ASAN_OPTIONS": "detect_leaks=0"})
                assert done.stdout.startswith("4000 events, "), (told, done.stdout)
                policies += 1
    assert policies == 63


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_every_rule_of_the_checkers_and_set_ups(tmp_path: Path, cc: str) -> None:
    sources = [HERE / "c" / "test_check.c", *HEAPS, HOST / "newlib_nano.c"]
    options = [*WARNINGS, *SANITIZED, "-DRH_HOSTED=1", "-DRH_CHECKS=0"]
    options += [f"-I{CORE}", f"-I{HOST}"]
    run([tool(cc), "-g", "-O1", *options, *sources, "-o", tmp_path / "program"])
    assert run([tmp_path / "program"]).stdout == "all rules\n"


@pytest.mark.parametrize("name", ["none", "assertions, protector", "checked", "hosted"])
def test_core_under_memcheck(tmp_path: Path, name: str) -> None:
    program = core_program(tmp_path / "program", *FIRMWARE[name])
    memcheck = [tool("valgrind"), "-q", "--error-exitcode=9", "--leak-check=full"]
    done = run([*memcheck, "--track-origins=yes", program])
    assert_that_it_ran(done.stdout)
    assert done.stderr == ""


def test_the_core_under_threads_and_thread_sanitizer(tmp_path: Path) -> None:
    program = tmp_path / "threads"
    sources = [HOST / name for name in ("core_w32.c", "core_w64.c", "ops.c", "replay.c")]
    here = HERE / "c"
    run(
        [
            *(tool("clang"), "-g", "-O1", "-fsanitize=thread", *WARNINGS, "-pthread"),
            "-DRH_POLICIES=0",
            *('-DRH_CONFIG_FILE="threads_config.h"', f"-I{here}", f"-I{CORE}"),
            *(f"-I{HOST}", here / "threads.c", *sources, "-o", program),
        ]
    )
    done = run([program], env={"TSAN_OPTIONS": "halt_on_error=1"})
    assert int(done.stdout) > 0  # the scribblers were seen
    assert "WARNING: ThreadSanitizer" not in done.stderr


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_core"
    clang = tool("clang")
    probe = subprocess.run(
        [clang, "-fsanitize=fuzzer", "-x", "c", "-", "-o", os.devnull],
        input="#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *p, size_t n)"
        "{ return p == 0 && n; }",
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        missing("libFuzzer (libclang-rt-14-dev)")
    fuzz = HERE / "fuzz"
    options = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
    options += ['-DRH_CONFIG_FILE="fuzz_config.h"', "-DRH_POLICIES=0"]
    options += [f"-I{fuzz}", f"-I{CORE}", f"-I{HOST}"]
    source = fuzz / "fuzz_core.c"
    run([clang, "-g", "-O1", *WARNINGS, *options, source, *HOSTED, "-o", program])
    return program


#: What the fuzzer found, by the size of its input.
REGRESSIONS = {"heap3-snapshot-blocks-past-the-break": 489, "heap3-snapshot-past-the-break": 38}


def test_what_the_fuzzer_found_stays_mended(fuzzer: Path) -> None:
    found = sorted((HERE / "fuzz" / "regressions").iterdir())
    assert {path.name: path.stat().st_size for path in found} == REGRESSIONS
    ran = re.findall(r"^Executed (\S+) in", run([fuzzer, *found]).stderr, re.MULTILINE)
    assert ran == [str(path) for path in found]


SEEDS = 331


def test_the_fuzzers_seeds_are_whole(tmp_path: Path) -> None:
    """Each is named by the SHA-1 of what it holds."""
    shutil.unpack_archive(HERE / "fuzz" / "corpus.zip", tmp_path)
    seeds = sorted(tmp_path.iterdir())
    assert len(seeds) == SEEDS
    for path in seeds:
        assert hashlib.sha1(path.read_bytes()).hexdigest() == path.name


def test_a_short_run_of_the_fuzzer(fuzzer: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(HERE / "fuzz" / "corpus.zip", tmp_path / "corpus")
    limits = [f"-max_total_time={FUZZ_SECONDS}", f"-timeout={LAST_RESORT}"]
    options = ["-max_len=600", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    # By a shell: a program's peak of memory begins with that of what started it, which is pytest.
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = run([*shell, fuzzer, *limits, *options, tmp_path / "corpus"])
    executions = re.search(r"Done (\d+) runs", done.stderr)
    assert executions is not None
    # All of the corpus; how much more within these seconds is the machine's affair.
    assert int(executions[1]) >= SEEDS


def test_the_suite_under_the_sanitizers(tmp_path: Path) -> None:
    """The extensions, built with ASan and UBSan, run the tests of heaps, replay and laboratory."""
    for needed in ("gcc", "bash"):
        tool(needed)
    environment = {"PYTHON": sys.executable}
    run([HERE / "tools" / "build_asan.sh", tmp_path, "-DRH_POLICIES=0"], env=environment)
    done = subprocess.run(
        [
            *(HERE / "tools" / "run_asan.sh", tmp_path, "-q", "-x", *SANITIZED_TESTS),
            *("-k", "not (test_heap_and_model_agree and 250)"),  # 40 examples, not 250 more
        ],
        capture_output=True,
        text=True,
        timeout=LAST_RESORT,
        env={**os.environ, **environment},
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-5000:]
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None
    assert int(passed[1]) >= 584, "the files have more tests than ran"
    assert "ERROR: AddressSanitizer" not in output
    assert "runtime error" not in output
