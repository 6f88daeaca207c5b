"""Simulated SLC products: real annotations, pixels of a known terrain with a known change.

The image of a date is rendered on the date's own grid, so that orbits, baselines and phase ramps differ
as they do in life. Point targets are placed by a second implementation of the geometry (eos-sar), so
that an error of ours shows.
"""

from __future__ import annotations

from .cosar import write_ssc
from .nisar import write_rslc
from .render import Ground, PointTargets, add_targets, make_pixels, render_intensity
from .safe import Burst, SafeTemplate, write_burst, write_safe

__all__ = [
    "Burst",
    "Ground",
    "PointTargets",
    "SafeTemplate",
    "add_targets",
    "make_pixels",
    "render_intensity",
    "write_burst",
    "write_rslc",
    "write_safe",
    "write_ssc",
]
