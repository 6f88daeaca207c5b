"""The reference ground along the rows, on points finer than a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Fine points in a pixel's width on flat ground: a facet must be narrower than a pixel, or its
#: uniform spread over its slant interval shows; two are enough, four change block sums by < 0.1 %.
FACETS_PER_PIXEL = 2

#: Fine points beside a gap of the coding that are doubted with it, in pixels of the gap's far side.
GAP_PIXELS = 4.0


@dataclass(frozen=True)
class Ground:
    """Reference heights of every row at common ground ranges.

    Point ``i`` of a row lies at ground range ``x[i]``; facet ``i`` joins points ``i`` and ``i + 1``.
    A knot, where the change is told, is every ``facets``-th point.

    Parameters
    ----------
    height : ndarray (azimuth, point) float32
        Metres, gaps bridged along the row.
    offset : ndarray (azimuth,)
        Slant range of the first point, metres from the near edge of the first pixel.
    x : ndarray (point,)
        Ground range, metres, equally spaced.
    sine, cosine : ndarray (point,)
        Of the incidence angle.
    known : ndarray (azimuth, point) bool
        Whether the height comes from the DEM rather than from a bridge or beyond the image.
    facets : int
        Facets between two knots.
    range_spacing, azimuth_spacing : float
        Of the image, metres (slant; along the flight).
    pixels : int
        Range pixels of the image.
    """

    height: NDArray[np.float32]
    offset: Float
    x: Float
    sine: Float
    cosine: Float
    known: NDArray[np.bool_]
    facets: int
    range_spacing: float
    azimuth_spacing: float
    pixels: int

    @property
    def spacing(self) -> float:
        """Distance of points, metres of ground range."""
        return float(self.x[1] - self.x[0])

    @property
    def knots(self) -> int:
        """Number of knots in a row."""
        return (len(self.x) - 1) // self.facets + 1

    @property
    def knot_x(self) -> Float:
        """Ground range of the knots, metres."""
        return self.x[:: self.facets]

    def slant_and_across(self, change: Float | None = None) -> tuple[Float, Float]:
        """Slant range and width across the beam of every point.

        Parameters
        ----------
        change : ndarray (azimuth, point), optional
            Metres to add to the heights.

        Returns
        -------
        slant, across : ndarray (azimuth, point)
            Metres; slant from the near edge of the first pixel, across from the row's first point.
        """
        s, c = 0.5 * (self.sine[1:] + self.sine[:-1]), 0.5 * (self.cosine[1:] + self.cosine[:-1])
        dh = np.diff(self.height.astype(np.float64), axis=1)
        slant, across = np.empty(self.height.shape), np.zeros(self.height.shape)
        slant[:, 0] = self.offset
        slant[:, 1:] = self.offset[:, None] + np.cumsum(s * self.spacing - c * dh, axis=1)
        across[:, 1:] = np.cumsum(c * self.spacing + s * dh, axis=1)
        if change is not None:
            slant -= self.cosine * change
            across += self.sine * change
        return slant, across


def pixel_ground_range(height: Float, incidence: Float, range_spacing: float) -> Float:
    """Ground range of every pixel, with one origin for all rows.

    ``x = (r + h cos θ) / sin θ`` for a constant incidence angle (look frame); its integral along the
    row where the angle varies.

    Parameters
    ----------
    height : ndarray (azimuth, range)
        Metres; NaN where unknown.
    incidence : ndarray (range,)
        Radians from the vertical.
    range_spacing : float
        Slant metres.

    Returns
    -------
    ndarray (azimuth, range)
        Metres, NaN where the height is.
    """
    s, c = np.sin(incidence), np.cos(incidence)
    flat = np.concatenate([[0.0], np.cumsum(range_spacing / (0.5 * (s[1:] + s[:-1])))])
    # the integral of cot(θ) dh by parts keeps the rows on one origin: [h cot θ] - ∫ h d(cot θ)
    cot = c / s
    dcot = np.diff(cot)
    if np.allclose(dcot, 0.0, atol=1e-12):
        return np.asarray(flat + height * cot)
    mid = np.nan_to_num(0.5 * (height[:, 1:] + height[:, :-1]))
    bend = np.concatenate([np.zeros((len(height), 1)), np.cumsum(mid * dcot, axis=1)], axis=1)
    return np.asarray(flat + height * cot - bend)


def ground_from_radar(
    height: Float,
    incidence: Float,
    range_spacing: float,
    azimuth_spacing: float,
    *,
    knot_pixels: int,
    facets_per_pixel: int = FACETS_PER_PIXEL,
) -> tuple[Ground, Float]:
    """Profiles from heights that are coded on the radar grid.

    Parameters
    ----------
    height : ndarray (azimuth, range)
        Metres; NaN where unknown: bridged along the row and marked.
    incidence : ndarray (range,)
        Radians from the vertical.
    range_spacing, azimuth_spacing : float
        Metres.
    knot_pixels : int
        Pixels (on flat ground) between two knots.
    facets_per_pixel : int
        Facets in a pixel's width on flat ground.

    Returns
    -------
    ground : Ground
        The profiles.
    x : ndarray (azimuth, range)
        Ground range of every pixel, NaN where its height is.
    """
    rows, pixels = height.shape
    x = pixel_ground_range(height, incidence, range_spacing)
    step = range_spacing / float(np.median(np.sin(incidence))) / facets_per_pixel
    facets = knot_pixels * facets_per_pixel
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    knots = int(np.ceil((high - low) / (step * facets))) + 2
    fine = low - 0.5 * facets * step + np.arange((knots - 1) * facets + 1) * step
    flat = np.nanmedian(x, axis=0)
    flat = np.maximum.accumulate(np.where(np.isfinite(flat), flat, low)) + np.arange(pixels) * 1e-9
    theta = np.interp(fine, flat, incidence)
    sine, cosine = np.sin(theta), np.cos(theta)
    s, c = 0.5 * (sine[1:] + sine[:-1]), 0.5 * (cosine[1:] + cosine[:-1])
    h = np.empty((rows, len(fine)), np.float32)
    known = np.zeros((rows, len(fine)), bool)
    offset = np.empty(rows)
    centre = (np.arange(pixels) + 0.5) * range_spacing
    gap = GAP_PIXELS * range_spacing / float(np.median(np.sin(incidence)))
    last = None
    for j in range(rows):
        good = np.isfinite(x[j])
        if good.sum() < 2:
            if last is None:
                h[j], offset[j] = 0.0, 0.5 * range_spacing + float(np.sum(s[: facets // 2] * -step))
            else:
                h[j], offset[j] = h[last], offset[last]
            continue
        xg = x[j, good]
        order = np.argsort(xg, kind="stable")  # folded ground is coded out of order
        xs, hs = xg[order], height[j, good][order]
        h[j] = np.interp(fine, xs, hs)
        if last is None and j:  # rows before the first known one
            h[:j] = h[j]
        k = np.searchsorted(xs, fine)
        inside = (k > 0) & (k < len(xs))
        width = xs[np.clip(k, 0, len(xs) - 1)] - xs[np.clip(k - 1, 0, len(xs) - 1)]
        # a gap of the coding is a jump of pixel numbers, or ground that no pixel centre sees
        known[j] = inside & (width < gap)
        r = np.concatenate([[0.0], np.cumsum(s * step - c * np.diff(h[j].astype(np.float64)))])
        at = np.interp(xg, fine, r)
        offset[j] = np.median(centre[good] - at)
        if last is None and j:
            offset[:j] = offset[j]
        last = j
    ground = Ground(
        h, offset, fine, sine, cosine, known, facets, range_spacing, azimuth_spacing, pixels
    )
    return ground, x
