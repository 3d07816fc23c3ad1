"""AllocatorMachine: it finds the planted bugs, passes sound allocators, and its README is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from broken_allocators import BUGS, CPool, FirstFit
from ctools import run
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from needs import ROOT, tool
from parts import few_of

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.testing import AllocatorMachine, AllocatorViolation

GENERATE_ONLY = settings(
    max_examples=100,  # Hypothesis's default, whatever the profile says
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FEW = settings(GENERATE_ONLY, max_examples=25)
#: For what must be found: a run ends there. Hypothesis takes constants from what is imported, so
#: that a seed alone does not say when.
MANY = settings(GENERATE_ONLY, max_examples=2000)


class FirstFitMachine(AllocatorMachine):
    """The example of the documentation: four lines."""

    bug: str | None = None
    tell = True

    def make_allocator(self) -> Any:
        return FirstFit(bug=self.bug, tell=self.tell)


def machine_of(bug: str | None, *, tell: bool = True) -> Any:
    return type("Machine", (FirstFitMachine,), {"bug": bug, "tell": tell})


@pytest.mark.parametrize("tell", few_of([True, False], [False]))
def test_a_sound_allocator_passes(tell: bool) -> None:
    run_state_machine_as_test(machine_of(None, tell=tell), settings=GENERATE_ONLY)


SEEDS = few_of([range(4), range(4, 20)], [range(4)])


@pytest.mark.parametrize("seeds", SEEDS, ids=["few seeds", "more seeds"])
@pytest.mark.parametrize("bug", BUGS)
def test_machine_finds_every_planted_bug_with_every_seed(bug: str, seeds: range) -> None:
    for number in seeds:
        machine = seed(number)(machine_of(bug))
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(machine, settings=GENERATE_ONLY)


@pytest.mark.parametrize("seeds", SEEDS, ids=["few seeds", "more seeds"])
@pytest.mark.parametrize("bug", BUGS)
def test_machine_needs_no_more_than_malloc_and_free_size(bug: str, seeds: range) -> None:
    for number in seeds:
        machine = seed(number)(machine_of(bug, tell=False))
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(machine, settings=GENERATE_ONLY)


def test_machine_reports_a_short_sequence() -> None:
    with pytest.raises(AllocatorViolation) as caught:
        run_state_machine_as_test(
            seed(1)(machine_of("off-by-one split", tell=False)),
            settings=settings(
                GENERATE_ONLY,
                phases=[Phase.generate, Phase.shrink],
                report_multiple_bugs=False,
            ),
        )
    notes = "\n".join(getattr(caught.value, "__notes__", []))
    assert 1 <= notes.count("state.malloc(size=") <= 3
    assert notes.count("state.free") <= 1
    assert "state._" not in notes  # what the reader did, and no private steps
    calls = notes.split("The calls:\n")[1].split("\nFailing")[0].splitlines()
    assert calls[0].startswith("    malloc(")
    assert all(
        re.match(r"    (malloc\(\d+\) = (0x[0-9a-f]+|None)|free\(0x)", call) for call in calls
    )


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pool")
    source = ROOT / "tests" / "c" / "broken_pool.c"
    libraries = {}
    for name, flags in (("broken", []), ("fixed", ["-DPOOL_FIXED"])):
        libraries[name] = directory / f"{name}.so"
        run([tool("gcc"), "-shared", "-fPIC", *flags, source, "-o", libraries[name]])
    return libraries


def pool_machine(library: Path) -> Any:
    class PoolMachine(AllocatorMachine):
        raw_addresses = True

        def make_allocator(self) -> Any:
            return CPool(library)

    return PoolMachine


@pytest.mark.parametrize(
    "seeds", few_of([range(1), range(1, 5)], [range(1)]), ids=["one seed", "more seeds"]
)
def test_machine_finds_the_bug_in_c(pools: dict[str, Path], seeds: range) -> None:
    for number in seeds:
        with pytest.raises(AllocatorViolation):
            run_state_machine_as_test(seed(number)(pool_machine(pools["broken"])), settings=MANY)
    run_state_machine_as_test(pool_machine(pools["fixed"]), settings=GENERATE_ONLY)


class OurHeap1(AllocatorMachine):
    can_free = False

    def make_allocator(self) -> Any:
        return Heap1(2048)


class OurHeap2(AllocatorMachine):
    coalesces = False

    def make_allocator(self) -> Any:
        return Heap2(2048)


class OurHeap3(AllocatorMachine):
    coalesces = False  # sbrk's last chunk stays a chunk: the rest and it adjoin

    def make_allocator(self) -> Any:
        return Heap3(2048)


class OurHeap4(AllocatorMachine):
    alignment = 16

    def make_allocator(self) -> Any:
        return Heap4(2048, base_address=0x2000_0003, alignment=16, canary=0x1234_5678)


class OurHeap5(AllocatorMachine):
    def make_allocator(self) -> Any:
        return Heap5([(0x1000_0000, 300), (0x2000_0000, 1024)], word_size=8)


@pytest.mark.parametrize(
    "machine", few_of([OurHeap1, OurHeap2, OurHeap3, OurHeap4, OurHeap5], [OurHeap3, OurHeap5])
)
def test_machine_passes_our_heaps(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=FEW)


def test_machine_on_an_allocator_of_two_functions() -> None:
    class Bump:
        def __init__(self) -> None:
            self.at = 8

        def malloc(self, size: int) -> int:
            address, self.at = self.at, self.at + -(-size // 8) * 8
            return address

        def free(self, address: int) -> None:
            pass

    class BumpMachine(AllocatorMachine):
        coalesces = False

        def make_allocator(self) -> Any:
            return Bump()

    run_state_machine_as_test(BumpMachine, settings=FEW)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"alignment": 12}, r"alignment is 12"),
        ({"alignment": "8"}, "alignment is '8'"),
        ({"max_size": 0}, "max_size is 0"),
        ({"coalesces": 1}, "coalesces is 1"),
        ({"make_allocator": lambda self: 7}, "no malloc"),
        ({"make_allocator": AllocatorMachine.make_allocator}, "must define make_allocator"),
    ],
)
def test_machine_names_what_is_wrong_with_the_subclass(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        type("Wrong", (FirstFitMachine,), attributes)()


@pytest.mark.long
def test_the_examples_of_the_readme(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("gcc")
    text = (ROOT / "rtosheap" / "testing" / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests" / "c").mkdir(parents=True)
    source = Path("tests", "c", "broken_pool.c")
    source.write_bytes((ROOT / source).read_bytes())
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert len(re.findall(r"overlaps the live block|was overwritten|all blocks", printed)) >= 2
    assert "pvPortMalloc(" in printed
