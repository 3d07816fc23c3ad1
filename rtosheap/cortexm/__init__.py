from rtosheap.cortexm._footprint import Footprint, footprint
from rtosheap.cortexm._targets import CPUS, Cpu
from rtosheap.cortexm._toolchain import Toolchain, ToolchainError, find_toolchain
