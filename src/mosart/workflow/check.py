"""Everything a run needs, checked before work starts."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mosart.areas import Areas, flag_water, read_areas, read_raster
from mosart.errors import InputError
from mosart.geometry import LookFrame, flag_visibility, resolve
from mosart.geometry.resolve import GeometryUnknown
from mosart.inversion import Entry, default_method, plan_entries
from mosart.inversion.gather import NamedStack, gather, plan_together
from mosart.inversion.samedem import check_ground
from mosart.inversion.synthesis.needed import synthesis_fault
from mosart.inversion.synthesis.terrain import with_terrain
from mosart.io import open_stack
from mosart.io.checks import drop_empty
from mosart.io.isce import input_files
from mosart.io.survey import survey
from mosart.stack import Stack

from .config import Config, Water
from .cores import available_cores
from .folder import ProductFolder
from .layers import batches
from .log import Talk
from .looks import check_several, look_names, shared_ground
from .memory import TOGETHER, Estimate, estimate, estimate_joint
from .places import is_numbers, select_dates
from .plan import Look, Plan

logger = logging.getLogger(__name__)

_NEEDED = "a stack file (or `slc` and `dem`) and an `out` folder"


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
    paths = (made,) if made else config.stack
    called = look_names(paths)
    check_several(config, called)
    inputs = existing(config)
    ProductFolder(out).examine(inputs)
    check_grid(config)
    opened = [_open(path, name, config) for path, name in zip(paths, called, strict=True)]
    overlap: tuple[str, ...] = ()
    if len(opened) > 1:
        check_ground(_gathered(opened))
        overlap = shared_ground([one.stack for one in opened])
    elif config.terrain != "coded" and config.method not in {None, "synthesis"}:
        raise InputError(
            f"terrain: the method {config.method} renders none",
            expected="coded, or the method synthesis",
            got=config.terrain,
            hint="leave `terrain` or `method` out",
        )
    elif config.method == "synthesis" and (
        fault := synthesis_fault(opened[0].stack.shape[1:], opened[0].frame)
    ):
        raise fault
    if not any(one.watered for one in opened):
        raise InputError(
            f"water.polygons: {config.water.polygons} holds no pixel of any of the stacks",
            expected="polygons that overlap an image",
            got="0 pixels",
            hint="check their coordinates, or leave them out",
        )
    areas = _areas([one.stack for one in opened], config)
    first = opened[0]
    stable = read_areas(config.stable).union(first.stack) if config.stable is not None else None
    weights = _weights(first.whole, first.stack, config)
    # Dates are refused before all images are read, and settled again where empty ones were set aside.
    reference, entries = _entries(opened, config)
    looks = tuple(_look(one, talk) for one in opened)
    if any(look.stack.dates != one.stack.dates for look, one in zip(looks, opened, strict=True)):
        reference, entries = _entries(looks, config)
    workers = config.workers or available_cores()
    settled = {
        "method": config.method or _method(looks),
        "reference": tuple(f"{date:%Y%m%d}" for date in reference),
        "workers": workers,
    }
    used = config.merged(Config.model_validate(settled))
    plan = Plan(
        config=used,
        looks=looks,
        reference=reference,
        entries=entries,
        areas=areas,
        polygons=_polygons(areas, config),
        stable=stable,
        weights=weights,
        memory=_memory(looks, entries, workers, synthesis=used.method == "synthesis"),
        workers=workers,
        inputs=inputs,
        hashes=hashes or {},
        overlap=overlap,
    )
    if plan.joint:
        plan.memory.refuse()
    plan.memory.warn()
    return plan


@dataclass(frozen=True)
class _Opened:
    """A stack before its pixels are read."""

    name: str
    path: Path
    whole: Stack
    stack: Stack
    frame: LookFrame | None
    fault: str
    #: Whether it shows water of the config's polygons; one of several stacks may lie beside all of it.
    watered: bool = True


def _open(path: Path, name: str, config: Config) -> _Opened:
    whole = open_stack(path)
    # The whole image tells the geometry better than a part of it, and its slopes shade the part.
    frame, fault = _geometry(whole, name, config)
    coded = config.method not in {None, "synthesis"}
    flagged = flag_visibility(whole, frame, coded=coded) if frame is not None else whole
    water = config.water
    watered = len(config.stack) < 2 or _shows(whole, water.polygons)
    if not watered:
        water = water.model_copy(update={"polygons": None})
    try:
        part = crop(flagged, config)
        stack = with_terrain(_with_water(flagged, part, config, water), config.terrain)
    except InputError as error:
        if len(config.stack) < 2:
            raise
        raise InputError(
            f"{name}: {error.what}", expected=error.expected, got=error.got, hint=error.hint
        ) from error
    if frame is not None:
        first = int(stack.dataset["range"].values[0] - whole.dataset["range"].values[0])
        frame = frame.crop(slice(first, first + stack.shape[2]))
    return _Opened(name, path, whole, stack, frame, fault, watered)


def _look(opened: _Opened, talk: Talk) -> Look:
    with talk.progress("reading all images once") as advance:
        found = survey(opened.stack, progress=advance)
    stack = drop_empty(opened.stack, found.empty, str(opened.path), 2)
    return Look(opened.name, opened.path, stack, opened.frame, opened.fault, found)


def _method(looks: Sequence[Look]) -> str:
    return "synthesis" if len(looks) > 1 else default_method(looks[0].stack, looks[0].frame)


def _memory(looks: Sequence[Look], entries: Sequence[Entry], workers: int, *, synthesis: bool) -> Estimate:
    if len(looks) > 1:
        return estimate_joint([look.stack.shape for look in looks], len(entries), workers)
    stack = looks[0].stack
    return estimate(
        stack.shape,
        max(
            len({date for entry in part for date in (*entry.images, *entry.reference)})
            for part in batches(entries, TOGETHER)
        ),
        len(entries),
        workers,
        mapped=stack.has_lonlat and looks[0].frame is not None,
        synthesis=synthesis,
    )


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


def _geometry(stack: Stack, name: str, config: Config) -> tuple[LookFrame | None, str]:
    overrides = config.geometry.model_dump(exclude_none=True)
    if name in config.geometry_of:
        overrides |= config.geometry_of[name].model_dump(exclude_none=True)
    several = len(config.stack) > 1
    try:
        return resolve(stack, overrides), ""
    except GeometryUnknown as error:
        if several:
            raise InputError(
                f"stack: the geometry of {name} is unknown, so it cannot be joined with others: {error.what}",
                expected=error.expected,
                got=error.got,
                hint=f"give `geometry_of: {name}:` incidence_angle and range_spacing",
            ) from error
        logger.warning(
            "the geometry of the look is unknown: %s; only the change at the fixed slant-range pixel is "
            "given (elevation_change_slant). What to do: give `geometry:` incidence_angle and range_spacing",
            error.what + (f" ({error.got})" if error.got else ""),
        )
        return None, error.what


def crop(stack: Stack, config: Config) -> Stack:
    """Cut a stack to the config's box; the whole stack where there is none."""
    if config.crop.lonlat is not None:
        return stack.crop(lonlat=config.crop.lonlat)
    if config.crop.pixels is not None:
        return stack.crop(pixels=config.crop.pixels)
    return stack


def _gathered(looks: Sequence[_Opened | Look]) -> tuple[NamedStack, ...]:
    """Several looks as the inversion takes them; refused where they cannot be joined."""
    stacks, called, frames = (
        [one.stack for one in looks],
        [one.name for one in looks],
        [one.frame for one in looks],
    )
    return gather(stacks, called, frames)


def _entries(
    looks: Sequence[_Opened | Look], config: Config
) -> tuple[tuple[dt.date, ...], tuple[Entry, ...]]:
    dates = sorted({date for look in looks for date in look.stack.dates})
    reference = select_dates(config.reference[0], dates, "reference") if config.reference else None
    epochs = [select_dates(text, dates, "epoch") for text in config.epoch] or None
    if len(looks) > 1:
        reference, entries = plan_together(_gathered(looks), reference, epochs)
        return reference, tuple(one.entry for one in entries)
    return plan_entries(dates, reference, epochs)


def _areas(stacks: Sequence[Stack], config: Config) -> Areas | None:
    if not (config.areas or config.points):
        return None
    areas = read_areas([*config.areas, *config.points])
    # Some at a time: each mask is as large as the image.
    for part in batches(areas.names, 8):
        missed = set(part)
        for stack in stacks:
            missed -= {name for name, inside in areas.masks(stack, part).items() if inside.any()}
        for name in [name for name in part if name in missed]:
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


def _shows(stack: Stack, polygons: Path | None) -> bool:
    """Whether an image has a pixel of some polygons, or there are none to have."""
    if polygons is None:
        return True
    areas = read_areas(polygons)
    try:
        return bool(areas.union(stack).any())
    except InputError:
        return False


def _with_water(whole: Stack, stack: Stack, config: Config, water: Water) -> Stack:
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
