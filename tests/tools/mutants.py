"""The mutants of a file of C or Python: each comparison, operator and constant, one at a time."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """A change of one token. What names it does not move when other lines of the file do."""

    path: str
    text: str  # its line, without the blanks around it
    turn: int  # of the file's lines that read so, which one
    column: int  # in that text
    old: str
    new: str
    line: int  # today

    @property
    def key(self) -> tuple[object, ...]:
        return self[:-1]

    @property
    def name(self) -> str:
        return f"{self.path}: {self.old or ' '} -> {self.new or 'nothing'} at {self.column}"

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}: {self.text}"


#: Where a change begins, what it takes away and what it puts there.
Change = tuple[int, int, str, str]  # line, column, old, new


def mutants_of(path: str, source: str) -> list[Mutant]:
    changes = python_changes(source) if path.endswith(".py") else c_changes(source)
    lines = source.splitlines()
    seen: Counter[str] = Counter()
    turns = []
    for line in lines:
        seen[line.strip()] += 1
        turns.append(seen[line.strip()])
    made = []
    for number, column, old, new in changes:
        line = lines[number - 1]
        indent = len(line) - len(line.lstrip())
        place = (path, line.strip(), turns[number - 1], column - indent)
        made.append(Mutant(*place, old, new, number))
    return made


def mutated(source: str, mutant: Mutant) -> str:
    """The source with the change. The old text may reach over several lines."""
    lines = source.splitlines(keepends=True)
    line = lines[mutant.line - 1]
    start = sum(map(len, lines[: mutant.line - 1])) + len(line) - len(line.lstrip())
    start += mutant.column
    assert source.startswith(mutant.old, start), mutant
    return source[:start] + mutant.new + source[start + len(mutant.old) :]


# --- C ---------------------------------------------------------------------------------------

C_SWAPS = {
    "<": ("<=", ">"),
    "<=": ("<",),
    ">": (">=", "<"),
    ">=": (">",),
    "==": ("!=",),
    "!=": ("==",),
    "&&": ("||",),
    "||": ("&&",),
    "+": ("-",),
    "-": ("+",),
    "+=": ("-=",),
    "-=": ("+=",),
    "++": ("--",),
    "^": ("|",),
    "!": ("",),
    "true": ("false",),
    "false": ("true",),
}
C_TOKEN = re.compile(
    r'"[^"]*"|\b(?:true|false)\b|\b\d+u?\b|->|<<|>>|\+\+|--|\+=|-=|&&|\|\||<=|>=|==|!=|[<>+\-^!]'
)


def code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines of code with comments blanked; no directives (nor the macros that they define)."""
    blank = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    directive = False
    for number, line in enumerate(blank.splitlines(), 1):
        directive = directive or line.lstrip().startswith("#")
        if not directive:
            yield number, line
        directive = directive and line.endswith("\\")


def c_changes(source: str) -> Iterator[Change]:
    for number, line in code_lines(source):
        for found in C_TOKEN.finditer(line):
            token = found[0]
            news: tuple[str, ...] = C_SWAPS.get(token, ())
            if token[0].isdigit():
                news = (str(int(token.rstrip("u")) + 1) + "u" * token.endswith("u"),)
            for new in news:
                yield number, found.start(), token, new


# --- Python ----------------------------------------------------------------------------------

COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">")),
    ast.LtE: ("<=", ("<",)),
    ast.Gt: (">", (">=", "<")),
    ast.GtE: (">=", (">",)),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
}
OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
    ast.Div: ("/", "*"),
    ast.Mod: ("%", "//"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
}


class PythonChanges(ast.NodeVisitor):
    """Collects the changes of a module; its annotations and docstrings do nothing."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines(keepends=True)
        self.changes: list[Change] = []

    def generic_visit(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)

    def between(self, left: ast.expr, right: ast.expr, old: str, *news: str) -> None:
        """An operator stands between two operands, maybe with parentheses, on one line or more."""
        assert left.end_lineno is not None
        assert left.end_col_offset is not None
        for number in range(left.end_lineno, right.lineno + 1):
            line = self.lines[number - 1].encode()
            first = left.end_col_offset if number == left.end_lineno else 0
            last = right.col_offset if number == right.lineno else len(line)
            gap = line[first:last].decode().split("#")[0]
            word = rf"\b{old}\b" if old[0].isalpha() else re.escape(old)
            found = re.search(word.replace(" ", r"\s+"), gap)
            if found:
                column = len(line[:first].decode()) + found.start()
                self.changes += [(number, column, found[0], new) for new in news]
                return
        raise AssertionError(f"no {old} after line {left.end_lineno}")

    def at(self, node: ast.expr, old: str, new: str) -> None:
        line = self.lines[node.lineno - 1]
        column = len(line.encode()[: node.col_offset].decode())
        if line.startswith(old, column):
            self.changes.append((node.lineno, column, old, new))

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            old, news = COMPARISONS[type(operator)]
            self.between(left, right, old, *news)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, old, new)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in OPERATORS and not is_text(node.left):
            self.between(node.left, node.right, *OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in OPERATORS:
            old, new = OPERATORS[type(node.op)]
            self.between(node.target, node.value, f"{old}=", f"{new}=")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.at(node, "not ", "")
        self.generic_visit(node)

    def condition(self, test: ast.expr) -> None:
        """What is no comparison, and no negation, is negated."""
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            line = self.lines[test.lineno - 1].encode()
            word = line[test.col_offset :].decode()
            first = re.match(r"\w+", word)
            if first:
                self.at(test, first[0], f"not {first[0]}")

    def visit_If(self, node: ast.If) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.at(node, str(node.value), str(not node.value))
        elif isinstance(node.value, int):
            segment = ast.get_source_segment("".join(self.lines), node)
            assert segment is not None
            self.at(node, segment, str(node.value + 1))

    def visit_Call(self, node: ast.Call) -> None:
        """But for zip()'s `strict`, which says what holds in any case."""
        is_zip = isinstance(node.func, ast.Name) and node.func.id == "zip"
        for child in [node.func, *node.args, *([] if is_zip else node.keywords)]:
            self.visit(child)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Inside of an f-string nodes have no places before Python 3.12."""


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def python_changes(source: str) -> list[Change]:
    changes = PythonChanges(source)
    changes.visit(ast.parse(source))
    return sorted(set(changes.changes))
