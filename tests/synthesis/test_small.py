"""Small images: what is accepted is solved, what cannot be is refused by name."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from mosart.errors import InputError
from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.inversion.synthesis.needed import synthesis_fault
from mosart.simulate import Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture
from mosart.stack import Stack

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])


@pytest.fixture(scope="module")
def dome():
    terrain = Terrain.flat(700.0, 700.0, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    r = np.hypot(x, y)
    relief = 40 * np.exp(-((r / 200) ** 2)) + fractal(
        terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=0
    )
    terrain = terrain.plus(relief)
    change = 9.0 * np.exp(-((r / 55) ** 4))
    return simulate(
        terrain,
        {d: change if d in AFTER else None for d in DATES},
        SENSOR,
        shape=(28, 80),
        reflectivity=texture(terrain.heights.shape, 1.5, seed=1),
        seed=0,
    )


@pytest.mark.parametrize("shape", [(28, 80), (16, 64)])
def test_a_small_image_that_is_accepted_is_solved_within_its_bars(dome, shape):
    box = [slice((n - m) // 2, (n + m) // 2) for n, m in zip((28, 80), shape, strict=True)]
    stack = Stack(dome.stack.dataset.isel(azimuth=box[0], range=box[1]))
    frame = dome.frame.crop(box[1])
    assert synthesis_fault(shape, frame) is None
    entry = Entry(AFTER[-1], AFTER, BEFORE)
    result = invert_synthesis(stack, BEFORE, (entry,), Options(frame=frame)).dataset.isel(date=-1)
    truth = dome.truth["elevation_change"].values[-1][box[0], box[1]]
    error = result["elevation_change"].values - truth
    given = np.isfinite(error)
    assert given.mean() > 0.8
    assert np.sqrt(np.mean(error[given] ** 2)) < 0.6 * np.sqrt(np.mean(truth[given] ** 2))
    assert np.mean(np.abs(error / result["elevation_change_std"].values)[given] < 1.645) > 0.7


@pytest.mark.parametrize("shape", [(16, 56), (8, 32), (7, 200), (60, 30)])
def test_an_image_whose_speckle_cannot_be_told_is_refused(dome, shape):
    fault = synthesis_fault(shape, dome.frame)
    assert isinstance(fault, InputError)
    assert "too small" in fault.what
