"""The inversion of several looks, entry by entry: the joint map and each look's own grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mosart.change import ElevationChange
from mosart.geocoding import MapGrid
from mosart.inversion import Entry
from mosart.inversion.gather import gather, joint_entry
from mosart.inversion.samedem import common_grid
from mosart.inversion.synthesis.several import invert_several
from mosart.io.netcdf import write_dataset
from mosart.report.looks import level_texts

from .layers import Layered
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


def invert_entry(plan: Plan, entry: Entry, grid: MapGrid, advance: Advance | None = None) -> ElevationChange:
    """Invert one entry of several looks.

    Parameters
    ----------
    plan : Plan
        Of the run.
    entry : Entry
        One of its entries.
    grid : MapGrid
        Of the map.
    advance : callable, optional
        Told the parts done and the parts there are.

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
    entries = [joint_entry(entry, looks, plan.reference)]
    change = invert_several(looks, plan.reference, entries, grid, progress=advance)
    for text in level_texts(change.dataset):
        logger.info("level of the looks on %s", text)
    return change


def write_pieces(
    change: ElevationChange,
    looks: Sequence[Look],
    files: Sequence[Layered],
    pieces: Sequence[Path],
    advance: Advance,
) -> None:
    """Write the map of an entry and its results on the looks' grids.

    Parameters
    ----------
    change : ElevationChange
        From :func:`invert_entry`.
    looks : sequence of Look
        Of the run.
    files : sequence of Layered
        That the pieces are for: the map's, then one a look.
    pieces : sequence of Path
        Files to write, complete as `files` will be.
    advance : callable
        Told the files done and the files there are.
    """
    grids = [change, *(change.on_radar(look.name) for look in looks)]
    for number, (one, file, piece) in enumerate(zip(grids, files, pieces, strict=True), 1):
        write_dataset(file.finish(one.dataset), piece)
        advance(number, len(pieces))
