"""The list of layers that bowser (PyPI ``bowser-insar`` 0.5) shows in a browser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from mosart.errors import InputError

from .atomic import atomic_path

_NAME = re.compile(r"(?P<quantity>[a-z_]+)_\d{8}\.tif")
_TITLES = {
    "elevation_change": "elevation change (m)",
    "elevation_change_std": "standard error (m)",
    "measured_amplitude": "amplitude, measured",
    "modelled_amplitude": "amplitude, modelled",
    "mask": "mask",
    "looks": "looks that saw the ground",
}


def write_bowser(folder: str | os.PathLike[str]) -> Path:
    """Write the list of a run's GeoTIFFs for bowser.

    Parameters
    ----------
    folder : path-like
        Folder of the run, with ``geotiff/``.

    Returns
    -------
    Path
        ``bowser_rasters.json``: one group a quantity, its files in the order of time. Paths are relative
        to the folder: ``bowser run`` is started there.

    Raises
    ------
    InputError
        If there are no GeoTIFFs, or the file cannot be written.
    """
    target = Path(folder)
    groups: dict[str, list[str]] = {}
    for path in sorted((target / "geotiff").glob("*.tif")):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            groups.setdefault(match["quantity"], []).append(f"geotiff/{path.name}")
    if not groups:
        raise InputError(
            f"there are no GeoTIFFs in {target / 'geotiff'}",
            expected="elevation_change_YYYYMMDD.tif and others",
            got="none",
            hint="a run without a map has none",
        )
    order = [name for name in _TITLES if name in groups] + [name for name in groups if name not in _TITLES]
    listed = [
        {
            "name": _TITLES.get(name, name),
            "file_list": groups[name],
            "nodata": 255 if name in ("mask", "looks") else None,
            "uses_spatial_ref": False,
            "algorithm": None,
            "file_date_fmt": "%Y%m%d",
        }
        for name in order
    ]
    path = target / "bowser_rasters.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    return path
