"""Areas cut out of a change: what time series and volumes are summed over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS

from mosart.errors import InputError
from mosart.geometry.ground import metres_per_degree
from mosart.masks import Flag

from .correlation import Correlation
from .drawn import DrawnErrors
from .rowmodel import ModelError

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

#: Masks of areas in memory at one time.
MASK_BYTES = 150_000_000


class AreaMasks(Protocol):
    """What time series and volumes need of areas: their names, and the pixels of each."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the areas."""

    def masks(self, data: xr.Dataset, names: Iterable[str]) -> Mapping[str, NDArray[np.bool_]]:
        """Pixels of areas on the grid of a dataset, by name; an area may hold none."""


@dataclass(frozen=True)
class Piece:
    """One area on one date, against the reference or the date before: arrays over the box that holds it."""

    name: str
    kind: str
    since: dt.date | None
    date: dt.date
    inside: Booleans
    change: Floats
    std: Floats
    mask: NDArray[np.uint8]
    signed_area: Floats
    correlation: Correlation
    model: ModelError | None = None
    box: tuple[slice, slice] = (slice(0, 0), slice(0, 0))
    drawn: tuple[DrawnErrors, ...] = ()

    @property
    def area(self) -> Floats:
        """Ground area of each pixel, square metres."""
        return np.abs(self.signed_area)

    @property
    def seen(self) -> Booleans:
        """Pixels of the area that have a value."""
        return self.inside & np.isfinite(self.change) & np.isfinite(self.signed_area)

    def sum(self, pixels: Booleans | None = None) -> float:
        """Sum the change times the ground area, cubic metres; over all that is seen by default."""
        chosen = self.seen if pixels is None else pixels
        return float((self.area[chosen] * self.change[chosen]).sum())

    def sum_std(self, pixels: Booleans) -> float:
        """Return the standard error of that sum, its errors correlated in space."""
        if pixels.sum() == 1:  # the entry's own number, whatever its tails do to sums
            return float((self.area * self.std)[pixels].item())
        weights = np.where(pixels, self.area, 0.0)
        if self.drawn:
            return float(np.sqrt(sum(errors.variance(self.box, weights) for errors in self.drawn)))
        noise = self.correlation.sum_std(np.where(pixels, self.area * self.std, 0.0))
        model = 0.0 if self.model is None else self.model.variance(weights, self.sum(pixels))
        return float(np.sqrt(noise**2 + model))

    def flags(self) -> str:
        """Name the reasons met in the area."""
        met = int(np.bitwise_or.reduce(self.mask[self.inside], initial=0))
        return " ".join(str(flag.name).lower() for flag in Flag if flag & met)


def area_boxes(
    data: xr.Dataset, areas: AreaMasks, dims: tuple[str, str]
) -> dict[str, tuple[tuple[slice, slice], Booleans]]:
    """Find the smallest box that holds each area, and the area's pixels in it.

    Parameters
    ----------
    data : xarray.Dataset
        Whose grid it is.
    areas : Areas
        Any number; read in batches that fit the memory.
    dims : tuple of str
        The grid's dimensions.

    Returns
    -------
    dict of (rows, columns) slices and ndarray of bool, by name

    Raises
    ------
    InputError
        If an area holds no pixel.
    """
    boxes = {}
    names = list(areas.names)
    batch = max(1, MASK_BYTES // max(data.sizes[dims[0]] * data.sizes[dims[1]], 1))
    for start in range(0, len(names), batch):
        found = areas.masks(data, names[start : start + batch])
        for name in names[start : start + batch]:
            inside = np.asarray(found[name], bool)
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            if rows.size == 0:
                raise InputError(
                    f"the area {name!r} holds no pixel",
                    expected=f"an area that holds the centre of a pixel of the {dims[0]}, {dims[1]} grid",
                    hint="check the area's coordinates, or crop less",
                )
            box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            boxes[name] = box, inside[box].copy()
    return boxes


def cell_areas(data: xr.Dataset, box: tuple[slice, slice]) -> Floats:
    """Measure the cells of a map.

    Parameters
    ----------
    data : xarray.Dataset, (…, y, x)
        With its grid mapping.
    box : tuple of slice
        Rows and columns.

    Returns
    -------
    ndarray, (rows, columns)
        Square metres, as the map measures them: its scale (0.9996 in the middle of a UTM zone) is not
        taken out.
    """
    x, y = data["x"].values.astype(np.float64), data["y"].values.astype(np.float64)
    mapping = data[str(data.attrs.get("grid_mapping", "spatial_ref"))].attrs
    crs = CRS.from_wkt(str(mapping.get("crs_wkt") or mapping["spatial_ref"]))
    width, height = (abs(v[-1] - v[0]) / (v.size - 1) if v.size > 1 else np.nan for v in (x, y))
    if "GeoTransform" in mapping:
        numbers = [float(number) for number in str(mapping["GeoTransform"]).split()]
        width, height = abs(numbers[1]), abs(numbers[5])
    area = np.full((box[0].stop - box[0].start, box[1].stop - box[1].start), width * height)
    if crs.is_geographic:
        east, north = metres_per_degree(y[box[0]])
        area *= (east * north)[:, None]
    return area
