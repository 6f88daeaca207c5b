"""Kept or new rock: whether the new image repeats the reference's texture under the change found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label

from .laying import lay
from .matching import Matching, by_node

Float = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)

#: Window of the regression, nodes (Gaussian σ).
WINDOW = 2.5
#: Regression slope, in units of still ground's, below which (by half a standard error) the texture is new.
#: Kept rock has 0.65 to 1.2, new rock -0.1 to 0.55 (simulations); between them both errors are rare.
KEPT = 0.57
#: Log ratios and log reflectivities beyond this (natural logarithm) are clipped.
MOST_LOG = 2.0
#: Stabiliser of the logarithm, share of the median intensity.
DARK = 0.006
#: Share of the usual lit ground in a window below which nothing can be told.
FEWEST = 0.25
#: Standard error of the slope (in units of still ground's) above which nothing can be told: the image
#: has too little texture for a test.
MOST_ERROR = 0.25
#: Smallest patches that are believed: withheld, and given inside withheld ones, nodes.
LEAST_LOST, LEAST_KEPT = 8, 60
#: Standard errors by which a slope must be too low; share of still ground on which the test must tell
#: for its silence elsewhere to mean something.
ERRORS, WORKS = 0.5, 0.7
#: Nodes by which a withheld patch grows: the window has blurred its edge.
GROW = 3


@dataclass(frozen=True)
class Texture:
    """Outcome of the test, on the nodes of the search.

    Parameters
    ----------
    slope : ndarray (block row, node)
        Regression slope in units of still ground's: 1 kept, 0 new.
    error : ndarray (block row, node)
        Its standard error.
    untold : ndarray (block row, node) bool
        Too little lit ground or texture for the test.
    lost : ndarray (block row, node) bool
        Texture that is new: the change is not to be given.
    """

    slope: Float
    error: Float
    untold: NDArray[np.bool_]
    lost: NDArray[np.bool_]


def _pad(edges: NDArray[Scalar]) -> NDArray[Scalar]:
    return np.concatenate([edges, edges[:, -1:]], axis=1)


def regress_texture(
    matching: Matching, change: Float, still: NDArray[np.bool_], moved: NDArray[np.bool_]
) -> Texture:
    """Regress the new log reflectivity on the reference's *inside* the nodes' cells.

    Parameters
    ----------
    matching : Matching
        The reference (without a change of brightness) and the new image.
    change : ndarray (block row, node)
        Change found, metres.
    still : ndarray (block row, node) bool
        Ground that has not moved: the slope there is what a kept texture gives (noise in the reference
        attenuates it).
    moved : ndarray (block row, node) bool
        Ground that has: where the test works on still ground, what it cannot tell here is withheld.

    Returns
    -------
    Texture
        Slopes and decisions.

    Notes
    -----
    The cells' means are removed: those the change has been fitted to.
    """
    laid = lay(matching, change)
    weight = by_node(matching, np.where(laid.good, np.minimum(laid.pixels, 1.5), 0.0))
    count = weight.sum(axis=(1, 3))
    dark = DARK * float(np.median(matching.intensity))
    new = np.log(
        (np.maximum(laid.energy, 0) + dark * np.abs(laid.pixels) + 1e-12) / np.maximum(laid.width, 1e-3)
    )
    old = np.log(np.maximum(matching.reflectivity, 1e-12))

    def inside(f: Float) -> Float:
        f = by_node(matching, np.where(np.isfinite(f), f, 0.0))
        mean = (weight * f).sum(axis=(1, 3)) / np.maximum(count, 1e-9)
        return np.clip(np.where(weight > 0, f - mean[:, None, :, None], 0.0), -MOST_LOG, MOST_LOG)

    def window(f: Float) -> Float:
        return np.asarray(gaussian_filter((weight * f).sum(axis=(1, 3)), WINDOW, mode="constant"))

    x, y = inside(old), inside(new)
    xx, xy, yy = window(x * x), window(x * y), window(y * y)
    slope = xy / np.maximum(xx, 1e-9)
    number = window(np.ones_like(x))
    cells = 4 * np.pi * WINDOW**2  # equivalent number of cells in the window
    rest = np.maximum(yy - slope * xy, 0)
    error = np.sqrt(rest / np.maximum(number, 1e-9) / np.maximum(xx * cells, 1e-9))
    usual = float(np.median(count[count > 0])) if (count > 0).any() else 1.0
    few = number < FEWEST * usual
    slope, error, few = _pad(slope), _pad(error), _pad(few)
    good = still & ~few
    unit = (
        float(np.median(slope[good]))
        if good.sum() > 30
        else float(np.median(slope[~few]))
        if (~few).any()
        else 1.0
    )
    unit = max(unit, 0.05)
    slope, error = slope / unit, error / unit
    untold = few | (error > MOST_ERROR)
    new_rock = (slope + ERRORS * error < KEPT) & ~untold
    if good.any() and float(untold[still].mean()) < 1 - WORKS:
        new_rock |= untold & moved
    lost = gaussian_filter(new_rock.astype(np.float64), 1.0) > 0.5
    for value, least in ((True, LEAST_LOST), (False, LEAST_KEPT)):
        patches, _ = label(lost == value)
        small = np.bincount(patches.ravel()) < least
        small[0] = False
        lost[small[patches]] = not value
    if lost.any():
        lost = binary_dilation(lost, iterations=GROW)
    return Texture(slope, error, untold, lost)
