"""The least squares behind the self-calibration: one incidence angle and one spacing for all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .growth import GrowthSearch, measured_growth, trust, typical_growth
from .profile import incidence_profile, running

#: Noise of heights that is assumed at least, metres, and pixels over which it is correlated.
NOISE_FLOOR, CORRELATED = 0.1, 10.0
ITERATIONS = 15
#: Standard error, radians, beyond which iterating is of no use; incidence angles that a radar can have.
HOPELESS, POSSIBLE = 0.2, (0.05, 1.5)
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
class _Data:
    """Positions and heights (rows, range), 0 where not valid, and the powers of the index (k, range)."""

    x: Array
    dh: Array
    valid: NDArray[np.bool_]
    powers: Array
    earth: float
    pace: float
    reference: float
    relief: float

    @property
    def size(self) -> int:
        return int(self.x.shape[1])

    @property
    def middle(self) -> float:
        return 0.5 * (self.size - 1)


@dataclass(frozen=True)
class _Solution:
    slope: float
    slope_error: float
    shape: Array
    shape_error: Array
    residual: Array
    leverage: Array


def fit_range(
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
    t = np.arange(size) / (0.5 * (size - 1)) - 1.0
    pace = _pace(ground, valid)
    degree = _degree(abs(pace) * size, int(valid.sum(axis=1).max(initial=0)))
    reference = float(np.median(height[valid])) if valid.any() else 0.0
    dh = np.where(valid, height - reference, 0.0)
    data = _Data(
        x=np.where(valid, ground, 0.0),
        dh=dh,
        valid=valid,
        powers=np.stack([t**k for k in range(1, degree + 1)]),
        earth=earth,
        pace=pace,
        reference=reference,
        relief=_relief(dh, t, valid),
    )
    if incidence_angle is not None:
        return _fit_known(data, theta0=float(np.radians(incidence_angle)))
    if range_spacing is not None:
        return _fit_known(data, spacing=range_spacing)
    return _fit_free(data)


def _fit_free(data: _Data) -> RangeFit:
    """Find incidence and spacing: the height on the left, the position by its neighbours.

    The growth of the incidence is assumed, then measured: where the two differ it is sought by secants,
    for on smooth ground to take the measured one for the next assumption would lead astray.
    """
    theta, curvature, search = np.full(data.size, np.radians(35.0)), 0.0, GrowthSearch(data.earth)
    theta0, spacing, error, towards = float(theta[0]), 1.0, np.inf, False
    weights, neighbours = data.valid.astype(np.float64), _neighbours(data)
    for _ in range(ITERATIONS):
        shift = _shift(data.dh, theta, curvature)
        solution = _solve(data, shift * np.tan(theta0), weights, neighbours)
        error = solution.slope_error * max(0.4, np.cos(theta0) ** 2)
        if not error < HOPELESS:
            return RangeFit(theta, spacing, float("inf"), data.reference, data.relief, towards=False)
        towards = solution.slope < -5 * solution.slope_error
        before, weights = weights, _tukey(solution.residual, solution.leverage, data.valid)
        if solution.slope <= 1e-3:  # outliers, perhaps
            continue
        flat, flat_error = -solution.shape / solution.slope, solution.shape_error / solution.slope
        theta0 = float(np.clip(np.arctan(solution.slope), *POSSIBLE))
        spacing = float(flat[0] / data.middle * np.sin(theta0))
        growth = search.next(theta0, *measured_growth(theta0, flat, flat_error))
        error = float(np.hypot(error, search.incidence_error))
        old = theta
        theta, curvature = incidence_profile(data.size, theta0, spacing, growth, data.earth)
        if np.abs(theta - old).max() < 1e-7 and np.abs(weights - before).max() < 1e-3:
            break
    return RangeFit(theta, spacing, float(error), data.reference, data.relief, bool(towards))


def _fit_known(data: _Data, *, theta0: float | None = None, spacing: float | None = None) -> RangeFit:
    """Find spacing or incidence, one being known: Gauss-Newton on it and on the growth of the incidence."""
    if theta0 is not None:
        state = np.array([abs(data.pace) * np.sin(theta0), typical_growth(theta0, data.earth)])
    else:
        state = np.array([float(np.arcsin(np.clip((spacing or 0.0) / abs(data.pace), 0.02, 0.98))), 0.0])
        state[1] = typical_growth(float(state[0]), data.earth)
    typical = float(state[1])

    def profile(state: Array) -> tuple[Array, float, float]:
        angle, step = (theta0, float(state[0])) if theta0 is not None else (float(state[0]), spacing or 0.0)
        return (*incidence_profile(data.size, angle, step, float(state[1]), data.earth), step)

    def position(state: Array) -> Array:
        theta, curvature, step = profile(state)
        return running(step / np.sin(theta)) + _shift(data.dh, theta, curvature)

    weights, error = data.valid.astype(np.float64), np.inf
    grid = np.broadcast_to(data.powers[2:, None, :], (len(data.powers[2:]), *data.x.shape))
    for _ in range(ITERATIONS):
        base = position(state)
        steps = (1e-6 * state[0], 1e-3 * typical)
        slopes = [(position(state + np.eye(2)[k] * steps[k]) - base) / steps[k] for k in (0, 1)]
        left, *columns = _centred(np.concatenate([[data.x - base], slopes, grid]), weights)
        design = np.stack(columns)
        p, w = design.reshape(len(design), -1), weights.ravel()
        gram = (p * w) @ p.T
        variance = max(float(w @ left.ravel() ** 2) / max(1.0, w.sum()), NOISE_FLOOR**2) * CORRELATED
        right = (p * w) @ left.ravel()
        change, inverse, scale = _step(gram, right)
        spread = float(np.sqrt(max(inverse[1, 1], 0.0) * variance) / scale[1])
        if trust(float(state[1] + change[1]), spread, typical) < 1.0:
            gram[1, 1] += variance / (0.5 * typical) ** 2
            right[1] += variance / (0.5 * typical) ** 2 * (typical - state[1])
            change, inverse, scale = _step(gram, right)
        error = float(np.sqrt(max(inverse[0, 0], 0.0) * variance) / scale[0]) if theta0 is None else 0.0
        limit = 0.2 * abs(float(state[0]))
        state = state + np.array([np.clip(change[0], -limit, limit), change[1]])
        if theta0 is None:
            state[0] = np.clip(state[0], *POSSIBLE)
        residual = left - np.tensordot(change, design, 1)
        before, weights = weights, _tukey(residual, weights, data.valid)
        done = abs(change[0]) < 1e-7 * state[0] and abs(change[1]) < 1e-4 * typical
        if done and np.abs(weights - before).max() < 1e-3:
            break
    theta, _, step = profile(state)
    return RangeFit(theta, step, error, data.reference, data.relief, towards=data.pace < 0)


def _step(gram: Array, right: Array) -> tuple[Array, Array, Array]:
    """Solve normal equations; also the inverse and the scales of the equations that it belongs to."""
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    inverse = np.linalg.pinv(gram / np.outer(scale, scale), rcond=1e-12, hermitian=True)
    return inverse @ (right / scale) / scale, inverse, scale


def _shift(dh: Array, theta: Array, curvature: float) -> Array:
    """Give the ground range by which ground that is dh higher lies further away, same slant range."""
    shift: Array = dh / np.tan(theta) - 0.5 * curvature * dh**2 / np.sin(theta) ** 3
    return shift


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
    """Degree of f that leaves centimetres of curvature: a satellite needs less, an aeroplane all of it."""
    degree = 1 + sum(width > limit for limit in (100.0, 500.0, 1.5e3, 3.0e3, 10.0e3))
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


def _neighbours(data: _Data) -> tuple[Array, NDArray[np.bool_]]:
    """Mean position of the two neighbours in the row, and where there are two."""
    x, valid = data.x, data.valid
    mean, known = np.zeros_like(x), np.zeros_like(valid)
    mean[:, 1:-1] = 0.5 * (x[:, 2:] + x[:, :-2])
    known[:, 1:-1] = valid[:, 2:] & valid[:, :-2] & valid[:, 1:-1]
    return mean, known


def _solve(data: _Data, y: Array, w: Array, neighbours: tuple[Array, NDArray[np.bool_]]) -> _Solution:
    """Fit ``y = slope·x + shape·powers + const(row)``, the neighbours as instrument."""
    degree = data.powers.shape[0]
    grid = np.broadcast_to(data.powers[:, None, :], (degree, *y.shape))
    used, columns = w * neighbours[1], np.concatenate([[y], [data.x], [neighbours[0]], grid])
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
    x_left, x_shape = project(columns[1])
    z_left, _ = project(columns[2])
    leverage = used * z_left**2
    strength = float(np.sum(used * z_left * x_left))
    if not strength > 0:
        nothing = np.full(degree, np.nan)
        return _Solution(float("nan"), float("inf"), nothing, nothing, np.zeros_like(y), leverage)
    slope = float(np.sum(used * z_left * y_left)) / strength
    residual = y_left - slope * x_left
    floor = float(leverage.sum()) * NOISE_FLOOR**2 * CORRELATED
    error = np.sqrt(_clustered(used * z_left * residual) + floor) / strength
    shape = y_shape - slope * x_shape
    shape_error = np.hypot(_shape_error(inverse, residual, used), x_shape * error)
    return _Solution(slope, float(error), shape, shape_error, residual, leverage)


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


def _tukey(residual: Array, leverage: Array, valid: NDArray[np.bool_]) -> Array:
    """Tukey's biweight at 4.685 robust standard deviations.

    The deviation is the median among the pixels that carry the slope: on a flat sea it would be nothing.
    """
    size = np.abs(residual[valid])
    order = np.argsort(size)
    share = np.cumsum(leverage[valid][order])
    if share.size == 0 or not share[-1] > 0:
        return valid.astype(np.float64)
    typical = max(1.4826 * float(size[order][np.searchsorted(share, 0.5 * share[-1])]), LEAST_DEVIATION)
    u = np.minimum(np.abs(residual) / (4.685 * typical), 1.0)
    weights: Array = np.where(valid, (1.0 - u**2) ** 2, 0.0)
    return weights
