"""The heaps on a Cortex-M: what a call costs in instructions, and what the code takes.

The C that runs behind ``rtosheap.Heap4`` is compiled for the processor and run in an emulator::

    from rtosheap import Op, cortexm, data

    run = cortexm.measure(data.load("coap-server"), "heap_4", cpu="cortex-m4")
    run.fit(Op.MALLOC)                 # a + b * nodes
    cortexm.footprint(cpu="cortex-m0")

So is somebody else's allocator, of which nothing is here: ``cortexm.measure(trace,
sources=["adapter.c", "tlsf.c"])``.

This needs a compiler and an emulator, which
``pip install unicorn ziglang pyelftools 'capstone<6'`` brings without root: Unicorn, and clang as
ziglang packages it. An arm-none-eabi-gcc on the path is taken first, as most firmware is built by
it.
"""

from rtosheap.cortexm._bound import Bound, bound
from rtosheap.cortexm._footprint import Footprint, footprint
from rtosheap.cortexm._foreign import ForeignMeasurement, SmallestArena, Tried
from rtosheap.cortexm._measure import Fit, Measurement, measure
from rtosheap.cortexm.machine import MachineError
from rtosheap.cortexm.targets import CPUS, Cpu
from rtosheap.cortexm.toolchain import Toolchain, ToolchainError, find_toolchain

__all__ = [
    "CPUS",
    "Bound",
    "Cpu",
    "Fit",
    "Footprint",
    "ForeignMeasurement",
    "MachineError",
    "Measurement",
    "SmallestArena",
    "Toolchain",
    "ToolchainError",
    "Tried",
    "bound",
    "find_toolchain",
    "footprint",
    "measure",
]
