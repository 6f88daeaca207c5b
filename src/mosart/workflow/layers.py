"""Files that hold one layer a date: only the layers that something changed for are made again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import dask.array as da
import numpy as np
import xarray as xr

from mosart.io.netcdf import open_dataset, write_dataset

from .log import Talk
from .steps import Ledger, Step

#: Methods that take long: each entry by itself, so that little is lost when a run is stopped.
ALONE = ("synthesis",)

Item = TypeVar("Item")
#: Makes the layers of some dates as a complete file.
Make = Callable[[Sequence[dt.date], Path], None]


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut a list into parts of at most a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def write_layers(
    ledger: Ledger,
    whole: Step,
    layers: Mapping[dt.date, Step],
    name: str,
    *,
    make: Make,
    finish: Callable[[xr.Dataset], xr.Dataset],
    size: int,
    talk: Talk,
) -> Path:
    """Write a file of layers, out of earlier ones as far as they hold.

    Parameters
    ----------
    ledger : Ledger
        The steps of the run.
    whole : Step
        The file.
    layers : mapping of date to Step
        Its layers, ascending.
    name : str
        Its name among the products.
    make : callable
        Makes a file of the layers of some dates, complete in itself.
    finish : callable
        Puts on a dataset what does not come from its layers: attributes, positions.
    size : int
        Layers that are made together.
    talk : Talk
        For the progress bar.

    Returns
    -------
    Path
        The file in the staging folder.
    """
    path = ledger.stage / name
    kept = ledger.kept(whole)
    sources = {date: ledger.holding(step) for date, step in layers.items()}
    if kept and all(sources.values()):
        ledger.inside(layers.values(), whole)
        return path
    path.unlink(missing_ok=True)
    made = set()
    for part in batches([date for date, source in sources.items() if source is None], size):
        piece = ledger.pieces / f"{Path(name).stem}_{part[0]:%Y%m%d}.nc"
        piece.unlink(missing_ok=True)
        with ledger.working(*(layers[date] for date in part)):
            make(part, piece)
        sources |= dict.fromkeys(part, piece)
        made.add(piece)
    files = [source for source in sources.values() if source is not None]
    with ledger.working(whole):
        if made == set(files) and len(made) == 1:  # one new file holds all, as it should be
            files[0].replace(path)
        else:
            with ExitStack() as opened, talk.progress(f"writing {name}") as advance:
                parts = [
                    opened.enter_context(open_dataset(file)).sel(date=np.array([date], "datetime64[ns]"))
                    for date, file in zip(layers, files, strict=True)
                ]
                write_dataset(finish(joined(parts)), path, progress=advance)
    ledger.inside(layers.values(), whole)
    for piece in {file for file in files if file.parent == ledger.pieces}:
        piece.unlink(missing_ok=True)
    return path


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join datasets of one date each along the date.

    Parameters
    ----------
    parts : sequence of xarray.Dataset
        Ascending. What has no date is the last one's.

    Returns
    -------
    xarray.Dataset
        A variable that some lack is NaN there (0 where it is no floating number).
    """
    models = {n: p[n] for p in parts for n in p.data_vars if "date" in p[n].dims}
    result = parts[-1].drop_dims("date")
    # What a method found for all dates is not told where an entry is the reference itself.
    result.attrs = {name: value for part in parts for name, value in part.attrs.items()}
    for name, model in models.items():
        arrays = [part[name].data if name in part else _missing(model) for part in parts]
        lazy = any(isinstance(array, da.Array) for array in arrays)
        data: Any = da.concatenate(arrays) if lazy else np.concatenate(arrays)
        result[name] = (model.dims, data, model.attrs)
    dates = np.concatenate([part["date"].values for part in parts])
    return result.assign_coords(date=("date", dates, parts[-1]["date"].attrs))


def _missing(model: xr.DataArray) -> Any:
    value = np.nan if model.dtype.kind == "f" else 0
    chunks = model.chunks or model.shape
    return da.full(model.shape, value, dtype=model.dtype, chunks=chunks)
