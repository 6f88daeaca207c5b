"""From several stacks to one map: the method ``synthesis`` for several looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from mosart.change import ElevationChange
from mosart.geocoding import MapGrid
from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack

from .answering import ALL, answer, compared, lonlat, select
from .bytiles import invert_tiles
from .doubts import warn_of_answer, warn_of_missing
from .levels import Level
from .maptiles import plan_map
from .onlook import Answered
from .onmap import draw_lines, map_dataset, map_images
from .onradar import RadarImages, radar_dataset
from .part import Part, part_reference, read_part
from .reference import Reference
from .terrain import with_terrain
from .together import sides
from .told import moved_text
from .working import in_order

logger = logging.getLogger(__name__)


def invert_several(
    looks: Sequence[NamedStack],
    reference: tuple[Date, ...],
    entries: Sequence[JointEntry],
    grid: MapGrid,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> ElevationChange:
    """Invert several stacks of one ground together.

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
    progress : callable, optional
        Told of the entries, or of a large map's tiles, that are done and of all.

    Returns
    -------
    ElevationChange
        On the map; ``on_radar(name)`` gives it on the grid of a look.
    """
    looks = [replace(look, stack=with_terrain(look.stack, "coded")) for look in looks]
    plan = plan_map(looks)
    if len(plan.tiles) > 1:
        return invert_tiles(looks, reference, entries, grid, plan=plan, progress=progress)
    parts = [read_part(select(look, k, entries), *ALL, look.frame) for k, look in enumerate(looks)]
    lonlats = [lonlat(look) for look in looks]
    entries = _shown(looks, parts, entries)
    directions = sides(parts, lonlats)
    learned: dict[tuple[int, tuple[Date, ...]], Reference] = {}

    def reference_of(k: int, dates: tuple[Date, ...]) -> Reference:
        if (k, dates) not in learned:
            learned[k, dates] = part_reference(parts[k], dates, None)
            moved = moved_text(learned[k, dates].registration, parts[k].frame)
            if moved:
                logger.warning("%s: %s", looks[k].name, moved)
        return learned[k, dates]

    def solve(entry: JointEntry) -> Answered:
        return answer(entry, reference, parts, lonlats, directions=directions, reference_of=reference_of)

    done: list[Answered] = []
    with closing(in_order(solve, entries, 1)) as solved:
        for number, one in enumerate(solved):
            done.append(one)
            if one.solved is not None:
                _report(looks, one)
            if progress is not None:
                progress(number + 1, len(entries))
    radar = {}
    for k, look in enumerate(looks):
        own = [found for (number, _), found in learned.items() if number == k]
        images = RadarImages.of(k, done)
        radar[look.name] = ElevationChange(radar_dataset(look, reference, entries, images, own))
    lines = draw_lines(looks, grid)
    found = map_images(looks, done, grid, directions, lines)
    return ElevationChange(map_dataset(looks, reference, entries, found, grid=grid, lines=lines), radar)


def _shown(
    looks: Sequence[NamedStack], parts: Sequence[Part], entries: Sequence[JointEntry]
) -> list[JointEntry]:
    """Leave out of each entry the looks whose images of it show nothing that can be compared."""
    found = []
    for plan in entries:
        kept = compared(plan, parts)
        left_out = [look.name for look, a, b in zip(looks, plan.looks, kept.looks) if a.images != b.images]
        warn_of_missing(plan.entry.date, left_out, all_of_them=not any(dates.images for dates in kept.looks))
        found.append(kept)
    return found


def _report(looks: Sequence[NamedStack], one: Answered) -> None:
    assert one.solved is not None
    solved, joint = one.solved, one.solved.joint
    logger.info(
        "%s: solved from %s on %d × %d nodes, correlation range %.0f m, last step %.3f m, "
        "new rock on %.1f %%",
        f"{one.plan.entry.date:%Y%m%d}",
        " and ".join(looks[k].name for k in one.taking),
        *solved.nodes.shape,
        joint.correlation_range,
        joint.steps[-1],
        100 * float(np.mean(joint.kept < 0.5)),
    )
    levels = {looks[k].name: Level(look.level, look.level_std) for k, look in solved.mapped.items()}
    warn_of_answer(one.plan.entry.date, levels, max(joint.noise))
