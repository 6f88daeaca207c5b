"""Simulated products that the tests of coregistration share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from scipy import ndimage

from mosart.geometry.orbit import Dem, RadarGrid, make_dem, rdr2geo_height
from mosart.geometry.orbit.ellipsoid import from_ecef, to_ecef
from mosart.simulate.slc import (
    Burst,
    Ground,
    PointTargets,
    SafeTemplate,
    add_targets,
    make_pixels,
    render_intensity,
    write_safe,
)

pytest.importorskip("eos")
pytest.importorskip("cv2")

FILES = {
    "S1B": "s1b-iw3-slc-vv-20190803t164007-20190803t164032-017424-020c57-006.xml",
    "S1A": "s1a-iw3-slc-vv-20190809t164050-20190809t164115-028495-033896-006.xml",
}
BURST = 4
WGS84 = pyproj.CRS("EPSG:4326")


@dataclasses.dataclass(frozen=True)
class Island:
    """The terrain of Semisopochnoi, moved: ellipsoidal truth and the file a user would have.

    Its heights are above a geoid that lies ``separation`` metres over the ellipsoid in its middle; without
    ``tagged`` the file does not say so.
    """

    dem: Dem
    path: Path
    separation: float


def burst_grid(template: SafeTemplate, index: int = 0) -> RadarGrid:
    """Grid of a burst, from the template's metadata."""
    from mosart.slc import sentinel1

    burst = template.metadata()[index]
    epoch = sentinel1._from_timestamp(burst.burst_times[0]).replace(hour=0, minute=0, second=0, microsecond=0)
    return RadarGrid(
        sentinel1._orbit(burst, epoch),
        (sentinel1._from_timestamp(burst.burst_times[0]) - epoch).total_seconds(),
        template.number("imageAnnotation/imageInformation/azimuthTimeInterval"),
        burst.slant_range_time * 299792458.0 / 2,
        299792458.0 / 2 / burst.range_frequency,
        burst.lines_per_burst,
        burst.samples_per_burst,
        "right",
        burst.wave_length,
    )


@pytest.fixture(scope="session")
def grid_of() -> Callable[..., RadarGrid]:
    return burst_grid


@pytest.fixture(scope="session")
def annotations(data_folder: Path) -> dict[str, Path]:
    return {key: data_folder / "slc" / "sentinel1" / name for key, name in FILES.items()}


@pytest.fixture(scope="session")
def place(annotations: dict[str, Path]) -> tuple[float, float]:
    """Longitude and latitude in the middle of the burst that the tests use."""
    grid = burst_grid(SafeTemplate(annotations["S1B"], range(BURST, BURST + 1)))
    lon, lat, _ = from_ecef(rdr2geo_height(grid, 750.0, 9000.0, 500.0))
    return float(lon), float(lat)


@pytest.fixture(scope="session")
def make_island(data_folder: Path) -> Callable[..., Island]:
    """Move the island somewhere; heights times ``relief``, and a change added.

    With ``tagged`` the file says that its heights are EGM2008's, see the fixture ``geoid``.
    """

    def make(
        path: Path,
        longitude: float,
        latitude: float,
        *,
        relief: float = 1.5,
        separation: float = 33.0,
        change: np.ndarray | None = None,
        tagged: bool = False,
    ) -> Island:
        with rasterio.open(data_folder / "semisopochnoi" / "semisopochnoi_cop30.tif") as source:
            heights = source.read(1)[:, 300:1140].astype(np.float64)
        heights = np.maximum(heights, 0.0) * relief
        # At this latitude the source's cells are 1.5" wide: brought to 1" they are terraces, which a little
        # smoothing makes slopes again.
        heights = ndimage.gaussian_filter(heights, 1.0)
        if change is not None:
            heights = heights + change
        step = 1 / 3600
        stretch = np.cos(np.radians(51.9)) / np.cos(np.radians(latitude))
        dx = step * stretch
        ny, nx = heights.shape
        west = longitude - nx / 2 * dx
        transform = (dx, 0.0, west, 0.0, -step, latitude + ny / 2 * step)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=nx,
            height=ny,
            count=1,
            dtype="float32",
            crs="EPSG:4326+3855" if tagged else "EPSG:4326",
            transform=rasterio.Affine(*transform),
        ) as out:
            out.write(heights.astype(np.float32), 1)
        above: float | np.ndarray = separation
        if tagged:
            above = geoid_height(transform[5] - step * (np.arange(ny) + 0.5))[:, None]
        return Island(make_dem(heights + above, WGS84, transform), path, separation)

    return make


def geoid_height(latitude: np.ndarray) -> np.ndarray:
    """A geoid of our own: it slopes, and PROJ's interpolation between whole degrees gives it exactly."""
    return 33.0 + 2.0 * (latitude - 41.0)


@pytest.fixture
def geoid(as_geoid: Callable[[np.ndarray], None]) -> None:
    """That geoid as PROJ's grid of EGM2008."""
    as_geoid(geoid_height(90.0 - np.arange(181)))


@pytest.fixture(scope="session")
def make_texture() -> Callable[..., Dem]:
    """Reflectivity that stays on the ground: log-normal, about 60 m across."""

    def make(dem: Dem, seed: int = 3, spread: float = 0.5) -> Dem:
        rng = np.random.default_rng(seed)
        field = ndimage.gaussian_filter(rng.normal(size=dem.heights.shape), 1.2)
        field *= spread / field.std()
        return make_dem(np.exp(field), dem.crs, dem.transform)

    return make


@pytest.fixture(scope="session")
def write_date() -> Callable[..., Path]:
    """Write the SAFE of one date: terrain with speckle in a box, and point targets by eos-sar."""

    def write(
        folder: Path,
        template: SafeTemplate,
        box: tuple[int, int, int, int],
        *,
        ground: Ground | None = None,
        points: np.ndarray | None = None,
        level: float = 60.0,
        looks: float = 1.0,
        seed: int = 0,
        **more: Any,
    ) -> Path:
        rng = np.random.default_rng(seed)
        row0, row1, column0, column1 = box
        grid = burst_grid(template).crop(*box)
        band = (327.0 / 486.486, 42.8e6 / 64.345e6)
        if ground is not None:
            intensity = render_intensity(grid, ground, workers=2) * level**2
        else:
            intensity = np.full((row1 - row0, column1 - column0), level**2)
        pixels = make_pixels(intensity, band, rng, looks=looks)
        if points is not None:
            row, column = template.project(0, points)
            add_targets(pixels, PointTargets(row - row0, column - column0, 12000.0), band)
        ramp = template.phase_ramp(0, np.arange(row0, row1), np.arange(column0, column1))
        pixels = (pixels * np.exp(1j * ramp)).astype(np.complex64)
        return write_safe(folder, template, {0: Burst(pixels, row0, column0)}, **more)

    return write


@pytest.fixture(scope="session")
def template_of(annotations: dict[str, Path]) -> Callable[..., SafeTemplate]:
    def make(
        platform: str, turn: float = 0.0, bursts: range = range(BURST, BURST + 1), **more: Any
    ) -> SafeTemplate:
        return SafeTemplate(annotations[platform], bursts, turn, **more)

    return make


@pytest.fixture(scope="session")
def points_on() -> Callable[..., np.ndarray]:
    """Points on a terrain within a box of a grid, clear of layover and shadow."""

    def make(dem: Dem, grid: RadarGrid, count: int, seed: int = 1) -> np.ndarray:
        from mosart.geometry.orbit import geometry_layers

        layers = geometry_layers(grid, dem, workers=2)
        rng = np.random.default_rng(seed)
        found: list[np.ndarray] = []
        taken: list[tuple[int, int]] = []
        for _ in range(count * 200):
            r = int(rng.integers(60, grid.rows - 60))
            c = int(rng.integers(60, grid.columns - 60))
            if layers.mask[r - 30 : r + 31, c - 30 : c + 31].any() or not layers.height[r, c] > 0:
                continue
            if any(abs(r - a) < 90 and abs(c - b) < 90 for a, b in taken):
                continue
            taken.append((r, c))
            # Off the pixel's centre by a random part, on the surface.
            lon = layers.longitude[r, c] + rng.uniform(-4e-5, 4e-5)
            lat = layers.latitude[r, c] + rng.uniform(-4e-5, 4e-5)
            height = dem.sample(np.array([lon]), np.array([lat]))[0]
            found.append(to_ecef(lon, lat, height))
            if len(found) == count:
                break
        return np.array(found)

    return make
