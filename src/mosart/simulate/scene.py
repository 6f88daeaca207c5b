"""A stack over ground that changes, with the truth beside it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry.frame import LookFrame
from ..masks import MASK_ATTRS
from ..stack import ATTRIBUTES, Stack
from .dem import DemError
from .radar import Array, Swath, code, deposit, hide, lattice, sample
from .radiometry import Radiometry
from .sensors import Sensor, get_sensor
from .terrain import Field, Terrain

#: Facets a range bin's ground length, at most a metre: fine against both the bin and the relief.
FACETS_PER_BIN = 2.0
LONGEST_FACET = 1.0
#: Bytes of one chunk of the amplitude.
CHUNK = 16e6


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


def simulate(
    terrain: Terrain,
    changes: Mapping[dt.date, Field | None],
    sensor: str | Sensor = "terrasar-x",
    *,
    incidence_angle: float | None = None,
    heading: float | None = None,
    look_direction: str = "right",
    shape: tuple[int, int] | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
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
        Flight direction, degrees clockwise from north; any. That of the sensor's ascending pass if not given.
    look_direction : str
        ``"right"`` or ``"left"`` of the flight.
    shape : tuple of int, optional
        Azimuth rows and range pixels; as large as the terrain holds at this heading if not given. The
        terrain's edge goes on outside.
    centre : tuple of float
        Position on the ground, metres east and north of the anchor, of the image's middle.
    law : float
        m of the scattering law: echo per unit of surface ∝ cosᵐ of the local incidence angle; 1 is
        constant gamma nought, 0 equal per area, 2 Lambert.
    reflectivity : float, array or callable
        ρ, gamma nought for m = 1 (linear power), on the terrain's grid: it belongs to the ground.
    new_reflectivity : mapping of datetime.date to array or callable, optional
        ρ of the dates on which it differs (:func:`mosart.simulate.relief.replaced` makes it).
    radiometry : Radiometry, optional
        Looks, noise, gains, correlation of the speckle, scale; the sensor's looks and noise if not given.
        :data:`NOISELESS` for none of them.
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
    :mod:`mosart.simulate.radar` for what is sampled how.
    """
    if not changes:
        raise InputError("changes", expected="at least one date", got="none")
    radar = get_sensor(sensor)
    if incidence_angle is not None:
        radar = get_sensor(replace(radar, incidence_angle=incidence_angle))
    if not law >= 0:
        raise InputError("law", expected="m of cosᵐ, at least 0", got=str(law))
    radiometry = radiometry or Radiometry()
    radiometry = replace(
        radiometry,
        looks=radar.looks if radiometry.looks is None else radiometry.looks,
        noise=radar.noise if radiometry.noise is None else radiometry.noise,
    )
    swath = place(
        terrain, radar, radar.heading if heading is None else heading, look_direction, shape, centre
    )
    dem = (dem_error or DemError()).apply(terrain)
    ground_range, height = code_dem(dem, swath)
    amplitude, truth = _dates(
        terrain, changes, reflectivity, new_reflectivity or {}, swath, law, radiometry, seed, ground_range
    )
    dates = np.array(sorted(changes), dtype="datetime64[ns]")
    coords = {"date": dates, "azimuth": np.arange(swath.rows), "range": np.arange(swath.columns)}
    stack = _stack(terrain, radar, swath, amplitude, ground_range, height, radiometry, metadata, coords)
    frame = LookFrame(
        incidence_angle=np.full(swath.columns, radar.incidence_angle),
        range_spacing=radar.range_spacing,
        azimuth_spacing=radar.azimuth_spacing,
        look_direction=look_direction,
        heading=swath.heading,
        incidence_std_error=0.0,
        source="simulation",
    )
    return Simulation(stack, xr.Dataset(truth, coords=coords, attrs={"source": "simulation"}), frame, swath)


def place(
    terrain: Terrain,
    sensor: Sensor,
    heading: float,
    look_direction: str,
    shape: tuple[int, int] | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
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
        Ground position of the middle, metres. With a given shape the ground there, at its own height,
        is imaged in the middle; without, the middle is meant at the median height of the terrain's edge.

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
    middle = u * math.sin(theta) - level * math.cos(theta)
    return replace(
        empty,
        rows=int(shape[0]),
        columns=int(shape[1]),
        first_range=middle - shape[1] * sensor.range_spacing / 2,
        first_azimuth=v - (shape[0] - 1) * sensor.azimuth_spacing / 2,
    )


def render(
    terrain: Terrain, swath: Swath, reflectivity: Field = 1.0, *, law: float = 1.0, rows: slice = slice(None)
) -> Array:
    """Noise-free intensity of a terrain.

    Parameters
    ----------
    terrain : Terrain
        Surface to be seen.
    swath : Swath
        Where the image lies.
    reflectivity : float, array or callable
        ρ on the terrain's grid.
    law : float
        m of the scattering law.
    rows : slice
        Rows to render.

    Returns
    -------
    ndarray
        Beta nought, (rows, range) float64.
    """
    rho = (
        np.full((1, 1), float(reflectivity))
        if isinstance(reflectivity, int | float)
        else terrain.evaluate(reflectivity, "reflectivity")
    )
    if not (rho >= 0).all():
        raise InputError(
            "reflectivity", expected="no negative numbers: linear power, not dB", got=f"{rho.min()}"
        )
    positions = swath.row_positions[rows]
    out = np.zeros((positions.size, swath.columns))
    deposit(terrain.heights, rho, _lattice(terrain, swath), positions, float(law), out)
    return out


def code_dem(dem: Terrain, swath: Swath) -> tuple[Array, Array]:
    """Ground range and height of every pixel, from a DEM.

    Parameters
    ----------
    dem : Terrain
        The DEM.
    swath : Swath
        Where the image lies.

    Returns
    -------
    ground_range, height : ndarray
        (azimuth, range) metres: the nearest lit intersection of the surface with the middle of the bin,
        the nearest at all where none is lit.
    """
    ground_range = np.empty((swath.rows, swath.columns))
    height = np.empty_like(ground_range)
    code(dem.heights, _lattice(dem, swath), swath.row_positions, ground_range, height)
    return ground_range, height


def _lattice(terrain: Terrain, swath: Swath) -> Any:
    return lattice(swath, terrain, float(terrain.heights.min()), float(terrain.heights.max()))


def _dates(
    terrain: Terrain,
    changes: Mapping[dt.date, Field | None],
    reflectivity: Field,
    new_reflectivity: Mapping[dt.date, Field],
    swath: Swath,
    law: float,
    radiometry: Radiometry,
    seed: int,
    ground_range: Array,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Amplitude of every date, and the truth's variables."""
    stray = set(new_reflectivity) - set(changes)
    if stray:
        raise InputError(
            "new_reflectivity", expected="dates of the changes", got=", ".join(map(str, sorted(stray)))
        )
    full = (len(changes), swath.rows, swath.columns)
    amplitude = np.empty(full, dtype=np.float32)
    change_at = np.zeros(full, dtype=np.float32)
    hidden = np.zeros(full, dtype=bool)
    base_rho = (
        reflectivity
        if isinstance(reflectivity, int | float)
        else terrain.evaluate(reflectivity, "reflectivity")
    )
    base = render(terrain, swath, base_rho, law=law)
    base_hidden = np.zeros(full[1:], dtype=bool)
    hide(terrain.heights, _lattice(terrain, swath), swath.row_positions, ground_range, base_hidden)
    seen: list[tuple[Field | None, Field | None, int]] = []  # change, reflectivity, date with the same
    image = base
    for k, date in enumerate(sorted(changes)):
        what = changes[date], new_reflectivity.get(date)
        twin = next((n for c, r, n in seen if c is what[0] and r is what[1]), None)
        if twin is not None and twin == k - 1:
            change_at[k], hidden[k] = change_at[twin], hidden[twin]
        else:
            change = None if what[0] is None else terrain.evaluate(what[0], f"change of {date}")
            rho = None if what[1] is None else terrain.evaluate(what[1], f"new reflectivity of {date}")
            hidden[k] = base_hidden
            rows = _rows_touched(terrain, swath, change, rho, base_rho)
            image = base
            if rows.stop > rows.start:
                surface = terrain if change is None else replace(terrain, heights=terrain.heights + change)
                image = base.copy()
                image[rows] = render(surface, swath, base_rho if rho is None else rho, law=law, rows=rows)
                if change is not None:
                    positions, at = swath.row_positions[rows], ground_range[rows]
                    hide(surface.heights, _lattice(surface, swath), positions, at, hidden[k, rows])
                    sample(change, _lattice(terrain, swath), positions, at, change_at[k, rows])
        seen = [(*what, k)]
        amplitude[k] = radiometry.amplitude(image, date, swath.incidence_angle, seed)
    height = np.empty(full[1:])
    sample(terrain.heights, _lattice(terrain, swath), swath.row_positions, ground_range, height)
    dims = ("date", "azimuth", "range")
    return amplitude, {
        "elevation_change": (dims, change_at, {"units": "m", "long_name": "vertical change against the terrain at the pixel's ground position"}),
        "hidden": (dims, hidden, {"long_name": "in layover, in shadow, or out of the image, before or after the change"}),
        "height": (dims[1:], height, {"units": "m", "long_name": "height of the terrain at the pixel's ground position"}),
    }  # fmt: skip


def _rows_touched(
    terrain: Terrain, swath: Swath, change: Array | None, rho: Array | None, base: Field
) -> slice:
    """Rows of the image that a change of height or reflectivity can reach."""
    touched = np.zeros(terrain.heights.shape, dtype=bool)
    if change is not None:
        touched |= change != 0
    if rho is not None:
        touched |= rho != np.asarray(base)
    if not touched.any():
        return slice(0, 0)
    # The terrain's edge goes on outside: a change there may reach any row.
    if touched[0].any() or touched[-1].any() or touched[:, 0].any() or touched[:, -1].any():
        return slice(0, swath.rows)
    j, i = np.nonzero(touched.any(axis=1))[0], np.nonzero(touched.any(axis=0))[0]
    reach = 3 * terrain.spacing
    x = np.array([terrain.x[i[0]] - reach, terrain.x[i[-1]] + reach])
    y = np.array([terrain.y[j[0]] - reach, terrain.y[j[-1]] + reach])
    v = x[:, None] * swath.flight[0] + y[None, :] * swath.flight[1]
    first = math.floor((v.min() - swath.first_azimuth) / swath.azimuth_spacing)
    last = math.ceil((v.max() - swath.first_azimuth) / swath.azimuth_spacing)
    return slice(min(max(first, 0), swath.rows), min(max(last + 1, 0), swath.rows))


def _stack(
    terrain: Terrain,
    sensor: Sensor,
    swath: Swath,
    amplitude: NDArray[np.float32],
    ground_range: Array,
    height: Array,
    radiometry: Radiometry,
    metadata: bool,
    coords: Mapping[str, Any],
) -> Stack:
    longitude, latitude = np.empty_like(height), np.empty_like(height)
    rows = max(1, min(swath.rows, int(CHUNK / (4 * swath.columns))))
    for start in range(0, swath.rows, rows):
        part = slice(start, min(start + rows, swath.rows))
        longitude[part], latitude[part] = terrain.to_lonlat(*swath.to_ground(ground_range[part], part))

    def lazy(array: NDArray[Any]) -> Any:
        return da.from_array(array, chunks=(1, rows, swath.columns)[-array.ndim :], name=False)  # type: ignore[no-untyped-call]

    dims = ("date", "azimuth", "range")
    mask = da.zeros(amplitude.shape, dtype=np.uint8, chunks=(1, rows, swath.columns))  # type: ignore[no-untyped-call]
    variables: dict[str, Any] = {
        "amplitude": (dims, lazy(amplitude), {"units": "1", "long_name": "amplitude, linear"}),
        "height": (
            dims[1:],
            lazy(height),
            {"units": "m", "standard_name": "height_above_reference_ellipsoid"},
        ),
        "longitude": (dims[1:], lazy(longitude), {"units": "degrees_east", "standard_name": "longitude"}),
        "latitude": (dims[1:], lazy(latitude), {"units": "degrees_north", "standard_name": "latitude"}),
        "mask": (dims, mask, MASK_ATTRS),
    }
    attrs: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "unknown") | {"source": "simulation"}
    if metadata:
        angle = da.full(height.shape, sensor.incidence_angle, chunks=(rows, swath.columns))  # type: ignore[no-untyped-call]
        variables["incidence_angle"] = (
            dims[1:],
            angle,
            {"units": "degrees", "long_name": "incidence angle from the vertical"},
        )
        attrs |= {
            "sensor": sensor.name,
            "orbit_direction": "ascending" if swath.flight[1] >= 0 else "descending",
            "look_direction": swath.look_direction,
            "heading": swath.heading,
            "wavelength": sensor.wavelength,
            "incidence_angle": sensor.incidence_angle,
            "range_spacing": sensor.range_spacing,
            "azimuth_spacing": sensor.azimuth_spacing,
            "radiometric_scale": "beta nought" if radiometry.scale == 1.0 else "unknown",
            "dem_date": f"{min(coords['date']).astype('datetime64[D]')}",
            "dem_vertical_datum": "ellipsoid",
        }
    return Stack(xr.Dataset(variables, coords=dict(coords), attrs=attrs))
