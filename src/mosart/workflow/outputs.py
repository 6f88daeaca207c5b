"""What is made of the products of runs that are done: the page again, exports, comparisons."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from mosart.areas import Areas, read_written_areas
from mosart.change import ElevationChange
from mosart.compare import Comparison, compare
from mosart.errors import InputError
from mosart.io import zarr
from mosart.io.bowser import write_bowser
from mosart.io.mintpy_export import write_mintpy
from mosart.io.netcdf import open_dataset
from mosart.io.qgis import write_qgis
from mosart.periods import Period
from mosart.report.comparison import write_comparison
from mosart.report.looks import radar_files
from mosart.report.page import write_page

from .accuracy import expected_error
from .configfile import load
from .folder import ProductFolder
from .products import AREAS, write_rasters

logger = logging.getLogger(__name__)

#: Names of the files of every target of an export.
TARGETS = {
    "mintpy": r"mintpy/.*",
    "geotiff": r"geotiff/.*\.tif",
    "zarr": r".*\.zarr",
    "qgis": r"mosart\.qgz|geotiff/.*\.qml",
    "bowser": r"bowser_rasters\.json",
}
_MAP = "elevation_change.nc"


def make_report(folder: Path) -> Path:
    """Make the page of a run again from its products.

    Parameters
    ----------
    folder : Path
        Of the run.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    InputError
        If there is no result in the folder, or the page cannot be made.
    """
    results = _results(folder)
    with open_dataset(results[0][1]) as data:
        method = str(data.attrs["method"])
    looks = sum(path.name != _MAP for _, path in results)
    with ProductFolder(folder).amended(r"report\.html"):
        return write_page(
            folder,
            areas=_areas(folder),
            activity=_activity(folder),
            accuracy=expected_error(method, looks=looks),
        )


def export(folder: Path, target: str) -> list[Path]:
    """Write the products of a run for other software.

    Parameters
    ----------
    folder : Path
        Of the run.
    target : str
        A name in :data:`TARGETS`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If there is no result in the folder, the target is unknown, or it needs a map and there is none.
    """
    results = _results(folder)
    if target not in TARGETS:
        raise InputError(f"nothing is known of the target {target}", expected=", ".join(TARGETS), got=target)
    with ProductFolder(folder).amended(TARGETS[target]):
        if target == "qgis":
            return write_qgis(folder)
        if target == "bowser":
            return [write_bowser(folder)]
        if target == "geotiff":
            with ExitStack() as opened:
                return write_rasters(_map(folder, opened), folder / "geotiff")
        written = []
        for look, path in results:
            with open_dataset(path) as data:
                if target == "zarr":
                    written.append(path.with_suffix(".zarr"))
                    zarr.write_dataset(data, written[-1])
                    continue
                written += write_mintpy(ElevationChange(data), folder / "mintpy", look=look)
        return written


def compare_results(
    first: Path, second: Path, out: Path | None = None, *, date: dt.date | None = None
) -> str:
    """Set a run beside another, or beside a raster of elevation change.

    Parameters
    ----------
    first : Path
        Folder of a run with a map. The areas of its config are compared by themselves too.
    second : Path
        Folder of a run with a map, or a raster: later minus earlier, metres, positive where the surface rose.
    out : Path, optional
        Folder for the table and the pictures; without it nothing is written.
    date : datetime.date, optional
        The one date to compare.

    Returns
    -------
    str
        The numbers, for people.

    Raises
    ------
    InputError
        If either cannot be read, or they have nothing in common.
    """
    with ExitStack() as opened:
        one = ElevationChange(_map(first, opened))
        if second.is_dir():
            found = compare(one, ElevationChange(_map(second, opened)), date=date, areas=_areas(first))
        elif second.is_file():
            found = compare(one, second, date=date, areas=_areas(first))
        else:
            raise _nothing(second, "the folder of a run, or a raster (GeoTIFF)")
        lines = [f"{first} minus {second}", *(_line(each) for each in found)]
        if out is not None:
            written = write_comparison(found, one.dataset, out, names=(first.name, second.name))
            lines.append(f"{len(written)} files in {out}")
    return "\n".join(lines)


def _line(one: Comparison) -> str:
    text = (
        f"  {one.date:%Y%m%d} {one.name}: median {one.median:+.2f} m, NMAD {one.nmad:.2f} m, "
        f"RMSE {one.rmse:.2f} m, {one.errors.size} cells ({one.share:.0%})"
    )
    held = one.coverage(0.9)
    return f"{text}, 90% bars hold {held:.0%}" if held >= 0 else text


def _results(folder: Path) -> list[tuple[str, Path]]:
    """Find the map and the results on radar grids, each with its look's name where there are several."""
    mapped = [("", folder / _MAP)] if (folder / _MAP).is_file() else []
    found = [*mapped, *radar_files(folder).items()]
    if not found:
        raise _nothing(folder, f"a folder with {_MAP} or radar.nc")
    return found


def _map(folder: Path, opened: ExitStack) -> xr.Dataset:
    path = folder / _MAP
    if not path.is_file():
        raise _nothing(folder, f"the folder of a run that has a map, {path.name}")
    return opened.enter_context(open_dataset(path))


def _nothing(path: Path, expected: str) -> InputError:
    got = "a folder without it" if path.is_dir() else "a file" if path.exists() else "nothing of that name"
    return InputError(
        f"there is no result in {path}",
        expected=expected,
        got=got,
        hint="name the folder that `mosart run` left its products in (`out`)",
    )


def _activity(folder: Path) -> tuple[Period, ...]:
    """Read the periods of activity of a run from its config."""
    path = folder / "config.yaml"
    try:
        return load(path).periods() if path.is_file() else ()
    except InputError as error:
        logger.warning("the periods of activity of %s are left out: %s", path, error.what)
        return ()


def _areas(folder: Path) -> Areas | None:
    """Read the areas and points of a run; the files they came from may be gone."""
    path = folder / AREAS
    try:
        return read_written_areas(path) if path.is_file() else None
    except InputError as error:
        logger.warning("the areas of %s are left out: %s", path, error.what)
        return None
