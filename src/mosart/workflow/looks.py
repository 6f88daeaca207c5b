"""Several stacks in one run: what they are called, what no run of several can be asked, what they share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosart.errors import InputError
from mosart.inversion.gather import MOST_LOOKS
from mosart.stack import Stack

from .config import Config

#: Positions along each side of an image that outline its ground.
_SIDE = 64
#: The joint result has one bit a look, and all eight of a byte are no data in a GeoTIFF.
MOST = MOST_LOOKS - 1


def look_name(path: Path) -> str:
    """Name a stack by its file's stem, with ``_`` for any sign but letters, digits and ``_.+-``."""
    return re.sub(r"[^\w.+-]", "_", path.stem, flags=re.ASCII)


def look_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Name stacks by their files' stems.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.

    Returns
    -------
    tuple of str
        Letters, digits and ``_.+-`` alone, for they become parts of names of files and flags.

    Raises
    ------
    InputError
        If two are equal, or there are more than :data:`MOST`.
    """
    if len(paths) > MOST:
        raise InputError(
            "stack: there are too many looks", expected=f"at most {MOST} stacks", got=f"{len(paths)} stacks"
        )
    names = [look_name(path) for path in paths]
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            raise InputError(
                f"stack: two stacks are called {name}, and their products would be too",
                expected="files whose names differ without the ending, any sign but letters, digits and "
                "_ . + - counted as _",
                got=f"{paths[first]} and {paths[index]}",
                hint="rename one of them, or leave one out",
            )
    return tuple(names)


def check_geometry_of(config: Config, names: Sequence[str]) -> None:
    """Refuse a geometry of no stack's name.

    Parameters
    ----------
    config : Config
        With absolute paths.
    names : sequence of str
        Of the stacks.

    Raises
    ------
    InputError
        Naming the key.
    """
    strange = sorted(set(config.geometry_of) - set(names))
    if strange:
        raise InputError(
            f"geometry_of: no stack is called {strange[0]}",
            expected=f"one of {', '.join(names)}",
            got=strange[0],
            hint="a stack is called by its file's name without the ending",
        )


def check_several(config: Config, names: Sequence[str]) -> None:
    """Refuse what a run of several stacks cannot be asked, and a geometry of no stack's name.

    Parameters
    ----------
    config : Config
        With absolute paths.
    names : sequence of str
        Of the stacks.

    Raises
    ------
    InputError
        Naming the key.
    """
    check_geometry_of(config, names)
    if len(names) < 2:
        return
    several = f"with several stacks ({', '.join(names)})"
    if config.method not in (None, "synthesis"):
        raise InputError(
            f"method: {several} only synthesis joins looks",
            expected="synthesis",
            got=str(config.method),
            hint="leave `method` out, or run each stack by itself, into a folder of its own",
        )
    if config.terrain != "coded":
        raise InputError(
            f"terrain: {several} the coded DEMs are rendered",
            expected="coded",
            got=config.terrain,
            hint="leave `terrain` out, or run each stack by itself, into a folder of its own",
        )
    if not config.epoch:
        raise InputError(
            f"`epoch` is missing: {several} it must be said which images show the same ground",
            expected="dates of each epoch, of any of the stacks",
            got="no `epoch`",
            hint="name it in the config file or as --epoch 20190415,20190418, once more for another epoch",
        )
    for key, place in _places(config):
        if place.startswith("pixels="):
            raise InputError(
                f"{key}: {several} a pixel box means another place in each",
                expected="lonlat=WEST,SOUTH,EAST,NORTH, or a file",
                got=place,
                hint=f"give `{key}` in degrees",
            )
    for key, given in (("weights", config.weights != "unit"), ("stable", config.stable is not None)):
        if given:
            raise InputError(
                f"{key}: {several} there is nothing that it is for: it belongs to the row-wise methods",
                expected=f"no `{key}`",
                got=str(getattr(config, key)),
                hint="leave it out",
            )
    raster = config.water.raster
    if raster is not None and raster.suffix.lower() == ".npy":
        raise InputError(
            f"water.raster: {several} an array of pixels fits one of them at most",
            expected="a GeoTIFF",
            got=str(raster),
            hint="give water as a GeoTIFF or as polygons",
        )


def _places(config: Config) -> list[tuple[str, str]]:
    found = [("crop", config.crop.text())]
    found += [(key, text) for key in ("areas", "points") for text in getattr(config, key)]
    return [*found, ("water.strip", config.water.strip or "")]


def shared_ground(stacks: Sequence[Stack]) -> tuple[str, ...]:
    """Say how much ground each of several stacks shows, and how much of it others show too.

    Parameters
    ----------
    stacks : sequence of Stack
        Cropped.

    Returns
    -------
    tuple of str
        One a stack.
    """
    if not all(stack.has_lonlat for stack in stacks):
        return tuple("not known: not all stacks have longitude and latitude" for _ in stacks)
    unknown = "not known: the border has no positions"
    rims = [_rim(stack) for stack in stacks]
    if not any(rim.size for rim in rims):
        return tuple(unknown for _ in stacks)
    longitude, latitude = np.concatenate(rims, axis=1)
    middle = np.exp(1j * np.radians(longitude)).mean()
    plane = pyproj.Proj(
        proj="laea", lon_0=float(np.degrees(np.angle(middle))), lat_0=float(latitude.mean()), ellps="WGS84"
    )
    outlines = [_outline(np.stack(plane(*rim), axis=-1)) for rim in rims]
    who = "the other look" if len(stacks) == 2 else "other looks"
    told = []
    for index, outline in enumerate(outlines):
        others = [other for i, other in enumerate(outlines) if i != index]
        if outline.area == 0:
            told.append(unknown)
            continue
        ground = f"{outline.area / 1e6:.3g} km2 of ground"
        if any(other.area == 0 for other in others):
            told.append(f"{ground}, it is not known how much of it in common with {who}")
            continue
        common = outline.intersection(shapely.union_all(others)).area / outline.area
        told.append(f"{ground}, {common:.0%} of it in common with {who}")
    return tuple(told)


def _outline(places: NDArray[np.float64]) -> BaseGeometry:
    """Give the ground inside a rim, empty where there are too few places for any."""
    empty: BaseGeometry = shapely.Polygon()
    return shapely.Polygon(places).buffer(0) if len(places) > 3 else empty


def _rim(stack: Stack) -> NDArray[np.float64]:
    """Longitude and latitude around an image, (2, places), unknown ones left out."""
    rows, columns = stack.shape[1:]
    down, across = (
        np.unique(np.linspace(0, size - 1, _SIDE).round().astype(int)) for size in (rows, columns)
    )
    data = stack.dataset[["longitude", "latitude"]].isel(azimuth=down, range=across).load()
    sides = []
    for name in ("longitude", "latitude"):
        image = data[name].transpose("azimuth", "range").values.astype(np.float64)
        sides.append(np.concatenate([image[0], image[1:, -1], image[-1, -2::-1], image[-2:0:-1, 0]]))
    rim = np.stack(sides)
    return rim[:, np.isfinite(rim).all(axis=0)]
