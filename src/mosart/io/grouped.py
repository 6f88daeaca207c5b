"""The original's grouped HDF5: a group a date, or a group a pair of dates."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mosart.errors import InputError

from .assemble import Parts
from .flat import read_attrs, read_grids
from .hdf5 import Plane, get, plane, tile_rows
from .names import classify, parse_date, parse_pair

log = logging.getLogger(__name__)


def is_grouped(file: Any) -> bool:
    """Whether a file has groups that hold images.

    Parameters
    ----------
    file : h5py.File
        Open file.

    Returns
    -------
    bool
        True where a group with a dataset ``amps`` is named like a date or a pair of dates, and no
        dataset of the root is named like a date.
    """
    images = False
    for name in file:
        kind = classify(name)
        if kind == "other":
            continue
        member = get(file, name)
        if isinstance(member, h5py.Dataset) and kind == "date":
            return False
        images = images or (isinstance(member, h5py.Group) and "amps" in member)
    return images


def read(file: Any) -> Parts:
    """Find the parts of a stack in an open grouped file.

    Parameters
    ----------
    file : h5py.File
        Open file. Groups ``YYYYMMDD`` hold ``amps``; groups ``YYYYMMDD_YYYYMMDD`` hold ``amps`` of the
        first and ``amps1`` of the second date. ``dem``, ``lon``, ``lat`` are in each group or in the root.

    Returns
    -------
    Parts

    Raises
    ------
    InputError
        If an image is missing, there is no ``dem``, or what the groups repeat (the first date of pairs,
        ``dem``, ``lon``, ``lat``) is not the same in all of them. Comparing them reads all of it once,
        by blocks.
    """
    path = Path(file.filename)
    images: dict[dt.date, Plane] = {}
    grids: dict[str, Plane] = {}
    if "dem" in file:
        grids = {"dem": plane(file, "dem")} | read_grids(file)
    ignored = []
    for name in file:
        kind = classify(name)
        member = get(file, name) if kind != "other" else None
        if not isinstance(member, h5py.Group) or "amps" not in member:
            if name != "dem" and name not in {"lon", "lat", "grad", "incidence_angle"}:
                ignored.append(name)
            continue
        if kind == "misspelt":
            raise InputError(
                f"{name} in {path} looks like a misspelt date",
                expected="groups YYYYMMDD or YYYYMMDD_YYYYMMDD",
                got=name,
            )
        found = _images_of_group(file, name, kind)
        parts = read_grids(member)
        if "dem" in member:
            parts["dem"] = plane(file, f"{name}/dem")
        for date, image in found.items():
            _add(images, date, image, f"the image of {date:%Y%m%d}")
        for key, grid in parts.items():
            _add(grids, key, grid, f"`{grid.label.rsplit('/')[-1]}`")
    if "dem" not in grids:
        raise InputError(
            f"{path} has no dataset `dem`",
            expected="`dem` in each group or in the root",
            hint="add the reference DEM, resampled to the images' azimuth rows and range pixels",
        )
    if ignored:
        log.info("%s: ignored, as no dates: %s", path, ", ".join(sorted(ignored)))
    height = grids.pop("dem")
    return Parts(path=path, images=images, height=height, grids=grids, attrs=read_attrs(file))


def _images_of_group(file: Any, name: str, kind: str) -> dict[dt.date, Plane]:
    if kind == "date" or "_" not in name:
        return {parse_date(name): plane(file, f"{name}/amps")}
    first, second = parse_pair(name)
    if first == second or "amps1" not in file[name]:
        raise InputError(
            f"the group {name} in {file.filename} is no pair of images",
            expected="two dates, `amps` of the first and `amps1` of the second",
            got=", ".join(file[name]),
            hint="a coregistration that was stopped leaves such a group: remove it or make it again",
        )
    return {first: plane(file, f"{name}/amps"), second: plane(file, f"{name}/amps1")}


def _add(known: dict[Any, Plane], key: Any, new: Plane, what: str) -> None:
    """Add a plane; where its key is there already, it must be the same plane once more."""
    old = known.setdefault(key, new)
    if old is new or _same(old, new):
        return
    raise InputError(
        f"{what} is not the same in all groups of {new.path}",
        expected=f"{new.label} identical to {old.label}",
        got="another shape or other values",
        hint="the groups are coregistered to different images: coregister all to one",
    )


def _same(one: Plane, other: Plane) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    chunks = [p.chunk_rows for p in (one, other) if p.chunk_rows is not None]
    step = tile_rows(one.shape, chunks)
    for start in range(0, one.shape[0], step):
        rows = slice(start, start + step)
        a, b = one.read(rows), other.read(rows)
        if a.tobytes() == b.tobytes():
            continue
        if a.dtype.kind not in "fc" or not np.array_equal(a, b, equal_nan=True):
            return False
    return True
