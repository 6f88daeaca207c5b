"""The reference image against its DEM: where it lies, what it does not show, what the DEM leaves out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from .agreement import Agreement, compare
from .ground import Ground
from .layover import coded_layover
from .reflectivity import onto_facets
from .registration import Registration, detail, register
from .render import Rendered, Scene, azimuth_slope_term

Float = NDArray[np.float64]

#: Pixels at a shadow's edge that the DEM may have wrong, and fewest pixels that tell the noise floor.
SHADOW_EDGE, FEWEST_SHADOW = 2, 60
#: Share of a pixel's energy from doubted ground beyond which it is not compared with the DEM.
DOUBTED = 0.5


def doubt_of(ground: Ground, mean: Float, water: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Facets that are not known to be ground with a reflectivity: DEM gaps, water, gaps of the image.

    Parameters
    ----------
    ground : Ground
        Whose facets they are.
    mean : ndarray (azimuth, range)
        Intensity, NaN in gaps.
    water : ndarray (azimuth, range) bool or None
        Pixels whose ground is not ground.

    Returns
    -------
    ndarray (azimuth, facet) float32
        1 where it is not known, else 0.
    """
    doubt = ~ground.known_facets
    if water is not None and water.any():
        doubt |= onto_facets(water.astype(np.float64), ground) > 0.25
    if np.isnan(mean).any():
        doubt |= onto_facets(np.isnan(mean).astype(np.float64), ground) > 0.5
    return doubt.astype(np.float32)


def _rendered(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> Rendered:
    """Render the ground, pixel by pixel, with unit reflectivity and constant gamma nought."""
    one = np.ones((ground.height.shape[0], ground.height.shape[1] - 1), np.float32)
    pixels = Scene(ground, one, 1.0, (1, 1), azimuth_slope_term(ground), doubt_of(ground, mean, water))
    return pixels.render(np.zeros(pixels.knots), derivatives=False)


def find_overlaid(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Find the layover that a radar-coded DEM leaves out, by its light.

    Parameters
    ----------
    mean, ground, water
        As for `doubt_of`; the ground of the DEM's pixels.

    Returns
    -------
    ndarray (azimuth, range) bool
        See `coded_layover`.
    """
    out = _rendered(mean, ground, water)
    return coded_layover(mean, out.energy * (1 - out.doubtful) / ground.range_spacing, ground)


def measure_registration(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> Registration:
    """Measure where the image lies against the DEM.

    Parameters
    ----------
    mean, ground, water
        As for `doubt_of`.

    Returns
    -------
    Registration
        Pixels that show doubted ground do not count.
    """
    out = _rendered(mean, ground, water)
    valid = np.isfinite(mean) & (out.doubtful < DOUBTED)
    return register(detail(mean, valid), detail(out.energy, valid), valid)


def measure_agreement(mean: Float, unit: Float, doubtful: Float, ground: Ground) -> Agreement:
    """Compare the shading of the image with that of the DEM where it lies now.

    Parameters
    ----------
    mean : ndarray (azimuth, range)
        Intensity, NaN in gaps.
    unit : ndarray (azimuth, range)
        Rendered intensity of unit reflectivity.
    doubtful : ndarray (azimuth, range)
        Share of a pixel's energy that comes from doubted ground.
    ground : Ground
        Registered.

    Returns
    -------
    Agreement
        Noise of the heights, and where they are contradicted.
    """
    valid = np.isfinite(mean) & (doubtful < DOUBTED)
    sine, cosine = float(np.median(ground.sine)), float(np.median(ground.cosine))
    pixel = ground.range_spacing / sine
    # log brightness dp/dr answers to a slope by s/c + c/s
    per_log = pixel / (sine / cosine + cosine / sine)
    return compare(detail(mean, valid), detail(unit, valid), valid, per_log)


def noise_floor(mean: Float, unit: Float) -> float:
    """Noise of the receiver, read in the shadow of the DEM.

    Parameters
    ----------
    mean : ndarray (azimuth, range)
        Mean intensity of the reference.
    unit : ndarray (azimuth, range)
        Simulated intensity of unit reflectivity: zero in shadow.

    Returns
    -------
    float
        Intensity; 0 where there is too little shadow to tell, which then does not matter.
    """
    inside = unit < 1e-3 * float(np.median(unit))
    inside = binary_erosion(inside & np.isfinite(mean), iterations=SHADOW_EDGE)
    inside[:, : 2 * SHADOW_EDGE] = inside[:, -2 * SHADOW_EDGE :] = False  # ground beyond the image
    if inside.sum() < FEWEST_SHADOW:
        return 0.0
    return float(min(np.median(mean[inside]), 0.5 * np.nanmedian(mean)))
