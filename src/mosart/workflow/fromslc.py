"""The first step of a run that starts from SLC products: checked, then coregistered to ``stack.nc``."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.areas import read_areas
from mosart.errors import InputError
from mosart.inversion import plan_entries
from mosart.io.digest import digest_data
from mosart.io.netcdf import open_dataset

from .check import check_grid, existing, product_files, required
from .config import Config
from .coregister import check_products, coregister_products
from .cores import available_cores
from .extent import check_extent
from .folder import ProductFolder
from .log import Talk
from .looks import check_geometry_of
from .memory import estimate_coregistration
from .needs import software
from .places import parse_date, select_dates
from .provenance import hash_files

logger = logging.getLogger(__name__)

#: The stack's name among the products of a run.
STACK = "stack.nc"
#: Attribute of the stack: a hash of all that it was made of.
_MADE_OF = "made_of"
#: Areas that cover more of the scene than this leave too little to align the images by.
_MOST = 0.5

#: Names of files that no stack is written as.
_OTHER_FILES = {".h5", ".hdf5", ".he5", ".hdf", ".zarr", ".tif", ".tiff", ".zip", ".yaml", ".yml"}

Places = NDArray[np.float64]


@dataclass(frozen=True)
class ProductPlan:
    """Products that were checked: what will be coregistered.

    Parameters
    ----------
    config : Config
        With absolute paths.
    out : Path
        The stack's file, or the folder of a run.
    dates : tuple of date
        One a product, bursts and slices of one pass merged; ascending.
    lines : tuple of str
        What is known of the products, for people.
    inputs : tuple of Path
        Files of the user's that will be read.
    """

    config: Config
    out: Path
    dates: tuple[dt.date, ...]
    lines: tuple[str, ...]
    inputs: tuple[Path, ...]

    @property
    def single(self) -> bool:
        """Whether the output is one file, not a run's folder."""
        return is_file(self.out)

    def text(self) -> str:
        """Tell a user what will be done."""
        return "\n".join((*self.lines, f"stack      {self.out if self.single else self.out / STACK}"))


def is_file(out: Path) -> bool:
    """Whether an ``out`` names a stack's file and not a run's folder."""
    return out.suffix.lower() in {".nc", ".nc4"}


def check_slc(config: Config, *, run: bool = True) -> ProductPlan:
    """Check products and all else that can be checked before they are coregistered; change nothing.

    Parameters
    ----------
    config : Config
        With absolute paths.
    run : bool
        Whether a run follows: it needs two dates and a folder.

    Returns
    -------
    ProductPlan

    Raises
    ------
    InputError
        Naming the product, file, date or key that cannot be used.
    """
    from mosart.geometry.orbit import coverage
    from mosart.slc.coregister import prepare
    from mosart.slc.resampling import TILE

    out = required(config, "slc", "dem")
    inputs = existing(config)
    if not run and not out.is_dir() and out.suffix.lower() in _OTHER_FILES:
        raise InputError(
            f"out: {out}: a stack is written as netCDF",
            expected="a name that ends with .nc, or a run's folder",
            got=out.suffix,
            hint=f"--out {out.with_suffix('.nc').name}",
        )
    if run or not is_file(out):
        ProductFolder(out).examine(inputs, making=(STACK,))
    check_grid(config)
    if run:
        check_geometry_of(config, (Path(STACK).stem,))
    if not run and is_file(out) and config.crop.pixels is not None:
        raise InputError(
            "crop: a stack of products is cut by longitude and latitude",
            expected="lonlat=WEST,SOUTH,EAST,NORTH",
            got=f"a pixel box, {config.crop.pixels}",
            hint="cut the stack by pixels when it is used: `mosart run --stack STACK --crop pixels=…`",
        )
    products = check_products(
        config.slc, config.dem, polarization=config.polarization or "", orbits=config.orbits
    )
    passes, base, scene, dem = prepare(
        products,
        config.dem,
        grid_date=_grid_date(config),
        crop=config.crop.lonlat,
        dem_datum=config.dem_datum,
    )
    check_extent(scene.grid, dem, config)
    dates = tuple(p.date for p in passes)
    if run:
        _check_dates(config, dates)
    lines = [
        f"{f'{p.date:%Y%m%d}':<10} {p.name}: {p.platform or p.sensor} {p.mode} {p.polarization}, "
        f"{p.track}, orbit: {p.orbit_source}, {p.processor or 'processor unknown'}"
        for p in passes
    ]
    workers = config.workers or available_cores()
    shape = (len(dates), scene.grid.rows, scene.grid.columns)
    memory = estimate_coregistration(shape, dem.heights.size, TILE, workers)
    memory.warn()
    lines += [
        f"size       {len(dates)} dates, {scene.grid.rows} azimuth rows x {scene.grid.columns} range pixels, "
        f"the grid of {base.date:%Y%m%d}",
        f"heights    {', '.join(p.name for p in config.dem)}: {dem.datum}; "
        f"{100 * coverage(scene.grid, dem):.1f} % of the scene are covered",
        f"amplitude  {base.radiometric_scale}",
        f"memory     about {memory.peak / 2**30:.2f} GiB with {workers} workers, to coregister",
        f"disk       about {memory.disk / 2**30:.2f} GiB, half of it until the stack is written",
    ]
    return ProductPlan(config, out, dates, tuple(lines), inputs)


def _grid_date(config: Config) -> dt.date | None:
    return None if config.grid_date is None else parse_date(config.grid_date)


def _check_dates(config: Config, dates: tuple[dt.date, ...]) -> None:
    if len(dates) < 2:
        raise InputError(
            "slc: a change needs images of two dates",
            expected="products of two dates or more",
            got=", ".join(f"{d:%Y%m%d}" for d in dates),
            hint="name more products; `mosart coregister` makes a stack of one alone",
        )
    reference = select_dates(config.reference[0], dates, "reference") if config.reference else dates[:1]
    epochs = [select_dates(text, dates, "epoch") for text in config.epoch] or None
    plan_entries(dates, reference, epochs)


def make_stack(plan: ProductPlan, talk: Talk) -> tuple[Path, dict[Path, str]]:
    """Coregister what was checked; in a run's folder, only if the stack there was made of other things.

    Parameters
    ----------
    plan : ProductPlan
        From :func:`check_slc`.
    talk : Talk
        The terminal.

    Returns
    -------
    path : Path
        The stack, written whole or not at all.
    hashes : dict of Path to str
        SHA-256 of the inputs.

    Raises
    ------
    InputError
        If pixels cannot be read, or no date can be aligned.
    """
    if plan.single:
        return _coregister(plan, plan.out, talk, {}), {}
    folder = ProductFolder(plan.out)
    hashes = hash_files(plan.inputs, talk)
    made_of = _made_of(plan, hashes)
    path = plan.out / STACK
    if STACK in folder.products() and _recorded(path) == made_of:
        logger.info("%s was made of the same products and settings: it is used as it is", path)
        return path, hashes
    with folder.staging(keep=folder.products()) as stage:
        _coregister(plan, stage / STACK, talk, {_MADE_OF: made_of})
    return path, hashes


def _coregister(plan: ProductPlan, out: Path, talk: Talk, attrs: Mapping[str, str]) -> Path:
    config = plan.config
    # The geometry, and every date but the grid's own, which is copied.
    steps = len(plan.dates)
    with talk.progress("coregistering") as advance:
        begun = 0

        def tell(step: str) -> None:
            nonlocal begun
            logger.info("coregistering: %s", step)
            advance(begun, steps)
            begun += 1

        coregister_products(
            config.slc,
            config.dem,
            out,
            grid_date=_grid_date(config),
            crop=config.crop.lonlat,
            dem_datum=config.dem_datum,
            polarization=config.polarization or "",
            orbits=config.orbits,
            exclude=_changed(config),
            workers=config.workers or available_cores(),
            progress=tell,
            attrs=attrs,
        )
    return out


def _changed(config: Config) -> Callable[[Places, Places], NDArray[np.bool_]] | None:
    """Areas of interest, where the ground may have changed: they do not count for the alignment."""
    if not config.areas:
        return None
    areas = read_areas(list(config.areas))

    def inside(longitude: Places, latitude: Places) -> NDArray[np.bool_]:
        two = ("azimuth", "range")
        rows, columns = longitude.shape
        grid = xr.Dataset(
            {"longitude": (two, longitude), "latitude": (two, latitude)},
            coords={"azimuth": np.arange(rows), "range": np.arange(columns)},
        )
        found: NDArray[np.bool_] = areas.union(grid)
        if found.mean() > _MOST:
            logger.info("the areas cover most of the scene: images are aligned by all of it")
            found[...] = False
        return found

    return inside


def _made_of(plan: ProductPlan, hashes: Mapping[Path, str]) -> str:
    """One hash of everything that decides what the stack holds, and of nothing else."""
    config = plan.config

    def contents(paths: Iterable[Path]) -> list[tuple[str, ...]]:
        # Names count, as a subswath or a burst may be told by them; folders and the order do not.
        return sorted((path.name, *(hashes[part] for part in product_files(path))) for path in paths)

    told = {
        "MoSARt": software(),
        "slc": contents(config.slc),
        "dem": contents(config.dem),
        "orbits": contents(config.orbits),
        "areas": sorted(hashes.get(Path(text), text) for text in config.areas),
        "crop": config.crop.lonlat,
        "grid_date": config.grid_date,
        "dem_datum": config.dem_datum,
        "polarization": config.polarization,
    }
    return digest_data(told)


def _recorded(path: Path) -> str:
    """Return what a stack says that it was made of."""
    try:
        with open_dataset(path) as dataset:
            return str(dataset.attrs.get(_MADE_OF, ""))
    except (InputError, OSError):
        return ""
