"""The reference ground along the rows, on points finer than a pixel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame
from mosart.geometry.section import Section

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
    bend : ndarray (point,)
        Growth of the incidence angle with slant range over its sine, 1/m: higher ground is seen at
        another angle, which stretches its slant range by ``1 + bend · height``.
    facets : int
        Facets between two knots.
    range_spacing, azimuth_spacing : float
        Of the image, metres (slant; along the flight).
    pixels : int
        Range pixels of the image.
    raised : ndarray (point,) or (1,)
        What the heights contain beyond the DEM's, to lie where the image shows them: a tilt, metres.
    """

    height: NDArray[np.float32]
    offset: Float
    x: Float
    sine: Float
    cosine: Float
    known: NDArray[np.bool_]
    bend: Float
    facets: int
    range_spacing: float
    azimuth_spacing: float
    pixels: int
    raised: Float = field(default_factory=lambda: np.zeros(1))

    @property
    def unit(self) -> float:
        """Metres of height that move ground by a range pixel."""
        return self.range_spacing / float(np.median(self.cosine))

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

    @property
    def known_facets(self) -> NDArray[np.bool_]:
        """Facets both of whose ends are known, (azimuth, facet)."""
        return np.asarray(self.known[:, 1:] & self.known[:, :-1])

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
        stretch = 1 + self.bend[1:] * self.height[:, 1:]
        slant[:, 1:] = self.offset[:, None] + np.cumsum((s * self.spacing - c * dh) * stretch, axis=1)
        across[:, 1:] = np.cumsum(c * self.spacing + s * dh, axis=1)
        if change is not None:
            slant -= self.cosine * change
            across += self.sine * change
        return slant, across

    def covers(self) -> NDArray[np.bool_]:
        """Pixels whose slant range lies between those of known ground, (azimuth, range)."""
        slant, _ = self.slant_and_across()
        near = np.where(self.known, slant, np.inf).min(axis=1) - self.range_spacing
        far = np.where(self.known, slant, -np.inf).max(axis=1) + self.range_spacing
        centre = (np.arange(self.pixels) + 0.5) * self.range_spacing
        return np.asarray((centre > near[:, None]) & (centre < far[:, None]))


def lay_ground(
    section: Section, frame: LookFrame, *, knot_pixels: int, facets_per_pixel: int = FACETS_PER_PIXEL
) -> Ground:
    """Lay fine points along the ground of every row.

    Parameters
    ----------
    section : Section
        What is known of the ground; gaps are bridged along the row and marked.
    frame : LookFrame
        Geometry of the look.
    knot_pixels : int
        Pixels (on flat ground) between two knots.
    facets_per_pixel : int
        Facets in a pixel's width on flat ground.

    Returns
    -------
    Ground
        The profiles.
    """
    x = section.ground_range(frame)
    height = np.asarray(section.height - frame.reference_height, dtype=np.float64)
    rows, pixels = len(height), frame.theta.size
    incidence, range_spacing = frame.theta, frame.range_spacing
    slant = np.broadcast_to((section.pixel + 0.5) * range_spacing, height.shape)
    step = range_spacing / float(np.median(np.sin(incidence))) / facets_per_pixel
    facets = knot_pixels * facets_per_pixel
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    knots = int(np.ceil((high - low) / (step * facets))) + 2
    fine = np.asarray(
        low - 0.5 * facets * step + np.arange((knots - 1) * facets + 1) * step, dtype=np.float64
    )
    told = np.isfinite(x).any(axis=0)
    flat = np.maximum.accumulate(np.nanmedian(x[:, told], axis=0)) + np.arange(told.sum()) * 1e-9
    at = np.interp(fine, flat, np.nanmedian(section.pixel[:, told], axis=0))
    theta = np.interp(at, np.arange(pixels), incidence)
    sine, cosine = np.sin(theta), np.cos(theta)
    growth = np.gradient(incidence, range_spacing) if pixels > 1 else np.zeros(1)
    bend = np.interp(at, np.arange(growth.size), growth) / sine
    s, c = 0.5 * (sine[1:] + sine[:-1]), 0.5 * (cosine[1:] + cosine[:-1])
    h = np.empty((rows, len(fine)), np.float32)
    known = np.zeros((rows, len(fine)), bool)
    offset = np.empty(rows)
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
        stretch = 1 + bend[1:] * h[j, 1:]
        r = np.concatenate([[0.0], np.cumsum((s * step - c * np.diff(h[j].astype(np.float64))) * stretch)])
        at = np.interp(xg, fine, r)
        offset[j] = np.median(slant[j, good] - at)
        if last is None and j:
            offset[:j] = offset[j]
        last = j
    return Ground(
        h, offset, fine, sine, cosine, known, bend, facets, range_spacing, frame.azimuth_spacing, pixels
    )


def ground_from_radar(
    height: Float, frame: LookFrame, *, knot_pixels: int, facets_per_pixel: int = FACETS_PER_PIXEL
) -> tuple[Ground, Float]:
    """Profiles from heights that are coded on the radar grid.

    Parameters
    ----------
    height : ndarray (azimuth, range)
        Metres; NaN where unknown.
    frame, knot_pixels, facets_per_pixel
        As in :func:`lay_ground`.

    Returns
    -------
    ground : Ground
        The profiles.
    x : ndarray (azimuth, range)
        Ground range of every pixel, NaN where its height is.
    """
    ground = lay_ground(
        Section.coded(height), frame, knot_pixels=knot_pixels, facets_per_pixel=facets_per_pixel
    )
    return ground, frame.ground_range(height)


@dataclass(frozen=True)
class Visibility:
    """What the beam sees of the points of a surface, (azimuth, point) bool."""

    layover: NDArray[np.bool_]
    shadow: NDArray[np.bool_]


#: Slack of the visibility tests, share of a point's spacing: rounding is not a fold.
SLACK = 1e-3


def between(told: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find what lies between the first and the last told entry of its row, these included."""
    before = np.logical_or.accumulate(told, axis=1)
    after = np.logical_or.accumulate(told[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(before & after)


def visibility(ground: Ground, change: Float | None = None) -> Visibility:
    """Layover and shadow of every point of a row.

    Parameters
    ----------
    ground : Ground
        The profiles.
    change : ndarray (azimuth, point), optional
        Metres added to the heights.

    Returns
    -------
    Visibility
        In layover: another point shares the slant range. In shadow: below the running maximum across
        the beam.
    """
    slant, across = ground.slant_and_across(change)
    slack = SLACK * ground.spacing
    far = np.maximum.accumulate(slant, axis=1)
    near = np.minimum.accumulate(slant[:, ::-1], axis=1)[:, ::-1]
    shadow = across < np.maximum.accumulate(across, axis=1) - slack
    return Visibility(((slant < far - slack) | (slant > near + slack)) & ~shadow, shadow)


def newly_hidden(before: Visibility, after: Visibility) -> Visibility:
    """Tell what a change of the surface alone hides.

    Parameters
    ----------
    before, after : Visibility
        Of the reference's surface and of the new one.

    Returns
    -------
    Visibility
        Points that are hidden after and were not hidden before.
    """
    return Visibility(after.layover & ~before.layover, after.shadow & ~before.shadow)
