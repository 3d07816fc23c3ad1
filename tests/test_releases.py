"""Releases of the kernel and of newlib by name, and the tables that say what each does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from model.versions import Kernel, NanoRule, Newlib, Rule

from rtosheap import Heap3, Heap4, kernels, newlibs
from rtosheap.heaps.releases import find_kernel
from rtosheap.heaps.toolchains import BEHAVIOURS

#: What the table calls a rule. Two of the model's are one word.
WORDS = {
    Rule.START: "start",
    Rule.PAD: "pad",
    Rule.WRAP: "wrap",
    Rule.STRICT: "wrap",
    Rule.NODETECT: "unmarked",
    Rule.ABSORB: "absorb",
    Rule.MINCAP: "smallest",
    Rule.EMPTYCRASH: "empty",
    Rule.PROTASSERT: "assertion",
    Rule.PLAINLINK: "plain link",
}


def test_every_release_has_the_rules_that_were_read_off_it() -> None:
    """Those between the first and the last of a profile too, which no recording is of."""
    assert len(kernels()) == 28
    for kernel in kernels():
        for heap in (1, 2, 4, 5):
            words = {WORDS[rule] for rule in Kernel(kernel.name).rules(heap)}
            assert set(kernel.rules.get(heap, ())) == words, (kernel.name, heap)


@pytest.mark.parametrize(
    ("name", "release"),
    [
        (None, "main"),
        ("main", "main"),
        ("Main", "main"),
        ("V10.3.1", "V10.3.1"),
        ("10.3.1", "V10.3.1"),
        (" v10.3.1 ", "V10.3.1"),
        ("202210-LTS", "V10.5.1"),
        ("202210-lts", "V10.5.1"),
        ("202210.00-LTS", "V10.5.0"),
        ("202012.00-LTS", "V10.4.3"),
        ("202012.05-LTS", "V10.4.3"),
        ("10.4.3-LTS-Patch-3", "V10.4.3"),
        ("202406.03-LTS", "V11.1.0"),
        ("V202110.00-SMP", "V10.4.5"),
    ],
)
def test_a_kernel_by_name(name: str | None, release: str) -> None:
    assert Heap4(256, kernel=name).kernel == release


def test_no_two_releases_share_a_name() -> None:
    names = [name for kernel in kernels() for name in (kernel.name, *kernel.also)]
    assert len(names) == len(set(names)) == 47
    for kernel in kernels():
        assert all(find_kernel(name) is kernel for name in (kernel.name, *kernel.also))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("10.4.7", "'V10.4.6' and 'V10.5.0'"),
        ("V12", "'V11.3.0' and 'main'"),
        ("V8.2.2", "'V8.2.3'"),
        ("V10.3", "'V10.3.0' and 'V10.3.1'"),
        ("V10.4", "'V10.4.0' and 'V10.4.6'"),
        ("V9", "'V9.0.0'"),
        # what the main branch after V11.3.0 says of itself
        ("V11.1.0+", "'V11.1.0' and 'main'"),
        ("202406.09-LTS", "'202406.03-LTS' and '202406.02-LTS'"),
    ],
)
def test_the_nearest_to_a_name_of_no_kernel(name: str, nearest: str) -> None:
    said = f"kernel is {name!r}; no release has that name: the nearest are {nearest} (rtosheap."
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        Heap4(256, kernel=name)


@pytest.mark.parametrize("name", ["", "é", "Ⅷ", "V", "x" * 3000, "V10.3.1\0", "V9" + "9" * 99])
def test_what_is_no_name(name: str) -> None:
    for heap, option in ((Heap4, "kernel"), (Heap3, "newlib")):
        with pytest.raises(ValueError, match=f"^{option} is "):
            heap(256, **{option: name})  # type: ignore[operator]


@pytest.mark.parametrize("name", [10, 10.3, True, b"V10.3.1", ["V10.3.1"]])
def test_what_is_no_str(name: Any) -> None:
    with pytest.raises(TypeError, match=r"^kernel is .*; it must be a str, such as"):
        Heap4(256, kernel=name)
    with pytest.raises(TypeError, match=r"^newlib is .*; it must be a str, such as"):
        Heap3(256, newlib=name)


def test_every_newlib_of_a_release_has_its_rules() -> None:
    known = [(name, behaviour) for behaviour, names in BEHAVIOURS.items() for name in names]
    assert len(known) == 15
    for name, behaviour in known:
        assert Heap3(256, newlib=name).newlib == behaviour
        release, _, fix = name.partition("+")
        rules = Newlib(release).rules() - ({NanoRule.READS0} if fix else set())
        like = Newlib(behaviour.partition("+")[0]).rules() - ({NanoRule.READS0} if fix else set())
        assert rules == like


#: Toolchain by toolchain: what its newlib calls itself, what it does.
TOOLCHAINS = {
    "arm-gnu-9-2020-q2": ("3.3.0", "3.3.0"),
    "arm-gnu-10-2020-q4": ("3.3.0", "3.3.0"),
    "xpack-9.3.1": ("3.3.0", "3.3.0"),
    "xpack-10.2.1": ("3.3.0", "3.3.0"),
    "arm-gnu-10.3-2021.07": ("4.1.0", "4.2.0"),
    "arm-gnu-10.3-2021.10": ("4.1.0", "4.2.0"),
    "xpack-10.3.1": ("4.1.0", "4.2.0"),
    "arm-gnu-11.2-2022.02": ("4.1.0", "4.2.0"),
    "xpack-11.2.1": ("4.1.0", "4.2.0"),
    "arm-gnu-11.3.rel1": ("4.2.0", "4.2.0+73d515fcf"),
    "xpack-11.3.1": ("4.2.0", "4.2.0+73d515fcf"),
    "arm-gnu-12.2.rel1": ("4.2.0", None),
    "xpack-12.2.1": ("4.2.0", None),
    "arm-gnu-12.3.rel1": ("4.3.0", "4.4.0"),
    "xpack-12.3.1": ("4.3.0", "4.4.0"),
    "arm-gnu-13.2.rel1": ("4.3.0", "4.4.0"),
    "xpack-13.2.1": ("4.3.0", "4.4.0"),
    "arm-gnu-13.3.rel1": ("4.4.0", "4.4.0"),
    "xpack-13.3.1": ("4.4.0", "4.4.0"),
    "arm-gnu-14.2.rel1": ("4.4.0", "4.4.0"),
    "arm-gnu-15.2.rel1": ("4.5.0", "4.4.0"),
    "st-7-2018-q2": ("3.0.0", "3.3.0"),
    "st-9-2020-q2": ("3.3.0", "3.3.0"),
    "st-10.3-2021.10": ("4.1.0", "4.2.0"),
    "st-11.3.rel1": ("4.2.0", "4.3.0"),
    "st-12.3.rel1": ("4.3.0", "4.4.0"),
    "stm32cubeide-1.5": ("", "3.3.0"),
    "stm32cubeclt-1.14.0": ("", "4.3.0"),
    "stm32cubeide-1.18.0": ("4.4.0", "4.4.0"),
    "debian-11": ("3.3.0", "3.3.0"),
    "debian-12": ("3.3.0", "3.3.0"),
    "debian-13": ("4.5.0", "4.4.0"),
    "zephyr-sdk-0.14.2": ("3.3.0", "3.3.0"),
    "zephyr-sdk-0.17.0": ("3.3.0", "3.3.0"),
    "zephyr-sdk-0.17.1": ("", None),
    "zephyr-sdk-1.0.0": ("", None),
}


def test_every_toolchain_has_the_newlib_that_was_found_in_it() -> None:
    told = {one.name: one for one in newlibs() if one.title != "newlib"}
    assert {name: (one.calls_itself, one.newlib) for name, one in told.items()} == TOOLCHAINS
    for name, (_, behaviour) in TOOLCHAINS.items():
        if behaviour is None:
            with pytest.raises(ValueError, match="which malloc that has is not known"):
                Heap3(256, newlib=name)
        else:
            assert Heap3(256, newlib=name.upper()).newlib == behaviour


def test_what_a_release_of_newlib_calls_itself() -> None:
    """The macro has no date; what the main branch has is not known."""
    told = {one.name: one.calls_itself for one in newlibs() if one.title == "newlib"}
    assert told["4.2.0.20211231"] == told["4.2.0"] == told["4.2.0+73d515fcf"] == "4.2.0"
    assert told["main"] == ""


def test_the_tables_show_every_row_in_text_and_html() -> None:
    for table, rows in ((kernels(), 28), (newlibs(), 51)):
        assert len(table) == rows
        text, html = repr(table), table._repr_html_()
        assert html.count("<tr>") == rows + 1
        for one in table:
            assert one.name in text
            assert f">{one.name}<" in html
