"""The original package's calls by their own names: preprocessing, boxes, georeferencing, reading.

Thin calls over the rooms of MoSARt, for scripts and notebooks written for ``mosart`` 1.0.2 and for its
earlier notebook. What differs from it, and why, is listed in ``docs/differences.md``.
"""

# ruff: noqa: ARG001, PLR0917 - the original's signatures

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from .despeckle import nlm_absolute
from .errors import InputError
from .gaps import range_gradient
from .geocoding.cellmeans import cell_means
from .io.atomic import atomic_path
from .io.hdf5 import open_file
from .io.names import classify
from .io.plainraster import read_band, write_degrees

__all__ = [
    "calc_std",
    "coreg_alos",
    "coreg_tops_burst",
    "coregistration",
    "coregistration_alos",
    "coregistration_bursts",
    "georeference",
    "get_box",
    "get_box2",
    "get_product_file",
    "insar",
    "ll2rc",
    "preprocessing",
    "readcomplexdata",
    "readdata",
]

logger = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]
Array = NDArray[Any]

#: Names of the preprocessed file by orbit direction.
OUTPUTS = {"A": "ascending.h5", "D": "descending.h5"}

#: Noise level of the DEM's gradient in its filter, metres per pixel.
SIGMA_GRADIENT = 0.5

_STACK = (
    "coregister with ISCE2 and name its folder, `mosart run --stack FOLDER`; ALOS products cannot be read yet"
)

#: What to use instead of the original's calls of ISCE2.
_INSTEAD = {
    "coregistration_alos": _STACK,
    "coreg_alos": _STACK,
    "coreg_tops_burst": "use `mosart coregister`, or mosart.sfs.coregistration_bursts",
    "get_product_file": "use `mosart coregister`, which leaves one file, the stack",
    "insar": "use `mosart coregister`, or mosart.sfs.coregistration",
}

#: Rows of an image that are in memory at a time.
ROWS = 256


def preprocessing(
    lons: Sequence[float] | None = None,
    lats: Sequence[float] | None = None,
    xs: Sequence[int] | None = None,
    ys: Sequence[int] | None = None,
    projections: AnyPath = "projections.h5",
    output: AnyPath | None = None,
    sigma_amp: float = 30,
    patch_kw: Mapping[str, int] | None = None,
    gaussian: bool = False,
    path: str | None = None,
) -> None:
    """Crop a coregistered file, filter its amplitudes, and add the DEM's gradient along range.

    Parameters
    ----------
    lons, lats : sequence of two float, optional
        Longitudes and latitudes of the box, degrees; its corners become pixels by :func:`get_box`.
    xs, ys : sequence of two int, optional
        Range and azimuth pixels of the box, the stop excluded. Without any box: the whole image.
    projections : path
        Flat file with ``dem``, ``lon``, ``lat`` and ``YYYYMMDD`` datasets.
    output : path, optional
        File to write, replaced if it exists; ``preprocessed.h5`` if neither it nor `path` is given.
    sigma_amp : float
        Noise level of the amplitudes that non-local means take out, in their own unit.
    patch_kw : mapping, optional
        ``patch_size`` and ``patch_distance`` of the filter, pixels; 5 and 5 if not given.
    gaussian : bool
        Whether a Gaussian of one pixel follows.
    path : {"A", "D"}, optional
        Orbit direction: writes ``ascending.h5`` or ``descending.h5``, unless `output` is given.

    Raises
    ------
    InputError
        If both kinds of box are given or one is incomplete, the box holds no pixel of the image, or the
        file lacks a dataset.

    Notes
    -----
    Written are ``grad`` (metres per pixel, filtered), ``dem``, ``lon``, ``lat`` and the dates. Gaps stay
    NaN and do not grow. The gradient is taken before the crop.
    """
    target = _output(output, path)
    patch = {"patch_size": 5, "patch_distance": 5, **(patch_kw or {})}
    with open_file(projections) as source:
        dates = [key for key in source if classify(key) == "date"]
        for name in ("dem", *dates[:1]) if dates else ("dem", "YYYYMMDD"):
            _dataset(source, name, projections)
        shape = source["dem"].shape
        rows, columns = _box(source, shape, lons, lats, xs, ys)
        with atomic_path(target) as temporary, h5py.File(temporary, "w") as file:

            def write(name: str, data: Array) -> None:
                file.create_dataset(name, data=data, compression="gzip")

            wide = slice(max(columns.start - 1, 0), columns.stop + 1)
            gradient = range_gradient(source["dem"][rows, wide])[:, columns.start - wide.start :]
            gradient = gradient[:, : columns.stop - columns.start]
            write("grad", _like(nlm_absolute(gradient, SIGMA_GRADIENT, **patch), gradient))
            for name in ("dem", "lon", "lat"):
                if name in source:
                    write(name, _dataset(source, name, projections, shape)[rows, columns])
            for date in dates:
                logger.info("preprocessing %s", date)
                image = _dataset(source, date, projections, shape)[rows, columns]
                fill = float(np.nanmedian(image)) if np.isfinite(image).any() else 0.0
                filtered = nlm_absolute(
                    image, sigma_amp, **patch, fill=fill, gaussian=1.0 if gaussian else 0.0
                )
                write(date, _like(filtered, image))


def get_box(
    lonrdr: Array,
    latrdr: Array,
    lons: Sequence[float] = (-163.977, -163.967),
    lats: Sequence[float] = (54.7535, 54.7585),
) -> tuple[int, int, int, int]:
    """Pixel box between the pixels nearest to two corners of a lon/lat box.

    Parameters
    ----------
    lonrdr, latrdr : ndarray (azimuth, range)
        Longitude and latitude of every pixel, degrees.
    lons, lats : sequence of two float
        Corners, degrees: (lons[0], lats[0]) and (lons[1], lats[1]).

    Returns
    -------
    x0, y0, xsize, ysize : int
        First range and azimuth pixel and the size; as in 1.0.2 the far corner's own pixel is left out.
        :func:`get_box2` covers the box.
    """
    near, far = (ll2rc(lonrdr, latrdr, lon, lat)[0] for lon, lat in zip(lons, lats, strict=True))
    (y0, x0), (y1, x1) = np.minimum(near, far), np.maximum(near, far)
    return x0, y0, x1 - x0, y1 - y0


def get_box2(
    lonrdr: Array,
    latrdr: Array,
    lons: Sequence[float] = (-163.977, -163.967),
    lats: Sequence[float] = (54.7535, 54.7585),
) -> tuple[int, int, int, int]:
    """Pixel box that covers a lon/lat box, however the radar grid is turned.

    Parameters
    ----------
    lonrdr, latrdr : ndarray (azimuth, range)
        Longitude and latitude of every pixel, degrees.
    lons, lats : sequence of two float
        The box, degrees, in any order. Across the antimeridian: both longitudes on one branch (179 and 181).

    Returns
    -------
    x0, y0, xsize, ysize : int
        First range and azimuth pixel and the size: the smallest box with all pixels inside the lon/lat
        box and the pixels nearest to its four corners.

    Raises
    ------
    InputError
        If no longitude and latitude is finite.
    """
    west, east = min(lons), max(lons)
    south, north = min(lats), max(lats)
    middle = 0.5 * (west + east)
    longitude = np.asarray(lonrdr, dtype=np.float64)
    longitude = middle + (longitude - middle + 180.0) % 360.0 - 180.0
    latitude = np.asarray(latrdr, dtype=np.float64)
    inside = (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    pixels = np.argwhere(inside)
    for lon in (west, east):
        for lat in (south, north):
            pixels = np.concatenate([pixels, ll2rc(longitude, latitude, lon, lat)[:1]])
    y0, x0 = pixels.min(axis=0)
    y1, x1 = pixels.max(axis=0)
    return x0, y0, x1 - x0 + 1, y1 - y0 + 1


def ll2rc(lons: Array, lats: Array, lon: float, lat: float) -> NDArray[np.intp]:
    """Pixels nearest to a longitude and latitude, in degrees of both alike.

    Parameters
    ----------
    lons, lats : ndarray (azimuth, range)
        Longitude and latitude of every pixel, degrees.
    lon, lat : float
        The point, degrees.

    Returns
    -------
    ndarray (n, 2)
        Azimuth and range pixel of all that are nearest, usually one.

    Raises
    ------
    InputError
        If no longitude and latitude is finite.
    """
    distances = np.sqrt((np.asarray(lons) - lon) ** 2 + (np.asarray(lats) - lat) ** 2)
    if not np.isfinite(distances).any():
        raise InputError(
            "no pixel has a finite longitude and latitude", expected="lon and lat of a radar image"
        )
    return np.argwhere(distances == np.nanmin(distances))


def georeference(
    pre_stack: AnyPath, array: Array, pixel_size: float = 0.0001, output: AnyPath | None = None
) -> tuple[NDArray[np.float64], list[float]]:
    """Bring an array of a preprocessed file to a grid of longitude and latitude.

    Parameters
    ----------
    pre_stack : path
        File with ``lon`` and ``lat``.
    array : ndarray (date, azimuth, range)
        Values on the file's grid; NaN where there are none.
    pixel_size : float
        Size of the cells, degrees.
    output : path, optional
        GeoTIFF to write as well, one band a date.

    Returns
    -------
    geodef : ndarray (date, lat, lon)
        Mean of the values within one cell size of each cell's centre in longitude and latitude, north
        up; NaN where there are none and along the border.
    extent : list of float
        West, east, south and north edge of the grid, degrees, as matplotlib's ``imshow`` takes them.

    Raises
    ------
    InputError
        If the file lacks longitude and latitude, the array is not on its grid or has no value, or the
        pixel size is not positive.

    Notes
    -----
    The cells of 1.0.2, in a time that grows with the number of pixels instead of pixels times cells.
    The grid holds the valid pixels of all dates. Across the antimeridian longitudes run on beyond 180.
    """
    with open_file(pre_stack) as source:
        lons, lats = (_dataset(source, name, pre_stack)[:] for name in ("lon", "lat"))
    means = cell_means(lons, lats, np.asarray(array), pixel_size)
    result = means.values[:, ::-1]
    if output is not None:
        write_degrees(output, result, means.extent, units="m")
    return result, list(means.extent)


def calc_std(h5file: AnyPath = "descending.h5") -> None:
    """Write the standard deviation of the amplitudes over the dates to ``stdamps.npy`` in this folder.

    Parameters
    ----------
    h5file : path
        File that :func:`preprocessing` wrote, or one with a group a date that holds ``amps``, or with a
        group a pair of dates that holds ``amps`` and ``amps1``.

    Raises
    ------
    InputError
        If the file holds no amplitudes, or their shapes differ.

    Notes
    -----
    Divided by the number of dates, NaN left out; NaN where no date has a value.
    """
    with open_file(h5file) as source:
        names = _amplitudes(source)
        if not names:
            raise InputError(
                f"{h5file} holds no amplitudes",
                expected="datasets YYYYMMDD, or groups with a dataset amps",
                got=", ".join(source) or "nothing",
            )
        images = [_dataset(source, name, h5file, source[names[0]].shape) for name in names]
        std = np.empty(images[0].shape)
        for start in range(0, std.shape[0], ROWS):
            rows = slice(start, start + ROWS)
            std[rows] = _std(np.stack([np.asarray(image[rows], dtype=np.float64) for image in images]))
    with atomic_path(Path("stdamps.npy")) as temporary:
        np.save(temporary, std)


def readdata(
    GDALfilename: AnyPath,
    band: int = 1,
    background: float | None = None,
    datamin: float | None = None,
    datamax: float | None = None,
    interpolation: str = "nearest",
    nodata: float | None = None,
) -> Array:
    """Read a band of a raster; zeros become NaN unless a background is given.

    Parameters
    ----------
    GDALfilename : path
        Any raster that GDAL reads.
    band : int
        Counted from 1.
    background : float, optional
        If given, zeros stay.
    datamin, datamax, interpolation
        Not used, arguments of the original.
    nodata : float, optional
        A value that becomes NaN.

    Returns
    -------
    ndarray (azimuth, range)
        In the raster's type; integers have no NaN and stay as they are.
    """
    del datamin, datamax, interpolation
    data = read_band(GDALfilename, band)
    if data.dtype.kind in "fc":
        if nodata is not None:
            data[data == nodata] = np.nan
        if background is None:
            data[data == 0] = np.nan
    return data


def readcomplexdata(GDALfilename: AnyPath) -> tuple[Array, Array]:
    """Read the modulus and the angle of a complex raster; zeros become NaN.

    Parameters
    ----------
    GDALfilename : path
        Any raster that GDAL reads; its first band is read.

    Returns
    -------
    modulus, angle : ndarray (azimuth, range)
        Amplitude, and phase in radians.
    """
    data = read_band(GDALfilename, 1)
    if data.dtype.kind in "fc":
        data[data == 0] = np.nan
    return np.abs(data), np.angle(data)


def coregistration(output: AnyPath = "projections.h5", path: AnyPath | None = None, index: int = 1) -> None:
    """Coregister TerraSAR-X products and write the grouped HDF5.

    Parameters
    ----------
    output : path
        File: one group ``DATE1_DATE2`` a date with ``dem``, ``lon``, ``lat``, ``amps`` and ``amps1``.
    path : path, optional
        Folder of the products' folders; ``data/slcs1`` by default. A DEM named ``dem*.tif`` in it, beside
        it or in the current folder is used, else one is fetched (extra ``download``).
    index : int
        1 writes the file anew; larger adds the products from that place on and keeps the others.

    Raises
    ------
    InputError
        If there are no products, or no date but the first could be aligned.

    Notes
    -----
    A product or date that cannot be used is logged as a warning, with the reason, and the others go on.
    """
    from .slc import original

    original.coregistration(output, path, index)


def coregistration_bursts(bursts_list: AnyPath, output: AnyPath = "projections.h5", index: int = 1) -> None:
    """Coregister Sentinel-1 bursts and write the flat HDF5.

    Parameters
    ----------
    bursts_list : path
        Text file of burst names, one a line. Products of those names beside the list or in the current
        folder are used; what is missing is fetched (extra ``download``). A DEM named ``dem*.tif`` there is
        used, else one is fetched.
    output : path
        File: ``dem``, ``lon``, ``lat`` and one dataset a date.
    index : int
        1 writes the file anew; larger adds the dates from that place in the list and keeps the others.

    Raises
    ------
    InputError
        If the list mixes bursts or polarisations, or no date but the first could be aligned.

    Notes
    -----
    A burst or date that cannot be used is logged as a warning, with the reason, and the others go on. Needs
    the extra ``slc``.
    """
    from .slc import original

    original.coregistration_bursts(bursts_list, output, index)


def coregistration_alos(
    alos_list: AnyPath,
    output: AnyPath = "projections_alos.h5",
    roi: Sequence[float] | None = None,
    index: int = 1,
) -> NoReturn:
    """Not here: coregistration of ALOS images. Raises `InputError`."""
    _not_here("coregistration_alos", _INSTEAD["coregistration_alos"])


def coreg_alos(
    reference_scene: str, secondary_scene: str, roi: Sequence[float] | None = None, download: bool = True
) -> NoReturn:
    """Not here: coregistration of two ALOS scenes. Raises `InputError`."""
    _not_here("coreg_alos", _INSTEAD["coreg_alos"])


def coreg_tops_burst(
    reference_scene: str,
    secondary_scene: str,
    azimuth_looks: int = 1,
    range_looks: int = 1,
    apply_water_mask: bool = False,
    download: bool = True,
) -> NoReturn:
    """Not here: coregistration of two Sentinel-1 bursts. Raises `InputError`."""
    _not_here("coreg_tops_burst", _INSTEAD["coreg_tops_burst"])


def get_product_file(product: Any, file_prefix: str) -> NoReturn:
    """Not here: file of a downloaded product. Raises `InputError`."""
    _not_here("get_product_file", _INSTEAD["get_product_file"])


def insar(file1: AnyPath, file2: AnyPath, name: str = "temporal") -> NoReturn:
    """Not here: a pair of TerraSAR-X images through ISCE. Raises `InputError`."""
    _not_here("insar", _INSTEAD["insar"])


def _not_here(name: str, instead: str) -> NoReturn:
    raise InputError(f"mosart.sfs.{name} is not here: it ran ISCE2, which MoSARt does without", hint=instead)


def _output(output: AnyPath | None, path: str | None) -> Path:
    if output is not None:
        return Path(output)
    if path is None:
        return Path("preprocessed.h5")
    if path not in OUTPUTS:
        raise InputError(
            "the orbit direction is not known", expected="path='A' or path='D'", got=f"path={path!r}"
        )
    return Path(OUTPUTS[path])


def _box(
    source: Any,
    shape: tuple[int, int],
    lons: Sequence[float] | None,
    lats: Sequence[float] | None,
    xs: Sequence[int] | None,
    ys: Sequence[int] | None,
) -> tuple[slice, slice]:
    """Rows and columns of the box that is asked for."""
    geographic = [v is not None for v in (lons, lats)]
    pixels = [v is not None for v in (xs, ys)]
    if (any(geographic) and any(pixels)) or any(geographic) != all(geographic) or any(pixels) != all(pixels):
        raise InputError(
            "the box is not clear",
            expected="lons and lats, or xs and ys, or none of them",
            got=", ".join(
                name
                for name, given in zip(("lons", "lats", "xs", "ys"), geographic + pixels, strict=True)
                if given
            ),
        )
    x0, y0, x1, y1 = 0, 0, shape[1], shape[0]
    if lons is not None and lats is not None:
        longitude, latitude = (_dataset(source, name, source.filename)[:] for name in ("lon", "lat"))
        x0, y0, width, height = get_box(longitude, latitude, lons=lons, lats=lats)
        x1, y1 = x0 + width, y0 + height
    elif xs is not None and ys is not None:
        x0, x1, y0, y1 = int(xs[0]), int(xs[-1]), int(ys[0]), int(ys[-1])
    if not (0 <= x0 < x1 and 0 <= y0 < y1 and x0 < shape[1] and y0 < shape[0]):
        raise InputError(
            "the box holds no pixel of the image",
            expected=f"range pixels between 0 and {shape[1]}, azimuth pixels between 0 and {shape[0]}",
            got=f"range {x0} to {x1}, azimuth {y0} to {y1}",
        )
    return slice(int(y0), min(int(y1), shape[0])), slice(int(x0), min(int(x1), shape[1]))


def _dataset(source: Any, name: str, path: AnyPath, shape: tuple[int, ...] | None = None) -> Any:
    """Find a dataset of an open file, of a given shape if one is given."""
    found = source.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(
            f"{path} has no dataset {name!r}",
            expected="a file with dem, lon, lat and datasets YYYYMMDD",
            got=", ".join(source) or "nothing",
        )
    if len(found.shape) != 2 or (shape is not None and found.shape != shape):
        raise InputError(
            f"the dataset {name!r} of {path} has another shape than the others",
            expected=str(shape or "azimuth and range"),
            got=str(found.shape),
        )
    return found


def _like(result: NDArray[np.float64], source: Array) -> Array:
    """Bring a result to the float type of what it was made from."""
    return result.astype(source.dtype) if source.dtype.kind == "f" else result


def _amplitudes(source: Any) -> list[str]:
    """Names of the amplitude datasets, each date once."""
    flat = [key for key in source if classify(key) == "date" and isinstance(source[key], h5py.Dataset)]
    if flat:
        return sorted(flat)
    dates: dict[str, str] = {}
    for key in sorted(source):
        if isinstance(source[key], h5py.Group) and "amps" in source[key]:
            first, _, second = key.partition("_")
            dates.setdefault(first if second else key, f"{key}/amps")
            if second and "amps1" in source[key]:
                dates.setdefault(second, f"{key}/amps1")
    return [dates[key] for key in sorted(dates)]


def _std(images: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(images)
    count = known.sum(axis=0)
    share = np.where(count > 0, count, 1)
    mean = np.where(known, images, 0.0).sum(axis=0) / share
    square = (np.where(known, images - mean, 0.0) ** 2).sum(axis=0) / share
    return np.where(count > 0, np.sqrt(square), np.nan)
