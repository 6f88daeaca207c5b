"""Simulated stacks as files, with their truth beside them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TypedDict

import numpy as np

from mosart.errors import InputError
from mosart.io.flat import write_flat
from mosart.io.netcdf import write_dataset
from mosart.simulate import Radiometry, Simulation, Terrain, collapse, island, simulate
from mosart.simulate.presets import REPEAT
from mosart.simulate.relief import plateau, texture

from .info import size_text
from .plan import geometry_text

#: A dip as deep as the ground is wide, or more, is no change but a mistake.
LARGEST_CHANGE = 500.0


class _View(TypedDict):
    """What every scene takes."""

    look_direction: str
    heading: float | None
    radiometry: Radiometry | None
    metadata: bool
    seed: int


def simulate_file(
    out: Path,
    *,
    terrain: str | Path = "crater",
    sensor: str = "terrasar-x",
    dates: int = 6,
    change: float = 25.0,
    looks: float | None = None,
    look_direction: str = "right",
    heading: float | None = None,
    seed: int = 0,
) -> str:
    """Simulate a stack, write it as the original's flat HDF5, and its truth as netCDF beside it.

    Parameters
    ----------
    out : Path
        HDF5 file to write; the truth is ``NAME_truth.nc`` in the same folder.
    terrain : str or Path
        ``crater``, ``island``, or the path of a DEM as GeoTIFF.
    sensor : str
        Preset; it counts for a DEM, the named scenes are TerraSAR-X's.
    dates : int
        Number of images, eleven days apart.
    change : float
        Metres by which the ground sinks (crater, DEM: in the middle) or fills (island).
    looks : float, optional
        Looks of the speckle, 0 for none; the sensor's if not given.
    look_direction : str
        ``right`` or ``left``.
    heading : float, optional
        Degrees clockwise from north; the sensor's ascending pass if not given.
    seed : int
        The same seed gives the same file.

    Returns
    -------
    str
        What was written, for people.

    Raises
    ------
    InputError
        If a number cannot be, or a file cannot be read or written.
    """
    if dates < 2:
        raise InputError("dates: a change needs two", expected="2 or more", got=str(dates), hint="--dates 2")
    if not abs(change) <= LARGEST_CHANGE:
        raise InputError("change: too large", expected=f"at most {LARGEST_CHANGE:.0f} m", got=f"{change} m")
    if looks is not None and looks < 0:
        raise InputError("looks: cannot be negative", expected="0 (no speckle) or more", got=str(looks))
    radiometry = None if looks is None else Radiometry(looks=looks or float("inf"), gain=0.3)
    view: _View = {
        "look_direction": look_direction,
        "heading": heading,
        "radiometry": radiometry,
        "metadata": False,
        "seed": seed,
    }
    if terrain == "crater":
        simulation = collapse(depth=change, before=dates // 2, after=dates - dates // 2, **view)
    elif terrain == "island":
        simulation = island(dates=dates, change=change, shape=(300, 700), box=(150, 550, 80, 220), **view)
    else:
        simulation = _over_dem(Path(terrain), sensor, dates, change, view)
    truth = out.with_name(f"{out.stem}_truth.nc")
    write_flat(simulation.stack, out)
    write_dataset(simulation.truth.assign(_lonlat(simulation)), truth)
    frame, stack = simulation.frame, simulation.stack
    geometry = geometry_text(frame, "").split(";")[0]
    return (
        f"{out}: {size_text(stack)}, {stack.dates[0]:%Y%m%d} to {stack.dates[-1]:%Y%m%d}\n"
        f"{truth}: the true change, and what layover or shadow hides\n"
        f"geometry: {geometry}\n"
        f"next: mosart run --stack {out} --out OUT"
    )


def _over_dem(path: Path, sensor: str, dates: int, change: float, view: _View) -> Simulation:
    if not path.exists():
        raise InputError(
            f"terrain: {path} is neither a scene nor a file",
            expected="crater, island or a GeoTIFF",
            got=str(path),
        )
    ground = Terrain.from_geotiff(path, fill=0.0)
    x, y = ground.x[None, :], ground.y[:, None]
    radius = 0.08 * min(np.ptp(ground.x), np.ptp(ground.y))
    sunk = plateau(x, y, -change, radius, radius)
    days = [dt.date(2019, 1, 15) + k * REPEAT for k in range(dates)]
    changes = {day: None if k < dates // 2 else sunk for k, day in enumerate(days)}
    reflectivity = texture(ground.heights.shape, ground.spacing, seed=view["seed"] + 1)
    return simulate(ground, changes, sensor, reflectivity=reflectivity, **view)


def _lonlat(simulation: Simulation) -> dict[str, object]:
    data = simulation.stack.dataset
    return {name: data[name] for name in ("longitude", "latitude")}
