"""Changes that single images hardly show: measured as far as they can be, and never with a false small error."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import mosart
from mosart.simulate import Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 0.91, 1.97, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = (dt.date(2019, 1, 8), dt.date(2019, 3, 26))


def scene(seed: int, height: float):
    """Gentle relief with texture, and a smooth pit or dome between two single-look images."""
    terrain = Terrain.flat(700.0, 700.0, 1.0)
    x, y = terrain.x[None, :], terrain.y[:, None]
    shape = terrain.heights.shape
    terrain = terrain.plus(
        60 * np.exp(-((np.hypot(x, y) / 220) ** 2)) + fractal(shape, 1.0, 3.0, 3.6, longest=700.0, seed=seed)
    )
    change = height * np.exp(-((x / 40) ** 2 + (y / 30) ** 2) / 2)
    return simulate(
        terrain,
        {DATES[0]: None, DATES[1]: change},
        SENSOR,
        shape=(96, 320),
        reflectivity=texture(shape, 1.0, seed=seed + 1),
        seed=seed,
    )


@pytest.mark.parametrize("height", [-2.5, 2.5])
def test_a_weak_change_between_single_images_does_not_end_far_outside_its_bars(height):
    beyond = []
    for seed in range(1, 7):
        simulation = scene(seed, height)
        change = mosart.invert(simulation.stack, "synthesis", DATES[:1], [DATES[1:]]).dataset.isel(date=-1)
        truth = simulation.truth["elevation_change"].values[-1]
        estimate, std = change["elevation_change"].values, change["elevation_change_std"].values
        zone = (np.abs(truth) > 0.1 * abs(height)) & np.isfinite(estimate)
        zone &= ~simulation.truth["hidden"].values.any(axis=0)
        beyond.append(np.mean(np.abs(estimate - truth)[zone] > 4 * std[zone]))
    assert np.mean(beyond) < 0.05
