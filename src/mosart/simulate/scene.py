"""A stack over ground that changes, with the truth beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.frame import LookFrame
from mosart.stack import Stack

from .assemble import assemble
from .dem import DemError
from .placement import place
from .radar import Array, Swath
from .radiometry import Radiometry
from .render import at_ground, code_dem, hidden, render, rows_touched
from .sensors import Sensor, get_sensor
from .terrain import Field, Terrain


@dataclass(frozen=True)
class Simulation:
    """What :func:`simulate` makes.

    Parameters
    ----------
    stack : Stack
        What a user would have: amplitudes and the imperfect DEM coded on the radar grid.
    truth : xarray.Dataset
        On the radar grid, at the fixed ground position that the stack's lon/lat gives a pixel:
        ``elevation_change`` (date, azimuth, range) float32, metres, against the terrain;
        ``hidden`` (date, azimuth, range) bool, in layover or shadow (of the terrain or of the date's
        surface) or out of the image; ``height`` (azimuth, range), the terrain's true height there.
    frame : LookFrame
        The true geometry, also where the stack withholds it.
    swath : Swath
        Where the image lies over the terrain.
    """

    stack: Stack
    truth: xr.Dataset
    frame: LookFrame
    swath: Swath


class View(NamedTuple):
    """One date as the radar sees it, (azimuth, range), with its truth."""

    date: dt.date
    amplitude: NDArray[np.float32]
    elevation_change: Array
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """Everything that determines a simulation; nothing is computed before it is asked for.

    Parameters
    ----------
    terrain, changes, sensor, incidence_angle, heading, look_direction, shape, centre, law, reflectivity, \
new_reflectivity, radiometry, dem_error, metadata, seed
        As in :func:`simulate`.

    Raises
    ------
    InputError
        If there is no date, or something has an impossible value.
    """

    terrain: Terrain
    changes: Mapping[dt.date, Field | None]
    sensor: str | Sensor = "terrasar-x"
    incidence_angle: float | None = None
    heading: float | None = None
    look_direction: str = "right"
    shape: tuple[int, int] | None = None
    centre: tuple[float, ...] = (0.0, 0.0)
    law: float = 1.0
    reflectivity: Field = 0.2
    new_reflectivity: Mapping[dt.date, Field] = field(default_factory=dict)
    radiometry: Radiometry = field(default_factory=Radiometry)
    dem_error: DemError = field(default_factory=DemError)
    metadata: bool = True
    seed: int = 0
    radar: Sensor = field(init=False)
    swath: Swath = field(init=False)

    def __post_init__(self) -> None:
        if not self.changes:
            raise InputError("changes", expected="at least one date", got="none")
        if not self.law >= 0:
            raise InputError("law", expected="m of cosᵐ, at least 0", got=str(self.law))
        stray = sorted(set(self.new_reflectivity) - set(self.changes))
        if stray:
            raise InputError("new_reflectivity", expected="dates of changes", got=", ".join(map(str, stray)))
        radar = get_sensor(self.sensor)
        if self.incidence_angle is not None:
            radar = get_sensor(replace(radar, incidence_angle=self.incidence_angle))
        heading = radar.heading if self.heading is None else self.heading
        swath = place(self.terrain, radar, heading, self.look_direction, shape=self.shape, centre=self.centre)
        object.__setattr__(self, "radar", radar)
        object.__setattr__(self, "swath", swath)
        object.__setattr__(self, "radiometry", self.radiometry.of(radar))

    @property
    def frame(self) -> LookFrame:
        """The true geometry."""
        return LookFrame(
            incidence_angle=np.full(self.swath.columns, self.radar.incidence_angle),
            range_spacing=self.radar.range_spacing,
            azimuth_spacing=self.radar.azimuth_spacing,
            look_direction=self.look_direction,
            heading=self.swath.heading,
            incidence_std_error=0.0,
            source="simulation",
        )

    def code(self) -> tuple[Array, Array]:
        """Code the imperfect DEM on the radar grid.

        Returns
        -------
        ground_range, height : ndarray
            (azimuth, range) metres.
        """
        return code_dem(self.dem_error.apply(self.terrain), self.swath)

    def views(self, ground_range: Array) -> Iterator[View]:
        """Image the dates one after the other.

        Parameters
        ----------
        ground_range : ndarray
            (azimuth, range) metres: the pixels' positions on the ground, for the truth.

        Yields
        ------
        View
            In ascending order of the dates. Arrays are shared between dates on which nothing differs.
        """
        terrain, swath = self.terrain, self.swath
        rho = self.reflectivity
        rho = rho if isinstance(rho, int | float) else terrain.evaluate(rho, "reflectivity")
        base = render(terrain, swath, rho, law=self.law)
        hidden_before = hidden(terrain, swath, ground_range)
        none = np.zeros(base.shape)
        image, change_at, hides = base, none, hidden_before
        last: tuple[Any, Any] = (None, None)
        for date in sorted(self.changes):
            this = self.changes[date], self.new_reflectivity.get(date)
            if this[0] is not last[0] or this[1] is not last[1]:
                image, change_at, hides = base, none, hidden_before
                surface, new = terrain, rho
                touched = np.zeros(terrain.heights.shape, dtype=bool)
                if this[0] is not None:
                    change = terrain.evaluate(this[0], f"change of {date}")
                    surface = replace(terrain, heights=terrain.heights + change)
                    touched |= change != 0
                if this[1] is not None:
                    new = terrain.evaluate(this[1], f"new reflectivity of {date}")
                    touched |= new != rho
                rows = rows_touched(terrain, swath, touched)
                if rows.stop > rows.start:
                    image, change_at, hides = base.copy(), none.copy(), hidden_before.copy()
                    image[rows] = render(surface, swath, new, law=self.law, rows=rows)
                    if this[0] is not None:
                        at = ground_range[rows]
                        hides[rows] |= hidden(surface, swath, at, rows)
                        change_at[rows] = at_ground(terrain, change, swath, at, rows)
            last = this
            amplitude = self.radiometry.amplitude(image, date, swath.incidence_angle, self.seed)
            yield View(date, amplitude, change_at, hides)

    def simulate(self) -> Simulation:
        """Compute it all.

        Returns
        -------
        Simulation
            Stack, truth and geometry, in memory.
        """
        ground_range, height = self.code()
        size = (len(self.changes), *height.shape)
        amplitude, change = np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32)
        hides = np.empty(size, dtype=bool)
        for k, view in enumerate(self.views(ground_range)):
            amplitude[k], change[k], hides[k] = view.amplitude, view.elevation_change, view.hidden
        stack = assemble(self, amplitude, ground_range, height)
        dims = ("date", "azimuth", "range")
        true_height = at_ground(self.terrain, self.terrain.heights, self.swath, ground_range)
        truth = xr.Dataset(
            {
                "elevation_change": (dims, change, {"units": "m", "long_name": "change against the terrain"}),
                "hidden": (dims, hides, {"long_name": "layover, shadow or out of the image"}),
                "height": (dims[1:], true_height, {"units": "m", "long_name": "height of the terrain"}),
            },
            coords=dict(stack.dataset.coords),
            attrs={"source": "simulation", "position": "the ground where the stack's DEM puts the pixel"},
        )
        return Simulation(stack, truth, self.frame, self.swath)


def simulate(
    terrain: Terrain,
    changes: Mapping[dt.date, Field | None],
    sensor: str | Sensor = "terrasar-x",
    *,
    incidence_angle: float | None = None,
    heading: float | None = None,
    look_direction: str = "right",
    shape: tuple[int, int] | None = None,
    centre: tuple[float, ...] = (0.0, 0.0),
    law: float = 1.0,
    reflectivity: Field = 0.2,
    new_reflectivity: Mapping[dt.date, Field] | None = None,
    radiometry: Radiometry | None = None,
    dem_error: DemError | None = None,
    metadata: bool = True,
    seed: int = 0,
) -> Simulation:
    """Simulate the images that a radar takes of ground that changes.

    Parameters
    ----------
    terrain : Terrain
        The ground before any change, and what the DEM shows (but for its errors).
    changes : mapping of datetime.date to array, callable or None
        The dates of the images, and for each the vertical change against the terrain: metres, positive
        where the surface is higher, on the terrain's grid or as a function of its x and y; ``None``
        where nothing has changed.
    sensor : str or Sensor
        ``"terrasar-x"``, ``"sentinel-1"``, ``"alos"``, or a :class:`Sensor`.
    incidence_angle : float, optional
        Degrees; the sensor's if not given.
    heading : float, optional
        Flight direction, degrees clockwise from north; any. That of the sensor's ascending pass if not
        given.
    look_direction : str
        ``"right"`` or ``"left"`` of the flight.
    shape : tuple of int, optional
        Azimuth rows and range pixels; as large as the terrain holds at this heading if not given. The
        terrain's edge goes on outside.
    centre : tuple of float
        Position on the ground, metres east and north of the anchor, of the image's middle; a third number
        is its height, the terrain's there if not given.
    law : float
        m of the scattering law: echo per unit of surface ∝ cosᵐ of the local incidence angle; 1 is
        constant gamma nought, 0 equal per area, 2 Lambert.
    reflectivity : float, array or callable
        ρ, gamma nought for m = 1 (linear power), on the terrain's grid: it belongs to the ground.
    new_reflectivity : mapping of datetime.date to array or callable, optional
        ρ of the dates on which it differs (:func:`mosart.simulate.relief.replaced` makes it).
    radiometry : Radiometry, optional
        Looks, noise, gains, correlation of the speckle, scale; the sensor's looks and noise if not given.
        :data:`mosart.simulate.NOISELESS` for none of them.
    dem_error : DemError, optional
        How the stack's DEM differs from the terrain.
    metadata : bool
        Whether the stack carries the geometry; without it, lon, lat and DEM are all there is, as in the
        original's files.
    seed : int
        The same seed gives the same images, whatever other dates there are.

    Returns
    -------
    Simulation
        Stack, truth and geometry.

    Raises
    ------
    InputError
        If there is no date, or something has the wrong shape or an impossible value.

    Notes
    -----
    Flat Earth and parallel rays: the incidence angle is the same everywhere. See
    :mod:`mosart.simulate.radar` for what is sampled how. An image's intensity, the square of its
    amplitude, is beta nought: for m = 1 and without noise γ·dp/dr.
    """
    return Scene(
        terrain,
        changes,
        sensor,
        incidence_angle=incidence_angle,
        heading=heading,
        look_direction=look_direction,
        shape=shape,
        centre=centre,
        law=law,
        reflectivity=reflectivity,
        new_reflectivity=new_reflectivity or {},
        radiometry=radiometry or Radiometry(),
        dem_error=dem_error or DemError(),
        metadata=metadata,
        seed=seed,
    ).simulate()
