"""Despeckling: non-local means and a Gaussian, what the row-wise methods ask for.

Non-local means after Buades, Coll & Morel (2005, doi:10.1109/CVPR.2005.38) by scikit-image, as Angarita
et al. (2022) use it. Looks are measured as in Oliver & Quegan (Understanding SAR Images, 2004, section
4.3): squared mean over variance of the intensity in small windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.restoration import denoise_nl_means

from .gaps import as_float, fill_gaps

Floats = NDArray[np.float64]

#: Strength in parts of the image's median: the original's ``sigma_amp=30`` on amplitudes of about 60.
STRENGTH = 0.5

#: Patch and search distance in pixels, the original's.
PATCH_SIZE = 5
PATCH_DISTANCE = 5

#: Filter parameter in parts of the noise level, the original's.
CUTOFF = 0.6

#: Effective looks from which an image is taken as filtered already: the filter leaves more than 30 of one
#: look, and speckle of 15 looks is 13 % in amplitude, less than the texture that the filter would take.
FILTERED_LOOKS = 15.0

#: Side of the windows in which looks are measured, pixels.
WINDOW = 5


def nlm(
    image: NDArray[Any],
    strength: float = STRENGTH,
    patch_size: int = PATCH_SIZE,
    patch_distance: int = PATCH_DISTANCE,
    *,
    median: float | None = None,
    gaussian: float = 0.0,
) -> Floats:
    """Non-local means of an amplitude image, its strength relative to the image's median.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Amplitude, linear, any unit; NaN where there is none.
    strength : float
        Noise level that the filter takes out, in parts of the median.
    patch_size, patch_distance : int
        Side of the patches that are compared and how far apart they may be, pixels.
    median : float, optional
        The median that `strength` refers to, where `image` is a tile of a larger image; the image's own
        if not given.
    gaussian : float
        Standard deviation of a Gaussian that follows, pixels; 0 for none.

    Returns
    -------
    ndarray (azimuth, range)
        Filtered amplitude, float64. NaN exactly where the image is NaN: for the filter alone a gap is
        bridged along its row, with the median where a row has nothing.
    """
    image = np.asarray(image)
    if median is None:
        median = image_median(image)
    return nlm_absolute(image, strength * median, patch_size, patch_distance, fill=median, gaussian=gaussian)


def nlm_absolute(
    image: NDArray[Any],
    sigma: float,
    patch_size: int = PATCH_SIZE,
    patch_distance: int = PATCH_DISTANCE,
    *,
    fill: float = 0.0,
    gaussian: float = 0.0,
) -> Floats:
    """Non-local means with the noise level in the image's own unit, as the original has it.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Any real image; NaN where there is no value.
    sigma : float
        Noise level; the filter's parameter is 0.6 of it. Nothing is filtered where it is not positive.
    patch_size, patch_distance : int
        Pixels.
    fill : float
        What rows without any value are bridged with.
    gaussian : float
        Standard deviation of a Gaussian that follows, pixels; 0 for none.

    Returns
    -------
    ndarray (azimuth, range)
        float64, NaN exactly where the image is.
    """
    gaps = ~np.isfinite(np.asarray(image))
    filled = fill_gaps(image, fill)
    thin = tuple(slice(1, 2) if n == 1 else slice(None) for n in filled.shape)
    if sigma > 0 and filled.size:
        # A single row or column would be taken for one dimension: it is repeated, as its border is.
        filled = denoise_nl_means(
            np.pad(filled, [(int(n == 1),) * 2 for n in filled.shape], mode="edge"),
            patch_size=patch_size,
            patch_distance=patch_distance,
            h=CUTOFF * sigma,
            sigma=sigma,
            fast_mode=True,
        )[thin]
    if gaussian > 0:
        filled = gaussian_filter(filled, sigma=gaussian)
    filled = np.asarray(filled, dtype=np.float64)
    filled[gaps] = np.nan
    return filled


def overlap(patch_size: int = PATCH_SIZE, patch_distance: int = PATCH_DISTANCE, gaussian: float = 0.0) -> int:
    """Rows that a tile needs beyond its own to be filtered as in the whole image."""
    return patch_size // 2 + patch_distance + int(4.0 * gaussian + 0.5)


def image_median(image: NDArray[Any]) -> float:
    """Median of an image's positive finite values; 0 where there are none."""
    image = np.asarray(image)
    values = image[np.isfinite(image) & (image > 0)]
    return float(np.median(values)) if values.size else 0.0


def measure_looks(image: NDArray[Any]) -> float:
    """Effective number of looks of an amplitude image.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Amplitude, linear, any unit; NaN where there is none.

    Returns
    -------
    float
        Squared mean over variance of the intensity in windows of 5 x 5 pixels, the median over the
        windows without gap: a lower bound of the looks, for texture adds to the variance. NaN where
        there is no such window.

    Notes
    -----
    Speckle correlated over more than a pixel or two raises the number; so do filters.
    """
    intensity = np.square(as_float(np.asarray(image)).astype(np.float64))
    if min(intensity.shape) < WINDOW:
        return float("nan")
    usable = np.isfinite(intensity) & (intensity > 0)
    clean = np.where(usable, intensity, 0.0)
    scale = clean.max(initial=0.0)
    if scale == 0.0:
        return float("nan")
    clean /= scale
    half = WINDOW // 2
    inner = (slice(half, -half or None),) * 2
    whole = uniform_filter(usable.astype(np.float64), WINDOW)[inner] > 1.0 - 0.5 / WINDOW**2
    mean = uniform_filter(clean, WINDOW)[inner]
    square = uniform_filter(clean * clean, WINDOW)[inner]
    count = WINDOW * WINDOW
    variance = np.maximum(square - mean * mean, 1e-12 * square) * count / (count - 1)
    looks = (mean * mean / np.where(variance > 0, variance, np.nan))[whole]
    looks = looks[np.isfinite(looks)]
    return float(np.median(looks)) if looks.size else float("nan")
