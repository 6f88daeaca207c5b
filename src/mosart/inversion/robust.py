"""Robust weights: the ground that changed is told from the rest by the change itself, row by row.

Regression by iteratively reweighted least squares with Tukey's biweight, from a high-breakdown start and on a
robust scale (Yohai 1987, doi:10.1214/aos/1176350366; Maronna, Martin & Yohai, Robust Statistics, 2006,
chapter 5): from the fit of all pixels the iteration would stay with the bent surface.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .rowfit import fit_rows

Floats = NDArray[np.float64]

#: Tukey's biweight gives no weight beyond this many robust standard deviations.
TUKEY = 2.5

#: The robust standard deviation is read from this quantile of the absolute changes, so that up to 60 % of
#: a row may have changed; the median holds to a half, lower ones take chance for stable ground.
QUANTILE = 0.4

#: That quantile of a Gaussian's absolute values, in standard deviations.
GAUSSIAN_QUANTILE = 0.5244

#: A fit that started on a part of the row must be this much closer than the one that started on all of it:
#: on textured ground with speckle some part fits well by chance and the rest is thrown off.
MARGIN = 5.0

#: Steps of least absolute change for one of the starts, and of the biweight at most.
START_STEPS, TUKEY_STEPS = 10, 30

#: Changes below this, in metres, do not sharpen the weights any further.
FLOOR = 1e-3

#: A row's weights stand still when none moves by more.
STILL = 1e-3

#: Parts of the row that other starts are fitted on: both ends, wide and narrow, the near and the far end.
PARTS = (
    ((0.0, 0.1), (0.9, 1.0)),
    ((0.0, 0.25), (0.75, 1.0)),
    ((0.0, 0.4), (0.0, 0.0)),
    ((0.0, 0.0), (0.6, 1.0)),
)


def robust_weights(
    echo: Floats, reference: Floats, height: Floats, given: Floats, *, centred: bool
) -> Floats:
    """Weights of two images' fits that leave out the ground that changed between them.

    Parameters
    ----------
    echo, reference : ndarray (azimuth, range)
        Amplitude or intensity of the entry and of its reference; NaN in gaps.
    height : ndarray (azimuth, range)
        DEM, metres.
    given : ndarray (azimuth, range)
        Weights that the robust ones multiply; 0 where a pixel is not to be used.
    centred : bool
        As in :func:`mosart.inversion.rowfit.fit_rows`.

    Returns
    -------
    ndarray (azimuth, range)
        0 where the ground changed; to be used for both images.

    Notes
    -----
    Both images are fitted with the same weights and the weights follow from the difference of the two
    surfaces: the texture of the ground bends both alike and cancels. The iteration starts from the least
    absolute change and from fits on parts of the row; each row takes the end with the least robust scale.
    """
    rows = _Rows(echo, reference, height, given, centred)
    starts = [_least_absolute(rows), *(_part(rows, part) for part in PARTS)]
    found = np.stack([_iterate(rows, start) for start in starts])
    scales = np.stack([_scale(rows.change(weights)) for weights in found])
    scales = np.maximum(scales, FLOOR)
    scales[1:] *= MARGIN
    best = np.argmin(np.where(np.isfinite(scales), scales, np.inf), axis=0)
    return np.asarray(np.take_along_axis(found, best[None, :, None], axis=0)[0])


def _iterate(rows: _Rows, start: Floats) -> Floats:
    """Tukey's biweight from a start, every row until its weights stand still."""
    weights = start.copy()
    active = np.arange(weights.shape[0])
    for _ in range(TUKEY_STEPS):
        some = rows.some(active)
        change = some.change(weights[active])
        u = change / (TUKEY * np.maximum(_scale(change), FLOOR)[:, None])
        factor = np.maximum(1.0 - u * u, 0.0)
        new = some.given * np.where(np.isfinite(factor), factor, 0.0)
        moved = np.abs(new - weights[active]).max(axis=1, initial=0.0)
        weights[active] = new
        active = active[moved > STILL * some.given.max(axis=1, initial=0.0)]
        if active.size == 0:
            break
    return weights


class _Rows:
    """Some rows of two images, and what they show under some weights."""

    def __init__(self, echo: Floats, reference: Floats, height: Floats, given: Floats, centred: bool) -> None:
        self.arrays = (echo, reference, height, given)
        self.centred = centred

    @property
    def given(self) -> Floats:
        return self.arrays[3]

    def some(self, rows: NDArray[np.intp]) -> _Rows:
        echo, reference, height, given = (array[rows] for array in self.arrays)
        return _Rows(echo, reference, height, given, self.centred)

    def change(self, weights: Floats) -> Floats:
        """Difference of the two surfaces, NaN where it is not to be looked at."""
        echo, reference, height, given = self.arrays
        one, other = (
            fit_rows(image, height, weights, centred=self.centred).surface for image in (echo, reference)
        )
        return np.where(given > 0, one - other, np.nan)


def _least_absolute(rows: _Rows) -> Floats:
    """Weights of the fit of least absolute change."""
    weights = rows.given
    for _ in range(START_STEPS):
        factor = np.sqrt(FLOOR / np.maximum(np.abs(rows.change(weights)), FLOOR))
        weights = rows.given * np.where(np.isfinite(factor), factor, 0.0)
    return weights


def _part(rows: _Rows, parts: tuple[tuple[float, float], ...]) -> Floats:
    """Weights that are given in parts of the row alone."""
    given = rows.given
    place = (np.arange(given.shape[1]) + 0.5) / given.shape[1]
    inside = np.zeros(place.shape, dtype=bool)
    for start, stop in parts:
        inside |= (place >= start) & (place < stop)
    return np.asarray(given * inside)


def _scale(change: Floats) -> Floats:
    """Robust standard deviation of every row; NaN where a row has no value."""
    ordered = np.sort(np.abs(change), axis=1)  # NaN last
    count = np.isfinite(change).sum(axis=1)
    index = np.minimum((QUANTILE * count).astype(int), max(change.shape[1] - 1, 0))
    return np.asarray(ordered[np.arange(change.shape[0]), index] / GAUSSIAN_QUANTILE)
