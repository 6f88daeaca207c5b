"""Level of brightness of several looks, read on gentle ground that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse.csgraph import connected_components

from .mapped import MappedLook

Float = NDArray[np.float64]

#: Slopes along the range (rise per metre away from the radar) on which the level is read.
GENTLE = (-0.5, 0.3)
#: Rows and facets at an image's edge that tell no level.
EDGE_ROWS, EDGE_FACETS = 4, 10
#: Fewest nodes that both looks see, for a common level; and parts of them that its error is read from.
FEWEST_COMMON, PARTS = 100, 16


@dataclass(frozen=True)
class Level:
    """Log reflectivity of ground of median brightness, in one look's calibration.

    Parameters
    ----------
    value : float
        Natural logarithm.
    std : float
        Its standard error against the mean of the looks; NaN where they share too little ground.
    """

    value: float
    std: float = float("nan")

    @property
    def is_common(self) -> bool:
        """Whether it was read against another look's."""
        return bool(np.isfinite(self.std))


def with_levels(looks: Sequence[MappedLook], levels: Sequence[Level]) -> list[MappedLook]:
    """Give each look its level."""
    return [
        replace(look, level=one.value, level_std=one.std) for look, one in zip(looks, levels, strict=True)
    ]


def calibrate(looks: Sequence[MappedLook]) -> list[MappedLook]:
    """Give the looks a common level, read on gentle ground that they share.

    Parameters
    ----------
    looks : sequence of MappedLook
        On one map.

    Returns
    -------
    list of MappedLook
        Without enough common ground each keeps its own median.

    Notes
    -----
    One per cent between two looks is a metre of height over 400 m.
    """
    return with_levels(looks, settle(gentle_logs(looks), [own_level(look) for look in looks]))


def own_level(look: MappedLook) -> float:
    """Median log reflectivity of what a look shows."""
    use = ~look.mends
    return float(np.median(look.texture[use if use.any() else ...]))


def gentle_logs(looks: Sequence[MappedLook]) -> Float:
    """Read the old reflectivity of gentle ground, as each look has it.

    Parameters
    ----------
    looks : sequence of MappedLook
        On one map.

    Returns
    -------
    ndarray (look, node)
        Natural logarithm; NaN where a look does not see a node's ground, or it is steep.
    """
    means, numbers = [], []
    for look in looks:
        ground = look.scene.ground
        slope = np.gradient(ground.height.astype(np.float64), ground.spacing, axis=1)
        slope = gaussian_filter(slope, (1, 3))[:, 1:]
        use = ~look.mends & (slope > GENTLE[0]) & (slope < GENTLE[1])
        use[:EDGE_ROWS] = use[-EDGE_ROWS:] = False
        use[:, :EDGE_FACETS] = use[:, -EDGE_FACETS:] = False
        mean, number = look.node_means(np.exp(look.texture), use)
        means.append(mean)
        numbers.append(number)
    seen = [n > 0.5 * np.median(n[n > 0]) if (n > 0).any() else n > 0 for n in numbers]
    return np.where(seen, np.log(np.maximum(means, 1e-12)), np.nan)


def settle(logs: Float, own: Sequence[float]) -> list[Level]:
    """Settle the looks' levels.

    Parameters
    ----------
    logs : ndarray (look, node)
        As :func:`gentle_logs` gives them, of one map or of parts of it side by side.
    own : sequence of float
        Median log reflectivity of each look, for those that share too little ground with any other.

    Returns
    -------
    list of Level
        One a look.
    """
    offsets, stds = common_levels(logs)
    shared = np.isfinite(stds)
    if not shared.any():
        return [Level(value) for value in own]
    level = logs[shared] - offsets[shared, None]
    both = np.isfinite(level).sum(axis=0) > 1
    middle = float(np.median(np.nanmean(level[:, both], axis=0)))
    return [
        Level(middle + float(o), float(s)) if np.isfinite(s) else Level(value)
        for value, o, s in zip(own, offsets, stds)
    ]


def common_levels(logs: Float) -> tuple[Float, Float]:
    """Levels of looks against the mean of all, from the medians of their pairs' differences.

    Parameters
    ----------
    logs : ndarray (look, node)
        Log reflectivity; NaN where a look does not see a node's ground.

    Returns
    -------
    levels, stds : ndarray (look,)
        By least squares, of mean zero among the looks that common ground joins (the most of them); standard
        errors are NaN, and levels zero, of the others.
    """
    number = len(logs)
    normal, right = np.zeros((number, number)), np.zeros(number)
    for j, k in combinations(range(number), 2):
        rest = (logs[j] - logs[k])[np.isfinite(logs[j]) & np.isfinite(logs[k])]
        if rest.size < FEWEST_COMMON:
            continue
        median, weight = float(np.median(rest)), 1 / _median_std(rest) ** 2
        normal[[j, k], [j, k]] += weight
        normal[[j, k], [k, j]] -= weight
        right[j] += weight * median
        right[k] -= weight * median
    levels, stds = np.zeros(number), np.full(number, np.nan)
    _, group = connected_components(normal != 0, directed=False)
    sizes = np.bincount(group)
    if sizes.max() > 1:
        joined = np.flatnonzero(group == np.argmax(sizes))
        covariance = np.linalg.pinv(normal[np.ix_(joined, joined)])
        levels[joined] = covariance @ right[joined]
        stds[joined] = np.sqrt(np.diag(covariance))
    return levels, stds


def _median_std(values: Float) -> float:
    """Tell the standard error of a median from the medians of parts: neighbours share their errors."""
    medians = [float(np.median(part)) for part in np.array_split(values, PARTS)]
    return float(np.std(medians, ddof=1) / np.sqrt(PARTS))
