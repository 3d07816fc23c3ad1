"""The corruption laboratory's heaps, for `rtosheap.corruption` alone.

A call ends in one of: 0 done, 1 malloc failed, 2 free ignored, 3 detected, 4 wild read, 5 wild
write, 6 loop. Harm: 0 none, 1 overlap, 2 overwritten, 3 lost.
"""

from collections.abc import Sequence

from typing_extensions import Buffer

class Lab:
    def __new__(
        cls,
        kind: int,
        checks: int,
        regions: tuple[tuple[int, int], ...],
        word: int,
        alignment: int,
        canary: int,
        end_marker: int,
        budget: int,
        slots: int,
        kernel: str,
        newlib: str,
    ) -> Lab: ...
    def malloc(self, size: int, /) -> tuple[int, int]: ...
    def free(self, address: int, /) -> tuple[int, int]: ...
    def read(self, address: int, count: int, /) -> bytes | None: ...
    def write(self, address: int, data: bytes, /) -> bool: ...
    def slots(self) -> Sequence[tuple[int, int, int]]: ...
    def refill(self) -> None: ...
    def blocks(self) -> Sequence[tuple[int, int, int]]: ...
    def run(
        self,
        op: Buffer,
        slot: Buffer,
        size: Buffer,
        begin: int,
        end: int,
        served: Buffer,
        expected: Buffer | None,
        /,
    ) -> tuple[int, int, int, int, int]: ...
