"""Attributes of the climate and forecast conventions (CF-1.11) for what MoSARt writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.masks import MASK_ATTRS

CONVENTIONS = "CF-1.11"

#: Attributes of variables by name; what a variable brings itself wins.
VARIABLE_ATTRS: Mapping[str, Mapping[str, Any]] = {
    "date": {
        "standard_name": "time",
        "long_name": "date of the image, of an epoch the last",
        "axis": "T",
        "units_metadata": "leap_seconds: none",
    },
    "spatial_ref": {"long_name": "coordinate reference system of the map"},
    "azimuth": {"long_name": "azimuth row of the source's radar grid", "units": "1"},
    "range": {"long_name": "range pixel of the source's radar grid", "units": "1"},
    "amplitude": {"long_name": "radar amplitude, linear", "units": "1"},
    "height": {
        "standard_name": "height_above_reference_ellipsoid",
        "long_name": "reference height",
        "units": "m",
        "positive": "up",
    },
    "longitude": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
    "latitude": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "incidence_angle": {
        "long_name": "incidence angle from the vertical of the ellipsoid",
        "units": "degree",
    },
    "gradient": {"long_name": "gradient of the height along range, as preprocessed", "units": "m"},
    "mask": dict(MASK_ATTRS),
    "elevation_change": {
        "long_name": "elevation change at the fixed ground position",
        "units": "m",
        "positive": "up",
    },
    "elevation_change_std": {"long_name": "standard error of the elevation change", "units": "m"},
    "elevation_change_slant": {
        "long_name": "elevation change at the fixed slant-range pixel",
        "units": "m",
        "positive": "up",
    },
    "elevation": {
        "standard_name": "height_above_reference_ellipsoid",
        "long_name": "reconstructed height",
        "units": "m",
        "positive": "up",
    },
    "measured_amplitude": {"units": "1"},
    "modelled_amplitude": {"units": "1"},
    "averaged_dates": {"long_name": "images of the entry"},
    "looks": {"long_name": "looks that saw the ground"},
    "look": {"long_name": "name of the look"},
}

#: First day of an entry's first image, and the day after its last.
BOUNDS = "date_bounds"
#: What tells how far a quantity can be trusted.
ANCILLARY: Mapping[str, tuple[str, ...]] = {
    "elevation_change": ("elevation_change_std", "mask"),
    "elevation_change_slant": ("elevation_change_std", "mask"),
    "elevation": ("mask",),
}


def row_dimension(dataset: xr.Dataset) -> str | None:
    """Name the dimension of a dataset's rows.

    Parameters
    ----------
    dataset : xarray.Dataset
        On a radar grid, a map grid or none.

    Returns
    -------
    str or None
        ``"azimuth"`` or ``"y"``.
    """
    return next((dim for dim in ("azimuth", "y") if dim in dataset.dims), None)


def encode(
    dataset: xr.Dataset, rows: str | None
) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable], dict[str, Any]]:
    """Encode a dataset by the CF conventions.

    Parameters
    ----------
    dataset : xarray.Dataset
        What to write.
    rows : str or None
        Dimension of the rows.

    Returns
    -------
    small : dict of str to xarray.Variable
        In memory and encoded.
    large : dict of str to xarray.Variable
        Those with rows and columns: numbers as they are, to be written by tiles.
    attributes : dict
        Of the file.
    """
    variables, attributes = xr.conventions.encode_dataset_coordinates(dataset)
    small: dict[str, xr.Variable] = {}
    large: dict[str, xr.Variable] = {}
    for key, variable in variables.items():
        name = str(key)
        attrs = dict(VARIABLE_ATTRS.get(name, {})) | dict(variable.attrs)
        if "grid_mapping" in variable.encoding:  # where rioxarray keeps it
            attrs["grid_mapping"] = variable.encoding["grid_mapping"]
        if rows in variable.dims and variable.ndim > 1 and variable.dtype.kind in "fiub":
            plain = xr.Variable(variable.dims, variable.data, attrs)
            large[name] = plain.astype(np.uint8) if plain.dtype.kind == "b" else plain
        else:
            plain = xr.Variable(variable.dims, variable.values, attrs)
            if plain.dtype.kind == "M":
                plain.encoding = _time_encoding(plain.values)
            small[name] = xr.conventions.encode_cf_variable(plain, name=name)
            if name in dataset.dims:  # a coordinate has no gaps, and may not name a value for them
                small[name].attrs.pop("_FillValue", None)
    _name_positions(large)
    _name_ancillary(small | large)
    if "averaged_dates" in dataset and "date" in small:
        small["date"].attrs["bounds"] = BOUNDS
        small[BOUNDS] = _bounds(dataset["averaged_dates"].values, small["date"])
    return small, large, {"Conventions": CONVENTIONS} | tidy_attributes(attributes)


def _name_positions(large: dict[str, xr.Variable]) -> None:
    """Say that longitude and latitude are where the pixels of a radar grid lie."""
    if not {"longitude", "latitude"} <= set(large):
        return
    dims = large["longitude"].dims
    for name, variable in large.items():
        if name not in ("longitude", "latitude") and variable.dims[-len(dims) :] == dims:
            variable.attrs.setdefault("coordinates", "longitude latitude")


def _name_ancillary(variables: Mapping[str, xr.Variable]) -> None:
    """Say what the standard error and the mask are of."""
    for name in set(ANCILLARY) & set(variables):
        others = [other for other in ANCILLARY[name] if other in variables]
        if name == "elevation_change_slant" and "elevation_change" in variables:
            others = [other for other in others if other != "elevation_change_std"]  # which is the other's
        if others:
            variables[name].attrs["ancillary_variables"] = " ".join(others)


def _bounds(averaged: NDArray[Any], date: xr.Variable) -> xr.Variable:
    """Give the days from each entry's first image to its last, the last included."""
    images = [[np.datetime64(_iso(text)) for text in str(names).split(",")] for names in averaged]
    days = np.array([[min(dates), max(dates) + 1] for dates in images], "datetime64[D]")
    bounds = xr.Variable(("date", "bounds"), days.reshape(-1, 2).astype("datetime64[ns]"))
    bounds.encoding = {key: date.attrs[key] for key in ("units", "calendar")} | {"dtype": "int64"}
    encoded = xr.conventions.encode_cf_variable(bounds, name=BOUNDS)
    encoded.attrs = {}  # units and calendar are the date's
    return encoded


def _iso(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"


def _time_encoding(times: NDArray[np.datetime64]) -> dict[str, Any]:
    known = times[~np.isnat(times)]
    units = {"D": "days", "s": "seconds", "us": "microseconds", "ns": "nanoseconds"}
    unit = next(name for step, name in units.items() if (known == known.astype(f"datetime64[{step}]")).all())
    return {"units": f"{unit} since 1970-01-01", "calendar": "standard", "dtype": "int64"}


def tidy_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Keep to what netCDF can hold: truth values as 0 or 1, nothing as the empty text.

    Parameters
    ----------
    attrs : mapping
        Attributes.

    Returns
    -------
    dict
    """
    out: dict[str, Any] = {}
    for name, value in attrs.items():
        if value is None:
            out[str(name)] = ""
        elif isinstance(value, bool | np.bool_):
            out[str(name)] = np.int8(value)
        elif isinstance(value, list | tuple) and any(isinstance(v, str) for v in value):
            out[str(name)] = ",".join(str(v) for v in value)
        else:
            out[str(name)] = value
    return out
