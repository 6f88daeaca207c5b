"""The pieces of the row-wise methods: the fit, the shift to the ground, stable ground, water."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.gaps import bridge, range_gradient
from mosart.geometry.frame import LookFrame
from mosart.inversion.groundshift import at_fixed_ground
from mosart.inversion.robust import robust_weights
from mosart.inversion.rowfit import fit_rows
from mosart.inversion.stable import find_stable, nmad, spread
from mosart.inversion.water import substitute_water


@given(
    seed=st.integers(0, 2**32 - 1),
    unit=st.sampled_from([1e-4, 0.2, 60.0, 1e4, 1e8]),
    columns=st.sampled_from([3, 4, 50, 3000]),
    centred=st.booleans(),
    weighted=st.booleans(),
)
def test_exact_rows_come_back(seed: int, unit: float, columns: int, centred: bool, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    echo = unit * rng.gamma(1.0, 1.0, (2, columns))
    total = np.cumsum(echo, axis=1) - (0.5 * echo if centred else 0.0)
    true = np.array([[0.7 / unit, -0.8, 900.0], [-0.2 / unit, 0.3, -10.0]])
    height = true[:, :1] * total + true[:, 1:2] * np.arange(1, columns + 1) + true[:, 2:]
    weights = rng.uniform(0.1, 3.0, echo.shape) if weighted else None
    fit = fit_rows(echo, height, weights, centred=centred)
    np.testing.assert_allclose(fit.surface, height, rtol=0, atol=1e-8 * np.abs(height).max())
    if columns >= 50:
        np.testing.assert_allclose(fit.coefficients, true, rtol=1e-6)


def test_fit_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    echo, height = rng.gamma(1.0, 1.0, (3, 80)), rng.normal(0.0, 10.0, (3, 80))
    weights = rng.uniform(0.0, 2.0, echo.shape)
    weights[:, 5:9] = 0.0
    weights[0, 20] = np.nan
    fit = fit_rows(echo, height, weights)
    for j in range(3):
        w = np.nan_to_num(weights[j])
        columns = np.stack([np.cumsum(echo[j]), np.arange(1.0, 81.0), np.ones(80)], axis=1)
        expected = np.linalg.lstsq(columns * w[:, None], height[j] * w, rcond=None)[0]
        np.testing.assert_allclose(fit.coefficients[j], expected, rtol=1e-8)
        np.testing.assert_allclose(fit.surface[j], columns @ expected, rtol=1e-8)


def test_fit_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="do not fit together"):
        fit_rows(np.ones(5), np.ones(5))
    with pytest.raises(InputError, match="weights"):
        fit_rows(np.ones((2, 5)), np.ones((2, 5)), np.ones((2, 4)))


def test_bridge() -> None:
    row = np.array([np.nan, 2.0, np.nan, np.nan, 5.0, np.nan])
    assert bridge(row) == 2
    np.testing.assert_allclose(row, [2.0, 2.0, 3.0, 4.0, 5.0, 5.0])
    empty = np.full(3, np.nan)
    assert bridge(empty) == 0
    assert np.isnan(empty).all()


def test_range_gradient() -> None:
    height = np.tile(0.5 * np.arange(12.0), (3, 1))
    height[1, 4:6] = np.nan
    gradient = range_gradient(height)
    np.testing.assert_array_equal(np.isnan(gradient), np.isnan(height))
    np.testing.assert_allclose(gradient[np.isfinite(gradient)], 0.5)
    np.testing.assert_array_equal(range_gradient(np.array([[3.0], [np.nan]])), [[0.0], [np.nan]])


@given(theta=st.floats(25.0, 60.0), rise=st.floats(-30.0, 30.0), slope=st.floats(-0.3, 0.3))
def test_uniform_rise_of_a_slope(theta: float, rise: float, slope: float) -> None:
    # A plane that rises by d shows, at a fixed slant range, the rise d / (1 - slope cot(theta)).
    frame = LookFrame(np.full(300, theta), 1.0, 1.0, "right", 0.0, 0.0, "given")
    step = 1.0 / (np.sin(frame.theta) - slope * np.cos(frame.theta))
    height = (slope * np.cumsum(step))[None]
    seen = np.full((1, 300), rise / (1.0 - slope / np.tan(frame.theta[0])))
    found = at_fixed_ground(seen, height, frame.ground_range(height), frame.theta)
    known = np.isfinite(found)
    assert known.sum() > 150
    np.testing.assert_allclose(found[known], rise, atol=1e-6)


def test_shift_does_not_bridge_gaps_nor_widen_them() -> None:
    frame = LookFrame(np.full(100, 38.0), 1.0, 1.0, "right", 0.0, 0.0, "given")
    height = np.zeros((2, 100))
    rise = np.full(height.shape, 1e-9)
    rise[0, 40:50] = np.nan
    found = at_fixed_ground(rise, height, frame.ground_range(height), frame.theta, reach=0.5)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rise))
    assert np.isnan(at_fixed_ground(rise * np.nan, height, frame.ground_range(height), frame.theta)).all()


def test_noise_that_turns_positions_back() -> None:
    # Noise of 3 m at 1.3 m pixels turns positions back; the envelope keeps the mean.
    rng = np.random.default_rng(1)
    frame = LookFrame(np.full(4000, 38.0), 0.8, 1.0, "right", 0.0, 0.0, "given")
    height = np.zeros((1, 4000))
    found = at_fixed_ground(
        5.0 + rng.normal(0.0, 3.0, height.shape), height, frame.ground_range(height), frame.theta
    )
    known = np.isfinite(found)
    assert known.mean() > 0.99
    assert abs(found[known].mean() - 5.0) < 0.2
    assert found[known].std() < 3.0


def test_robust_weights_need_no_change() -> None:
    rng = np.random.default_rng(2)
    echo = rng.gamma(4.0, 0.25, (3, 200))
    height = 5.0 * np.cumsum(echo, axis=1) - 4.0 * np.arange(200)
    weights = robust_weights(echo, 2.0 * echo, height, np.ones(height.shape), centred=True)
    np.testing.assert_allclose(weights, 1.0)
    given = np.ones(height.shape)
    given[:, :50] = 0.0
    echo[1, 60] = np.nan
    weights = robust_weights(echo, echo, height, given, centred=True)
    assert (weights[:, :50] == 0.0).all()
    assert weights[1, 60] == 0.0


def test_stable_ground_is_found_away_from_change() -> None:
    rng = np.random.default_rng(3)
    change = rng.normal(0.0, 1.0, (3, 200, 300))
    change[0] = 0.0  # the reference
    change[2, 80:120, 100:160] += 15.0
    change[:, :, 290:] = np.nan
    stable = find_stable(change)
    assert not stable[80:120, 100:160].any()
    assert not stable[:, 290:].any()
    assert stable.mean() > 0.8
    np.testing.assert_allclose(spread(change, stable), [0.0, 1.0, 1.0], atol=0.02)
    assert np.isnan(nmad(np.full(4, np.nan)))
    assert not find_stable(np.full((2, 20, 20), np.nan)).any()


def test_water_value() -> None:
    amplitude = np.tile(np.arange(1.0, 101.0), (4, 1))
    gradient = np.full(amplitude.shape, 0.5)
    water = np.zeros(amplitude.shape, dtype=bool)
    water[:, 60:] = True
    gradient[0, 10:13] = 0.001  # the flattest of the row: the original's rule
    gradient[1, 60:] = 0.0  # flat sea, flat land by the fixed bound
    gradient[1, 20:23] = 0.009
    gradient[2, 60:] = 0.0  # flat sea, no flat land: those nearest to flat
    gradient[2, 30:33] = 0.3
    # Row 3: steep all along, the original leaves it as it is.
    result = substitute_water(amplitude, gradient, water)
    np.testing.assert_array_equal(result[:, :60], amplitude[:, :60])
    assert (result[0, 60:] == 12.0).all()
    assert (result[1, 60:] == 22.0).all()
    assert (result[2, 60:] == 32.0).all()
    np.testing.assert_array_equal(result[3], amplitude[3])
    amplitude[0, 11] = np.nan
    assert (substitute_water(amplitude, gradient, water)[0, 60:] == 12.0).all()
    assert np.isfinite(substitute_water(amplitude, gradient, np.ones_like(water))[1]).all()
