"""The smallest change that an epoch can show against its reference, told without an inversion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from .epoch import OFFSET_PIXELS, measure
from .look import Look
from .noise import MAD
from .prior import Matern
from .problem import BRIGHT_RANGE, Problem, linearise
from .reference import Epoch, Reference

Float = NDArray[np.float64]

#: Width of the change that is asked for, at half of its height, in nodes: narrower ones are not resolved.
WINDOW_NODES = 3.0
#: Brightness that may have changed with it: a quarter of a decibel, natural logarithm.
BRIGHTNESS = 0.06
#: Correlation range of the change, in nodes, that sets that of the brightness.
RANGE_NODES = 12.0
#: Most windows that are looked at, and blocks at the image's edge that hold none.
MOST_WINDOWS, EDGE = 300, 2
#: Bounds of the rescaling of the noise by what the images show.
LEAST_NOISE, MOST_NOISE = 0.7, 10.0


@dataclass(frozen=True)
class Windows:
    """Windows of the ground, and what a change there is measured with.

    Parameters
    ----------
    width : float
        Of the change at half of its height, metres.
    row, pixel : ndarray (window,)
        Middle, rows and range pixels.
    std : ndarray (window,)
        Standard error of the height of a change of that width there, metres, if its surroundings stay and
        its brightness may change a little; infinite where the ground is not seen.
    estimate : ndarray (window,)
        What the epoch shows there to first order, metres: near zero where nothing changed. It tells small
        changes only, and is not a measurement of large ones.
    level : float
        What is added to the standard error for a common range offset, metres.
    """

    width: float
    row: Float
    pixel: Float
    std: Float
    estimate: Float
    level: float

    def moved(self, rows: int, pixels: int) -> Windows:
        """Windows of a part of an image, placed in the image."""
        return replace(self, row=self.row + rows, pixel=self.pixel + pixels)

    @property
    def total(self) -> Float:
        """Standard error with the common range offset, metres."""
        return np.asarray(np.hypot(self.std, self.level))


def predict_windows(reference: Reference, epoch: Epoch, width: float | None = None) -> Windows:
    """Predict how well a small change of the ground would be measured.

    Parameters
    ----------
    reference : Reference
        Ground, scattering, noise.
    epoch : Epoch
        The new images: their looks, gaps and noise count, and a change in them does not.
    width : float, optional
        Of the change at half of its height, metres; by default ``WINDOW_NODES`` nodes.

    Returns
    -------
    Windows
        Spread evenly.

    Notes
    -----
    The rendered reference is linear in a small change: ``δ log E = J u a`` for a smooth bump ``u`` of
    height ``a``. Generalised least squares with the measured noise of the blocks, the change of brightness
    marginalised under its prior, gives the variance of ``a``. The refinement finds what it finds with a
    learned envelope, which lowers its errors on still ground and does not on ground that moved.
    """
    scene = reference.scene
    look = Look(scene, measure(reference, epoch))
    spacing = (scene.block[0] * scene.ground.azimuth_spacing, scene.ground.spacing * scene.ground.facets)
    width = WINDOW_NODES * max(spacing) if width is None else width
    problem = Problem([look], Matern(scene.knots, spacing, RANGE_NODES * spacing[1]))
    state = problem.start(spread=0.0)  # all ground is still: the gains are read on all of it
    rendered = problem.render(state)
    state = replace(state, gain=problem.gains(rendered, state))
    rows = linearise(problem, state, rendered, [None])[0]
    seen = rows.standard[rows.used]
    noise = (
        float(np.clip((MAD * np.median(np.abs(seen))) ** 2, LEAST_NOISE, MOST_NOISE)) if len(seen) else 1.0
    )
    n = scene.knots[0] * scene.knots[1]
    by_change, by_brightness = rows.weighted[:, :n], rows.weighted[:, n : 2 * n]
    shapes, at = _bumps(scene.knots, spacing, width)
    a = sp.csc_array(by_change @ shapes / np.sqrt(noise))
    b = sp.csc_array(by_brightness / np.sqrt(noise))
    factor = Matern(scene.knots, spacing, BRIGHT_RANGE * RANGE_NODES * spacing[1]).factor / BRIGHTNESS
    solve = splu(sp.csc_array(b.T @ b + factor.T @ factor)).solve
    both = np.asarray((b.T @ a).todense())
    residual = np.where(rows.used, rows.standard, 0.0) / np.sqrt(noise)
    hidden = solve(np.column_stack([both, b.T @ residual]))
    information = np.asarray(a.multiply(a).sum(axis=0)).ravel() - (both * hidden[:, :-1]).sum(axis=0)
    score = a.T @ residual - both.T @ hidden[:, -1]
    told = information > 1e-12
    std = np.where(told, 1 / np.sqrt(np.where(told, information, 1.0)), np.inf)
    slant, _ = scene.ground.slant_and_across()
    row = (at[0] + 0.5) * scene.block[0]
    place = slant[np.minimum(row.astype(int), len(slant) - 1), at[1] * scene.ground.facets]
    pixel = place / scene.ground.range_spacing
    inside = (pixel > 0) & (pixel < scene.ground.pixels)
    return Windows(
        width,
        row[inside],
        pixel[inside],
        std[inside],
        np.where(told, score * std**2, 0.0)[inside],
        OFFSET_PIXELS * look.unit,
    )


def _bumps(
    shape: tuple[int, int], spacing: tuple[float, float], width: float
) -> tuple[sp.csc_array, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Smooth bumps of unit height, a column each, and the node in the middle of each."""
    reach = [min(int(np.ceil(width / s)), (n - 1) // 2) for s, n in zip(spacing, shape)]
    profile = [
        np.cos(0.5 * np.pi * np.minimum(np.abs(np.arange(-r, r + 1)) * s / width, 1)) ** 2
        for r, s in zip(reach, spacing)
    ]
    bump = np.outer(*profile)
    edges = [(min(r + EDGE, (n - 1) // 2), max(n - r - EDGE, (n + 1) // 2)) for r, n in zip(reach, shape)]
    area = (edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0]) * spacing[0] * spacing[1]
    apart = max(width, float(np.sqrt(area / MOST_WINDOWS)))
    middle = [
        np.unique(np.linspace(a, b - 1, max(1, round((b - a) * s / apart))).astype(np.intp))
        for (a, b), s in zip(edges, spacing)
    ]
    j, i = (m.ravel() for m in np.meshgrid(*middle, indexing="ij"))
    y, x = np.meshgrid(np.arange(-reach[0], reach[0] + 1), np.arange(-reach[1], reach[1] + 1), indexing="ij")
    index = (j[:, None] + y.ravel()) * shape[1] + i[:, None] + x.ravel()
    column = np.repeat(np.arange(len(j)), bump.size)
    values = np.tile(bump.ravel(), len(j))
    return sp.csc_array((values, (index.ravel(), column)), shape=(shape[0] * shape[1], len(j))), (j, i)
