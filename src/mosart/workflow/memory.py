"""How much memory and disk a run will take, estimated beforehand."""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass

import psutil

logger = logging.getLogger(__name__)

#: The interpreter with all libraries loaded and all kernels compiled, bytes (measured).
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
                "the run takes about %.1f GiB of memory, %.1f GiB are free: give fewer `workers` or a `crop`",
                self.peak / 2**30,
                free / 2**30,
            )


def estimate(shape: tuple[int, int, int], entries: int, *, mapped: bool) -> Estimate:
    """Estimate what a run will take.

    Parameters
    ----------
    shape : tuple of int
        Dates, azimuth rows, range pixels.
    entries : int
        Entries of the result.
    mapped : bool
        Whether a map is made too.

    Returns
    -------
    Estimate
    """
    _dates, rows, columns = shape
    pixels = rows * columns
    disk = pixels * (entries * 13 + 24) * (2 if mapped else 1)
    return Estimate(peak=LIBRARIES, disk=disk)


def give_back() -> None:
    """Return to the system what a step has freed, where the C library keeps it otherwise (glibc does)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library: it has its own ways
        return
