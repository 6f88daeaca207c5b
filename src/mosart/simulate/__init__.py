"""Simulated stacks whose truth is known.

The simulator shares no code with any inversion: one is the other's judge.
"""

from __future__ import annotations

from .dem import DemError
from .presets import collapse, dome, island
from .radar import Swath
from .radiometry import NOISELESS, Radiometry
from .scene import Scene, Simulation, simulate
from .sensors import SENSORS, Sensor
from .terrain import Terrain

__all__ = [
    "NOISELESS",
    "SENSORS",
    "DemError",
    "Radiometry",
    "Scene",
    "Sensor",
    "Simulation",
    "Swath",
    "Terrain",
    "collapse",
    "dome",
    "island",
    "simulate",
]
