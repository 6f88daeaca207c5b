"""The demonstration's second part: new rock, which one look withholds and two looks measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.inversion import invert
from mosart.io.flat import write_flat
from mosart.report.canvas import save
from mosart.report.truth import truth_figure
from mosart.report.view import view_of
from mosart.simulate import Simulation, dome

from .accuracy import ZONE

#: What the error of the joint map stays below, as a share of the change, where the rock is new; and the
#: share of it that the map gives at least. Other seeds of the same scene hold both.
BOUND, LEAST_GIVEN = 0.15, 0.9
#: The stacks, and the figure beside the truth.
STACKS, FIGURE = ("ascending", "descending"), "two_looks.png"


@dataclass(frozen=True)
class SecondLook:
    """What one look and two looks made of new rock.

    Parameters
    ----------
    height : float
        Of the new rock, metres.
    change : float
        Root mean square of the true change where it is above a tenth of its largest, metres.
    one, two : tuple of float
        Share of that ground with a number, and the root mean square error of the numbers, metres, of one look
        alone and of both.
    """

    height: float
    change: float
    one: tuple[float, float]
    two: tuple[float, float]

    @property
    def held(self) -> bool:
        """Whether the joint map is within the bounds."""
        return self.two[1] <= BOUND * self.change and self.two[0] >= LEAST_GIVEN

    def text(self) -> str:
        """Tell it in one line."""
        return (
            f"new rock, {self.height:.0f} m high: one look gives numbers for {self.one[0]:.0%} of it and "
            f"withholds the rest; two looks give {self.two[0]:.0%}, wrong by {self.two[1]:.1f} m rms of "
            f"{self.change:.1f} m, {self.two[1] / self.change:.0%} (bound: {BOUND:.0%})"
        )


def simulate_stacks(folder: Path, *, seed: int = 0) -> tuple[Simulation, ...]:
    """Simulate a dome of new rock as two looks see it, and write their stacks.

    Parameters
    ----------
    folder : Path
        Where ``ascending.h5`` and ``descending.h5`` go.
    seed : int
        Of the simulation.

    Returns
    -------
    tuple of Simulation
        With the truth.
    """
    looks = dome(seed=seed)
    for name, simulation in zip(STACKS, looks, strict=True):
        write_flat(simulation.stack, folder / f"{name}.h5")
    return looks


def compare_looks(looks: tuple[Simulation, ...], out: Path | None = None) -> SecondLook:
    """Invert one look alone and both together, and compare with the truth.

    Parameters
    ----------
    looks : tuple of Simulation
        From :func:`simulate_stacks`; half of the dates of each are before the change.
    out : Path, optional
        Folder for the figure.

    Returns
    -------
    SecondLook
    """
    before, after = [], []
    for simulation in looks:
        dates = simulation.stack.dates
        before.append(dates[: len(dates) // 2])
        after.append(dates[len(dates) // 2 :])
    first = looks[0]
    alone = invert(first.stack, "synthesis", before[0], [after[0]]).dataset.isel(date=0)
    both = invert(
        [simulation.stack for simulation in looks],
        "synthesis",
        [date for dates in before for date in dates],
        [sorted(date for dates in after for date in dates)],
        names=STACKS,
    )
    joint = both.on_radar(STACKS[0]).dataset.isel(date=0)
    truth = first.truth["elevation_change"].isel(date=-1)
    zone = np.abs(truth.values) > ZONE * float(np.abs(truth.values).max())
    found = SecondLook(
        height=float(np.abs(truth.values).max()),
        change=_rms(truth.values[zone]),
        one=_judge(alone, truth, zone),
        two=_judge(joint, truth, zone),
    )
    if out is not None:
        maps = {
            "truth": truth,
            "one look; grey: withheld": alone["elevation_change"],
            "two looks, joint": joint["elevation_change"],
        }
        images = {name: np.asarray(image.values, np.float64) for name, image in maps.items()}
        std = np.asarray(joint["elevation_change_std"].values, np.float64)
        title = (
            f"A simulated dome of new rock, {found.height:.0f} m high, on the ascending look's grid\n"
            f"one look gives {found.one[0]:.0%} of it, two looks {found.two[0]:.0%}, "
            f"wrong by {found.two[1] / found.change:.0%}"
        )
        save(truth_figure(images, ("its standard error", std), view_of(joint), title), out / FIGURE)
    return found


def _judge(estimate: xr.Dataset, truth: xr.DataArray, zone: NDArray[np.bool_]) -> tuple[float, float]:
    values = np.asarray(estimate["elevation_change"].values, np.float64)[zone]
    error = values - truth.values[zone]
    known = np.isfinite(error)
    return float(known.mean()), _rms(error[known])


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else float("nan")
