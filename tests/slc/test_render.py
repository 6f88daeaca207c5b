"""The simulator's intensity against what geometry says in closed form."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyproj
import pytest

from mosart.geometry.orbit import Dem, Orbit, RadarGrid, geometry_layers, make_dem
from mosart.geometry.orbit.ellipsoid import to_ecef
from mosart.masks import Flag
from mosart.simulate.slc import Ground, make_pixels, render_intensity

STEP = 1 / 3600


@pytest.fixture(params=["right", "left"])
def grid(request: pytest.FixtureRequest) -> RadarGrid:
    """Lines along a meridian at 45 degrees north, seen from 600 km at about 35 degrees."""
    side = request.param
    spot = to_ecef(12.0, 45.0, 0.0)
    earth = float(np.linalg.norm(spot))
    up = spot / earth
    east = np.array([-np.sin(np.radians(12.0)), np.cos(np.radians(12.0)), 0.0])
    north = np.cross(up, east)
    radius = earth + 6.0e5
    angle = np.arcsin(np.sin(np.radians(35.0)) * earth / radius)
    central = np.radians(35.0) - angle
    below = np.cos(central) * up - (1 if side == "right" else -1) * np.sin(central) * east
    times = np.arange(-60.0, 61.0, 10.0)
    turn = times[:, None] * 7500.0 / radius
    orbit = Orbit(
        dt.datetime(2021, 3, 4),
        times,
        radius * (np.cos(turn) * below + np.sin(turn) * north),
        7500.0 * (np.cos(turn) * north - np.sin(turn) * below),
    )
    distance = float(np.linalg.norm(spot - radius * below))
    return RadarGrid(orbit, -0.01, 0.002, distance - 1800.0, 4.0, 11, 900, side, 0.05)


def ridge(height: float, half_width: float) -> Dem:
    """A ridge along the meridian on flat ground."""
    lon = 11.9 + STEP * (np.arange(720) + 0.5)
    metres = (lon - 12.0) * 111320 * np.cos(np.radians(45.0))
    profile = height * np.exp(-((metres / half_width) ** 2))
    return make_dem(np.tile(profile, (720, 1)), pyproj.CRS("EPSG:4326"), (STEP, 0, 11.9, 0, -STEP, 45.1))


def test_flat_ground(grid: RadarGrid) -> None:
    """Δp / Δr is the cotangent of the incidence angle; lines lie nearer on the ground than in orbit."""
    flat = ridge(0.0, 100.0)
    intensity = render_intensity(grid, Ground(flat))
    layers = geometry_layers(grid, flat)
    ends = geometry_layers(grid.crop(0, 11, 450, 451), flat)
    points = to_ecef(ends.longitude, ends.latitude, ends.height)[:, 0]
    _, velocity, _ = grid.orbit.evaluate(grid.middle_time)
    spacing = np.linalg.norm(points[10] - points[0]) / 10 / (np.linalg.norm(velocity) * grid.time_step)
    cotangent = 1 / np.tan(np.radians(layers.incidence_angle.astype(float)))
    assert np.abs(intensity / (cotangent * spacing) - 1)[:, 2:-2].max() < 2e-3


@pytest.mark.parametrize(("height", "half_width"), [(150.0, 400.0), (450.0, 200.0)])
def test_energy_is_kept(grid: RadarGrid, height: float, half_width: float) -> None:
    """Whatever lies between two rays returns the same energy, in layover and shadow too."""
    flat, hill = ridge(0.0, 100.0), ridge(height, half_width)
    mask = geometry_layers(grid, hill).mask
    folded = height > 200
    assert ((mask & int(Flag.LAYOVER)) != 0).any() == folded
    assert ((mask & int(Flag.SHADOW)) != 0).any() == folded
    before, after = (render_intensity(grid, Ground(d)) for d in (flat, hill))
    assert np.abs(after.sum(axis=1) / before.sum(axis=1) - 1).max() < 2e-3
    if not folded:
        # Brightest where the ridge is steepest, by the slope that is taken off the angle: cot(θ − α) / cot θ.
        incidence = np.radians(geometry_layers(grid, flat).incidence_angle[5, 450])
        slope = np.arctan(height / half_width * np.sqrt(2 / np.e))
        expected = np.tan(incidence) / np.tan(incidence - slope)
        assert after.max() / before[5, 450] == pytest.approx(expected, rel=0.01)
    else:
        # In the middle of shadow there is none.
        dark = (mask & int(Flag.SHADOW)) != 0
        dark[:, 1:-1] &= dark[:, :-2] & dark[:, 2:]
        assert not after[dark].any()


def test_reflectivity_scales_and_stays_on_the_ground(grid: RadarGrid) -> None:
    hill = ridge(150.0, 400.0)
    plain = render_intensity(grid, Ground(hill))
    three = make_dem(np.full(hill.heights.shape, 3.0), hill.crs, hill.transform)
    np.testing.assert_allclose(render_intensity(grid, Ground(hill, three)), 3.0 * plain, rtol=1e-6)


def test_off_the_terrain_there_is_nothing(grid: RadarGrid) -> None:
    part = ridge(0.0, 100.0)
    heights = part.heights.copy()
    heights[:, :360] = np.nan
    intensity = render_intensity(grid, Ground(make_dem(heights, part.crs, part.transform)))
    layers = geometry_layers(grid, part)
    west, east = layers.longitude < 12.0 - 2 * STEP, layers.longitude > 12.0 + 2 * STEP
    assert np.isnan(intensity[west]).all()
    assert np.isfinite(intensity[east]).all()


@pytest.mark.parametrize("looks", [1.0, 80.0])
def test_speckle_has_its_looks_and_lies_within_the_band(looks: float) -> None:
    band = (0.67, 0.8)
    rng = np.random.default_rng(0)
    pixels = make_pixels(np.full((400, 500), 9.0), band, rng, looks=looks)
    intensity = np.abs(pixels.astype(complex)) ** 2
    # Some 100,000 independent values: 1 % for the variance.
    assert intensity.mean() == pytest.approx(9.0, rel=0.02)
    assert intensity.mean() ** 2 / intensity.var() == pytest.approx(looks, rel=0.05)
    power = np.abs(np.fft.fft2(pixels[32:-32, 32:-32] * np.hanning(336)[:, None] * np.hanning(436))) ** 2
    outside = (np.abs(np.fft.fftfreq(336)) > 0.36)[:, None] | (np.abs(np.fft.fftfreq(436)) > 0.42)
    assert power[outside].sum() < 1e-4 * power.sum()
