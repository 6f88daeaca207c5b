"""One pass over the pixels before work starts: what is finite, and whether it can be used."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import dask.array as da
import numpy as np
from dask.base import compute

from mosart.errors import InputError
from mosart.stack import Stack

from .log import Talk, dask_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """What the pixels of a stack hold.

    Parameters
    ----------
    finite : mapping of date to int
        Pixels of each image with a number.
    heights : tuple of float
        Lowest and highest finite height, metres.
    """

    finite: Mapping[dt.date, int]
    heights: tuple[float, float]

    @property
    def empty(self) -> tuple[dt.date, ...]:
        """Dates without a finite pixel."""
        return tuple(date for date, count in self.finite.items() if count == 0)


def survey(stack: Stack, talk: Talk) -> Survey:
    """Read every pixel once.

    Parameters
    ----------
    stack : Stack
        Cropped: only what the run works on is read.
    talk : Talk
        For the progress bar.

    Returns
    -------
    Survey

    Raises
    ------
    InputError
        If an amplitude is negative, the file is damaged, or no height is finite.
    """
    data = stack.dataset
    amplitude, height = da.asarray(data["amplitude"].data), da.asarray(data["height"].data)
    known = da.isfinite(height)
    jobs = (
        da.isfinite(amplitude).sum(axis=(1, 2)),
        known.sum(),
        da.where(known, height, np.inf).min(),
        da.where(known, height, -np.inf).max(),
    )
    with talk.progress("reading all images once") as advance, dask_progress(advance):
        finite, heights, low, high = compute(*jobs)
    if heights == 0:
        raise InputError(
            "the DEM has no finite height here",
            expected="heights in metres",
            got="NaN everywhere",
            hint="check `dem` in the file, and the crop",
        )
    return Survey(
        dict(zip(stack.dates, (int(count) for count in finite), strict=True)), (float(low), float(high))
    )


def set_aside_empty(stack: Stack, found: Survey) -> Stack:
    """Leave out the images without a finite pixel, naming them.

    Parameters
    ----------
    stack : Stack
        As surveyed.
    found : Survey
        Its survey.

    Returns
    -------
    Stack
        With the other dates.

    Raises
    ------
    InputError
        If fewer than two dates are left.
    """
    if not found.empty:
        return stack
    names = ", ".join(f"{date:%Y%m%d}" for date in found.empty)
    left = [date for date in stack.dates if date not in found.empty]
    if len(left) < 2:
        raise InputError(
            f"fewer than two dates are left: no finite pixel in the images of {names}",
            expected="at least two dates with data",
            got=", ".join(f"{date:%Y%m%d}" for date in left) or "none",
            hint="check these images, and the crop",
        )
    logger.warning("set aside, since the image has no finite pixel: %s", names)
    return stack.select(left)
