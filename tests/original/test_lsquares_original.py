"""The least squares against the original's, and against the truth where the original fails."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from mosart import lsquares
from mosart.errors import InputError


def rows(shape: tuple[int, int], mean: float, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude that varies by `spread` of its mean in every row, over rough ground."""
    rng = np.random.default_rng(seed)
    amplitude = mean * (1.0 + spread * rng.standard_normal(shape)).clip(0.01)
    height = 400.0 + np.cumsum(rng.normal(0.0, 1.0, shape), axis=1)
    return amplitude, height


@pytest.mark.parametrize(
    ("shape", "tolerance"),
    [((5, 60), 1e-6), ((6, 400), 1e-6), ((4, 4000), 1e-6), ((2, 25000), 1e-5), ((1, 300), 1e-6)],
)
@pytest.mark.parametrize(("mean", "spread"), [(0.2, 0.4), (60.0, 0.3), (100.0, 0.1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_original(  # noqa: PLR0917
    original_lsquares: ModuleType,
    shape: tuple[int, int],
    tolerance: float,
    mean: float,
    spread: float,
    weighted: bool,
) -> None:
    amplitude, height = rows(shape, mean, spread, seed=shape[1])
    rng = np.random.default_rng(5)
    weight = rng.choice([0.5, 1.0], shape) if weighted else None
    gradient = np.gradient(height, axis=1)

    theirs = original_lsquares.getabc_reg(amplitude, height, gradient, weight)
    ours = lsquares.getabc_reg(amplitude, height, gradient, weight)

    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=tolerance)
    for mine, their in zip(ours[1:4], theirs[1:4], strict=True):
        assert mine.shape == height.shape
        np.testing.assert_allclose(mine, their, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(ours[4], theirs[4])


def test_arguments_are_left_alone(original_lsquares: ModuleType) -> None:
    amplitude, height = rows((3, 50), 60.0, 0.3, 0)
    amplitude[1, 4] = np.nan
    before = amplitude.copy(), height.copy()
    lsquares.getabc_reg(amplitude, height, height)
    np.testing.assert_array_equal(amplitude, before[0])
    np.testing.assert_array_equal(height, before[1])


def test_file_with_water(original_lsquares: ModuleType, tmp_path: Path) -> None:
    amplitude, height = rows((8, 500), 60.0, 0.3, 3)
    height[:, 350:] = 0.02 * np.arange(150)
    height[:, :40] = 300.0 + 0.005 * np.arange(40)  # dry ground that is nearly flat
    gradient = np.gradient(height, axis=1)
    water = np.zeros(height.shape, dtype=bool)
    water[:6, 350:] = True
    weight = np.where(water, 0.5, 1.0)
    path = tmp_path / "descending.h5"
    with h5py.File(path, "w") as file:
        for name, array in (("dem", height), ("grad", gradient), ("20190115", amplitude)):
            file[name] = array

    theirs = original_lsquares.getdem("20190115", str(path), weight, water)
    ours = lsquares.getdem("20190115", str(path), weight, water)

    assert np.isfinite(theirs[0]).all()
    for mine, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, their, rtol=0, atol=1e-6)


def test_flat_sea_has_a_water_value(original_lsquares: ModuleType, tmp_path: Path) -> None:
    # Half of each row is a flat sea, whose gradient's 5th percentile is 0: theirs is NaN.
    _, height = rows((4, 300), 60.0, 0.3, 4)
    amplitude = np.full(height.shape, 60.0) + np.arange(300) % 7
    height[:, 150:] = 0.0
    height[:, 100:150] = 0.004 * np.arange(50)  # dry, flatter than 0.01
    gradient = np.gradient(height, axis=1)
    gradient[:, 150:] = 0.0
    amplitude[:, 100:150] = 33.0
    amplitude[:, 150:] = 5.0
    water = np.zeros(height.shape, dtype=bool)
    water[:, 150:] = True
    path = tmp_path / "descending.h5"
    with h5py.File(path, "w") as file:
        for name, array in (("dem", height), ("grad", gradient), ("20190115", amplitude)):
            file[name] = array

    demdef, grddef, _ = lsquares.getdem("20190115", path, water=water)

    replaced = np.where(water, 33.0, amplitude)
    expected, a, b, _, _ = lsquares.getabc_reg(replaced, height, gradient)
    np.testing.assert_allclose(demdef, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(grddef, replaced * a + b, rtol=0, atol=1e-9)


def test_big_digital_numbers_keep_their_rank(original_lsquares: ModuleType) -> None:
    # A surface that the model explains exactly must come back, whatever the unit of the amplitude.
    rng = np.random.default_rng(1)
    shape = (2, 12000)
    amplitude = 5000.0 * (1.0 + 0.1 * rng.standard_normal(shape))
    cumulated = np.cumsum(amplitude, axis=1)
    height = 2e-4 * cumulated - 0.9 * np.arange(1, shape[1] + 1) + 700.0

    ours = lsquares.getabc_reg(amplitude, height, height)
    theirs = original_lsquares.getabc_reg(amplitude, height, height)

    np.testing.assert_allclose(ours[0], height, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours[1], 2e-4, rtol=1e-8)
    np.testing.assert_allclose(ours[2], -0.9, rtol=1e-8)
    np.testing.assert_allclose(ours[3], 700.0, rtol=1e-8)
    assert np.abs(theirs[0] - height).max() > 1.0  # what the original loses


def test_single_precision_is_summed_in_double(original_lsquares: ModuleType) -> None:
    amplitude, height = rows((2, 25000), 60.0, 0.3, 7)
    single = amplitude.astype(np.float32)

    ours = lsquares.getabc_reg(single, height, height)[0]
    exact = original_lsquares.getabc_reg(single.astype(np.float64), height, height)[0]
    theirs = original_lsquares.getabc_reg(single, height, height)[0]

    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-5)
    # The original's running sum in float32 explains all of the difference.
    their_sum = np.cumsum(single, axis=1, dtype=np.float32).astype(np.float64)
    steps = np.diff(their_sum, axis=1, prepend=0.0)
    explained = lsquares.getabc_reg(steps, height, height)[0]
    np.testing.assert_allclose(theirs, explained, rtol=0, atol=1e-4)
    assert np.abs(theirs - exact).max() > 1e-3


def test_gap_stays_in_its_row() -> None:
    amplitude, height = rows((4, 300), 60.0, 0.3, 8)
    whole = lsquares.getabc_reg(amplitude, height, height)[0]
    gappy = amplitude.copy()
    gappy[1, 40:60] = np.nan
    gappy[1, :3] = np.nan
    gappy[1, -1] = np.nan
    gappy[2] = np.nan

    result = lsquares.getabc_reg(gappy, height, height)[0]

    np.testing.assert_array_equal(result[[0, 3]], whole[[0, 3]])
    np.testing.assert_array_equal(np.isnan(result[1]), np.isnan(gappy[1]))
    assert np.isnan(result[2]).all()


def test_gap_is_bridged_for_the_sum() -> None:
    # Where the amplitude is linear across the gap, bridging it loses nothing.
    n = np.arange(1, 201)
    amplitude = (50.0 + 0.1 * n + 10.0 * np.sin(n / 9.0) * (n < 80))[None]
    height = 0.03 * np.cumsum(amplitude, axis=1) - 1.2 * n + 40.0
    gappy = amplitude.copy()
    gappy[0, 120:150] = np.nan
    dem = height.copy()
    dem[0, 10:12] = np.nan

    demdef, a, b, c, _ = lsquares.getabc_reg(gappy, dem, dem)

    known = np.isfinite(gappy) & np.isfinite(dem)
    np.testing.assert_array_equal(np.isfinite(demdef), known)
    np.testing.assert_allclose(demdef[known], height[known], rtol=0, atol=1e-8)
    np.testing.assert_allclose([a[0, 0], b[0, 0], c[0, 0]], [0.03, -1.2, 40.0], rtol=1e-8)


def test_row_of_constant_amplitude(original_lsquares: ModuleType) -> None:
    amplitude = np.full((1, 200), 60.0)
    height = 12.0 + 0.25 * np.arange(200.0)[None] + np.sin(np.arange(200.0))[None]
    ours = lsquares.getabc_reg(amplitude, height, height)
    theirs = original_lsquares.getabc_reg(amplitude, height, height)
    for mine, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, their, rtol=0, atol=1e-6)


def test_row_without_weight_is_open() -> None:
    amplitude, height = rows((2, 50), 60.0, 0.3, 9)
    weight = np.ones(height.shape)
    weight[0] = 0.0
    demdef = lsquares.getabc_reg(amplitude, height, height, weight)[0]
    assert np.isnan(demdef[0]).all()
    assert np.isfinite(demdef[1]).all()


def test_gradient_with_intercept() -> None:
    rng = np.random.default_rng(2)
    amplitude = rng.uniform(20.0, 100.0, (3, 80))
    gradient = 0.02 * amplitude - 0.7
    mask = np.zeros(gradient.shape, dtype=bool)
    mask[:, 60:] = True
    disturbed = gradient.copy()
    disturbed[:, 60:] += 5.0
    np.testing.assert_allclose(lsquares.getgrad(amplitude, disturbed, mask), gradient, atol=1e-10)
    amplitude[1, 3] = np.nan
    result = lsquares.getgrad(amplitude, gradient)
    assert np.isnan(result[1, 3])
    assert np.isfinite(result).sum() == result.size - 1


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    amplitude, height = rows((2, 50), 60.0, 0.3, 9)
    with pytest.raises(InputError, match="do not fit together"):
        lsquares.getabc_reg(amplitude[:, :-1], height, height)
    with pytest.raises(InputError, match="weights"):
        lsquares.getabc_reg(amplitude, height, height, np.ones((3, 3)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dem"] = height
    with pytest.raises(InputError, match="'20190115'"):
        lsquares.getdem("20190115", tmp_path / "a.h5")
