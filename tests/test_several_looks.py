"""Several looks of one ground: what is refused, and one map of them against simulated truth."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.affinity
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

import mosart
from mosart import Areas, ElevationChange, Flag, InputError
from mosart.areas.area import Area
from mosart.geocoding import MapGrid
from mosart.inversion import Entry, check_ground, common_grid, gather
from mosart.inversion.gather import joint_entry
from mosart.inversion.synthesis import onmap, several
from mosart.inversion.synthesis.directions import count_directions, line_of_sight
from mosart.inversion.synthesis.levels import common_levels
from mosart.inversion.synthesis.together import growth_std
from mosart.masks import withheld
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
        radiometry=Radiometry(gain=0.3, looks=1.0 if new else 30.0),  # kept rock is for where things lie
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


NAMES = ("asc", "dsc", "across")


def _solve(numbers: Sequence[int], epochs: Sequence[Sequence[dt.date]], **options: Any) -> ElevationChange:
    return mosart.invert(
        stacks(*numbers, **options),
        reference=before(*numbers),
        epochs=epochs,
        names=[NAMES[k] for k in numbers],
    )


@cache
def _new_rock() -> ElevationChange:
    """Two opposite looks of new rock: one of them alone, both, and the reference itself."""
    alone, both = dates(0, 3)[:2], [*after(1), dates(0, 3)[2]]
    return _solve((0, 1), [before(0, 1), alone, both])


@cache
def _kept_rock() -> ElevationChange:
    """Three looks of kept texture: one with a gap, one across that holds a part only."""
    one, other = stacks(0, 1, new=False)
    gap = np.zeros(one.shape, np.uint8)
    gap[3:, 30:42, 60:90] = int(Flag.NODATA)
    amplitude = np.where(gap, np.nan, one.dataset["amplitude"].values).astype(np.float32)
    data = one.dataset.assign(
        mask=(one.dataset["mask"].dims, gap), amplitude=(one.dataset["mask"].dims, amplitude)
    )
    across = look(2, new=False, shape=(60, 70), centre=(PEAK[0] - 100.0, PEAK[1])).stack
    return mosart.invert(
        [Stack(data), other, across],
        reference=before(0, 1, 2),
        epochs=[after(0, 1, 2)],
        names=NAMES,
    )


def _grid_of(change: ElevationChange) -> MapGrid:
    x, y = (change.dataset[name].values for name in ("x", "y"))
    size = float(x[1] - x[0])
    crs = change.dataset["spatial_ref"].attrs["crs_wkt"]
    return MapGrid(crs, Affine(size, 0, x[0] - size / 2, 0, -size, y[0] + size / 2), x.size, y.size)


def _truth_on_map(change: ElevationChange, **options: Any) -> NDArray[np.float64]:
    """Truth of the last date on the cells, from the first look's; NaN where that look hides it."""
    simulation = look(0, **options)
    data = simulation.stack.dataset[["longitude", "latitude"]]
    truth = np.where(simulation.truth["hidden"][-1], np.nan, simulation.truth["elevation_change"][-1])
    plane = data.assign(truth=(("azimuth", "range"), truth))
    mapped = mosart.geocode(plane, _grid_of(change), variables=["truth"])
    return np.asarray(mapped["truth"].values, np.float64)


@pytest.mark.parametrize("number", [0, 1])
def test_new_rock_is_measured_on_the_grid_of_each_look(number: int) -> None:
    result = _new_rock().on_radar(NAMES[number])
    truth = look(number).truth["elevation_change"].values[-1]
    estimate = result.dataset["elevation_change"].values[-1]
    zone = truth > 1.2
    assert np.isfinite(estimate[zone]).mean() > 0.95
    zone &= np.isfinite(estimate)
    assert rms((estimate - truth)[zone]) < 0.25 * rms(truth[zone])
    std = result.dataset["elevation_change_std"].values[-1][zone]
    assert np.mean(np.abs(estimate - truth)[zone] < 1.645 * std) > 0.7


def test_a_look_shows_what_it_measured_and_what_the_joint_answer_makes_of_it() -> None:
    data = _new_rock().on_radar("dsc").dataset
    one = mosart.inversion.synthesis.onlook.FIELDS
    assert {*one, "elevation_change", "mask", "row_gain", "height", "longitude", "latitude"} <= set(data)
    assert data["elevation_change"].dims == ("date", "azimuth", "range")
    assert data.attrs["look"] == "dsc"
    measured, modelled = data["measured_amplitude"].values[-1], data["modelled_amplitude"].values[-1]
    assert np.nanmedian(measured / modelled) == pytest.approx(1.0, abs=0.05)
    assert 0.6 < np.nanstd(data["residual"].values[-1]) < 1.5
    intensity = np.mean(look(1).stack.dataset["amplitude"].values[3:].astype(float) ** 2, axis=0)
    blocks = intensity[:, :144].reshape(20, 4, 18, 8).mean(axis=(1, 3))
    assert np.corrcoef(np.sqrt(blocks).ravel(), measured[::4, :144:8].ravel())[0, 1] > 0.98
    # it has no image of the epoch of the other look alone
    assert np.isnan(data["measured_amplitude"].values[1]).all()
    surface = data["elevation"].values[-1] - data["height"].values
    slant = data["elevation_change_slant"].values[-1]
    np.testing.assert_allclose(surface[np.isfinite(slant)], slant[np.isfinite(slant)], atol=1e-3)


def test_the_bump_lies_where_it_is_on_the_map() -> None:
    change = _kept_rock()
    data = change.dataset
    assert change.is_map
    assert data["elevation_change"].dims == ("date", "y", "x")
    estimate, truth = data["estimate"].values[-1], _truth_on_map(change, new=False)
    both = np.isfinite(estimate) & np.isfinite(truth)
    middles = []
    for field in (estimate, truth):
        weight = np.where(both, np.clip(field - 4.0, 0, None), 0.0)
        rows, columns = np.indices(weight.shape)
        middles.append([(weight * axis).sum() / weight.sum() for axis in (rows, columns)])
    size = float(data["x"][1] - data["x"][0])
    assert np.hypot(*np.subtract(*middles)) * size < 5.0  # a fifth of a node
    assert rms((estimate - truth)[both & (truth > 1.2)]) < 0.1 * rms(truth[both & (truth > 1.2)])
    for name in NAMES[:2]:  # and cell by cell where the look's pixels lie
        radar = change.on_radar(name).dataset
        mapped = mosart.geocode(radar, _grid_of(change), variables=["estimate"])["estimate"].values[-1]
        known = np.isfinite(mapped) & np.isfinite(estimate)
        assert known.sum() > 5000
        assert rms((mapped - estimate)[known]) < 0.02


def test_cells_lie_where_the_geocoding_puts_them() -> None:
    stack = stacks(0)[0]
    grid = common_grid([stack])
    plane = stack.dataset[["longitude", "latitude"]].assign(
        east=stack.dataset["longitude"], north=stack.dataset["latitude"]
    )
    mapped = mosart.geocode(plane, grid, variables=["east", "north"])
    cells = onmap.positions(grid)
    for name, mine in zip(("east", "north"), cells):
        known = np.isfinite(mapped[name].values)
        cell = np.ptp(mine) / mine.shape[0]
        assert np.abs(mapped[name].values - mine)[known].max() < 0.02 * cell


def test_a_map_of_several_looks_is_like_that_of_one() -> None:
    change = _new_rock()
    data = change.dataset
    assert data["looks"].dtype == np.uint8
    assert list(data["looks"].attrs["flag_masks"]) == [1, 2]
    assert data["looks"].attrs["flag_meanings"] == "asc dsc"
    assert list(data["look"].values) == ["asc", "dsc"]
    for name in ("elevation_change", "elevation_change_std", "mask", "looks", "new_reflectivity", "height"):
        assert data[name].attrs["grid_mapping"] == "spatial_ref"
    assert data.rio.crs.to_epsg() == 32600 + int(str(data.rio.crs.to_epsg())[-2:])
    hidden = withheld(data["mask"].values)
    np.testing.assert_array_equal(np.isnan(data["elevation_change"].values), hidden)
    assert not hidden[0][data["looks"].values[0] != 0].any()
    assert (data["elevation_change"].values[0][~hidden[0]] == 0).all()
    assert (data["mask"].values[data["looks"].values == 0] & int(Flag.NODATA)).all()
    assert {1, 2, 3} <= set(np.unique(data["looks"].values[-1]))


def test_new_rock_that_one_look_alone_sees_is_withheld() -> None:
    change = _new_rock()
    data, truth = change.dataset, _truth_on_map(change)
    zone = truth > 2.0
    assert np.mean(data["mask"].values[1][zone] & int(Flag.UNRESOLVED) != 0) > 0.9
    assert np.mean(data["mask"].values[2][zone] & int(Flag.UNRESOLVED) != 0) < 0.05
    radar = change.on_radar("dsc").dataset  # which has no image of that epoch
    zone = look(1).truth["elevation_change"].values[-1] > 2.0
    assert np.mean(radar["mask"].values[1][zone] & int(Flag.UNRESOLVED) != 0) > 0.9


def test_volume_and_series_of_a_map() -> None:
    change = _new_rock()
    terrain, _, _ = ground()
    lon, lat = terrain.to_lonlat(np.array([PEAK[0]]), np.array([PEAK[1]]))
    area = shapely.Point(float(lon[0]), float(lat[0])).buffer(0.0016)  # about 180 m north, 100 m east
    round_ground = shapely.affinity.scale(area, 1 / np.cos(np.radians(float(lat[0]))))
    areas = Areas((Area("dome", "polygon", (round_ground,)),))
    table = change.volume(areas)
    truth = _truth_on_map(change)
    cell = float(change.dataset["x"][1] - change.dataset["x"][0]) ** 2
    inside = np.where(areas.masks(change.dataset, ["dome"])["dome"], truth, np.nan)
    expected = np.nansum(inside) * cell
    last = table.iloc[-1]
    assert last["net_m3"] == pytest.approx(expected, rel=0.15)
    assert abs(last["net_m3"] - expected) < 3 * last["net_std_m3"]
    assert table.iloc[0]["net_m3"] == 0
    series = change.time_series(areas)
    assert series.iloc[-1]["elevation_change_m"] == pytest.approx(np.nanmean(inside), rel=0.15)
    assert series.iloc[-1]["elevation_change_std_m"] > 0


def test_the_order_of_the_stacks_does_not_matter() -> None:
    options = {"reference": before(0, 1), "epochs": [[*after(1), dates(0, 3)[2]]]}
    other = mosart.invert(stacks(1, 0), names=["dsc", "asc"], **options).dataset
    mine = _new_rock().dataset.isel(date=[-1])
    for name in ("estimate", "elevation_change_std", "mask"):
        np.testing.assert_array_equal(other[name].values, mine[name].values)
    np.testing.assert_array_equal(other["look_level"].values[::-1], mine["look_level"].values)


def test_levels_between_the_looks_are_told() -> None:
    data = _new_rock().dataset
    assert np.isnan(data["look_level"].values[:, 0]).all()
    level, std = data["look_level"].values[:, 2], data["look_level_std"].values[:, 2]
    assert level.sum() == pytest.approx(0, abs=1e-9)
    assert (std > 0).all()
    assert (std < 0.05).all()
    fresh = data["new_reflectivity"].values[:, 2]
    zone = (_truth_on_map(_new_rock()) > 4.0) & np.isfinite(fresh).all(axis=0)
    assert zone.sum() > 200
    assert np.corrcoef(fresh[0][zone], fresh[1][zone])[0, 1] > 0.4


def test_kept_rock_of_three_looks_one_with_a_gap_one_of_a_part() -> None:
    change = _kept_rock()
    data, truth = change.dataset, _truth_on_map(change, new=False)
    estimate, bits = data["elevation_change"].values[0], data["looks"].values[0]
    zone = np.isfinite(truth) & (truth > 1.2) & np.isfinite(estimate)
    assert np.isfinite(estimate[np.isfinite(truth) & (truth > 1.2)]).mean() > 0.95
    assert rms((estimate - truth)[zone]) < 0.2 * rms(truth[zone])
    assert {1, 2, 3, 6, 7} <= set(np.unique(bits))
    gap = change.on_radar("asc").dataset
    flagged = gap["mask"].values[0] & int(Flag.NODATA) != 0
    assert flagged[32:40, 62:88].all()
    assert np.isnan(gap["elevation_change"].values[0][32:40, 62:88]).all()
    assert not flagged[:20].any()
    # the others fill it on the map
    seen = bits & 1 == 0
    assert np.isfinite(estimate[seen & (truth > 1.2)]).mean() > 0.9
    part = change.on_radar("across").dataset
    assert part["elevation_change"].shape == (1, 60, 70)
    wanted = (
        look(2, new=False, shape=(60, 70), centre=(PEAK[0] - 100.0, PEAK[1]))
        .truth["elevation_change"][-1]
        .values
    )
    mine = part["elevation_change"].values[0]
    known = np.isfinite(mine)
    assert known.mean() > 0.95
    assert rms((mine - wanted)[known]) < 0.2 * rms(wanted[known]) + 0.5


def test_what_one_look_hides_the_other_shows() -> None:
    """A steep hill that did not change: layover and shadow of each look, and a gap in the DEM of one."""
    terrain, old, _ = ground()
    x, y = np.meshgrid(terrain.x, terrain.y)
    hill = terrain.plus(bump(x, y, 75.0, 45.0))
    simulations = [
        simulate(
            hill,
            dict.fromkeys([*dates(k), *dates(k, 3)]),
            SENSOR,
            heading=HEADINGS[k],
            shape=SHAPE,
            centre=PEAK,
            reflectivity=old,
            radiometry=Radiometry(gain=0.3),
            seed=30 + k,
        )
        for k in (0, 1)
    ]
    gap = np.zeros(SHAPE, bool)
    gap[5:15, 20:40] = True
    told = [  # as a DEM raster tells it: a coded DEM does not hold the folds
        s.stack.dataset.assign(
            mask=(
                s.stack.dataset["mask"].dims,
                np.where(s.truth["hidden"].values, np.uint8(Flag.LAYOVER), np.uint8(0)),
            )
        )
        for s in simulations
    ]
    data = told[1]
    names = ("height", "longitude", "latitude")
    with_gap = Stack(data.assign({n: data[n].where(~xr.DataArray(gap, dims=data[n].dims)) for n in names}))
    change = mosart.invert(
        [Stack(told[0]), with_gap], reference=before(0, 1), epochs=[after(0, 1)], names=NAMES[:2]
    )
    result = change.dataset
    bits, value = result["looks"].values[0], result["elevation_change"].values[0]
    assert min((bits == 1).sum(), (bits == 2).sum()) > 500
    assert (bits == 3).sum() > 5000
    for k in (0, 1):  # where a look hides ground by the truth, it does not claim to see it
        own = simulations[k].stack.dataset[["longitude", "latitude"]]
        hides = xr.DataArray(
            simulations[k].truth["hidden"].values[-1].astype(np.uint8), dims=("azimuth", "range")
        )
        hidden = mosart.geocode(own.assign(hides=hides), _grid_of(change))["hides"].values == 1
        assert hidden.sum() > 200
        assert np.mean(bits[hidden] >> k & 1) < 0.15
        other = hidden & (bits >> (1 - k) & 1 == 1)
        assert other.sum() > 100
        assert np.isfinite(value[other]).mean() > 0.6
    std = result["elevation_change_std"].values[0]
    seen = np.isfinite(value)
    assert seen[bits > 0].mean() > 0.9
    assert np.mean(np.abs(value[seen]) < 3 * std[seen]) > 0.97
    assert rms(value[seen]) < 1.0
    assert np.isnan(change.on_radar("dsc").dataset["elevation_change"].values[0][gap]).all()


def test_the_reference_itself_is_hidden_where_its_ground_is() -> None:
    """Shadow by the DEM; the layover that a coded DEM does not hold by its light."""
    terrain, old, _ = ground()
    hill = terrain.plus(bump(*np.meshgrid(terrain.x, terrain.y), 75.0, 45.0))
    both = [
        simulate(
            hill,
            dict.fromkeys(dates(k)),
            SENSOR,
            heading=HEADINGS[k],
            shape=SHAPE,
            centre=PEAK,
            reflectivity=old,
            seed=30 + k,
        )
        for k in (0, 1)
    ]
    change = mosart.invert(
        [one.stack for one in both], reference=before(0, 1), epochs=[before(0, 1)], names=NAMES[:2]
    )
    for name, one in zip(NAMES, both):
        data = change.on_radar(name).dataset
        flagged = data["mask"].values[0] & (Flag.LAYOVER | Flag.SHADOW) != 0
        hidden = one.truth["hidden"].values[0]
        amplitude = one.stack.dataset["amplitude"].values.mean(axis=0)
        shadow = hidden & (amplitude < 0.2 * np.median(amplitude))
        assert shadow.sum() > 50
        assert flagged[shadow].mean() > 0.8
        assert flagged[hidden].mean() > 0.6
        assert hidden[flagged].mean() > 0.8  # the ends of layover are known to a pixel or two
        assert (data["elevation_change"].values[0][~flagged] == 0).all()


def _blank(stack: Stack, which: slice) -> Stack:
    amplitude = stack.dataset["amplitude"].copy()
    amplitude[which] = np.nan
    return Stack(stack.dataset.assign(amplitude=amplitude))


def test_images_that_show_nothing_give_no_data_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The epoch in one look, the reference in the other: nothing is left to be compared."""
    one, other = stacks(0, 1)
    given = [_blank(one, slice(3, None)), _blank(other, slice(0, 3))]
    with caplog.at_level(logging.WARNING):
        change = mosart.invert(given, reference=before(0, 1), epochs=[after(0, 1)], names=NAMES[:2])
    assert "no change is given" in caplog.text
    for data in (change.dataset, change.on_radar("asc").dataset, change.on_radar("dsc").dataset):
        assert (data["mask"].values & int(Flag.NODATA) != 0).all()
        assert np.isnan(data["elevation_change"].values).all()
    assert (change.dataset["looks"].values == 0).all()


def test_a_look_whose_reference_shows_nothing_leaves_the_answer_to_the_other() -> None:
    one, other = stacks(0, 1, new=False)
    change = mosart.invert(
        [one, _blank(other, slice(0, 3))], reference=before(0, 1), epochs=[after(0, 1)], names=NAMES[:2]
    )
    assert set(np.unique(change.dataset["looks"].values)) == {0, 1}
    assert np.isfinite(change.on_radar("asc").dataset["elevation_change"].values).mean() > 0.5
    assert (change.on_radar("dsc").dataset["mask"].values & int(Flag.NODATA) != 0).all()


def test_levels_of_three_looks_of_which_one_shares_ground_with_one_only() -> None:
    rng = np.random.default_rng(1)
    ground = rng.normal(size=1000)
    logs = ground + np.array([[0.3], [-0.2], [1.0], [5.0]]) + 0.05 * rng.normal(size=(4, 1000))
    logs[0, 600:] = logs[2, :500] = np.nan
    logs[3, 50:] = np.nan  # too little to tell
    levels, stds = common_levels(logs)
    expected = np.array([0.3, -0.2, 1.0]) - np.mean([0.3, -0.2, 1.0])
    np.testing.assert_allclose(levels[:3], expected, atol=0.015)
    assert (np.abs(levels[:3] - expected) < 4 * stds[:3]).all()
    assert (stds[:3] < 0.01).all()
    assert np.isnan(stds[3])


def test_growth_between_the_looks_is_in_the_error() -> None:
    day = dt.date(2020, 3, 1)
    first = Entry(day, (day,), (day - dt.timedelta(40),))
    later = Entry(day, (day + dt.timedelta(4),), (day - dt.timedelta(37),))
    # epochs 4 days apart, references 3: 5 days of the 40.5 between the means
    np.testing.assert_allclose(growth_std(np.array([-81.0, 0.0]), [first, later]), [10.0, 0.0])
    assert growth_std(np.array([50.0]), [first, first]) == 0.0
    assert growth_std(np.array([50.0]), [first]) == 0.0
    data = _new_rock().dataset
    effect, std = (data[name].values[-1] for name in ("growth_effect", "elevation_change_std"))
    seen = np.isfinite(std)
    assert (std >= effect)[seen].all()


def test_looks_from_one_side_count_once() -> None:
    def sight(azimuth: float, incidence: float) -> NDArray[np.float64]:
        a, i = np.radians([azimuth, incidence])
        return np.array([np.sin(i) * np.sin(a), np.sin(i) * np.cos(a), -np.cos(i)])

    counts = count_directions([sight(78, 38), sight(79, 39), sight(282, 38), sight(80, 49)])
    assert list(counts[[0, 1, 2, 3]]) == [0, 1, 1, 1]
    assert counts[0b0101] == 2
    assert counts[0b1001] == 2
    assert counts[0b1111] == 3
    east, north = np.meshgrid(np.linspace(0, 500, 40), np.zeros(30))
    np.testing.assert_allclose(line_of_sight(east, north, np.radians(30)), [0.5, 0, -np.sqrt(0.75)])


def test_water_of_one_look_is_water_and_layover_of_one_is_not() -> None:
    one = np.array([[Flag.WATER, Flag.LAYOVER, Flag.LAYOVER, 0, Flag.CLIPPED, Flag.NODATA]], np.uint8)
    other = np.array([[0, 0, Flag.NODATA, Flag.SHADOW, 0, Flag.NODATA]], np.uint8)
    mask, seen, outside = onmap.join_masks([one, other], [0, 1])
    assert list(mask[0]) == [Flag.WATER, 0, Flag.LAYOVER | Flag.NODATA, 0, Flag.CLIPPED, Flag.NODATA]
    assert list(seen[0]) == [2, 2, 0, 1, 3, 0]
    assert list(outside[0]) == [False] * 5 + [True]


def test_no_threads_of_linear_algebra_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    # another process that does the same would make both five times as slow
    threads: list[int] = []

    def answer(*given: Any, **options: Any) -> None:
        threads.extend(library["num_threads"] for library in threadpool_info())
        raise InterruptedError

    monkeypatch.setattr(several, "answer", answer)
    with threadpool_limits(limits=2), pytest.raises(InterruptedError):
        _solve((0, 1), [after(0, 1)])
    assert threads
    assert set(threads) == {1}


def test_an_entry_is_shared_out_to_the_looks_that_have_its_dates() -> None:
    looks = gather(stacks(0, 1), NAMES[:2])
    reference = tuple(sorted(before(0, 1)))
    epoch = tuple(after(0))
    one = joint_entry(Entry(epoch[-1], epoch, reference), looks, reference)
    assert one.looks[0] == Entry(epoch[-1], epoch, tuple(before(0)))
    assert one.looks[1] == Entry(epoch[-1], (), tuple(before(1)))
    assert not one.is_zero


def test_drawn_errors_are_as_large_as_the_standard_error_says() -> None:
    data = _new_rock().dataset
    draws = data["error_draws"]
    assert draws.dims == ("draw", "draw_y", "draw_x", "date")
    assert (draws.values[..., 0] == 0).all()
    cells = {"y": data["draw_y"], "x": data["draw_x"]}
    std = data["elevation_change_std"].isel(date=-1).sel(cells, method="nearest").values
    growth = data["growth_effect"].isel(date=-1).sel(cells, method="nearest").values
    drawn = np.sqrt(np.mean(draws.values[..., -1] ** 2, axis=0))
    seen = np.isfinite(std)
    ratio = drawn[seen] / np.sqrt(std[seen] ** 2 - growth[seen] ** 2)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)
