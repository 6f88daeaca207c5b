"""A DEM that is tilted against the ground, through the whole method."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.simulate import DemError, Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])
SHAPE, TILT = (160, 400), 1 / 500  # metres a metre, to the east


@pytest.mark.parametrize("look", ["right", "left"])
def test_a_tilt_of_a_metre_in_500_is_measured_told_and_leaves_no_bias(look):
    terrain = Terrain.flat(1300.0, 1300.0, 2.0)
    r = np.hypot(terrain.x[None, :], terrain.y[:, None])
    relief = 150 + 40 * np.exp(-((r / 200) ** 2))
    terrain = terrain.plus(relief + fractal(terrain.heights.shape, 2.0, 4.0, 3.5, longest=300.0, seed=3))
    simulation = simulate(
        terrain,
        {d: 9.0 * np.exp(-((r / 70) ** 4)) if d in AFTER else None for d in DATES},
        SENSOR,
        shape=SHAPE,
        look_direction=look,
        reflectivity=texture(terrain.heights.shape, 2.0, seed=4),
        radiometry=Radiometry(gain=0.4),
        dem_error=DemError(tilt_east=TILT),
        seed=3,
    )
    entry = Entry(AFTER[-1], AFTER, BEFORE)
    result = invert_synthesis(simulation.stack, BEFORE, (entry,), Options(frame=simulation.frame)).dataset
    # higher ground to the east lies nearer: the image beyond it, at the end of the rows on the right look
    half = 0.5 * SHAPE[1] * 1.8 / np.sin(np.radians(38.0))
    expected = half * simulation.swath.look[0] * TILT * np.cos(np.radians(38.0))
    found, std = result.attrs["dem_tilt_range_m"], result.attrs["dem_tilt_range_std_m"]
    assert std < 0.3
    assert found == pytest.approx(expected, abs=3 * std)
    assert "tilted along the range" in result.attrs["dem_moved"]
    last = result.isel(date=-1)
    truth = simulation.truth["elevation_change"].values[-1].astype(float)
    error = last["elevation_change"].values - truth
    z = error / last["elevation_change_std"].values
    seen = ~simulation.truth["hidden"].values.any(axis=0) & np.isfinite(error)
    seen[:, :8] = seen[:, -8:] = False
    zone, still = seen & (truth > 0.9), seen & (truth < 0.09)
    assert np.sqrt(np.mean(error[zone] ** 2)) < 0.2 * np.sqrt(np.mean(truth[zone] ** 2))
    assert abs(error[zone].mean()) < 0.5 * np.median(last["elevation_change_std"].values[zone])
    for where in (zone, still):
        assert np.mean(np.abs(z[where]) < 1.645) > 0.8
