"""The longest paths of a drop-in file's functions, read from its image."""

from __future__ import annotations

import importlib
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from rtosheap.cortexm._code import Code, CodeError
from rtosheap.cortexm._flow import Path, Paths, reached
from rtosheap.cortexm._lines import Frame, Lines
from rtosheap.cortexm._turns import Turns
from rtosheap.cortexm.images import Configuration, image
from rtosheap.cortexm.toolchain import compile_text, csrc

__all__ = ["CLEARING", "Proof", "Step", "prove"]

#: What a heap calls once, and what does not return: a heap that is set up, and whose assertions
#: hold, calls neither.
_NEVER = ("prvHeapInit", "vAssertCalled")
#: What clears a block, by compilers' names for it: linear in the block, and so counted apart.
CLEARING = ("memset", *(f"__aeabi_mem{what}{n}" for what in ("clr", "set") for n in ("", "4", "8")))


class Step(NamedTuple):
    """A line of the source on a longest path.

    Attributes
    ----------
    file : str
        Its name.
    line : int
    function : str
        Which function the line is of.
    instructions : int
        How many the path executes there, in all.
    """

    file: str
    line: int
    function: str
    instructions: int


class Proof(NamedTuple):
    """The longest paths of malloc and free, and what `RH_INDEX_BYTES` is."""

    malloc: Path
    free: Path
    index_bytes: int
    lines: Lines
    code: Code

    def steps(self, path: Path) -> list[Step]:
        """The lines of a path, in the order of their files."""
        counts: Counter[tuple[str, int, str]] = Counter()
        for at, times in path.times.items():
            frames = self.lines.frames(at)
            innermost = frames[0] if frames else Frame(csrc(), 0, self.code.name_of(at))
            counts[innermost.path.name, innermost.line, innermost.function] += times
        return [Step(*place, count) for place, count in sorted(counts.items()) if count]


def prove(configuration: Configuration, heap_size: int) -> Proof:
    """The longest paths of a heap of this size."""
    data = image(configuration, heap_size, "-g")
    code, lines = Code(data), Lines(data)
    source = csrc() / "freertos" / f"{configuration.heap}.c"
    index_bytes = 0

    def value(expressions: Sequence[str]) -> list[int]:
        nonlocal index_bytes
        size = "RH_INDEX_BYTES(RH_INDEX_SIZE)" if configuration.kernel.indexed else "0"
        asked = [*expressions, size]
        array = f"const unsigned long rh_constants[] = {{{', '.join(asked)}}};"
        text = f'#include "{source}"\n{array}\n'
        defines = configuration.defines_for(heap_size)
        data = compile_text(configuration.toolchain, configuration.flags, defines, text)
        *values, index_bytes = constants(data, len(asked))
        return values

    calls = ("pvPortMalloc", "vPortFree")
    turns = Turns(lines, reached(code, calls, _NEVER), value, _NEVER)
    options: dict[str, Any] = {"never": _NEVER, "dead": turns.dead}
    malloc = Paths(code, turns, **options).longest(calls[0])
    free = Paths(code, turns, apart=CLEARING, **options).longest(calls[1])
    return Proof(malloc, free, index_bytes, lines, code)


def constants(data: bytes, count: int) -> list[int]:
    """The words of `rh_constants` in an object file."""
    library: Any = importlib.import_module("elftools.elf.elffile")
    elf = library.ELFFile(io.BytesIO(data))
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        if symbol.name == "rh_constants":
            words = elf.get_section(symbol["st_shndx"]).data()[symbol["st_value"] :]
            return [int.from_bytes(words[4 * i : 4 * i + 4], "little") for i in range(count)]
    raise CodeError("the object file has no rh_constants")
