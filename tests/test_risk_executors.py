"""Runs on executors: the same numbers whoever does them, and none is left out without a word."""

from __future__ import annotations

import multiprocessing
from collections import Counter, OrderedDict
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from needs import missing
from parts import few_of
from risk_methods import PICKLED, Counted, Dies, Interrupts, Raises, as_recorded
from risk_programs import DAY, from_lives, poisson

from rtosheap import Heap1, Heap2, Heap3, Heap4, Heap5, data
from rtosheap.risk import assess
from rtosheap.risk import runs as risk_runs
from rtosheap.risk.duration import spoken


def small_days(count=2):
    days = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        births = rng.integers(0, DAY, 30).tolist()
        days.append(from_lives([("a", at, 9_000_000, int(rng.integers(1, 400))) for at in births]))
    return days


SMALL = small_days()


def processes(count):
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def one_process():
    with processes(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def two_processes():
    with processes(2) as executor:
        yield executor


@pytest.fixture
def two_workers():
    """Dask's executor on two workers, each a process with one thread."""
    try:
        import distributed
    except ImportError:
        missing("distributed (pip install distributed)")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


class Watched(Executor):
    """Another executor, whose jobs are counted: with the plan, and without it."""

    def __init__(self, executor):
        self.executor, self.jobs = executor, Counter()

    def submit(self, function, job):
        self.jobs["with" if job.plan is not None else "without"] += 1
        return self.executor.submit(function, job)


# ------------------------------------------------------------------ the same numbers


def same_numbers(executor, runs=100):
    days = [poisson(np.random.default_rng(seed)) for seed in range(2)]
    here = assess(days, Heap4, runs=runs, seed=5)
    there = assess(days, Heap4, runs=runs, seed=5, executor=executor)
    assert there.to_dict() == here.to_dict()
    assert len(here.sizes) == runs
    assert len(set(here.sizes.tolist())) > runs // 4
    assert assess(days, Heap4, runs=runs, seed=6).sizes.tolist() != here.sizes.tolist()


def test_threads():
    with ThreadPoolExecutor(3) as executor:
        same_numbers(executor)


@pytest.mark.long
def test_one_process(one_process):
    same_numbers(one_process)


def test_two_processes(two_processes):
    same_numbers(two_processes)


@pytest.mark.parametrize("heap", few_of([Heap1, Heap2, Heap3, Heap5], [Heap2, Heap5]))
def test_other_heaps(two_processes, heap):
    options = {"regions": [(0x2000_0000, 2048), (0x2001_0000, None)]} if heap is Heap5 else {}
    here = assess(SMALL, heap, runs=20, **options)
    assert assess(SMALL, heap, runs=20, executor=two_processes, **options).to_dict() == (
        here.to_dict()
    )


def test_the_first_runs_of_more_are_the_same():
    few, many = (assess(SMALL, Heap4, runs=runs).sizes for runs in (20, 60))
    assert not set(few.tolist()) - set(many.tolist())


@pytest.mark.long
def test_dask(two_workers):
    """The same numbers on two workers, and few jobs bring the recordings along."""
    watched = Watched(two_workers)
    same_numbers(watched)
    assert watched.jobs["with"] <= 4
    assert assess(
        data.days("gateway")[:2], Heap4, runs=40, executor=two_workers
    ).sizes.tolist() == (assess(data.days("gateway")[:2], Heap4, runs=40).sizes.tolist())


@pytest.mark.long
def test_a_dask_worker_that_dies_is_replaced(two_workers, tmp_path):
    found = assess(SMALL, Heap4, runs=40, executor=two_workers, method=Dies(tmp_path, 17, 1))
    assert len(list(tmp_path.iterdir())) == 1
    assert len(found.sizes) == 40
    assert not any("missing" in text for text in found.warnings)


# ------------------------------------------------------------------ what is sent


def test_the_plan_is_sent_to_each_process_once(tmp_path):
    """And pickled as often, however many jobs there are."""
    PICKLED.clear()
    with processes(2) as executor:
        watched = Watched(executor)
        found = assess(SMALL, Heap4, runs=640, executor=watched, method=Counted(tmp_path))
    assert len(found.sizes) == 640
    workers = {name.name.split("-")[0] for name in tmp_path.iterdir()}
    assert 1 <= len(workers) <= 2
    assert watched.jobs["with"] == len(PICKLED) == len(list(tmp_path.iterdir()))
    assert len(workers) <= watched.jobs["with"] <= len(workers) + 1
    assert watched.jobs["without"] <= 20 + 2 * watched.jobs["with"] + 2


class Fifo(Executor):
    """Workers by hand, each of which remembers plans of its own: jobs are done in the order that
    a random generator says.
    """

    def __init__(self, count, seed):
        self.memories = [OrderedDict() for _ in range(count)]
        self.rng = np.random.default_rng(seed)
        self.queue = []
        self.jobs = Counter()

    def submit(self, function, job):
        future = Future()
        self.queue.append((future, job))
        self.jobs["with" if job.plan is not None else "without"] += 1
        return future

    def step(self, monkeypatch):
        """The first job of the queue, by any of the workers."""
        worker = int(self.rng.integers(len(self.memories)))
        future, job = self.queue.pop(0)
        if not future.set_running_or_notify_cancel():
            return
        monkeypatch.setattr(risk_runs, "_PLANS", self.memories[worker])
        future.set_result(risk_runs._work(job)._replace(process=("here", worker), thread=worker))


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_whichever_worker_takes_a_job(monkeypatch, workers):
    """Jobs fall to any worker, which need not be the one that a plan was meant for."""
    executor = Fifo(workers, seed=workers)

    def wait(futures, timeout, return_when):
        while not any(future.done() for future in futures):
            executor.step(monkeypatch)
        return {future for future in futures if future.done()}, set()

    monkeypatch.setattr(risk_runs, "wait", wait)
    found = assess(SMALL, Heap4, runs=1000, executor=executor, method=as_recorded)
    assert len(found.sizes) == 1000
    assert (
        found.sizes.tolist() == assess(SMALL, Heap4, runs=1000, method=as_recorded).sizes.tolist()
    )
    assert executor.jobs["with"] <= 4 * workers


# ------------------------------------------------------------------ what goes wrong


def test_a_pool_that_breaks_is_reported(tmp_path):
    """Run 39 ends its process, with which a pool ends: what was done is kept and counted."""
    with processes(1) as executor:
        found = assess(SMALL, Heap4, runs=40, executor=executor, method=Dies(tmp_path, 39, 99))
    assert len(found.sizes) == 38  # of two at a time
    (text,) = [text for text in found.warnings if "missing" in text]
    assert text.startswith("2 of 40 runs are missing (BrokenProcessPool: ")
    assert found.to_dict()["runs_done"] == 38
    assert found.runs == 40


def test_a_pool_that_breaks_at_once(tmp_path):
    with (
        processes(1) as executor,
        pytest.raises(RuntimeError, match="all 1 runs were lost: BrokenProcessPool"),
    ):
        assess(SMALL, Heap4, runs=1, executor=executor, method=Dies(tmp_path, 0, 99))


class Failing(Executor):
    """Whose worker ends so many times with a job in which a run is."""

    def __init__(self, run, times):
        self.run, self.times = run, times

    def submit(self, function, job):
        future = Future()
        if self.run in job.runs and self.times:
            self.times -= 1
            future.set_exception(OSError("the worker is gone"))
        else:
            future.set_result(function(job))
        return future


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_whose_worker_ends_is_done_again(times):
    found = assess(SMALL, Heap4, runs=320, executor=Failing(100, times))
    assert found.sizes.tolist() == assess(SMALL, Heap4, runs=320).sizes.tolist()
    assert not any("missing" in text for text in found.warnings)


def test_a_run_that_ends_every_worker_is_lost_alone():
    found = assess(SMALL, Heap4, runs=320, executor=Failing(100, 99))
    assert len(found.sizes) == 319
    assert "1 of 320 runs are missing (OSError: the worker is gone)" in found.warnings


@pytest.mark.parametrize("runs", [1, 40])
def test_a_method_that_raises(two_processes, runs):
    method = Raises(runs - 1, ValueError("no such day"))
    for executor in (None, two_processes):
        with pytest.raises(ValueError, match="no such day"):
            assess(SMALL, Heap4, runs=runs, executor=executor, method=method)


def test_a_worker_without_memory_is_not_the_last_word(two_processes):
    found = assess(
        SMALL, Heap4, runs=40, executor=two_processes, method=Raises(3, MemoryError("too large"))
    )
    assert "1 of 40 runs are missing (MemoryError: too large)" in found.warnings
    assert len(found.sizes) == 39


def test_a_method_that_cannot_be_sent(two_processes):
    with pytest.raises(RuntimeError, match=r"all 2 runs were lost: .*Error: .*pickle"):
        assess(SMALL, Heap4, runs=2, executor=two_processes, method=lambda traces, rng: traces[0])


# ------------------------------------------------------------------ progress and Ctrl-C


def test_progress(two_processes):
    for executor in (None, two_processes):
        calls = []
        assess(
            SMALL,
            Heap4,
            runs=50,
            executor=executor,
            progress=lambda done, runs, calls=calls: calls.append((done, runs)),
        )
        assert calls[-1] == (50, 50)
        assert [done for done, _ in calls] == sorted(done for done, _ in calls)
        assert {runs for _, runs in calls} == {50}


def test_ctrl_c_keeps_what_there_is(two_processes):
    for executor in (None, two_processes):
        found = assess(SMALL, Heap4, runs=200, executor=executor, method=Interrupts(120))
        assert 0 < len(found.sizes) < 200
        (text,) = [text for text in found.warnings if "missing" in text]
        assert text == f"{200 - len(found.sizes)} of 200 runs are missing (interrupted)"
        assert found.interrupted
        assert found.to_dict()["interrupted"]
        said = dict(found.summary())["modelled"]
        assert (
            said == f"{len(found.sizes)} of 200 days of {spoken(found.duration, 'us')}: interrupted"
        )


def test_ctrl_c_before_anything_is_done():
    with pytest.raises(KeyboardInterrupt):
        assess(SMALL, Heap4, runs=20, method=Interrupts(0))


def test_an_error_of_progress_ends_it(two_processes):
    def progress(done, runs):
        raise LookupError("enough")

    for executor in (None, two_processes):
        with pytest.raises(LookupError, match="enough"):
            assess(SMALL, Heap4, runs=20, executor=executor, progress=progress)
