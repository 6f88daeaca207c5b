"""What the method needs of a stack, and what is said where it is missing."""

from __future__ import annotations

import numpy as np

from mosart.errors import InputError
from mosart.geometry.frame import LookFrame

from .noise import FEWEST_BLOCKS
from .reading import READING_BLOCK

#: Fewest rows and range pixels that can be rendered and compared.
FEWEST_ROWS, FEWEST_PIXELS = 8, 32


def synthesis_fault(shape: tuple[int, ...], frame: LookFrame | None) -> InputError | None:
    """Find what keeps a stack from the method ``synthesis``.

    Parameters
    ----------
    shape : tuple of int
        Rows and range pixels.
    frame : LookFrame or None
        The look, where it is known.

    Returns
    -------
    InputError or None
        To be raised, or to be told where another method is taken instead.
    """
    if frame is None:
        return InputError(
            "the method synthesis renders the ground and so needs the geometry of the look",
            expected="incidence angle and spacings, from the stack or from the config",
            got="none that is known or can be found from longitude, latitude and height",
            hint="give the geometry in the config, `geometry:`, or use `--method rowwise`, which needs none",
        )
    rows, columns = shape
    blocks = (rows // READING_BLOCK[0]) * (columns // READING_BLOCK[1])
    if rows < FEWEST_ROWS or columns < FEWEST_PIXELS or blocks < FEWEST_BLOCKS:
        return InputError(
            "the image is too small for the method synthesis",
            expected=f"at least {FEWEST_ROWS} rows, {FEWEST_PIXELS} range pixels, and {FEWEST_BLOCKS} blocks "
            f"of {READING_BLOCK[0]} × {READING_BLOCK[1]} pixels, which tell the speckle",
            got=f"{rows} rows and {columns} range pixels",
            hint="crop a larger box, or use `--method rowwise`",
        )
    if not np.isfinite(frame.azimuth_spacing):
        return InputError(
            "the azimuth spacing is not known",
            expected="metres between rows",
            got="nothing",
            hint="give azimuth_spacing in the config, `geometry:`, or use `--method rowwise`",
        )
    return None
