"""Which reader a file needs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mosart.errors import InputError
from mosart.stack import Stack

from . import flat
from .assemble import build
from .hdf5 import open_file

log = logging.getLogger(__name__)


def open_stack(path: str | os.PathLike[str], *, minimum_dates: int = 2) -> Stack:
    """Open a stack of amplitude images, lazily.

    Parameters
    ----------
    path : path-like
        Flat or grouped HDF5 of the original, or a netCDF-4 or Zarr that MoSARt wrote.
    minimum_dates : int
        Fewer images than these are refused.

    Returns
    -------
    Stack
        Nothing but metadata and samples is in memory, whatever the file's size.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another format, geocoded, or its content is not a stack.
    """
    where = Path(path)
    if not where.exists():
        raise InputError(f"{where} does not exist", expected="a stack: HDF5, netCDF-4 or Zarr")
    with open_file(where) as file:
        stack = build(flat.read(file))
    if len(stack.dates) < minimum_dates:
        raise InputError(
            f"{where} has too few images",
            expected=f"at least {minimum_dates} dates",
            got=", ".join(f"{date:%Y%m%d}" for date in stack.dates) or "none",
        )
    return stack
