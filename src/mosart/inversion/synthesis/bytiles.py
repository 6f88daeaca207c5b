"""Several looks on a large map: tile by tile, and boxes around changes that a tile cuts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np

from mosart.change import ElevationChange
from mosart.geocoding import MapGrid
from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack

from .answering import select
from .beyond import changes_beyond
from .doubts import warn_of_answer, warn_of_missing
from .maptiles import MapPlan, tiles_together
from .mosaic import Mosaic
from .onmap import draw_lines, map_dataset
from .onradar import radar_dataset
from .sheets import Sheet, map_images_of, radar_images
from .tilework import Job
from .told import moved_text
from .wholemap import learn_whole, samples
from .working import in_order, working_threads

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def invert_tiles(
    looks: Sequence[NamedStack],
    reference: tuple[Date, ...],
    entries: Sequence[JointEntry],
    grid: MapGrid,
    *,
    plan: MapPlan,
    progress: Progress | None = None,
) -> ElevationChange:
    """Invert several stacks whose ground is too large to be solved in one.

    Parameters
    ----------
    looks : sequence of NamedStack
        That fit each other.
    reference : tuple of datetime.date
        Of all looks.
    entries : sequence of JointEntry
        What to compare.
    grid : MapGrid
        Of the result.
    plan : MapPlan
        Of the ground.
    progress : callable, optional
        Told of the parts that are done and of all.

    Returns
    -------
    ElevationChange
        On the map, and on the grids of the looks; lazy where it is too large for the memory.
    """
    stacks = [select(look, k, entries) for k, look in enumerate(looks)]
    threads, ahead = tiles_together(plan, working_threads()), samples(stacks)
    total = ahead + len(plan.tiles)

    def advance(done: int) -> None:
        if progress is not None:
            progress(done, total)

    logger.info(
        "the map of %d × %d nodes is solved by %d tiles of %d × %d at most, %d at a time",
        *plan.nodes.shape,
        len(plan.tiles),
        *np.max([tile.shape for tile in plan.tiles], axis=0),
        threads,
    )
    whole = learn_whole(
        looks, stacks, plan, reference=reference, entries=entries, threads=threads, told=advance
    )
    for look, known in zip(looks, whole.known):
        for found in known.scattering.values():
            if moved := moved_text(found.registration, look.frame):
                logger.warning("%s: %s", look.name, moved)
    job = Job(looks, stacks, reference, entries, grid, draw_lines(looks, grid), plan, whole)
    sheets = [Sheet.of(job) for _ in entries]
    read = ((number, job.read(box)) for number, box in enumerate(plan.tiles, start=1))
    with closing(in_order(lambda item: job.solve(item[1], item[0]), read, threads)) as solved:
        for done, tile in enumerate(solved, start=1):
            for e, sheet in enumerate(sheets):
                sheet.put(tile, e, Mosaic.add)
                sheet.count_gains(tile, e)
            advance(ahead + done)
    for sheet in sheets:
        sheet.finish()
    _solve_beyond(job, sheets)
    for sheet, entry in zip(sheets, entries):
        _report(job, sheet, entry)
    radar = {}
    for k, look in enumerate(looks):
        learned = list(whole.known[k].scattering.values())
        radar[look.name] = ElevationChange(
            radar_dataset(look, reference, entries, radar_images(sheets, k), learned)
        )
    images = map_images_of(sheets, job)
    return ElevationChange(map_dataset(looks, reference, entries, images, grid=grid, lines=job.lines), radar)


def _solve_beyond(job: Job, sheets: Sequence[Sheet]) -> None:
    """Solve in one the changes that a tile cuts, and lay them over the tiles."""
    unit = max(look.frame.pixel_height for look in job.looks)
    number = len(job.plan.tiles)
    for e, (sheet, entry) in enumerate(zip(sheets, job.entries)):
        change, std = (sheet.on_nodes.read(name) for name in ("estimate", "elevation_change_std"))
        for box in changes_beyond(change, std, job.plan.tiles, job.plan.nodes.spacing[0], unit):
            logger.info(
                "%s: a change reaches beyond a tile: %d × %d nodes are solved in one",
                f"{entry.entry.date:%Y%m%d}",
                *box.shape,
            )
            number += 1
            sheet.put(job.only(e).solve(job.read(box), number), 0, Mosaic.lay)


def _report(job: Job, sheet: Sheet, entry: JointEntry) -> None:
    """Tell what an entry was solved from, and what is missing."""
    if entry.is_zero:
        return
    date, taking = entry.entry.date, sheet.taking
    left_out = [job.looks[k].name for k, dates in enumerate(entry.looks) if dates.images and k not in taking]
    warn_of_missing(date, left_out, all_of_them=not taking)
    if not taking:
        return
    logger.info(
        "%s: solved from %s, medians of the tiles: correlation range %.0f m, last step %.3f m",
        f"{date:%Y%m%d}",
        " and ".join(job.looks[k].name for k in taking),
        float(np.median([one.correlation_range for one in sheet.told])),
        float(np.median([one.last_step for one in sheet.told])),
    )
    levels = {job.looks[k].name: job.whole.levels[date][k] for k in taking}
    warn_of_answer(date, levels, float(np.median([one.noise for one in sheet.told])))
