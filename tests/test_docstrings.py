"""The examples in the docstrings run, and the stubs say what the extension has."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import sys
from importlib.util import find_spec
from inspect import ismodule
from pathlib import Path
from types import ModuleType

import pytest
from foreign_libraries import library
from needs import ROOT, missing
from parts import few_of

import rtosheap
import rtosheap.sizing.apart  # it registers a change
from rtosheap import _core
from rtosheap.cortexm import ToolchainError, find_toolchain
from rtosheap.traces import _change

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from public_names import PACKAGES

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rtosheap.__path__, "rtosheap.")
    if not module.name.endswith("__main__")
)
EVERY = ["rtosheap", *MODULES]
#: Whose examples let Hypothesis draw.
DRAWING = "rtosheap.testing._traces"
#: Whose examples need a tool.
LOADING = {"rtosheap.allocators.ForeignHeap", "rtosheap.allocators.ForeignKind"}
FOR_A_DEVICE = {"rtosheap.plot._bound.bound"}


def load(name: str) -> ModuleType:
    """A module, with what its face would load when it is used."""
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        getattr(module, public)
    return module


def examples_of(name: str) -> dict[str, doctest.DocTest]:
    """A module's docstrings that have examples, by the name of what they describe."""
    return {test.name: test for test in doctest.DocTestFinder().find(load(name)) if test.examples}


def run(test: doctest.DocTest, folder: Path) -> None:
    """Run the examples of a docstring, which may write to a folder, and register a change."""
    import matplotlib

    matplotlib.use("Agg")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(_change, "_PARSERS", {**_change._PARSERS})
        assert doctest.DocTestRunner(optionflags=flags).run(test).failed == 0, test.name


@pytest.mark.parametrize("name", few_of(EVERY, [name for name in EVERY if name != DRAWING]))
def test_examples(name: str, tmp_path: Path) -> None:
    for test in examples_of(name).values():
        if test.name not in LOADING | FOR_A_DEVICE:
            run(test, tmp_path)


def test_examples_with_a_library(tmp_path: Path) -> None:
    library(tmp_path, name="libmine.so")
    for name in LOADING:
        run(examples_of("rtosheap.allocators")[name], tmp_path)


def test_examples_that_compile_for_a_device(tmp_path: Path) -> None:
    for package in ("capstone", "unicorn"):
        if find_spec(package) is None:
            missing(f"the Python package {package}")
    try:
        find_toolchain()
    except ToolchainError as error:
        missing(str(error))
    for name in FOR_A_DEVICE:
        run(examples_of(name.rpartition(".")[0])[name], tmp_path)


def does_something(test: doctest.DocTest) -> bool:
    """Whether an example runs that is more than an import."""
    return any(
        not isinstance(ast.parse(example.source).body[0], ast.Import | ast.ImportFrom)
        for example in test.examples
        if not example.options.get(doctest.SKIP)
    )


def test_each_public_name_has_an_example_that_runs() -> None:
    tests = [test for name in EVERY for test in examples_of(name).values()]
    examples = {test.name for test in tests if does_something(test)}
    names = {
        f"{package}.{name}": getattr(load(package), name)
        for package in PACKAGES
        for name in load(package).__all__
    }
    things = {name: it for name, it in names.items() if callable(it) and not ismodule(it)}
    assert len(things) > 200
    found = {name: f"{it.__module__}.{it.__qualname__}" for name, it in things.items()}
    lacking = [name for name, known in found.items() if known not in examples]
    assert not lacking, " ".join(lacking)


def test_what_is_skipped_or_imported_is_no_example() -> None:
    parser = doctest.DocTestParser()
    for text, counts in (
        (">>> 1 + 1", True),
        (">>> 1 + 1  # doctest: +SKIP", False),
        (">>> import ast", False),
        (">>> from ast import parse\n>>> parse('')  # doctest: +SKIP", False),
        (">>> from ast import parse\n>>> parse('')", True),
    ):
        assert does_something(parser.get_doctest(text, {}, "", None, None)) == counts, text


def stub() -> ast.Module:
    return ast.parse((ROOT / "rtosheap" / "_core.pyi").read_text())


def test_the_stub_has_what_the_extension_has() -> None:
    declared = {
        node.name for node in stub().body if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    declared |= {
        node.target.id
        for node in stub().body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id not in ("_Array", "_Memory")
    }
    assert declared == {name for name in vars(_core) if not name.startswith("__")}


@pytest.mark.parametrize("name", ["Heap", "Heap1", "Heap2", "Heap3", "Heap4", "Heap5"])
def test_the_stub_has_the_methods(name: str) -> None:
    (declared,) = [n for n in stub().body if isinstance(n, ast.ClassDef) and n.name == name]
    names = {node.name for node in declared.body if isinstance(node, ast.FunctionDef)}
    names |= {n.target.id for n in declared.body if isinstance(n, ast.AnnAssign)}  # type: ignore[union-attr]
    have = set(vars(getattr(_core, name)))
    assert names - {"__init__", "kind"} <= have | {"__buffer__"}
    assert {n for n in have if not n.startswith("__")} - {"kind"} <= names


def test_public_names_have_docstrings() -> None:
    for name in rtosheap.__all__:
        thing = getattr(rtosheap, name)
        if callable(thing):
            assert thing.__doc__, name


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist(name: str) -> None:
    module = load(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), public
