"""The reference of C: what a header declares, with the comment before it.

In a page, a fence ``{c-header}`` holds a header's path below csrc/, and names, each a function, a
type or a macro; with no names all functions and types of the header are meant. In the fence's
place come the header's first comment, and each of these with its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

_FENCE = re.compile(r"^```\{c-header\} (\S+)\n((?:\w+\s+)*)```$", re.MULTILINE)
_COMMENT = re.compile(r"/\*(.*?)\*/[ \t]*\n?", re.DOTALL)
_MACRO = re.compile(r"#define (\w+)(\([^)]*\))?(?:[^\n]*\\\n)*[^\n]*\n")
_TYPE = re.compile(r"(struct|enum) (\w+) (?:\{[^\n}]*\n(?:.*\n)*?\}|\{ [^}\n]* \});[^\n]*\n")
_CODE = re.compile(r"(?!enum \{|extern \"C\")[A-Za-z_][\w\s*(),]*[;{]")
_NOT_THE_SIGNATURE = re.compile(
    r"__attribute__\(\([^;{]*?\)\)\)?|\b(?:RH_API|RH_FOREIGN|RH_FOREIGN_OPTIONAL|static|inline|"
    r"RH_INLINE|extern|typedef)\b"
)
_INDENTED = re.compile(r"((?:^ {4}.*\n?|^\n(?= {4}))+)", re.MULTILINE)
_STATEMENT = re.compile(r"[;{]$", re.MULTILINE)
#: What is a name of C where it stands in a sentence. heap_4 is a word.
_LITERAL = re.compile(
    r"`([^`\n]+)`|(?<![\w.-])((?!heap_\d\b)\*?(?:\w+(?:\.|->))*"
    r"(?:[A-Za-z_]\w*_\w*(?:\.[chldS]+)?(?:\(\))?|\w+\(\))(?!\w)"
    r"|\*[a-z]\w*|\w+->\w+|-[DW][\w,=-]+|NULL\b)"
)


class Declared(NamedTuple):
    """Functions, a type or a macro, as a header declares them under one comment.

    Attributes
    ----------
    kind : str
        ``"function"``, ``"struct"``, ``"enum"``, ``"type"``, ``"var"`` or ``"macro"``.
    names, signatures : list of str
    comment : str
        Without the stars; `""` where there is none.
    code : str
        Of a type that has members, all of it.
    """

    kind: str
    names: list[str]
    signatures: list[str]
    comment: str
    code: str = ""


def declared(text: str) -> list[Declared]:
    """What the text of a header declares, in its order; functions without a line between as one."""
    found: list[Declared] = []
    at, comment, group = 0, "", None
    while at < len(text):
        if match := _COMMENT.match(text, at):
            comment, group, at = _bare(match[1]), None, match.end()
            continue
        kind, name, signature, code, end = _one(text, at)
        if kind == "function" and group is not None:
            group.names.append(name)
            group.signatures.append(signature)
        elif kind:
            found.append(Declared(kind, [name], [signature], comment, code))
            comment, group = "", found[-1] if kind == "function" else None
        elif not text[at:end].strip():
            comment, group = "", None
        at = end
    return found


def _one(text: str, at: int) -> tuple[str, str, str, str, int]:
    """Kind, name, signature and code of what is declared at a line's beginning, and its end."""
    line = text.index("\n", at) + 1
    if match := _MACRO.match(text, at):
        return "macro", match[1], match[1] + (match[2] or ""), "", match.end()
    if match := _TYPE.match(text, at):
        return match[1], match[2], match[2], match[0], match.end()
    match = _CODE.match(text, at)
    if match is None:
        return "", "", "", "", line
    end = text.index("\n", match.end() - 1) + 1
    if match[0].endswith("{"):
        end = text.index("\n}", match.end()) + 3
    signature = " ".join(_NOT_THE_SIGNATURE.sub("", match[0][:-1]).split())
    name = re.search(r"\(\*(\w+)\)\(|(\w+)\(|(\w+)$", signature)
    if name is None or re.match(r"RH_STATIC_ASSERT|(struct|enum) \w+$", signature):
        return "", "", "", "", end
    kind = "function" if name[2] else "var"
    kind = "type" if text.startswith("typedef", at) else kind
    return kind, next(filter(None, name.groups())), signature, "", end


def _bare(comment: str) -> str:
    lines = [re.sub(r"^ \* ?", "", line) for line in comment.strip("\n").splitlines()]
    return "\n".join(line.strip() if line is lines[0] else line for line in lines).strip("\n ")


def first_comment(text: str) -> str:
    """What a header says of itself."""
    match = _COMMENT.match(text)
    return _bare(match[1]) if match else ""


def body(text: str) -> str:
    """A header without its first comment, and the guard that follows."""
    text = text[_COMMENT.match(text).end() :] if text.startswith("/*") else text
    return re.sub(r"\A#ifndef (\w+)\n#define \1\n", "", text)


def _sentences(comment: str, indent: str = "") -> str:
    """A comment as reStructuredText; what it indents stands as it is."""
    out = []
    for part in _INDENTED.split(comment):
        part = part.strip("\n")
        if not part.startswith("    "):
            out += [_escaped(line) for line in part.splitlines()]
            continue
        out += ["", f".. code-block:: {'c' if _STATEMENT.search(part) else 'text'}", ""]
        out += [line[1:] for line in part.splitlines()] + [""]
    return "\n".join((indent + line).rstrip() for line in out)


def _escaped(line: str) -> str:
    parts, at = [], 0
    for match in _LITERAL.finditer(line):
        parts += [_plain(line[at : match.start()]), f"``{match[1] or match[2]}``"]
        at = match.end()
    return "".join([*parts, _plain(line[at:])])


def _plain(text: str) -> str:
    return re.sub(r"([\\*|`])", r"\\\1", text)


def page(path: str, text: str, names: list[str]) -> str:
    """What stands in the place of a fence."""
    found = [one for one in declared(body(text)) if _wanted(one, names)]
    lacking = set(names) - {name for one in found for name in one.names}
    if lacking:
        raise ValueError(f"{path} does not declare {', '.join(sorted(lacking))}")
    out = ["````{eval-rst}", _sentences(first_comment(text)), ""]
    for one in found:
        head = f".. c:{one.kind}:: "
        out.append(head + ("\n" + " " * len(head)).join(one.signatures))
        out += ["", _sentences(one.comment, "   "), ""]
        if one.code:
            out += ["   .. code-block:: c", ""]
            out += [("      " + line).rstrip() for line in one.code.splitlines()]
            out.append("")
    return "\n".join([*out, "````"])


def _wanted(one: Declared, names: list[str]) -> bool:
    return bool(set(one.names) & set(names)) if names else one.kind != "macro"


def fences(text: str) -> list[tuple[str, list[str]]]:
    """The headers of a page, and the names that it has of each."""
    return [(match[1], match[2].split()) for match in _FENCE.finditer(text)]


def _fill(app: Any, name: str, text: list[str]) -> None:
    csrc = Path(app.srcdir).parent / "csrc"

    def filled(match: re.Match[str]) -> str:
        header = csrc / match[1]
        app.env.note_dependency(str(header), docname=name)
        return page(match[1], header.read_text(), match[2].split())

    text[0] = _FENCE.sub(filled, text[0])


def setup(app: Any) -> dict[str, bool]:
    """Fill the fences in as pages are read."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}
