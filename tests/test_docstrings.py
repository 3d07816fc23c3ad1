"""The examples in the docstrings run, and the stubs say what the extension has."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest
from needs import ROOT
from parts import few_of

import rtosheap
from rtosheap import _core

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rtosheap.__path__, "rtosheap.")
    if not module.name.endswith("__main__")
)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


#: Whose examples let Hypothesis draw.
DRAWING = "rtosheap.testing._traces"
EVERY = ["rtosheap", *MODULES]


@pytest.mark.parametrize("name", few_of(EVERY, [name for name in EVERY if name != DRAWING]))
def test_examples(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import matplotlib

    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("doctest"))
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        result = doctest.testmod(load(name), optionflags=flags)
    assert result.failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(load(name)) for name in ("rtosheap", *MODULES)]
    assert sum(len(test.examples) for tests in found for test in tests) > 200


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
