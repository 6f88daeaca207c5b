"""Several looks of one ground: what is refused, and one map of them against simulated truth."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mosart
from mosart import ElevationChange, InputError
from mosart.inversion import check_ground, gather
from mosart.simulate import Radiometry, Sensor, Simulation, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture
from mosart.stack import Stack

SENSOR = Sensor("stripmap", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "1.8 m × 4 m")
START = dt.date(2020, 1, 1)
SHAPE = (80, 150)
#: Headings of the looks: opposite (24° from parallel), and across both.
HEADINGS = (348.0, 192.0, 273.0)
PEAK = (60.0, 30.0)


def dates(look: int, first: int = 0) -> list[dt.date]:
    """Three images of a look, a day later than those of the look before."""
    return [START + dt.timedelta(11 * (first + k) + look) for k in range(3)]


def before(*looks: int) -> list[dt.date]:
    """Reference dates of looks."""
    return [date for look in looks for date in dates(look)]


def after(*looks: int) -> list[dt.date]:
    """Epoch dates of looks."""
    return [date for look in looks for date in dates(look, 3)]


def bump(
    x: NDArray[np.float64], y: NDArray[np.float64], height: float, width: float = 70.0
) -> NDArray[np.float64]:
    """A dome around :data:`PEAK`, metres east and north of the anchor."""
    return np.asarray(height * np.exp(-(((x - PEAK[0]) ** 2 + (y - PEAK[1]) ** 2) / width**2)))


@cache
def ground() -> tuple[Terrain, NDArray[np.float64], NDArray[np.float64]]:
    """Terrain, its old texture and another."""
    terrain = Terrain.flat(800.0, 800.0, 2.0)
    shape = terrain.heights.shape
    terrain = terrain.plus(fractal(shape, 2.0, 4.0, 3.6, longest=600.0, seed=5))
    return terrain, texture(shape, 2.0, seed=6), texture(shape, 2.0, seed=7)


@cache
def look(
    number: int,
    height: float = 12.0,
    *,
    new: bool = True,
    shape: tuple[int, int] = SHAPE,
    centre: tuple[float, float] = PEAK,
) -> Simulation:
    """One look of the ground: three images before the change, three after."""
    terrain, old, fresh = ground()
    x, y = np.meshgrid(terrain.x, terrain.y)
    change = bump(x, y, height)
    rho = replaced(old, fresh, np.clip(np.abs(change) - 0.5, 0, 1)) if new and height else old
    changes = dict.fromkeys(dates(number)) | dict.fromkeys(dates(number, 3), change)
    return simulate(
        terrain,
        changes,
        SENSOR,
        heading=HEADINGS[number],
        shape=shape,
        centre=centre,
        reflectivity=old,
        new_reflectivity=dict.fromkeys(dates(number, 3), rho) if new and height else None,
        radiometry=Radiometry(gain=0.3),
        seed=20 + number,
    )


def stacks(*looks: int, **options: object) -> list[Stack]:
    """Stacks of looks."""
    return [look(k, **options).stack for k in looks]  # type: ignore[arg-type]


def _invert(given: Sequence[Stack], **options: Any) -> None:
    options = {"reference": before(0, 1), "epochs": [after(0, 1)], "names": ["asc", "dsc"]} | options
    mosart.invert(given, **options)


def _without_lonlat(stack: Stack) -> Stack:
    return Stack(stack.dataset.drop_vars(["longitude", "latitude"]))


def _elsewhere(stack: Stack) -> Stack:
    return Stack(stack.dataset.assign(longitude=stack.dataset["longitude"] + 0.5))


def _with(**attrs: str) -> Callable[[Stack], Stack]:
    return lambda stack: Stack(stack.dataset.assign_attrs(attrs))


def _raised(metres: float) -> Callable[[Stack], Stack]:
    return lambda stack: Stack(stack.dataset.assign(height=stack.dataset["height"] + metres))


def _cropped(stack: Stack) -> Stack:
    return stack.crop(pixels=(0, 20, 0, 80))


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        (_without_lonlat, "dsc has no longitude and latitude"),
        (_elsewhere, "the ground of dsc does not overlap that of asc"),
        (_with(dem_date="2017-05-01"), "the DEMs of asc and dsc differ in date"),
        (_with(dem_vertical_datum="EGM2008"), "the DEMs of asc and dsc have different datums"),
        (_raised(28.0), "the DEMs of asc and dsc differ on the ground that both see"),
        (_cropped, "the stack dsc: the image is too small"),
    ],
)
def test_stacks_that_do_not_fit_are_refused(altered: Callable[[Stack], Stack], said: str) -> None:
    one, other = stacks(0, 1)
    with pytest.raises(InputError, match=said):
        _invert([one, altered(other)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "rowwise"}, "rowwise takes one stack"),
        ({"names": ["asc", "asc"]}, "names of the looks cannot be used"),
        ({"names": ["asc"]}, "names of the looks cannot be used"),
        ({"names": ["asc", " "]}, "names of the looks cannot be used"),
        ({"frame": look(0).frame}, "geometry of the looks cannot be used"),
        ({"epochs": None}, "several stacks need epochs"),
        ({"epochs": []}, "there is no epoch"),
        ({"epochs": [["20310101"]]}, "20310101, of which"),
        ({"reference": before(0)}, "the stack dsc has none of the reference dates"),
        ({"epochs": [after(0)]}, "the stack dsc has no image of any epoch"),
        ({"epochs": [after(0, 1) + before(1)]}, "holds all reference dates of the stack dsc"),
        ({"epochs": [after(0, 1), after(0) + after(1)[2:]]}, "two epochs end on"),
        ({"stable": [[True]]}, "stable ground cannot be given for several stacks"),
    ],
)
def test_impossible_requests_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        _invert(stacks(0, 1), **options)


def test_one_stack_in_a_sequence_is_refused_and_so_are_nine() -> None:
    for number in (0, 1, 9):
        with pytest.raises(InputError, match="for several looks"):
            _invert(stacks(0) * number, names=None)


def test_names_and_grid_are_for_several_stacks() -> None:
    with pytest.raises(InputError, match="are for several stacks"):
        mosart.invert(stacks(0)[0], names=["asc"])


def test_dems_a_few_days_apart_and_of_unknown_date_are_taken_as_one(caplog: pytest.LogCaptureFixture) -> None:
    one, other = stacks(0, 1)
    near = START + dt.timedelta(20)
    check_ground(gather([one, _with(dem_date=f"{near:%Y%m%d}")(other)]))
    with caplog.at_level(logging.WARNING):
        check_ground(gather([one, _with(dem_date="unknown", dem_vertical_datum="unknown, as given")(other)]))
    assert "not both known" in caplog.text
    check_ground(gather([one, _raised(1.5)(other)]))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@cache
def _new_rock() -> ElevationChange:
    return mosart.invert(stacks(0, 1), reference=before(0, 1), epochs=[after(0, 1)], names=["asc", "dsc"])


def test_new_rock_is_measured_on_the_grid_of_each_look() -> None:
    change = _new_rock()
    for k, name in enumerate(("asc", "dsc")):
        result = change.on_radar(name)
        truth = look(k).truth["elevation_change"].values[-1]
        estimate = result.dataset["elevation_change"].values[0]
        zone = truth > 1.2
        assert np.isfinite(estimate[zone]).mean() > 0.95
        assert rms((estimate - truth)[zone & np.isfinite(estimate)]) < 0.25 * rms(truth[zone])
    with pytest.raises(mosart.InputError, match="no look 'other'"):
        change.on_radar("other")
