"""Images that set a heap up, damage it and stand still, for QEMU; and QEMU as their board.

`own` is an application over one of the drop-in files, with tasks, and pointers to its blocks in
variables; `kernel` has the variables of one of the kernel's own heaps. What lies in their memory
says a heap in Python that has had the same calls: `own_heap`, `kernel_heap`.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from arena_damage import WAYS
from test_device_releases import names_of, since

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5
from rtosheap.data import crash
from rtosheap.device import Target, read_elf, write_core
from rtosheap.heaps.layout import Layout

sys.path.insert(0, str(Path(__file__).parent / "firmware"))

import recorder_images
import tools

CPU, BOARD, SCRIPT = "cortex-m4", "mps2-an386", "mps2.ld"
SIZE = 4096
CANARY = 0x5EED_CA9A
#: Where the arena of an application over a drop-in lies, and of heap_5 the regions in it.
BASE = 0x2000_0000
REGIONS = ((BASE, 1536), (BASE + 2048, 2048))
#: The same of a kernel's own heap: memory that the linker's script leaves alone.
KERNEL_BASE = 0x2100_0000
KERNEL_REGIONS = ((KERNEL_BASE, 1536), (KERNEL_BASE + 2048, 2048))
END_MARKER = KERNEL_BASE + 0x1_0000

#: What the application asks for: a block's number and its bytes, or None where it is freed. The
#: numbers are those of firmware/device_main.c.
CALLS: tuple[tuple[int, int | None], ...] = (
    (0, 256), (1, 96), (2, 192), (3, 96), (4, 128), (5, 96), (6, 96), (7, 40), (8, 200), (9, 24),
    (10, 32), (11, 60), (12, 72), (13, 100), (14, 16), (8, None), (12, None), (15, 48),
)  # fmt: skip
#: The application's blocks that a variable, another block or a stack points to, by what is said.
QUEUE, MESSAGE, NODE, LOCAL, BUFFER, LOG, LOST, SMALL = 6, 7, 9, 10, 11, 13, 14, 15
TASKS = {"main": (1, 0), "sensor": (3, 2), "idle": (5, 4)}  # control block and stack

Damage = Sequence[tuple[int, bytes]]  # what is written over, and where


class Block(NamedTuple):
    """A block, and where its payload is."""

    address: int
    size: int
    allocated: bool
    payload: int


class Program(NamedTuple):
    """A heap after the application's calls, and the payloads' addresses by a block's number."""

    heap: Any
    payloads: dict[int, int]


def run_calls(heap: Any) -> Program:
    """The application's calls on a heap."""
    payloads: dict[int, int] = {}
    for number, size in _calls(Layout.of(heap)):
        if size is None:
            heap.free(payloads.pop(number))
        else:
            payloads[number] = heap.malloc(size)
    return Program(heap, payloads)


def own_heap(heap: int, *, protector: bool = False) -> Program:
    """What an application over a drop-in file leaves: the newest kernel's heap."""
    options = {"canary": CANARY} if protector else {}
    made: Any = {
        1: lambda: Heap1(SIZE),
        2: lambda: Heap2(SIZE),
        3: lambda: Heap3(SIZE, newlib="3.3.0"),  # which Debian's toolchain has
        4: lambda: Heap4(SIZE, **options),
        5: lambda: Heap5(REGIONS, **options),
    }
    return run_calls(made[heap]())


def kernel_heap(heap: int, release: str, *, protector: bool = False) -> Program:
    """What a release's own heap leaves."""
    options: dict[str, Any] = {"kernel": release, **({"canary": CANARY} if protector else {})}
    at = {"base_address": KERNEL_BASE}
    made: Any = {
        1: lambda: Heap1(SIZE, **at, **options),
        2: lambda: Heap2(SIZE, **at, end_marker_address=END_MARKER, **options),
        4: lambda: Heap4(SIZE, **at, **options),
        5: lambda: Heap5(KERNEL_REGIONS, **options),
    }
    return run_calls(made[heap]())


def pairs(program: Program) -> list[tuple[Block, Block]]:
    """Blocks that adjoin, of which the first is the application's."""
    layout = Layout.of(program.heap)
    blocks = [Block(*block[:3], layout.payload(block.address)) for block in program.heap.blocks()]
    return [
        (a, b)
        for a, b in itertools.pairwise(blocks)
        if a.allocated and a.address + a.size == b.address
    ]


def wound(way: str, pair: tuple[Block, Block]) -> tuple[Damage, int]:
    """One of the ten ways of `WAYS` at a pair: the damage, and the block that did it."""
    at, data, culprit = WAYS[way](*pair)
    return [(at, data)], culprit


def _calls(layout: Layout) -> Iterable[tuple[int, int | None]]:
    return (call for call in CALLS if layout.frees or call[1] is not None)


# ---------------------------------------------------------------------- an application


def own(
    folder: Path,
    heap: int,
    *,
    damage: Damage = (),
    protector: bool = False,
    defines: Sequence[str] = (),
) -> Path:
    """An application over a drop-in file, that damages its heap when all is set up."""
    text = [
        f"TAKE({number}, {size}u)" if size is not None else f"GIVE({number})"
        for number, size in _calls(Layout(heap))
    ]
    hurts = [f'HURT({at:#x}u, "{_escaped(data)}", {len(data)}u)' for at, data in damage]
    (folder / "device_program.h").write_text(
        f"#define DEVICE_CALLS {' '.join(text)}\n#define DEVICE_DAMAGE {' '.join(hurts)}\n"
    )
    sources = ["cortexm/startup.c", "cortexm/semihosting.c", f"freertos/heap_{heap}.c"]
    library = ["-nostdlib"]
    if Layout(heap).is_newlib:
        library = ["-specs=nano.specs", "-specs=nosys.specs"]
    else:
        sources.append("cortexm/memory_functions.c")
    first, second = REGIONS
    macros = {
        "DEVICE_HEAP": heap,
        "DEVICE_CANARY": f"{CANARY:#x}u",
        "DEVICE_FIRST": first[1],
        "DEVICE_SECOND": second[0] - BASE,
        "DEVICE_REST": second[1],
        "configTOTAL_HEAP_SIZE": SIZE,
        "configAPPLICATION_ALLOCATED_HEAP": 1,
        "configENABLE_HEAP_PROTECTOR": int(protector),
    }
    return _linked(
        folder / "own.elf",
        [*(recorder_images.CSRC / name for name in sources), *_firmware("main.c", "tasks.c")],
        *(f"-D{name}={value}" for name, value in macros.items()),
        *defines,
        *library,
    )


def _firmware(*names: str) -> list[Path]:
    return [recorder_images.HERE / f"device_{name}" for name in names]


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in data)


def _linked(path: Path, sources: Sequence[Path], *flags: str) -> Path:
    recorder_images.link(sources, path, CPU, SCRIPT, "-O2", f"-I{path.parent}", *flags)
    return path


# ---------------------------------------------------------------------- a kernel's own heap


def kernel(
    folder: Path, heap: int, release: str, *, damage: Damage = (), protector: bool = False
) -> Path:
    """The variables of a release's own heap after the application's calls, and damage."""
    program = kernel_heap(heap, release, protector=protector)
    regions = memory_of(program.heap, damage)
    arenas = ["ucHeap"] if heap != 5 else [f"ucRegion{number}" for number in range(len(regions))]
    # The arenas, and heap_2's end marker, have sections of their own, for their addresses.
    text = [_array(name, data) for name, (_, data) in zip(arenas, regions, strict=True)]
    variables = _variables(program.heap)
    for name in names_of(release, heap, protector):
        if name != "ucHeap":
            line = _defined(name, *variables[name])
            text.append(_within_malloc(line) if name in _locals(release) else line)
    if heap == 5:
        entries = "".join(f"{{{name}, sizeof {name}}}, " for name in arenas)
        text.append(f"const HeapRegion_t xBoardRegions[] = {{{entries}{{NULL, 0}}}};")
    (folder / "device_state.h").write_text("\n".join(text) + "\n")
    sources = [recorder_images.CSRC / "cortexm" / n for n in ("startup.c", "semihosting.c")]
    starts = dict(zip(arenas, (at for at, _ in regions), strict=True))
    if heap == 2:
        starts["xEnd"] = END_MARKER
    return _linked(
        folder / "kernel.elf",
        [*sources, *_firmware("kernel.c")],
        *(f"-Wl,--section-start=.at.{name}={at:#x}" for name, at in starts.items()),
        "-nostdlib",
    )


def memory_of(heap: Any, damage: Damage = ()) -> list[tuple[int, bytes]]:
    """A heap's regions, written over."""
    regions = [(region.address, bytearray(region.memory)) for region in heap.regions]
    for at, data in damage:
        for base, memory in regions:
            if base <= at < base + len(memory):
                assert at + len(data) <= base + len(memory)
                memory[at - base : at - base + len(data)] = data
    return [(base, bytes(memory)) for base, memory in regions]


def _locals(release: str) -> set[str]:
    """The variables that are a function's own."""
    return {"pucAlignedHeap", *(() if since(release, "V11.1.0") else {"xHeapHasBeenInitialised"})}


def _within_malloc(line: str) -> str:
    return f"void pvPortMalloc(void);\nvoid pvPortMalloc(void) {{\n    {line}\n}}"


def _defined(name: str, type_: str, value: str) -> str:
    where = f'PLACED(".at.{name}")' if name == "xEnd" else "KEPT"
    return f"{where} static {type_}{name} = {value};"


def _array(name: str, data: bytes) -> str:
    return f'PLACED(".at.{name}") static uint8_t {name}[] = {{{", ".join(map(str, data))}}};'


def _variables(heap: Any) -> dict[str, tuple[str, str]]:
    """A heap's variables, whichever a release has of them: type and value by name."""
    layout = Layout.of(heap)
    first, last = heap.regions[0], heap.regions[-1]
    start = layout.start(first.address)
    if not layout.frees:
        used = heap.blocks()[-1].address - start
        return {
            "pucAlignedHeap": ("uint8_t *", f"(uint8_t *){start:#x}u"),
            "xNextFreeByte": ("size_t ", f"{used}u"),
        }
    end = END_MARKER if layout.by_size else layout.end(last.address, len(last.memory))
    listed = heap.free_blocks()
    head = (listed[0].address if listed else end) ^ layout.canary
    counted = heap.stats()
    numbers = {
        "xHeapHasBeenInitialised": 1,
        "xFreeBytesRemaining": counted.available,
        "xMinimumEverFreeBytesRemaining": counted.minimum_ever_free,
        "xNumberOfSuccessfulAllocations": counted.allocation_count,
        "xNumberOfSuccessfulFrees": counted.free_count,
        "xBlockAllocatedBit": layout.top_bit,
        "xHeapCanary": layout.canary,
    }
    return {
        "xStart": ("BlockLink_t ", f"{{(BlockLink_t *){head:#x}u, 0}}"),
        "xEnd": ("BlockLink_t ", f"{{NULL, {heap.size}u}}"),
        "pxEnd": ("BlockLink_t *", f"(BlockLink_t *){end:#x}u"),
        "pucHeapHighAddress": ("uint8_t *", f"(uint8_t *){last.address + len(last.memory):#x}u"),
        "pucHeapLowAddress": ("uint8_t *", f"(uint8_t *){first.address:#x}u"),
        **{name: ("size_t ", f"{number}u") for name, number in numbers.items()},
    }


# ---------------------------------------------------------------------- the board


#: Of QEMU's socket: it waits for nobody, neither for a client nor to send more in one packet.
_AT_ONCE = "wait=off,nodelay=on"


class Machine:
    """A board in QEMU that runs an image, and whose gdb server is at `where`.

    The image has run until it stood still in ``device_stop``; with ``running=False`` it waits
    before its first instruction, for a gdb that starts it. One client at a time is served.
    """

    def __init__(self, image: Path, *, running: bool = True) -> None:
        qemu = tools.require("qemu-system-arm")
        # The socket is ours, so that no port is lost to somebody else meanwhile, and none has to
        # be waited for.
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.where = f"127.0.0.1:{server.getsockname()[1]}"
            self._process = subprocess.Popen(
                [
                    *(qemu, "-M", BOARD, "-display", "none", "-monitor", "none"),
                    *("-serial", "null", "-semihosting-config", "enable=on,target=native"),
                    *("-chardev", f"socket,id=gdb,fd={server.fileno()},server=on,{_AT_ONCE}"),
                    *("-gdb", "chardev:gdb", "-kernel", str(image), *([] if running else ["-S"])),
                ],
                pass_fds=[server.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        if running:
            self.wait()

    def wait(self) -> None:
        """Until the image stands still."""
        assert self._process.stdout is not None
        said = b""
        while not said.endswith(b"stopped\n"):
            line = self._process.stdout.readline()
            if not line:
                self.close()
                raise AssertionError(f"the image did not come to its end: {said.decode()}")
            said += line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


# ---------------------------------------------------------------------- what the package brings

#: Of rtosheap.crash(): what the application writes into its message, which has 40 bytes.
REPORT = b"temperature 23.5 degrees, pressure 1013 hPa\0"
_NOT_NEEDED = ("frame", "line", "line_str", "loc", "loclists")  # of the debug information


def crash_damage(program: Program) -> Damage:
    """The damage of the crashes that come with the package."""
    return [(program.payloads[MESSAGE], REPORT)]


def write_crashes() -> None:
    """Write the firmware and the memory of each crash that comes with the package."""
    for heap in (4, 5):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            places = {folder: ".", recorder_images.CSRC.parent: "."}
            maps = [f"-ffile-prefix-map={at}={told}" for at, told in places.items()]
            image = own(folder, heap, damage=crash_damage(own_heap(heap)), defines=maps)
            elf = crash(f"heap_{heap}")[1]
            objcopy = [tools.require("arm-none-eabi-objcopy")]
            objcopy += [f"--remove-section=.debug_{part}" for part in _NOT_NEEDED]
            recorder_images.run([*objcopy, image, elf])
            elf.chmod(0o644)
        with Machine(elf) as machine, Target(machine.where) as target:
            spans = [(BASE, SIZE)] + [
                (part.address, part.size)
                for part in read_elf(elf).sections
                if part.name in (".data", ".bss")
            ]
            pieces = [(at, target.read(at, size) or b"") for at, size in spans if size]
            crash(f"heap_{heap}")[0].write_bytes(write_core(pieces))


if __name__ == "__main__":
    write_crashes()
