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
        Runs one task per job. By default all run here, one after the other.
    progress : callable, optional
        Called as ``progress(done, total)`` from time to time. If it raises, or a job does, what
        has not begun is cancelled.
    """
    if executor is None:
        return [function(job, part(progress, i, len(jobs))) for i, job in enumerate(jobs)]
    from concurrent.futures import FIRST_COMPLETED, wait  # slow to import

    report = getattr(executor, "report", lambda _: None)
    share = getattr(executor, "share", lambda _: 0.0)
    futures: list[Future[_Result]] = [
        executor.submit(function, job, report(i)) for i, job in enumerate(jobs)
    ]
    waiting = set(futures)
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if progress is not None:
                shares = (1 if f not in waiting else share(i) for i, f in enumerate(futures))
                progress(int(UNIT * sum(shares)), len(futures) * UNIT)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]
