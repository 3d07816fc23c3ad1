"""The house: who imports whom, and how long a file or a function may be."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rtosheap"
#: Each may import what stands on a line above its own, and its own package.
LAYERS = (
    {"_core", "_formats", "_lab"},
    {"builds", "faces", "tables", "work"},
    {"html"},
    {"heaps", "traces"},
    {"allocators"},
    {"kinds", "freertos", "data", "device", "replays"},
    {"fragmentation", "requests"},
    {"sizing", "corruption", "inspection", "testing"},
    {"comparison", "cortexm", "risk"},
    {"plot", "reports"},
    {"cli"},
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
#: The whole of the package: its face, its start, and where its pickles' names have moved to.
ABOVE = {"__init__", "__main__", "_moved"}
#: Where a kind of heap may be told by its number or name: elsewhere `Layout` says what it is like.
KNOW_KINDS = {"heaps", "kinds"}
#: What is loaded by name, when it is used, and by whom: its own package's, and what shows it.
BY_NAME = {
    "cli": {"f'rtosheap.cli.{name}'"},
    "cli.compare": {"'rtosheap.cli._what_if'"},
    "cli._results": {"'rtosheap.cli._workers'"},
    "heaps.heap": {"'rtosheap.heaps.image'"},
    "replays.result": {"'rtosheap.reports'"},
    "traces.trace": {
        "'rtosheap.reports'",
        "'rtosheap.requests'",
        "'rtosheap.traces.changes'",
        "'rtosheap.traces._summary'",
        "'rtosheap.traces._to_c'",
    },
    "traces.formats.files": {"f'rtosheap.traces.formats.{module}'"},
    "traces._change": {"_REPLAYING"},  # sizing.apart, the one change that replays
    "faces": {"f'{face}.{homes[name]}'"},
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports(module: str, nodes: list[ast.AST]) -> list[str]:
    """What of rtosheap the nodes import: modules, or packages by their faces."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = inner.removeprefix("rtosheap.") in {*MODULES, *LAYERS[0]}
                found.append(inner if known else node.module or "")
    return [name.removeprefix("rtosheap.") for name in found if name.split(".")[0] == "rtosheap"]


def room(module: str) -> str:
    return module.split(".")[0]


def parts(module: str) -> list[str]:
    """The packages that a module lies in, and itself."""
    names = module.split(".")
    return names if MODULES[module].name == "__init__.py" else names[:-1]


def for_types(node: ast.AST) -> bool:
    """Whether it is an ``if TYPE_CHECKING:``, whose imports do nothing."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def top_of(module: str) -> list[ast.AST]:
    body = tree(module).body
    return [*body, *(inner for node in body if for_types(node) for inner in node.body)]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_loaded_by_name_is_known(module: str) -> None:
    calls = [n for n in ast.walk(tree(module)) if isinstance(n, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func).endswith("import_module")]
    texts = {ast.unparse(call.args[0]) for call in loads}
    strangers = {text for text in texts if re.match("'(?!rtosheap)", text)}
    if module not in ABOVE:
        assert texts - strangers == BY_NAME.get(module, set())


@pytest.mark.parametrize("module", [m for m in MODULES if MODULES[m].name == "__init__.py"])
def test_a_face_says_of_what_it_loads_lazily_what_it_is(module: str) -> None:
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__getattr__":
            assert isinstance(node.value, ast.Call)
            assert ast.unparse(node.value.func) == "lazily"
            homes = {word.arg: ast.literal_eval(word.value) for word in node.value.keywords}
            (block,) = [other for other in tree(module).body if for_types(other)]
            typed = {
                alias.name: (inner.module or "").removeprefix(f"rtosheap.{module}.")
                for inner in block.body
                for alias in inner.names
            }
            assert typed == homes


@pytest.mark.parametrize("module", MODULES)
def test_imports_stand_at_the_top_and_point_one_way(module: str) -> None:
    whole = tree(module)
    for name in imports(module, list(ast.walk(whole))):
        if room(module) in ABOVE or name == "rtosheap":  # the face: __version__
            continue
        assert LAYER[room(name)] < LAYER[room(module)] or room(name) == room(module), (
            f"{module} imports {name}, which lies no deeper"
        )
        private = [at for at, part in enumerate(name.split(".")) if part.startswith("_") and at]
        for at in private:
            assert name.split(".")[:at] == module.split(".")[:at], f"{module} imports {name}"
    top = imports(module, top_of(module))
    hidden = imports(module, list(ast.walk(whole)))
    if module == "__main__":  # within a try, for an interrupt meanwhile
        top = hidden[:]
    for name in top:
        hidden.remove(name)
    if room(module) == "cli":  # matplotlib is loaded when something is drawn
        hidden = [name for name in hidden if name != "plot"]
    assert not hidden, f"{module} imports {hidden} inside a function or a condition"


def test_no_module_is_part_of_a_circle() -> None:
    graph = {
        module: {name for name in imports(module, list(ast.walk(tree(module)))) if name in MODULES}
        for module in MODULES
        if module not in ABOVE
    }
    for module, names in graph.items():
        names.discard(module)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", [m for m in MODULES if MODULES[m].name == "__init__.py"])
def test_a_face_hands_names_on_and_defines_nothing(module: str) -> None:
    if module in ("__init__", "cli", "data"):  # the package's own, a program, and a folder of data
        return
    body = tree(module).body
    assert isinstance(body[0], ast.Expr), "a face says what its package is"
    assert all(
        isinstance(node, ast.Import | ast.ImportFrom | ast.Try)
        or for_types(node)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__getattr__")
        for node in body[1:-1]
    )
    assert isinstance(body[-1], ast.Assign)
    assert body[-1].targets[0].id == "__all__"


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) not in KNOW_KINDS])
def test_no_decision_is_taken_by_a_heaps_number_or_name(module: str) -> None:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Compare):
            text = ast.unparse(node)
            constants = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            assert not any(str(value).startswith("heap_") for value in constants), text
            by_number = any(type(value) is int and 1 <= value <= 5 for value in constants)
            assert not (by_number and re.search(r"\bkind\b", text)), text


def sources() -> list[Path]:
    folders = [ROOT / name for name in ("csrc", "rtosheap", "tests", "benchmarks", "notebooks")]
    return [p for f in folders for p in sorted(f.rglob("*")) if p.suffix in (".py", ".c", ".h")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_job_and_a_function_fits_a_screen(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 600
    if path.suffix == ".py":
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
        lengths = {node.name: code_lines(node) for node in functions}
    else:
        starts = re.finditer(r"^\w.*?(\w+)\(.*\{\n((?:.*\n)*?)\}", text, re.MULTILINE)
        lengths = {match[1]: match[2].count("\n") for match in starts}
    assert not {name: lines for name, lines in lengths.items() if lines > 60}


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function's body, without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return node.end_lineno - body[0].lineno + 1 if body and node.end_lineno else 0


#: Of a group that fails halfway, Python 3.11.2 goes on where that stopped: `(?:\d++ )?+` takes the
#: digits, though no blank follows. A group may be repeated as usual, and what is in it possessive.
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_group_of_an_expression_is_possessive(path: Path) -> None:
    assert not POSSESSIVE_GROUP.search(path.read_text())
