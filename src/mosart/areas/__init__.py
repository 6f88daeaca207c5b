"""Areas of interest, points, stable ground and water, as masks on the grid of a stack or a map."""

from __future__ import annotations

from .area import Area, Areas
from .raster import read_raster
from .read import read_areas
from .water import flag_water
from .write import read_written_areas, write_areas

__all__ = ["Area", "Areas", "flag_water", "read_areas", "read_raster", "read_written_areas", "write_areas"]
