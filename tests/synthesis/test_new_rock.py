"""New rock from one look is recognised and withheld, and harms nothing beside it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.masks import Flag, withheld
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(8)]
BEFORE, AFTER = tuple(DATES[:4]), tuple(DATES[4:])
NEW = 1.4  # metres of change from which all of the texture is new


def scene(*, decibel, new, seed=0, shape=(100, 240)):
    terrain = Terrain.flat(1100.0, 1100.0, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    r = np.hypot(x, y)
    height = 150 + 30 * np.exp(-((r / 220) ** 2))
    terrain = terrain.plus(height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=seed))
    change = 25.0 * np.exp(-((r / 95) ** 4))
    old = texture(terrain.heights.shape, 1.5, seed=seed + 1)
    fresh = texture(terrain.heights.shape, 1.5, seed=seed + 2) if new else None
    share = np.clip((change - 0.6) / (NEW - 0.6), 0, 1)
    after = replaced(old, fresh, share, decibel=decibel)
    return simulate(
        terrain,
        {d: change if d in AFTER else None for d in DATES},
        SENSOR,
        shape=shape,
        reflectivity=old,
        new_reflectivity=dict.fromkeys(AFTER, after),
        radiometry=Radiometry(gain=0.4),
        seed=seed,
    )


def run(simulation):
    entry = Entry(AFTER[-1], AFTER, BEFORE)
    result = invert_synthesis(simulation.stack, BEFORE, (entry,), Options(frame=simulation.frame))
    truth = simulation.truth["elevation_change"].values[-1].astype(float)
    seen = ~simulation.truth["hidden"].values.any(axis=0)
    seen[:, :8] = seen[:, -8:] = False
    seen[:4] = seen[-4:] = False
    return result.dataset.isel(date=-1), truth, seen


@pytest.fixture(scope="module")
def bright():
    return run(scene(decibel=2.0, new=True))


def test_new_rock_that_is_brighter_is_withheld(bright):
    result, truth, seen = bright
    flags = result["mask"].values
    new = seen & (truth > NEW)
    assert new.mean() > 0.15
    assert np.mean((flags & Flag.UNRESOLVED)[new] != 0) > 0.95
    assert np.isnan(result["elevation_change"].values[withheld(flags)]).all()
    assert np.isfinite(result["estimate"].values[new]).mean() > 0.95  # a diagnostic all the same


def test_still_ground_beside_new_rock_stays_still(bright):
    result, truth, seen = bright
    sampling = (SENSOR.azimuth_spacing, SENSOR.range_spacing / np.sin(np.deg2rad(SENSOR.incidence_angle)))
    away = seen & (distance_transform_edt(truth < 0.25, sampling=sampling) > 50)
    given = away & np.isfinite(result["elevation_change"].values)
    z = (result["elevation_change"].values - truth)[given] / result["elevation_change_std"].values[given]
    assert given.sum() > 0.95 * away.sum()
    assert np.mean(np.abs(z) < 3) > 0.98


def test_old_rock_that_is_darker_is_given_a_number():
    result, truth, seen = run(scene(decibel=-2.0, new=False, seed=4))
    zone = seen & (truth > 2.5)
    change = result["elevation_change"].values
    given = zone & np.isfinite(change)
    assert given.sum() > 0.75 * zone.sum()
    assert np.sqrt(np.mean((change - truth)[given] ** 2)) < 0.2 * np.sqrt(np.mean(truth[given] ** 2))
