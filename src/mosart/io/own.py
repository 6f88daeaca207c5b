"""Our own stacks in netCDF and Zarr: from a decoded dataset to a Stack."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mosart.errors import InputError
from mosart.masks import MASK_ATTRS, Flag
from mosart.stack import ATTRIBUTES, Stack

from .values import kind_of, to_amplitude

log = logging.getLogger(__name__)

_CUBE = ("date", "azimuth", "range")
_PLANE = ("azimuth", "range")


def to_stack(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Stack:
    """Take a decoded dataset for a stack, if it is one.

    Parameters
    ----------
    dataset : xarray.Dataset
        As read from a file.
    path : path-like
        The file, for messages.

    Returns
    -------
    Stack

    Raises
    ------
    InputError
        If it is a geocoded image or a result, a variable is missing or of other dimensions, dates are
        doubled or out of order, or amplitudes are not numbers. Negative amplitudes are refused where
        they are read.
    """
    names = set(map(str, dataset.variables))
    if "amplitude" not in names and names & {"elevation_change", "elevation_change_slant"}:
        raise InputError(
            f"{path} is a result of MoSARt, not a stack",
            expected="amplitude images and a DEM on a radar grid",
            hint="name the file that the run was given",
        )
    if not {"azimuth", "range"} <= set(dataset.dims):
        refuse_map(dataset, path)
    for name, dims in (("amplitude", _CUBE), ("height", _PLANE)):
        if name not in names or dataset[name].dims != dims:
            raise InputError(
                f"{path} has no variable `{name}` over {', '.join(dims)}",
                expected="a stack: amplitude (date, azimuth, range), height (azimuth, range)",
                got=", ".join(f"{n} {tuple(map(str, dataset[n].dims))}" for n in sorted(names)) or "nothing",
            )
    for name in ("longitude", "latitude", "incidence_angle"):
        if name in names and (dataset[name].dims != _PLANE or dataset[name].dtype.kind != "f"):
            raise InputError(f"`{name}` in {path} is no real numbers over azimuth and range")
    if ("longitude" in names) != ("latitude" in names):
        raise InputError(f"{path} has one of longitude and latitude", expected="both or neither")
    dataset = _with_dates(dataset, path)
    return Stack(_with_mask(_with_amplitude(dataset, path), path))


def refuse_map(dataset: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Refuse a dataset on a map grid.

    Parameters
    ----------
    dataset : xarray.Dataset
        As read from a file.
    path : path-like
        The file, for the message.

    Raises
    ------
    InputError
        If it has map dimensions.
    """
    dims = {str(dim).lower() for dim in dataset.dims}
    if any(pair <= dims for pair in ({"y", "x"}, {"lat", "lon"}, {"latitude", "longitude"})):
        raise geocoded(path, f"a map grid, dimensions {', '.join(sorted(dims))}")


def geocoded(path: str | os.PathLike[str], got: str) -> InputError:
    """Say why geocoded images are of no use.

    Parameters
    ----------
    path : path-like
        The file.
    got : str
        What shows that it is geocoded.

    Returns
    -------
    InputError
        To be raised.
    """
    return InputError(
        f"{path} holds geocoded images",
        expected="images in radar geometry, one row a range line",
        got=got,
        hint="heights come from the sums along range lines, which geocoding has taken apart: "
        "use the coregistered images before terrain correction",
    )


def _with_dates(dataset: xr.Dataset, path: str | os.PathLike[str]) -> xr.Dataset:
    if "date" not in dataset.variables or dataset["date"].dtype.kind != "M":
        raise InputError(f"{path} has no coordinate `date` of times", expected="one day an image")
    days = dataset["date"].values.astype("datetime64[D]")
    if np.isnat(days).any():
        raise InputError(f"{path} has an image without a date", expected="one day an image")
    steps = np.diff(days).astype(int)
    for wrong, text in ((steps == 0, "doubled"), (steps < 0, "out of order")):
        if wrong.any():
            shown = ", ".join(str(day).replace("-", "") for day in days[1:][wrong])
            raise InputError(
                f"dates in {path} are {text}: {shown}",
                expected="one image a day, in the order of time",
                hint="sort the images by date and leave one a day",
            )
    if len(np.unique(days)) != len(days):
        raise InputError(f"dates in {path} are doubled", expected="one image a day")
    for name in ("azimuth", "range"):
        if name not in dataset.coords:
            dataset = dataset.assign_coords({name: np.arange(dataset.sizes[name])})
    date = xr.Variable("date", days.astype("datetime64[ns]"), dataset["date"].attrs)
    return dataset.assign_coords(date=date)


def _with_amplitude(dataset: xr.Dataset, path: str | os.PathLike[str]) -> xr.Dataset:
    amplitude = dataset["amplitude"]
    label = f"amplitude in {path}"
    if kind_of(amplitude.dtype, label) != "real":
        log.info("%s: complex numbers, their modulus is taken", label)
    data: Any = da.asarray(amplitude.data).map_blocks(
        partial(to_amplitude, label=label), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    return dataset.assign(amplitude=(_CUBE, data, amplitude.attrs))


def _with_mask(dataset: xr.Dataset, path: str | os.PathLike[str]) -> xr.Dataset:
    missing = da.where(da.isnan(dataset["amplitude"].data), np.uint8(Flag.NODATA), np.uint8(0))
    attrs: Any = MASK_ATTRS
    if "mask" in dataset:
        mask = dataset["mask"]
        if mask.dims != _CUBE or mask.dtype.kind not in "iu":
            raise InputError(
                f"`mask` in {path} is no bit flags over date, azimuth and range", got=f"{mask.dtype}"
            )
        missing = missing | mask.data.astype(np.uint8)
        attrs = mask.attrs
    attributes = dict.fromkeys(ATTRIBUTES, "unknown") | dict(dataset.attrs)
    attributes.pop("Conventions", None)
    out = dataset.assign(mask=(_CUBE, missing, attrs))
    out.attrs = attributes
    return out
