"""The original package's least squares by their own names: `getdem`, `getgrad`, `getabc_reg`.

Thin calls over :mod:`mosart.inversion`, for scripts and notebooks written for ``mosart`` 1.0.2. What
differs from it, and why, is listed in ``docs/differences.md``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .inversion.rowfit import fit_rows
from .inversion.water import substitute_water

__all__ = ["getabc_reg", "getdem", "getgrad"]

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


def getdem(
    key: str,
    h5file: str | Path = "descending.h5",
    weight: NDArray[Any] | None = None,
    water: NDArray[Any] | None = None,
) -> tuple[Array, Array, Array]:
    """Reconstruct the surface of one date of a preprocessed file.

    Parameters
    ----------
    key : str
        Name of the date's dataset, ``YYYYMMDD``.
    h5file : path
        File with ``dem``, ``grad`` (as :func:`mosart.sfs.preprocessing` writes it) and `key`.
    weight : ndarray (azimuth, range), optional
        Weights of the residuals; 1 everywhere if not given.
    water : ndarray of bool (azimuth, range), optional
        Where water is: its amplitude is replaced, row by row, by that of flat dry ground
        (:func:`mosart.inversion.water.substitute_water`).

    Returns
    -------
    demdef : ndarray (azimuth, range)
        Height, metres; NaN where the amplitude or the DEM is.
    grddef : ndarray (azimuth, range)
        Its gradient along range, ``a * amplitude + b``, metres per pixel.
    weights : ndarray (azimuth, range)
        The weights used.

    Raises
    ------
    InputError
        If the file lacks one of the datasets.
    """
    logger.info("surface of %s", key)
    amplitude, dem, gradient = _read(h5file, key, "dem", "grad")
    if water is not None:
        gap = np.isnan(amplitude)
        amplitude = substitute_water(amplitude, gradient, np.asarray(water, dtype=bool))
        amplitude[gap] = np.nan
    demdef, a, b, _, weights = getabc_reg(amplitude, dem, gradient, weight)
    return demdef, amplitude * a + b, weights


def getgrad(amps: NDArray[Any], grd: NDArray[Any], mask: NDArray[Any] | None = None) -> Array:
    """Gradient of height as a straight line in amplitude, fitted row by row.

    Parameters
    ----------
    amps, grd : ndarray (azimuth, range)
        Amplitude, and gradient of the DEM along range in metres per pixel.
    mask : ndarray of bool (azimuth, range), optional
        True where a pixel takes no part in the fit. NaN never does.

    Returns
    -------
    ndarray (azimuth, range)
        Fitted gradient, metres per pixel; NaN where the amplitude is. Rows of constant amplitude get
        the mean gradient; rows without a pixel to fit are NaN.
    """
    amplitude = np.asarray(amps, dtype=np.float64)
    gradient = np.asarray(grd, dtype=np.float64)
    used = np.isfinite(amplitude) & np.isfinite(gradient)
    if mask is not None:
        used &= ~np.asarray(mask, dtype=bool)
    count = used.sum(axis=1, keepdims=True)
    share = np.where(count > 0, count, np.nan)
    mean_a = np.where(used, amplitude, 0.0).sum(axis=1, keepdims=True) / share
    mean_g = np.where(used, gradient, 0.0).sum(axis=1, keepdims=True) / share
    da = np.where(used, amplitude - mean_a, 0.0)
    dg = np.where(used, gradient - mean_g, 0.0)
    spread = (da * da).sum(axis=1, keepdims=True)
    flat = ~(spread > (1e-13 * np.abs(mean_a)) ** 2 * share)
    slope = np.where(flat, 0.0, (da * dg).sum(axis=1, keepdims=True) / np.where(flat, 1.0, spread))
    return np.asarray(mean_g + slope * (amplitude - mean_a))


def getabc_reg(
    amps: NDArray[Any], dem: NDArray[Any], grd: NDArray[Any], weight: NDArray[Any] | None = None
) -> tuple[Array, Array, Array, Array, Array]:
    """Fit ``dem = a * cumsum(amps) + b * i + c`` in every row, i counted from 1.

    Parameters
    ----------
    amps : ndarray (azimuth, range)
        Amplitude. A NaN gap is bridged within its row for the running sum alone.
    dem : ndarray (azimuth, range)
        Height, metres.
    grd : ndarray (azimuth, range)
        Gradient of the DEM; not used, an argument of the original.
    weight : ndarray (azimuth, range), optional
        Weights of the residuals (squared in the sum of squares); 1 everywhere if not given.

    Returns
    -------
    demdef : ndarray (azimuth, range)
        Fitted height, metres; NaN where `amps` or `dem` is.
    adef, bdef, cdef : ndarray (azimuth, range)
        The row's coefficients, repeated along the row.
    weights : ndarray (azimuth, range)
        The weights used.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    del grd
    amps = np.asarray(amps)
    dem = np.asarray(dem)
    weights = np.ones(dem.shape)
    if weight is not None:
        try:
            weights[:] = weight
        except ValueError as error:
            raise InputError(
                "the weights do not fit the DEM",
                expected=f"an array of shape {dem.shape}",
                got=f"shape {np.shape(weight)}",
            ) from error
    fit = fit_rows(amps, dem, None if weight is None else weights)
    adef, bdef, cdef = (np.empty(dem.shape) for _ in range(3))
    for array, column in zip((adef, bdef, cdef), fit.coefficients.T, strict=True):
        array[:] = column[:, None]
    return fit.surface, adef, bdef, cdef, weights


def _read(path: str | Path, *names: str) -> list[Array]:
    """Datasets of a file as float64."""
    arrays = []
    with h5py.File(path, "r") as file:
        for name in names:
            if not isinstance(file.get(name), h5py.Dataset):
                raise InputError(
                    f"{path} has no dataset {name!r}",
                    expected="a file that mosart.sfs.preprocessing wrote",
                    got=f"datasets {', '.join(file)}",
                )
            arrays.append(np.asarray(file[name][:], dtype=np.float64))
    return arrays
