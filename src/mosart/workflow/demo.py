"""The demonstration: a simulated crater collapses, the whole workflow runs, and the truth judges it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from mosart.errors import InputError
from mosart.inversion import invert
from mosart.io.flat import write_flat
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.report.canvas import save
from mosart.report.truth import truth_figure
from mosart.report.view import view_of
from mosart.simulate import Simulation, collapse

from . import secondlook
from .accuracy import ZONE
from .config import Config
from .folder import ProductFolder
from .log import Talk, recorded
from .run import run

logger = logging.getLogger(__name__)

#: What the error of the demo's map stays below: a share of the change where the ground changed, and metres
#: where it did not. Other seeds of the same scene stay below it too.
BOUND_ZONE = 0.12
BOUND_STABLE = 0.8
#: The figure beside the truth.
FIGURE = "truth.png"


@dataclass(frozen=True)
class Score:
    """A map of change against the truth, where both are known.

    Parameters
    ----------
    change : float
        Root mean square of the true change where it is above a tenth of its largest, metres.
    zone : float
        Root mean square error there, metres.
    stable : float
        Root mean square error where nothing changed, metres.
    seen : float
        Share of the pixels with a result.
    """

    change: float
    zone: float
    stable: float
    seen: float


def score(estimate: xr.DataArray, truth: xr.Dataset, given: xr.DataArray | None = None) -> Score:
    """Compare the last entry of a map on the radar grid with the truth of its date.

    Parameters
    ----------
    estimate : xarray.DataArray, (date, azimuth, range)
        Metres, NaN where withheld.
    truth : xarray.Dataset
        ``elevation_change`` and ``hidden`` (date, azimuth, range) of the whole simulated image.
    given : xarray.DataArray, (date, azimuth, range), optional
        Another map: pixels where it is NaN are left out.

    Returns
    -------
    Score
    """
    here = truth.isel(azimuth=estimate["azimuth"].values, range=estimate["range"].values)
    here = here.sel(date=estimate["date"].values[-1])
    true, hidden = here["elevation_change"].values, here["hidden"].values.astype(bool)
    error = estimate.isel(date=-1).values - true
    known = np.isfinite(error) & ~hidden
    if given is not None:
        known &= np.isfinite(given.isel(date=-1).values)
    zone = known & (np.abs(true) > ZONE * np.abs(true).max())
    return Score(
        change=_rms(true[zone]),
        zone=_rms(error[zone]),
        stable=_rms(error[known & (true == 0)]),
        seen=float(np.isfinite(estimate.isel(date=-1).values).mean()),
    )


def run_demo(out: Path) -> str:
    """Simulate, run the whole workflow, and compare with the truth.

    Parameters
    ----------
    out : Path
        Folder for the simulated stack and, in ``products``, what a run leaves.

    Returns
    -------
    str
        The result and the command for the user's own file.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    folder = ProductFolder(out)
    folder.examine()
    ProductFolder(out / "products").examine()
    talk = Talk()
    with recorded(talk):
        logger.info("simulating a crater whose floor collapses by 25 m, as TerraSAR-X sees it")
        simulation = collapse(metadata=False)
    with folder.staging() as stage:
        write_flat(simulation.stack, stage / "crater.h5")
        write_dataset(simulation.truth, stage / "crater_truth.nc")
        (stage / "crater.geojson").write_text(json.dumps(_crater(simulation)), encoding="utf-8")
        looks = secondlook.simulate_stacks(stage)
    dates = [f"{date:%Y%m%d}" for date in simulation.stack.dates]
    config = Config(
        stack=(out / "crater.h5",),
        out=out / "products",
        method="synthesis",
        reference=(",".join(dates[:3]),),
        epoch=(",".join(dates[3:]),),
        areas=(str(out / "crater.geojson"),),
    )
    outcome = run(config)
    with recorded(talk):
        logger.info("the same by the published row-wise algorithm, to compare")
        rows = invert(simulation.stack, "rowwise", dates[:3], [dates[3:]]).dataset["elevation_change"]
    with open_dataset(out / "products" / "radar.nc") as result:
        ours = result["elevation_change"]
        found, before = score(ours, simulation.truth), score(rows, simulation.truth, ours)
        times = (
            f"{before.zone / found.zone:.1f} times better than the published row-wise algorithm where the "
            f"ground changed, {before.stable / found.stable:.1f} times where it did not"
        )
        save(_figure(result, rows, simulation.truth, times), out / FIGURE)
    with recorded(talk):
        logger.info("a second look: a dome of new rock, seen from one side and from two")
        second = secondlook.compare_looks(looks, out)
    share = found.zone / found.change
    held = share <= BOUND_ZONE and found.stable <= BOUND_STABLE and second.held
    days = sorted({date for simulation in looks for date in simulation.stack.dates})
    half = len(days) // 2
    since, until = (f"{part[0]:%Y%m%d}..{part[-1]:%Y%m%d}" for part in (days[:half], days[half:]))
    text = (
        f"{outcome.text()}\n"
        f"against the truth, {'within the bounds' if held else 'BEYOND THE BOUNDS'}:\n"
        f"  where the ground changed (by {found.change:.1f} m rms) the error is {found.zone:.2f} m rms, "
        f"{share:.0%} of the change (bound: {BOUND_ZONE:.0%}); row-wise {before.zone:.1f} m\n"
        f"  where it did not, {found.stable:.2f} m rms (bound: {BOUND_STABLE:.1f} m); row-wise "
        f"{before.stable:.1f} m\n"
        f"  {times} (our `rowwise`, which equals mosart 1.0.2, on the same pixels)\n"
        f"  {second.text()}\n"
        f"look at {out / FIGURE}, {out / secondlook.FIGURE}, {out / 'products' / 'report.html'}\n"
        f"with your own file:\n"
        f"  mosart run --stack YOUR_FILE.h5 --out OUT --reference YYYYMMDD\n"
        f"and with two looks of one ground, here the dome's:\n"
        f"  mosart run --stack {out / 'ascending.h5'} --stack {out / 'descending.h5'} --out OUT "
        f"--reference {since} --epoch {until}"
    )
    if not held:
        raise DemoError(text)
    return text


def _figure(result: xr.Dataset, rows: xr.DataArray, truth: xr.Dataset, times: str) -> Figure:
    """Draw truth, row-wise map, ours and its standard error, on the radar grid."""
    last = result.isel(date=-1)
    here = truth.isel(azimuth=last["azimuth"].values, range=last["range"].values)
    change = here["elevation_change"].sel(date=last["date"].values)
    maps = {
        "truth": change,
        "the published row-wise algorithm (`rowwise`)": rows.isel(date=-1),
        "MoSARt (`synthesis`); grey: no number given": last["elevation_change"],
    }
    images = {name: np.asarray(image.values, dtype=np.float64) for name, image in maps.items()}
    std = np.asarray(last["elevation_change_std"].values, dtype=np.float64)
    title = f"A simulated crater whose floor collapses by 25 m\n{times}"
    return truth_figure(images, ("MoSARt's own standard error", std), view_of(last), title)


class DemoError(RuntimeError):
    """The demo's map is worse than it should be."""


def _crater(simulation: Simulation) -> dict[str, object]:
    """Draw the lon/lat box of the ground that changed, as GeoJSON."""
    data = simulation.stack.dataset
    changed = (np.abs(simulation.truth["elevation_change"].values) > 0.5).any(axis=0)
    if not changed.any():
        raise InputError("the demo's ground does not change", expected="a collapse", got="none")
    longitude, latitude = data["longitude"].values[changed], data["latitude"].values[changed]
    west, east, south, north = longitude.min(), longitude.max(), latitude.min(), latitude.max()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": "crater"},
                "geometry": {"type": "Polygon", "coordinates": [[[float(x), float(y)] for x, y in ring]]},
            }
        ],
    }


def _rms(values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else float("nan")
