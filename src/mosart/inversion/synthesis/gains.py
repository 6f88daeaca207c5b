"""Gain of a date against another, read where the ground has stayed."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import spsolve

from .prior import _second_difference

Float = NDArray[np.float64]

#: Share of the blocks, those where the log ratio of the dates is smoothest, that a gain is read on.
#: Still ground repeats its texture; ground that moved does not. (The median of all blocks is wrong by
#: more than a decibel where bright new rock fills half of the rows.)
SMOOTHEST = 0.3
#: Smoothing and the window of the roughness, in blocks.
SMOOTH_BLOCKS, ROUGH_BLOCKS = 1.0, 2.5
#: Wandering of the log gain from one row of pixels to the next, its total standard deviation (natural
#: logarithm): calibration drifts by fractions of a decibel along a pass.
ROW_STEP, ROW_TOTAL = 0.003, 0.1
#: Scale of the Cauchy weights of the blocks, natural logarithm.
CAUCHY = 0.08


def smooth_along_rows(values: Float, weights: Float, rows_block: int) -> Float:
    """Random walk along the rows through weighted values.

    Parameters
    ----------
    values, weights : ndarray (block row,)
        Log gains and their inverse variances.
    rows_block : int
        Pixel rows of a block.

    Returns
    -------
    ndarray (block row,)
        Posterior mean about the weighted mean.
    """
    total = float(weights.sum())
    if total <= 0:
        return np.zeros_like(values)
    mean = float((weights * values).sum() / total)
    step = ROW_STEP * rows_block
    precision = (
        sp.diags_array(weights)
        + _second_difference(len(values), 1.0) / step**2
        + sp.eye_array(len(values)) / ROW_TOTAL**2
    )
    return mean + np.asarray(spsolve(precision.tocsc(), weights * (values - mean)))


def date_gain(sums: Float, reference: Float, rows_block: int, looks: float) -> Float:
    """Log gain of a date against a reference, a smooth function of the row.

    Parameters
    ----------
    sums, reference : ndarray (block row, block)
        Block sums of the date and of the reference; zero or NaN where there is none.
    rows_block : int
        Pixel rows of a block.
    looks : float
        Effective looks of a block.

    Returns
    -------
    ndarray (block row,)
        Natural logarithm.
    """
    both = np.isfinite(sums) & np.isfinite(reference)
    if not both.any():
        return np.zeros(len(sums))
    good = both & (sums > 0) & (reference > 0.1 * np.nanmedian(reference))
    if not good.any():
        return np.zeros(len(sums))
    ratio = np.where(good, np.log(np.where(good, sums, 1) / np.where(good, reference, 1)), 0.0)
    centre = float(np.median(ratio[good]))
    ratio = np.where(good, ratio, centre)
    low = gaussian_filter(ratio, SMOOTH_BLOCKS, mode="nearest")
    rough = gaussian_filter(
        (low - gaussian_filter(low, 2 * ROUGH_BLOCKS, mode="nearest")) ** 2, ROUGH_BLOCKS, mode="nearest"
    )
    use = good & (rough <= np.quantile(rough[good], SMOOTHEST))
    fit = np.full(len(sums), float(np.median(ratio[use])))
    for _ in range(8):
        weight = use * looks / (1 + ((ratio - fit[:, None]) / CAUCHY) ** 2)
        total = weight.sum(axis=1)
        value = (weight * ratio).sum(axis=1) / np.maximum(total, 1e-9)
        fit = smooth_along_rows(value, total, rows_block)
    return fit
