"""Rasters as plain arrays: bands of files that know no stack, and a grid of degrees."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from mosart.errors import InputError

from .atomic import atomic_path


def read_band(path: str | os.PathLike[str], band: int = 1) -> NDArray[Any]:
    """Read a band of any raster that GDAL knows, in its own type.

    Parameters
    ----------
    path : path-like
        Raster; on a radar grid, too.
    band : int
        Counted from 1.

    Returns
    -------
    ndarray (azimuth, range)

    Raises
    ------
    InputError
        If the file or the band cannot be read.
    """
    with warnings.catch_warnings():
        # Radar grids have no map transform, and need none here.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as raster:
                return np.array(raster.read(band))
        except (RasterioError, IndexError) as error:
            raise InputError(
                f"{path} cannot be read", expected=f"a raster with a band {band}", got=str(error)
            ) from error


def write_degrees(
    path: str | os.PathLike[str],
    values: NDArray[np.float64],
    extent: tuple[float, float, float, float],
    *,
    units: str = "",
) -> None:
    """Write bands on a grid of longitude and latitude as a GeoTIFF, whole or not at all.

    Parameters
    ----------
    path : path-like
        File.
    values : ndarray (band, lat, lon)
        North up; NaN is the file's no-data value.
    extent : tuple of float
        West, east, south and north edge, degrees (WGS 84).
    units : str
        Unit of the values.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    bands, height, width = values.shape
    west, east, south, north = extent
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        "crs": "EPSG:4326",
        "transform": rasterio.Affine((east - west) / width, 0, west, 0, (south - north) / height, north),
        "nodata": float("nan"),
        "compress": "deflate",
    }
    with atomic_path(path) as temporary, rasterio.open(temporary, "w", **profile) as raster:
        raster.write(values)
        raster.units = (units,) * bands
