"""Beyond what was recorded: peaks over a threshold, with a generalised Pareto tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Floats = npt.NDArray[np.float64]

#: Peaks that the threshold leaves over, per duration of a recording, and in all at the least.
_PEAKS = 2
_FEWEST = 8
#: What is held likely before anything is seen: mean and standard deviation of the shape, and of
#: the logarithm of the scale over the threshold.
_SHAPE = (-0.2, 0.2)
_SCALE = (np.log(0.12), 0.3)


class Estimate(NamedTuple):
    """A probability, and the interval that it lies in with 95 % confidence."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Tail:
    """The peaks of what is needed, as a Poisson process with a generalised Pareto tail.

    Attributes
    ----------
    threshold : int
        Bytes that the peaks exceed.
    peaks : int
        How many were seen.
    rate : float
        Peaks per unit of time.
    shapes, scales, weights : ndarray, shape (g,)
        The posterior of the tail's parameters, on a grid.

    Notes
    -----
    Peaks over a threshold: Pickands, "Statistical inference using extreme order statistics",
    Annals of Statistics 3 (1975); Balkema and de Haan, "Residual life time at great age", Annals of
    Probability 2 (1974); Coles, "An Introduction to Statistical Modeling of Extreme Values" (2001),
    chapter 4. Exceedances in neighbouring windows are one peak (runs declustering, Coles 5.3.3).
    """

    threshold: int
    peaks: int
    rate: float
    shapes: Floats
    scales: Floats
    weights: Floats

    def probability(self, size: float, duration: float) -> Estimate:
        """The chance that something larger than `size` is needed within `duration`; 1 below the
        threshold, of which the tail does not speak.
        """
        if size < self.threshold:
            return Estimate(1.0, 1.0, 1.0)
        chances = self._chances(size, duration)
        order = np.argsort(chances)
        share = np.cumsum(self.weights[order])
        low, high = np.searchsorted(share, [0.025, 0.975])
        last = len(order) - 1
        ends = chances[order[[min(int(low), last), min(int(high), last)]]]
        return Estimate(float(self.weights @ chances), float(ends[0]), float(ends[1]))

    def size(self, probability: float, duration: float) -> int:
        """The least size at which :meth:`probability` is at most `probability`."""

        def excess(size: float) -> float:
            return float(self.weights @ self._chances(size, duration)) - probability

        low = float(self.threshold)
        if excess(low) <= 0:
            return self.threshold
        high = low + float(self.scales.max())
        while excess(high) > 0:
            high += high - low
        return int(np.ceil(optimize.brentq(excess, low, high)))

    def _chances(self, size: float, duration: float) -> Floats:
        survival = stats.genpareto.sf(size - self.threshold, self.shapes, scale=self.scales)
        chances: Floats = -np.expm1(-self.rate * duration * survival)
        return chances


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
    total = float(sum(durations))
    typical = float(np.median(durations))
    wanted = max(round(_PEAKS * total / typical), _FEWEST)
    threshold, peaks = 0.0, np.array([])
    for level in levels[1:]:
        threshold, peaks = float(level), _peaks(needs, float(level))
        if len(peaks) >= wanted:
            break
    if len(peaks) < 2 or threshold <= 0:
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
    """Shapes, scales and their weights; scales as shares of the threshold up to 1.5."""
    shapes, scales = (
        grid.ravel()
        for grid in np.meshgrid(
            np.linspace(-0.8, 0.4, 49), threshold * np.geomspace(0.005, 1.5, 97), indexing="ij"
        )
    )
    with np.errstate(divide="ignore"):
        each = stats.genpareto.logpdf(excesses[:, None], shapes[None, :], scale=scales[None, :])
    likelihood = np.asarray(each).sum(axis=0)
    prior = stats.norm.logpdf(shapes, *_SHAPE)
    prior = prior + stats.norm.logpdf(np.log(scales / threshold), *_SCALE)
    log = likelihood + prior
    weights = np.exp(log - log.max())
    return shapes, scales, weights / weights.sum()
