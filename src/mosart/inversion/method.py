"""What the inversion methods share: their options and their signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.geometry.frame import LookFrame
from mosart.stack import Stack

from .entries import Date, Entry


@dataclass(frozen=True)
class Options:
    """Options of an inversion; a method takes those that concern it.

    Attributes
    ----------
    frame : LookFrame or None
        Geometry of the look; None where it is not known.
    despeckle : str
        ``"nlm"`` or ``"none"``.
    weights : str or ndarray (azimuth, range)
        ``"unit"``, ``"stable"``, ``"robust"``, or weights of the residuals (1 full, 0 none).
    stable : ndarray of bool (azimuth, range) or None
        Stable ground; None where it is to be found.
    stable_name : str
        What the stable ground is called in the result.
    terrain : str
        ``"coded"`` or ``"traced"``, see :func:`mosart.inversion.synthesis.terrain.with_terrain`.
    tile_rows : int or None
        Rows worked on at a time; None for as many as fit the memory.
    progress : callable or None
        Called with what is done and what there is to do, by a method that works before it returns.
    """

    frame: LookFrame | None = None
    despeckle: str = "nlm"
    weights: str | NDArray[Any] = "unit"
    stable: NDArray[np.bool_] | None = None
    stable_name: str = "given"
    terrain: str = "coded"
    tile_rows: int | None = None
    progress: Callable[[int, int], None] | None = None


class Method(Protocol):
    """An inversion method."""

    def __call__(
        self, stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
    ) -> ElevationChange:
        """Invert a stack."""
