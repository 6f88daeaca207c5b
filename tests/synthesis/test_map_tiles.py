"""Several looks on a map that is cut into tiles, against the map in one and against truth."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import dask
import numpy as np
import pytest
from numpy.typing import NDArray

from mosart import ElevationChange, Flag
from mosart.inversion.gather import NamedStack, gather, plan_together
from mosart.inversion.samedem import common_grid
from mosart.inversion.synthesis import beyond, joint, mapped, maptiles, sheets, together, wholemap
from mosart.inversion.synthesis.answering import select
from mosart.inversion.synthesis.beyond import changes_beyond
from mosart.inversion.synthesis.joint import solve_jointly
from mosart.inversion.synthesis.maptiles import MapPlan, laid_box, plan_map
from mosart.inversion.synthesis.mosaic import Mosaic
from mosart.inversion.synthesis.onmap import positions
from mosart.inversion.synthesis.several import invert_several
from mosart.inversion.synthesis.tiles import Box, Span, cut
from mosart.inversion.synthesis.tilework import Job
from mosart.inversion.synthesis.wholemap import TileData, learn_whole, read_levels, read_tile
from mosart.simulate import Radiometry, Sensor, Simulation, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture
from mosart.stack import Stack

SENSOR = Sensor("stripmap", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "1.8 m × 4 m")
START = dt.date(2020, 1, 1)
HEADINGS = (348.0, 192.0)
PEAK, HEIGHT = (10.0, 0.0), 12.0


def dates(look: int, first: int = 0) -> list[dt.date]:
    """Two images of a look, a day later than those of the look before."""
    return [START + dt.timedelta(11 * (first + k) + look) for k in range(2)]


@cache
def look(number: int, shape: tuple[int, int], centre: tuple[float, float] = (0.0, 0.0)) -> Simulation:
    """Two images before a dome of new rock, two after."""
    terrain = Terrain.flat(1000.0, 800.0, 2.0)
    size = terrain.heights.shape
    x, y = np.meshgrid(terrain.x, terrain.y)
    terrain = terrain.plus(fractal(size, 2.0, 4.0, 3.6, longest=600.0, seed=5))
    old, fresh = texture(size, 2.0, seed=6), texture(size, 2.0, seed=7)
    change = HEIGHT * np.exp(-(((x - PEAK[0]) ** 2 + (y - PEAK[1]) ** 2) / 70.0**2))
    rho = replaced(old, fresh, np.clip(np.abs(change) - 0.5, 0, 1))
    return simulate(
        terrain,
        dict.fromkeys(dates(number)) | dict.fromkeys(dates(number, 2), change),
        SENSOR,
        heading=HEADINGS[number],
        shape=shape,
        centre=centre,
        reflectivity=old,
        new_reflectivity=dict.fromkeys(dates(number, 2), rho),
        radiometry=Radiometry(gain=0.3),
        seed=20 + number,
    )


def gathered(*simulations: Simulation) -> tuple[NamedStack, ...]:
    """Name the looks."""
    return gather([s.stack for s in simulations], ["asc", "dsc"], [s.frame for s in simulations])


def with_tiles(patch: pytest.MonkeyPatch, nodes: int, halo: int) -> None:
    """Cut maps into smaller tiles."""
    patch.setattr(maptiles, "TILE_NODES", nodes)
    patch.setattr(maptiles, "HALO_NODES", halo)
    patch.setattr(beyond, "HALO_NODES", halo)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> tuple[NamedStack, ...]:
    """One look that is long in range and one that is long in azimuth: an L, on small tiles."""
    with_tiles(monkeypatch, 8, 2)
    monkeypatch.setattr(maptiles, "ALIGNED_NODES", 2)
    return gathered(look(0, (48, 200), (100.0, -150.0)), look(1, (150, 60), (-120.0, 60.0)))


def test_tiles_share_all_that_is_seen_and_leave_out_what_is_not(wide: tuple[NamedStack, ...]) -> None:
    plan = plan_map(wide)
    spans = [cut(size, 8, 2, maptiles.ALIGNED_NODES) for size in plan.nodes.shape]
    assert 1 < len(plan.tiles) < len(spans[0]) * len(spans[1])  # the corner that no look sees has no tile
    for k, one in enumerate(wide):
        lon, lat = (one.stack.dataset[name].values for name in ("longitude", "latitude"))
        east, north = plan.frame.metres(lon, lat)
        total = np.zeros(east.shape)
        for box in plan.tiles:
            weight = plan.weight(box, east, north)
            total += weight
            rows, pixels = plan.crop(k, box)
            assert rows.start % maptiles.CROP_ALIGNED[0] == pixels.start % maptiles.CROP_ALIGNED[1] == 0
            cropped = np.zeros(east.shape, bool)
            cropped[rows, pixels] = True
            assert cropped[plan.inside(box, east, north)].all() or k not in plan.shown(box)
            assert plan.inside(box, east, north)[weight > 0].all()
        np.testing.assert_allclose(total, 1.0, atol=1e-9)
    assert {tuple(plan.shown(box)) for box in plan.tiles} >= {(0,), (1,), (0, 1)}
    again = plan_map(wide[::-1])
    assert [tile.slices for tile in again.tiles] == [tile.slices for tile in plan.tiles]
    assert again.nodes == plan.nodes


def test_the_window_of_a_box_holds_every_cell_that_it_has_a_say_in(wide: tuple[NamedStack, ...]) -> None:
    plan = plan_map(wide)
    grid = common_grid([one.stack for one in wide])
    east, north = plan.frame.metres(*positions(grid))
    for box in plan.tiles:
        place = plan.window(box, grid)
        assert place is not None
        beside = plan.weight(box, east, north) * _on_image(plan, east, north)
        beside[place] = 0.0
        assert beside.max() == 0.0


def _on_image(plan: maptiles.MapPlan, east: NDArray[Any], north: NDArray[Any]) -> NDArray[np.bool_]:
    (y, x), (dy, dx) = plan.nodes.origin, plan.nodes.spacing
    height, width = plan.nodes.shape
    return (north > y - dy) & (north < y + dy * height) & (east > x - dx) & (east < x + dx * width)


@pytest.mark.parametrize("filed", [False, True])
def test_parts_of_an_image_that_are_joined_are_the_image(filed: bool) -> None:
    rng = np.random.default_rng(1)
    shape = (30, 50)
    whole, flags = rng.normal(size=shape), rng.integers(0, 4, shape).astype(np.uint8)
    whole[3:6, 20:30] = np.nan
    boxes = [Box(y, x) for y in cut(30, 10, 4, 2) for x in cut(50, 16, 4, 2)]
    joined = Mosaic({"a": (), "many": (2,)}, shape, ("mask",), filed=filed)
    dropped = boxes[0]  # a tile in which no look shows anything
    for box in boxes:
        part = whole[box.slices]
        here = np.where(box is dropped, np.nan, part)
        joined.add(
            box.slices,
            box.weight,
            {"a": here, "many": np.stack([here, 2 * here])},
            {"mask": flags[box.slices]},
        )
    joined.finish()
    a, many, mask = (np.asarray(joined.read(name)) for name in ("a", "many", "mask"))
    alone = np.zeros(shape, bool)
    alone[dropped.slices] = dropped.weight >= 1
    lost = alone | np.isnan(whole)
    np.testing.assert_array_equal(np.isnan(a), lost)
    np.testing.assert_allclose(a[~lost], whole[~lost], rtol=1e-5)
    np.testing.assert_allclose(many[1][~lost], 2 * whole[~lost], rtol=1e-5)
    np.testing.assert_array_equal(mask, flags)
    other = np.full((10, 10), 7.0)
    weight = Box(Span(0, 10, (0.0, 4.0)), Span(0, 10)).weight
    place = (slice(10, 20), slice(30, 40))
    joined.lay(place, weight, {"a": other, "many": np.stack([other, other])}, {"mask": 0 * flags[place]})
    laid = np.asarray(joined.read("a"))[place]
    np.testing.assert_allclose(laid, weight * 7 + (1 - weight) * whole[place], rtol=1e-5)
    untouched = np.ones(shape, bool)
    untouched[place] = False
    np.testing.assert_array_equal(np.asarray(joined.read("a"))[untouched], a[untouched])


def test_where_no_tile_lies_there_is_no_data() -> None:
    empty = Mosaic({"a": ()}, (4, 4), ("mask",))
    empty.finish()
    assert (empty.read("mask") == int(Flag.NODATA)).all()
    assert np.isnan(empty.read("a")).all()


def test_draws_of_two_tiles_that_give_way_to_each_other_vary_as_each() -> None:
    rng = np.random.default_rng(2)
    spans = cut(64, 16, 16, 2)
    drawn = Mosaic({"d": (400,)}, (8, 64), errors=True)
    for span in spans:
        box = Box(Span(0, 8), span)
        drawn.add(box.slices, box.weight, {"d": rng.normal(size=(400, *box.shape))})
    drawn.finish()
    np.testing.assert_allclose(np.std(drawn.read("d"), axis=0).mean(axis=0), 1.0, atol=0.06)


def test_a_change_that_a_tile_cuts_gets_a_box_unless_all_that_have_a_say_hold_it() -> None:
    shape = (200, 200)
    tiles = [Box(y, x) for y in cut(200, 72, 12, 4) for x in cut(200, 72, 12, 4)]
    assert len(tiles) > 1
    change, std = np.zeros(shape), np.ones(shape)
    change[30:33, 30:33] = 8.0  # inside one tile with all that surrounds it
    assert changes_beyond(change, std, tiles, 24.0, 2.3) == []
    change[60:80, 94:104] = 40.0  # across seams
    change[150:152, 10:12] = 8.0
    (box,) = changes_beyond(change, std, tiles, 24.0, 2.3)
    assert box.rows.start <= 60 - 12
    assert box.rows.stop >= 80 + 12
    first = box.rows.start, box.pixels.start
    inner = box.weight[60 - first[0] : 80 - first[0], 94 - first[1] : 104 - first[1]]
    assert inner.min() == 1
    assert box.weight[0].max() == box.weight[-1].max() == 0
    assert changes_beyond(change, 50 * std, tiles, 24.0, 2.3) == []  # no more than its error
    assert laid_box((slice(0, 9), slice(100, 109)), 12, 12, shape).weight[0].max() == 1  # the map's own edge


def test_levels_are_read_all_over_the_map_and_from_more_of_it_where_that_is_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_tiles(monkeypatch, 16, 4)
    looks = gathered(look(0, (72, 200)), look(1, (80, 130), (-90.0, 0.0)))
    reference, entries = plan_together(looks, dates(0) + dates(1), [dates(0, 2) + dates(1, 2)])
    stacks = [select(one, k, entries) for k, one in enumerate(looks)]
    plan = plan_map(looks)
    whole = learn_whole(
        looks, stacks, plan, reference=reference, entries=entries, threads=1, told=lambda _: None
    )
    levels = whole.levels[entries[0].entry.date]
    assert all(0 < level.std < 0.01 for level in levels.values())
    data = stacks[1].dataset
    stacks[1] = Stack(data.assign(amplitude=data["amplitude"] * np.float32(2.0)))
    read: list[Box] = []

    def recorded(plan: MapPlan, looks: Any, stacks: Any, box: Box) -> TileData:
        read.append(box)
        return read_tile(plan, looks, stacks, box)

    monkeypatch.setattr(wholemap, "read_tile", recorded)
    monkeypatch.setattr(wholemap, "LEVEL_PARTS", 1)
    monkeypatch.setattr(wholemap, "FEWEST_COMMON", 10**9)  # never enough: all that two looks see is read
    compared = tuple((k, entries[0].looks[k].reference) for k in (0, 1))
    again = read_levels(looks, stacks, plan, known=whole.known, compared=compared, threads=1)
    change = again[1].value - again[0].value - (levels[1].value - levels[0].value)
    assert change == pytest.approx(np.log(4.0), abs=0.01)
    assert len(read) == len([box for box in plan.tiles if len(plan.shown(box)) > 1]) > 1


@pytest.fixture(scope="module")
def solved() -> Iterator[tuple[Simulation, ElevationChange, ElevationChange, list[tuple[int, int]]]]:
    """New rock across seams, a gap in the first look, and a second look that sees the left part alone."""
    simulations = look(0, (72, 200)), look(1, (80, 130), (-90.0, 0.0))
    looks = list(gathered(*simulations))
    data = looks[0].stack.dataset
    amplitude = data["amplitude"].values.copy()
    amplitude[2:, 10:24, 60:90] = np.nan
    gap = Stack(data.assign(amplitude=(data["amplitude"].dims, amplitude)))
    looks[0] = NamedStack("asc", gap, looks[0].frame)
    before = dates(0) + dates(1)
    reference, entries = plan_together(looks, before, [before, dates(0, 2) + dates(1, 2)])
    grid = common_grid([one.stack for one in looks])
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        # what is compared is the same method on the whole and on parts of it: few steps will do
        patch.setattr(together, "solve_jointly", partial(solve_jointly, cycles=1))
        for name, few in (("RANGES", (12.0,)), ("FINE_STEPS", 4), ("RANGE_STEPS", 3)):
            patch.setattr(joint, name, few)
        # tiles leave out ground beyond an image, which tells a little where a map is solved in one
        of_a_tile = partial(mapped._made_up, cut=True)
        patch.setattr(mapped, "_made_up", lambda known, **_: of_a_tile(known))
        whole = invert_several(looks, reference, entries, grid)
        with_tiles(patch, 8, 8)
        patch.setattr(sheets, "KEPT_BYTES", 0)
        with dask.config.set(num_workers=1):
            tiled = invert_several(looks, reference, entries, grid, progress=lambda *now: told.append(now))
        yield simulations[0], whole, tiled, told


def test_the_map_by_tiles_is_the_map_in_one_to_a_fraction_of_its_error(
    solved: tuple[Simulation, ElevationChange, ElevationChange, list[tuple[int, int]]],
) -> None:
    simulation, whole, tiled, told = solved
    assert told[-1][0] == told[-1][1] >= 4  # samples of two looks and two tiles or more
    for grid in (None, "asc", "dsc"):
        one, cut_up = (
            (change if grid is None else change.on_radar(grid)).dataset.load() for change in (whole, tiled)
        )
        nought = [data["elevation_change"].values[0] for data in (one, cut_up)]  # the reference itself
        assert np.mean(np.isfinite(nought[0]) == np.isfinite(nought[1])) > 0.97
        assert np.nanmax(np.abs(nought[1])) == 0
        one, cut_up = (data.isel(date=1) for data in (one, cut_up))
        assert list(cut_up.variables) == list(one.variables)
        assert {n: v.dtype for n, v in cut_up.variables.items()} == {
            n: v.dtype for n, v in one.variables.items()
        }
        std = np.fmax(one["elevation_change_std"], cut_up["elevation_change_std"])
        z = ((cut_up["elevation_change"] - one["elevation_change"]) / std).values
        good = np.isfinite(z)
        # where new rock that one look sees begins is a threshold
        assert good.sum() > 0.95 * np.isfinite(one["elevation_change"].values).sum()
        assert np.mean(cut_up["mask"].values == one["mask"].values) > 0.95
        moved = good & (np.abs(one["estimate"].values) > 0.8)
        for where in (moved, good & ~moved):
            assert where.sum() > 500
            assert np.sqrt(np.mean(z[where] ** 2)) < 1 / 3
    assert np.mean(tiled.dataset["looks"].values == whole.dataset["looks"].values) > 0.98
    both = [d.dataset["look_level"].values[:, 1] for d in (whole, tiled)]
    assert both[1] == pytest.approx(both[0], abs=0.01)
    assert np.isfinite(tiled.dataset["error_draws"].values).all()
    first = tiled.on_radar("asc").dataset
    assert np.isfinite(first["row_gain"].values[1]).all()
    truth = np.asarray(simulation.truth["elevation_change"].values[-1])
    error = first["estimate"].values[1] - truth
    seen_by_both = truth > 0.2 * HEIGHT
    assert np.sqrt(np.mean(error[seen_by_both] ** 2)) < 0.35 * np.sqrt(np.mean(truth[seen_by_both] ** 2))


def test_an_inversion_by_tiles_that_is_interrupted_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch, wide: tuple[NamedStack, ...]
) -> None:
    reference, entries = plan_together(wide, dates(0) + dates(1), [dates(0, 2) + dates(1, 2)])
    begun, calls = threading.Event(), [0]

    def solve(_job: Job, _data: object, _number: int) -> None:
        begun.set()
        while True:  # stopped between two statements
            threading.Event().wait(0.01)

    def read(_job: Job, _box: Box) -> None:
        calls[0] += 1
        if calls[0] > 1:
            assert begun.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr(Job, "solve", solve)
    monkeypatch.setattr(Job, "read", read)
    monkeypatch.setattr("mosart.inversion.synthesis.bytiles.learn_whole", lambda *_, **__: _Nothing())
    grid = common_grid([one.stack for one in wide])
    with dask.config.set(num_workers=2):
        plan_map(wide)  # dask's own threads are there
        before = threading.active_count()
        with pytest.raises(KeyboardInterrupt):
            invert_several(wide, reference, entries, grid)
    assert calls == [2]
    assert threading.active_count() <= before


class _Nothing:
    known: tuple[object, ...] = ()
