"""heap_5's regions where the array of them is a function's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_device import BASE, ENTRIES, LINKED, compiled

from rtosheap import device
from rtosheap.device import Memory, load_symbols

LOCAL = f"const unsigned table[] = {{ {BASE}, 0x20, 0, {BASE}, 0x400, 0, 0 }};\n" + (
    f"int main(void) {{ const HeapRegion_t x[] = {ENTRIES}; vPortDefineHeapRegions(x);\n"
    "return (int)table; }\n"
)
OWNERS = {
    "pxEnd": '#include "FreeRTOS.h"\nvoid *pxEnd = (void *)1;\n',
    "xHeap": '#include "freertos/heap_5.c"\n',
}


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("variable", OWNERS)
def test_regions_in_a_function(variable: str, level: str, tmp_path: Path) -> None:
    """Their array is a copy, without a name, of values that have none: where the heap ends, by a
    kernel's variable or the drop-in's, tells which these are.
    """
    path, end = tmp_path / "image.elf", BASE + 0x1200 - 8
    compiled(path, OWNERS[variable] + LOCAL, "-g", level, *LINKED)
    symbols = load_symbols(path)
    at = symbols.table[variable][0] + symbols.members.get("end", (0, 0))[0]
    held = ((BASE, bytes(0x400)), (BASE + 0x1000, bytes(0x200)))
    name, found = device.find_regions(Memory((*held, (at, end.to_bytes(4, "little")))), path)
    assert name.startswith("the constant at 0x")
    assert found == [(BASE, 0x400), (BASE + 0x1000, 0x200)]
    for wrong in (end - 8, 0):
        memory = Memory((*held, (at, wrong.to_bytes(4, "little"))))
        with pytest.raises(ValueError, match=r"not constants in it; give them \(--region\)"):
            device.find_regions(memory, path)
