"""Noise of the images, measured on them: effective looks, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import polygamma

Float = NDArray[np.float64]

#: Ratio of the standard deviation of a Gaussian to its median absolute deviation.
MAD = 1.4826

#: Blocks darker than this share of the median intensity are shadow or noise floor: they tell no looks.
DARKEST = 0.1

#: Fewest blocks for an estimate; below it the least number of looks is assumed, one a block.
FEWEST_BLOCKS = 30


def looks_of_log_variance(variance: float) -> float:
    """Find the looks ``L`` of a Gamma variable whose logarithm has this variance: ``ψ'(L) = variance``.

    Parameters
    ----------
    variance : float
        Of the natural logarithm.

    Returns
    -------
    float
        At least 0.1; by bisection.
    """
    low, high = 0.1, 1e7
    for _ in range(80):
        mid = float(np.sqrt(low * high))
        low, high = (mid, high) if polygamma(1, mid) > variance else (low, mid)
    return float(np.sqrt(low * high))


def effective_looks(sums: Sequence[Float]) -> float:
    """Effective looks of one date's block, from dates between which nothing changed.

    Parameters
    ----------
    sums : sequence of ndarray (block row, block)
        Block sums of two or more dates, whatever their gains; NaN left out.

    Returns
    -------
    float
        Looks of a block of one date; NaN if there are too few blocks.

    Notes
    -----
    The robust variance of the log ratio of each pair of dates, its large-scale part (gains, slow
    change) removed by a running median. Speckle that is correlated between pixels has fewer looks a
    block than pixels × looks, a despeckled image has more: both are measured so.
    """
    found = []
    shown = [s for s in sums if np.isfinite(s).any()]
    for a, b in combinations(shown, 2):
        lit = (a > DARKEST * np.nanmedian(a)) & (b > DARKEST * np.nanmedian(b))
        if lit.sum() < FEWEST_BLOCKS:
            continue
        ratio = np.where(lit, np.log(np.where(lit, a, 1) / np.where(lit, b, 1)), 0.0)
        size = (min(9, ratio.shape[0]), min(9, ratio.shape[1]))
        slow = median_filter(np.where(lit, ratio, np.median(ratio[lit])), size=size, mode="nearest")
        rest = (ratio - slow)[lit]
        # the running median follows about 1.5 of its n blocks' noise
        kept = 1 - 1.5 / max(size[0] * size[1], 3)
        variance = (MAD * float(np.median(np.abs(rest - np.median(rest))))) ** 2 / kept
        found.append(looks_of_log_variance(max(variance, 1e-9) / 2))
    return float(np.median(found)) if found else float("nan")
