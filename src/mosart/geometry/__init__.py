"""The look of the radar: frame, visibility, self-calibration."""

from __future__ import annotations

from .calibrate import self_calibrate
from .frame import LookFrame
from .look import from_look, to_look
from .resolve import GeometryUnknown, resolve
from .visibility import flag_visibility, layover_shadow, local_incidence_angle

__all__ = [
    "GeometryUnknown",
    "LookFrame",
    "flag_visibility",
    "from_look",
    "layover_shadow",
    "local_incidence_angle",
    "resolve",
    "self_calibrate",
    "to_look",
]
