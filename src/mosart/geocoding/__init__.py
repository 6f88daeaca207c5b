"""From the radar grid to a map grid."""

from .mapgrid import MapGrid
from .to_map import derive_grid, geocode, georeference

__all__ = ["MapGrid", "derive_grid", "geocode", "georeference"]
