"""Mutation testing: each comparison, constant and operator changed, one at a time.

    python tests/tools/mutate.py --results FILE [--targets host core …] [--sample 40]
    python tests/tools/mutate.py --results FILE --report > tests/coverage/MUTATION.md

A mutant that no test notices survives. One of the C core first meets the C programs of tests/c in
six configurations, then extensions of its own and the Python tests; one of Python the tests of its
package. Mutants that do not compile, or that compile to the same code, do not count.

Each verdict is written to FILE as it is known, and what FILE has is not tried again (but with
--again, for survivors): so a run may end at any time and go on later, with a larger sample, too.
The report holds what FILE says of the files as they are now, with the reasons that
tests/coverage/MUTATION.md gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Any

from mutants import Mutant, mutants_of
from mutation_judge import ROOT, TARGETS, Judge

REASONS = ROOT / "tests" / "coverage" / "MUTATION.md"
SAMPLE = """\
This is a sample: of each target {0} mutants of all that it has, those with the lowest SHA-256 of
what names them (file, line's text, column, change), which has nothing to do with how well they are
tested. The table counts the sample alone; of the mutants that were not drawn the share at first is
the better estimate. The list also has survivors that other runs found.
"""
HEAD = """\
# Mutation testing

Written by `tests/tools/mutate.py`, which changes each comparison, constant and operator of the C
code and of some packages of Python, one at a time, and runs the C programs of `tests/c` and the
Python tests on each. A mutant that no test notices is listed below, with what is known of it: one
that is *equivalent* cannot be told from the original by any call. The share is that of the killed
among all that are not, now that tests were written for those that survived; "at first" is what it
was before. Those that compile to the same code, or do not compile, have no other code.
"""


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


def known_verdicts(results: Path, *, first: bool = False) -> dict[tuple[object, ...], str]:
    """By a mutant's key; the last one holds, or the first."""
    if not results.exists():
        return {}
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {tuple(row["key"]): row["verdict"] for row in (reversed(rows) if first else rows)}


def again(mutant: Mutant, options: Any) -> bool:
    return options.again is not None and options.again in mutant.name


def run(options: Any) -> None:
    results = Path(options.results)
    known = known_verdicts(results)
    before = known_verdicts(Path(options.before)) if options.before else {}
    waiting = [
        (name, mutant)
        for name in options.targets
        for mutant in sample_of(name, options.sample, before)
        if mutant.key not in known or (known[mutant.key] == "survived" and again(mutant, options))
    ]
    print(f"{len(waiting)} mutants", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        judge = Judge(Path(directory))
        judge.build()
        checked = set(options.targets if options.unchecked else [])
        for name, mutant in waiting:
            if name not in checked:
                judge.check_tests(TARGETS[name])
                checked.add(name)
            verdict = judge.verdict(mutant, TARGETS[name])
            with results.open("a") as file:
                file.write(json.dumps({"key": mutant.key, "verdict": verdict}) + "\n")
            print(f"{verdict}: {mutant}", file=sys.stderr, flush=True)


# --- the report ------------------------------------------------------------------------------


def known_reasons() -> dict[str, str]:
    """What is said of a survivor, by its line in the report but for the line's number."""
    text = REASONS.read_text() if REASONS.exists() else ""
    found = re.findall(r"^\* (`.*`) line \d+\n((?:  .*\n?)+)", text, flags=re.M)
    return {name: reason.rstrip("\n") for name, reason in found}


def line_of(mutant: Mutant) -> str:
    which = f" #{mutant.turn}" if mutant.turn > 1 else ""  # of the lines that read so
    return f"`{mutant.name}{which}` in `` {mutant.text} ``"


def report(options: Any) -> int:
    """The report; how many survivors it does not explain."""
    known, reasons = known_verdicts(Path(options.results)), known_reasons()
    at_first = known_verdicts(Path(options.results), first=True)
    print(HEAD)
    if options.sample:
        print(SAMPLE.format(options.sample))
    columns = "mutants | killed | equivalent | survived otherwise | share | at first"
    print(f"| | {columns} | no other code | not tried |\n| --- |" + " --- |" * 8)
    survivors, unexplained = [], 0
    for name in options.targets:
        count: Counter[str] = Counter()
        mutants, sample = all_mutants(name), set(sample_of(name, options.sample))
        for mutant in mutants:
            verdict = known.get(mutant.key, "not tried")
            reason = reasons.get(line_of(mutant), "  NOT EXPLAINED")
            is_explained = "NOT EXPLAINED" not in reason
            if verdict == "survived" or (verdict == "not tried" and is_explained):
                survivors.append((mutant, reason))
                unexplained += not is_explained
            if verdict == "survived" and reason.lstrip().startswith("equivalent"):
                verdict = "equivalent"
            count[verdict.split(" by ")[0]] += mutant in sample
            count["at first"] += mutant in sample and at_first.get(mutant.key, "")[:6] == "killed"
        none = count["the same code"] + count["does not compile"]
        unequal = max(1, count["killed"] + count["survived"])
        share, before = (100 * count[what] / unequal for what in ("killed", "at first"))
        print(
            f"| {name} | {len(mutants)} | {count['killed']} | {count['equivalent']} | "
            f"{count['survived']} | {share:.1f} % | {before:.1f} % | {none} | "
            f"{count['not tried']} |"
        )
    print("\n## Survivors\n")
    for mutant, reason in survivors:
        print(f"* {line_of(mutant)} line {mutant.line}\n{reason}")
    return unexplained


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", required=True, help="a file of verdicts, which is added to")
    parser.add_argument("--before", help="a file of verdicts, whose mutants are not drawn again")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--sample", type=int, help="so many of each target's mutants, not all")
    parser.add_argument(
        "--again", nargs="?", const="", help="try the survivors anew (whose name has this)"
    )
    parser.add_argument("--unchecked", action="store_true", help="the tests passed a moment ago")
    parser.add_argument("--work", help="a folder for the copied tree")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.report:
        sys.exit(report(options) > 0)
    run(options)


if __name__ == "__main__":
    main()
