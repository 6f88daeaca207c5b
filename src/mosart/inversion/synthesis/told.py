"""What a user is told of the DEM and the image, in the log and in the attributes of the result."""

from __future__ import annotations

import numpy as np

from mosart.geometry.frame import LookFrame

from .registration import Registration


def moved_text(found: Registration, frame: LookFrame) -> str:
    """Say what was taken out between DEM and image; empty where nothing was.

    Parameters
    ----------
    found : Registration
        Of the whole image.
    frame : LookFrame
        Its geometry.

    Returns
    -------
    str
        With standard errors, metres.
    """
    step, cosine = frame.range_spacing, float(np.median(np.cos(frame.theta)))
    parts = []
    if found.believed:
        parts.append(
            f"{found.range_shift * step:.2f} ± {found.range_std * step:.2f} m of slant range beyond where "
            f"the DEM puts it (a DEM that is {found.range_shift * step / cosine:.1f} m too high or shifted)"
        )
        for axis, tilt, std, yes in zip(
            ("azimuth", "range"), found.tilt, found.tilt_std, found.tilted, strict=True
        ):
            if yes:
                parts.append(f"tilted along the {axis}, by {tilt * step:.2f} ± {std * step:.2f} m at its end")
    if found.rows_believed:
        late, std = found.row_shift * frame.azimuth_spacing, found.row_std * frame.azimuth_spacing
        parts.append(f"{late:.1f} ± {std:.1f} m further along the azimuth")
    return "the image lies " + ", ".join(parts) + ": taken out" if parts else ""


def registration_attributes(found: Registration, frame: LookFrame) -> dict[str, float | str]:
    """Attributes of the result: shifts of the image against the DEM in metres, and what was taken out.

    Parameters
    ----------
    found : Registration
        Of the whole image.
    frame : LookFrame
        Its geometry.

    Returns
    -------
    dict
        NaN and infinite standard errors where the image does not tell.
    """
    step, rows = frame.range_spacing, frame.azimuth_spacing
    return {
        "dem_range_shift_m": found.range_shift * step,
        "dem_range_shift_std_m": found.range_std * step,
        "dem_tilt_azimuth_m": found.tilt[0] * step,
        "dem_tilt_azimuth_std_m": found.tilt_std[0] * step,
        "dem_tilt_range_m": found.tilt[1] * step,
        "dem_tilt_range_std_m": found.tilt_std[1] * step,
        "dem_azimuth_shift_m": found.row_shift * rows,
        "dem_azimuth_shift_std_m": found.row_std * rows,
        "dem_moved": moved_text(found, frame) or "no: nothing significant was found",
    }
