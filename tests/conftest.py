"""Fixtures that several files ask for by name, and how Hypothesis runs; no fixture is automatic.

What draws is imported inside them, for most runs draw nothing.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from hypothesis import HealthCheck, settings

from rtosheap import data

# No test fails because a machine is busy: an example has no deadline, and drawing one may be slow.
# The rest is Hypothesis's own, which with CI in the environment means the same examples every time.
settings.register_profile(
    "no clock", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no clock")

# A shell's job in the background ignores interrupts, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: What takes minutes by itself begins first: at the end a processor would wait for it.
MINUTES = {"test_the_site", "test_the_suite_under_the_sanitizers"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All else stays in its order, since neighbours share what they build."""
    items.sort(key=lambda item: item.name not in MINUTES)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """With CI in the environment whatever skips has failed, for then nothing is tried."""
    outcome = yield
    report = outcome.get_result()
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, where CI must skip nothing: {report.longrepr}"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line, called in a folder of its own."""
    from rtosheap.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Run:
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Run(status, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], object]], Path]:
    """A folder by its name, filled by whichever of pytest's processes asks first."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (base / name).exists():
                part = base / f"{name}.part"  # one that could not be filled is no folder
                part.mkdir(exist_ok=True)
                fill(part)
                part.rename(base / name)
        return base / name

    return made


@pytest.fixture
def matplotlib_defaults() -> Iterator[None]:
    """Matplotlib as it is installed; fails where a plot changed its settings."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.use("Agg")
        plt.close("all")  # what another test on this worker left
        before = dict(mpl.rcParams)
        yield
        assert dict(mpl.rcParams) == before, "a plot changed matplotlib's settings"
    plt.close("all")


@pytest.fixture(scope="session")
def coap_comparison() -> Any:
    """The five heaps side by side for the trace of a CoAP server."""
    from rtosheap.comparison import compare

    return compare(data.load("coap-server"))


@pytest.fixture(scope="session")
def coap_sizing(coap_comparison: Any) -> Any:
    """The curves of that trace, with the sizes that the comparison found."""
    from rtosheap import plot

    return plot.sizing_points(data.load("coap-server"), minima=coap_comparison)
