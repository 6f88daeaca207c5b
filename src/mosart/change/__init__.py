"""What every inversion method returns: elevation change, its uncertainty, and what is read off it."""

from .result import ElevationChange, temporal_std, validate

__all__ = ["ElevationChange", "temporal_std", "validate"]
