"""The original's calls that make its HDF5 files from SLC products, over this coregistration."""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mosart.errors import InputError
from mosart.io.atomic import atomic_path

from .coregister import Coregistered, coregister
from .product import Product
from .scene import build_scene
from .scratch import scratch
from .sensors import open_product

logger = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]


def _dem(folders: Sequence[Path], products: Sequence[Product]) -> list[Path]:
    """DEM tiles named ``dem*.tif`` in the folders, else a download for the first product's scene."""
    for folder in folders:
        found = sorted(p for p in folder.glob("*.tif*") if p.name.lower().startswith("dem"))
        if found:
            return found
    from mosart.geometry.orbit.dem import footprint

    from . import fetch

    fetch.require_extra()
    places = footprint(build_scene(products[0]).grid, -100.0, 4000.0)
    centre = float(np.degrees(np.angle(np.exp(1j * np.radians(places[:, 0])).sum())))
    lon = (places[:, 0] - centre + 180.0) % 360.0 - 180.0 + centre
    box = (float(lon.min()), float(places[:, 1].min()), float(lon.max()), float(places[:, 1].max()))
    return [fetch.download_dem(box, folders[0] / "dem.tif")]


def _open(paths: Sequence[Path]) -> list[Product]:
    """Open what can be opened, naming what cannot."""
    products, failures = [], []
    for path in paths:
        try:
            products.append(open_product(path))
        except InputError as error:
            failures.append(path.name)
            logger.warning("%s is left out: %s", path.name, error)
    if not products:
        raise InputError("no product could be read", got=", ".join(failures) or "none was named")
    return products


def _planes(result: Coregistered) -> dict[str, Any]:
    return {
        "dem": result.layers.height,
        "lon": result.layers.longitude,
        "lat": result.layers.latitude,
    }


def _put(group: Any, values: dict[str, Any]) -> None:
    for name, array in values.items():
        if name in group:
            del group[name]
        group.create_dataset(name, data=array, compression="gzip")


def _check_target(target: Path, index: int) -> None:
    """Refuse, before any work, an output that cannot be written or added to."""
    if not target.resolve().parent.is_dir():
        raise InputError(f"{target}: its folder does not exist")
    if index > 1:
        if not target.is_file():
            raise InputError(f"{target} does not exist", hint="index=1 makes it")
        try:
            with h5py.File(target):
                pass
        except OSError as error:
            raise InputError(f"{target} cannot be read", got=str(error), expected="HDF5") from None


def _check_same(group: Any, result: Coregistered, output: Path) -> None:
    """Refuse to add dates to a file of another grid."""
    shape = result.layers.height.shape
    there = group["dem"].shape if "dem" in group else None
    if there != shape:
        raise InputError(f"{output} is of another grid", expected=f"{shape}", got=f"{there or 'no dem'}")
    for name, mine in (("lon", result.layers.longitude), ("lat", result.layers.latitude)):
        theirs = np.asarray(group[name][:: max(shape[0] // 50, 1)])
        away = np.abs((theirs - mine[:: max(shape[0] // 50, 1)] + 180.0) % 360.0 - 180.0)
        # A hundred-thousandth of a degree is a metre.
        if not np.isfinite(away).any() or np.nanmax(away) > 1e-5:
            raise InputError(
                f"{output} is of another grid",
                expected=f"the {name} of the first date's grid",
                got=f"places up to {np.nanmax(away, initial=0.0):.2g} degrees away",
                hint="index=1 makes the file anew",
            )


def coregistration_bursts(
    bursts_list: AnyPath, output: AnyPath = "projections.h5", index: int = 1, *, workers: int = 1
) -> list[str]:
    """Coregister Sentinel-1 bursts and write the original's flat HDF5.

    Parameters
    ----------
    bursts_list : path
        Text file of burst names, one a line. Products of those names beside the list or in the current
        folder are used; what is missing is fetched (extra ``download``). A DEM named ``dem*.tif`` there is
        used, else one is fetched.
    output : path
        File: ``dem``, ``lon``, ``lat`` and one dataset a date.
    index : int
        1 writes the file anew; larger adds the dates from that place in the list and keeps the others.
    workers : int
        Threads.

    Returns
    -------
    list of str
        Dates that could not be used; each is also logged with the reason.

    Raises
    ------
    InputError
        If the list mixes bursts or polarisations, or no date but the first could be aligned.
    """
    path, target = Path(bursts_list), Path(output)
    names = _burst_names(path)
    _check_index(index, len(names))
    _check_target(target, index)
    wanted = [names[0], *names[index:]]
    folders = [path.resolve().parent, Path.cwd()]
    found: dict[str, Path] = {}
    for name in wanted:
        for folder in folders:
            for end in (".tiff", ".tif"):
                if (folder / f"{name}{end}").is_file() and (folder / f"{name}.xml").is_file():
                    found.setdefault(name, folder / f"{name}{end}")
    missing = [n for n in wanted if n not in found]
    if missing:
        found.update(_fetch(missing, folders[0]))
    products = _open([found[n] for n in wanted if n in found])
    if index > 1 and products[0].paths[0] != found.get(names[0]):
        raise InputError(f"{names[0]} cannot be read: the grid of {target} is its own")
    with scratch(target) as allocate, atomic_path(target) as temporary:
        result = coregister(products, _dem(folders, products), workers=workers, allocate=allocate)
        images = {f"{d:%Y%m%d}": result.amplitude[k] for k, d in enumerate(result.dates)}
        if index > 1:
            shutil.copyfile(target, temporary)
        with h5py.File(temporary, "a" if index > 1 else "w") as file:
            if index > 1:
                _check_same(file, result, target)
                del images[min(images)]
            else:
                _put(file, _planes(result))
            _put(file, images)
    done = {f"{d:%Y%m%d}" for d in result.dates}
    return sorted({n.split("_")[3][:8] for n in wanted} - done)


def _burst_names(path: Path) -> list[str]:
    """Names in a list of bursts, by date; of one burst and one polarisation."""
    try:
        names = sorted({line.strip() for line in path.read_text().splitlines() if line.strip()})
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read", got=str(error)) from None
    parsed = [re.match(r"S1_(\d+_IW[123])_(\d{8})T\d{6}_([VH]{2})_", n) for n in names]
    wrong = [n for n, m in zip(names, parsed) if m is None]
    if wrong or not names:
        raise InputError(
            f"{path} is no list of bursts",
            expected="names as S1_202224_IW2_20160721T045637_VV_17A3-BURST",
            got=", ".join(wrong[:3]) or "nothing",
        )
    for group, what in ((1, "burst"), (3, "polarisation")):
        kinds = sorted({m.group(group) for m in parsed if m})
        if len(kinds) > 1:
            raise InputError(f"{path} has more than one {what}", got=", ".join(kinds))
    return sorted(names, key=lambda n: n.split("_")[3])


def _check_index(index: int, count: int) -> None:
    """Refuse a place in the list that there is not."""
    if not 1 <= index <= max(count - 1, 1):
        raise InputError(f"index {index}", expected=f"1 to {max(count - 1, 1)}")


def _fetch(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """Get bursts by their names."""
    from . import fetch

    fetch.require_extra()
    fetch.check_credentials()
    import asf_search

    try:
        products = list(asf_search.granule_search(list(names)))
    except Exception as error:  # the library raises its own errors and those of requests
        raise InputError(
            f"the search for {', '.join(names)} failed",
            got=type(error).__name__,
            hint=f"put the TIFF and XML of these bursts into {folder}",
        ) from None
    paths = fetch.download_bursts(products, folder)
    got = {str(p.properties["sceneName"]): path for p, path in zip(products, paths)}
    for name in sorted(set(names) - set(got)):
        logger.warning("%s is left out: the archive does not know it", name)
    return got


def coregistration(
    output: AnyPath = "projections.h5", path: AnyPath | None = None, index: int = 1, *, workers: int = 1
) -> list[str]:
    """Coregister TerraSAR-X products and write the original's grouped HDF5.

    Parameters
    ----------
    output : path
        File: one group ``DATE1_DATE2`` a date with ``dem``, ``lon``, ``lat``, ``amps`` and ``amps1``.
    path : path, optional
        Folder of the products' folders; ``data/slcs1`` by default. A DEM named ``dem*.tif`` in it, beside
        it or in the current folder is used, else one is fetched (extra ``download``).
    index : int
        1 writes the file anew; larger adds the products from that place on and keeps the others.
    workers : int
        Threads.

    Returns
    -------
    list of str
        Dates that could not be used; each is also logged with the reason.

    Raises
    ------
    InputError
        If there are no products, or no date but the first could be aligned.
    """
    folder, target = Path(path if path is not None else "data/slcs1"), Path(output)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist", expected="a folder of SSC products")
    listed = sorted(p for p in folder.iterdir() if p.is_dir())
    opened = sorted(_open(listed), key=lambda p: p.date)
    _check_index(index, len(opened))
    _check_target(target, index)
    products = [opened[0], *opened[index:]]
    with scratch(target) as allocate, atomic_path(target) as temporary:
        tiles = _dem([folder, folder.parent, Path.cwd()], products)
        result = coregister(products, tiles, workers=workers, allocate=allocate)
        first: dt.date = result.dates[0]
        if index > 1:
            shutil.copyfile(target, temporary)
        with h5py.File(temporary, "a" if index > 1 else "w") as file:
            for group in [g for g in file.values() if isinstance(g, h5py.Group)]:
                _check_same(group, result, target)
            for k, date in enumerate(result.dates[1:], start=1):
                group = file.require_group(f"{first:%Y%m%d}_{date:%Y%m%d}")
                images = {"amps": result.amplitude[0], "amps1": result.amplitude[k]}
                _put(group, _planes(result) | images)
    done = set(result.dates)
    return sorted(f"{p.date:%Y%m%d}" for p in products if p.date not in done)
