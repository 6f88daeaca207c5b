"""The table of sensors, and opening a product of any of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from mosart.errors import InputError

from .nisar import NISAR
from .product import Product, Sensor
from .sentinel1 import SENTINEL1
from .terrasarx import TERRASARX

SENSORS: tuple[Sensor, ...] = (NISAR, TERRASARX, SENTINEL1)


def require_extra() -> None:
    """Refuse work on products where the extra is not installed, saying how to get it."""
    missing = [name for name in ("eos", "cv2") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "work on SLC products needs the extra “slc”",
            got=f"not installed: {', '.join(missing)}",
            hint="pip install 'mosart[slc]' (it compiles two modules: gcc and Python's headers are needed)",
        )


def open_product(path: str | Path, *, polarization: str = "", orbits: Sequence[Path] = ()) -> Product:
    """Open an SLC product of whatever sensor.

    Parameters
    ----------
    path : path
        SAFE folder or zip, single burst, SSC folder or annotation, RSLC file. A subswath of a SAFE is
        named by appending ``:IW1`` and so on.
    polarization : str
        As "VV"; by default the co-polarised one.
    orbits : sequence of Path
        Orbit files to choose from.

    Returns
    -------
    Product

    Raises
    ------
    InputError
        If it is no product, damaged, truncated, or has not that polarisation.
    """
    path = Path(path)
    for sensor in SENSORS:
        if sensor.recognises(path):
            if sensor is SENTINEL1:
                require_extra()
            return sensor.open(path, polarization, tuple(orbits))
    exists = path.exists()
    raise InputError(
        f"{path} is no SLC product that can be read" if exists else f"{path} does not exist",
        expected="; ".join(s.name for s in SENSORS),
    )
