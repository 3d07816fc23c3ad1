"""A device's arena looked at: every block, how fragmented it is, and what is broken.

Damage is a finding here, not an error: any bytes can be inspected.
"""

from rtosheap.inspection._inspect import inspect
from rtosheap.inspection._owners import Owner
from rtosheap.inspection.damage import Damage
from rtosheap.inspection.report import Dependence, Found, Report
from rtosheap.inspection.whose import Surroundings, Who, look_around, named_blocks, who

__all__ = [
    "Damage",
    "Dependence",
    "Found",
    "Owner",
    "Report",
    "Surroundings",
    "Who",
    "inspect",
    "look_around",
    "named_blocks",
    "who",
]
