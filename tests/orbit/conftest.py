"""Grids and annotations that the tests of the orbit geometry share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mosart.geometry.orbit import Orbit, RadarGrid
from mosart.geometry.orbit.ellipsoid import to_ecef


@pytest.fixture
def read_grid() -> Callable[..., RadarGrid]:
    """The grid of a NISAR-format file."""

    def read(path: Path, side: str) -> RadarGrid:
        with h5py.File(path) as file:
            top = file["science/LSAR"]
            group = top["SLC"] if "SLC" in top else top["RSLC"]
            vectors = group["metadata/orbit"]
            orbit = Orbit(
                dt.datetime(2000, 1, 1),
                vectors["time"][()],
                vectors["position"][()],
                vectors["velocity"][()],
            )
            times = group["swaths/zeroDopplerTime"][()]
            ranges = group["swaths/frequencyA/slantRange"][()]
            wavelength = 299792458.0 / group["swaths/frequencyA/processedCenterFrequency"][()]
        return RadarGrid(
            orbit,
            times[0],
            times[1] - times[0],
            ranges[0],
            ranges[1] - ranges[0],
            times.size,
            ranges.size,
            side,
            float(wavelength),
        )

    return read


@pytest.fixture
def circular() -> Callable[..., RadarGrid]:
    """A grid seen from a circular orbit, over a place on the earth, looking right or left."""

    def make(
        latitude: float = 35.0,
        longitude: float = 20.0,
        *,
        side: str = "right",
        heading: float = 350.0,
        look: float = 35.0,
        shape: tuple[int, int] = (80, 100),
        spacing: tuple[float, float] = (14.0, 7.0),
        altitude: float = 700e3,
        step: float = 10.0,
        **more: Any,
    ) -> RadarGrid:
        spot = to_ecef(longitude, latitude, 0.0)
        earth = float(np.linalg.norm(spot))
        up = spot / earth
        helper = np.array([0, 0, 1.0]) if abs(up[2]) < 0.999 else np.array([1.0, 0, 0])
        east = np.cross(helper, up)
        east /= np.linalg.norm(east)
        north = np.cross(up, east)
        flight = np.cos(np.radians(heading)) * north + np.sin(np.radians(heading)) * east
        right = np.cross(flight, up)
        radius = earth + altitude
        # The satellite passes beside the place: turn the sub-satellite point away from the look side.
        central = np.arcsin(radius / earth * np.sin(np.radians(look))) - np.radians(look)
        sign = 1.0 if side == "right" else -1.0
        below = np.cos(central) * up - sign * np.sin(central) * right
        speed = 7500.0
        t = np.arange(-10, 11) * step
        angle = t[:, None] * speed / radius
        position = radius * (np.cos(angle) * below + np.sin(angle) * flight)
        velocity = speed * (np.cos(angle) * flight - np.sin(angle) * below)
        orbit = Orbit(dt.datetime(2020, 1, 1), t, position, velocity)
        rows, columns = shape
        ground_speed = speed * earth / radius
        place = np.linalg.norm(spot - radius * below)
        return RadarGrid(
            orbit,
            -rows / 2 * spacing[0] / ground_speed,
            spacing[0] / ground_speed,
            float(place) - columns / 2 * spacing[1],
            spacing[1],
            rows,
            columns,
            side,
            0.056,
            **more,
        )

    return make


@pytest.fixture
def sentinel1(data_folder: Path) -> Path:
    """Folder of the real Sentinel-1 annotations."""
    return data_folder / "slc" / "sentinel1"
