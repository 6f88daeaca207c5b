"""Where the pixels of a radar image lie on the ground: orbits, DEMs, and the two projections."""

from __future__ import annotations

from .dem import Dem, coverage, load_dem, make_dem
from .ephemeris import Orbit
from .grid import Doppler, RadarGrid
from .layers import GeometryLayers, geometry_layers
from .project import geo2rdr, rdr2geo_height

__all__ = [
    "Dem",
    "Doppler",
    "GeometryLayers",
    "Orbit",
    "RadarGrid",
    "coverage",
    "geo2rdr",
    "geometry_layers",
    "load_dem",
    "make_dem",
    "rdr2geo_height",
]
