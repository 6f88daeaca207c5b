"""The two projections, and layover and shadow against ray casting, on simulated orbits and terrain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.geometry.orbit import (
    Dem,
    Doppler,
    Orbit,
    RadarGrid,
    geo2rdr,
    geometry_layers,
    make_dem,
    rdr2geo_height,
)
from mosart.geometry.orbit.ellipsoid import A, B, from_ecef, to_ecef
from mosart.geometry.orbit.sections import sections_width, trace_sections
from mosart.masks import Flag

Make = Callable[..., RadarGrid]


def utm_dem(grid: RadarGrid, shape: Callable, *, spacing: float = 20.0, half: float = 4000.0) -> Dem:
    """A DEM in a local transverse Mercator around the middle of a grid; ``shape`` of (east, north)."""
    lon, lat, _ = from_ecef(rdr2geo_height(grid, grid.rows / 2, grid.columns / 2, 0.0))
    crs = pyproj.CRS(f"+proj=tmerc +lat_0={float(lat)} +lon_0={float(lon)} +k=1 +ellps=WGS84 +units=m")
    n = int(2 * half / spacing)
    east = -half + spacing * (np.arange(n) + 0.5)
    e, north = np.meshgrid(east, -east)
    return make_dem(shape(e, north), crs, (spacing, 0.0, -half, 0.0, -spacing, half))


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90), h=st.floats(-500, 9000))
def test_ellipsoid_round_trip(lon: float, lat: float, h: float) -> None:
    point = to_ecef(lon, lat, h)
    x, y, z = from_ecef(point)
    again = to_ecef(x, y, z)
    assert np.abs(again - point).max() < 1e-6
    assert abs(float(z) - h) < 1e-6


def test_ellipsoid_axes() -> None:
    np.testing.assert_allclose(to_ecef(0.0, 0.0, 10.0), [A + 10, 0, 0])
    np.testing.assert_allclose(to_ecef(33.0, 90.0, 10.0), [0, 0, B + 10], atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("lat", "lon"), [(35.0, 20.0), (-60.0, 179.99), (0.0, 0.0), (89.9, 10.0), (-90.0, 0.0)]
)
def test_round_trip(circular: Make, side: str, lat: float, lon: float) -> None:
    grid = circular(lat, lon, side=side)
    rows, columns = np.arange(grid.rows)[:, None], np.arange(grid.columns)
    heights = 500.0 + 300 * np.sin(rows / 9) * np.cos(columns / 7)
    point = rdr2geo_height(grid, rows, columns, heights)
    r, c = geo2rdr(grid, point)
    assert np.abs(r - rows).max() < 1e-4
    assert np.abs(c - columns).max() < 1e-4
    # It looks to the stated side.
    position, velocity, _ = grid.orbit.evaluate(grid.middle_time)
    beside = np.cross(velocity, position) @ (point[40, 50] - position)
    assert (beside > 0) == (side == "right")


def test_native_doppler(circular: Make) -> None:
    zero = circular(35.0, 20.0)
    values = 300.0 + np.array([[0.0, 20.0], [5.0, 30.0]])
    doppler = Doppler(values, zero.first_time, 1.0, zero.first_range, 700.0)
    grid = RadarGrid(**{**vars(zero), "doppler": doppler})
    rows, columns = np.arange(grid.rows)[:, None], np.arange(grid.columns)
    point = rdr2geo_height(grid, rows, columns, 700.0)
    r, c = geo2rdr(grid, point)
    assert np.abs(r - rows).max() < 1e-4
    assert np.abs(c - columns).max() < 1e-4
    # The Doppler shift that a point shows at its time is the grid's.
    t = grid.first_time + 40 * grid.time_step
    position, velocity, _ = grid.orbit.evaluate(t)
    ray = point[40, 50] - position
    shift = 2 * velocity @ ray / np.linalg.norm(ray) / grid.wavelength
    assert abs(shift - 300) < 40
    _, _, height = from_ecef(point)
    np.testing.assert_allclose(height, 700.0, atol=1e-5)
    # The full geometry on a terrain agrees with it.
    dem = utm_dem(grid, lambda e, n: 700.0 + 0 * e)
    layers = geometry_layers(grid, dem)
    assert np.abs(to_ecef(layers.longitude, layers.latitude, layers.height) - point).max() < 0.01


def hills(e: np.ndarray, n: np.ndarray) -> np.ndarray:
    return 300 + 120 * np.sin(e / 400) * np.cos(n / 500) + 60 * np.sin(n / 170 + e / 300)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("lat", [35.0, 89.95])
def test_layers_lie_on_the_terrain(circular: Make, side: str, lat: float) -> None:
    grid = circular(lat, 179.999, side=side)
    dem = utm_dem(grid, hills)
    layers = geometry_layers(grid, dem, workers=2, block=16)
    clear = layers.mask == 0
    assert clear.mean() > 0.9
    r, c = geo2rdr(grid, to_ecef(layers.longitude, layers.latitude, layers.height))
    rows, columns = np.arange(grid.rows)[:, None], np.arange(grid.columns)
    assert np.abs(r - rows)[clear].max() < 0.01
    assert np.abs(c - columns)[clear].max() < 0.01
    assert np.abs(dem.sample(layers.longitude, layers.latitude) - layers.height)[clear].max() < 0.01
    # Incidence: the law of cosines on the sphere of the place, to the ellipsoid's deflection.
    position, _, _ = grid.orbit.evaluate(grid.middle_time)
    point = to_ecef(layers.longitude[40, 50], layers.latitude[40, 50], layers.height[40, 50])
    ray = (position - point) / np.linalg.norm(position - point)
    lam, phi = np.radians(layers.longitude[40, 50]), np.radians(layers.latitude[40, 50])
    up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    assert abs(np.degrees(np.arccos(ray @ up)) - layers.incidence_angle[40, 50]) < 0.01


def test_local_incidence_of_a_plane(circular: Make) -> None:
    grid = circular(35.0, 20.0)
    slope = np.array([0.15, -0.1])
    dem = utm_dem(grid, lambda e, n: 400 + slope[0] * e + slope[1] * n)
    layers = geometry_layers(grid, dem)
    r, c = 40, 50
    lam, phi = np.radians(layers.longitude[r, c]), np.radians(layers.latitude[r, c])
    up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    east = np.array([-np.sin(lam), np.cos(lam), 0.0])
    north = np.cross(up, east)
    normal = up - slope[0] * east - slope[1] * north
    normal /= np.linalg.norm(normal)
    position, _, _ = grid.orbit.evaluate(grid.first_time + r * grid.time_step)
    point = to_ecef(layers.longitude[r, c], layers.latitude[r, c], layers.height[r, c])
    ray = (position - point) / np.linalg.norm(position - point)
    assert abs(np.degrees(np.arccos(normal @ ray)) - layers.local_incidence_angle[r, c]) < 0.02


def peaks(e: np.ndarray, n: np.ndarray) -> np.ndarray:
    return (
        100
        + 900 * np.exp(-((e + 300) ** 2 + n**2) / (2 * 250.0**2))
        + 500 * np.exp(-((e - 700) ** 2 + (n - 250) ** 2) / (2 * 120.0**2))
    )


def _cast(grid: RadarGrid, dem: Dem, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Layover and shadow of one line by brute force: march along the ground, test every ray for blocking.

    Independent of the layers: a dense fan of places along the line, each with its own ray to the
    satellite, which is checked against the terrain point by point.
    """
    position, velocity, _ = grid.orbit.evaluate(grid.first_time + row * grid.time_step)
    # Places on the line's zero-Doppler plane, by bisection of the height along the plane's verticals.
    ranges = np.linspace(
        grid.first_range - 2500, grid.first_range + grid.columns * grid.range_step + 2500, 5000
    )
    ground = rdr2geo_height(
        grid, np.full(ranges.size, float(row)), (ranges - grid.first_range) / grid.range_step, 0.0
    )
    lon, lat, _ = from_ecef(ground)
    forward = velocity / np.linalg.norm(velocity)
    for _ in range(4):
        point = to_ecef(lon, lat, dem.sample(lon, lat))
        # Slide the place along the flight until it is in the plane.
        point = point - ((point - position) @ forward)[:, None] * forward
        lon, lat, _ = from_ecef(point)
    height = dem.sample(lon, lat)
    point = to_ecef(lon, lat, height)
    good = np.isfinite(height)
    point = point[good]
    distance = np.linalg.norm(point - position, axis=1)
    lit = np.ones(distance.size, dtype=bool)
    fractions = np.linspace(0.0, 1.0, 250)[1:]
    step = 3500.0  # metres of the ray near the ground
    for k in range(distance.size):
        ray = (position - point[k]) / distance[k]
        along = point[k] + (fractions * step)[:, None] * ray
        x, y, z = from_ecef(along)
        terrain = dem.sample(x, y)
        lit[k] = not np.any(terrain[np.isfinite(terrain)] > z[np.isfinite(terrain)] + 0.02)
    column = (distance - grid.first_range) / grid.range_step
    layover, shadow = np.zeros(grid.columns, bool), np.zeros(grid.columns, bool)
    for c in range(grid.columns):
        crossing = np.flatnonzero((column[:-1] - c) * (column[1:] - c) <= 0)
        bright = sum(bool(lit[i] and lit[i + 1]) for i in crossing)
        layover[c] = bright > 1
        shadow[c] = crossing.size > 0 and not any(lit[i] or lit[i + 1] for i in crossing)
    return layover, shadow


@pytest.mark.parametrize(("side", "look"), [("right", 25.0), ("left", 55.0)])
def test_layover_and_shadow_by_ray_casting(circular: Make, side: str, look: float) -> None:
    grid = circular(35.0, 20.0, side=side, look=look, shape=(40, 260), spacing=(40.0, 8.0))
    dem = utm_dem(grid, peaks, spacing=25.0)
    layers = geometry_layers(grid, dem)
    seen = np.zeros(2, dtype=int)
    wrong = total = 0
    for row in (14, 22):
        layover, shadow = _cast(grid, dem, row)
        mine = layers.mask[row]
        known = mine != int(Flag.NODATA)
        wrong += int((((mine & int(Flag.LAYOVER)) != 0) != layover)[known].sum())
        wrong += int((((mine & int(Flag.SHADOW)) != 0) != shadow)[known].sum())
        total += int(known.sum())
        seen += layover.sum(), shadow.sum()
    assert seen[0 if look < 40 else 1] > 30
    # Only pixels on the very edges differ.
    assert wrong <= 0.02 * total


def test_whole_equals_tiles(circular: Make) -> None:
    grid = circular(35.0, 20.0)
    dem = utm_dem(grid, peaks)
    whole = geometry_layers(grid, dem)
    part = geometry_layers(grid.crop(30, 50, 0, grid.columns), dem)
    np.testing.assert_allclose(whole.longitude[30:50], part.longitude, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(whole.mask[30:50], part.mask)


def test_one_row_one_column_and_holes(circular: Make) -> None:
    grid = circular(35.0, 20.0, shape=(1, 40))
    dem = utm_dem(grid, lambda e, n: np.where(np.abs(e) < 60, np.nan, 100.0))
    layers = geometry_layers(grid, dem)
    hole = layers.mask[0] == int(Flag.NODATA)
    assert hole.any()
    assert not hole.all()
    assert np.isnan(layers.height[0][hole]).all()
    assert np.isfinite(layers.height[0][~hole]).all()
    one = geometry_layers(grid.crop(0, 1, 3, 4), dem)
    assert one.height.shape == (1, 1)


def test_orbit_refuses_damage() -> None:
    import datetime as dt

    t = np.arange(5.0)
    position = np.array([7e6, 0, 0]) + t[:, None] * np.array([0, 7500.0, 0])
    velocity = np.tile([0, 7500.0, 0], (5, 1))
    Orbit(dt.datetime(2020, 1, 1), t, position, velocity)
    for bad in (
        (t[::-1], position, velocity),
        (t[:1], position[:1], velocity[:1]),
        (t, position * 0.1, velocity),
        (t, position, velocity * 3),
        (t, np.where(np.arange(5)[:, None] == 2, np.nan, position), velocity),
    ):
        with pytest.raises(InputError, match="orbit"):
            Orbit(dt.datetime(2020, 1, 1), *bad)


def sections(grid: RadarGrid, dem: Dem) -> tuple[np.ndarray, np.ndarray]:
    slant, height = trace_sections(grid, dem, *sections_width(grid, dem))
    return slant.astype(np.float64), height.astype(np.float64)


def test_the_section_of_level_ground_is_a_point_a_pixel(circular: Make) -> None:
    grid = circular(35.0, 20.0)
    slant, height = sections(grid, utm_dem(grid, lambda e, n: 300.0 + 0 * e))
    np.testing.assert_allclose(height, 300.0, atol=1e-3)
    np.testing.assert_allclose(np.diff(slant, axis=1), 1.0, atol=1e-4)
    assert slant[:, 0].max() <= 0
    assert slant[:, -1].min() >= grid.columns - 1


@pytest.mark.parametrize(("side", "look"), [("right", 25.0), ("left", 55.0)])
def test_sections_lie_on_the_terrain_in_layover_and_shadow_too(
    circular: Make, side: str, look: float
) -> None:
    grid = circular(35.0, 20.0, side=side, look=look, shape=(40, 260), spacing=(40.0, 8.0))
    dem = utm_dem(grid, peaks, spacing=25.0)
    layers = geometry_layers(grid, dem)
    slant, height = sections(grid, dem)
    for row in (14, 22):
        good = np.isfinite(height[row])
        place = rdr2geo_height(grid, np.full(good.sum(), float(row)), slant[row, good], height[row, good])
        lon, lat, _ = from_ecef(place)
        error = dem.sample(lon, lat) - height[row, good]
        error = error[np.isfinite(error)]
        assert np.sqrt(np.mean(error**2)) < 0.1
        assert np.abs(error).max() < 1.0
        # Where the section goes back, the pixels are in layover.
        back = slant[row, 1:] < slant[row, :-1]
        inside = back & (slant[row, 1:] > 0) & (slant[row, :-1] < grid.columns - 1)
        if look < 40:
            assert inside.sum() > 10
            assert ((layers.mask[row, np.rint(slant[row, 1:][inside]).astype(int)] & 1) != 0).mean() > 0.9
        # Ground in shadow is there: the section has no jump, the pixels have.
        along = slant[row, good] * np.sin(np.radians(look))
        assert np.abs(np.diff(along)).max() < 8


def test_sections_by_tiles_of_one_row_and_with_holes(circular: Make) -> None:
    grid = circular(35.0, 20.0)
    dem = utm_dem(grid, peaks)
    whole = trace_sections(grid, dem, *sections_width(grid, dem))
    part = trace_sections(grid.crop(30, 31, 0, grid.columns), dem, *sections_width(grid, dem))
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_allclose(a[30:31], b, rtol=0, atol=1e-3)
    dem = utm_dem(grid, lambda e, n: np.where(np.abs(e) < 60, np.nan, 100.0))
    slant, height = sections(grid.crop(0, 1, 0, grid.columns), dem)
    assert slant.shape[0] == 1
    assert np.isnan(height).any()
    np.testing.assert_array_equal(np.isnan(slant), np.isnan(height))
    np.testing.assert_allclose(height[np.isfinite(height)], 100.0, atol=1.0)
