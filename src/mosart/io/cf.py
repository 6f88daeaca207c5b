"""Attributes of the climate and forecast conventions (CF-1.11) for what MoSARt writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

CONVENTIONS = "CF-1.11"

#: Attributes of variables by name; what a variable brings itself wins.
VARIABLE_ATTRS: Mapping[str, Mapping[str, Any]] = {
    "date": {"standard_name": "time", "long_name": "date of the image"},
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
    "mask": {"long_name": "reasons not to use the pixel"},
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
    "elevation": {"long_name": "reconstructed height", "units": "m", "positive": "up"},
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
    return small, large, {"Conventions": CONVENTIONS} | tidy_attributes(attributes)


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
