"""One entry of several looks on one piece of ground: solved, and told to every look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack
from mosart.stack import Stack

from .onlook import Answered, Bits, LonLat, Seen, on_look, on_nothing, on_zero, withhold
from .part import FEWEST_COMPARED, Part
from .reference import Reference
from .together import Shared, Solved, solve_entry

ALL = (slice(None), slice(None))


def select(look: NamedStack, k: int, entries: Sequence[JointEntry]) -> Stack:
    """Leave out of a look, the `k`-th, the dates that no entry needs."""
    needed = {date for one in entries for date in (*one.looks[k].images, *one.looks[k].reference)}
    return look.stack.select(sorted(needed))


def lonlat(look: NamedStack) -> LonLat:
    """Longitude and latitude of a look's pixels, degrees."""
    lon, lat = (np.asarray(look.stack.dataset[name].values, np.float64) for name in ("longitude", "latitude"))
    return lon, lat


def compared(plan: JointEntry, parts: Sequence[Part]) -> JointEntry:
    """Leave out of an entry the looks whose images of it show too little that can be compared."""
    if plan.is_zero:
        return plan
    looks = (
        dates if part.compared(dates) >= FEWEST_COMPARED else replace(dates, images=())
        for part, dates in zip(parts, plan.looks)
    )
    return replace(plan, looks=tuple(looks))


def answer(
    plan: JointEntry,
    reference: Sequence[Date],
    parts: Sequence[Part],
    lonlats: Sequence[LonLat],
    *,
    directions: NDArray[np.uint8],
    reference_of: Callable[[int, tuple[Date, ...]], Reference],
    shared: Shared | None = None,
) -> Answered:
    """Answer an entry.

    Parameters
    ----------
    plan : JointEntry
        What to compare.
    reference : sequence of datetime.date
        Of all looks.
    parts : sequence of Part
        Images of all looks.
    lonlats : sequence of (ndarray, ndarray)
        Positions of their pixels, degrees.
    directions : ndarray of uint8 (2 ** looks,)
        Directions of every set of looks, by bits.
    reference_of : callable
        What a look's reference dates say, by the number of the look.
    shared : Shared, optional
        What the whole of a larger map says.

    Returns
    -------
    Answered
        With what each look sees of it.
    """
    if plan.is_zero:
        seen = []
        for k, (part, dates) in enumerate(zip(parts, plan.looks)):
            own = tuple(date for date in reference if date in part.intensity)
            seen.append(on_zero(part, dates, reference_of(k, own) if part.shown(own) else None))
        return Answered(plan, None, tuple(seen), tuple(one.mask for one in seen))
    if not any(dates.images for dates in plan.looks):
        seen = [on_nothing(part, dates) for part, dates in zip(parts, plan.looks)]
        return Answered(plan, None, tuple(seen), tuple(one.mask for one in seen))
    solved = solve_entry(plan, parts, lonlats, reference_of, shared)
    seen = [
        on_look(solved, k, dates, parts[k], lonlat=lonlats[k], reference=reference_of(k, dates.reference))
        if parts[k].shown(dates.reference)
        else on_nothing(parts[k], dates)
        for k, dates in enumerate(plan.looks)
    ]
    return Answered(plan, solved, tuple(seen), _masks(solved, seen, lonlats, directions))


def _masks(
    solved: Solved, seen: Sequence[Seen], lonlats: Sequence[LonLat], directions: NDArray[np.uint8]
) -> tuple[Bits, ...]:
    """Mask of every look, told by what the others see."""
    on_nodes = {k: solved.seen_nodes(seen[k].mask, *lonlats[k]).astype(np.float64) for k in solved.mapped}
    found = []
    for k, places in enumerate(lonlats):
        others = [j for j in on_nodes if j != k]
        shares = solved.at(*places, *(on_nodes[j] for j in others))
        where = {j: np.nan_to_num(share) > 0.5 for j, share in zip(others, shares)}
        found.append(withhold(seen[k], k, where, directions, k in solved.mapped))
    return tuple(found)
