"""The new image read on the ground under a change, and how bright that ground has become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .matching import Matching, by_node, on_points

Float = NDArray[np.float64]

#: Width of the windows in which a change of brightness is read, metres of ground range, and what noise
#: of the log ratio remains there (natural logarithm): smaller values are shrunk to zero.
BRIGHT_WINDOW, BRIGHT_NOISE = 50.0, 0.15
#: Share of a facet's interval that the image must tell of.
WHOLE = 0.99


@dataclass(frozen=True)
class Laid:
    """The new image read on the ground under a change, facet by facet.

    Parameters
    ----------
    energy, pixels, width : ndarray (azimuth, facet)
        New energy in a facet's slant interval; the interval's length and the facet's width across the
        beam, pixels.
    good : ndarray (azimuth, facet) bool
        Lit by both epochs, alone in its interval, inside the image.
    """

    energy: Float
    pixels: Float
    width: Float
    good: NDArray[np.bool_]


def lay(matching: Matching, change: Float) -> Laid:
    """Read the new image on the ground under a change.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        Metres.

    Returns
    -------
    Laid
        Facet by facet.
    """
    g = matching.ground
    d = on_points(change, g, matching.rows_block)
    position, width, depth = matching.profile
    q = position - g.cosine / g.range_spacing * d
    pixels = matching.intensity.shape[1]
    edge = np.arange(pixels + 1)
    energy = np.array([np.diff(np.interp(a, edge, c)) for a, c in zip(q, matching.cumulative)])
    tells = np.array([np.diff(np.interp(a, edge, t)) for a, t in zip(q, matching.telling)])
    s = np.diff(q, axis=1)
    w = width + 0.5 * (g.sine[1:] + g.sine[:-1]) / g.range_spacing * np.diff(d, axis=1)
    p = np.cumsum(np.concatenate([np.zeros((len(w), 1)), w], axis=1), axis=1)
    lit = p[:, 1:] >= np.maximum.accumulate(p, axis=1)[:, 1:] - 1e-9
    far = np.maximum.accumulate(q, axis=1)
    near = np.minimum.accumulate(q[:, ::-1], axis=1)[:, ::-1]
    alone = (q[:, :-1] >= far[:, :-1] - 1e-6) & (q[:, 1:] <= near[:, 1:] + 1e-6)
    inside = (q[:, 1:] < pixels) & (q[:, :-1] > 0)
    good = lit & alone & inside & (s > 0.2) & (w > 0.1 * s) & (depth == 0) & ~matching.dark
    good &= tells > WHOLE * s  # of what lands on a gap nothing is read
    return Laid(energy, s, w, good)


def brightness(matching: Matching, change: Float) -> Float:
    """Change of log reflectivity in wide windows, under the smoothed change.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        Metres.

    Returns
    -------
    ndarray (block row, node)
        Natural logarithm. The sawtooth by which a wrong brightness bends the slope averages out.
    """
    g = matching.ground
    node = (g.azimuth_spacing * matching.rows_block, g.spacing * g.facets)
    sigma = tuple(BRIGHT_WINDOW / s for s in node)
    laid = lay(matching, gaussian_filter(change, sigma, mode="nearest"))

    def window(f: Float) -> Float:
        return np.asarray(gaussian_filter(by_node(matching, np.where(laid.good, f, 0.0)).sum((1, 3)), sigma))

    new = window(laid.energy)
    old = window(matching.reflectivity.astype(np.float64) * np.maximum(laid.width, 0))
    fill = 0.05 * float(np.median(old))
    b = np.log((new + fill) / (old + fill))
    b *= b**2 / (b**2 + BRIGHT_NOISE**2)
    return np.concatenate([b, b[:, -1:]], axis=1)
