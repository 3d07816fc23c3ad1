"""Jobs done here, one after the other, or spread over an executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rtosheap.work.progress import UNIT, Progress, part

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_PATIENCE = 0.5  # seconds between two calls of progress, where an executor is at work


def spread(
    function: Callable[[_Job, Progress | None], _Result],
    jobs: Sequence[_Job],
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[_Result]:
    """``function(job, progress)`` of every job, in the order of the jobs.

    Parameters
    ----------
    function : callable
        What an executor runs, perhaps in another process: there its progress is None, or what the
        executor's own ``report(i)`` gives for job `i`; ``share(i)`` says how much of it is done.
    jobs : sequence
    executor : concurrent.futures.Executor, optional
        Runs one task per job, no more than its own ``at_once`` at a time, if it has that. By
        default all run here, one after the other.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time. If it raises, or a job does, what
        has not begun is cancelled.
    """
    if executor is None:
        return [function(job, part(progress, i, len(jobs))) for i, job in enumerate(jobs)]
    from concurrent.futures import FIRST_COMPLETED, wait  # slow to import

    report = getattr(executor, "report", lambda _: None)
    share = getattr(executor, "share", lambda _: 0.0)
    most = getattr(executor, "at_once", len(jobs))
    futures: list[Future[_Result]] = []
    waiting: set[Future[_Result]] = set()
    try:
        while waiting or len(futures) < len(jobs):
            for job in jobs[len(futures) : len(futures) + most - len(waiting)]:
                futures.append(executor.submit(function, job, report(len(futures))))
                waiting.add(futures[-1])
            done, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if progress is not None:
                shares = (share(i) if f in waiting else 1 for i, f in enumerate(futures))
                progress(int(UNIT * sum(shares)), len(jobs) * UNIT)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]
