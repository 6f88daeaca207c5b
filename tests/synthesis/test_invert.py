from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from mosart.errors import InputError
from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.masks import Flag, withheld
from mosart.simulate import DemError, Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture
from mosart.stack import Stack

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])
ENTRY = Entry(AFTER[-1], AFTER, BEFORE)


def scene(size, *, look="right", seed=0, shape=(72, 200), dem_error=None):
    terrain = Terrain.flat(950.0, 950.0, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    r = np.hypot(x, y)
    height = 150 + 40 * np.exp(-((r / 200) ** 2)) - 15 * np.exp(-((r / 70) ** 2))
    height = height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=seed)
    terrain = terrain.plus(height)
    change = size * np.exp(-((r / 55) ** 4))
    return simulate(
        terrain,
        {d: change if d in AFTER and size else None for d in DATES},
        SENSOR,
        shape=shape,
        look_direction=look,
        reflectivity=texture(terrain.heights.shape, 1.5, seed=seed + 1),
        radiometry=Radiometry(gain=0.4),
        dem_error=dem_error,
        seed=seed,
    )


def run(simulation, stack=None, entries=(ENTRY,)):
    return invert_synthesis(
        simulation.stack if stack is None else stack, BEFORE, entries, Options(frame=simulation.frame)
    ).dataset.isel(date=-1)


def errors(simulation, result):
    truth = simulation.truth["elevation_change"].values[-1].astype(float)
    seen = ~simulation.truth["hidden"].values.any(axis=0)
    seen[:, :8] = seen[:, -8:] = False
    error = result["elevation_change"].values - truth
    return truth, seen & np.isfinite(error), error, error / result["elevation_change_std"].values


@pytest.fixture(scope="module")
def dome():
    simulation = scene(9.0)
    return simulation, run(simulation)


def test_a_dome_is_measured_within_its_bars(dome):
    simulation, result = dome
    truth, seen, error, z = errors(simulation, result)
    zone, still = seen & (truth > 0.9), seen & (truth < 0.09)
    assert seen.mean() > 0.85
    assert np.sqrt(np.mean(error[zone] ** 2)) < 0.3 * np.sqrt(np.mean(truth[zone] ** 2))
    assert np.sqrt(np.mean(error[still] ** 2)) < 0.9  # 0.4 of a pixel's height
    assert np.mean(np.abs(z[zone]) < 1.645) > 0.75
    assert np.mean(np.abs(z[still]) < 3) > 0.98
    slope = (truth * (truth + error))[zone].sum() / (truth[zone] ** 2).sum()
    assert 0.8 < slope < 1.15


def test_small_changes_are_not_taken_for_still_ground():
    slopes, within, beyond = [], [], []
    for size, seed in ((-3.5, 6), (3.5, 7)):  # one and a half of a range pixel's height
        simulation = scene(size, seed=seed)
        truth, seen, error, z = errors(simulation, run(simulation))
        zone = seen & (np.abs(truth) > 0.35)
        slopes.append((truth * (truth + error))[zone].sum() / (truth[zone] ** 2).sum())
        within.append(np.mean(np.abs(z[zone]) < 1.645))
        beyond.append(np.mean(np.abs(z[zone]) > 4))
    assert 0.5 < np.mean(slopes) < 1.2
    assert np.mean(within) > 0.7
    assert max(beyond) < 0.03  # never a wrong answer with a small error bar


@pytest.mark.parametrize(("size", "seed"), [(7.0, 0), (-7.0, 2)])
def test_a_change_of_two_nodes_is_within_its_bars_though_the_prior_holds_it_back(size, seed):
    terrain = Terrain.flat(950.0, 950.0, 1.5)
    r = np.hypot(terrain.x[None, :], terrain.y[:, None])
    terrain = terrain.plus(150 + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=seed))
    change = size * np.exp(-4 * np.log(2) * (r / 50) ** 2)  # a node is 16 by 23 m
    simulation = simulate(
        terrain,
        {d: change if d in AFTER else None for d in DATES},
        SENSOR,
        shape=(72, 200),
        reflectivity=texture(terrain.heights.shape, 1.5, seed=seed + 1),
        radiometry=Radiometry(gain=0.4),
        seed=seed,
    )
    truth, seen, error, z = errors(simulation, run(simulation))
    zone, still = seen & (np.abs(truth) > 0.3 * abs(size)), seen & (np.abs(truth) < 0.01)
    assert np.mean(np.abs(z[zone]) < 1.645) > 0.75
    assert np.mean(np.abs(z[zone]) > 4) < 0.03
    assert np.sqrt(np.mean(error[still] ** 2)) < 0.9  # 0.4 of a pixel's height


def test_the_result_lies_at_the_fixed_ground_and_the_slant_change_is_displaced(dome):
    simulation, result = dome
    truth, seen, _, _ = errors(simulation, result)
    slant = result["elevation_change_slant"].values
    weights = np.where(seen, np.clip(slant, 0, None), 0)
    at = (weights * np.arange(slant.shape[1])).sum() / weights.sum()
    ground = np.where(seen, truth, 0)
    fixed = (ground * np.arange(slant.shape[1])).sum() / ground.sum()
    assert at < fixed  # what rose is seen nearer to the radar
    np.testing.assert_allclose(
        result["elevation"].values, slant + simulation.stack.dataset["height"].values, atol=1e-3
    )


def test_the_same_images_give_the_same_bits(dome):
    simulation, result = dome
    again = run(simulation)
    for name in ("elevation_change", "elevation_change_std"):
        np.testing.assert_array_equal(result[name].values, again[name].values)


def test_nothing_is_found_where_nothing_changed_left_looking():
    simulation = scene(0.0, look="left", seed=3)
    result = run(simulation)
    _, seen, error, z = errors(simulation, result)
    assert np.mean(np.abs(z[seen]) < 3) > 0.99
    assert np.sqrt(np.mean(error[seen] ** 2)) < 0.8
    assert not (result["mask"].values & Flag.UNRESOLVED).any()


def test_the_mirrored_look_of_the_mirrored_ground_gives_the_same_change():
    terrain = Terrain.flat(950.0, 950.0, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    height = 150 + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=5)
    change = 9.0 * np.exp(-((np.hypot(x - 40, y) / 55) ** 4))  # off the middle
    rock = texture(terrain.heights.shape, 1.5, seed=6)
    found = []
    for look, turn in (("right", slice(None)), ("left", slice(None, None, -1))):  # northward: east, then west
        simulation = simulate(
            terrain.plus(height[:, turn]),
            {d: change[:, turn] if d in AFTER else None for d in DATES},
            SENSOR,
            shape=(72, 200),
            look_direction=look,
            heading=0.0,
            reflectivity=rock[:, turn],
            radiometry=Radiometry(gain=0.4),
            seed=5,
        )
        assert simulation.stack.dataset.attrs["look_direction"] == look
        result = run(simulation)
        found.append((result["elevation_change"].values, result["elevation_change_std"].values))
    (right, std), (left, _) = found
    both = np.isfinite(right) & np.isfinite(left)
    assert both.mean() > 0.85
    assert np.abs(right[both]).max() > 6.0
    assert np.sqrt(np.mean(((right - left) / std)[both] ** 2)) < 1 / 3


def test_gaps_water_and_clipped_pixels_stay_what_they_are_and_harm_nothing_else(dome):
    simulation, _ = dome
    data = simulation.stack.dataset.copy(deep=True)
    amplitude = data["amplitude"].values.copy()
    mask = data["mask"].values.copy() if "mask" in data else np.zeros(amplitude.shape, np.uint8)
    amplitude[:, 20:23] = np.nan  # missing rows
    mask[:, 20:23] |= np.uint8(Flag.NODATA)
    mask[:, :, :20] |= np.uint8(Flag.WATER)
    amplitude[3:, :, :20] *= 3  # wind
    amplitude[3:, 50, 100] = 1e3
    mask[3:, 50, 100] |= np.uint8(Flag.CLIPPED)
    data["amplitude"] = (("date", "azimuth", "range"), amplitude)
    data["mask"] = (("date", "azimuth", "range"), mask)
    height = data["height"].values.copy()
    height[40:44, 150:156] = np.nan
    data["height"] = (("azimuth", "range"), height)
    result = run(simulation, Stack(data))
    flags = result["mask"].values
    change = result["elevation_change"].values
    assert (flags[20:23] & Flag.NODATA).all()
    assert (flags[:, :20] & Flag.WATER).all()
    assert np.isnan(change[withheld(flags)]).all()
    assert flags[50, 100] & Flag.CLIPPED
    assert np.isfinite(change[50, 100])
    assert np.isnan(change[40:44, 150:156]).all()
    truth, seen, error, z = errors(simulation, result)
    assert np.mean(np.abs(z[seen]) < 3) > 0.97
    zone = seen & (truth > 0.9)
    assert np.sqrt(np.mean(error[zone] ** 2)) < 0.35 * np.sqrt(np.mean(truth[zone] ** 2))


def test_an_entry_that_is_the_reference_is_zero(dome):
    simulation, _ = dome
    result = run(simulation, entries=(Entry(BEFORE[-1], BEFORE, ()),))
    given = result["elevation_change"].values
    assert np.nanmax(np.abs(given)) == 0
    assert np.nanmax(np.abs(result["elevation_change_std"].values)) == 0


def test_without_geometry_it_is_refused_by_name(dome):
    simulation, _ = dome
    with pytest.raises(InputError, match=r"geometry:.*--method rowwise"):
        invert_synthesis(simulation.stack, BEFORE, (ENTRY,), Options(frame=None))


def test_an_image_that_is_too_small_is_refused(dome):
    simulation, _ = dome
    small = Stack(simulation.stack.dataset.isel(azimuth=slice(0, 4)))
    with pytest.raises(InputError, match="too small"):
        invert_synthesis(small, BEFORE, (ENTRY,), Options(frame=simulation.frame))


def test_an_unknown_azimuth_spacing_is_refused(dome):
    simulation, _ = dome
    frame = dataclasses.replace(simulation.frame, azimuth_spacing=float("nan"))
    with pytest.raises(InputError, match="azimuth spacing"):
        invert_synthesis(simulation.stack, BEFORE, (ENTRY,), Options(frame=frame))


def test_reversed_rows_give_the_same_result(dome):
    simulation, result = dome
    turned = Stack(simulation.stack.dataset.isel(azimuth=slice(None, None, -1)))
    other = run(simulation, turned)
    difference = other["elevation_change"].values[::-1] - result["elevation_change"].values
    relative = difference / result["elevation_change_std"].values
    assert np.sqrt(np.nanmean(relative**2)) < 1 / 3


def test_a_dem_that_is_too_high_is_put_where_the_image_shows_it_and_this_is_said(caplog):
    wrong = DemError(offset=8.0)
    simulation = scene(9.0, shape=(112, 280), dem_error=wrong)
    result = run(simulation)
    assert "beyond where the DEM puts it" in caplog.text
    assert "taken out" in result.attrs["dem_moved"]
    found, std = result.attrs["dem_range_shift_m"], result.attrs["dem_range_shift_std_m"]
    assert std < SENSOR.range_spacing
    assert abs(found - 8.0 * np.cos(np.deg2rad(38.0))) < 3 * std
    truth, seen, error, z = errors(simulation, result)
    zone, still = seen & (truth > 0.9), seen & (truth < 0.09)
    assert np.sqrt(np.mean(error[zone] ** 2)) < 0.3 * np.sqrt(np.mean(truth[zone] ** 2))
    assert np.sqrt(np.mean(error[still] ** 2)) < 0.9
    assert np.mean(np.abs(z[zone]) < 1.645) > 0.7
