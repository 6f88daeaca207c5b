"""What a row-wise fit leaves uncertain beside noise: the share of a change that it keeps, and its residual.

Stable ground shows how two images of the *same* ground differ. Where the ground changed more is uncertain:

- Each date is fitted to the DEM of before, on the changed part too, and so bends back to it. With X the
  columns (surface, pixel number, 1) of a row and W its weights, the change d comes out as
  ``d - X (X' W² X)⁻¹ X' W² d`` (the residual of weighted least squares; Hoaglin and Welsch 1978,
  doi:10.1080/00031305.1978.10479237, on the hat matrix). Of a change spread evenly over an area its mean
  over the area is kept, the *kept share*.
- What the running sum owes to texture and speckle is an error in a regressor, which draws its coefficient
  towards zero, and all changes with it, by the *reliability* of the regressor (Fuller 1987, Measurement Error
  Models, doi:10.1002/9780470316665, section 1.1). Its estimate is the share of the relief of the fitted
  ground, less a straight line, that the fit explains: the partial R² of the surface.
- The surface of unchanged ground misses the DEM by the residual of the fit, since the ground is not equally
  bright (its size is that of the effective degrees of freedom). For the same ground seen twice it
  cancels; ground that changed has other slopes and another texture under each pixel: two residuals add.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .correlation import FULLY_CORRELATED, Correlation, measure_lines, sampled_lines

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

#: Methods that this holds for.
METHODS = ("rowwise", "rowwise-intensity")
#: Coefficients that are fitted to each row.
COEFFICIENTS = 3
#: A change of which less is kept cannot be told from none; the bars do not grow any more.
LEAST_KEPT = 0.01


@dataclass(frozen=True)
class ModelError:
    """What the method leaves uncertain of the change of one area.

    Parameters
    ----------
    kept : float
        Share of an evenly spread change that is found, 0 to 1: what the fit keeps times its reliability.
    std : float
        Residual of the fit, metres, rms.
    correlation : Correlation
        Of the residual.
    """

    kept: float
    std: float
    correlation: Correlation

    def variance(self, weights: Floats, total: float) -> float:
        """Variance of a sum over an area.

        Parameters
        ----------
        weights : ndarray (azimuth, range)
            Each pixel's weight in the sum; 0 where it is not in it.
        total : float
            The sum that was found: its missing part is in proportion to it.

        Returns
        -------
        float
            In squared units of the weights times metres.
        """
        lost = (1.0 - self.kept) / max(self.kept, LEAST_KEPT)
        residual = self.correlation.sum_std(weights * self.std) if self.std > 0 else 0.0
        return 2.0 * (1.0 + lost**2) * residual**2 + (lost * total) ** 2


class RowModel:
    """The residual of a row-wise result, and the kept share of its areas.

    Parameters
    ----------
    data : xarray.Dataset
        Of an :class:`~mosart.change.ElevationChange` on the radar grid, with ``elevation``.
    index : int
        Entry that the residual is measured with.
    """

    def __init__(self, data: xr.Dataset, index: int) -> None:
        self.data = data
        shape = data.sizes["azimuth"], data.sizes["range"]
        parts = sampled_lines(shape)
        lines = [self._residual(index, part) for part in parts]
        self._errors = {
            fitted: _measured(*(np.where(f == fitted, r, np.nan) for r, f in lines), fitted=fitted)
            for fitted in (True, False)
        }

    @classmethod
    def of(cls, data: xr.Dataset, index: int) -> RowModel | None:
        """Make the model of a result; None where its method is another, or it does not hold its surfaces."""
        needed = {"elevation", "elevation_change_slant", "height"}
        return cls(data, index) if data.attrs.get("method") in METHODS and needed <= set(data) else None

    def error(self, index: int, box: tuple[slice, slice], inside: Booleans, areas: Floats) -> ModelError:
        """Tell what is uncertain of an area.

        Parameters
        ----------
        index : int
            Number of the entry.
        box : tuple of slice
            Rows and columns that hold the area.
        inside : ndarray of bool
            The area's pixels in the box that have a value.
        areas : ndarray
            Ground area of the pixels in the box.

        Returns
        -------
        ModelError
        """
        rows = (box[0], slice(None))
        size = self.data.sizes["range"]
        pattern, ground = np.zeros((inside.shape[0], size), bool), np.zeros((inside.shape[0], size))
        pattern[:, box[1]], ground[:, box[1]] = inside, np.where(inside, np.abs(areas), 0.0)
        stable = self.data.get("stable")
        if stable is not None and "date" not in stable.dims:  # given: known not to have changed
            pattern &= ~stable[rows].values.astype(bool)
        weights = self._weights(index, rows)
        if not pattern.any():
            return ModelError(1.0, *self._errors[True])
        names = ("elevation", "elevation_change_slant")
        surface, change = (self.data[name][(index, *rows)].values.astype(np.float64) for name in names)
        height = self.data["height"][rows].values.astype(np.float64)
        mostly = bool(np.mean(weights[pattern] > 0) >= 0.5)
        kept = np.clip(kept_share(surface, weights, pattern, ground), 0.0, 1.0)
        # Where the changed ground was fitted its change would count as noise: then that of the reference.
        fitted, some = surface - change if mostly else surface, pattern.any(axis=1)
        kept *= reliability(fitted[some], height[some], weights[some])
        return ModelError(float(kept), *self._errors[mostly])

    def _residual(self, index: int, part: tuple[slice, slice]) -> tuple[Floats, Booleans]:
        """Surface of the reference minus the DEM, and which pixels were fitted."""
        names = ("elevation", "elevation_change_slant")
        surface, change = (self.data[name][(index, *part)].values.astype(np.float64) for name in names)
        return surface - change - self.data["height"][part].values, self._weights(index, part) > 0

    def _weights(self, index: int, part: tuple[slice, slice]) -> Floats:
        shown = self.data["height"][part]
        if "weights" not in self.data:
            return np.ones(shown.shape)
        weights = self.data["weights"]
        chosen = weights[(index, *part)] if "date" in weights.dims else weights[part]
        return np.nan_to_num(chosen.values.astype(np.float64))


def kept_share(surface: Floats, weights: Floats, pattern: Booleans, areas: Floats) -> float:
    """Share of a change, spread evenly over a pattern, that row-wise fits keep.

    Parameters
    ----------
    surface : ndarray (azimuth, range)
        Surface that was fitted, whole rows; NaN where there is none.
    weights : ndarray (azimuth, range)
        Weights of the residuals.
    pattern : ndarray of bool (azimuth, range)
        Where the ground changed.
    areas : ndarray (azimuth, range)
        Ground area of the pixels that are summed; 0 elsewhere.

    Returns
    -------
    float
        1 where nothing that changed was fitted; less the more of a row changed; 0 where all of it did.
    """
    known = np.isfinite(surface)
    square = np.where(known, weights, 0.0) ** 2
    change = (pattern & known).astype(np.float64)
    ones = np.ones_like(change)
    number = np.broadcast_to(np.arange(surface.shape[1], dtype=np.float64), surface.shape)
    fitted = np.zeros_like(change)
    basis: list[Floats] = []
    for column in (ones, number, np.where(known, surface, 0.0)):
        rest = column
        for other in basis:  # Gram-Schmidt, row by row
            rest = rest - _share(square, rest, other) * other
        small = (square * rest**2).sum(axis=1) <= 1e-9 * (square * column**2).sum(axis=1)
        rest = np.where(small[:, None], 0.0, rest)
        basis.append(rest)
        fitted += _share(square, change, rest) * rest
    total = (areas * change).sum()
    return float((areas * (change - fitted)).sum() / total) if total > 0 else 1.0


def reliability(surface: Floats, height: Floats, weights: Floats) -> float:
    """Share of the relief, less a straight line a row, that row-wise fits explain.

    Parameters
    ----------
    surface, height : ndarray (azimuth, range)
        What was fitted, and the DEM it was fitted to, metres; NaN where there is none.
    weights : ndarray (azimuth, range)
        Weights of the residuals.

    Returns
    -------
    float
        0 to 1: by this a change comes out too small where texture and speckle drive the running sum as
        well (1: they do not). With few independent pixels a row it is somewhat too large.
    """
    square = np.where(np.isfinite(surface) & np.isfinite(height), weights, 0.0) ** 2
    relief = np.where(square > 0, height, 0.0)
    left = np.where(square > 0, surface - height, 0.0)
    number = np.broadcast_to(np.arange(surface.shape[1], dtype=np.float64), surface.shape)
    ones = np.ones_like(relief)
    slope = number - _share(square, number, ones)
    for column in (ones, slope):
        relief = relief - _share(square, relief, column) * column
    total = (square * relief**2).sum()
    return float(np.clip(1.0 - (square * left**2).sum() / total, 0.0, 1.0)) if total > 0 else 0.0


def _share(square: Floats, values: Floats, column: Floats) -> Floats:
    size = (square * column**2).sum(axis=1, keepdims=True)
    return np.asarray((square * values * column).sum(axis=1, keepdims=True) / np.where(size > 0, size, 1.0))


def _measured(columns: Floats, rows: Floats, *, fitted: bool) -> tuple[float, Correlation]:
    """Measure the residual, rms, and its correlation, on some columns and rows."""
    finite = np.isfinite(rows)
    std = float(np.sqrt(np.mean(rows[finite] ** 2))) if finite.any() else 0.0
    if std == 0.0:
        return 0.0, FULLY_CORRELATED
    correlation = measure_lines(columns / std, rows / std)
    # Of how many independent residuals it is the mean square. A fit has taken its coefficients from each row.
    sizes = correlation.lengths
    share = columns.shape[0] / rows.shape[0]  # of the image's rows these are some
    independent = share * finite.sum() / (sizes[0] * sizes[1])
    taken = COEFFICIENTS * share * finite.any(axis=1).sum() / sizes[0] if fitted else 0.0
    free = max(independent - taken, 1.0)
    return std * float(np.sqrt(max(independent / free, 1.0))), correlation
