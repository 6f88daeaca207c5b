"""How far the reference image bears the DEM out: the DEM's noise, and ground that it no longer shows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .ground import Ground
from .noise import MAD
from .render import block_sums

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Blocks on which agreement is summed, and the window around each (Gaussian σ, in blocks): 12 rows and 16
#: pixels hold enough shading to stand out from texture.
BLOCK, WINDOW = (4, 8), (3.0, 2.0)
#: Standard deviations that the missing shading must exceed the scatter between windows by (the scatter has
#: heavy tails: shading and texture come in all widths), and the share of the usual response below which it
#: counts as missing.
MISSING, RESPONSE = 6.0, 0.5
#: Share of the image that the DEM must be wrong on to be warned of: a few windows stand out by chance, as
#: much as 0.2 % of an image with shadow.
WARNED = 0.005
#: Scales (σ, pixels) between which bands of the shading are compared, fine to coarse.
SCALES = (3.0, 6.0, 12.0)
#: Relative standard error to which the response of the band that the others are compared with must be known.
KNOWN_RESPONSE = 0.25
#: Boxes of a large image on which the bands are compared, and their size.
BOXES, BOX = 9, (384, 768)


@dataclass(frozen=True)
class Agreement:
    """What the reference image says of the DEM.

    Parameters
    ----------
    height_noise : float
        Standard deviation of the DEM's fine errors, metres; NaN where the image does not tell.
    testable : float
        Share of the image in which the DEM has relief enough to be contradicted.
    mismatch : ndarray (block row, block)
        Where the DEM's shading is missing from the image: root-mean-square of the natural logarithm of
        brightness by which it mispredicts, which is the relative error of slopes; 0 elsewhere. On
        blocks of ``BLOCK`` pixels of the image.
    """

    height_noise: float
    testable: float
    mismatch: Float

    @property
    def contradicted(self) -> float:
        """Share of the image where the DEM shows other ground than the image."""
        return float((self.mismatch > 0).mean())

    def at_nodes(self, ground: Ground, rows_block: int, blocks: int) -> Float:
        """Mismatch at the nodes of a look, (block row, knot)."""
        slant, _ = ground.slant_and_across()
        row = np.minimum(((np.arange(blocks) + 0.5) * rows_block).astype(int), len(slant) - 1)
        pixel = slant[row][:, :: ground.facets] / ground.range_spacing
        k = np.clip((pixel / BLOCK[1]).astype(int), 0, self.mismatch.shape[1] - 1)
        return np.asarray(self.mismatch[np.minimum(row // BLOCK[0], len(self.mismatch) - 1)[:, None], k])


def compare(
    image: NDArray[np.float32], unit: NDArray[np.float32], valid: Bool, height_per_log: float
) -> Agreement:
    """Compare the shading of the image with that of the DEM.

    Parameters
    ----------
    image, unit : ndarray (azimuth, range)
        Detail (:func:`mosart.inversion.synthesis.registration.detail`) of the reference and of the DEM's
        ground with unit reflectivity, where the image shows it.
    valid : ndarray (azimuth, range) bool
        Where both are known.
    height_per_log : float
        Metres of height, one range pixel further, that change the log brightness by one.

    Returns
    -------
    Agreement
        See the notes.

    Notes
    -----
    Texture does not know the DEM, so that the regression of the image's detail on the DEM's is free of
    it; only its scatter is not. *Other ground*: windows in which the DEM has relief and the image does
    not answer to it, against the scatter between all windows. What is new on ground that the DEM shows
    flat stays unseen where there is texture, for it looks like it; so does a small change of a slope. On
    ground without texture windows stand out that hold more detail than the DEM explains. *Noise*: heights'
    errors make shading that the image does not show, so that fine scales answer less than coarse ones;
    the ratio is free of the scattering law. Errors as wide as the coarsest scale stay unseen.
    """
    x, y = unit.astype(np.float64), image.astype(np.float64)
    counted = valid.astype(np.float64)
    number = block_sums(counted, BLOCK)
    sums = [
        gaussian_filter(block_sums(v, BLOCK), WINDOW, mode="constant") for v in (x * x, x * y, y * y, counted)
    ]
    xx, xy, yy, n = sums[0], sums[1], sums[2], np.maximum(sums[3], 1e-9)
    use = number > 0.5 * BLOCK[0] * BLOCK[1]
    mismatch = np.zeros(use.shape)
    testable = np.zeros_like(use)
    keep = use & (xx > 1e-12)
    if keep.sum() > 8:
        root = np.sqrt(np.maximum(xx, 1e-12))
        for _ in range(4):
            response = float(xy[keep].sum() / xx[keep].sum())
            rest = (xy - response * xx) / root
            scatter = max(MAD * float(np.median(np.abs(rest[use & (xx > 1e-12)]))), 1e-12)
            testable = use & (response * root > MISSING * scatter)
            missing = testable & (rest < -MISSING * scatter) & (xy < RESPONSE * response * xx)
            keep = use & (xx > 1e-12) & ~missing
            if keep.sum() <= 8:
                break
        power = (yy - 2 * response * xy + response**2 * xx) / n
        beyond = power - float(np.median(power[use]))
        least = np.where(missing, (response - xy / np.maximum(xx, 1e-12)) ** 2 * xx / n, 0.0)
        found = missing | _unexplained(power, use)
        mismatch = np.where(found, np.sqrt(np.maximum(beyond, least)), 0.0)
    return Agreement(
        _height_noise(image, unit, height_per_log),
        float(testable.sum() / max(int(use.sum()), 1)),
        mismatch,
    )


def _unexplained(power: Float, use: Bool) -> Bool:
    """Windows with far more detail than the DEM and the texture of the other windows explain.

    Texture is uneven, and by how much is read on the windows themselves: where there is any, hardly a window
    stands out and nothing is told; where there is none, the shading of new ground does.
    """
    log = np.log(np.maximum(power, 1e-12 * float(power[use].max()) + 1e-30))
    middle = float(np.median(log[use]))
    scatter = max(MAD * float(np.median(np.abs(log[use] - middle))), 1e-12)
    return np.asarray(use & (log - middle > MISSING * scatter))


def _height_noise(image: NDArray[np.float32], unit: NDArray[np.float32], height_per_log: float) -> float:
    """Noise of the heights, from what fine shading lacks of the response of coarse shading."""
    bands = len(SCALES) + 1
    xx, xy = np.zeros((bands, 0)), np.zeros((bands, 0))
    pixels = 0
    for box in _boxes(image.shape):
        a, b = _bands(unit[box]), _bands(image[box])
        pixels += unit[box].size
        parts = [np.array([block_sums((u * v).astype(np.float64), (24, 48)).ravel() for u, v in zip(a, w)])
                 for w in (a, b)]  # fmt: skip
        xx, xy = np.hstack([xx, parts[0]]), np.hstack([xy, parts[1]])
    power = xx.sum(axis=1)
    if (power <= 0).any() or xx.shape[1] < 8:
        return float("nan")
    response = xy.sum(axis=1) / power
    error = np.sqrt(((xy - response[:, None] * xx) ** 2).sum(axis=1)) / power
    known = [k for k in range(bands) if response[k] > 0 and error[k] < KNOWN_RESPONSE * response[k]]
    if not known:
        return float("nan")
    base = max(known)  # the coarsest that is known
    variance = 0.0
    edges = (1.0, *SCALES, 2 * SCALES[-1])
    for k in range(base):
        lacking = 1 - response[k] / response[base]
        slope = max(lacking, 0.0) * power[k] / pixels
        # a band between two scales has its power about the wave number 1 / scale
        variance += slope * height_per_log**2 * edges[k] * edges[k + 1]
    return float(np.sqrt(variance))


def _bands(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    smoothed = [values, *(gaussian_filter(values, s, mode="nearest") for s in SCALES)]
    return [a - b for a, b in pairwise(smoothed)] + [smoothed[-1]]


def _boxes(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    rows = max(1, min(3, shape[0] // BOX[0]))
    columns = max(1, min(BOXES // rows, shape[1] // BOX[1]))
    if rows * columns == 1 and shape[0] * shape[1] <= 4 * BOX[0] * BOX[1]:
        return [(slice(None), slice(None))]
    starts = [
        np.linspace(0, max(0, n - size), count).astype(int)
        for n, size, count in zip(shape, BOX, (rows, columns))
    ]
    return [(slice(r, r + BOX[0]), slice(c, c + BOX[1])) for r in starts[0] for c in starts[1]]


def dem_std(
    change: Float, spacing: tuple[float, float], position_std: tuple[float, float], mismatch: Float
) -> Float:
    """Error of a change that the DEM's errors cause.

    Parameters
    ----------
    change : ndarray (y, x)
        Metres, on nodes.
    spacing : tuple of float
        Of the nodes, metres in y and x.
    position_std : tuple of float
        By how much the DEM misplaces a pixel on the ground, metres along azimuth and range.
    mismatch : ndarray (y, x)
        Relative error of slopes where the DEM shows other ground.

    Returns
    -------
    ndarray (y, x)
        Metres: a misplaced change is wrong by its gradient, one on wrong slopes by a share of itself.
        Where nothing changed, the DEM's errors are in both images and do no harm.
    """
    variance = (mismatch * change) ** 2
    for axis in range(2):
        if change.shape[axis] > 1:
            variance = variance + (np.gradient(change, spacing[axis], axis=axis) * position_std[axis]) ** 2
    return np.asarray(np.sqrt(variance))
