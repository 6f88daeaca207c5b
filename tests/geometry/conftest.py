"""Radar grids whose look is known: on a plane, and on the ellipsoid from a real range equation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from mosart.stack import Stack


@dataclass(frozen=True)
class Grid:
    longitude: np.ndarray
    latitude: np.ndarray
    height: np.ndarray

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.longitude, self.latitude, self.height


def _relief(shape: tuple[int, int], rms: float, smooth: float, rng: np.random.Generator) -> np.ndarray:
    h = gaussian_filter(rng.standard_normal(shape), smooth)
    return 500.0 + h * (rms / h.std()) if rms else np.full(shape, 500.0)


@pytest.fixture(scope="session")
def plane_grid() -> Callable[..., Grid]:
    """A grid with one incidence angle everywhere: x = (r + h cos) / sin, laid out by geodesics."""

    def make(
        *, theta=39.0, spacing=2.3, azimuth=14.0, shape=(40, 400), heading=350.0, look="right",
        rms=150.0, smooth=12.0, place=(-163.97, 54.75), noise=0.0, jitter=0.0, seed=0,
    ) -> Grid:  # fmt: skip
        rng = np.random.default_rng(seed)
        rows, size = shape
        angle = np.radians(theta)
        h = _relief(shape, rms, smooth, rng)
        r = (np.arange(size) - 0.5 * (size - 1)) * spacing
        x = (r + (h - 500.0) * np.cos(angle)) / np.sin(angle)
        y = np.broadcast_to(((np.arange(rows) - 0.5 * (rows - 1)) * azimuth)[:, None], x.shape)
        side = np.radians(heading + (90.0 if look == "right" else -90.0))
        along = np.radians(heading)
        east, north = x * np.sin(side) + y * np.sin(along), x * np.cos(side) + y * np.cos(along)
        east, north = east + jitter * rng.standard_normal(shape), north + jitter * rng.standard_normal(shape)
        lon, lat, _ = pyproj.Geod(ellps="WGS84").fwd(
            np.full(x.size, place[0]), np.full(x.size, place[1]),
            np.degrees(np.arctan2(east, north)).ravel(), np.hypot(east, north).ravel(),
        )  # fmt: skip
        return Grid(np.reshape(lon, shape), np.reshape(lat, shape), h + noise * rng.standard_normal(shape))

    return make


@pytest.fixture(scope="session")
def orbit_grid() -> Callable[..., tuple[Grid, np.ndarray, float]]:
    """A grid seen from a satellite over the ellipsoid: every pixel solves the range equation."""
    to_llh = pyproj.Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)
    to_xyz = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)

    def place(radar, down, side, slant, height):
        """Points at a slant range and height in the plane across the track, by secants on the look angle."""
        up = np.linalg.norm(radar) - 6.371e6
        cosine = ((up + 6.371e6) ** 2 + slant**2 - (6.371e6 + height) ** 2) / (2 * slant * (up + 6.371e6))
        look = np.arccos(np.clip(cosine, -1, 1))

        def off(angle):
            points = radar + slant[..., None] * (
                np.cos(angle)[..., None] * down + np.sin(angle)[..., None] * side
            )
            lon, lat, h = to_llh.transform(points[..., 0], points[..., 1], points[..., 2])
            return h - height, lon, lat, points

        before, previous = off(look - 1e-4)[0], look - 1e-4
        for _ in range(8):
            now, lon, lat, points = off(look)
            if np.abs(now).max() < 1e-4:
                break
            step = np.where(np.abs(now - before) > 0, now * (look - previous) / (now - before), 0.0)
            previous, before, look = look, now, look - step
        normal = np.stack(
            [np.cos(np.radians(lat)) * np.cos(np.radians(lon)),
             np.cos(np.radians(lat)) * np.sin(np.radians(lon)), np.sin(np.radians(lat))], axis=-1,
        )  # fmt: skip
        view = (radar - points) / slant[..., None]
        return lon, lat, np.degrees(np.arccos(np.sum(view * normal, axis=-1)))

    def make(
        *, slant=850.0e3, spacing=42.0, azimuth=300.0, shape=(30, 1200), heading=350.0, look="right",
        rms=300.0, smooth=20.0, noise=0.0, seed=0, altitude=700.0e3, at=(-163.0, 54.0), reference=None,
    ):  # fmt: skip
        rng = np.random.default_rng(seed)
        rows, size = shape
        h = _relief(shape, rms, smooth, rng)
        start = np.array(to_xyz.transform(*at, altitude))
        up = start / np.linalg.norm(start)
        east = np.cross([0.0, 0.0, 1.0], up)
        east /= np.linalg.norm(east)
        north = np.cross(up, east)
        flight = np.sin(np.radians(heading)) * east + np.cos(np.radians(heading)) * north
        ranges = slant + (np.arange(size) - 0.5 * (size - 1)) * spacing
        level = np.full(size, np.median(h) if reference is None else reference)
        lon, lat = np.empty(shape), np.empty(shape)
        truth = None
        for row in range(rows):
            turn = (row - 0.5 * (rows - 1)) * azimuth / 6.371e6
            zenith = up * np.cos(turn) + flight * np.sin(turn)
            along = flight * np.cos(turn) - up * np.sin(turn)
            radar = zenith * np.linalg.norm(start)
            side = np.cross(along, zenith) * (1.0 if look == "right" else -1.0)
            lon[row], lat[row], _ = place(radar, -zenith, side, ranges, h[row])
            if row == rows // 2:
                truth = place(radar, -zenith, side, ranges, level)[2]
        return Grid(lon, lat, h + noise * rng.standard_normal(shape)), truth, float(level[0])

    return make


@pytest.fixture(scope="session")
def as_stack() -> Callable[..., Stack]:
    def make(grid: Grid | None, *, height=None, attrs=None, **extra) -> Stack:
        height = grid.height if grid is not None else height
        rows, size = height.shape
        dims = ("azimuth", "range")
        variables = {
            "amplitude": (("date", *dims), np.ones((2, rows, size), np.float32)),
            "height": (dims, height),
            "mask": (("date", *dims), np.zeros((2, rows, size), np.uint8)),
        }
        if grid is not None:
            variables |= {"longitude": (dims, grid.longitude), "latitude": (dims, grid.latitude)}
        variables |= extra
        coords = {
            "date": pd.to_datetime(["2020-01-01", "2020-02-01"]),
            "azimuth": np.arange(rows),
            "range": np.arange(size),
        }
        return Stack(xr.Dataset(variables, coords=coords, attrs=attrs or {}))

    return make
