"""Attributes of the climate and forecast conventions (CF-1.11) for what MoSARt writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
