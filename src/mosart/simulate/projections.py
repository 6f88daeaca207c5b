"""Scenes that are larger than memory, written date by date."""

from __future__ import annotations

import os

import h5py
import numpy as np

from mosart.io.atomic import atomic_path

from .assemble import known_attributes, positions
from .scene import Scene


def write_projections(
    scene: Scene, path: str | os.PathLike[str], truth: str | os.PathLike[str] | None = None
) -> None:
    """Write a scene as the original's flat HDF5, one date in memory at a time.

    Parameters
    ----------
    scene : Scene
        What to simulate.
    path : path-like
        File to write: ``dem``, ``lon``, ``lat`` (float64) and ``YYYYMMDD`` (float32) a date, contiguous;
        the geometry as attributes unless the scene withholds it.
    truth : path-like, optional
        File for the truth: ``YYYYMMDD/elevation_change`` and ``YYYYMMDD/hidden`` a date.

    Raises
    ------
    InputError
        If a file cannot be written, or the scene is none.

    Notes
    -----
    The same numbers as :meth:`Scene.simulate` gives.
    """
    ground_range, height = scene.code()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["dem"] = height
        file["lon"], file["lat"] = positions(scene.terrain, scene.swath, ground_range)
        file.attrs.update(known_attributes(scene) if scene.metadata else {})
        del height
        if truth is None:
            for view in scene.views(ground_range):
                file[f"{view.date:%Y%m%d}"] = view.amplitude
            return
        with atomic_path(truth) as beside, h5py.File(beside, "w") as answers:
            for view in scene.views(ground_range):
                file[f"{view.date:%Y%m%d}"] = view.amplitude
                group = answers.create_group(f"{view.date:%Y%m%d}")
                group["elevation_change"] = view.elevation_change.astype(np.float32)
                group["hidden"] = view.hidden
