"""The scene classes: each a name and everything that defines it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from mosart.simulate import DemError, Radiometry, Sensor, Simulation, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture
from mosart.simulate.sensors import SENSORS

Array = NDArray[np.float64]

#: Seeds that constants may be looked at on, and seeds that are run once, for the table.
DEVELOPMENT_SEEDS = tuple(range(100, 105))
FINAL_SEEDS = tuple(range(9300, 9305))

#: A sensor of the spacings at which the real dome of Mount St. Helens fills the image.
DOME_SENSOR = Sensor(
    "stripmap, 1.8 m × 4 m", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the dome of Mount St. Helens"
)
START = dt.date(2019, 1, 8)
REPEAT = dt.timedelta(days=11)


@dataclass(frozen=True)
class Case:
    """A class of scenes.

    Parameters
    ----------
    name : str
        Of the class.
    shape : str
        ``pit``, ``dome``, ``none``, ``terrace``, ``flow``, ``slide`` or ``helens`` (the real dome).
    size : float
        Largest change, metres; drawn from 5 to 25 with the seed where 0. Of ``helens`` the 99.9th
        percentile of |change|; negative: a hole of that shape.
    sensor : str
        ``terrasar-x``, ``sentinel-1``, ``alos`` or ``dome``.
    dates : int
        Images before, and after.
    rough : bool
        Rough relief.
    texture : float
        Standard deviation of log reflectivity.
    law : float
        Exponent of the scattering law.
    new : bool
        Whether the texture is new where the ground changed.
    decibel : float
        Brightness of the changed ground against the old.
    dem : str
        ``exact``, ``noisy``, ``smoothed``, ``offset`` or ``shifted``.
    oversampling : float
        Of the speckle, in both directions.
    look : str
        ``right`` or ``left``.
    heading, incidence : float or None
        Degrees; the sensor's where None.
    rows, pixels : int
        Of the image.
    """

    name: str
    shape: str = "dome"
    size: float = 0.0
    sensor: str = "terrasar-x"
    dates: int = 2
    rough: bool = False
    texture: float = 0.5
    law: float = 1.0
    new: bool = False
    decibel: float = 0.0
    dem: str = "exact"
    oversampling: float = 1.0
    look: str = "right"
    heading: float | None = None
    incidence: float | None = None
    rows: int = 128
    pixels: int = 640

    @property
    def radar(self) -> Sensor:
        """The sensor."""
        sensor = DOME_SENSOR if self.sensor == "dome" else SENSORS[self.sensor]
        return sensor if self.incidence is None else replace(sensor, incidence_angle=self.incidence)

    @property
    def pixel(self) -> float:
        """Ground range of a pixel, metres."""
        return self.radar.range_spacing / float(np.sin(np.deg2rad(self.radar.incidence_angle)))

    @property
    def dates_before(self) -> list[dt.date]:
        """Dates of the reference."""
        return [START + k * REPEAT for k in range(self.dates)]

    @property
    def dates_after(self) -> list[dt.date]:
        """Dates of the epoch."""
        return [START + (self.dates + k) * REPEAT for k in range(self.dates)]


def _dem_error(case: Case, seed: int, scale: float) -> DemError:
    return {
        "exact": DemError(),
        "noisy": DemError(noise=1.0 * scale, correlation=15 * scale, seed=seed),
        "smoothed": DemError(smoothing=10 * scale, seed=seed),
        "offset": DemError(offset=8.0 * scale),
        "shifted": DemError(east=3.0 * scale, north=2.0 * scale),
    }[case.dem]


def _directions(case: Case, x: Array, y: Array) -> tuple[Array, Array]:
    """Positions along ground range and along the flight."""
    heading = case.radar.heading if case.heading is None else case.heading
    flight = np.deg2rad(heading)
    look = np.deg2rad(heading + (90 if case.look == "right" else -90))
    return x * np.sin(look) + y * np.cos(look), x * np.sin(flight) + y * np.cos(flight)


def change_of(case: Case, seed: int, at: tuple[Array, Array], scale: float, spacing: float) -> Array:
    """Change of the ground, metres, of a class's shape, with the seed's size and place.

    Parameters
    ----------
    case : Case
        The class.
    seed : int
        Of size, place and lobes.
    at : tuple of ndarray
        Position along the look and along the flight, metres.
    scale : float
        Lengths against those of a TerraSAR-X scene.
    spacing : float
        Of the grid, metres.
    """
    g, a = at
    rng = np.random.default_rng(seed + 17)
    length = case.rows * case.radar.azimuth_spacing
    g = g - rng.uniform(-0.12, 0.12) * case.pixels * case.pixel
    a = a - rng.uniform(-0.12, 0.12) * length
    size = case.size if case.size else rng.uniform(5.0, 20.0)
    wide, long = 40.0 * scale, min(30.0 * scale, 0.12 * length)
    if case.shape == "none":
        return np.zeros_like(g)
    if case.shape == "pit":
        return np.asarray(-size * np.exp(-((g / wide) ** 2 + (a / long) ** 2) / 2))
    if case.shape == "dome":
        return np.asarray(size * np.exp(-(((g / (1.9 * wide)) ** 2 + (a / (1.7 * long)) ** 2) ** 2)))
    lobes = fractal(g.shape, spacing, 1.0, 3.0, seed=seed + 7, longest=200 * scale)
    q = np.hypot(g / (1.75 * wide), a / (2 * long)) + 0.18 * lobes

    def step(t: Array, width: float) -> Array:
        return np.asarray(1 / (1 + np.exp(np.clip(-t / width, -40, 40))))

    if case.shape == "terrace":
        return np.asarray(-0.43 * size * step(1 - q, 0.03) - 0.57 * size * step(0.6 - q, 0.03))
    if case.shape == "flow":
        return np.asarray(size * step(1 - q, 0.05) * (1 + 0.3 * np.clip(lobes, -2, 2)) / 1.3)
    if case.shape == "slide":
        scar = np.exp(-(((g + 1.5 * wide) / wide) ** 2) - (a / (1.6 * long)) ** 2)
        toe = np.exp(-(((g - 1.25 * wide) / (1.25 * wide)) ** 2) - (a / (1.5 * long)) ** 2)
        return np.asarray(-size * scar + 0.8 * size * toe)
    raise ValueError(case.shape)


def data_folder() -> Path:
    """Where the real data lie."""
    return Path(os.environ.get("MOSART_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def helens(case: Case, seed: int, g: Array, a: Array) -> tuple[Array, Array]:
    """Heights of the crater and the real dome's change, turned by the seed's angle."""
    with np.load(data_folder() / "msh_dome" / "msh_dome_dems.npz") as file:
        before, dates, change = file["dem_2000"].astype(float), file["dates"].astype(str), file["dz"]
        pick = ("2006-08-18", "2005-02-21", "2005-10-12")[seed % 3]
        index = next(d for d in range(1, len(dates)) if dates[d] >= pick) - 1
        patch = change[index].astype(float)
    feather = np.clip(distance_transform_edt(patch != 0) / 6, 0, 1)
    patch = gaussian_filter(patch, 1.0) * feather**2 * (3 - 2 * feather)
    patch *= case.size / np.percentile(np.abs(patch[patch != 0]), 99.9)
    turn = np.deg2rad((37.0 + 53.0 * seed) % 360)
    at = [
        142 + (g * np.cos(turn) + a * np.sin(turn)) / 10,
        338 + (g * np.sin(turn) - a * np.cos(turn)) / 10,
    ]
    at = [at[1], at[0]]
    height = map_coordinates(before, at, order=3, mode="nearest")
    return height, map_coordinates(patch, at, order=1, mode="constant")


def simulate_case(case: Case, seed: int) -> Simulation:
    """Simulate a scene of a class.

    Parameters
    ----------
    case : Case
        The class.
    seed : int
        Of everything random.

    Returns
    -------
    Simulation
        Stack, truth and geometry.
    """
    scale = case.pixel / 1.477  # sizes of TerraSAR-X scenes, in their ground pixels
    radar = case.radar
    spacing = max(1.0, 0.5 * min(case.pixel, 2 * radar.azimuth_spacing))
    side = 1.1 * float(np.hypot(case.rows * radar.azimuth_spacing, case.pixels * case.pixel)) + 150 * scale
    terrain = Terrain.flat(side, side, spacing)
    x, y = np.meshgrid(terrain.x, terrain.y)
    g, a = _directions(case, x, y)
    shape = terrain.heights.shape
    if case.shape == "helens":
        height, change = helens(case, seed, g, a)
        fine = fractal(shape, spacing, 0.8, 3.2, longest=80.0, seed=seed)
        terrain = terrain.plus(height + fine)
    else:
        r = np.hypot(g, 0.6 * a)
        cone = 88 * scale * np.exp(-((r / (240 * scale)) ** 2)) - 31 * scale * np.exp(
            -((r / (90 * scale)) ** 2)
        )
        rms = (5.0 if case.rough else 3.0) * scale * (1.0 if case.sensor == "terrasar-x" else 0.8)
        cone = cone * (0.6 if case.rough else 1.0)
        relief = fractal(shape, spacing, rms, 3.4 if case.rough else 3.6, longest=1000 * scale, seed=seed)
        terrain = terrain.plus(cone + relief)
        change = change_of(case, seed, (g, a), scale, spacing)
    rho = texture(shape, spacing, spread=case.texture, seed=seed + 1) if case.texture else np.full(shape, 0.2)
    largest = max(float(np.abs(change).max()), 1e-9)
    after = rho
    if case.new or case.decibel:
        fresh = texture(shape, spacing, spread=case.texture, seed=seed + 2) if case.new else None
        share = (
            np.clip((np.abs(change) - 0.6) / 0.8, 0, 1)
            if case.new
            else np.clip(3 * np.abs(change) / largest, 0, 1)
        )
        after = replaced(rho, fresh, share, decibel=case.decibel)
    changes: dict[dt.date, Array | None] = dict.fromkeys(case.dates_before)
    changes |= dict.fromkeys(case.dates_after, change)
    return simulate(
        terrain,
        changes,
        radar,
        heading=case.heading,
        look_direction=case.look,
        shape=(case.rows, case.pixels),
        law=case.law,
        reflectivity=rho,
        new_reflectivity=dict.fromkeys(case.dates_after, after) if after is not rho else None,
        radiometry=Radiometry(gain=0.4, row_gain=0.1, oversampling=(case.oversampling, case.oversampling)),
        dem_error=_dem_error(case, seed, scale if case.shape != "helens" else 1.0),
        seed=seed,
    )


def cases() -> Iterator[Case]:  # noqa: PLR0912 - a list
    """All classes.

    Yields
    ------
    Case
        In the order of the table.
    """
    for size in (1.0, 2.0, 4.0, 8.0, 15.0, 25.0):
        yield Case(f"dome {size:g} m", size=size, rough=True, dates=4)
        yield Case(f"pit {size:g} m", shape="pit", size=size, dates=4)
    for dates in (1, 2, 4, 10):
        yield Case(f"dome {dates}+{dates}", dates=dates, rough=True)
        yield Case(f"pit {dates}+{dates}", shape="pit", dates=dates)
    yield Case("none smooth", shape="none")
    yield Case("none rough 4+4", shape="none", rough=True, dates=4)
    yield Case("none sentinel-1", shape="none", sensor="sentinel-1", dates=4)
    for sensor in ("sentinel-1", "alos"):
        yield Case(f"{sensor} pit 4+4", shape="pit", sensor=sensor, dates=4, size=15.0)
        yield Case(f"{sensor} dome rough 10+10", sensor=sensor, dates=10, rough=True, size=15.0)
    yield Case("uniform pit", shape="pit", texture=0.0, rough=True)
    yield Case("uniform dome 4+4", texture=0.0, dates=4)
    for law in (0.0, 2.0):
        yield Case(f"law {law:g} dome", law=law, rough=True)
        yield Case(f"law {law:g} pit 4+4", shape="pit", law=law, dates=4)
    for decibel in (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0):
        yield Case(f"dome {decibel:+g} dB", decibel=decibel, dates=4, rough=True)
        if abs(decibel) == 2:
            yield Case(f"pit {decibel:+g} dB", shape="pit", decibel=decibel, dates=4)
    for dem in ("noisy", "smoothed", "offset", "shifted"):
        yield Case(f"{dem} DEM dome", dem=dem, dates=4, rough=True)
        yield Case(f"{dem} DEM pit", shape="pit", dem=dem, dates=4)
    yield Case("correlated speckle dome", oversampling=1.4, dates=4, rough=True)
    yield Case("correlated speckle pit", shape="pit", oversampling=1.4, dates=4)
    for shape in ("terrace", "flow", "slide"):
        yield Case(f"sharp {shape}", shape=shape, size=12.0, dates=4, rough=True)
        yield Case(f"sharp {shape} smooth 2+2", shape=shape, size=12.0)
    yield Case("left look dome", look="left", heading=190.0, dates=4, rough=True)
    yield Case("left look pit", shape="pit", look="left", dates=4)
    yield Case("heading 247 dome 33°", heading=247.0, incidence=33.0, dates=4, rough=True)
    yield Case("heading 78 pit 45°", shape="pit", heading=78.0, incidence=45.0, dates=4)
    helens = Case("", shape="helens", sensor="dome", dates=4, rows=280, pixels=480)
    for size in (10.0, 20.0, 40.0, 80.0, 120.0, 200.0):
        yield replace(helens, name=f"helens {size:g} m", size=size)
    for size in (10.0, 40.0, 80.0, 120.0, 200.0):
        yield replace(
            helens, name=f"helens {size:g} m left 42°", size=size, look="left", heading=169.0, incidence=42.0
        )
    yield replace(helens, name="helens 40 m 1+1", size=40.0, dates=1)
    yield replace(helens, name="helens -40 m", size=-40.0)
    yield replace(helens, name="helens -120 m", size=-120.0)
    for size, decibel in ((20.0, 2.0), (40.0, 2.0), (80.0, -2.0), (120.0, -2.0)):
        yield replace(helens, name=f"helens {size:g} m {decibel:+g} dB", size=size, decibel=decibel)
    for size in (10.0, 40.0, 80.0, 120.0, 200.0):
        for decibel in (-2.0, 0.0, 2.0):
            yield replace(
                helens, name=f"new rock {size:g} m {decibel:+g} dB", size=size, decibel=decibel, new=True
            )
