"""All entries of a whole image: by tiles where it is large, and boxes around what no tile holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame
from mosart.geometry.section import SECTION_HEIGHT, SECTION_RANGE
from mosart.inversion.entries import Date, Entry
from mosart.stack import Stack

from .canvas import Canvas, RowMean
from .growth import Scale, boxes_beyond
from .part import FIELDS, Answer, Part, read_part, solve_part
from .reference import Scattering
from .survey import learn_gains, learn_scattering, read_sums, sample_places
from .tiles import HALO_PIXELS, Box, halo_rows, plan_tiles
from .told import Told, pooled
from .working import in_order, working_threads

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Image:
    """Answers on the whole image.

    Parameters
    ----------
    canvas : Canvas
        Images of all entries.
    row_gain : ndarray (entry, azimuth)
        Log gains, NaN for an entry that is the reference.
    scattering : dict of tuple of datetime.date to Scattering
        What was learned, by reference dates.
    told : dict of int to Told
        Numbers to judge an entry by; none of an entry that is the reference.
    """

    canvas: Canvas
    row_gain: Float
    scattering: dict[tuple[Date, ...], Scattering] = field(default_factory=dict)
    told: dict[int, Told] = field(default_factory=dict)


def solve_image(
    stack: Stack,
    entries: tuple[Entry, ...],
    frame: LookFrame,
    *,
    tile_rows: int | None = None,
    progress: Progress | None = None,
) -> Image:
    """Solve all entries of an image.

    Parameters
    ----------
    stack : Stack
        With the dates that the entries need and no others.
    entries : tuple of Entry
        What to compare.
    frame : LookFrame
        Geometry of the look.
    tile_rows : int, optional
        Rows of a tile.
    progress : callable, optional
        Told of the parts that are done and of all.

    Returns
    -------
    Image
        Everything.
    """
    shape = stack.shape[1:]
    pixel = frame.range_spacing / float(np.median(np.sin(frame.theta)))
    halo = halo_rows(frame.azimuth_spacing, pixel)
    bands = plan_tiles(shape, halo, tile_rows)
    image = Image(Canvas(FIELDS, (len(entries), *shape)), np.full((len(entries), shape[0]), np.nan))
    if len(bands) == len(bands[0]) == 1:
        _solve_whole(image, stack, entries, frame)
    else:
        scale = Scale(frame.pixel_height, (frame.azimuth_spacing, pixel), (halo, HALO_PIXELS))
        _solve_tiles(image, stack, entries, (frame, bands, scale), progress or _silent)
    return image


def _silent(_done: int, _total: int) -> None:
    """Tell nobody."""


def _solve_whole(image: Image, stack: Stack, entries: tuple[Entry, ...], frame: LookFrame) -> None:
    box = plan_tiles(stack.shape[1:], 1, stack.shape[1])[0][0]
    for k, answer in enumerate(solve_part(read_part(stack, *box.slices, frame), entries)):
        image.canvas.add(k, box, answer.images)
        image.row_gain[k] = answer.row_gain
        if answer.scattering is not None:
            image.scattering[entries[k].reference] = answer.scattering
        if answer.told is not None:
            image.told[k] = answer.told


def _solve_tiles(
    image: Image,
    stack: Stack,
    entries: tuple[Entry, ...],
    plan: tuple[LookFrame, list[list[Box]], Scale],
    progress: Progress,
) -> None:
    frame, bands, scale = plan
    tiles = [box for band in bands for box in band]
    threads, samples = working_threads(), len(sample_places(stack.shape[1:]))
    logger.info("%d tiles of %d × %d pixels at most", len(tiles), *np.max([t.shape for t in tiles], axis=0))
    known = learn_gains(read_sums(stack, frame), entries)
    known = learn_scattering(stack, frame, known, threads, lambda done: progress(done, samples + len(tiles)))
    image.scattering.update(known.scattering)

    def solve(item: tuple[Box, Part]) -> tuple[Box, list[Answer]]:
        return item[0], solve_part(item[1], entries, known)

    searched: list[list[Box]] = [[] for _ in entries]
    told: list[list[Told]] = [[] for _ in entries]
    gains = [RowMean(stack.shape[1]) for _ in entries]
    with closing(in_order(solve, _parts(stack, bands, frame), threads)) as solved:
        for done, (box, answers) in enumerate(solved, start=1):
            for k, answer in enumerate(answers):
                image.canvas.add(k, box, answer.images)
                gains[k].add(box.rows.slice, answer.row_gain, box.weight)
                if answer.searched:
                    searched[k].append(box)
                if answer.told is not None:
                    told[k].append(answer.told)
            progress(samples + done, samples + len(tiles))
    image.row_gain[:] = [gain.mean for gain in gains]
    image.told.update({k: pooled(parts) for k, parts in enumerate(told) if parts})
    for k, entry in enumerate(entries):
        for box in boxes_beyond(image.canvas, k, searched[k], tiles, scale):
            logger.info(
                "%s: a change reaches beyond a tile: %d rows × %d pixels are solved in one",
                f"{entry.date:%Y%m%d}",
                *box.shape,
            )
            part = read_part(stack, *box.slices, frame)
            image.canvas.lay(k, box, solve_part(part, (entry,), known)[0].images)


def _parts(stack: Stack, bands: list[list[Box]], frame: LookFrame) -> Iterator[tuple[Box, Part]]:
    """Read tile after tile, each band of rows once."""
    wanted = ("amplitude", "mask", "height", SECTION_HEIGHT, SECTION_RANGE)
    names = [name for name in wanted if name in stack.dataset]
    for band in bands:
        rows = band[0].rows
        read = Stack(stack.dataset[names].isel(azimuth=rows.slice).load())
        for box in band:
            part = read_part(read, slice(None), box.pixels.slice, frame)
            yield box, part.within(box.slices, stack.shape[1:])
