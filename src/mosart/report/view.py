"""How a grid is laid on paper: axes, scale, north and look direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from mosart.geocoding.mapgrid import read_crs
from mosart.geometry.ground import known_number, metres_per_degree, pixel_steps

#: A picture is at most this many times longer than wide, whatever the pixels' true extents: of a radar
#: image, whose shape says little, and of a map.
LONGEST = {"radar": 2.5, "map": 10.0}


@dataclass(frozen=True)
class View:
    """The frame of a picture of one grid.

    Parameters
    ----------
    extent : tuple of float
        Left, right, bottom, top edge in the axes' units.
    labels : tuple of str
        Of the horizontal and the vertical axis.
    metres : tuple of float
        Metres in one unit of each axis; NaN where unknown.
    north : float
        Direction of north on paper, degrees clockwise from the top; NaN where unknown.
    look : float
        Direction that the radar looks to on paper, degrees clockwise from the top; NaN where unknown.
    longest : float
        How many times longer than wide the picture may be, or wider than long.
    looks : mapping of str to float
        Directions of several looks by their names, like `look`.
    """

    extent: tuple[float, float, float, float]
    labels: tuple[str, str]
    metres: tuple[float, float]
    north: float
    look: float
    longest: float
    looks: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in the axes' units."""
        left, right, bottom, top = self.extent
        return abs(right - left), abs(top - bottom)

    @property
    def stretch(self) -> float:
        """Length on paper of a vertical unit over that of a horizontal one."""
        wide, high = self.size
        known = np.isfinite(self.metres).all()
        stretch = self.metres[1] / self.metres[0] if known else 1.0
        shape = float(np.clip(high * stretch / wide, 1.0 / self.longest, self.longest))
        return shape * wide / high

    @property
    def true(self) -> bool:
        """Whether both axes have one scale, so that a scale bar holds in all directions."""
        known = bool(np.isfinite(self.metres).all())
        return known and bool(np.isclose(self.stretch, self.metres[1] / self.metres[0], rtol=0.02))

    @property
    def shape(self) -> float:
        """Height of the picture over its width."""
        wide, high = self.size
        return high * self.stretch / wide


def view_of(data: xr.Dataset, look: float | None = None) -> View:
    """Frame a dataset on the radar grid or on a map.

    Parameters
    ----------
    data : xarray.Dataset
        With dimensions ``azimuth``, ``range`` or ``y``, ``x``.
    look : float, optional
        Bearing that the radar looks to, degrees clockwise from north; by default from the attributes
        ``heading`` and ``look_direction``. On the radar grid it looks along range.

    Returns
    -------
    View
    """
    return _map_view(data, look) if "y" in data.dims else _radar_view(data)


def _edges(data: xr.Dataset, dim: str) -> tuple[float, float]:
    """First and last edge of an axis, half a pixel beyond the first and last centre."""
    size = data.sizes[dim]
    centres = data[dim].values.astype(np.float64) if dim in data.coords else np.arange(float(size))
    half = 0.5 * (centres[-1] - centres[0]) / (size - 1) if size > 1 else 0.5
    return float(centres[0] - half), float(centres[-1] + half)


def _radar_view(data: xr.Dataset) -> View:
    left, right = _edges(data, "range")
    top, bottom = _edges(data, "azimuth")
    metres, north = (np.nan, np.nan), np.nan
    if "longitude" in data and "latitude" in data:
        every = {dim: max(1, data.sizes[dim] // 64) for dim in ("azimuth", "range")}
        sampled = data[["longitude", "latitude"]].isel({d: slice(None, None, s) for d, s in every.items()})
        sampled = sampled.transpose("azimuth", "range").load()
        azimuth, rng = pixel_steps(sampled["longitude"].values, sampled["latitude"].values)
        if np.isfinite(azimuth + rng).any():
            down, across = np.nanmedian(azimuth, axis=(1, 2)), np.nanmedian(rng, axis=(1, 2))
            metres = float(np.hypot(*across)) / every["range"], float(np.hypot(*down)) / every["azimuth"]
            # How far right and up one metre of north is on paper, where a metre is as long either way.
            right_part = across[1] / np.hypot(*across)
            up_part = -down[1] / np.hypot(*down)
            north = float(np.degrees(np.arctan2(right_part, up_part)) % 360.0)
    if not np.isfinite(metres).all():
        metres = _spacings(data)
    return View(
        (left, right, bottom, top),
        ("range (pixel)", "azimuth (pixel)"),
        metres,
        north,
        90.0,
        LONGEST["radar"],
    )


def _spacings(data: xr.Dataset) -> tuple[float, float]:
    """Metres on flat ground of a pixel in range and azimuth, from the attributes."""
    slant, azimuth, angle = (
        known_number(data.attrs.get(name)) for name in ("range_spacing", "azimuth_spacing", "incidence_angle")
    )
    return slant / float(np.sin(np.radians(angle))), azimuth


def _map_view(data: xr.Dataset, look: float | None) -> View:
    left, right = _edges(data, "x")
    top, bottom = _edges(data, "y")
    mapping = data["spatial_ref"].attrs if "spatial_ref" in data.variables else {}
    crs = read_crs(str(mapping["crs_wkt"])) if "crs_wkt" in mapping else None
    bearing = _look_bearing(data) if look is None else look
    if crs is not None and crs.is_geographic:
        east, north = metres_per_degree(np.array(0.5 * (top + bottom)))
        return View(
            (left, right, bottom, top),
            ("longitude (°)", "latitude (°)"),
            (float(east), float(north)),
            0.0,
            bearing,
            LONGEST["map"],
        )
    extent = left / 1e3, right / 1e3, bottom / 1e3, top / 1e3
    return View(extent, ("easting (km)", "northing (km)"), (1e3, 1e3), 0.0, bearing, LONGEST["map"])


def _look_bearing(data: xr.Dataset) -> float:
    heading, side = known_number(data.attrs.get("heading")), str(data.attrs.get("look_direction"))
    return (heading + {"right": 90.0, "left": -90.0}.get(side, np.nan)) % 360.0
