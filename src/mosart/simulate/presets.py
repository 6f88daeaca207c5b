"""Named scenes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .dem import DemError
from .radiometry import Radiometry
from .relief import bump, cone, crater, fractal, plateau, replaced, texture
from .scene import Simulation, simulate
from .sensors import Sensor, get_sensor
from .terrain import Terrain

Array = NDArray[np.float64]
#: TerraSAR-X passes the same place every eleven days.
REPEAT = dt.timedelta(days=11)


def collapse(
    *,
    depth: float = 25.0,
    before: int = 3,
    after: int = 3,
    shape: tuple[int, int] = (300, 600),
    look_direction: str = "right",
    heading: float | None = None,
    radiometry: Radiometry | None = None,
    dem_error: DemError | None = None,
    metadata: bool = True,
    seed: int = 0,
) -> Simulation:
    """Simulate a volcano's crater whose floor collapses, seen by TerraSAR-X: the demo's scene.

    Parameters
    ----------
    depth : float
        Of the collapse, metres, positive down; negative for a growing dome.
    before, after : int
        Number of images before and after it, eleven days apart from 2019-01-15.
    shape : tuple of int
        Azimuth rows and range pixels.
    look_direction, heading, radiometry, dem_error, metadata, seed
        As in :func:`mosart.simulate.simulate`.

    Returns
    -------
    Simulation
        Stack, truth and geometry.
    """
    radar = get_sensor("terrasar-x")
    step = radar.range_spacing / math.sin(math.radians(radar.incidence_angle))
    side = 1.15 * math.hypot(shape[0] * radar.azimuth_spacing, shape[1] * step)
    terrain = Terrain.flat(side, side, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    summit = cone(x, y, 180.0, 420.0) + crater(x, y, 55.0, 130.0)
    terrain = terrain.plus(
        summit + fractal(terrain.heights.shape, terrain.spacing, 2.5, 3.5, longest=300.0, seed=seed)
    )
    sunk = plateau(x, y, -depth, 75.0, 60.0, centre=(10.0, -5.0))
    dates = [dt.date(2019, 1, 15) + k * REPEAT for k in range(before + after)]
    return simulate(
        terrain,
        {date: None if k < before else sunk for k, date in enumerate(dates)},
        radar,
        shape=shape,
        look_direction=look_direction,
        heading=heading,
        reflectivity=texture(terrain.heights.shape, terrain.spacing, seed=seed + 1),
        radiometry=radiometry or Radiometry(gain=0.3),
        dem_error=dem_error,
        metadata=metadata,
        seed=seed,
    )


def dome(
    *,
    height: float = 20.0,
    radii: tuple[float, float] = (140.0, 115.0),
    side: float = 1000.0,
    shape: tuple[int, int] = (140, 250),
    before: int = 4,
    after: int = 4,
    headings: Sequence[float] = (348.0, 192.0),
    radiometry: Radiometry | None = None,
    seed: int = 0,
) -> tuple[Simulation, ...]:
    """Simulate a dome of new rock that several looks see: its texture has nothing of the old.

    Parameters
    ----------
    height : float
        Of the dome, metres.
    radii : tuple of float
        East and north, at which it is 1/e as high, metres.
    side : float
        Of the terrain, metres.
    shape : tuple of int
        Azimuth rows and range pixels of each look.
    before, after : int
        Number of images of each look before and after it, six days apart; each look is a day after the one
        before.
    headings : sequence of float
        Flight direction of each look, degrees clockwise from north, looking right: by default ascending and
        descending.
    radiometry, seed
        As in :func:`mosart.simulate.simulate`.

    Returns
    -------
    tuple of Simulation
        One a look, from 2020-01-01.
    """
    radar = Sensor("stripmap", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "1.8 m × 4 m")
    terrain = Terrain.flat(side, side, 2.0)
    x, y = np.meshgrid(terrain.x, terrain.y)
    cells = terrain.heights.shape
    terrain = terrain.plus(fractal(cells, 2.0, 4.0, 3.6, longest=600.0, seed=seed + 5))
    risen = height * np.exp(-((x / radii[0]) ** 2 + (y / radii[1]) ** 2))
    old, new = (texture(cells, 2.0, seed=seed + k) for k in (6, 7))
    fresh = replaced(old, new, np.clip(np.abs(risen) - 0.5, 0, 1))
    looks = []
    for number, heading in enumerate(headings):
        dates = [dt.date(2020, 1, 1 + number) + dt.timedelta(6 * k) for k in range(before + after)]
        looks.append(
            simulate(
                terrain,
                {date: None if k < before else risen for k, date in enumerate(dates)},
                radar,
                heading=heading,
                shape=shape,
                reflectivity=old,
                new_reflectivity=dict.fromkeys(dates[before:], fresh),
                radiometry=radiometry or Radiometry(gain=0.3),
                seed=seed + 20 + number,
            )
        )
    return tuple(looks)


def island(
    *,
    dates: int = 15,
    shape: tuple[int, int] = (1100, 4700),
    box: tuple[int, int, int, int] = (4200, 4600, 990, 1100),
    change: float = 12.0,
    look_direction: str = "right",
    heading: float | None = None,
    radiometry: Radiometry | None = None,
    metadata: bool = False,
    seed: int = 0,
) -> Simulation:
    """Simulate a small volcanic island in a flat sea, seen by TerraSAR-X.

    Parameters
    ----------
    dates : int
        Number of images, eleven days apart from 2019-06-01; the change grows from the third part of
        them to the last.
    shape : tuple of int
        Azimuth rows and range pixels.
    box : tuple of int
        Range start and stop, azimuth start and stop of the pixels that hold the island; the last eighth
        of its range is sea.
    change : float
        Of the crater's floor at the last date, metres.
    look_direction, heading, radiometry, metadata, seed
        As in :func:`mosart.simulate.simulate`; by default the amplitudes are like raw digital numbers
        (median of the land about 60) and the stack has no metadata, as in the original's files.

    Returns
    -------
    Simulation
        Stack, truth and geometry. In the sea the DEM is 0 exactly.
    """
    radar = get_sensor("terrasar-x")
    step = radar.range_spacing / math.sin(math.radians(radar.incidence_angle))
    heading = radar.heading if heading is None else heading
    # Built along the radar's own axes: u across the flight, v along it, from the image's middle.
    middle_u = ((box[0] + 0.875 * (box[1] - box[0]) + box[0]) / 2 - shape[1] / 2) * step
    middle_v = ((box[2] + box[3]) / 2 - shape[0] / 2) * radar.azimuth_spacing
    half_u = 0.875 * (box[1] - box[0]) * step / 2
    half_v = (box[3] - box[2]) * radar.azimuth_spacing / 2
    a = math.radians(heading)
    east, north = math.sin(a), math.cos(a)
    look = (north, -east) if look_direction == "right" else (-north, east)
    size = 2.4 * max(half_u, half_v)
    centre = (middle_u * look[0] + middle_v * east, middle_u * look[1] + middle_v * north)
    lon, lat = Terrain.flat(1.0, 1.0, longitude=-168.03, latitude=53.93).to_lonlat(*centre)
    terrain = Terrain.flat(size, size, 1.0, longitude=float(lon), latitude=float(lat))
    x, y = terrain.x[None, :], terrain.y[:, None]
    u, v = x * look[0] + y * look[1], x * east + y * north
    hill = 60.0 * np.exp(-1.6 * ((u / half_u) ** 2 + (v / half_v) ** 2)) - 14.0
    radius = 0.4 * min(half_u, half_v)
    hill += crater(u, v, 22.0, radius)
    rough = fractal(terrain.heights.shape, terrain.spacing, 1.2, 3.4, longest=120.0, seed=seed)
    terrain = terrain.plus(hill + rough * np.clip((hill + 14.0) / 20.0, 0.0, 1.0)).flooded(0.0)
    ground = texture(terrain.heights.shape, terrain.spacing, level=0.2, seed=seed + 1)
    # Calm sea: 12 dB below the land, and the same brightness everywhere.
    ground[terrain.sea] = 0.2 * 10.0**-1.2
    filled = bump(u, v, 1.0, 0.7 * radius)
    filled[(filled < 1e-3) | terrain.sea] = 0.0
    first = dates // 3
    changes: dict[dt.date, Array | None] = {}
    for k in range(dates):
        share = max(0, k - first + 1) / max(1, dates - first)
        changes[dt.date(2019, 6, 1) + k * REPEAT] = share * change * filled if share else None
    return simulate(
        terrain,
        changes,
        radar,
        shape=shape,
        centre=(-centre[0], -centre[1], 0.0),
        look_direction=look_direction,
        heading=heading,
        reflectivity=ground,
        radiometry=radiometry or Radiometry(gain=0.3, scale=130.0),
        metadata=metadata,
        seed=seed,
    )
