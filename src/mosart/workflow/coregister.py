"""The command that makes a stack of SLC products: ``mosart coregister``, also the first step of a run."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.io.netcdf import write_stack
from mosart.stack import Stack

logger = logging.getLogger(__name__)


def check_products(
    slc: Sequence[Path], dem: Sequence[Path], *, polarization: str = "", orbits: Sequence[Path] = ()
) -> list[Any]:
    """Open all products, in any order, and refuse what cannot be used before any work.

    Parameters
    ----------
    slc, dem : sequence of Path
        Products and DEM tiles.
    polarization : str
        As "VV"; the co-polarised one by default.
    orbits : sequence of Path
        Orbit files or folders of them.

    Returns
    -------
    list of Product

    Raises
    ------
    InputError
        Naming the product and what is wrong.
    """
    from mosart.slc.orbits import find_orbits
    from mosart.slc.sensors import open_product

    if not slc:
        raise InputError("no SLC product was named", hint="give `slc:` in the config, or --slc")
    if not dem:
        raise InputError("no DEM was named", hint="give `dem:` in the config, or --dem (GeoTIFF)")
    doubled = sorted({str(p) for p in slc if list(slc).count(p) > 1})
    if doubled:
        raise InputError(f"products are named twice: {', '.join(doubled)}")
    for path in dem:
        if not Path(path).exists():
            raise InputError(f"dem: {path} does not exist", expected="a GeoTIFF", hint="correct `dem`")
    files = find_orbits(orbits)
    return [open_product(p, polarization=polarization, orbits=files) for p in slc]


def coregister_products(
    slc: Sequence[Path],
    dem: Sequence[Path],
    out: Path,
    *,
    grid_date: dt.date | None = None,
    crop: tuple[float, float, float, float] | None = None,
    dem_datum: str | float | None = None,
    polarization: str = "",
    orbits: Sequence[Path] = (),
    exclude: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]] | None = None,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
    attrs: Mapping[str, str] | None = None,
) -> Path:
    """Coregister SLC products and write the stack.

    Parameters
    ----------
    slc : sequence of Path
        Products of any supported sensor, in any order; one alone gives its amplitude and geometry.
    dem : sequence of Path
        GeoTIFF tiles.
    out : Path
        The stack's netCDF, written whole or not at all.
    grid_date : date, optional
        Whose radar grid is used; the earliest by default.
    crop : tuple of float, optional
        West, south, east, north, degrees.
    dem_datum : str or float, optional
        What the DEM's heights mean, see :func:`mosart.geometry.orbit.datum.resolve_datum`.
    polarization, orbits
        See :func:`check_products`.
    exclude : callable, optional
        Which places (longitude, latitude) changed: they do not count for the residual offset.
    workers : int
        Threads.
    progress : callable, optional
        Told which step begins.
    attrs : mapping of str to str, optional
        Further attributes of the stack.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If something does not fit; before any work, but for pixels that cannot be read.
    """
    from mosart.slc.coregister import coregister
    from mosart.slc.scratch import scratch
    from mosart.slc.stack import to_stack

    out = Path(out)
    if out.suffix.lower() not in (".nc", ".nc4"):
        raise InputError(f"{out}: a stack is written as netCDF", expected="a name that ends with .nc")
    if not out.parent.is_dir():
        raise InputError(f"the folder {out.parent} does not exist")
    products = check_products(slc, dem, polarization=polarization, orbits=orbits)
    for product in products:
        logger.info(
            "%s: %s %s %s, %s, orbit: %s, %s",
            product.name,
            product.platform or product.sensor,
            product.mode,
            product.polarization,
            product.track,
            product.orbit_source,
            product.processor or "processor unknown",
        )
    with scratch(out) as allocate:
        result = coregister(
            products,
            dem,
            grid_date=grid_date,
            crop=crop,
            dem_datum=dem_datum,
            exclude=exclude,
            workers=workers,
            allocate=allocate,
            progress=progress,
        )
        stack = to_stack(result)
        write_stack(Stack(stack.dataset.assign_attrs(attrs or {})), out)
    logger.info("wrote %s: %d dates of %d lines, %d samples", out.name, *result.amplitude.shape)
    return out
