"""csrc/recorder/rh_recorder.c: what memory a ring may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

#: Only the ring's header is written when it starts.
PROGRAM = """\
#include "rh_recorder.h"

#include <stdio.h>

int main(void) {
    static uint32_t memory[16];
    const size_t most = (size_t)UINT32_MAX + RHR_RING_HEADER;
    const size_t sizes[] = {0, RHR_RING_HEADER, RHR_RING_HEADER + 1, most - 1, most, most + 1};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct rhr_ring ring;
        printf("%d", rhr_ring_start(&ring, memory, sizes[i]));
    }
    return 0;
}
"""


def test_the_bytes_behind_a_rings_header_are_counted_in_32_bits(tmp_path: Path) -> None:
    """One at the least."""
    source, program = tmp_path / "ring.c", tmp_path / "ring"
    source.write_text(PROGRAM)
    recorder = recorder_images.CSRC / "recorder"
    recorder_images.run([
        tools.require("gcc"), "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{recorder}", source,
        recorder / "rh_recorder.c", "-o", program,
    ])  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "001110"
