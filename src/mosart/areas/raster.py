"""Values of a raster at the pixels of a stack: weights, water."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from mosart.errors import InputError
from mosart.geometry.geodesy import unwrap_longitude
from mosart.stack import Stack

from .grid import Grid, as_grid

logger = logging.getLogger(__name__)

Method = Literal["bilinear", "nearest"]
#: Cells of the raster that are in memory at one time.
BLOCK = 16_000_000


def read_raster(
    path: str | os.PathLike[str], stack: Stack | xr.Dataset, *, method: Method = "bilinear"
) -> NDArray[np.float32]:
    """Read a raster at the pixels of a stack.

    Parameters
    ----------
    path : path-like
        A GeoTIFF or another georeferenced raster, first band, in any coordinate reference system, sampled at
        the pixels' longitude and latitude; or an image on the radar grid, of exactly the stack's shape:
        ``.npy``, ``.nc`` with one variable of that shape, or a raster without georeference.
    stack : Stack or xarray.Dataset
        The grid.
    method : {"bilinear", "nearest"}
        How a georeferenced raster is sampled. Bilinear leaves out cells without data and is NaN where the
        cell that holds the pixel has none.

    Returns
    -------
    ndarray of float32, (azimuth, range)
        NaN outside the raster, where it has no data, and where the pixel has no position.

    Raises
    ------
    InputError
        If the file is missing, cannot be read, has another shape or no coordinate reference system, is not
        numeric, or holds no value at any pixel; if it is georeferenced and the stack has no longitude and
        latitude.
    """
    path, grid = Path(path), as_grid(stack)
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="a GeoTIFF, or .npy or .nc on the radar grid")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        values = _on_grid(path, _load_npy(path), grid)
    elif suffix in (".nc", ".nc4"):
        values = _load_netcdf(path, grid)
    else:
        values = _sample_file(path, grid, method)
    if not np.isfinite(values).any():
        raise InputError(
            f"{path} has no value at any pixel of the image",
            expected="a raster that covers the (cropped) image",
            got="no data, or a raster elsewhere",
        )
    return values


def _on_grid(path: Path, values: NDArray[Any], grid: Grid) -> NDArray[np.float32]:
    if values.dtype.kind not in "buif":
        raise InputError(f"{path} does not hold numbers", expected="real numbers", got=str(values.dtype))
    if values.shape != grid.shape:
        raise InputError(
            f"{path} has another shape than the image",
            expected=f"{grid.shape} (azimuth, range)",
            got=f"{values.shape}",
            hint="cut it to the crop, or give a GeoTIFF",
        )
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read", expected="a .npy array", got=str(error)) from error
    return np.asarray(loaded)


def _load_netcdf(path: Path, grid: Grid) -> NDArray[np.float32]:
    try:
        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            fit = [
                n for n, v in dataset.data_vars.items() if v.shape == grid.shape and v.dtype.kind in "buif"
            ]
            if len(fit) == 1:
                return _on_grid(path, dataset[fit[0]].values, grid)
            shapes = ", ".join(f"{name} {variable.shape}" for name, variable in dataset.data_vars.items())
    except InputError:
        raise
    # h5netcdf raises errors of many kinds on a file that is none of its own.
    except Exception as error:
        raise InputError(f"{path} cannot be read", expected="netCDF-4", got=str(error)) from error
    raise InputError(
        f"{path} does not tell which variable to use",
        expected=f"one numeric variable of shape {grid.shape} (azimuth, range)",
        got=shapes or "no variable",
    )


def _sample_file(path: Path, grid: Grid, method: Method) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as raster:
                if raster.dtypes[0].startswith("complex"):
                    raise InputError(f"{path} does not hold real numbers", got=raster.dtypes[0])
                if raster.crs is None:
                    if (raster.height, raster.width) == grid.shape:
                        logger.info("%s has no map reference: it is taken to lie on the radar grid", path)
                        return _on_grid(path, _read(raster, None), grid)
                    raise InputError(
                        f"{path} has no coordinate reference system",
                        expected=f"one, or the shape of the radar grid {grid.shape}",
                        got=f"shape {(raster.height, raster.width)}",
                    )
                if not grid.has_lonlat:
                    raise InputError(
                        f"{path} is a map, but the image has no longitude and latitude",
                        expected="a raster on the radar grid (.npy, .nc)",
                        got="a georeferenced raster",
                    )
                return _sample(raster, grid, method)
        except InputError:
            raise
        # GDAL's drivers raise errors of many kinds; damaged files reach them all.
        except Exception as error:
            raise InputError(f"{path} cannot be read", expected="a raster", got=str(error)) from error


def _read(raster: Any, window: Window | None) -> NDArray[np.float32]:
    band = raster.read(1, window=window, masked=True)
    values = np.ma.getdata(band).astype(np.float32)
    values[np.ma.getmaskarray(band) | ~np.isfinite(values)] = np.nan
    return values


def _sample(raster: Any, grid: Grid, method: Method) -> NDArray[np.float32]:
    crs = CRS.from_user_input(raster.crs)
    transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    inverse = ~raster.transform
    middle = _apply(raster.transform, np.array(0.5 * raster.width), np.array(0.5 * raster.height))[0]
    result = np.full(grid.shape, np.nan, dtype=np.float32)
    for rows, lon, lat in grid.positions():
        x, y = transformer.transform(lon, lat)
        if crs.is_geographic:
            turn = 360.0 if "degree" in crs.axis_info[0].unit_name else 400.0
            x = unwrap_longitude(np.asarray(x) * 360.0 / turn, float(middle) * 360.0 / turn) * turn / 360.0
        column, row = _apply(inverse, np.asarray(x), np.asarray(y))
        result[rows] = _at(raster, column, row, method)
    return result


def _apply(
    transform: rasterio.Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Apply a transform to arrays; its own operator for that differs between its releases."""
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def _at(
    raster: Any, column: NDArray[np.float64], row: NDArray[np.float64], method: Method
) -> NDArray[np.float32]:
    """Values at fractional columns and rows, 0 being the raster's corner."""
    values = np.full(column.shape, np.nan, dtype=np.float32)
    inside = (column >= 0) & (column < raster.width) & (row >= 0) & (row < raster.height)
    if not inside.any():
        return values
    c, r = column[inside], row[inside]
    c0, c1 = max(0, int(c.min()) - 1), min(raster.width, int(c.max()) + 2)
    r0, r1 = max(0, int(r.min()) - 1), min(raster.height, int(r.max()) + 2)
    if (c1 - c0) * (r1 - r0) > BLOCK and column.size > 1:
        # A slanted swath covers a small part of its box: halve it.
        axis = int(np.argmax(column.shape))
        for part in np.array_split(np.arange(column.shape[axis]), 2):
            cut = tuple(slice(part[0], part[-1] + 1) if a == axis else slice(None) for a in range(2))
            values[cut] = _at(raster, column[cut], row[cut], method)
        return values
    tile = _read(raster, Window(c0, r0, c1 - c0, r1 - r0))
    values[inside] = _interpolate(tile, c - c0, r - r0, method)
    return values


def _interpolate(
    tile: NDArray[np.float32], c: NDArray[np.float64], r: NDArray[np.float64], method: Method
) -> NDArray[np.float64]:
    height, width = tile.shape
    nearest = tile[np.clip(r.astype(np.int64), 0, height - 1), np.clip(c.astype(np.int64), 0, width - 1)]
    if method == "nearest":
        return np.asarray(nearest, dtype=np.float64)
    left, top = np.floor(c - 0.5), np.floor(r - 0.5)
    total, weight = np.zeros(c.shape), np.zeros(c.shape)
    for dr in (0, 1):
        for dc in (0, 1):
            share = (1.0 - np.abs(c - 0.5 - left - dc)) * (1.0 - np.abs(r - 0.5 - top - dr))
            rows = np.clip(top + dr, 0, height - 1).astype(np.int64)
            columns = np.clip(left + dc, 0, width - 1).astype(np.int64)
            value = tile[rows, columns].astype(np.float64)
            known = np.isfinite(value)
            total += np.where(known, share * value, 0.0)
            weight += np.where(known, share, 0.0)
    mean = np.divide(total, weight, out=np.full(c.shape, np.nan), where=weight > 0)
    return np.where(np.isfinite(nearest), mean, np.nan)
