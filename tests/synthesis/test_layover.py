"""A wall that a radar-coded DEM leaves out: its layover is found, and does not bend what is beside it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import mosart
from mosart.inversion.synthesis.layover import coded_layover
from mosart.inversion.synthesis.part import part_reference, read_part
from mosart.masks import TRACED, VISIBILITY, Flag
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(8)]
HEADING = {"right": 349.0, "left": 169.0}


def scene(look, *, wall=120.0, width=12.0, dates=4, rows=48, pixels=220, dome=0.0, seed=0):
    """A wall that faces the radar, and a dome before its foot on the later half of the dates."""
    side = 1.1 * np.hypot(4.0 * rows, 2.92 * pixels) + 150
    terrain = Terrain.flat(side, side, 1.5)
    right = np.deg2rad(HEADING[look] + (90 if look == "right" else -90))
    flight = np.deg2rad(HEADING[look])
    x, y = terrain.x[None, :], terrain.y[:, None]
    away = x * np.sin(right) + y * np.cos(right)
    along = x * np.sin(flight) + y * np.cos(flight)
    height = wall / (1 + np.exp(-(away - 60) / width))
    height = height + fractal(terrain.heights.shape, 1.5, 3.0, 3.6, longest=400.0, seed=seed)
    change = dome * np.exp(-((np.hypot((away + 90) / 90, along / 70)) ** 4))
    return simulate(
        terrain.plus(height),
        {d: change if dome and k >= dates // 2 else None for k, d in enumerate(DATES[:dates])},
        SENSOR,
        heading=HEADING[look],
        look_direction=look,
        shape=(rows, pixels),
        reflectivity=texture(terrain.heights.shape, 1.5, seed=seed + 1),
        radiometry=Radiometry(gain=0.4),
        seed=seed,
    )


def learned(simulation, dates, rows=slice(0, 48)):
    part = read_part(simulation.stack, rows, slice(0, 220), simulation.frame)
    return part_reference(part, tuple(DATES[:dates]), None)


@pytest.mark.parametrize("look", ["right", "left"])
@pytest.mark.parametrize("dates", [1, 3])
def test_the_layover_of_a_wall_is_found_where_it_is(look, dates):
    simulation = scene(look)
    truth = simulation.truth["hidden"].values[0]
    found = learned(simulation, dates).overlaid
    assert 0.05 < truth.mean() < 0.2
    assert found[truth].mean() > 0.9
    assert (found & ~truth).sum() < 0.2 * truth.sum()


def test_it_is_found_with_gaps_in_the_image_and_on_one_row():
    simulation = scene("right")
    amplitude = simulation.stack.dataset["amplitude"].values.copy()
    amplitude[:, 10:20, 60:80] = np.nan
    simulation.stack.dataset["amplitude"] = (("date", "azimuth", "range"), amplitude)
    truth = simulation.truth["hidden"].values[0]
    assert learned(simulation, 3).overlaid[truth].mean() > 0.9
    found = learned(simulation, 3, slice(24, 25)).overlaid
    assert found[truth[24:25]].mean() > 0.8
    assert (found & ~truth[24:25]).sum() < 0.5 * truth[24:25].sum()


def test_a_steep_slope_that_does_not_fold_and_a_gap_of_the_dem_are_no_layover():
    steep = scene("right", wall=60.0, width=30.0)
    assert steep.truth["hidden"].values.mean() < 0.005
    assert learned(steep, 3).overlaid.mean() < 0.005
    steep.stack.dataset["height"].values[10:30, 100:130] = np.nan
    assert learned(steep, 3).overlaid.mean() < 0.005


def test_light_that_no_jump_hides_is_left_to_the_reflectivity():
    simulation = scene("right", wall=0.0)
    reference = learned(simulation, 3)
    mean = np.where(np.arange(220) > 110, 5.0, 1.0) * np.ones((48, 1))
    assert not coded_layover(mean, np.ones(mean.shape), reference.dem_ground).any()


def test_a_dome_that_grows_before_a_wall_comes_back():
    # with the wall's light taken for bright ground what is given errs by 73 % of the change, in either look
    simulation = scene("left", dates=8, rows=96, dome=20.0)
    change = mosart.invert(simulation.stack, "synthesis", DATES[:4], [DATES[4:]]).dataset
    truth = simulation.truth["elevation_change"].values[-1]
    hidden = simulation.truth["hidden"].values
    found, mask = change["elevation_change"].values[-1], change["mask"].values[-1]
    assert (mask[hidden[0]] & np.uint8(Flag.LAYOVER)).astype(bool).mean() > 0.9
    zone = ~hidden.any(axis=0) & (np.abs(truth) > 2.0)
    given = zone & np.isfinite(found)
    assert given.sum() > 0.4 * zone.sum()
    error = (found - truth)[given]
    assert np.sqrt(np.mean(error**2)) < 0.25 * np.sqrt(np.mean(truth[given] ** 2))


def test_layover_that_was_traced_is_taken_as_it_is():
    simulation = scene("right")
    data = simulation.stack.dataset
    traced = np.zeros((48, 220), bool)
    traced[:, 50:60] = True
    flags = np.broadcast_to(np.where(traced, np.uint8(Flag.LAYOVER), np.uint8(0)), data["mask"].shape)
    stack = mosart.Stack(data.assign(mask=(data["mask"].dims, flags)).assign_attrs({VISIBILITY: TRACED}))
    part = read_part(stack, slice(0, 48), slice(0, 220), simulation.frame)
    np.testing.assert_array_equal(part_reference(part, tuple(DATES[:3]), None).overlaid, traced)
