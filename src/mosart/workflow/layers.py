"""Files that hold one layer a date: only the layers that something changed for are made again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
#: Makes the layers of some dates, one complete file for each of the files that they belong to.
Make = Callable[[Sequence[dt.date], Sequence[Path]], None]


@dataclass(frozen=True)
class Layered:
    """A file of layers that is to be written.

    Parameters
    ----------
    name : str
        Its name among the products.
    whole : Step
        The file.
    layers : mapping of date to Step
        Its layers, ascending.
    finish : callable
        Puts on a dataset what does not come from its layers: attributes, positions.
    """

    name: str
    whole: Step
    layers: Mapping[dt.date, Step]
    finish: Callable[[xr.Dataset], xr.Dataset]


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut a list into parts of at most a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def write_layers(
    ledger: Ledger, files: Sequence[Layered], *, make: Make, size: int, talk: Talk
) -> list[Path]:
    """Write files of layers, out of earlier ones as far as they hold.

    Parameters
    ----------
    ledger : Ledger
        The steps of the run.
    files : sequence of Layered
        Files of the same dates, whose layers are made together: the map and the radar grids of several looks.
    make : callable
        Makes a file of the layers of some dates for each of `files`, complete in itself.
    size : int
        Dates that are made together.
    talk : Talk
        For the progress bar.

    Returns
    -------
    list of Path
        The files in the staging folder.
    """
    kept = [ledger.kept(file.whole) for file in files]
    held = [{date: ledger.holding(step) for date, step in file.layers.items()} for file in files]
    missing = [date for date in files[0].layers if not all(sources[date] for sources in held)]
    stale = [not there or bool(missing) for there in kept]
    for file, sources, again in zip(files, held, stale, strict=True):
        if again:
            _set_aside(ledger, file.name, sources)
    made: list[set[Path]] = [set() for _ in files]
    for part in batches(missing, size):
        pieces = [ledger.pieces / f"{Path(file.name).stem}_{part[0]:%Y%m%d}.nc" for file in files]
        for piece in pieces:
            piece.unlink(missing_ok=True)
        with ledger.working(*(file.layers[date] for file in files for date in part)):
            make(part, pieces)
        for sources, piece, new in zip(held, pieces, made, strict=True):
            sources.update(dict.fromkeys(part, piece))
            new.add(piece)
    for file, sources, new, again in zip(files, held, made, stale, strict=True):
        if again:
            _assemble(ledger, file, [source for source in sources.values() if source is not None], new, talk)
        ledger.inside(file.layers.values(), file.whole)
    return [ledger.stage / file.name for file in files]


def _set_aside(ledger: Ledger, name: str, sources: dict[dt.date, Path | None]) -> None:
    """Move a file that will be written anew out of the way; layers in it may be wanted."""
    path = ledger.stage / name
    if path in sources.values():
        aside = ledger.pieces / f"{path.stem}_before.nc"
        path.replace(aside)
        sources |= {date: aside for date, source in sources.items() if source == path}
    path.unlink(missing_ok=True)


def _assemble(ledger: Ledger, file: Layered, sources: Sequence[Path], made: set[Path], talk: Talk) -> None:
    """Put the layers of a file together."""
    path = ledger.stage / file.name
    with ledger.working(file.whole):
        if made == set(sources) and len(made) == 1:  # one new file holds all, as it should be
            sources[0].replace(path)
        else:
            with ExitStack() as opened, talk.progress(f"writing {file.name}") as advance:
                parts = [
                    opened.enter_context(open_dataset(source)).sel(date=np.array([date], "datetime64[ns]"))
                    for date, source in zip(file.layers, sources, strict=True)
                ]
                write_dataset(file.finish(joined(parts)), path, progress=advance)
    for piece in {source for source in sources if source.parent == ledger.pieces}:
        piece.unlink(missing_ok=True)


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
        axis = model.dims.index("date")
        data: Any = da.concatenate(arrays, axis) if lazy else np.concatenate(arrays, axis)
        result[name] = (model.dims, data, model.attrs)
    dates = np.concatenate([part["date"].values for part in parts])
    return result.assign_coords(date=("date", dates, parts[-1]["date"].attrs))


def _missing(model: xr.DataArray) -> Any:
    value = np.nan if model.dtype.kind == "f" else 0
    chunks = model.chunks or model.shape
    return da.full(model.shape, value, dtype=model.dtype, chunks=chunks)
