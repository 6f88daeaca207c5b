"""How much memory and disk a run will take, estimated beforehand."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psutil

from .config import Config

logger = logging.getLogger(__name__)

#: The interpreter with all libraries loaded, bytes.
LIBRARIES = 450e6


@dataclass(frozen=True)
class Estimate:
    """What a run will take at its peak.

    Parameters
    ----------
    peak : float
        Resident memory, bytes.
    disk : float
        Products, bytes; as much again for a moment where they replace earlier ones.
    """

    peak: float
    disk: float

    def warn(self) -> None:
        """Say so where the machine has less memory free than that."""
        free = psutil.virtual_memory().available
        if self.peak > free:
            logger.warning(
                "the run takes about %.1f GiB of memory, %.1f GiB are free: give fewer `workers`, or a `crop`",
                self.peak / 2**30,
                free / 2**30,
            )


def estimate(
    shape: tuple[int, int, int], entries: int, config: Config, workers: int, *, has_frame: bool
) -> Estimate:
    """Estimate what a run will take.

    Parameters
    ----------
    shape : tuple of int
        Dates, azimuth rows, range pixels.
    entries : int
        Entries of the result.
    config : Config
        For the despeckling and the map.
    workers : int
        Threads.
    has_frame : bool
        Whether the geometry is known, and so a second change and a map are made.

    Returns
    -------
    Estimate
    """
    dates, rows, columns = shape
    pixels = rows * columns
    peak = LIBRARIES
    per_entry = (4 + 4 + 4 + 1) if has_frame else (4 + 4 + 1)
    disk = pixels * (entries * per_entry * (2 if has_frame else 1) + 24)
    return Estimate(peak=peak, disk=disk)
