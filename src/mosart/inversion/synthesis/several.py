"""From several stacks to one map: the method ``synthesis`` for several looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.geocoding import MapGrid
from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack

from .onlook import Answered, Bits, LonLat, Seen, on_look, on_nothing, on_zero, radar_dataset, withhold
from .onmap import map_dataset
from .part import FEWEST_COMPARED, Part, part_reference, read_part
from .reference import Reference
from .terrain import with_terrain
from .together import Solved, sides, solve_entry
from .told import moved_text

logger = logging.getLogger(__name__)

#: Rescaling of a look's noise above which the looks show different grounds. It is 0.7 to 1.4 where they show
#: one, and 6 where the image of one is flipped.
NOT_ONE_GROUND = 4.0


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
        Told of the entries that are done and of all.

    Returns
    -------
    ElevationChange
        On the map; ``on_radar(name)`` gives it on the grid of a look.
    """
    parts = []
    for k, look in enumerate(looks):
        needed = {date for one in entries for date in (*one.looks[k].images, *one.looks[k].reference)}
        stack = with_terrain(look.stack.select(sorted(needed)), "coded")
        parts.append(read_part(stack, slice(None), slice(None), look.frame))
    lonlats = [_lonlat(look) for look in looks]
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

    def zero_reference(k: int) -> Reference | None:
        own = tuple(date for date in reference if date in parts[k].intensity)
        return reference_of(k, own) if parts[k].shown(own) else None

    done = []
    for number, plan in enumerate(entries):
        if plan.is_zero:
            seen = tuple(
                on_zero(part, dates, zero_reference(k))
                for k, (part, dates) in enumerate(zip(parts, plan.looks))
            )
            done.append(Answered(plan, None, seen, tuple(one.mask for one in seen)))
        elif not any(dates.images for dates in plan.looks):
            seen = tuple(on_nothing(part, dates) for part, dates in zip(parts, plan.looks))
            done.append(Answered(plan, None, seen, tuple(one.mask for one in seen)))
        else:
            solved = solve_entry(plan, parts, lonlats, reference_of)
            seen = tuple(
                on_look(
                    solved, k, dates, parts[k], lonlat=lonlats[k], reference=reference_of(k, dates.reference)
                )
                if parts[k].shown(dates.reference)
                else on_nothing(parts[k], dates)
                for k, dates in enumerate(plan.looks)
            )
            done.append(Answered(plan, solved, seen, _masks(solved, seen, lonlats, directions)))
            _report(looks, done[-1])
        if progress is not None:
            progress(number + 1, len(entries))
    radar = {}
    for k, look in enumerate(looks):
        own = [found for (number, _), found in learned.items() if number == k]
        radar[look.name] = ElevationChange(radar_dataset(k, look, reference, done, own))
    return ElevationChange(map_dataset(looks, reference, done, grid, directions), radar)


def _shown(
    looks: Sequence[NamedStack], parts: Sequence[Part], entries: Sequence[JointEntry]
) -> list[JointEntry]:
    """Leave out of each entry the looks whose images of it show nothing that can be compared."""
    found = []
    for plan in entries:
        kept = list(plan.looks)
        for k, dates in enumerate(plan.looks):
            if plan.is_zero or not dates.images or parts[k].compared(dates) >= FEWEST_COMPARED:
                continue
            logger.warning(
                "%s: the images of %s, or its reference, show nothing to compare and are left out",
                f"{plan.entry.date:%Y%m%d}",
                looks[k].name,
            )
            kept[k] = replace(dates, images=())
        if not any(dates.images for dates in kept):
            logger.warning(
                "%s: too little ground is shown by both the images and the reference: no change is given",
                f"{plan.entry.date:%Y%m%d}",
            )
        found.append(replace(plan, looks=tuple(kept)))
    return found


def _lonlat(look: NamedStack) -> LonLat:
    lon, lat = (np.asarray(look.stack.dataset[name].values, np.float64) for name in ("longitude", "latitude"))
    return lon, lat


def _masks(
    solved: Solved, seen: Sequence[Seen], lonlats: Sequence[LonLat], directions: NDArray[np.uint8]
) -> tuple[Bits, ...]:
    """Mask of every look, told by what the others see."""
    on_nodes = {k: solved.seen_nodes(seen[k].mask, *lonlats[k]).astype(np.float64) for k in solved.mapped}
    found = []
    for k, lonlat in enumerate(lonlats):
        others = [j for j in on_nodes if j != k]
        shares = solved.at(*lonlat, *(on_nodes[j] for j in others))
        where = {j: np.nan_to_num(share) > 0.5 for j, share in zip(others, shares)}
        found.append(withhold(seen[k], k, where, directions, k in solved.mapped))
    return tuple(found)


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
    if len(one.taking) < 2:
        logger.warning(
            "%s: one look alone has images of it, so new rock is withheld there",
            f"{one.plan.entry.date:%Y%m%d}",
        )
        return
    if max(joint.noise) > NOT_ONE_GROUND:
        logger.warning(
            "%s: the looks do not show one ground (what is left has %.1f times the variance of their noise): "
            "an image or a geometry of one of them may be wrong",
            f"{one.plan.entry.date:%Y%m%d}",
            max(joint.noise),
        )
    alone = [looks[k].name for k, look in solved.mapped.items() if not np.isfinite(look.level_std)]
    if alone:
        logger.warning(
            "%s: %s shares too little gentle ground with the other looks for a common level of brightness: "
            "new rock that it sees may come out tilted",
            f"{one.plan.entry.date:%Y%m%d}",
            " and ".join(alone),
        )
