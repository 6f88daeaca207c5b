"""Everything a run needs, checked before work starts: the plan of a run."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mosart.areas import Areas, flag_water, read_areas, read_raster
from mosart.errors import InputError
from mosart.geometry import LookFrame, flag_visibility, resolve
from mosart.geometry.resolve import GeometryUnknown
from mosart.inversion import Entry, default_method, plan_entries
from mosart.io import open_stack
from mosart.io.checks import drop_empty
from mosart.io.isce import input_files
from mosart.io.survey import Survey, survey
from mosart.stack import Stack

from .accuracy import expected_error
from .config import Config
from .cores import available_cores
from .folder import ProductFolder
from .layers import batches
from .log import Talk
from .memory import TOGETHER, Estimate, estimate
from .places import is_numbers, select_dates

logger = logging.getLogger(__name__)

_NEEDED = "a stack file (or `slc` and `dem`) and an `out` folder"


@dataclass(frozen=True)
class Plan:
    """What a run will do; every input it needs is open and fit for use.

    Parameters
    ----------
    config : Config
        As used: what was left at a default that depends on the stack is filled in.
    stack : Stack
        Cropped, with its layover, shadow and water flagged, without its empty images.
    frame : LookFrame or None
        The look of the cropped grid; None where it cannot be known.
    geometry_fault : str
        Why it cannot be known.
    reference : tuple of date
        Dates the change counts from.
    entries : tuple of Entry
        What the result will hold.
    areas : Areas or None
        Areas and points of interest.
    polygons : Areas or None
        Those that a volume is asked of.
    stable : ndarray of bool, (azimuth, range), or None
        Ground that the user says did not change.
    weights : str or ndarray
        As :func:`mosart.inversion.invert` takes them.
    found : Survey
        What the pixels hold.
    memory : Estimate
        What the run will need.
    workers : int
        Threads.
    source : Path
        The stack file.
    inputs : tuple of Path
        Files of the user's that the run reads.
    hashes : mapping of Path to str
        SHA-256 of those that are known already.
    """

    config: Config
    stack: Stack
    frame: LookFrame | None
    geometry_fault: str
    reference: tuple[dt.date, ...]
    entries: tuple[Entry, ...]
    areas: Areas | None
    polygons: Areas | None
    stable: NDArray[np.bool_] | None
    weights: str | NDArray[np.float64]
    found: Survey
    memory: Estimate
    workers: int
    source: Path
    inputs: tuple[Path, ...] = field(default=())
    hashes: Mapping[Path, str] = field(default_factory=dict)

    def text(self) -> str:
        """Tell a user what the run will do."""
        dates, rows, columns = self.stack.shape
        lines = [
            f"stack      {self.source}",
            f"size       {dates} dates, {rows} azimuth rows x {columns} range pixels",
            f"dates      {_names(self.stack.dates)}",
            f"heights    {self.found.heights[0]:.0f} to {self.found.heights[1]:.0f} m",
            f"geometry   {geometry_text(self.frame, self.geometry_fault)}",
            f"method     {self.method}",
            f"options    {self._options_text()}",
            f"reference  {_names(self.reference)}",
            f"entries    {_names([entry.date for entry in self.entries])}",
            f"areas      {', '.join(self.areas.names) if self.areas else 'none named'}",
            f"products   {self.config.out}{'' if self.mapped else ' (radar grid only, no map)'}",
            f"memory     {self._memory_text()}",
            f"disk       about {self.memory.disk / 2**30:.2f} GiB",
            f"error      {expected_error(self.method)}",
        ]
        return "\n".join(lines)

    @property
    def method(self) -> str:
        """Name of the method: the config's, which is filled in."""
        return str(self.config.method)

    def _options_text(self) -> str:
        if self.method == "synthesis":
            return "none: despeckling and weights are for the row-wise methods"
        return f"despeckle {self.config.despeckle}, weights {self.config.weights}"

    def _memory_text(self) -> str:
        return f"about {self.memory.peak / 2**30:.2f} GiB with {self.workers} workers"

    @property
    def mapped(self) -> bool:
        """Whether the products go on a map grid: with lon/lat and a known look."""
        return self.stack.has_lonlat and self.frame is not None


def prepare(
    config: Config, talk: Talk, *, made: Path | None = None, hashes: Mapping[Path, str] | None = None
) -> Plan:
    """Check everything that a run needs, and change nothing.

    Parameters
    ----------
    config : Config
        With absolute paths.
    talk : Talk
        The terminal.
    made : Path, optional
        The stack that this run has made of SLC products.
    hashes : mapping of Path to str, optional
        SHA-256 of inputs that are known already.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        On anything that would stop the run later: it names the file, date or key.
    """
    out = required(config, "out" if made else "stack")
    inputs = existing(config)
    ProductFolder(out).examine(inputs)
    check_grid(config)
    path = made or config.stack[0]
    whole = open_stack(path)
    # The whole image tells the geometry better than a part of it, and its slopes shade the part.
    frame, fault = _geometry(whole, config)
    flagged = flag_visibility(whole, frame) if frame is not None else whole
    stack = crop(flagged, config)
    if frame is not None:
        first = int(stack.dataset["range"].values[0] - whole.dataset["range"].values[0])
        frame = frame.crop(slice(first, first + stack.shape[2]))
    stack = _with_water(flagged, stack, config)
    areas = _areas(stack, config)
    stable = read_areas(config.stable).union(stack) if config.stable is not None else None
    weights = _weights(whole, stack, config)
    with talk.progress("reading all images once") as advance:
        found = survey(stack, progress=advance)
    stack = drop_empty(stack, found.empty, str(path), 2)
    reference, entries = _entries(stack, config)
    workers = config.workers or available_cores()
    settled = {
        "method": config.method or default_method(stack, frame),
        "reference": tuple(f"{date:%Y%m%d}" for date in reference),
        "workers": workers,
    }
    used = config.merged(Config.model_validate(settled))
    plan = Plan(
        config=used,
        stack=stack,
        frame=frame,
        geometry_fault=fault,
        reference=reference,
        entries=entries,
        areas=areas,
        polygons=_polygons(areas, config),
        stable=stable,
        weights=weights,
        found=found,
        memory=estimate(
            stack.shape,
            max(
                len({date for entry in part for date in (*entry.images, *entry.reference)})
                for part in batches(entries, TOGETHER)
            ),
            len(entries),
            workers,
            mapped=stack.has_lonlat and frame is not None,
            synthesis=used.method == "synthesis",
        ),
        workers=workers,
        source=path,
        inputs=inputs,
        hashes=hashes or {},
    )
    plan.memory.warn()
    return plan


def required(config: Config, *keys: str) -> Path:
    """Return the output; refuse a config without it or another key."""
    for key in (*keys, "out"):
        if not getattr(config, key):
            raise InputError(
                f"`{key}` is missing",
                expected="`slc` and `dem`, and an `out`" if "dem" in keys else _NEEDED,
                got=f"no `{key}`",
                hint=f"name it in the config file or as --{key}",
            )
    assert config.out is not None  # for the type checker: refused above
    return config.out


def existing(config: Config) -> tuple[Path, ...]:
    """Return all files that the config names; refuse a missing one by its key."""
    named: list[tuple[str, Path]] = [("stack", part) for path in config.stack for part in input_files(path)]
    named += [("slc", part) for path in config.slc for part in product_files(path)]
    named += [(key, path) for key in ("dem", "orbits") for path in getattr(config, key)]
    named += [
        (key, Path(text)) for key in ("areas", "points") for text in getattr(config, key) if is_path(text)
    ]
    if config.stable and is_path(config.stable):
        named.append(("stable", Path(config.stable)))
    for key in ("polygons", "raster"):
        if (path := getattr(config.water, key)) is not None:
            named.append((f"water.{key}", path))
    if (path := config.weights_path()) is not None:
        named.append(("weights", path))
    for key, path in named:
        if not path.exists():
            what = "one of unit, stable, robust or a raster file" if key == "weights" else "an existing file"
            raise InputError(
                f"{key}: {path} does not exist", expected=what, got=str(path), hint=f"correct `{key}`"
            )
    return tuple(dict.fromkeys(path for _, path in named))


def product_files(path: Path) -> tuple[Path, ...]:
    """Return the files and folders of an SLC product; its path may end with a subswath (``:IW2``)."""
    if not path.exists():
        path = path.with_name(re.sub(r":IW[1-3]$", "", path.name, flags=re.IGNORECASE))
    if path.name.lower() == "manifest.safe":
        return (path.parent,)
    if not path.exists() or path.suffix.lower() not in {".tiff", ".tif", ".xml"}:
        return (path,)
    # A burst is a TIFF and an XML of one name, an SSC is an XML beside its images.
    parts = (*(path.with_suffix(end) for end in (".tiff", ".tif", ".xml")), path.parent / "IMAGEDATA")
    return tuple(part for part in parts if part.exists())


def is_path(place: str) -> bool:
    """Whether a place is the path of a file, not a box or a point."""
    return not (place.startswith(("lonlat=", "pixels=")) or is_numbers(place))


def check_grid(config: Config) -> None:
    """Refuse a map grid that cannot be."""
    if config.grid.crs.lower() in {"utm", "geographic"}:
        return
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        CRS.from_user_input(config.grid.crs)
    except CRSError as error:
        raise InputError(
            "grid.crs is no coordinate reference system",
            expected="utm, geographic, or EPSG:CODE",
            got=config.grid.crs,
            hint="name it as EPSG:CODE",
        ) from error


def _geometry(stack: Stack, config: Config) -> tuple[LookFrame | None, str]:
    overrides = config.geometry.model_dump(exclude_none=True)
    try:
        return resolve(stack, overrides), ""
    except GeometryUnknown as error:
        logger.warning(
            "the geometry of the look is unknown: %s; only the change at the fixed slant-range pixel is "
            "given (elevation_change_slant). What to do: give `geometry:` incidence_angle and range_spacing",
            error.what + (f" ({error.got})" if error.got else ""),
        )
        return None, error.what


def geometry_text(frame: LookFrame | None, fault: str) -> str:
    """Describe a look in one line."""
    if frame is None:
        return f"unknown: {fault}"
    theta = frame.incidence_angle
    angle = f"{theta[0]:.2f}" if np.ptp(theta) < 0.005 else f"{theta.min():.2f} to {theta.max():.2f}"
    error = f" +- {frame.incidence_std_error:.2f}" if frame.incidence_std_error > 0 else ""
    heading = "unknown" if np.isnan(frame.heading) else f"{frame.heading:.1f} deg"
    return (
        f"incidence {angle}{error} deg, range spacing {frame.range_spacing:.3f} m (slant), azimuth spacing "
        f"{frame.azimuth_spacing:.3f} m, {frame.look_direction}-looking, heading {heading}; {frame.source}"
    )


def crop(stack: Stack, config: Config) -> Stack:
    """Cut a stack to the config's box; the whole stack where there is none."""
    if config.crop.lonlat is not None:
        return stack.crop(lonlat=config.crop.lonlat)
    if config.crop.pixels is not None:
        return stack.crop(pixels=config.crop.pixels)
    return stack


def _entries(stack: Stack, config: Config) -> tuple[tuple[dt.date, ...], tuple[Entry, ...]]:
    reference = select_dates(config.reference[0], stack.dates, "reference") if config.reference else None
    if reference is None:
        logger.info("reference: the earliest date, %s", _names(stack.dates[:1]))
        reference = stack.dates[:1]
    epochs = [select_dates(text, stack.dates, "epoch") for text in config.epoch] or None
    return plan_entries(stack.dates, reference, epochs)


def _areas(stack: Stack, config: Config) -> Areas | None:
    if not (config.areas or config.points):
        return None
    areas = read_areas([*config.areas, *config.points])
    # Some at a time: each mask is as large as the image.
    for names in batches(areas.names, 8):
        for name, inside in areas.masks(stack, names).items():
            if not inside.any():
                raise InputError(
                    f"areas: {name} holds no pixel of the (cropped) image",
                    expected="an area or a point that overlaps the image",
                    got="0 pixels",
                    hint="check its coordinates, and `crop`",
                )
    return areas


def _polygons(areas: Areas | None, config: Config) -> Areas | None:
    """Those of the areas that were named as areas, and are no points."""
    if areas is None or not config.areas:
        return None
    named = areas.areas[: len(read_areas(list(config.areas)).areas)]
    extended = tuple(area for area in named if area.kind != "point" and area.degrees_or_pixels is None)
    return Areas(extended) if extended else None


def _weights(whole: Stack, stack: Stack, config: Config) -> str | NDArray[np.float64]:
    """Weights as the inversion takes them; a raster on the radar grid may be the file's or the crop's."""
    raster = config.weights_path()
    if raster is None:
        if config.weights == "stable" and config.stable is None:
            raise InputError(
                "weights: `stable` needs ground that did not change",
                expected="`stable`: a file or a box",
                got="no `stable`",
                hint="name it in the config file or as --stable, or take --weights robust",
            )
        return config.weights
    try:
        values = np.asarray(read_raster(raster, stack), dtype=np.float64)
    except InputError:
        if stack.shape == whole.shape:
            raise
        values = np.asarray(read_raster(raster, whole), dtype=np.float64)[_part(whole, stack)]
    usable = np.isfinite(values)
    if (values[usable] < 0).any() or not (values[usable] > 0).any():
        raise InputError(
            f"weights: {raster} cannot weigh a fit",
            expected="numbers of zero or more, some above zero",
            got="negative numbers" if (values[usable] < 0).any() else "no number above zero",
            hint="correct the raster",
        )
    return np.where(usable, values, 0.0)


def _part(whole: Stack, stack: Stack) -> tuple[slice, slice]:
    """Rows and columns of a stack that its crop is."""
    starts = [int(stack.dataset[d].values[0] - whole.dataset[d].values[0]) for d in ("azimuth", "range")]
    rows, columns = stack.shape[1:]
    return slice(starts[0], starts[0] + rows), slice(starts[1], starts[1] + columns)


def _with_water(whole: Stack, stack: Stack, config: Config) -> Stack:
    water = config.water
    if water.polygons is None and water.raster is None and water.sea_level is None and water.strip is None:
        return stack
    where = water.model_dump()
    try:
        return flag_water(stack, **where)
    except InputError:
        # A raster on the radar grid may be the file's, and the sea may lie outside the crop.
        if stack.shape == whole.shape:
            raise
        return crop(flag_water(whole, **where), config)


def _names(dates: Sequence[dt.date]) -> str:
    return ", ".join(f"{date:%Y%m%d}" for date in dates)
