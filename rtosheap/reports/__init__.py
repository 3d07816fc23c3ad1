"""What was recorded and what each heap makes of it, as one page to hand on."""

from rtosheap.replays.perfetto import write_perfetto
from rtosheap.reports.report import HtmlReport, explore, report

__all__ = ["HtmlReport", "explore", "report", "write_perfetto"]
