"""Two results, or a result and a difference of DEMs: how far apart they are, and whether bars hold that.

Median and NMAD (normalised median absolute deviation) as in Höhle & Höhle (2009), ISPRS Journal 64,
doi:10.1016/j.isprsjprs.2009.02.003, for differences of elevations with outliers.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
from scipy import special

from .areas import Areas
from .areas.grid import map_crs
from .change import ElevationChange
from .errors import InputError
from .io.geotiff import transform_of

Floats = NDArray[np.float64]

#: Nominal shares of the errors that bars should hold.
LEVELS = (0.68, 0.90, 0.95)
#: The median absolute deviation of a normal distribution times this is its standard deviation.
_NMAD = 1.4826


@dataclass(frozen=True)
class Comparison:
    """One date of a result against another, or against a difference of DEMs.

    Parameters
    ----------
    date : datetime.date
        Of the result.
    name : str
        Of the area; ``"all"`` for all cells that both have.
    first, second : ndarray, (rows, columns)
        What is compared, metres, NaN outside the area and where either has no value.
    std : ndarray, (rows, columns)
        Standard error of the difference, metres; NaN where unknown.
    share : float
        Of the cells where the first has a value (in the area), those where the second has one too.
    """

    date: dt.date
    name: str
    first: Floats
    second: Floats
    std: Floats
    share: float

    @property
    def difference(self) -> Floats:
        """First minus second, metres."""
        return self.first - self.second

    @property
    def errors(self) -> Floats:
        """The differences that are known, in one row."""
        difference = self.difference
        return difference[np.isfinite(difference)]

    @property
    def median(self) -> float:
        """Median of the differences, metres; NaN without any."""
        return float(np.median(self.errors)) if self.errors.size else math.nan

    @property
    def nmad(self) -> float:
        """Normalised median absolute deviation of the differences, metres."""
        return float(_NMAD * np.median(np.abs(self.errors - self.median))) if self.errors.size else math.nan

    @property
    def rmse(self) -> float:
        """Root of the mean square of the differences, metres."""
        return float(np.sqrt(np.mean(self.errors**2))) if self.errors.size else math.nan

    def coverage(self, level: float) -> float:
        """Share of the differences that error bars of a nominal level hold.

        Parameters
        ----------
        level : float
            Between 0 and 1, of a normal distribution.

        Returns
        -------
        float
            NaN where no standard error is known.
        """
        with np.errstate(invalid="ignore"):
            scaled = np.abs(self.difference) / self.std
        known = scaled[np.isfinite(scaled)]
        bar = math.sqrt(2.0) * float(special.erfinv(level))
        return float(np.mean(known <= bar)) if known.size else math.nan


def compare(
    first: ElevationChange,
    second: ElevationChange | str | os.PathLike[str],
    *,
    date: dt.date | None = None,
    areas: Areas | None = None,
) -> list[Comparison]:
    """Set a result beside another, or beside a raster of elevation change.

    Parameters
    ----------
    first : ElevationChange
        On a map.
    second : ElevationChange or path-like
        Another result on a map, on any grid, compared on the dates both have; or a raster (a difference of
        DEMs: later minus earlier, metres, positive where the surface rose) in any coordinate system. It is
        brought to the first's grid bilinearly, averaged where its cells are smaller than half of the first's.
    date : datetime.date, optional
        The one date to compare; by default all that both results have, or the last one for a raster.
    areas : Areas, optional
        Compared each by itself too.

    Returns
    -------
    list of Comparison
        Of each date: all cells, then each area.

    Raises
    ------
    InputError
        If there is no map, no common date or no common ground, or the raster cannot be read or placed.
    """
    _on_map(first)
    pairs: list[tuple[dt.date, Floats, Floats]]
    if isinstance(second, ElevationChange):
        _on_map(second)
        dates = _dates(first, date, second.dates)
        pairs = [(day, *_aligned(first, second, day)) for day in dates]
    else:
        values = _raster(first, Path(second))
        days = _dates(first, date if date is not None else first.dates[-1], None)
        pairs = [(day, values, np.zeros(values.shape)) for day in days]
    if not any(np.isfinite(values).any() for _, values, _ in pairs):
        raise InputError("the two have no ground in common", expected="maps that overlap")
    masks = _masks(areas, first.dataset)
    found = []
    for day, values, variance in pairs:
        index = first.dates.index(day)
        own = first.dataset["elevation_change"].isel(date=index).values.astype(np.float64)
        std = np.sqrt(_std(first, index) ** 2 + variance)
        for name, inside in masks.items():
            there = inside & np.isfinite(own)
            both = there & np.isfinite(values)
            share = float(both.sum() / there.sum()) if there.any() else math.nan
            shown, other, bars = (np.where(both, part, np.nan) for part in (own, values, std))
            found.append(Comparison(day, name, shown, other, bars, share))
    return found


def table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Put comparisons into a table.

    Parameters
    ----------
    comparisons : sequence of Comparison
        As :func:`compare` gives them.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``name``, ``cells``, ``share_compared``, ``median_m``, ``nmad_m``, ``rmse_m`` of first
        minus second, ``first_rms_m`` and ``second_rms_m``, and the shares that bars of 68, 90 and 95 % hold.
    """
    rows = []
    for one in comparisons:
        row: dict[str, object] = {
            "date": pd.Timestamp(one.date),
            "name": one.name,
            "cells": one.errors.size,
            "share_compared": one.share,
            "median_m": one.median,
            "nmad_m": one.nmad,
            "rmse_m": one.rmse,
        }
        for name, values in (("first", one.first), ("second", one.second)):
            known = values[np.isfinite(values)]
            row[f"{name}_rms_m"] = float(np.sqrt(np.mean(known**2))) if known.size else math.nan
        row |= {f"coverage_{level:.0%}".replace("%", ""): one.coverage(level) for level in LEVELS}
        rows.append(row)
    return pd.DataFrame(rows)


def _on_map(change: ElevationChange) -> None:
    if change.dims != ("y", "x") or change.quantity != "elevation_change":
        raise InputError(
            "results are compared on a map",
            expected="elevation_change on a map grid (elevation_change.nc)",
            got=f"{change.quantity} on the radar grid",
        )


def _dates(first: ElevationChange, date: dt.date | None, others: Sequence[dt.date] | None) -> list[dt.date]:
    common = [day for day in first.dates if others is None or day in others]
    if date is not None:
        common = [day for day in common if day == date]
    if not common:
        raise InputError(
            "there is no date to compare",
            expected=", ".join(f"{day:%Y%m%d}" for day in first.dates),
            got=f"{date:%Y%m%d}" if date is not None else ", ".join(f"{day:%Y%m%d}" for day in others or ()),
            hint="give both runs the same epochs",
        )
    return common


def _std(change: ElevationChange, index: int) -> Floats:
    std = change.dataset["elevation_change_std"].isel(date=index).values.astype(np.float64)
    return np.broadcast_to(std, change.shape[1:])


def _aligned(first: ElevationChange, second: ElevationChange, date: dt.date) -> tuple[Floats, Floats]:
    """Bring one date of a result, and the variance of its error, to the first's grid."""
    index = second.dates.index(date)
    values = second.dataset["elevation_change"].isel(date=index)
    source = transform_of(values), map_crs(second.dataset)
    variance = _std(second, index) ** 2
    grid = transform_of(first.dataset["mask"].isel(date=0)), map_crs(first.dataset)
    if source == grid and values.shape == first.shape[1:]:
        return values.values.astype(np.float64), variance
    found = []
    for array in (values.values.astype(np.float64), np.ascontiguousarray(variance)):
        target = np.full(first.shape[1:], np.nan)
        reproject(
            array,
            target,
            src_transform=source[0],
            src_crs=source[1].to_wkt(),
            dst_transform=grid[0],
            dst_crs=grid[1].to_wkt(),
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
        found.append(target)
    return found[0], found[1]


def _raster(first: ElevationChange, path: Path) -> Floats:
    """Read a raster onto the first's grid."""
    transform, crs = transform_of(first.dataset["mask"].isel(date=0)), map_crs(first.dataset)
    rows, columns = first.shape[1:]
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None or raster.count != 1:
                raise InputError(
                    f"{path} cannot be compared",
                    expected="a raster of one band with a coordinate system",
                    got=f"{raster.count} bands, coordinate system {raster.crs}",
                )
            options = {
                "crs": crs.to_wkt(),
                "transform": transform,
                "width": columns,
                "height": rows,
                "dtype": "float64",
                "nodata": np.nan,
                "src_nodata": raster.nodata,
            }
            finer = _cell(raster, crs) < 0.5 * abs(transform.a)
            method = Resampling.average if finer else Resampling.bilinear
            with WarpedVRT(raster, resampling=method, **options) as warped:
                values = warped.read(1).astype(np.float64)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path} cannot be read as a raster", got=str(error)) from error
    return np.asarray(values)


def _cell(raster: rasterio.DatasetReader, crs: CRS) -> float:
    """Width of a raster's middle cell in units of another coordinate system."""
    transform, row, column = raster.transform, raster.height // 2, raster.width // 2
    x, y = (
        np.array([start + across * column + down * row, start + across * (column + 1) + down * row])
        for start, across, down in (
            (transform.c, transform.a, transform.b),
            (transform.f, transform.d, transform.e),
        )
    )
    east, north = Transformer.from_crs(raster.crs.to_wkt(), crs, always_xy=True).transform(x, y)
    return float(np.hypot(np.diff(east)[0], np.diff(north)[0]))


def _masks(areas: Areas | None, data: xr.Dataset) -> dict[str, NDArray[np.bool_]]:
    shape = data.sizes["y"], data.sizes["x"]
    masks = {"all": np.ones(shape, bool)}
    for area in () if areas is None else areas.areas:
        if area.pixels is None:
            masks[area.name] = np.asarray(areas.masks(data, [area.name])[area.name], bool)  # type: ignore[union-attr]
    return masks
