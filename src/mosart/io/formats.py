"""Which reader a file needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from mosart.errors import InputError
from mosart.stack import Stack

from . import flat, grouped, isce, mintpy, netcdf, zarr
from .assemble import build
from .checks import check_geometry, drop_empty, find_empty, warn_of_datum
from .hdf5 import get, open_file, reading
from .own import geocoded, to_stack

#: First bytes of files that are not what we read, and what they are.
_OTHERS = {
    b"CDF\x01": "netCDF-3",
    b"CDF\x02": "netCDF-3",
    b"CDF\x05": "netCDF-3",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"PK\x03\x04": "a zip archive",
}
_EXPECTED = (
    "a stack: the original's HDF5 (flat or grouped), a netCDF-4 or Zarr that MoSARt wrote, the folder of "
    "a stack of ISCE2, or MintPy's geometryRadar.h5 with its images"
)


def _is_netcdf(file: Any) -> bool:
    cube = file.get("amplitude") if "amplitude" in file else None
    named = "elevation_change" in file or "_NCProperties" in file.attrs
    return (isinstance(cube, h5py.Dataset) and cube.ndim == 3) or (named and "dem" not in file)


def _open_netcdf(path: Path) -> Stack:
    return to_stack(netcdf.open_dataset(path), path)


def _open_flat(path: Path) -> Stack:
    with open_file(path) as file:
        return build(flat.read(file))


def _open_grouped(path: Path) -> Stack:
    with open_file(path) as file:
        return build(grouped.read(file))


#: Layouts of HDF5 files: the first whose test holds reads the file; a new layout is one more line.
HDF5_LAYOUTS: tuple[tuple[Callable[[Any], bool], Callable[[Path], Stack]], ...] = (
    (_is_netcdf, _open_netcdf),
    (grouped.is_grouped, _open_grouped),
    (lambda _: True, _open_flat),
)

#: Layouts that their names and folders tell.
OTHER_PROCESSORS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Stack]], ...] = (
    (isce.recognises, isce.open_isce),
    (mintpy.recognises, mintpy.open_mintpy),
)


def open_stack(path: str | os.PathLike[str], *, minimum_dates: int = 2) -> Stack:
    """Open a stack of amplitude images, lazily.

    Parameters
    ----------
    path : path-like
        The original's HDF5, flat (``dem``, ``lon``, ``lat``, one dataset ``YYYYMMDD`` a date) or grouped
        (a date or a pair of dates a group), a netCDF-4 or Zarr that MoSARt wrote, the folder of a stack of
        ISCE2 (with ``merged`` in it), or MintPy's ``geometryRadar.h5``.
    minimum_dates : int
        Fewer images with data than these are refused.

    Returns
    -------
    Stack
        Metadata and a sample of the values are read, whatever the size of the file; the file is not
        kept open. Of each image one block is looked at, of an image that is zero or NaN there all
        blocks until one has a number: an image without any is set aside and named in a warning.
        Blocks are looked at again when they are read, :func:`check_values` looks at all of them at
        once. Grouped files repeat images and grids, which are compared once, by blocks.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another format or geocoded; there is no DEM or no date; a
        date is impossible, misspelt, doubled or out of order; shapes differ; an image does not hold
        numbers, or negative ones; too few images are left.

    Notes
    -----
    Zeros (and NaN) at either end of a range line of the original's files are no data, as are rows of
    nothing else: NaN and flagged. Zeros inside stay: they are shadow. Complex numbers become their
    modulus. Names that are no dates are ignored and listed in the log.
    """
    where = Path(path)
    if not where.exists():
        raise InputError(f"{where} does not exist", expected=_EXPECTED, hint="check the path")
    opener = next((opener for test, opener in OTHER_PROCESSORS if test(where)), None)
    if opener is None:
        opener = _zarr_opener(where) if where.is_dir() else _file_opener(where)
    stack = opener(where)
    check_geometry(stack, where)
    warn_of_datum(stack, where)
    return drop_empty(stack, find_empty(stack), str(where), minimum_dates)


def _zarr_opener(path: Path) -> Callable[[Path], Stack]:
    if not any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata")):
        raise InputError(f"{path} is a folder, but no Zarr and no stack of ISCE2", expected=_EXPECTED)
    return lambda where: to_stack(zarr.open_dataset(where), where)


def _file_opener(path: Path) -> Callable[[Path], Stack]:
    with reading(path), path.open("rb") as handle:
        head = handle.read(4)
    if not h5py.is_hdf5(path):
        kind = _OTHERS.get(head, "an empty file" if not head else "no HDF5")
        if kind == "TIFF":
            raise geocoded(path, "a TIFF: a map, or one image without its DEM")
        raise InputError(
            f"{path} is of no format that MoSARt reads",
            expected=_EXPECTED,
            got=kind,
            hint="a file that was cut short or damaged must be copied again",
        )
    with open_file(path) as file:
        _refuse_named_map(file, path)
        return next(opener for test, opener in HDF5_LAYOUTS if test(file))


def _refuse_named_map(file: Any, path: Path) -> None:
    """Refuse netCDF on a map grid before anything else is asked of it."""
    if "_NCProperties" not in file.attrs or "amplitude" in file or "elevation_change" in file:
        return
    members = {name: get(file, name) for name in file}
    scales = {
        name for name, member in members.items() if isinstance(member, h5py.Dataset) and member.is_scale
    }
    lower = {name.lower() for name in scales}
    if any(pair <= lower for pair in ({"y", "x"}, {"lat", "lon"}, {"latitude", "longitude"})):
        raise geocoded(path, f"a map grid, dimensions {', '.join(sorted(scales))}")
