"""Which ground along the rows is rendered: the radar-coded DEM, or what was traced on a DEM raster."""

from __future__ import annotations

from typing import Final

from mosart.errors import InputError
from mosart.geometry.section import SECTION_HEIGHT, SECTION_RANGE
from mosart.stack import Stack

#: From the heights of the pixels; from the sections that a stack of SLC products keeps, folds and all.
TERRAINS: Final = ("coded", "traced")


def with_terrain(stack: Stack, terrain: str) -> Stack:
    """Keep of a stack the ground that shall be rendered.

    Parameters
    ----------
    stack : Stack
        With traced sections or without.
    terrain : {"coded", "traced"}
        Which ground.

    Returns
    -------
    Stack
        Without sections where the coded DEM shall be rendered.

    Raises
    ------
    InputError
        If there is no such terrain, or the stack has no traced sections.
    """
    if terrain not in TERRAINS:
        raise InputError(
            f"there is no terrain {terrain!r}", expected=" or ".join(TERRAINS), got=repr(terrain)
        )
    held = [name for name in (SECTION_HEIGHT, SECTION_RANGE) if name in stack.dataset]
    if terrain == "coded":
        return Stack(stack.dataset.drop_vars(held)) if held else stack
    if len(held) < 2:
        raise InputError(
            "terrain: the stack has no traced terrain",
            expected=f"{SECTION_HEIGHT} and {SECTION_RANGE}, as a stack holds them that is made of SLC "
            "products, orbit and DEM raster",
            got="a radar-coded DEM",
            hint="leave `terrain` out, or make the stack of the products (mosart run --slc … --dem …)",
        )
    return stack
