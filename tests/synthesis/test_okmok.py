"""Real radar: two ALOS images of Okmok between which nothing erupted."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from mosart.geometry.frame import LookFrame
from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.io import open_stack
from mosart.masks import Flag
from mosart.stack import Stack

BEFORE, AFTER = dt.date(2007, 7, 5), dt.date(2007, 10, 5)
THETA, RANGE, AZIMUTH = 38.7, 37.5, 37.0  # inferred, not documented
ORIGINAL_RMS = 122.6  # metres: the original's difference of the same pair


@pytest.fixture(scope="module")
def okmok(data_folder):
    return open_stack(data_folder / "okmok_alos" / "okmok_alos.h5")


def run(stack):
    frame = LookFrame(np.full(300, THETA), RANGE, AZIMUTH, "right", 349.0, 0.5, "inferred")
    entry = Entry(AFTER, (AFTER,), (BEFORE,))
    return invert_synthesis(stack, (BEFORE,), (entry,), Options(frame=frame)).dataset.isel(date=0)


@pytest.fixture(scope="module")
def still(okmok):
    return run(okmok)


def unclipped(result):
    return np.isfinite(result["elevation_change"].values) & (
        (result["mask"].values & np.uint8(Flag.CLIPPED)) == 0
    )


def test_nothing_erupted_and_the_bars_say_so(still):
    ok = unclipped(still)
    change, std = still["elevation_change"].values[ok], still["elevation_change_std"].values[ok]
    assert np.sqrt(np.mean(change**2)) < ORIGINAL_RMS / 4
    assert np.median(std) < ORIGINAL_RMS / 4
    assert np.mean(np.abs(change) < 1.645 * std) >= 0.85
    assert 0.35 <= np.mean(np.abs(change) < 0.674 * std) <= 0.75


def with_bump(stack, row, column, height):
    """Raise a Gaussian bump: the ground keeps its reflectivity, moves in slant range, is shaded anew."""
    s, c = np.sin(np.deg2rad(THETA)), np.cos(np.deg2rad(THETA))
    data = stack.dataset.copy(deep=True).load()
    dem = data["height"].values
    rows, columns = dem.shape
    y, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    bump = height * np.exp(-((y - row) ** 2 + (i - column) ** 2) / (2 * 8.0**2))
    image = data["amplitude"].values[list(stack.dates).index(AFTER)].astype(float) ** 2
    edges = np.arange(columns + 1) * RANGE
    for j in range(rows):
        h = np.interp(edges, edges[:-1] + RANGE / 2, dem[j])
        rise = np.interp(edges, edges[:-1] + RANGE / 2, bump[j])
        width = np.diff((edges + h * c) / s * c + h * s)
        energy = image[j] * RANGE * (width + s * np.diff(rise)) / width
        total = np.concatenate([[0.0], np.cumsum(energy)])
        moved = np.maximum.accumulate(edges - c * rise)
        image[j] = np.diff(np.interp(edges, moved, total)) / RANGE
    data["amplitude"].values[list(stack.dates).index(AFTER)] = np.sqrt(image)
    return Stack(data), bump


def test_a_bump_put_into_the_real_image_comes_back(okmok):
    clipped = (okmok.dataset["mask"].values & np.uint8(Flag.CLIPPED)).any(axis=0)
    # the place furthest from clipped cells
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~clipped)
    away[:25] = away[-25:] = away[:, :30] = away[:, -30:] = 0
    row, column = np.unravel_index(int(np.argmax(away)), away.shape)
    stack, bump = with_bump(okmok, row, column, 60.0)
    result = run(stack)
    change, std = result["elevation_change"].values, result["elevation_change_std"].values
    core = (bump > 30) & np.isfinite(change)
    ratio = np.median(change[core] / bump[core])
    near = (bump > 6) & np.isfinite(change)
    held = np.mean(np.abs(change - bump)[near] < 1.645 * std[near])
    assert core.sum() > 0.8 * (bump > 30).sum()
    assert 0.7 <= ratio <= 1.2, (ratio, held)
    assert held >= 0.8, (ratio, held)
