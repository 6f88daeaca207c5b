"""How much memory and disk a run will take, estimated beforehand."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from mosart.errors import InputError
from mosart.inversion.rowwise import TILE_BYTES, WORK_BYTES, bytes_per_pixel
from mosart.inversion.synthesis.canvas import KEPT_BYTES
from mosart.inversion.synthesis.maptiles import (
    CROPPED,
    HALO_NODES,
    NODE_PIXELS,
    TILE_NODES,
    side_by_side,
)
from mosart.inversion.synthesis.maptiles import SOLVING as TILED
from mosart.inversion.synthesis.tiles import HALO_PIXELS, TILE, plan_tiles

logger = logging.getLogger(__name__)

#: Entries of a result that are made together, so that what they share is read and filtered once.
TOGETHER = 8
#: The interpreter with all libraries loaded, all kernels compiled, all figures and the page made, bytes
#: (measured: 560e6 without the page, 860e6 with it).
LIBRARIES = 700e6
#: Bytes a pixel of what is held of the whole image at a time, one date of it (measured).
WHOLE = 10
#: The interpreter before figures and the page are made, bytes (measured: 430e6 to 480e6).
LOADED = 440e6
#: Bytes a pixel of a part of the image while `synthesis` solves it (measured: 1100 of one part, 700 of two
#: side by side), and seconds of one core (measured: 31 to 47 a million pixels, without the search for large
#: changes and without what new rock asks for).
SOLVING, SOLVING_SECONDS = 1000, 4.0e-5
#: Bytes, and seconds of one core, a pixel of any of several looks that are solved together (measured: 360 MB
#: and 46 s for 0.27 million pixels of two looks), and seconds a pixel of their crops for a tile (measured
#: with all that tiles share: 344 s for nine of 1.0 million pixels on average).
JOINT, JOINT_SECONDS, TILED_SECONDS = 1400, 1.7e-4, 5.0e-5
#: Bytes a pixel of several looks that are solved by tiles: of positions and nodes, and of sums of blocks, a
#: date.
JOINT_WHOLE, JOINT_SUMS = 1.0, 0.5
#: Bytes a pixel of all looks while their DEMs are compared and the map is laid out (measured: 3.5 GB for 392
#: million pixels).
COMPARING = 8.0
#: The interpreter with what coregistration needs, bytes (measured).
LIBRARIES_SLC = 600e6
#: Bytes of a cell of the DEM: its height, its spline, whether it is a hole.
CELL = 17
#: Bytes a pixel of the geometry: three positions, two angles and the mask, and the terrain along the line, a
#: little longer than the image; mapped to files where large, but in memory as long as there is room.
GEOMETRY = 42
#: Bytes a pixel of a tile while it is resampled: points, offsets, complex pixels (measured).
RESAMPLING = 130
#: Bytes of a block of amplitude as it is read, one a date.
BLOCK = 16e6


@dataclass(frozen=True)
class Estimate:
    """What a run will take at its peak.

    Parameters
    ----------
    peak : float
        Resident memory, bytes.
    disk : float
        Products, bytes; as much again for a moment where they replace earlier ones.
    seconds : float
        That the inversion takes on one core; 0 where it is not known.
    """

    peak: float
    disk: float
    seconds: float = 0.0

    def warn(self) -> None:
        """Say so where the machine has less memory free than that."""
        free = psutil.virtual_memory().available
        if self.peak > free:
            logger.warning(
                "the run takes about %.1f GiB of memory, %.1f GiB are free: give fewer `workers` or a `crop`",
                self.peak / 2**30,
                free / 2**30,
            )

    def refuse(self) -> None:
        """Refuse a run that the machine has not the memory for, however much of it is free.

        Raises
        ------
        InputError
            That says how much it takes and what to do.
        """
        there = psutil.virtual_memory().total
        if self.peak > there:
            raise InputError(
                "the run takes more memory than the machine has",
                expected=f"at most {there / 2**30:.1f} GiB",
                got=f"about {self.peak / 2**30:.1f} GiB",
                hint="give fewer `workers`, fewer stacks or a `crop`",
            )


def estimate(
    shape: tuple[int, int, int],
    dates: int,
    entries: int,
    workers: int,
    *,
    mapped: bool,
    synthesis: bool = False,
) -> Estimate:
    """Estimate what a run will take.

    Parameters
    ----------
    shape : tuple of int
        Dates, azimuth rows, range pixels.
    dates : int
        Dates that the entries that are made together are made of.
    entries : int
        Entries of the result.
    workers : int
        Threads.
    mapped : bool
        Whether a map is made too.
    synthesis : bool
        Whether the method is `synthesis`, which solves tiles of its own.

    Returns
    -------
    Estimate
        The peak within a factor of 1.5 of what was measured, from 0.2 to 37 million pixels; of `synthesis`
        within 1.3.
    """
    pixels = shape[1] * shape[2]
    disk = pixels * (entries * 25 + 48) * (2 if mapped else 1)
    if synthesis:
        # rows of a halo depend on the spacings; as many as pixels is the middle of what sensors have
        solved = [box.shape[0] * box.shape[1] for band in plan_tiles(shape[1:], HALO_PIXELS) for box in band]
        rows = min(shape[1], TILE[0] + 2 * HALO_PIXELS)
        work = float(SOLVING) * sum(sorted(solved)[-workers:])
        if len(solved) > 1:  # a band of rows is read at a time
            work += 5.0 * dates * rows * shape[2]
        work += min(KEPT_BYTES, pixels * entries * 41)
        peak = max(LIBRARIES, LOADED + work) + WHOLE * pixels
        return Estimate(peak=peak, disk=disk, seconds=entries * SOLVING_SECONDS * sum(solved))
    tile = min(max(WORK_BYTES / workers, TILE_BYTES[0]), TILE_BYTES[1])
    together = min(entries, TOGETHER)
    under_work = min(pixels * bytes_per_pixel(dates, together), workers * tile)
    read = dates * min(4 * pixels, BLOCK)
    return Estimate(peak=LIBRARIES + under_work + read + WHOLE * pixels, disk=disk)


def estimate_joint(shapes: Sequence[tuple[int, int, int]], entries: int, workers: int = 1) -> Estimate:
    """Estimate what a run of several looks will take.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Of each look dates, azimuth rows, range pixels.
    entries : int
        Entries of the result.
    workers : int
        Threads.

    Returns
    -------
    Estimate
        Maps that are cut into tiles as if the looks lay over each other and were as fine as each other.
    """
    sizes = [rows * columns for _, rows, columns in shapes]
    pixels, dates = sum(sizes), max(dates for dates, _, _ in shapes)
    disk = 2.0 * pixels * (entries * 25 + 48)
    across = TILE_NODES + 2 * HALO_NODES
    if max(sizes) <= across**2 * NODE_PIXELS:  # one tile, or a few smaller ones
        peak, seconds = LIBRARIES + (JOINT + 5.0 * dates) * pixels, JOINT_SECONDS * pixels
    else:
        crops = across**2 * NODE_PIXELS * CROPPED * len(shapes)
        work = max(
            (TILED + 5.0 * dates) * crops * side_by_side(crops, workers), JOINT_SUMS * dates * max(sizes)
        )
        solving = LIBRARIES + work + JOINT_WHOLE * pixels + min(KEPT_BYTES, pixels * entries * 41)
        peak = max(solving, LOADED + COMPARING * pixels)
        seconds = TILED_SECONDS * crops * max(sizes) / (TILE_NODES**2 * NODE_PIXELS)
    return Estimate(peak=peak, disk=disk, seconds=entries * seconds)


def estimate_coregistration(shape: tuple[int, int, int], cells: int, tile: int, workers: int) -> Estimate:
    """Estimate what the making of a stack of SLC products will take.

    Parameters
    ----------
    shape : tuple of int
        Dates, azimuth rows, range pixels.
    cells : int
        Cells of the DEM that are read.
    tile : int
        Pixels that one thread works on at a time.
    workers : int
        Threads.

    Returns
    -------
    Estimate
        The peak within a factor of 1.5 of what was measured, from 0.4 to 37 million pixels.
    """
    pixels = shape[1] * shape[2]
    held = pixels * (GEOMETRY + 4 * shape[0])
    work = RESAMPLING * min(pixels, tile * workers)
    peak = LIBRARIES_SLC + CELL * cells + held + work
    # The scratch, and the stack itself, which is compressed.
    return Estimate(peak=peak, disk=2.0 * held)


def give_back() -> None:
    """Return to the system what a step has freed, where the C library keeps it otherwise (glibc does)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library: it has its own ways
        return
