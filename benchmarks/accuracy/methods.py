"""The methods that are compared: ours, and the published software at its best."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means

import mosart
from mosart.simulate import Simulation

from .scenes import Case

Array = NDArray[np.float64]

ORIGINAL = "mosart==1.0.2"
#: What is best for the original: median of the amplitudes, strength and patch of the despeckling.
MEDIAN, STRENGTH, PATCH = 50.0, 20.0, 5


@dataclass(frozen=True)
class Map:
    """A method's answer on the radar grid; of the net volume its error, standard error and truth (m³)."""

    change: Array
    std: Array | None = None
    unresolved: NDArray[np.bool_] | None = None
    volume: tuple[float, float, float] | None = None


def original_module(folder: Path) -> ModuleType:
    """Import the original's row fit, installed beside ours.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is installed (by ``pip install --no-deps --target``) if it is not there yet.

    Returns
    -------
    module
        ``mosart.lsquares`` of the original.
    """
    import importlib.util

    path = folder / "mosart" / "lsquares.py"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(folder),
            ORIGINAL,
        ]
        subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location("original_lsquares", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _filtered(image: Array, strength: float) -> Array:
    return np.asarray(
        denoise_nl_means(
            image, h=0.6 * strength, sigma=strength, fast_mode=True, patch_size=PATCH, patch_distance=PATCH
        )
    )


def run_original(simulation: Simulation, case: Case, folder: Path, *, single: bool = False) -> list[Map]:
    """Run the original, with both geocodings.

    Parameters
    ----------
    simulation : Simulation
        The scene.
    case : Case
        Its class.
    folder : pathlib.Path
        Of the original.
    single : bool
        The last date against the first instead of mean against mean.

    Returns
    -------
    list of Map
        Read at the DEM's pixel, and each surface at its own ground position.
    """
    module = original_module(folder)
    data = simulation.stack.dataset
    dem = np.asarray(data["height"].values)
    amplitude = np.asarray(data["amplitude"].values, dtype=float)
    amplitude = amplitude * (MEDIAN / np.median(amplitude[0]))
    gradient = _filtered(np.gradient(dem, axis=1), 0.5)
    used = (0, len(amplitude) - 1) if single else range(len(amplitude))
    one = np.ones(dem.shape)
    heights = {k: module.getabc_reg(_filtered(amplitude[k], STRENGTH), dem, gradient, one)[0] for k in used}
    before = np.mean([h for k, h in heights.items() if k < case.dates], axis=0)
    after = np.mean([h for k, h in heights.items() if k >= case.dates], axis=0)
    x = simulation.frame.ground_range(dem)
    own = []
    for surface in (before, after):
        position = np.maximum.accumulate(simulation.frame.ground_range(surface), axis=1)
        position = position + np.arange(dem.shape[1]) * 1e-9
        own.append(np.array([np.interp(a, p, h) for a, p, h in zip(x, position, surface)]))
    return [Map(after - before), Map(own[1] - own[0])]


@dataclass(frozen=True)
class _Zone:
    """One area, as a mask."""

    inside: NDArray[np.bool_]
    names: tuple[str, ...] = ("zone",)

    def masks(self, _data: object, _names: object = None) -> dict[str, NDArray[np.bool_]]:
        return {"zone": self.inside}


def _volume(
    change: mosart.ElevationChange, truth: Array, inside: NDArray[np.bool_]
) -> tuple[float, float, float] | None:
    """Error, standard error and truth of the net volume of an area, where there are numbers."""
    data, area = change.dataset, _Zone(inside)
    if not (inside & np.isfinite(data["elevation_change"].values[0])).any():
        return None
    row = change.volume(area).iloc[0]
    here = data["elevation_change"]
    true = here.where(here.isnull(), truth[None])
    known = mosart.ElevationChange(data.assign(elevation_change=true)).volume(area).iloc[0]
    return float(row["net_m3"] - known["net_m3"]), float(row["net_std_m3"]), float(known["net_m3"])


def run_ours(
    simulation: Simulation, case: Case, method: str, changed: NDArray[np.bool_], *, single: bool = False
) -> Map:
    """One of our methods, mean of the dates against the mean, or one date against one.

    Parameters
    ----------
    simulation : Simulation
        The scene.
    case : Case
        Its class.
    method : str
        Name of the method.
    changed : ndarray of bool (azimuth, range)
        Whose volume is asked for.
    single : bool
        The last date against the first.

    Returns
    -------
    Map
        At fixed ground position.
    """
    before = case.dates_before[:1] if single else case.dates_before
    after = case.dates_after[-1:] if single else case.dates_after
    change = mosart.invert(simulation.stack, method=method, reference=before, epochs=[after])
    data = change.dataset.isel(date=0)
    std = np.asarray(data["elevation_change_std"].values, dtype=float)
    shape = data["elevation_change"].shape
    unresolved = (np.asarray(data["mask"].values) & mosart.Flag.UNRESOLVED) != 0
    volume = None
    if method == "synthesis" and changed.any():
        truth = np.asarray(simulation.truth["elevation_change"].values[-1], dtype=float)
        volume = _volume(change, truth, changed)
    return Map(
        np.asarray(data["elevation_change"].values, dtype=float),
        np.broadcast_to(std, shape),
        unresolved,
        volume,
    )
