"""The original's flat HDF5: ``dem``, ``lon``, ``lat`` and one dataset ``YYYYMMDD`` a date."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.masks import Flag
from mosart.stack import ATTRIBUTES, Stack

from .assemble import Parts
from .hdf5 import Plane, get, plane
from .names import classify, parse_date
from .newfile import NewFile, new_file
from .packing import FILTERS, ChunkWriter
from .stream import Progress, store_by_rows

log = logging.getLogger(__name__)

#: Name in the file and in the stack.
GRIDS = {
    "lon": "longitude",
    "lat": "latitude",
    "grad": "gradient",
    "incidence_angle": "incidence_angle",
}


def read(file: Any) -> Parts:
    """Find the parts of a stack in an open flat file.

    Parameters
    ----------
    file : h5py.File
        Open file.

    Returns
    -------
    Parts

    Raises
    ------
    InputError
        If there is no ``dem`` or no date, a date is impossible or misspelt, only one of ``lon`` and
        ``lat`` is there, or a dataset cannot be read as an image.
    """
    path = Path(file.filename)
    names = list(file)
    if "dem" not in names:
        raise InputError(
            f"{path} has no dataset `dem`",
            expected="`dem` (heights in metres on the radar grid) and one dataset YYYYMMDD a date",
            got=", ".join(names[:20]) or "an empty file",
            hint="add the reference DEM, resampled to the images' azimuth rows and range pixels",
        )
    height = plane(file, "dem")
    images: dict[dt.date, Plane] = {}
    ignored: list[str] = []
    for name in names:
        if name == "dem" or name in GRIDS or name == "saturated":
            continue
        kind = classify(name)
        member = get(file, name) if kind != "other" else None
        if kind == "impossible" and "_" not in name and isinstance(member, h5py.Dataset):
            parse_date(name)
        if kind == "date" and isinstance(member, h5py.Dataset):
            images[parse_date(name)] = plane(file, name)
        elif kind == "misspelt" and isinstance(member, h5py.Dataset) and member.shape == height.shape:
            raise InputError(
                f"{name} in {path} looks like a misspelt date",
                expected="a date as eight digits, YYYYMMDD",
                got=name,
                hint="rename it to its date; or to a name without such digits, if it is no image",
            )
        else:
            ignored.append(name)
    if not images:
        raise InputError(
            f"{path} has no image",
            expected="one dataset YYYYMMDD a date",
            got=", ".join(names[:20]),
            hint="name each image by its date, eight digits",
        )
    if ignored:
        log.info("%s: ignored, as no dates: %s", path, ", ".join(sorted(ignored)))
    return Parts(
        path=path,
        images=images,
        height=height,
        grids=read_grids(file),
        clipped=_read_clipped(file, images),
        attrs=read_attrs(file),
    )


def read_grids(group: Any) -> dict[str, Plane]:
    """Find longitude, latitude, gradient and incidence angle in a file or group.

    Parameters
    ----------
    group : h5py.File or h5py.Group
        Where to look.

    Returns
    -------
    dict
        Planes by their name in the stack.

    Raises
    ------
    InputError
        If one of ``lon`` and ``lat`` is there without the other.
    """
    prefix = group.name.strip("/")
    grids = {
        ours: plane(group.file, f"{prefix}/{theirs}".strip("/"))
        for theirs, ours in GRIDS.items()
        if theirs in group and isinstance(get(group, theirs), h5py.Dataset)
    }
    if ("longitude" in grids) != ("latitude" in grids):
        there, missing = ("lon", "lat") if "longitude" in grids else ("lat", "lon")
        raise InputError(
            f"{group.file.filename} has `{there}` but no `{missing}`", expected="both or neither"
        )
    return grids


def read_attrs(file: Any) -> dict[str, Any]:
    """Read the stack's attributes from those of a file.

    Parameters
    ----------
    file : h5py.File
        Open file.

    Returns
    -------
    dict
        Those of :data:`mosart.stack.ATTRIBUTES` that the file has.
    """
    found: dict[str, Any] = {}
    for name in ATTRIBUTES:
        if name in file.attrs:
            value = file.attrs[name]
            found[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _read_clipped(file: Any, images: dict[dt.date, Plane]) -> dict[dt.date, Plane]:
    if "saturated" not in file or not isinstance(get(file, "saturated"), h5py.Group):
        return {}
    clipped: dict[dt.date, Plane] = {}
    for name in file["saturated"]:
        if classify(name) == "date" and parse_date(name) in images:
            flags = plane(file, f"saturated/{name}")
            if flags.dtype.kind not in "biu":
                raise InputError(
                    f"saturated/{name} in {file.filename} does not hold flags",
                    expected="truth values or integers",
                    got=str(flags.dtype),
                )
            clipped[parse_date(name)] = flags
    return clipped


def write_flat(stack: Stack, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
    """Write a stack as the original's flat HDF5.

    Parameters
    ----------
    stack : Stack
        What to write. Of its mask, `NODATA` becomes NaN in the amplitude and `CLIPPED` a dataset
        ``saturated/YYYYMMDD``; layover, shadow and water have no place in this format.
    path : path-like
        File to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    dataset = stack.dataset
    _, rows, columns = stack.shape
    layout = {
        "shape": (rows, columns),
        "chunks": (min(rows, 32), min(columns, 1024)),
    } | FILTERS
    names = {ours: theirs for theirs, ours in GRIDS.items() if ours in dataset} | {"height": "dem"}
    amplitude = dataset["amplitude"].variable
    mask = dataset["mask"].variable if "mask" in dataset else None
    if mask is not None:
        known = (mask & np.uint8(Flag.NODATA)) == 0
        amplitude = amplitude.where(known, np.float32(np.nan))  # type: ignore[no-untyped-call]
    with new_file(path) as new:
        file = new.file
        for name in ATTRIBUTES:
            if dataset.attrs.get(name, "unknown") != "unknown":
                file.attrs[name] = dataset.attrs[name]
        sources: dict[str, xr.Variable] = {}
        targets: dict[str, Any] = {}
        for ours, theirs in names.items():
            sources[theirs] = dataset[ours].variable
            targets[theirs] = new.writer(file.create_dataset(theirs, dtype=np.float64, **layout))
        for index, date in enumerate(stack.dates):
            name = f"{date:%Y%m%d}"
            sources[name] = amplitude[index]
            targets[name] = new.writer(file.create_dataset(name, dtype=np.float32, **layout))
            if mask is not None:
                sources[f"saturated/{name}"] = (mask[index] & np.uint8(Flag.CLIPPED)) != 0
                targets[f"saturated/{name}"] = _Flags(new, f"saturated/{name}", layout)
        store_by_rows(sources, targets, "azimuth", progress=progress)


class _Flags:
    """A dataset of flags that comes into being with the first flag that is set."""

    def __init__(self, new: NewFile, name: str, layout: dict[str, Any]) -> None:
        self._new, self._name, self._layout = new, name, layout
        self._lock = threading.Lock()
        self._writer: ChunkWriter | None = None

    def __setitem__(self, key: tuple[slice, ...], flags: NDArray[np.bool_]) -> None:
        if not flags.any():
            return
        with self._lock:
            if self._writer is None:
                with self._new.lock:
                    dataset = self._new.file.create_dataset(self._name, dtype=np.bool_, **self._layout)
                self._writer = self._new.writer(dataset)
        self._writer[key] = flags
