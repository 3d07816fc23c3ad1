"""From recordings to the next day: how big must a heap be, and how sure is that?"""

from rtosheap.risk.assess import assess, vary
from rtosheap.risk.result import Day, Risk
from rtosheap.risk.tail import Estimate, Tail

__all__ = ["Day", "Estimate", "Risk", "Tail", "assess", "vary"]
