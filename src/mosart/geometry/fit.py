"""The least squares behind the self-calibration: one incidence angle and one spacing for all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Slant range that is assumed where the grid is too narrow to tell it: a satellite's.
TYPICAL_RANGE = 850.0e3
#: Noise of heights that is assumed at least, metres, and pixels over which it is correlated.
NOISE_FLOOR, CORRELATED = 0.1, 10.0
ITERATIONS = 25
#: Residuals of less than this, metres, are never outliers.
LEAST_DEVIATION = 0.5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RangeFit:
    """Result of :func:`fit_range`.

    Parameters
    ----------
    theta : ndarray, (range,)
        Incidence angle in radians at the reference height.
    range_spacing : float
        Metres in slant range.
    std_error : float
        Of theta at the middle, radians; infinite where the ground tells nothing.
    reference_height : float
        Mean height, metres.
    relief : float
        Root mean square of the heights along the rows once level and trend are removed, metres.
    towards : bool
        Whether the range index runs towards the radar.
    """

    theta: Array
    range_spacing: float
    std_error: float
    reference_height: float
    relief: float
    towards: bool


@dataclass(frozen=True)
class _Solution:
    slope: float
    slope_error: float
    shape: Array
    shape_error: Array
    residual: Array
    leverage: Array


def fit_range(  # noqa: PLR0915 (one iteration, read in one place)
    ground: Array,
    height: Array,
    earth: float,
    *,
    incidence_angle: float | None = None,
    range_spacing: float | None = None,
) -> RangeFit:
    """Fit ``h = tan θ·x + const(row) + f(i)`` and read incidence, spacing and curvature off it.

    Parameters
    ----------
    ground : ndarray, (rows, range)
        Position along the row, metres; NaN where unknown.
    height : ndarray, (rows, range)
        Metres; NaN where unknown.
    earth : float
        Radius of the Earth, metres.
    incidence_angle : float, optional
        Degrees at the middle, where known.
    range_spacing : float, optional
        Slant metres, where known.

    Returns
    -------
    RangeFit
    """
    size = ground.shape[1]
    valid = _plausible(ground, height)
    middle = 0.5 * (size - 1)
    t = (np.arange(size) - middle) / middle
    pace = _pace(ground, valid)
    degree = _degree(abs(pace) * size, int(valid.sum(axis=1).max(initial=0)))
    powers = np.stack([t**k for k in range(1, degree + 1)])
    reference = float(np.median(height[valid])) if valid.any() else 0.0
    dh = np.where(valid, height - reference, 0.0)
    x = np.where(valid, ground, 0.0)
    relief = _relief(dh, t, valid)

    theta0 = np.radians(35.0) if incidence_angle is None else np.radians(incidence_angle)
    if range_spacing is not None:
        theta0 = np.arcsin(np.clip(range_spacing / abs(pace), 0.02, 0.98))
    free = incidence_angle is None and range_spacing is None
    theta = np.full(size, theta0)
    curvature = 0.0
    weights = valid.astype(np.float64)
    neighbours = _neighbours(x, valid) if free else None
    spacing, solution = abs(pace) * np.sin(theta0), None
    for _ in range(ITERATIONS):
        # Position of the pixel's ground at the reference height is x - shift.
        shift = dh / np.tan(theta) - 0.5 * curvature * dh**2 / np.sin(theta) ** 3
        if free:
            solution = _solve(x, shift * np.tan(theta0), powers, weights, neighbours)
            slope = solution.slope
            if not np.isfinite(solution.slope_error):
                break
            if slope <= 1e-3:  # outliers, perhaps
                weights = _tukey(solution, valid)
                continue
            flat = -solution.shape / slope
            flat_error = solution.shape_error / slope
        else:
            solution = _solve(x, x - shift, powers, weights, None)
            flat, flat_error = solution.shape, solution.shape_error
        first = flat[0] / middle
        new = np.arctan(solution.slope) if free else theta0
        if range_spacing is not None and incidence_angle is None:
            new = np.arcsin(np.clip(range_spacing / abs(first), 0.02, 0.999))
        spacing = abs(first) * np.sin(new) if range_spacing is None else range_spacing
        second = (2.0 * flat[1] / middle**2, 2.0 * flat_error[1] / middle**2) if degree > 1 else (0.0, np.inf)
        growth = _growth(new, spacing, second, earth)
        old = theta
        theta, curvature = incidence_profile(size, new, spacing, growth, earth)
        before = weights
        weights = _tukey(solution, valid)
        theta0 = new
        if np.abs(theta - old).max() < 1e-8 and np.abs(weights - before).max() < 1e-3:
            break
    error = _error(solution, theta0, spacing, middle, free, range_spacing)
    towards = free and solution is not None and solution.slope < 0 and np.isfinite(solution.slope_error)
    if towards and solution is not None:
        towards = abs(solution.slope) > 5 * solution.slope_error
        error = 0.0 if towards else np.inf
    return RangeFit(theta, float(spacing), float(error), reference, relief, bool(towards))


def incidence_profile(
    size: int, theta0: float, spacing: float, growth: float, earth: float
) -> tuple[Array, float]:
    """Incidence angle along the row from its value and its growth at the middle.

    With ``growth = cos θ/R + 1/earth`` the slant range R follows, and the law of cosines in the triangle of
    radar, ground and Earth's centre gives θ everywhere. Growth slower than the Earth's curvature is a
    plane wave: then θ grows evenly.

    Parameters
    ----------
    size : int
        Number of range pixels.
    theta0 : float
        Radians at the middle.
    spacing : float
        Slant metres.
    growth : float
        Radians per metre on the ground, at the middle.
    earth : float
        Radius, metres.

    Returns
    -------
    theta : ndarray, (range,)
        Radians.
    curvature : float
        ``1/R`` at the middle, per metre; 0 for a plane wave.
    """
    offset = (np.arange(size) - 0.5 * (size - 1)) * spacing
    curvature = max(0.0, (growth - 1.0 / earth) / np.cos(theta0))
    if curvature * earth < 1e-3:
        return np.clip(theta0 + growth * offset / np.sin(theta0), 0.02, 1.55), 0.0
    middle = 1.0 / curvature
    radar2 = earth**2 + middle**2 + 2.0 * earth * middle * np.cos(theta0)
    slant = middle + offset
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (radar2 - earth**2 - slant**2) / (2.0 * earth * slant)
    return np.arccos(np.clip(cosine, 0.02, 0.9998)), curvature


def _plausible(ground: Array, height: Array) -> NDArray[np.bool_]:
    """Pixels with a position and a height that are no fill values."""
    valid = np.isfinite(ground) & np.isfinite(height)
    index = np.arange(ground.shape[1])
    pace = _pace(ground, valid)
    # Real ground lies a few kilometres from an even row; a fill value lies elsewhere.
    off = ground - pace * index
    off -= (
        np.nanmedian(np.where(valid, off, np.nan), axis=1, keepdims=True) if valid.any(axis=1).all() else 0.0
    )
    if valid.any():
        reach = 20.0e3 + 0.1 * abs(pace) * ground.shape[1]
        level = np.median(off[valid])
        with np.errstate(invalid="ignore"):
            valid &= np.abs(off - level) < reach + (0.0 if valid.any(axis=1).all() else np.inf)
            valid &= (height > -500.0) & (height < 9000.0)
    return valid


def _pace(ground: Array, valid: NDArray[np.bool_]) -> float:
    """Median distance on the ground from pixel to pixel."""
    lag = max(1, ground.shape[1] // 2)
    for step in (lag, max(1, lag // 8), 1):
        both = valid[:, step:] & valid[:, :-step]
        if both.any():
            return float(np.median((ground[:, step:] - ground[:, :-step])[both]) / step)
    return float("nan")


def _degree(width: float, pixels: int) -> int:
    """Degree of f that leaves less than some centimetres of curvature (half a metre: quartic)."""
    degree = 1 + sum(width > limit for limit in (300.0, 3.0e3, 50.0e3))
    return max(1, min(degree, pixels // 4 - 1))


def _relief(dh: Array, t: Array, valid: NDArray[np.bool_]) -> float:
    w = valid.astype(np.float64)
    if not valid.any():
        return 0.0
    columns = np.stack([dh, np.broadcast_to(t, dh.shape)])
    dh, t = _centred(columns, w)
    norm = float(np.sum(w * t * t))
    dh = dh - t * (float(np.sum(w * t * dh)) / norm if norm > 0 else 0.0)
    return float(np.sqrt(np.sum(w * dh**2) / w.sum()))


def _centred(columns: Array, w: Array) -> Array:
    """Columns (k, rows, range) less their weighted mean in each row."""
    total = np.maximum(w.sum(axis=1, keepdims=True), 1e-300)
    centred: Array = columns - (columns * w).sum(axis=2, keepdims=True) / total
    return centred


def _neighbours(x: Array, valid: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Mean position of the two neighbours in the row, and where there are two."""
    mean, known = np.zeros_like(x), np.zeros_like(valid)
    mean[:, 1:-1] = 0.5 * (x[:, 2:] + x[:, :-2])
    known[:, 1:-1] = valid[:, 2:] & valid[:, :-2]
    return mean, known


def _solve(
    x: Array, y: Array, powers: Array, w: Array, neighbours: tuple[Array, NDArray[np.bool_]] | None
) -> _Solution:
    """Weighted least squares of ``y = slope·x + shape·powers + const(row)``.

    The position of the neighbours is the instrument for x; without it the slope is 0.
    """
    degree = powers.shape[0]
    grid = np.broadcast_to(powers[:, None, :], (degree, *x.shape))
    if neighbours is None:
        used, columns = w, np.concatenate([[y], grid])
    else:
        used, columns = w * neighbours[1], np.concatenate([[y], [x], [neighbours[0]], grid])
    columns = _centred(columns, used)
    design = columns[-degree:]
    p, weights = design.reshape(degree, -1), used.ravel()
    gram = (p * weights) @ p.T
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    inverse = np.linalg.pinv(gram / np.outer(scale, scale), rcond=1e-10, hermitian=True) / np.outer(
        scale, scale
    )

    def project(a: Array) -> tuple[Array, Array]:
        coefficients = inverse @ ((p * weights) @ a.ravel())
        return a - np.tensordot(coefficients, design, 1), coefficients

    y_left, y_shape = project(columns[0])
    if neighbours is None:
        return _Solution(0.0, 0.0, y_shape, _shape_error(inverse, y_left, used), y_left, used)
    x_left, x_shape = project(columns[1])
    z_left, _ = project(columns[2])
    leverage = used * z_left**2
    strength = float(np.sum(used * z_left * x_left))
    if not strength > 0:
        nothing = np.full(degree, np.nan)
        return _Solution(float("nan"), float("inf"), nothing, nothing, np.zeros_like(x), leverage)
    slope = float(np.sum(used * z_left * y_left)) / strength
    residual = y_left - slope * x_left
    floor = float(leverage.sum()) * NOISE_FLOOR**2 * CORRELATED
    error = np.sqrt(_clustered(used * z_left * residual) + floor) / strength
    shape = y_shape - slope * x_shape
    return _Solution(slope, float(error), shape, _shape_error(inverse, residual, used), residual, leverage)


def _shape_error(inverse: Array, residual: Array, used: Array) -> Array:
    variance = float(np.sum(used * residual**2)) / max(1.0, float(used.sum()))
    errors: Array = np.sqrt(np.maximum(np.diag(inverse), 0.0) * variance * CORRELATED)
    return errors


def _clustered(moments: Array) -> float:
    """Variance of the sum of moments whose errors are correlated within blocks of the grid."""
    rows = np.array_split(np.arange(moments.shape[0]), min(8, moments.shape[0]))
    pixels = np.array_split(np.arange(moments.shape[1]), 8 if moments.shape[0] > 8 else 32)
    sums = np.array(
        [[moments[r[0] : r[-1] + 1, c[0] : c[-1] + 1].sum() for c in pixels if c.size] for r in rows]
    )
    return float(np.sum(sums**2)) * sums.size / max(1, sums.size - 1)


def _growth(theta: float, spacing: float, second: tuple[float, float], earth: float) -> float:
    """Growth of the incidence angle, radians per metre, from the second derivative of f in the index.

    A narrow grid does not tell it: the mean with a satellite's, by their errors.
    """
    pace = spacing / np.sin(theta)
    measured = -second[0] / pace**2 * np.tan(theta)
    error = abs(second[1]) / pace**2 * np.tan(theta)
    typical = np.cos(theta) / TYPICAL_RANGE + 1.0 / earth
    spread = 0.5 * typical
    if not np.isfinite(error):
        return float(typical)
    share = spread**2 / (spread**2 + error**2)
    return float(share * measured + (1.0 - share) * typical)


def _tukey(solution: _Solution, valid: NDArray[np.bool_]) -> Array:
    """Tukey's biweight at 4.685 robust standard deviations.

    The deviation is the median among the pixels that carry the slope: on a flat sea it would be nothing.
    """
    size = np.abs(solution.residual[valid])
    order = np.argsort(size)
    share = np.cumsum(solution.leverage[valid][order])
    if share.size == 0 or not share[-1] > 0:
        return valid.astype(np.float64)
    typical = max(1.4826 * float(size[order][np.searchsorted(share, 0.5 * share[-1])]), LEAST_DEVIATION)
    u = np.minimum(np.abs(solution.residual) / (4.685 * typical), 1.0)
    weights: Array = np.where(valid, (1.0 - u**2) ** 2, 0.0)
    return weights


def _error(  # noqa: PLR0917
    solution: _Solution | None,
    theta0: float,
    spacing: float,
    middle: float,
    free: bool,
    range_spacing: float | None,
) -> float:
    """Give the standard error of the incidence angle at the middle, radians."""
    if solution is None:
        return float("inf")
    if free:
        return float(solution.slope_error * np.cos(theta0) ** 2)
    if range_spacing is None:
        return 0.0
    pace_error = float(solution.shape_error[0]) / middle
    return float(np.tan(theta0) * pace_error / (spacing / np.sin(theta0)))
