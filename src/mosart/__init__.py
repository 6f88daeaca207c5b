"""MoSARt, morphology from SAR: elevation change from SAR amplitude images and one DEM."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .areas import Areas, read_areas
    from .change import ElevationChange
    from .errors import InputError, MosartError
    from .geocoding import geocode
    from .inversion import invert
    from .io import open_stack
    from .masks import Flag
    from .stack import Stack

__all__ = [
    "Areas",
    "ElevationChange",
    "Flag",
    "InputError",
    "MosartError",
    "Stack",
    "geocode",
    "invert",
    "open_stack",
    "read_areas",
]

_HOMES = {
    "Areas": "areas",
    "ElevationChange": "change",
    "Flag": "masks",
    "InputError": "errors",
    "MosartError": "errors",
    "Stack": "stack",
    "geocode": "geocoding",
    "invert": "inversion",
    "open_stack": "io",
    "read_areas": "areas",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for: `mosart --help` must not wait for numba."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mosart' has no attribute {name!r}")
    home = import_module(f".{_HOMES[name]}", __name__)
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
