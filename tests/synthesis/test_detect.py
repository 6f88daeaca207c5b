"""The predicted detection limit against what images and inversions show."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.detect import predict_windows
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.inversion.synthesis.reference import learn_reference, read_epoch
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])
FACTOR = 1.5  # the prediction and the scatter that is found may differ by this


@pytest.fixture(scope="module")
def still():
    terrain = Terrain.flat(1150.0, 1150.0, 1.5)
    shape = terrain.heights.shape
    hill = 40 * np.exp(-((np.hypot(terrain.x[None, :], terrain.y[:, None]) / 200) ** 2))
    terrain = terrain.plus(hill + fractal(shape, 1.5, 3.0, 3.5, longest=400.0, seed=5))
    simulation = simulate(
        terrain,
        dict.fromkeys(DATES),
        SENSOR,
        shape=(96, 288),
        reflectivity=texture(shape, 1.5, seed=6),
        radiometry=Radiometry(gain=0.4),
        seed=5,
    )
    data = simulation.stack.dataset
    images = {d: data["amplitude"].sel(date=np.datetime64(d, "ns")).values.astype(float) ** 2
              for d in (*BEFORE, *AFTER)}  # fmt: skip
    height = data["height"].values.astype(float)
    reference = learn_reference([images[d] for d in BEFORE], height, simulation.frame)
    return simulation, reference, read_epoch([images[d] for d in AFTER], reference)


def test_first_order_estimates_of_still_ground_scatter_as_predicted(still):
    _, reference, epoch = still
    for width in (30.0, 60.0):
        windows = predict_windows(reference, epoch, width)
        assert len(windows.std) > 20
        scatter = np.sqrt(np.mean((windows.estimate / windows.std) ** 2))
        assert 1 / FACTOR < scatter < FACTOR


def test_an_inversion_of_still_ground_scatters_no_more_than_predicted(still):
    simulation, reference, epoch = still
    windows = predict_windows(reference, epoch)
    entry = Entry(AFTER[-1], AFTER, BEFORE)
    result = invert_synthesis(simulation.stack, BEFORE, (entry,), Options(frame=simulation.frame)).dataset
    change = result["elevation_change"].values[0, 6:-6, 12:-12]
    # its learned envelope holds still ground: the prediction is for ground that moved
    assert np.sqrt(np.nanmean(change**2)) < FACTOR * np.median(windows.std)


def test_four_times_the_looks_halve_the_speckle_and_wider_windows_tell_more(still):
    _, reference, epoch = still
    few = predict_windows(reference, dataclasses.replace(epoch, pixel_looks=epoch.pixel_looks / 100))
    more = predict_windows(reference, dataclasses.replace(epoch, pixel_looks=epoch.pixel_looks / 25))
    # speckle of the reference counts too, with the same looks
    assert np.median(few.std / more.std) == pytest.approx(2.0, rel=0.15)
    narrow, wide = (predict_windows(reference, epoch, w) for w in (30.0, 60.0))
    assert np.median(wide.std) < 0.8 * np.median(narrow.std)
