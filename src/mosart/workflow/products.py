"""The products of a run that are made from its result: map, GeoTIFFs, tables, figures, exports, page."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from mosart.areas import write_areas
from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.geocoding import geocode
from mosart.inversion import despeckled
from mosart.io.bowser import write_bowser
from mosart.io.geotiff import write_geotiffs
from mosart.io.mintpy_export import write_mintpy
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.io.qgis import write_qgis
from mosart.io.stream import Progress
from mosart.io.tables import write_table
from mosart.report import write_figures
from mosart.report.looks import LookImages, write_look_figures
from mosart.report.page import write_page
from mosart.report.page.facts import read_tables

from .accuracy import expected_error
from .log import Talk
from .plan import Plan

logger = logging.getLogger(__name__)

#: The areas and points of a run, among its products.
AREAS = "areas.geojson"
#: What becomes a GeoTIFF; a standard error that is one number a date becomes a tag of these.
RASTERS = (
    "elevation_change",
    "elevation_change_std",
    "mask",
    "measured_amplitude",
    "modelled_amplitude",
    "looks",
)


def write_map(stored: xr.Dataset, plan: Plan, path: Path, talk: Talk, attrs: Mapping[str, str]) -> None:
    """Bring results to the map grid.

    Parameters
    ----------
    stored : xarray.Dataset
        Some dates of ``radar.nc``.
    plan : Plan
        For the grid.
    path : Path
        File to write.
    talk : Talk
        For the progress bar.
    attrs : mapping of str to str
        Attributes of the file.
    """
    grid = plan.config.grid
    mapped = geocode(ElevationChange(stored), crs=grid.crs, pixel_size=grid.pixel_size)
    logger.info(
        "map: %s x %s cells of %.6g in %s",
        mapped.sizes["y"],
        mapped.sizes["x"],
        abs(float(mapped.rio.resolution()[0])),
        mapped.rio.crs,
    )
    with talk.progress("geocoding") as advance:
        write_dataset(mapped.assign_attrs(attrs), path, progress=advance)


def write_rasters(mapped: xr.Dataset, folder: Path, *, progress: Progress | None = None) -> list[Path]:
    """Write what a map holds of :data:`RASTERS` as GeoTIFFs, one a date and quantity.

    Parameters
    ----------
    mapped : xarray.Dataset
        As stored in ``elevation_change.nc``.
    folder : Path
        Where the files go.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Returns
    -------
    list of Path
    """
    rasters = [name for name in RASTERS if name in mapped and mapped[name].ndim > 1]
    kept = ("method", "reference_dates", "source", "history", "references", "input_hashes")
    tags = {name: str(mapped.attrs[name]) for name in kept if name in mapped.attrs}
    return write_geotiffs(mapped, folder, variables=rasters, tags=tags, progress=progress)


def write_tables(stored: ElevationChange, plan: Plan, stage: Path) -> None:
    """Write the time series of areas and points, the volumes of areas, and the areas themselves.

    Parameters
    ----------
    stored : ElevationChange
        As written to ``radar.nc``.
    plan : Plan
        For the areas.
    stage : Path
        Folder to write to.
    """
    if plan.areas is None:
        logger.info("no areas or points are named: no time series and no volumes")
        return
    write_areas(plan.areas, stage / AREAS, plan.stack)
    write_table(stored.time_series(plan.areas), stage / "timeseries.csv")
    if stored.quantity == "elevation_change_slant":
        logger.warning("without the geometry of the look there are no volumes")
        return
    if plan.polygons is None:
        return
    try:
        volumes = stored.volume(plan.polygons, intervals=True)
    except InputError as error:
        logger.warning("no volumes: %s", error.what)
        return
    write_table(volumes, stage / "volumes.csv")


def draw_figures(stored: ElevationChange, plan: Plan, stage: Path, talk: Talk) -> None:
    """Draw the figures.

    Parameters
    ----------
    stored : ElevationChange
        As written to ``radar.nc``.
    plan : Plan
        For the images and areas.
    stage : Path
        Folder to write to, where the map is if there is one.
    talk : Talk
        For the progress bar.
    """
    folder = stage / "figures"
    folder.mkdir(exist_ok=True)
    if plan.joint:
        _draw_joint(stored, plan, stage, talk)
        return
    images = plan.stack.select(plan.reference[:1])
    filtered = None
    if plan.config.despeckle != "none" and plan.method != "synthesis":  # which takes images as they are
        amplitude = images.dataset["amplitude"]
        filtered = amplitude.copy(data=despeckled(images, plan.config.despeckle))
    map_file = stage / "elevation_change.nc"
    tables = read_tables(stage)
    with ExitStack() as opened, talk.progress("drawing figures") as advance:
        mapped = opened.enter_context(open_dataset(map_file)) if map_file.exists() else None
        write_figures(
            stored,
            folder,
            stack=images,
            filtered=filtered,
            areas=plan.areas,
            mapped=mapped,
            series=tables.series,
            volumes=tables.volumes,
            activity=plan.config.periods(),
            look=plan.look.bearing,
            progress=advance,
        )


def _draw_joint(stored: ElevationChange, plan: Plan, stage: Path, talk: Talk) -> None:
    """Draw the joint map, and what is each look's own."""
    tables = read_tables(stage)
    looks = [
        LookImages(
            look.name, stage / name, look.stack.select(look.dates_of(plan.reference)[:1]), look.bearing
        )
        for name, look in plan.radar_files.items()
    ]
    with talk.progress("drawing figures") as advance:
        write_figures(
            stored,
            stage / "figures",
            areas=plan.areas,
            mapped=stored.dataset,
            series=tables.series,
            volumes=tables.volumes,
            activity=plan.config.periods(),
            looks={look.name: look.bearing for look in looks if look.bearing is not None},
            progress=advance,
        )
        write_look_figures(stored, looks, stage / "figures", areas=plan.areas, progress=advance)


def write_for_mintpy(plan: Plan, stage: Path, talk: Talk) -> None:
    """Write MintPy's files, of the radar grid of each look and, where there is one, of the map.

    Parameters
    ----------
    plan : Plan
        For the looks.
    stage : Path
        Folder to write to, where the results are.
    talk : Talk
        For the progress bar.
    """
    files = {name: look.name if plan.joint else "" for name, look in plan.radar_files.items()}
    if (stage / "elevation_change.nc").exists():
        files["elevation_change.nc"] = ""
    with talk.progress("writing for MintPy"):
        for name, look in files.items():
            with open_dataset(stage / name) as data:
                write_mintpy(ElevationChange(data), stage / "mintpy", look=look)


def write_for_gis(stage: Path, talk: Talk) -> None:
    """Write a project for QGIS and a list for bowser, which show the GeoTIFFs.

    Parameters
    ----------
    stage : Path
        Folder to write to, where the GeoTIFFs are.
    talk : Talk
        For the progress bar.
    """
    with talk.progress("writing for QGIS and bowser"):
        write_qgis(stage)
        write_bowser(stage)


def write_report(plan: Plan, stage: Path, talk: Talk) -> None:
    """Write the page to look at; without the libraries it needs, say so and go on.

    Parameters
    ----------
    plan : Plan
        For the areas and the look.
    stage : Path
        Folder of all other products, the log so far among them.
    talk : Talk
        For the progress bar.
    """
    with talk.progress("making the page"):
        try:
            write_page(
                stage,
                areas=plan.areas,
                activity=plan.config.periods(),
                accuracy=expected_error(plan.method, looks=len(plan.looks)),
                look=plan.look.bearing,
            )
        except InputError as error:
            if isinstance(error.__cause__, OSError):  # the disk is full, say: the next run makes it
                raise
            logger.warning("no report.html: %s%s", error.what, f" ({error.hint})" if error.hint else "")
