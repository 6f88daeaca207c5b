"""The inversion of several looks, entry by entry: the joint map and each look's own grid."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from mosart.change import ElevationChange
from mosart.geocoding import MapGrid
from mosart.inversion import Entry
from mosart.inversion.gather import gather, joint_entry
from mosart.inversion.samedem import common_grid
from mosart.inversion.synthesis.several import invert_several
from mosart.io.netcdf import write_dataset
from mosart.report.looks import level_texts

from .log import Advance
from .plan import Look, Plan

logger = logging.getLogger(__name__)


def joint_grid(plan: Plan) -> MapGrid:
    """Lay one map grid over the ground of all looks.

    Parameters
    ----------
    plan : Plan
        Of several looks.

    Returns
    -------
    MapGrid
        As the config says; as fine as the finest look asks for, if it does not.
    """
    wanted = plan.config.grid
    return common_grid([look.stack for look in plan.looks], crs=wanted.crs, pixel_size=wanted.pixel_size)


def invert_entry(plan: Plan, entry: Entry, grid: MapGrid) -> ElevationChange:
    """Invert one entry of several looks.

    Parameters
    ----------
    plan : Plan
        Of the run.
    entry : Entry
        One of its entries.
    grid : MapGrid
        Of the map.

    Returns
    -------
    ElevationChange
        On the map; ``on_radar`` gives the grids of the looks.
    """
    looks = gather(
        [look.stack for look in plan.looks],
        [look.name for look in plan.looks],
        [look.frame for look in plan.looks],
    )
    change = invert_several(looks, plan.reference, [joint_entry(entry, looks, plan.reference)], grid)
    for text in level_texts(change.dataset):
        logger.info("level of the looks on %s", text)
    return change


def write_pieces(
    change: ElevationChange,
    looks: Sequence[Look],
    pieces: Sequence[Path],
    attrs: Mapping[str, str],
    advance: Advance,
) -> None:
    """Write the map of an entry and its results on the looks' grids.

    Parameters
    ----------
    change : ElevationChange
        From :func:`invert_entry`.
    looks : sequence of Look
        Of the run.
    pieces : sequence of Path
        Files to write: the map's, then one a look.
    attrs : mapping of str to str
        Of all files.
    advance : callable
        Told the files done and the files there are.
    """
    write_dataset(change.dataset.assign_attrs(attrs), pieces[0])
    for number, (look, piece) in enumerate(zip(looks, pieces[1:], strict=True), 1):
        advance(number, len(pieces))
        own = change.on_radar(look.name).dataset
        write_dataset(own.assign_attrs(dict(attrs) | look.attributes), piece)
    advance(len(pieces), len(pieces))
