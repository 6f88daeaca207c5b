"""Reflectivity of the ground, from the reference image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .ground import Ground

Float = NDArray[np.float64]

#: Kernels to choose from: Gaussian σ in rows and range pixels. From "as it is" to a window of about
#: 50 pixels: wider ones cannot follow shading.
KERNELS = ((0.01, 0.01), (0.4, 0.6), (0.6, 0.9), (1.0, 1.5), (1.5, 2.2), (2.0, 3.0), (3.0, 4.5))

#: Share of the median by which unlit ground is filled up, so that it has the median reflectivity.
SHRINK = 0.02
#: Share of the pixels of the fullest date that a date must show to be predicted, or to predict another.
LEAST_SHOWN = 0.5


def smooth(image: Float, kernel: tuple[float, float], valid: NDArray[np.bool_] | None = None) -> Float:
    """Gaussian mean that leaves invalid pixels out.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Any image; NaN where invalid.
    kernel : tuple of float
        Standard deviations, rows and pixels.
    valid : ndarray of bool, optional
        Default: finite.

    Returns
    -------
    ndarray (azimuth, range)
        NaN where no valid pixel is near.
    """
    ok = np.isfinite(image) if valid is None else valid & np.isfinite(image)
    filled = np.where(ok, image, 0.0)
    if ok.all():
        return np.asarray(gaussian_filter(filled, kernel, mode="nearest"))
    share = gaussian_filter(ok.astype(np.float64), kernel, mode="nearest")
    return np.where(
        share > 1e-3, gaussian_filter(filled, kernel, mode="nearest") / np.maximum(share, 1e-3), np.nan
    )


def predict(image: Float, unit: Float, kernel: tuple[float, float]) -> Float:
    """Reflectivity on the image's pixels: smoothed intensity over smoothed simulated intensity.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Mean intensity of the reference; NaN where there is none.
    unit : ndarray (azimuth, range)
        Simulated intensity of ground with unit reflectivity.
    kernel : tuple of float
        Standard deviations, rows and pixels.

    Returns
    -------
    ndarray (azimuth, range)
        The median where nothing is lit.
    """
    above, below = smooth(image, kernel), smooth(unit, kernel)
    middle = float(np.median(unit[unit > 0])) if (unit > 0).any() else 1.0
    lit = (below > 0.2 * middle) & np.isfinite(above)
    level = float(np.median(above[lit] / below[lit])) if lit.any() else 1.0
    fill = SHRINK * middle
    return np.where(np.isfinite(above), (np.nan_to_num(above) + fill * level) / (below + fill), level)


def choose_kernel(images: Sequence[Float], unit: Float) -> tuple[float, float]:
    """Kernel by leave-one-out Gamma likelihood.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        Intensities of the reference dates, gains removed.
    unit : ndarray (azimuth, range)
        Simulated intensity of unit reflectivity.

    Returns
    -------
    tuple of float
        Standard deviations, rows and pixels.

    Notes
    -----
    Each date is predicted from the others. A single date is predicted pixel by pixel from its
    neighbours without the pixel itself, which holds for speckle that is not correlated between
    pixels.
    """
    middle = float(np.median(unit[unit > 0]))
    lit = unit > 0.1 * middle
    shown = [float(np.isfinite(image).mean()) for image in images]
    images = [image for image, share in zip(images, shown) if share >= LEAST_SHOWN * max(shown)]
    total, count = np.nansum(images, axis=0), np.isfinite(images).sum(axis=0)
    number = len(images)
    scores = []
    for kernel in KERNELS:
        score = 0.0
        for image in images[: 6 if number > 1 else 1]:
            if number > 1:
                left = count - np.isfinite(image)
                others = np.where(left > 0, (total - np.nan_to_num(image)) / np.maximum(left, 1), np.nan)
                rho = predict(others, unit, kernel)
            else:
                centre = _centre_weight(kernel)
                if centre > 0.9:
                    score = np.inf
                    break
                below = smooth(unit, kernel) - centre * unit
                above = smooth(image, kernel) - centre * np.nan_to_num(image)
                level = float(np.nanmedian(above[lit] / np.maximum(below[lit], 1e-12)))
                rho = (above + SHRINK * middle * level) / (below + SHRINK * middle)
            model = rho * unit
            ok = lit & np.isfinite(image) & (model > 0)
            z = np.minimum(image[ok] / model[ok], 20.0)
            gain = float(z.mean())
            score += float(np.mean(np.log(model[ok]) + z / gain)) + np.log(gain)
        scores.append(score)
    return KERNELS[int(np.argmin(scores))]


def _centre_weight(kernel: tuple[float, float]) -> float:
    """Weight of a pixel in its own Gaussian mean."""
    impulse = np.zeros((41, 41))
    impulse[20, 20] = 1.0
    return float(gaussian_filter(impulse, kernel)[20, 20])


def kernel_area(kernel: tuple[float, float], block: tuple[int, int]) -> float:
    """Pixels that a block of smoothed reference averages over.

    Parameters
    ----------
    kernel : tuple of float
        Standard deviations, rows and pixels.
    block : tuple of int
        Rows and pixels.

    Returns
    -------
    float
        Pixels; ``2 √π σ`` is the equivalent width of a Gaussian.
    """
    wide = 2 * np.sqrt(np.pi)
    return float((block[0] + wide * kernel[0]) * (block[1] + wide * kernel[1]))


def onto_facets(image: Float, ground: Ground) -> NDArray[np.float32]:
    """Values of an image at the facets of its own ground.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Any image without NaN.
    ground : Ground
        Profiles of the ground that the image shows.

    Returns
    -------
    ndarray (azimuth, facet) float32
        Linear between pixel centres, the edge's value beyond the image.
    """
    slant, _ = ground.slant_and_across()
    middle = 0.5 * (slant[:, 1:] + slant[:, :-1]) / ground.range_spacing - 0.5
    pixel = np.arange(image.shape[1])
    out = np.empty(middle.shape, np.float32)
    for j, row in enumerate(middle):
        out[j] = np.interp(row, pixel, image[j])
    return out
