"""The row-wise slopes, made one smooth surface: method ``regularised``.

The row fit on intensity tells the range gradient of the change well and its level badly: each row drifts
by itself. Here the gradients alone are kept, and the surface is the one that agrees with them, is as
smooth along azimuth as the ground, and lies near zero where they say nothing (Tikhonov and Arsenin 1977;
the linear shape from shading of Frankot and Chellappa 1988, doi:10.1109/34.3909).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mosart.change import ElevationChange
from mosart.stack import Stack

from .entries import Date, Entry
from .groundshift import at_fixed_ground
from .method import Options
from .rowwise import invert_intensity
from .stable import find_stable, spread

Floats = NDArray[np.float64]

#: Weight of azimuth slopes against range slopes that disagree with the image: the ground is as smooth in
#: both directions, and the image's slopes are wrong by about half as much as the ground has slopes.
AZIMUTH = 0.3
#: Distance, metres of range, over which the slopes are smoothed in both directions before they are summed.
SMOOTHING = 10.0
#: Wavelength, metres, beyond which the change is drawn to zero: slopes summed over it are worth nothing.
LONGEST = 1500.0


def surface_from_slopes(slope: Floats, spacing: tuple[float, float], longest: float = LONGEST) -> Floats:
    """Find the smooth surface that has given range slopes.

    Parameters
    ----------
    slope : ndarray (azimuth, range)
        Range gradient, metres a metre; 0 where unknown.
    spacing : tuple of float
        Metres in azimuth and range.
    longest : float
        Wavelength, metres, beyond which the surface is drawn to zero.

    Returns
    -------
    ndarray (azimuth, range)
        Minimum of ``|∂d/∂r - slope|² + AZIMUTH |∂d/∂a|² + (2π/longest)² d²``, metres; reflecting
        edges, solved exactly by cosine transforms.
    """
    rows, columns = slope.shape
    flux = 0.5 * (slope[:, 1:] + slope[:, :-1])  # at the edges between pixels
    right = np.zeros(slope.shape)
    right[:, 1:] += flux / spacing[1]
    right[:, :-1] -= flux / spacing[1]
    wave_r = (2 - 2 * np.cos(np.pi * np.arange(columns) / columns)) / spacing[1] ** 2
    wave_a = (2 - 2 * np.cos(np.pi * np.arange(rows) / rows)) / spacing[0] ** 2
    operator = wave_r[None] + AZIMUTH * wave_a[:, None] + (2 * np.pi / longest) ** 2
    return np.asarray(scipy.fft.idctn(scipy.fft.dctn(right, norm="ortho") / operator, norm="ortho"))


def invert_regularised(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
) -> ElevationChange:
    """Invert by ``regularised``: the row-wise slopes of ``rowwise-intensity``, one smooth surface.

    Parameters
    ----------
    stack, reference, entries, options
        As for every method.

    Returns
    -------
    ElevationChange
        With one standard error a date.
    """
    data = invert_intensity(stack, reference, entries, options).dataset.load().copy()
    frame = options.frame
    columns = stack.shape[2]
    step = 1.0 if frame is None else frame.range_spacing / float(np.sin(np.median(frame.theta)))
    azimuth = step if frame is None or not np.isfinite(frame.azimuth_spacing) else frame.azimuth_spacing
    height = np.asarray(stack.dataset["height"].values, dtype=np.float64)
    slant = np.asarray(data["elevation_change_slant"].values, dtype=np.float64)
    sigma = (SMOOTHING / azimuth, SMOOTHING / step)
    for k, entry in enumerate(entries):
        if not entry.reference:
            continue
        known = np.isfinite(slant[k])
        slope = np.gradient(slant[k], step, axis=1) if columns > 1 else np.zeros(slant[k].shape)
        slope = gaussian_filter(np.nan_to_num(slope), sigma, mode="nearest")
        slant[k] = np.where(known, surface_from_slopes(slope, (azimuth, step)), np.nan)
    data["elevation_change_slant"].values[:] = slant
    if "elevation" in data:
        data["elevation"].values[:] = slant + height
    change = slant
    if "elevation_change" in data and frame is not None:
        ground = frame.ground_range(height)
        before = np.isfinite(data["elevation_change"].values)
        change = np.array([at_fixed_ground(s, height, ground, frame.theta, 0.5 * step) for s in slant])
        data["elevation_change"].values[:] = np.where(before, change, np.nan)
    stable = options.stable
    if stable is None:
        stable = np.stack([find_stable(entry[None]) for entry in change])
        data["stable"] = (data["elevation_change_slant"].dims, stable)
    std = spread(change, stable)
    std[[not entry.reference for entry in entries]] = 0.0
    data["elevation_change_std"].values[:] = std
    data.attrs["method"] = "regularised"
    return ElevationChange(data)
