"""Whether the DEM lies where the image shows it: shift in range and azimuth, and tilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.signal import fftconvolve

from .ground import Ground
from .reflectivity import smooth
from .render import block_sums

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Real = TypeVar("Real", np.float32, np.float64)

#: Furthest shift that is looked for: range pixels, rows.
FURTHEST, FURTHEST_ROWS = 16, 8
#: Largest tilt that is looked for, range pixels from the middle to an edge of the image.
STEEPEST = 6
#: Smoothing of both images, and the scale above which they are not compared (gains, slow brightness), pixels.
FINE, COARSE = 1.5, 25.0
#: Share of the median intensity that stabilises the logarithm.
DARK = 0.05
#: A window of comparison, rows and pixels: as small as a shift still shows in; and the most of them.
WINDOW = (24, 96)
MOST_WINDOWS = 240
#: Windows below which no tilt is looked for; groups of windows that are left out in turn for the standard
#: error.
FEWEST_FOR_TILT, GROUPS = 12, 12
#: A shift this near the furthest is a search that failed, pixels; as is one that another group of windows
#: puts elsewhere by more than this.
ASTRAY = 1.5
#: A shift is believed when it is this many standard errors, and known to this many pixels. No standard
#: error is below the last number: what remains of sub-pixel interpolation.
BELIEVED, KNOWN, LEAST_STD = 3.0, 0.7, 0.05
#: Blocks on which the slow part is smoothed, pixels.
SLOW = 5
#: Correlation that counts as 1. Where the ground has no texture and little speckle, one of 0.99 is reached
#: two pixels beside the maximum: cut off there, the likelihood has no peak and any shift is as good.
ALIKE = 1 - 1e-6


@dataclass(frozen=True)
class Registration:
    """Where the image lies against the DEM, in pixels of the image; NaN where it does not tell.

    Parameters
    ----------
    range_shift, range_std : float
        Range pixels by which the image lies further than the DEM says, in the middle of the image, and
        their standard error.
    tilt : tuple of float
        Growth of that shift from the middle of the image to its last row, and to its last range pixel.
    tilt_std : tuple of float
        Standard errors; infinite where the image is too small to tell.
    row_shift, row_std : float
        Rows by which the image lies later than the DEM says.
    forced : bool
        Whether the shift along the range is that of a larger image, in which it is believed.
    """

    range_shift: float = float("nan")
    range_std: float = float("inf")
    tilt: tuple[float, float] = (0.0, 0.0)
    tilt_std: tuple[float, float] = (float("inf"), float("inf"))
    row_shift: float = float("nan")
    row_std: float = float("inf")
    forced: bool = False

    @property
    def believed(self) -> bool:
        """Whether the DEM is to be moved along the range."""
        return self.forced or _believed(self.range_shift, self.range_std) or any(self.tilted)

    @property
    def tilted(self) -> tuple[bool, bool]:
        """Whether there is a tilt along the azimuth, along the range."""
        return _believed(self.tilt[0], self.tilt_std[0]), _believed(self.tilt[1], self.tilt_std[1])

    @property
    def rows_believed(self) -> bool:
        """Whether the DEM is to be moved along the azimuth."""
        return _believed(self.row_shift, self.row_std)

    @property
    def rows(self) -> float:
        """Rows by which the DEM is moved."""
        return self.row_shift if self.rows_believed else 0.0

    def pixels(self, row: Float, pixel: Float) -> Float:
        """Range shift that is taken out, at relative positions -1 to 1 from edge to edge."""
        if not self.believed:
            return np.zeros(np.broadcast_shapes(row.shape, pixel.shape))
        t = [v if yes else 0.0 for v, yes in zip(self.tilt, self.tilted)]
        return np.asarray(self.range_shift + t[0] * row + t[1] * pixel)

    def part(self, place: tuple[slice, slice], shape: tuple[int, int]) -> Registration:
        """Registration of a part of the image.

        Parameters
        ----------
        place : tuple of slice
            Rows and pixels of the part.
        shape : tuple of int
            Rows and pixels of the image.

        Returns
        -------
        Registration
            With the tilts that are believed alone.
        """
        middle, half = _place(place, shape)
        tilts = [v if yes else 0.0 for v, yes in zip(self.tilt, self.tilted)]
        stds = [e if yes else float("inf") for e, yes in zip(self.tilt_std, self.tilted)]
        shift = self.range_shift + tilts[0] * middle[0] + tilts[1] * middle[1]
        # a part of a tilt is not doubted because it is small
        share = [min(1.0, h) for h in half]
        return replace(
            self,
            range_shift=shift if self.believed else self.range_shift,
            tilt=(tilts[0] * share[0], tilts[1] * share[1]),
            tilt_std=(stds[0] * share[0], stds[1] * share[1]),
            forced=self.believed,
        )

    def move(self, ground: Ground, *, along_azimuth: bool = True) -> Ground:
        """Put the ground where the image shows it.

        Parameters
        ----------
        ground : Ground
            As the DEM says.
        along_azimuth : bool
            Whether to move the rows too; else the ground stays on the rows of the DEM.

        Returns
        -------
        Ground
            Its ground ranges stay: they belong to the DEM. A tilt along the range raises heights
            (``raised``), which moves them in slant range.
        """
        rows = len(ground.offset)
        row = np.linspace(-1.0, 1.0, rows) if rows > 1 else np.zeros(1)
        if self.believed:
            slant = ground.offset.mean() + (ground.x - ground.x[0]) * float(np.median(ground.sine))
            pixel = np.clip(2 * slant / (ground.pixels * ground.range_spacing) - 1, -1.1, 1.1)
            first = self.pixels(row, np.asarray(pixel[:1]))
            along = self.pixels(np.zeros(1), pixel) - self.pixels(np.zeros(1), pixel[:1])
            raised = -along * ground.range_spacing / ground.cosine
            ground = replace(
                ground,
                height=(ground.height + raised).astype(np.float32) if along.any() else ground.height,
                offset=ground.offset + first * ground.range_spacing,
                raised=ground.raised + raised,
            )
        if along_azimuth and self.rows_believed:
            at = np.clip(np.arange(rows) - self.row_shift, 0, rows - 1)
            ground = replace(
                ground,
                height=rows_at(ground.height, at).astype(np.float32),
                offset=rows_at(ground.offset[:, None], at)[:, 0],
                known=rows_at(ground.known.astype(np.float32), at) > 0.99,
            )
        return ground


def _place(place: tuple[slice, slice], shape: tuple[int, int]) -> tuple[Float, Float]:
    """Middle of a part of an image, and half its size, in halves of the image."""
    ends = np.array([[p.indices(n)[0], p.indices(n)[1]] for p, n in zip(place, shape)], dtype=np.float64)
    size = np.array(shape, dtype=np.float64)
    return ends.sum(axis=1) / size - 1, (ends[:, 1] - ends[:, 0]) / size


def pool_registrations(
    parts: Sequence[Registration], places: Sequence[tuple[slice, slice]], shape: tuple[int, int]
) -> Registration:
    """One registration of an image from those of its parts.

    Parameters
    ----------
    parts : sequence of Registration
        Each measured on its own.
    places : sequence of tuple of slice
        Rows and pixels of each.
    shape : tuple of int
        Rows and pixels of the image.

    Returns
    -------
    Registration
        The plane through shifts and tilts of those parts that know them, weighted by their standard
        errors; widened where they differ by more.
    """
    rows, values, stds = [], [], []
    later = []
    for part, place in zip(parts, places, strict=True):
        middle, half = _place(place, shape)
        if part.range_std < KNOWN:
            rows.append([1.0, middle[0], middle[1]])
            values.append(part.range_shift)
            stds.append(part.range_std)
            for k in range(2):
                if part.tilt_std[k] < KNOWN:
                    rows.append([0.0, half[0] * (k == 0), half[1] * (k == 1)])
                    values.append(part.tilt[k])
                    stds.append(part.tilt_std[k])
        if part.row_std < KNOWN:
            later.append((part.row_shift, part.row_std))
    if not rows:
        return Registration()
    a, y, w = np.array(rows), np.array(values), 1 / np.array(stds)
    # a weak wish for no tilt, where nothing tells
    normal = (a * w[:, None] ** 2).T @ a + np.diag([0.0, 1.0, 1.0]) / (10 * FURTHEST) ** 2
    plane = np.linalg.solve(normal, (a * w[:, None] ** 2).T @ y)
    excess = max(1.0, float((((y - a @ plane) * w) ** 2).sum()) / max(len(y) - 3, 1))
    std = np.sqrt(np.diag(np.linalg.inv(normal)) * excess)
    if later:
        value, weight = np.array([v for v, _ in later]), np.array([e for _, e in later]) ** -2.0
        mean = float((value * weight).sum() / weight.sum())
        spread = max(1.0, float((weight * (value - mean) ** 2).sum()) / max(len(later) - 1, 1))
        row = mean, float(np.sqrt(spread / weight.sum()))
    else:
        row = float("nan"), float("inf")
    return Registration(
        float(plane[0]), max(float(std[0]), LEAST_STD),
        (float(plane[1]), float(plane[2])),
        (max(float(std[1]), LEAST_STD), max(float(std[2]), LEAST_STD)),
        row[0], max(row[1], LEAST_STD),
    )  # fmt: skip


def _believed(value: float, std: float) -> bool:
    return bool(std < KNOWN and abs(value) > BELIEVED * std)


def rows_at(values: NDArray[Real], at: Float) -> NDArray[Real]:
    """Rows of an array at fractional positions, linearly; beyond its edges the edge's."""
    at = np.clip(at, 0, len(values) - 1)
    a = np.minimum(at.astype(int), max(len(values) - 2, 0))
    t = (at - a)[:, None].astype(values.dtype)
    return np.asarray((1 - t) * values[a] + t * values[np.minimum(a + 1, len(values) - 1)])


def detail(values: Float, valid: Bool) -> NDArray[np.float32]:
    """Logarithm of an image between the scales that are compared.

    Parameters
    ----------
    values : ndarray (azimuth, range)
        Intensity.
    valid : ndarray (azimuth, range) bool
        Where it is known.

    Returns
    -------
    ndarray (azimuth, range) float32
        Zero where it is not.
    """
    if not valid.any():
        return np.zeros(values.shape, np.float32)
    level = max(DARK * float(np.median(values[valid])), 1e-30)
    fine = smooth(values, (FINE, FINE), valid)
    log = np.log(np.where(valid & np.isfinite(fine), fine, 0.0) + level)
    share = block_sums(valid.astype(np.float64), (SLOW, SLOW))
    mean = block_sums(np.where(valid, log, 0.0), (SLOW, SLOW)) / np.maximum(share, 1)
    width = COARSE / SLOW
    weight = gaussian_filter(share, width, mode="nearest")
    slow = gaussian_filter(mean * share, width, mode="nearest") / np.maximum(weight, 1e-9)
    at = [(np.arange(n) + 0.5) / SLOW - 0.5 for n in values.shape]
    slow = rows_at(rows_at(slow, at[0]).T, at[1]).T
    return np.where(valid, log - slow, 0.0).astype(np.float32)


def _windows(length: int, size: int) -> list[slice]:
    edges = np.linspace(0, length, max(1, length // size) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _keys(t: Float) -> Float:
    """Weights of four neighbours in cubic convolution (Keys 1981), (4, n)."""
    return np.array(
        [
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ]
    )


@dataclass(frozen=True)
class _Windows:
    """Log likelihood of every shift, a window each, and where the windows lie (-1 to 1)."""

    likelihood: Float
    row: Float
    pixel: Float

    def take(self, some: NDArray[np.intp]) -> _Windows:
        return _Windows(self.likelihood[some], self.row[some], self.pixel[some])

    def at(self, parameters: Float) -> float:
        """Sum of the likelihoods of shifts: range, tilt along azimuth, along range, rows."""
        n, rows, ranges = self.likelihood.shape
        shift = parameters[0] + parameters[1] * self.row + parameters[2] * self.pixel + ranges // 2
        weight, column = self._around(shift, ranges)
        part = self.likelihood[np.arange(n)[None, :, None], np.arange(rows)[None, None], column[..., None]]
        along = (weight[..., None] * part).sum(axis=0)
        if rows < 4:
            return float(along[:, rows // 2].sum())
        by_row, line = self._around(np.full(n, parameters[3] + rows // 2), rows)
        return float((by_row * along[np.arange(n)[None], line]).sum())

    @staticmethod
    def _around(position: Float, size: int) -> tuple[Float, NDArray[np.intp]]:
        position = np.clip(position, 1.0, size - 2.001)
        k = position.astype(np.intp)
        return _keys(position - k), k[None] + np.arange(-1, 3)[:, None]

    def best(self, start: Float, free: list[int]) -> Float:
        """Find the maximum of some of the parameters, from a start."""

        def cost(x: Float) -> float:
            p = start.copy()
            p[free] = x
            return -self.at(p)

        simplex = np.vstack([start[free], start[free] + 0.7 * np.eye(len(free))])
        found = minimize(
            cost,
            start[free],
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 2e-3, "fatol": 1e-4, "maxiter": 150 * len(free)},
        )
        out = start.copy()
        out[free] = found.x
        return out


def _correlate(image: NDArray[np.float32], unit: NDArray[np.float32], valid: Bool) -> _Windows | None:
    rows, pixels = image.shape
    most_rows = min(FURTHEST_ROWS, rows // 8)
    inner = slice(most_rows, rows - most_rows), slice(FURTHEST, pixels - FURTHEST)
    b, ok = unit[inner], valid[inner]
    every = list(product(_windows(b.shape[0], WINDOW[0]), _windows(b.shape[1], WINDOW[1])))
    if len(every) > MOST_WINDOWS:
        every = [every[int(k)] for k in np.linspace(0, len(every) - 1, MOST_WINDOWS)]
    found, row, pixel = [], [], []
    for r, c in every:
        size = int(ok[r, c].sum())
        if size < 0.5 * ok[r, c].size:
            continue
        this = b[r, c].astype(np.float64)
        that = image[r.start : r.stop + 2 * most_rows, c.start : c.stop + 2 * FURTHEST].astype(np.float64)
        power = fftconvolve(that**2, np.ones(this.shape), "valid")
        both = fftconvolve(that, this[::-1, ::-1], "valid")
        correlation = both / np.sqrt(np.maximum(power, 1e-9) * max(float((this**2).sum()), 1e-9))
        middle = that[most_rows : most_rows + this.shape[0], FURTHEST:-FURTHEST]
        number = size / _alike(this, middle)
        found.append(-0.5 * number * np.log(1 - np.clip(correlation, 0, ALIKE) ** 2))
        row.append((r.start + r.stop) / b.shape[0] - 1)
        pixel.append((c.start + c.stop) / b.shape[1] - 1)
    if not found:
        return None
    return _Windows(np.array(found), np.array(row), np.array(pixel))


def _alike(a: Float, b: Float) -> float:
    """Pixels that one independent product of two fields takes (Bartlett 1946)."""
    shapes = [fftconvolve(v, v[::-1, ::-1], "same") / max(float((v**2).sum()), 1e-9) for v in (a, b)]
    return float(np.clip((shapes[0] * shapes[1]).sum(), 1.0, 0.25 * a.size))


def _start(windows: _Windows, tilt: bool) -> Float:
    """Best shift and rows on whole pixels; with tilts of whole pixels where they are looked for."""
    likelihood = windows.likelihood
    ranges = likelihood.shape[2]
    tilts = range(-STEEPEST, STEEPEST + 1) if tilt else (0,)
    best, found = -np.inf, np.zeros(4)
    each = np.arange(len(likelihood))
    summed = likelihood.max(axis=1) if likelihood.shape[1] > 1 else likelihood[:, 0]
    for a, b in product(tilts, tilts):
        shift = np.rint(a * windows.row + b * windows.pixel).astype(int)
        column = np.arange(ranges)[None] + shift[:, None]
        inside = (column >= 0) & (column < ranges)
        total = np.where(inside, summed[each[:, None], np.clip(column, 0, ranges - 1)], 0.0).sum(axis=0)
        total[np.abs(np.arange(ranges) - ranges // 2) > ranges // 2 - max(abs(a), abs(b))] = -np.inf
        k = int(np.argmax(total))
        # a tilt must explain clearly more than none: each parameter is worth about a unit of likelihood
        if total[k] - 2.0 * ((a != 0) + (b != 0)) > best:
            best, found = total[k] - 2.0 * ((a != 0) + (b != 0)), np.array([k - ranges // 2, a, b, 0.0])
    return _whole(windows, found)


def _whole(windows: _Windows, tilted: Float) -> Float:
    """Best shift on whole pixels and rows, given the tilts."""
    n, rows, ranges = windows.likelihood.shape
    total = np.zeros((rows, ranges))
    for k in range(n):
        shift = round(float(tilted[1] * windows.row[k] + tilted[2] * windows.pixel[k]))
        column = np.arange(ranges) + shift
        total += windows.likelihood[k][:, np.clip(column, 0, ranges - 1)]
    row, column = divmod(int(np.argmax(total)), ranges)
    return np.array([column - ranges // 2, tilted[1], tilted[2], row - rows // 2])


def register(image: NDArray[np.float32], unit: NDArray[np.float32], valid: Bool) -> Registration:
    """Measure where an image lies against the DEM.

    Parameters
    ----------
    image, unit : ndarray (azimuth, range)
        Detail (:func:`detail`) of the mean intensity of the reference, and of the intensity that the
        DEM's ground would have with unit reflectivity.
    valid : ndarray (azimuth, range) bool
        Where both are known.

    Returns
    -------
    Registration
        The shift, plane in range and constant in azimuth, that maximises the sum of the windows'
        profile likelihoods of a correlation; the standard errors by jackknife over groups of windows. A
        window whose ground is unlike the DEM has no say: its likelihood is flat.

    Notes
    -----
    A DEM that is ``o`` metres too high and one that is shifted along the range look the same: both lie
    ``o cos θ`` too near.
    """
    rows, pixels = image.shape
    if rows < 16 or pixels < 6 * FURTHEST:
        return Registration()
    windows = _correlate(image, unit, valid)
    if windows is None or len(windows.row) < 3:
        return Registration()
    tilt = len(windows.row) >= FEWEST_FOR_TILT and rows >= 4 * WINDOW[0]
    along = windows.likelihood.shape[1] >= 4
    free = [0, *((1, 2) if tilt else ()), *((3,) if along else ())]
    best, std = _fit(windows, _start(windows, tilt), free)
    dropped = [k for k in (1, 2) if k in free and not _believed(best[k], std[k])]
    measured = best[1:3].copy(), std[1:3].copy()
    if dropped:
        begin = best.copy()
        begin[dropped] = 0.0
        best, std = _fit(windows, begin, [k for k in free if k not in dropped])
        for k in dropped:  # measured, told, not taken out
            best[k], std[k] = measured[0][k - 1], measured[1][k - 1]
    return Registration(
        float(best[0]),
        float(std[0]),
        (float(best[1]), float(best[2])),
        (float(std[1]), float(std[2])),
        float(best[3]) if along else float("nan"),
        float(std[3]),
    )


def _fit(windows: _Windows, start: Float, free: list[int]) -> tuple[Float, Float]:
    best = windows.best(start, free)
    every = np.arange(len(windows.row))
    groups = min(GROUPS, len(every))
    left_out = np.empty((groups, 4))
    for g in range(groups):
        others = windows.take(every[every % groups != g])
        elsewhere = _whole(others, best)
        away = np.abs(elsewhere - best)[[0, 3]].max() > ASTRAY
        left_out[g] = others.best(elsewhere if away else best, free)
    std = np.sqrt((groups - 1) / groups * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    std = np.maximum(std, LEAST_STD)
    std[[k for k in range(4) if k not in free]] = np.inf
    if abs(best[0]) > FURTHEST - ASTRAY or abs(best[3]) > max(windows.likelihood.shape[1] // 2 - ASTRAY, 1):
        std[:] = np.inf
    return best, std
