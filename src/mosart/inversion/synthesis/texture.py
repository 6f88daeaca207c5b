"""Kept or new rock: whether the new image repeats the reference's texture under a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, label

from .laying import lay
from .matching import Matching, by_node
from .noise import MAD

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Regression slope of new rock, in units of kept ground's: not zero, for the change found is fitted to the
#: texture, and fine relief that the DEM does not resolve is often kept (0.1 to 0.25 in simulations).
NEW_SLOPE = 0.2
#: A cell of the regression, in σ of the reference's kernel, rows and pixels: smaller ones hold no texture,
#: of larger ones the change found has explained more.
CELL_SIGMAS = (4.0, 2.7)
#: Windows to choose from, Gaussian σ in nodes: the first in which the two hypotheses lie `APART` standard
#: deviations apart on kept ground, or the one in which they lie farthest apart: where slopes differ from
#: place to place (relief stretches texture) a wider window tells no more.
WINDOWS = (2.5, 3.5, 5.0)
APART = 5.0
#: Separation (standard deviations) below which a window tells nothing: one in eleven would be wrong.
LEAST_APART = 2.7
#: Log ratios and log reflectivities beyond this (natural logarithm) are clipped.
MOST_LOG = 2.0
#: Stabiliser of the logarithm, share of the median intensity.
DARK = 0.006
#: Longest slant interval of a facet that counts in full, pixels: a stretched one has no more speckle to tell;
#: and the shortest that counts: facets that share a pixel share what the image shows there, kept or new.
MOST_PIXELS, LEAST_PIXELS = 1.5, 0.5
#: Facets beside layover, shadow and unknown ground that do not count: their pixels show some of it.
BESIDE_FOLD = 2
#: Kept rock has the steepest slopes of a scene: its slope is the median of what is above half way to new
#: rock's, beginning from this quantile.
STEEPEST, CALIBRATIONS = 0.9, 6
#: Fewest nodes that calibrate the test.
FEWEST_KEPT = 30
#: Standard deviations from zero of the slope over all of an image from which there is texture. Without any
#: it lies within 2 in simulations; with 0.5 of log reflectivity (standard deviation) it is 7 to 60.
REPEATS = 5.0
#: Share of kept ground on which the test must tell for its silence elsewhere to mean something.
WORKS = 0.7
#: Evidence (nats) that a patch of new rock must reach somewhere to be believed: where kept rock gives
#: 12 ± 5 (`APART`), chance does so in one window of four thousand.
SURE = -5.0
#: Share of new rock in a window from which a place counts as beside it: one σ from a straight edge.
BESIDE = 0.16
#: Smallest islands inside new rock that are believed, in windows' areas (4π σ²).
LEAST_KEPT = 1.0
#: Metres by which a withheld patch grows: what the smallest window may have wrong at its edge.
GROW = 20.0


@dataclass(frozen=True)
class Texture:
    """Outcome of the test, on the nodes of the search.

    Parameters
    ----------
    slope : ndarray (block row, node)
        Regression slope in units of kept ground's: 1 kept, 0 new.
    evidence : ndarray (block row, node)
        Log likelihood ratio, kept over new, of a window (nats).
    untold : ndarray (block row, node) bool
        Too little lit ground or texture for the test.
    weak : ndarray (block row, node) bool
        Too little for its evidence to be decisive wherever the texture is kept.
    works : bool
        Whether the test tells on most of kept ground.
    repeats : bool
        Whether the texture is found again beyond doubt over the whole image, however little a window tells.
    window : float
        Gaussian σ, nodes.
    sharp : ndarray (block row, node)
        The evidence of the smallest window: weaker, less blurred.
    """

    slope: Float
    evidence: Float
    untold: Bool
    weak: Bool
    works: bool
    repeats: bool
    window: float
    sharp: Float

    @property
    def kept(self) -> Bool:
        """Where the texture is more likely kept than new."""
        return (self.evidence > 0) & ~self.untold

    @property
    def new(self) -> Bool:
        """Where the texture is more likely new than kept; beside it the smallest window decides."""
        new = (self.evidence < 0) & ~self.untold
        beside = gaussian_filter(new.astype(np.float64), self.window) > BESIDE
        return new | (beside & (self.sharp < 0))


@dataclass(frozen=True)
class Sums:
    """Sums of a cell's regression inside its nodes: of x x and x y, and of the weights."""

    xx: Float
    xy: Float
    number: Float


def cell_sums(matching: Matching, change: Float, cell: tuple[int, int]) -> Sums:
    """Sum for the regression of the new log reflectivity on the reference's *inside* cells.

    Parameters
    ----------
    matching : Matching
        The reference (without a change of brightness) and the new image.
    change : ndarray (block row, node)
        Metres.
    cell : tuple of int
        Rows of nodes and nodes of a cell, whose mean is removed: that is what a change is fitted to.

    Returns
    -------
    Sums
        On the nodes, (block row, node); a cell's sums are spread over its nodes.

    Notes
    -----
    The reference's side is its reflectivity without the shading of the old surface: shading is not
    repeated where the slope has changed.
    """
    laid = lay(matching, change)
    good = binary_erosion(laid.good, np.ones((1, 2 * BESIDE_FOLD + 1), bool)) & (laid.pixels > LEAST_PIXELS)
    weight = by_node(matching, np.where(good, np.minimum(laid.pixels, MOST_PIXELS), 0.0))
    dark = DARK * float(np.median(matching.intensity))
    new = np.log(
        (np.maximum(laid.energy, 0) + dark * np.abs(laid.pixels) + 1e-12) / np.maximum(laid.width, 1e-3)
    )
    old = np.log(np.maximum(matching.texture, 1e-12))
    rows, edges = weight.shape[0], weight.shape[2]

    def grouped(f: Float) -> Float:
        pad = [(0, -rows % cell[0]), (0, 0), (0, -edges % cell[1]), (0, 0)]
        f = np.pad(f, pad)
        return f.reshape(len(f) // cell[0], cell[0] * f.shape[1], f.shape[2] // cell[1], -1)

    weight = grouped(weight)
    count = weight.sum(axis=(1, 3))

    def inside(f: Float) -> Float:
        f = grouped(by_node(matching, np.where(np.isfinite(f), f, 0.0)))
        mean = (weight * f).sum(axis=(1, 3)) / np.maximum(count, 1e-9)
        return np.clip(np.where(weight > 0, f - mean[:, None, :, None], 0.0), -MOST_LOG, MOST_LOG)

    def spread(f: Float) -> Float:
        each = (weight * f).sum(axis=(1, 3)) / (cell[0] * cell[1])
        nodes = np.repeat(np.repeat(each, cell[0], axis=0), cell[1], axis=1)[:rows, :edges]
        return np.concatenate([nodes, nodes[:, -1:]], axis=1)

    x, y = inside(old), inside(new)
    return Sums(spread(x * x), spread(x * y), spread(np.ones_like(x)))


def cell_of(kernel: tuple[float, float], matching: Matching) -> tuple[int, int]:
    """Nodes of a cell that holds texture which the reference resolves.

    Parameters
    ----------
    kernel : tuple of float
        Of the reference's reflectivity, σ in rows and pixels.
    matching : Matching
        Whose nodes they are.

    Returns
    -------
    tuple of int
        Rows of nodes and nodes.
    """
    size = (matching.rows_block, matching.ground.facets)
    return (
        max(1, round(float(CELL_SIGMAS[0] * kernel[0] / size[0]))),
        max(1, round(float(CELL_SIGMAS[1] * kernel[1] / size[1]))),
    )


def regress_texture(
    matching: Matching, change: Float, kernel: tuple[float, float], windows: tuple[float, ...] = WINDOWS
) -> Texture:
    """Test, window by window, whether the texture is kept under a change.

    Parameters
    ----------
    matching : Matching
        The reference (without a change of brightness) and the new image.
    change : ndarray (block row, node)
        Metres.
    kernel : tuple of float
        Of the reference's reflectivity, σ in rows and pixels.
    windows : tuple of float
        To choose from, Gaussian σ in nodes.

    Returns
    -------
    Texture
        Slopes and evidence.

    Notes
    -----
    With the slope ``β`` of kept rock (noise in the reference attenuates it), ``ν β`` of new rock and the
    variance ``s²`` of what is left, the log likelihood ratio of a cell is
    ``(1 - ν) β (Σxy - ½ (1 + ν) β Σxx) / s²``. The scene itself tells ``β`` and ``s²``: nothing need be
    known to be still.
    """
    cell = cell_of(kernel, matching)
    sums = cell_sums(matching, change, cell)
    usual = float(np.median(sums.number[sums.number > 0])) if (sums.number > 0).any() else 1.0
    lit = sums.number > 0.5 * usual
    sharp = found = _window(sums, windows[0], lit, cell)
    window = windows[0]
    for wider in windows[1:]:
        if found.apart >= APART:
            break
        other = _window(sums, wider, lit, cell)
        if other.apart > found.apart:
            found, window = other, wider
    untold = found.each < LEAST_APART
    works = bool(found.kept.any() and float(untold[found.kept].mean()) < 1 - WORKS)
    return Texture(
        found.slope,
        found.evidence,
        untold,
        found.each < APART,
        works,
        _repeats(sums, lit, cell),
        window,
        sharp.evidence,
    )


def _repeats(sums: Sums, lit: Bool, cell: tuple[int, int]) -> bool:
    """Whether the regression over all lit nodes finds texture."""
    xx, xy = float(sums.xx[lit].sum()), float(sums.xy[lit].sum())
    if lit.sum() < FEWEST_KEPT or xx <= 0:
        return False
    # a cell's sums are spread over its nodes
    variance = cell[0] * cell[1] * float(((sums.xy - xy / xx * sums.xx)[lit] ** 2).sum())
    return bool(xy > REPEATS * np.sqrt(variance))


@dataclass(frozen=True)
class _Window:
    """Outcome in windows; `each` and `apart`: separation of the hypotheses, here and usually."""

    slope: Float
    evidence: Float
    each: Float
    apart: float
    kept: Bool


def _window(sums: Sums, window: float, lit: Bool, cell: tuple[int, int]) -> _Window:
    """Test in Gaussian windows."""
    sigma = tuple(np.sqrt(window**2 + (c**2 - 1) / 12) for c in cell)
    area = 4 * np.pi * window**2

    def mean(f: Float) -> Float:
        return np.asarray(gaussian_filter(f, sigma, mode="constant"))

    xx, xy = mean(sums.xx), mean(sums.xy)
    lit = lit & (xx > 0)
    nothing = np.zeros(xx.shape)
    if lit.sum() < FEWEST_KEPT:
        return _Window(nothing, nothing, nothing, 0.0, lit)
    ratio = xy / np.maximum(xx, 1e-12)
    slope, kept = max(float(np.quantile(ratio[lit], STEEPEST)), 1e-3), lit
    for _ in range(CALIBRATIONS):
        kept = lit & (ratio > 0.5 * (1 + NEW_SLOPE) * slope)
        if kept.sum() < FEWEST_KEPT:
            break
        slope = max(float(np.median(ratio[kept])), 1e-3)
    if not kept.any():  # no node repeats the texture: there is none to compare with
        return _Window(nothing, nothing, nothing, 0.0, kept)
    # speckle from cell to cell, and what the errors of neighbours share
    s2 = cell[0] * cell[1] * float(((sums.xy - slope * sums.xx)[lit] ** 2).sum() / sums.xx[lit].sum())
    rest = (xy - slope * xx)[kept] / np.sqrt(xx[kept] / area)
    s2 = max(s2, (MAD * float(np.median(np.abs(rest)))) ** 2, 1e-12)
    each = (1 - NEW_SLOPE) * slope * np.sqrt(np.maximum(area * xx, 0) / s2)
    evidence = (1 - NEW_SLOPE) * slope * area * (xy - 0.5 * (1 + NEW_SLOPE) * slope * xx) / s2
    return _Window(ratio / slope, evidence, each, float(np.median(each[kept])), kept)


def withhold(new: Bool, sure: Bool, spacing: tuple[float, float], window: float) -> Bool:
    """Patches of new rock or lost texture that hold a sure node, without islands, grown.

    Parameters
    ----------
    new, sure : ndarray (block row, node) bool
        What is more likely new than kept, and what is so for sure.
    spacing : tuple of float
        Of the nodes, metres.
    window : float
        Of the test, nodes.

    Returns
    -------
    ndarray (block row, node) bool
        What is to be withheld.
    """
    patches, number = label(new)
    lost = np.isin(patches, np.unique(patches[sure & new])) & new
    if not number or not lost.any():
        return np.zeros(new.shape, bool)
    patches, _ = label(~lost)
    small = np.bincount(patches.ravel()) < LEAST_KEPT * 4 * np.pi * window**2
    small[0] = False
    lost |= small[patches]
    reach = [int(np.ceil(GROW / s)) for s in spacing]
    y, x = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray(binary_dilation(lost, np.hypot(y * spacing[0], x * spacing[1]) <= GROW))
