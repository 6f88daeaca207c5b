"""Where an image lies over a terrain."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .radar import Swath
from .sensors import Sensor
from .terrain import Terrain

#: Facets a range bin's length on the ground, and the longest facet in metres: fine against bin and relief.
FACETS_PER_BIN = 2.0
LONGEST_FACET = 1.0


def place(
    terrain: Terrain,
    sensor: Sensor,
    heading: float,
    look_direction: str,
    *,
    shape: tuple[int, int] | None = None,
    centre: tuple[float, ...] = (0.0, 0.0),
) -> Swath:
    """Lay an image over a terrain.

    Parameters
    ----------
    terrain : Terrain
        The ground.
    sensor : Sensor
        Incidence and spacings.
    heading : float
        Degrees clockwise from north.
    look_direction : str
        ``"right"`` or ``"left"``.
    shape : tuple of int, optional
        Rows and range bins; the largest image within the terrain if not given.
    centre : tuple of float
        Ground position of the middle, metres, and its height. Without a height, that of the terrain
        where a shape is given, else the median along the terrain's edge.

    Returns
    -------
    Swath
        Rows and bins.

    Raises
    ------
    InputError
        If the look direction is none, or the terrain is smaller than a pixel.
    """
    theta = math.radians(sensor.incidence_angle)
    step = sensor.range_spacing / math.sin(theta)
    empty = Swath(
        sensor.incidence_angle, sensor.range_spacing, sensor.azimuth_spacing, float(heading), look_direction,
        0.0, 0.0, 1, 1, min(step / FACETS_PER_BIN, LONGEST_FACET),
    )  # fmt: skip
    (lx, ly), (fx, fy) = empty.look, empty.flight
    u, v = centre[0] * lx + centre[1] * ly, centre[0] * fx + centre[1] * fy
    h = terrain.heights
    if shape is None:
        half_x, half_y = terrain.x[-1] - abs(centre[0]), terrain.y[-1] - abs(centre[1])
        ratio = np.geomspace(0.01, 100.0, 401)  # half length along the flight over half width across it
        across = np.minimum(half_x / (abs(lx) + abs(fx) * ratio), half_y / (abs(ly) + abs(fy) * ratio))
        best = int(np.argmax(across**2 * ratio))
        shape = (int(2 * across[best] * ratio[best] / sensor.azimuth_spacing), int(2 * across[best] / step))
        level = float(np.median(np.concatenate([h[0], h[-1], h[:, 0], h[:, -1]])))
    else:
        j = int(np.clip(round((centre[1] - terrain.y[0]) / terrain.spacing), 0, h.shape[0] - 1))
        i = int(np.clip(round((centre[0] - terrain.x[0]) / terrain.spacing), 0, h.shape[1] - 1))
        level = float(h[j, i])
    if len(centre) > 2:
        level = float(centre[2])
    middle = u * math.sin(theta) - level * math.cos(theta)
    return replace(
        empty,
        rows=int(shape[0]),
        columns=int(shape[1]),
        first_range=middle - shape[1] * sensor.range_spacing / 2,
        first_azimuth=v - (shape[0] - 1) * sensor.azimuth_spacing / 2,
    )
