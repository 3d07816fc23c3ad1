"""Prints the branches that gcovr's JSON says were never taken, with the source of their lines."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def main(path: str) -> None:
    report = json.loads(Path(path).read_text())
    taken = total = 0
    missing = []
    for file in report["files"]:
        source = (ROOT / file["file"]).read_text().splitlines()
        lines: dict[int, dict[object, int]] = defaultdict(dict)
        for line in file["lines"]:
            for number, branch in enumerate(line.get("branches", [])):
                key = (branch.get("source_block_id"), branch.get("branchno", number))
                known = lines[line["line_number"]]
                known[key] = known.get(key, 0) + branch["count"]
        for number, branches in sorted(lines.items()):
            total += len(branches)
            taken += sum(count > 0 for count in branches.values())
            never = sum(count == 0 for count in branches.values())
            if never:
                missing.append((file["file"], number, never, source[number - 1].strip()))
    print(f"\n{taken} of {total} branches taken; never:")
    for name, number, never, text in missing:
        print(f"{name}:{number}: {never} of `{text}`")


if __name__ == "__main__":
    main(sys.argv[1])
