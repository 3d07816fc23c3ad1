"""Mutation testing: each comparison, constant and operator changed, one at a time.

    python tests/tools/mutate.py --results FILE [--targets host core …] [--percent 20]
    python tests/tools/mutate.py --results FILE --report > tests/coverage/MUTATION.md

A mutant that no test notices survives. One of the C core first meets the C programs of tests/c in
six configurations, then extensions of its own and the Python tests; one of Python the tests of its
package. Mutants that do not compile, or that compile to the same code, do not count.

Each verdict is written to FILE as it is known, and what FILE has is not tried again (but with
--again, for survivors): so a run may end at any time and go on later. The report holds what FILE
says of the files as they are now, with the reasons that tests/coverage/MUTATION.md gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from mutants import Mutant, mutants_of
from mutation_judge import ROOT, TARGETS, Judge

REASONS = ROOT / "tests" / "coverage" / "MUTATION.md"
HEAD = """\
# Mutation testing

Written by `tests/tools/mutate.py`, which changes each comparison, constant and operator of the C
code and of some packages of Python, one at a time, and runs the C programs of `tests/c` and the
Python tests on each. A mutant that no test notices is listed below, with what is known of it: one
that is *equivalent* cannot be told from the original by any call. The share is that of the killed
among all that are not. Those that compile to the same code, or do not compile, have no other code.
"""


def files_of(name: str) -> list[str]:
    paths = {path for pattern in TARGETS[name].files for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def is_chosen(mutant: Mutant, percent: int) -> bool:
    """The same ones each time, and however the file changes around them."""
    digest = hashlib.sha256(repr(mutant.key).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < percent


def all_mutants(names: list[str], percent: int) -> list[tuple[str, Mutant]]:
    return [
        (name, mutant)
        for name in names
        for path in files_of(name)
        for mutant in mutants_of(path, (ROOT / path).read_text())
        if is_chosen(mutant, percent)
    ]


def known_verdicts(results: Path) -> dict[tuple[object, ...], str]:
    """By a mutant's key; the last one holds."""
    if not results.exists():
        return {}
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {tuple(row["key"]): row["verdict"] for row in rows}


def run(options: Any) -> None:
    results = Path(options.results)
    known = known_verdicts(results)
    waiting = [
        (name, mutant)
        for name, mutant in all_mutants(options.targets, options.percent)
        if mutant.key not in known or (options.again and known[mutant.key] == "survived")
    ]
    print(f"{len(waiting)} mutants", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        judge = Judge(Path(directory))
        judge.build()
        if not options.unchecked:
            judge.check_tests([TARGETS[name] for name in options.targets])
        for name, mutant in waiting:
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
    return f"`{mutant.name}` in `` {mutant.text} ``"


def report(options: Any) -> int:
    """The report; how many survivors it does not explain."""
    known, reasons = known_verdicts(Path(options.results)), known_reasons()
    print(HEAD)
    if options.percent < 100:
        print(
            f"Of each file {options.percent} % of the mutants, always the same ones, were tried.\n"
        )
    print("| | killed | equivalent | survived otherwise | share | no other code | not tried |")
    print("| --- |" + " --- |" * 6)
    survivors, unexplained = [], 0
    for name in options.targets:
        count: Counter[str] = Counter()
        for _, mutant in all_mutants([name], options.percent):
            verdict = known.get(mutant.key, "not tried")
            if verdict == "survived":
                reason = reasons.get(line_of(mutant), "  NOT EXPLAINED")
                survivors.append((mutant, reason))
                unexplained += "NOT EXPLAINED" in reason
                verdict = "equivalent" if reason.lstrip().startswith("equivalent") else verdict
            count[verdict.split(" by ")[0]] += 1
        none = count["the same code"] + count["does not compile"]
        share = 100 * count["killed"] / max(1, count["killed"] + count["survived"])
        print(
            f"| {name} | {count['killed']} | {count['equivalent']} | {count['survived']} | "
            f"{share:.1f} % | {none} | {count['not tried']} |"
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
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--percent", type=int, default=100, help="of each file's mutants")
    parser.add_argument("--again", action="store_true", help="try the survivors anew")
    parser.add_argument("--unchecked", action="store_true", help="the tests passed a moment ago")
    parser.add_argument("--work", help="a folder for the copied tree")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.report:
        sys.exit(report(options) > 0)
    run(options)


if __name__ == "__main__":
    main()
