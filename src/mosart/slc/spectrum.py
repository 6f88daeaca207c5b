"""Carriers from Doppler centroids that a product lists over time and range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .product import Carrier


def carrier_from_doppler(
    times: NDArray[np.float64], doppler: NDArray[np.float64], first: float, last: float
) -> Carrier:
    """Phase of a spectrum that lies around a Doppler centroid, linear in time.

    Parameters
    ----------
    times : ndarray (n,)
        Azimuth times of the estimates.
    doppler : ndarray (n, columns)
        Hz, at every column.
    first, last : float
        Times of the first and last row; estimates far outside do not count.

    Returns
    -------
    Carrier
        ``2π (f τ + f' τ² / 2)`` about the middle of the rows, the centroid being a straight line through
        the estimates (their mean where there is only one within twice the image's duration).
    """
    middle = (first + last) / 2
    near = np.abs(times - middle) <= max(last - first, 1.0) * 2.0
    if not near.any():
        near = np.abs(times - middle) == np.abs(times - middle).min()
    tau = times[near] - middle
    values = doppler[near]
    if tau.size > 1 and np.ptp(tau) > 0:
        design = np.stack([np.ones_like(tau), tau], axis=1)
        (centre, slope), *_ = np.linalg.lstsq(design, values, rcond=None)
    else:
        centre, slope = values.mean(axis=0), np.zeros(values.shape[1])
    return Carrier(middle, np.stack([np.zeros_like(centre), 2 * np.pi * centre, np.pi * slope]))
