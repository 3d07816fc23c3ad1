"""Beyond what was recorded: peaks over a threshold, with a generalised Pareto tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

Floats = npt.NDArray[np.float64]

#: Peaks that the threshold leaves over, per duration of a recording, and in all at the least.
_PEAKS = 2
_FEWEST = 8
#: What is held likely before anything is seen, of the shape and of the logarithm of the scale over
#: the threshold: a value, and the standard deviations below and above it. A ceiling is believed
#: readily, a heavy tail is not, and peaks that spread much are believed more than such as do not.
_SHAPE = (-0.2, 0.4, 0.2)
_SCALE = (float(np.log(0.12)), 0.3, 0.6)
#: The shares of the posterior of the rate that intervals are computed from.
_RATES = (np.arange(9) + 0.5) / 9


class Estimate(NamedTuple):
    """A probability, and the interval that it lies in with 95 % confidence.

    Attributes
    ----------
    estimate : float
        From 0 to 1.
    low, high : float
        The ends of the interval.

    Examples
    --------
    >>> from rtosheap import Trace, assess
    >>> day = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0],
    ...             time=[0, 10, 50, 60, 80, 90])
    >>> risk = assess(day, "heap_4", runs=20)
    >>> chance = risk.probability(128)
    >>> print(f"{chance.estimate:.0%}, from {chance.low:.0%} to {chance.high:.0%}")
    45%, from 0% to 68%
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Tail:
    """The peaks of what is needed, as a Poisson process with a generalised Pareto tail.

    Sizes are in bytes, times in the recordings' unit.

    Attributes
    ----------
    threshold : int
        Bytes that the peaks exceed.
    peaks : int
        How many were seen.
    rate : float
        Peaks per unit of time; that it is known from so many peaks only is allowed for.
    shapes, scales, weights : ndarray, shape (g,)
        The posterior of the tail's parameters, on a grid.

    Notes
    -----
    Peaks over a threshold: Pickands, "Statistical inference using extreme order statistics",
    Annals of Statistics 3 (1975); Balkema and de Haan, "Residual life time at great age", Annals of
    Probability 2 (1974); Coles, "An Introduction to Statistical Modeling of Extreme Values" (2001),
    chapter 4. Exceedances in neighbouring windows are one peak (runs declustering, Coles 5.3.3).

    Examples
    --------
    >>> from rtosheap import Trace, assess
    >>> day = Trace("mmffmf", id=[0, 1, 0, 1, 2, 2], size=[8, 90, 0, 0, 16, 0],
    ...             time=[0, 10, 50, 60, 80, 90])
    >>> risk = assess(day, "heap_4", runs=20)
    >>> risk.tail.threshold, risk.tail.peaks, risk.tail.size(0.01, duration=90)
    (24, 2, 151)
    """

    threshold: int
    peaks: int
    rate: float
    shapes: Floats
    scales: Floats
    weights: Floats

    def probability(self, size: float, duration: float) -> Estimate:
        """The chance that something larger than `size` is needed within `duration`. Below the
        threshold, of which the tail does not speak, it is anything from that at the threshold to 1.
        """
        survival = self._survival(max(size, self.threshold))
        rates = scipy.stats.gamma.ppf(_RATES, self.peaks + 0.5) / (self.peaks / self.rate)
        chances = -np.expm1(-duration * rates[:, None] * survival).ravel()
        order = np.argsort(chances)
        share = np.cumsum(np.tile(self.weights, len(rates))[order]) / len(rates)
        low, high = np.searchsorted(share, [0.025, 0.975])
        last = len(order) - 1
        ends = chances[order[[min(int(low), last), min(int(high), last)]]]
        if size < self.threshold:
            return Estimate(1.0, float(ends[0]), 1.0)
        mean = self._mean(size, duration)  # near 0 and 1 it may lie outside of what is likely
        return Estimate(mean, min(float(ends[0]), mean), max(float(ends[1]), mean))

    def size(self, probability: float, duration: float) -> int:
        """The least size at which :meth:`probability` is at most `probability`."""

        def excess(size: float) -> float:
            return self._mean(size, duration) - probability

        low = float(self.threshold)
        if excess(low) <= 0:
            return self.threshold
        high = low + float(self.scales.max())
        while excess(high) > 0:
            high += high - low
        return int(np.ceil(scipy.optimize.brentq(excess, low, high)))

    def _survival(self, size: float) -> Floats:
        """The share of the peaks above a size, for each pair of parameters."""
        return np.asarray(
            scipy.stats.genpareto.sf(float(size) - self.threshold, self.shapes, scale=self.scales),
            np.float64,
        )

    def _mean(self, size: float, duration: float) -> float:
        """The chance, over all parameters: that of no peak, of so many and a half in the time
        recorded (Jeffreys' prior), is a gamma distribution's Laplace transform.
        """
        seen = duration * self.rate / self.peaks
        none = -(self.peaks + 0.5) * np.log1p(seen * self._survival(size))
        return float(self.weights @ -np.expm1(none))


def fit_tail(needs: Sequence[Floats], durations: Sequence[int]) -> Tail | None:
    """The tail of what each window needs; None where there is nothing to tell it from.

    Parameters
    ----------
    needs : sequence of ndarray
        For each recording, the bytes that each of its windows needs, in order.
    durations : sequence of int
        How long each recording is.
    """
    levels = np.unique(np.concatenate(needs))[::-1]
    levels = levels[levels > 0]
    total = float(sum(durations))
    typical = float(np.median(durations))
    wanted = max(round(_PEAKS * total / typical), _FEWEST)
    threshold, peaks = 0.0, np.array([])
    for level in levels[1:]:
        found = _peaks(needs, float(level))
        if len(found) > len(peaks):
            threshold, peaks = float(level), found
        if len(peaks) >= wanted:
            break
    if len(peaks) < 2:
        return None
    shapes, scales, weights = _posterior(peaks - threshold, threshold)
    return Tail(int(threshold), len(peaks), len(peaks) / total, shapes, scales, weights)


def _peaks(needs: Sequence[Floats], threshold: float) -> Floats:
    """The largest of each run of windows above the threshold."""
    found: list[Floats] = []
    for need in needs:
        over = need > threshold
        starts = np.flatnonzero(over & ~np.concatenate([[False], over[:-1]]))
        if len(starts):
            found.append(np.maximum.reduceat(np.where(over, need, 0.0), starts))
    return np.concatenate(found) if found else np.array([])


def _posterior(excesses: Floats, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Shapes, scales and their weights, where these are of any; scales as shares of the threshold
    up to 3.
    """
    shapes, shares = (
        grid.ravel()
        for grid in np.meshgrid(np.linspace(-1, 0.5, 61), np.geomspace(0.005, 3, 97), indexing="ij")
    )
    with np.errstate(divide="ignore"):
        each = scipy.stats.genpareto.logpdf(excesses[:, None], shapes, scale=threshold * shares)
    log = np.asarray(each).sum(axis=0)
    for value, (likely, below, above) in ((shapes, _SHAPE), (np.log(shares), _SCALE)):
        away = value - likely
        log -= (away / np.where(away < 0, below, above)) ** 2 / 2
    weights = np.exp(log - log.max())
    some = weights > 1e-9
    return shapes[some], threshold * shares[some], weights[some] / weights[some].sum()
