"""Mutation testing: each comparison, constant and operator changed, one at a time.

    python tests/tools/mutate.py --round 3 --sample 40 [--targets host core …]
    python tests/tools/mutate.py --report > MUTATION.md && mv MUTATION.md tests/coverage/

A mutant that no test notices survives. One of the C core first meets the C programs of tests/c in
six configurations, then extensions of its own and the Python tests; one of Python, in a fork of a
process that has collected them, the tests of its package that run its line. Mutants that do not
compile, or that compile to the same code, do not count.

A round draws, of each target, mutants that no other round has tried: so its first verdicts tell of
all code, not of the tests that were written for the last sample. Each verdict is added to
tests/coverage/mutants.jsonl.gz as it is known, and what the round has there is not tried again (but
its survivors alone are, with --again): so a run may end at any time and go on later, with a larger
sample, too. The report has the reasons that tests/coverage/MUTATION.md gives.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Container
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeAlias

from mutants import Mutant, mutants_of
from mutation_forks import BUDGET
from mutation_judge import ROOT, TARGETS, Judge, is_python

COVERAGE = ROOT / "tests" / "coverage"
REASONS = COVERAGE / "MUTATION.md"
HEAD = """\
# Mutation testing

Written by `tests/tools/mutate.py`, which changes each comparison, constant and operator of the C
code and of some packages of Python, one at a time, and runs the C programs of `tests/c` and the
Python tests on each. A mutant that no test notices is listed below, with what is known of it: one
that is *equivalent* cannot be told from the original by any call.

Each round tried a sample: of each target the mutants with the lowest SHA-256 of what names them
(file, line's text, column, change), which has nothing to do with how well they are tested, and none
that was tried before. Then tests were written for those that survived. Of the mutants that nobody
tried, the last round's share *at first* is the best estimate; *now* is the share with these tests.
Both are of the killed among all that are neither equivalent nor without other code (which do not
compile, or compile to the same). *New* are mutants of code that was written in the round, which
count but *now*; *gone* are survivors whose code was redundant or was rewritten, which survived *at
first* and do not count *now*. Each met the tests that `tests/tools/mutation_judge.py` names for its
target, one of Python from round 4 on those of them that run its line: the quickest first, up to
{budget:.0f} seconds of the processor in all, in round 4 up to 10. Other tests may kill more: so
where that leaves many out, as in inspection, the share *at first* is a lower bound.
`mutants.jsonl.gz` has each that was tried, and its verdicts.
"""
COLUMNS = ("tried", "no other code", "equivalent", "new", "killed at first", "gone", "killed now")


Key: TypeAlias = tuple[object, ...]


def files_of(name: str) -> list[str]:
    paths = {path for pattern in TARGETS[name].files for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def digest(mutant: Mutant) -> bytes:
    return hashlib.sha256(repr(mutant.key).encode()).digest()


def all_mutants(name: str) -> list[Mutant]:
    """Of a target."""
    return [
        mutant for path in files_of(name) for mutant in mutants_of(path, (ROOT / path).read_text())
    ]


def sample_of(name: str, size: int | None, left_out: Container[object] = ()) -> list[Mutant]:
    """As if drawn by lot, but the same ones each time, and nearly so when the files change.

    Those whose keys are `left_out` are not drawn.
    """
    mutants = [mutant for mutant in all_mutants(name) if mutant.key not in left_out]
    lowest = set(sorted(mutants, key=digest)[:size])
    return [mutant for mutant in mutants if mutant in lowest]


class Verdicts:
    """What a file says of mutants, by their keys."""

    def __init__(self, path: Path) -> None:
        self.first: dict[Key, str] = {}
        self.last: dict[Key, str] = {}
        self.rounds: dict[Key, int] = {}  # 0: it was in no sample
        self.new: set[Key] = set()  # their code was written in their round
        lines = gzip.decompress(path.read_bytes()).splitlines() if path.exists() else ()
        for line in lines:
            row = json.loads(line)
            key = tuple(row["key"])
            self.first.setdefault(key, row["verdict"])
            self.last[key] = row["verdict"]
            self.rounds.setdefault(key, row["round"])
            if row.get("new"):
                self.new.add(key)


def is_new(mutant: Mutant, since: str | None) -> bool:
    """Has that revision none such?"""
    if since is None:
        return False
    command = ["git", "show", f"{since}:{mutant.path}"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    before = mutants_of(mutant.path, shown.stdout) if shown.returncode == 0 else []
    return all(mutant.key != other.key for other in before)


def again(mutant: Mutant, options: Any) -> bool:
    return options.again in mutant.name


def tell(judge: Judge, row: tuple[str, Mutant], options: Any, checked: set[str]) -> bool:
    """Add the verdict on a mutant of a target to the file; whether there is one."""
    name, mutant = row
    if name not in checked:
        judge.check_tests(TARGETS[name])
        checked.add(name)
    verdict = judge.verdict(mutant, TARGETS[name])
    if verdict:
        told = {"round": options.round, "key": mutant.key, "verdict": verdict}
        if is_new(mutant, options.since):
            told["new"] = True
        with gzip.open(options.results, "at") as file:
            file.write(json.dumps(told) + "\n")
        print(f"{verdict}: {mutant}", file=sys.stderr, flush=True)
    return bool(verdict)


def run(options: Any) -> None:
    results = Path(options.results)
    known = Verdicts(results)
    others = {key for key, number in known.rounds.items() if number != options.round}
    waiting = [
        (name, mutant)
        for name in options.targets
        for mutant in sample_of(name, options.sample, others)
        if (
            again(mutant, options) and known.last.get(mutant.key) == "survived"
            if options.again is not None
            else mutant.key not in known.last
        )
    ]
    waiting.sort(key=lambda row: digest(row[1]))  # what was tried before an end is a sample, too
    print(f"{len(waiting)} mutants", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        judge = Judge(Path(directory), Path(options.work or directory))
        judge.build()
        checked = {
            name for name in options.targets if options.unchecked and not is_python(TARGETS[name])
        }
        for judge.patient in (False, True):
            waiting = [row for row in waiting if not tell(judge, row, options, checked)]
        judge.end()


# --- the report ------------------------------------------------------------------------------


def known_reasons() -> dict[str, str]:
    """What is said of a survivor, by its line in the report but for the line's number."""
    text = REASONS.read_text() if REASONS.exists() else ""
    found = re.findall(r"^\* (`.*`) line \d+\n((?:  .*\n?)+)", text, flags=re.M)
    return {name: reason.rstrip("\n") for name, reason in found}


def line_of(mutant: Mutant) -> str:
    which = f" #{mutant.turn}" if mutant.turn > 1 else ""  # of the lines that read so
    return f"`{mutant.name}{which}` in `` {mutant.text} ``"


def target_of(path: str) -> str:
    return next(
        name for name, target in TARGETS.items() if any(fnmatch(path, it) for it in target.files)
    )


def count_of(
    key: Key, known: Verdicts, reasons: dict[str, str], there: Container[Key]
) -> Counter[str]:
    """What one mutant adds to the table; `there` are those of the code as it is."""
    first, last = known.first[key], known.last[key]
    if last in ("the same code", "does not compile"):
        return Counter({"tried": 1, "no other code": 1})
    reason = reasons.get(line_of(Mutant(*key, 0)), "")  # type: ignore[misc]
    is_gone, is_new = key not in there, key in known.new
    if last == "survived" and not is_gone and reason.lstrip().startswith("equivalent"):
        return Counter({"tried": 1, "equivalent": 1})
    was, now = first.startswith("killed") and not is_new, last.startswith("killed")
    count = {"new": is_new, "killed at first": was, "gone": is_gone and not now, "killed now": now}
    return Counter({"tried": 1, **count})


def table_of(number: int, known: Verdicts, reasons: dict[str, str]) -> str:
    """Of a round: a row for each target, and one for each language."""
    there = {mutant.key for name in TARGETS for mutant in all_mutants(name)}
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*TARGETS, "C", "Python")}
    for key in (key for key, its in known.rounds.items() if its == number):
        one = count_of(key, known, reasons, there)
        for name in (target_of(str(key[0])), "Python" if str(key[0]).endswith(".py") else "C"):
            counts[name] += one
    lines = [f"| | {' | '.join(COLUMNS)} | at first | now |", "| --- |" + " --- |" * 9]
    for name, count in counts.items():
        unequal = count["tried"] - count["no other code"] - count["equivalent"]
        shares = (
            100 * count[f"killed {when}"] / max(1, unequal - count[left_out])
            for when, left_out in (("at first", "new"), ("now", "gone"))
        )
        cells = [*(str(count[what]) for what in COLUMNS), *(f"{share:.1f} %" for share in shares)]
        if not count["tried"]:
            cells = ["none", *[""] * 8]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def share_tried(known: Verdicts) -> str:
    """How many of each target's mutants any round tried, of the code as it is."""
    lines = ["| | mutants | tried |", "| --- | --- | --- |"]
    for name in TARGETS:
        keys = [mutant.key for mutant in all_mutants(name)]
        lines.append(f"| {name} | {len(keys)} | {sum(key in known.last for key in keys)} |")
    return "\n".join(lines)


def report(options: Any) -> int:
    """The report; how many survivors it does not explain."""
    known, reasons = Verdicts(Path(options.results)), known_reasons()
    print(HEAD.format(budget=BUDGET))
    print(f"## Tried in all\n\n{share_tried(known)}\n")
    for number in sorted({*known.rounds.values()} - {0}):
        print(f"## Round {number}\n\n{table_of(number, known, reasons)}\n")
    print("## Survivors\n\nOf all rounds, and of earlier runs.\n")
    unexplained = 0
    for mutant in (mutant for name in TARGETS for mutant in all_mutants(name)):
        verdict = known.last.get(mutant.key, "not tried")
        reason = reasons.get(line_of(mutant), "  NOT EXPLAINED")
        is_explained = "NOT EXPLAINED" not in reason
        if verdict == "survived" or (verdict == "not tried" and is_explained):
            unexplained += not is_explained
            print(f"* {line_of(mutant)} line {mutant.line}\n{reason}")
    return unexplained


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", default=COVERAGE / "mutants.jsonl.gz", help="another file of them"
    )
    parser.add_argument("--round", type=int, help="its number")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--sample", type=int, help="so many of each target's mutants, not all")
    parser.add_argument(
        "--again", nargs="?", const="", help="try survivors alone anew (whose name has this)"
    )
    parser.add_argument("--unchecked", action="store_true", help="the tests passed a moment ago")
    parser.add_argument(
        "--work", help="a folder for the copied tree, and for what is measured of the tests"
    )
    parser.add_argument("--since", help="the revision that the round began with, once code changes")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.report:
        sys.exit(report(options) > 0)
    if not options.round:
        parser.error("--round is not given; a sample needs a number of its own, from 1 on")
    run(options)


if __name__ == "__main__":
    main()
