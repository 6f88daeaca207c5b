"""The look of a stack: from the config, the product's metadata, or the positions of its pixels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.stack import Stack

from .calibrate import HINT, Positions, locate, self_calibrate
from .frame import LookFrame

logger = logging.getLogger(__name__)

KEYS = ("incidence_angle", "range_spacing", "azimuth_spacing", "look_direction", "heading")
#: Pixels that the self-calibration looks at, and rows at least and at most.
SAMPLE, FEWEST_ROWS, MOST_ROWS = 400_000, 16, 200


class GeometryUnknown(InputError):  # noqa: N818
    """The look of the radar is not known and cannot be found."""


def resolve(stack: Stack, overrides: Mapping[str, Any] | None = None) -> LookFrame:
    """Find the look of a stack's radar grid.

    Each quantity is taken from the first of these that has it: the overrides; the stack's
    ``incidence_angle`` variable and attributes; the positions and heights of its pixels
    (:func:`self_calibrate`, with what is known held fixed). A single incidence angle is the one at the middle
    of the range; how it grows along the row follows from longitude and latitude where there are any, else
    it is taken as constant.

    Parameters
    ----------
    stack : Stack
        Some rows of its longitude, latitude and height are read, however large it is.
    overrides : mapping, optional
        Any of ``incidence_angle`` (degrees), ``range_spacing`` (slant, metres), ``azimuth_spacing`` (metres),
        ``look_direction`` (``"right"``, ``"left"``), ``heading`` (degrees clockwise from north). None counts
        as not given.

    Returns
    -------
    LookFrame
        The azimuth spacing and the heading are NaN, the look direction is ``"unknown"``, where nothing tells
        them.

    Raises
    ------
    GeometryUnknown
        If incidence angle or range spacing is neither given nor to be found; with the reason.
    InputError
        If a value is impossible or a key unknown.
    """
    given = _given(overrides)
    known = {**_from_attributes(stack), **given}
    profile = None if "incidence_angle" in given else _from_variable(stack)
    if profile is not None:
        known["incidence_angle"] = float(profile[profile.size // 2])
    sample = _sample(stack) if stack.has_lonlat else None
    complete = {"incidence_angle", "range_spacing"} <= set(known)
    found: LookFrame | None = None
    if sample is not None and not (complete and profile is not None):
        found = _calibrate(sample, known, needed=not complete)
    elif not complete:
        missing = ", ".join(k for k in KEYS[:2] if k not in known)
        raise GeometryUnknown(
            f"the look of the radar is not known: {missing} missing",
            expected="them in the config or the file, or longitude and latitude to find them from",
            got="a stack without longitude and latitude" if sample is None else "",
            hint=HINT,
        )
    place = _place(sample)
    if found is not None:
        _compare(known, place, found)
    angle = _profile(known, profile, found, stack.shape[2])
    look, heading = _directions(known, place)
    return LookFrame(
        incidence_angle=angle,
        range_spacing=float(known.get("range_spacing", found.range_spacing if found else np.nan)),
        azimuth_spacing=float(known.get("azimuth_spacing", place.azimuth_spacing if place else np.nan)),
        look_direction=look,
        heading=heading,
        incidence_std_error=0.0 if "incidence_angle" in known or found is None else found.incidence_std_error,
        source=_source(known, given, found, place),
        reference_height=found.reference_height if found is not None else 0.0,
    )


Sample = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _sample(stack: Stack) -> Sample:
    """Read some rows of longitude, latitude and height."""
    _, rows, size = stack.shape
    count = int(np.clip(SAMPLE // size, FEWEST_ROWS, MOST_ROWS))
    index = np.unique(np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64))
    ds = stack.dataset
    lon, lat, h = _rows(index, *(ds[name] for name in ("longitude", "latitude", "height")))
    return index, lon, lat, h


def _rows(index: NDArray[np.int64], *planes: xr.DataArray) -> tuple[NDArray[np.float64], ...]:
    """Read some rows of images: as slices, of which no more is read than is asked for."""
    lazy = (da.asarray(plane.data) for plane in planes)
    wanted = [a if a.numblocks[0] == 1 else da.concatenate([a[i : i + 1] for i in index]) for a in lazy]
    return tuple(
        np.asarray(a if len(a) == len(index) else a[index], dtype=np.float64) for a in compute(*wanted)
    )


def _calibrate(sample: Sample, known: Mapping[str, Any], needed: bool) -> LookFrame | None:
    index, lon, lat, h = sample
    fixed = {key: known[key] for key in KEYS[:2] if key in known}
    if len(fixed) == 2:  # the spacing is found again, to compare
        del fixed["range_spacing"]
    try:
        frame = self_calibrate(lon, lat, h, rows=index, **fixed)
    except InputError as error:
        if needed:
            raise GeometryUnknown(
                f"the look of the radar is not known: {error.what}",
                expected=error.expected,
                got=error.got,
                hint=error.hint or HINT,
            ) from error
        logger.warning("the incidence angle is taken as constant along the rows: %s", error.what)
        return None
    if needed:
        logger.info(
            "geometry from longitude, latitude and height: incidence %.2f° ± %.2g°, slant spacing %.4g m",
            frame.incidence_angle[frame.incidence_angle.size // 2],
            frame.incidence_std_error,
            frame.range_spacing,
        )
    return frame


def _given(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise InputError(
            f"unknown key in geometry: {', '.join(unknown)}", expected=f"some of {', '.join(KEYS)}"
        )
    return {key: _checked(key, value, "geometry") for key, value in given.items()}


def _from_attributes(stack: Stack) -> dict[str, Any]:
    attributes = stack.dataset.attrs
    present = {k: attributes[k] for k in KEYS if k in attributes and not _is_unknown(attributes[k])}
    return {key: _checked(key, value, "the file's attribute") for key, value in present.items()}


def _is_unknown(value: Any) -> bool:
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "unknown", "none", "nan")):
        return True
    try:
        return bool(np.isnan(float(value)))
    except (TypeError, ValueError):
        return False


def _checked(key: str, value: Any, where: str) -> Any:
    if key == "look_direction":
        word = str(value).strip().lower()
        if word not in ("right", "left"):
            raise InputError(
                f"{where} {key} cannot be used", expected='"right" or "left" of the flight', got=f'"{value}"'
            )
        return word
    limits = {
        "incidence_angle": (1.0, 89.0, "degrees from the vertical"),
        "range_spacing": (0.0, 1e4, "metres in slant range"),
        "azimuth_spacing": (0.0, 1e4, "metres on the ground"),
        "heading": (-360.0, 360.0, "degrees clockwise from north"),
    }
    low, high, unit = limits[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (low < number <= high or (key == "heading" and number == low)):
        raise InputError(
            f"{where} {key} cannot be used", expected=f"{unit}, {low:g} to {high:g}", got=f"{value!r}"
        )
    return number % 360.0 if key == "heading" else number


def _from_variable(stack: Stack) -> NDArray[np.float64] | None:
    """Incidence angle per range pixel: the median over some rows."""
    if "incidence_angle" not in stack.dataset:
        return None
    variable = stack.dataset["incidence_angle"]
    _, rows, size = stack.shape
    if variable.ndim == 2:
        count = int(np.clip(SAMPLE // size, FEWEST_ROWS, MOST_ROWS))
        index = np.unique(np.linspace(0, rows - 1, min(rows, count)).round().astype(int))
        (values,) = _rows(index, variable)
    else:
        values = np.broadcast_to(np.asarray(variable.values, dtype=np.float64), (1, size))
    good = np.isfinite(values) & (values > 1.0) & (values < 89.0)
    columns = np.nonzero(good.any(axis=0))[0]
    if columns.size == 0:
        return None
    middle = np.array([np.median(values[good[:, c], c]) for c in columns])
    if columns.size > 3:
        # Height moves the angle a little; a smooth curve through the columns is the angle at mean height.
        t = (np.arange(size) - 0.5 * (size - 1)) / size
        return np.asarray(np.polynomial.Polynomial.fit(t[columns], middle, 3)(t), dtype=np.float64)
    return np.asarray(np.interp(np.arange(size), columns, middle), dtype=np.float64)


def _place(sample: Sample | None) -> Positions | None:
    if sample is None:
        return None
    index, lon, lat, _ = sample
    try:
        return locate(lon, lat, index)
    except InputError as error:
        logger.warning("directions and azimuth spacing are not known: %s", error.what)
        return None


def _compare(known: Mapping[str, Any], place: Positions | None, found: LookFrame) -> None:
    """Warn where what was given contradicts where the pixels lie."""
    if {"incidence_angle", "range_spacing"} <= set(known):
        spacing = known["range_spacing"]
        if abs(found.range_spacing / spacing - 1.0) > 0.03:
            logger.warning(
                "incidence angle %.2f° and range spacing %.4g m are given; longitude and latitude give "
                "a range spacing of %.4g m with that angle",
                known["incidence_angle"], spacing, found.range_spacing,
            )  # fmt: skip
    if "azimuth_spacing" in known and place is not None and np.isfinite(place.azimuth_spacing):
        ratio = place.azimuth_spacing / known["azimuth_spacing"]
        if abs(ratio - 1.0) > 0.05:
            logger.warning(
                "azimuth spacing %.4g m is given; longitude and latitude give %.4g m",
                known["azimuth_spacing"], place.azimuth_spacing,
            )  # fmt: skip


def _profile(
    known: Mapping[str, Any], profile: NDArray[np.float64] | None, found: LookFrame | None, size: int
) -> NDArray[np.float64]:
    if profile is not None:
        return profile
    if found is not None:
        return found.incidence_angle
    return np.full(size, known["incidence_angle"])


def _directions(known: Mapping[str, Any], place: Positions | None) -> tuple[str, float]:
    """Look direction and heading: what is given, completed by where the range points."""
    look = known.get("look_direction", "unknown")
    heading = known.get("heading", np.nan)
    if place is None:
        return str(look), float(heading)
    if look == "unknown" and np.isfinite(heading):
        turn = (place.range_bearing - heading) % 360.0
        look = "right" if turn < 180.0 else "left"
    elif look == "unknown":
        look = place.look_direction
        if look != "unknown":
            logger.info(
                "the radar looks %s if the rows are in the order of time; if not, give look_direction", look
            )
    if not np.isfinite(heading) and look != "unknown":
        heading = (place.range_bearing + (-90.0 if look == "right" else 90.0)) % 360.0
    return str(look), float(heading)


def _source(
    known: Mapping[str, Any], given: Mapping[str, Any], found: LookFrame | None, place: Positions | None
) -> str:
    parts = []
    if given:
        parts.append(f"given: {', '.join(k for k in KEYS if k in given)}")
    metadata = [k for k in KEYS if k in known and k not in given]
    if metadata:
        parts.append(f"the file: {', '.join(metadata)}")
    rest = [k for k in KEYS if k not in known]
    if rest and (found is not None or place is not None):
        parts.append(f"longitude, latitude and height by least squares: {', '.join(rest)}")
    return "; ".join(parts)
