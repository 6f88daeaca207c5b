"""Cloud-optimised GeoTIFFs of what lies on a map grid, one for each quantity and date."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rioxarray  # noqa: F401 (adds the accessor that reads the grid mapping)
import xarray as xr
from rasterio.windows import Window

from mosart.errors import InputError, MosartError

from .atomic import atomic_path
from .stream import Progress, block_edges

#: Value of a mask where nothing is known: all bits.
MASK_NODATA = 255
#: Files written side by side, so that what the dates share is computed once.
TOGETHER = 16
#: Memory for GDAL's blocks, megabytes.
CACHE_MB = 64


@dataclass(frozen=True)
class _Layer:
    """One file: a two-dimensional variable and what is written into it."""

    path: Path
    array: xr.DataArray
    tags: Mapping[str, str]


def write_geotiff(
    array: xr.DataArray, path: str | os.PathLike[str], *, tags: Mapping[str, str] | None = None
) -> None:
    """Write one quantity as a cloud-optimised GeoTIFF, whole or not at all.

    Parameters
    ----------
    array : xarray.DataArray, (y, x)
        On a north-up grid with a grid mapping, as :func:`mosart.geocode` gives it; lazy or not.
        Its attributes ``long_name`` and ``units`` become the band's description and unit.
    path : path-like
        The file. Nodata is NaN for floating numbers and 255 for whole ones; overviews are means, or the
        most frequent value for whole numbers. The coordinates are the cells' centres (``Area``).
    tags : mapping of str to str, optional
        Further metadata.

    Raises
    ------
    InputError
        If the array has no grid mapping, or the folder cannot be written to.
    """
    _write([_Layer(Path(path), array, tags or {})], None)


def write_geotiffs(
    dataset: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    variables: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write every quantity and date of a map as a cloud-optimised GeoTIFF.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :func:`mosart.geocode` gives it, or opened from a file; streamed by rows of blocks.
    folder : path-like
        Where the files go, made if it is missing: ``elevation_change_YYYYMMDD.tif`` for what has a date,
        ``height.tif`` for what has none.
    variables : sequence of str, optional
        What to write; by default all that is on the map grid.
    tags : mapping of str to str, optional
        Further metadata of every file. A standard error that is one number a date is added to that date's
        files as ``elevation_change_std``, in metres: no raster is made of it.
    progress : callable, optional
        Called with the rows done and the rows there are, over all files.

    Returns
    -------
    list of Path
        The files, in the order of the variables and dates.

    Raises
    ------
    InputError
        If there is no grid mapping, or the folder cannot be written to.
    """
    there = [str(name) for name in dataset.data_vars if dataset[name].dims[-2:] == ("y", "x")]
    missing = sorted(set(variables or ()) - set(there))
    if missing:
        raise InputError(f"there is no map of {', '.join(missing)}", expected=", ".join(there))
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {target} cannot be made", got=str(error)) from error
    layers = [
        layer
        for name in (there if variables is None else variables)
        for layer in _layers(dataset, name, target, dict(tags or {}))
    ]
    groups = [layers[i : i + TOGETHER] for i in range(0, len(layers), TOGETHER)]
    for number, group in enumerate(groups):
        _write(group, _part_of(progress, number, len(groups)))
    return [layer.path for layer in layers]


def _layers(dataset: xr.Dataset, name: str, folder: Path, tags: dict[str, str]) -> Iterator[_Layer]:
    variable = dataset[name]
    if "date" not in variable.dims:
        yield _Layer(folder / f"{name}.tif", variable, tags)
        return
    for index, date in enumerate(dataset["date"].values.astype("datetime64[D]").tolist()):
        dated = dict(tags) | {"date": f"{date:%Y-%m-%d}"}
        if "averaged_dates" in dataset:
            dated["averaged_dates"] = str(dataset["averaged_dates"].values[index])
        std = dataset.get("elevation_change_std")
        if std is not None and std.dims == ("date",):
            dated["elevation_change_std"] = f"{float(std.values[index]):.6g}"
        yield _Layer(folder / f"{name}_{date:%Y%m%d}.tif", variable.isel(date=index), dated)


def _part_of(progress: Progress | None, number: int, parts: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    report = progress

    def part(done: int, total: int) -> None:
        report(number * total + done, parts * total)

    return part


def _write(layers: Sequence[_Layer], progress: Progress | None) -> None:
    """Write files side by side: first as plain tiled files by rows of blocks, then each as a COG."""
    with ExitStack() as stack:
        # GDAL would take a twentieth of the machine's memory for its cache.
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_MB))
        finals = [stack.enter_context(atomic_path(layer.path)) for layer in layers]
        drafts = [stack.enter_context(_draft(final.with_name(final.name + ".draft.tif"))) for final in finals]
        stack.enter_context(_full_disk_said(drafts))
        with ExitStack() as opened:
            files = [
                opened.enter_context(rasterio.open(draft, "w", **_profile(layer.array)))
                for draft, layer in zip(drafts, layers, strict=True)
            ]
            for file, layer in zip(files, layers, strict=True):
                _describe(file, layer)
            _fill(files, [layer.array for layer in layers], progress)
        for draft, final, layer in zip(drafts, finals, layers, strict=True):
            whole = layer.array.dtype.kind != "f"
            rasterio.shutil.copy(
                draft,
                final,
                driver="COG",
                COMPRESS="DEFLATE",
                PREDICTOR="NO" if whole else "YES",
                OVERVIEW_RESAMPLING="MODE" if whole else "AVERAGE",
                BIGTIFF="IF_SAFER",
            )
            draft.unlink()


@contextmanager
def _full_disk_said(drafts: Sequence[Path]) -> Iterator[None]:
    """Say so where the disk has no room for one more of the files: GDAL's errors do not."""
    try:
        yield
    except (MosartError, MemoryError):
        raise
    except Exception as error:
        sizes = [draft.stat().st_size for draft in drafts if draft.exists()]
        if sizes and shutil.disk_usage(drafts[0].parent).free < max(sizes):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _fill(files: Sequence[Any], arrays: Sequence[xr.DataArray], progress: Progress | None) -> None:
    """Compute the arrays together, row of blocks after row of blocks."""
    edges = block_edges([array.variable for array in arrays], "y")
    for start, stop in pairwise(edges):
        part = xr.Dataset(
            {str(i): (("y", "x"), array.variable[start:stop].data) for i, array in enumerate(arrays)}
        ).compute()
        for i, file in enumerate(files):
            values = part[str(i)].values
            if values.dtype.kind == "b":
                values = values.astype(np.uint8)
            file.write(values, 1, window=Window(0, start, values.shape[1], values.shape[0]))
        if progress is not None:
            progress(stop, edges[-1])


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _profile(array: xr.DataArray) -> dict[str, Any]:
    crs = array.rio.crs
    if crs is None or array.dims != ("y", "x"):
        raise InputError(
            f"{array.name} cannot become a GeoTIFF",
            expected="dimensions (y, x) and a grid mapping",
            got=f"dimensions {array.dims}, coordinate system {crs}",
        )
    kind = array.dtype.kind
    return {
        "driver": "GTiff",
        "width": array.sizes["x"],
        "height": array.sizes["y"],
        "count": 1,
        "dtype": "uint8" if kind == "b" else array.dtype.name,
        "crs": crs,
        "transform": transform_of(array),
        "nodata": np.nan if kind == "f" else MASK_NODATA,
        "tiled": True,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }


def transform_of(array: xr.DataArray) -> rasterio.Affine:
    """Read a grid's transform: as written in the grid mapping, else from the cells' centres.

    Parameters
    ----------
    array : xarray.DataArray, (y, x)
        With coordinates ``x``, ``y``.

    Returns
    -------
    affine.Affine
        From column and row of a cell's upper left corner to x and y.

    Raises
    ------
    InputError
        If there is a single row or column and no transform in the grid mapping.
    """
    mapping = array.coords.get(str(array.encoding.get("grid_mapping") or array.attrs.get("grid_mapping")))
    text = None if mapping is None else mapping.attrs.get("GeoTransform")
    if text is not None:
        return rasterio.Affine.from_gdal(*(float(number) for number in str(text).split()))
    x, y = array["x"].values, array["y"].values
    if x.size < 2 or y.size < 2:
        raise InputError("the cell size of the map is not known", expected="two rows and columns at least")
    dx, dy = float((x[-1] - x[0]) / (x.size - 1)), float((y[-1] - y[0]) / (y.size - 1))
    return rasterio.Affine(dx, 0.0, float(x[0]) - 0.5 * dx, 0.0, dy, float(y[0]) - 0.5 * dy)


def _describe(file: Any, layer: _Layer) -> None:
    attrs = layer.array.attrs
    file.set_band_description(1, str(attrs.get("long_name", layer.array.name)))
    file.set_band_unit(1, str(attrs.get("units", "")))
    tags = {"quantity": str(layer.array.name)} | dict(layer.tags)
    if "flag_meanings" in attrs:
        masks = np.atleast_1d(attrs["flag_masks"]).tolist()
        tags["flag_masks"] = " ".join(str(bit) for bit in masks)
        tags["flag_meanings"] = str(attrs["flag_meanings"])
    file.update_tags(**tags)
