"""The scene classes: one ground that changes, and the looks that see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accuracy.scenes import DOME_SENSOR, Case, change_of, helens
from mosart.simulate import Radiometry, Sensor, Simulation, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture
from mosart.simulate.sensors import SENSORS

Array = NDArray[np.float64]

#: Seeds that constants may be looked at on, and seeds that are run once, for the table.
DEVELOPMENT_SEEDS = (*range(200, 205), 9200, 9204, 9205, 9206)
FINAL_SEEDS = (9201, 9202, 9203, 9207, 9208)

START = dt.date(2019, 1, 8)
REPEAT = dt.timedelta(days=11)
#: The dome's change is cut off beyond this distance, over this width, metres: ground that stays must lie
#: around it in every look, or its height hangs on nothing.
DOME_RADIUS, DOME_RIM = 480.0, 100.0
#: Change a day between the looks, share of the whole, where the ground grows.
GROWTH = 0.01


@dataclass(frozen=True)
class View:
    """How one look sees the ground.

    Parameters
    ----------
    heading, incidence : float
        Degrees.
    days : int
        Its images are taken this many days after those of the first look.
    """

    heading: float
    incidence: float = 38.0
    days: int = 1


ASCENDING, DESCENDING = View(348.0, days=0), View(192.0)
OPPOSITE = (ASCENDING, DESCENDING)
CROSSING = (ASCENDING, View(273.0))
SAME_SIDE = (View(348.0, 33.0, days=0), View(350.0, 44.0))
UNEQUAL = (View(348.0, 35.0, days=0), View(192.0, 45.0))


@dataclass(frozen=True)
class Looks:
    """A class of scenes.

    Parameters
    ----------
    name : str
        Of the class.
    shape : str
        ``helens`` (the real dome), ``none``, or a sharp shape of the one-look benchmark.
    size : float
        Largest change, metres; negative: a hole.
    views : tuple of View
        The looks.
    new : bool
        Whether the texture is new where the ground changed.
    decibel : float
        Brightness of the changed ground against the old.
    brighter : float
        Factor of the new rock's brightness in the second look against the first.
    grows : bool
        Whether the ground goes on changing for three days between the looks.
    dates : int
        Images before, and after, of each look.
    law : float
        Exponent of the scattering law.
    sensor : str
        ``dome``, ``sentinel-1`` or ``alos``.
    rows, pixels : int
        Of each image.
    """

    name: str
    shape: str = "helens"
    size: float = 40.0
    views: tuple[View, ...] = OPPOSITE
    new: bool = True
    decibel: float = 0.0
    brighter: float = 1.0
    grows: bool = False
    dates: int = 4
    law: float = 1.0
    sensor: str = "dome"
    rows: int = 280
    pixels: int = 480

    @property
    def radar(self) -> Sensor:
        """The sensor."""
        return DOME_SENSOR if self.sensor == "dome" else SENSORS[self.sensor]

    @property
    def pixel(self) -> float:
        """Ground range of a pixel at the first look, metres."""
        return self.radar.range_spacing / float(np.sin(np.deg2rad(self.views[0].incidence)))

    def days(self, view: View) -> int:
        """Days by which a look's images follow the first look's."""
        return 3 * (view is not self.views[0]) if self.grows else view.days

    def before(self, view: View) -> list[dt.date]:
        """Dates of the reference in one look."""
        return [START + k * REPEAT + dt.timedelta(self.days(view)) for k in range(self.dates)]

    def after(self, view: View) -> list[dt.date]:
        """Dates of the epoch in one look."""
        return [date + self.dates * REPEAT for date in self.before(view)]

    @property
    def reference(self) -> list[dt.date]:
        """Dates of the reference in all looks."""
        return sorted({date for view in self.views for date in self.before(view)})

    @property
    def epoch(self) -> list[dt.date]:
        """Dates of the epoch in all looks."""
        return sorted({date for view in self.views for date in self.after(view)})


def _ground(looks: Looks, seed: int) -> tuple[Terrain, Array, float]:
    """Terrain, its change and the spacing of both."""
    scale = looks.pixel / (DOME_SENSOR.range_spacing / np.sin(np.deg2rad(38.0)))
    spacing = max(1.0, 0.5 * min(looks.pixel, 2 * looks.radar.azimuth_spacing))
    diagonal = np.hypot(looks.rows * looks.radar.azimuth_spacing, looks.pixels * looks.pixel)
    side = 1.1 * float(diagonal) + 150 * scale
    terrain = Terrain.flat(side, side, spacing)
    x, y = np.meshgrid(terrain.x, terrain.y)
    shape = terrain.heights.shape
    one = Case(looks.name, shape=looks.shape, size=looks.size, rows=looks.rows, pixels=looks.pixels)
    if looks.shape == "helens":
        height, change = helens(one, seed, x, y)
        change = change * np.clip((DOME_RADIUS - np.hypot(x, y)) / DOME_RIM, 0, 1)
        return (
            terrain.plus(height + fractal(shape, spacing, 0.8, 3.2, longest=80.0, seed=seed)),
            change,
            spacing,
        )
    r = np.hypot(x, 0.6 * y)
    cone = 88 * scale * np.exp(-((r / (240 * scale)) ** 2)) - 31 * scale * np.exp(-((r / (90 * scale)) ** 2))
    relief = fractal(shape, spacing, 3.0 * scale, 3.6, longest=1000 * scale, seed=seed)
    wide = replace(one, sensor="dome" if looks.sensor == "dome" else looks.sensor)
    change = change_of(wide, seed, (x, y), 2.0 * scale, spacing)
    return terrain.plus(cone + relief), change, spacing


def simulate_looks(looks: Looks, seed: int) -> list[Simulation]:
    """Simulate a scene of a class.

    Parameters
    ----------
    looks : Looks
        The class.
    seed : int
        Of everything random. Texture and ground are the same in all looks, the speckle is not.

    Returns
    -------
    list of Simulation
        Stack, truth and geometry of each look.
    """
    terrain, change, spacing = _ground(looks, seed)
    shape = terrain.heights.shape
    rho = texture(shape, spacing, seed=seed + 1)
    largest = max(float(np.abs(change).max()), 1e-9)
    fresh = texture(shape, spacing, seed=seed + 2) if looks.new else None
    share = (
        np.clip((np.abs(change) - 0.6) / 0.8, 0, 1)
        if looks.new
        else np.clip(3 * np.abs(change) / largest, 0, 1)
    )
    altered = (looks.new or looks.decibel != 0) and looks.shape != "none"
    made = []
    for k, view in enumerate(looks.views):
        decibel = looks.decibel + 10 * np.log10(looks.brighter) * (k == 1)
        after = replaced(rho, fresh, share, decibel=decibel) if altered or decibel else rho
        grown = change * (1 + GROWTH * looks.days(view)) if looks.grows else change
        changes: dict[dt.date, Array | None] = dict.fromkeys(looks.before(view))
        changes |= dict.fromkeys(looks.after(view), grown)
        made.append(
            simulate(
                terrain,
                changes,
                looks.radar,
                heading=view.heading,
                incidence_angle=view.incidence,
                shape=(looks.rows, looks.pixels),
                law=looks.law,
                reflectivity=rho,
                new_reflectivity=dict.fromkeys(looks.after(view), after) if after is not rho else None,
                radiometry=Radiometry(gain=0.4, row_gain=0.1),
                seed=seed + 1000 * k,
            )
        )
        made[-1].stack.dataset.attrs["dem_date"] = START.isoformat()  # one DEM for all looks
    return made


def cases() -> Iterator[Looks]:
    """All classes.

    Yields
    ------
    Looks
        In the order of the table.
    """
    yield Looks("unchanged", shape="none", new=False)
    for size in (10.0, 40.0, 80.0, 120.0, 200.0):
        yield Looks(f"kept {size:g} m", size=size, new=False)
        for decibel in (-2.0, 0.0, 2.0):
            yield Looks(f"new {size:g} m {decibel:+g} dB", size=size, decibel=decibel)
    for size in (40.0, 80.0, 120.0, 200.0):
        new = Looks("", size=size)
        yield replace(new, name=f"35° and 45° {size:g} m", views=UNEQUAL)
        yield replace(new, name=f"brighter by 10 % {size:g} m", brighter=1.1)
        yield replace(new, name=f"growing {size:g} m", grows=True)
        yield replace(new, name=f"law 1.6 {size:g} m", law=1.6)
        yield replace(new, name=f"crossing {size:g} m", views=CROSSING)
        yield replace(new, name=f"same side {size:g} m", views=SAME_SIDE)
    yield Looks("kept 40 m +2 dB", new=False, decibel=2.0)
    yield Looks("new 80 m 2+2", size=80.0, dates=2)
    yield Looks("new 80 m 1+1", size=80.0, dates=1)
    for shape in ("flow", "terrace", "slide", "pit"):
        for size in (10.0, 40.0, 60.0):
            for new in (True, False):
                yield Looks(f"{shape} {size:g} m {'new' if new else 'kept'}", shape=shape, size=size, new=new)
    for sensor in ("alos", "sentinel-1"):
        yield Looks(f"{sensor} dome", shape="dome", sensor=sensor, size=60.0, rows=160, pixels=480)
