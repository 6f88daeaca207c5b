"""The scattering law's exponent, from the reference image against the DEM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .ground import Ground
from .noise import MAD
from .render import Scene, azimuth_slope_term, block_sums

Float = NDArray[np.float64]

#: Prior of the exponent: near constant gamma nought, as most natural ground; its standard deviation.
PRIOR_MEAN, PRIOR_STD = 1.0, 0.5
#: Smoothings of the DEM to try, metres in units of a range pixel on the ground.
SMOOTHINGS = (0.0, 1.5, 3.0, 6.0, 10.0)
#: Gain in misfit that a smoother DEM must bring to be believed.
SMOOTHER_BY = 0.01
#: A smoothing beyond this (range pixels) says that the DEM is noisier than the ground is rough: its
#: slopes attenuate the regression, and the prior alone decides.
NOISY_DEM = 1.0
#: Texture correlates neighbouring differences: their errors count this much wider.
WIDEN = 3.0
#: Margin around the possible exponents.
LEAST, MOST = 0.0, 3.0
#: Folded share of a block's energy above which it does not count.
MOST_FOLDED = 0.02


@dataclass(frozen=True)
class Law:
    """Exponent of the scattering law.

    Parameters
    ----------
    exponent, std : float
        Posterior mean and standard deviation.
    regression, regression_std : float
        What the image alone says.
    dem_smoothing : float
        Metres by which the DEM fits the image best.
    """

    exponent: float
    std: float
    regression: float
    regression_std: float
    dem_smoothing: float


def smooth_ground(ground: Ground, sigma: float) -> Ground:
    """Ground smoothed by a Gaussian.

    Parameters
    ----------
    ground : Ground
        The profiles.
    sigma : float
        Metres; 0: as it is.

    Returns
    -------
    Ground
        New heights and offsets.
    """
    if sigma <= 0:
        return ground
    height = gaussian_filter(
        ground.height, (sigma / ground.azimuth_spacing, sigma / ground.spacing), mode="nearest"
    )
    offset = ground.offset - ground.cosine[0] * (height[:, 0] - ground.height[:, 0]).astype(np.float64)
    return replace(ground, height=height, offset=offset)


def _differences(field: Float, good: NDArray[np.bool_]) -> Float:
    right = (field[:, 1:] - field[:, :-1])[good[:, 1:] & good[:, :-1]]
    down = (field[1:] - field[:-1])[good[1:] & good[:-1]]
    return np.concatenate([right, down])


def estimate_law(image: Float, ground: Ground, block: tuple[int, int] = (4, 8)) -> Law:
    """Estimate the exponent by robust least squares on differences of neighbouring blocks.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Mean intensity of the reference dates; NaN where there is none.
    ground : Ground
        The profiles of the DEM.
    block : tuple of int
        Rows and pixels.

    Returns
    -------
    Law
        The exponent with its standard deviation.

    Notes
    -----
    ``log E = log ρ + m log Δp + (1 - m) log ds`` is linear in ``m``; differences of neighbouring
    blocks whiten the texture ``log ρ``.
    """
    count = block_sums(np.isfinite(image).astype(np.float64), block)
    full = count > 0.9 * block[0] * block[1]
    sums = block_sums(image, block)
    measured = np.log(np.maximum(sums, 1e-12 * np.nanmax(sums)))
    best: tuple[float, float, float, float] | None = None
    pixel = ground.range_spacing / float(np.median(ground.sine))
    one = np.ones((ground.height.shape[0], ground.height.shape[1] - 1), np.float32)
    for smoothing in SMOOTHINGS:
        g = smooth_ground(ground, smoothing * pixel)
        zero = np.zeros((-(-len(image) // block[0]), g.knots))
        doubt = (~g.known_facets).astype(np.float32)
        cross = azimuth_slope_term(g)
        logs = []
        good = full & (sums > 0)
        for law in (0.0, 1.0):
            out = Scene(g, one, law, block, cross, doubt).render(zero, derivatives=False)
            good &= (out.folded < MOST_FOLDED) & (out.doubtful < MOST_FOLDED)
            good &= out.energy > 0.15 * np.median(out.energy)
            logs.append(np.log(np.maximum(out.energy, 1e-12)))
        x = _differences(logs[1] - logs[0], good)
        y = _differences(measured - logs[0], good)
        if len(x) < 50 or float(x @ x) <= 0:
            continue
        weight = np.ones(len(x))
        m, sigma = 1.0, 1.0
        for _ in range(6):
            m = float((weight * x * y).sum() / (weight * x * x).sum())
            rest = y - m * x
            sigma = MAD * float(np.median(np.abs(rest)))
            weight = np.minimum(1.0, 2 * sigma / np.maximum(np.abs(rest), 1e-12))
        misfit = float(np.mean(np.minimum(np.abs(rest), 3 * sigma)))
        std = WIDEN * sigma / float(np.sqrt((weight * x * x).sum()))
        if best is None or misfit < best[0] * (1 - SMOOTHER_BY):
            best = (misfit, smoothing, m, std)
    if best is None:
        return Law(PRIOR_MEAN, PRIOR_STD, float("nan"), float("inf"), 0.0)
    _, smoothing, m, std = best
    return _with_prior(m, std, smoothing * pixel, pixel)


def _with_prior(regression: float, std: float, smoothing: float, pixel: float) -> Law:
    """Law from what the image says and the prior; the prior alone where the DEM is too noisy."""
    told = std if smoothing <= NOISY_DEM * pixel else 6 * PRIOR_STD
    precision = 1 / told**2 + 1 / PRIOR_STD**2
    mean = (regression / told**2 + PRIOR_MEAN / PRIOR_STD**2) / precision
    return Law(float(np.clip(mean, LEAST, MOST)), float(precision**-0.5), regression, std, smoothing)


def pool_laws(laws: Sequence[Law], pixel: float) -> Law:
    """One law for all parts of an image.

    Parameters
    ----------
    laws : sequence of Law
        Of the parts.
    pixel : float
        A range pixel on the ground, metres.

    Returns
    -------
    Law
        Mean by the standard errors, which are widened where the parts differ by more; the DEM's smoothing
        is the median.
    """
    told = [law for law in laws if np.isfinite(law.regression) and np.isfinite(law.regression_std)]
    if not told:
        return Law(PRIOR_MEAN, PRIOR_STD, float("nan"), float("inf"), 0.0)
    value = np.array([law.regression for law in told])
    weight = np.array([law.regression_std for law in told]) ** -2.0
    mean = float((weight * value).sum() / weight.sum())
    excess = float((weight * (value - mean) ** 2).sum()) / max(len(told) - 1, 1)
    std = float(np.sqrt(max(1.0, excess) / weight.sum()))
    return _with_prior(mean, std, float(np.median([law.dem_smoothing for law in told])), pixel)
