from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import dask
import numpy as np
import pytest

from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis import canvas as canvas_module
from mosart.inversion.synthesis import tiles
from mosart.inversion.synthesis.canvas import Canvas
from mosart.inversion.synthesis.growth import Scale, boxes_beyond
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.inversion.synthesis.tiles import Box, Span, cut, grown_box, plan_tiles
from mosart.inversion.synthesis.working import in_order
from mosart.io.netcdf import write_stack
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])
ENTRY = Entry(AFTER[-1], AFTER, BEFORE)


@pytest.mark.parametrize("length", [40, 300, 1000, 1510, 24505])
def test_the_weights_of_overlapping_parts_add_up_to_one(length):
    spans = cut(length, 384, 71, 48)
    total = np.zeros(length)
    for span in spans:
        total[span.slice] += span.weight
        assert span.start % 48 == 0
        if span.rises is not None:  # what lies at the rim of a part, without its surroundings, does not count
            assert span.weight[:20].max() == 0
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    assert (len(spans) == 1) == (length <= 384 + 2 * 96)


def test_tiles_joined_in_files_are_those_joined_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rng = np.random.default_rng(0)
    shape = (2, 700, 1300)
    answers = [
        (k, box, {"a": rng.normal(size=box.shape), "mask": rng.integers(0, 4, box.shape).astype(np.uint8)})
        for band in plan_tiles(shape[1:], 60, 200)
        for box in band
        for k in range(2)
    ]
    answers[3][2]["a"][:50] = np.nan
    top = grown_box((slice(200, 300), slice(400, 600)), (90, 90), (48, 48), shape[1:])
    found = []
    for kept in (10**9, 0):
        monkeypatch.setattr(canvas_module, "KEPT_BYTES", kept)
        canvas = Canvas(("a",), shape)
        for k, box, images in answers:
            canvas.add(k, box, images)
        canvas.lay(1, top, {"a": np.full(top.shape, 7.0), "mask": np.full(top.shape, 8, np.uint8)})
        found.append([np.asarray(canvas.array(name)) for name in ("a", "mask")])
    assert os.name == "nt" or not list(tmp_path.iterdir())  # so that a kill leaves nothing
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert (found[0][0][1, 200:300, 400:600] == 7.0).all()
    assert (found[0][1][1, 200:300, 400:600] == 8).all()


def test_tiles_on_a_full_disk_are_an_error_and_not_the_end_of_the_process(monkeypatch, small_disk):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk(4_000_000)))
    monkeypatch.setattr(canvas_module, "KEPT_BYTES", 0)
    with pytest.raises(OSError, match="No space left"):
        Canvas(("a",), (2, 700, 1300))


def test_tiles_of_one_number_join_to_that_number():
    canvas = Canvas(("a",), (1, 900, 2500))
    for band in plan_tiles((900, 2500), 60, 200):
        for box in band:
            canvas.add(0, box, {"a": np.full(box.shape, 3.0), "mask": np.full(box.shape, 2, np.uint8)})
    np.testing.assert_allclose(canvas.array("a"), 3.0, rtol=1e-6)
    assert (canvas.array("mask") == 2).all()


def test_results_come_in_order_and_no_more_is_drawn_than_is_needed():
    drawn = []

    def items():
        for k in range(20):
            drawn.append(k)
            yield k

    results = in_order(lambda k: k * k, items(), 3)
    assert next(results) == 0
    assert len(drawn) <= 5
    assert list(results) == [k * k for k in range(1, 20)]


def test_an_error_in_a_part_ends_the_work():
    def fail(k):
        raise ValueError(k)

    with pytest.raises(ValueError, match="0"):
        list(in_order(fail, range(100), 2))


def test_threads_whose_answers_nobody_waits_for_are_gone_at_once():
    ended = []

    def work(k):
        try:
            for _ in range(3000 if k else 1):  # a minute, or no time
                time.sleep(0.02)
        finally:
            ended.append(k)

    before, begin = threading.active_count(), time.perf_counter()
    with closing(in_order(work, range(100), 3)) as results:
        assert next(results) is None
    assert threading.active_count() == before
    assert time.perf_counter() - begin < 10
    assert 0 in ended
    assert len(ended) <= 5  # nothing new was begun


STOPPED = """
import sys
from mosart.cli import main
from mosart.inversion.synthesis import canvas, tiles
tiles.TILE, canvas.KEPT_BYTES = (48, 104), 0
sys.exit(main(["run", "--stack", "stack.nc", "--out", "out", "--workers", "2",
               "--reference", "20190101,20190112", "--epoch", "20190203"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_a_run_that_is_interrupted_between_tiles_ends_soon_and_leaves_nothing(tmp_path):
    simulation = scene(9.0, 55.0, (96, 416))
    write_stack(simulation.stack, tmp_path / "stack.nc")
    scratch, told = tmp_path / "scratch", tmp_path / "told"
    scratch.mkdir()
    with (
        told.open("w") as stream,
        subprocess.Popen(
            [sys.executable, "-c", STOPPED],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(scratch)},
            stderr=stream,
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        while "tiles of" not in told.read_text() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)  # all four take some four seconds on an idle machine
        process.send_signal(signal.SIGINT)
        begin = time.perf_counter()
        process.wait(60)
    assert process.returncode == 130, told.read_text()
    assert time.perf_counter() - begin < 30
    assert "Traceback" not in told.read_text()
    assert not list(scratch.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scratch", "stack.nc", "told"]


def test_a_change_across_tiles_that_was_searched_for_gets_a_box_of_its_own():
    shape = (800, 2000)
    canvas = Canvas(("estimate", "elevation_change_std"), (1, *shape))
    change = np.zeros(shape)
    change[300:500, 900:1100] = 60.0
    change[700:720, 100:120] = 60.0
    whole = Box(Span(0, 800), Span(0, 2000))
    canvas.add(
        0,
        whole,
        {"estimate": change, "elevation_change_std": np.ones(shape), "mask": np.zeros(shape, np.uint8)},
    )
    boxes = [box for band in plan_tiles(shape, 50, 400) for box in band]
    hit = [box for box in boxes if change[box.slices][200:600].any()]
    scale = Scale(2.3, (4.0, 2.9), (50, 96))
    found = boxes_beyond(canvas, 0, hit, boxes, scale)
    assert len(found) == 1
    rows, pixels = found[0].slices
    assert rows.start <= 300 - 30
    assert rows.stop >= 500 + 30
    assert pixels.start <= 900 - 41
    assert pixels.stop >= 1100 + 41
    assert (
        found[0].weight[300 - rows.start : 500 - rows.start, 900 - pixels.start : 1100 - pixels.start].min()
        == 1
    )
    assert boxes_beyond(canvas, 0, [], boxes, scale) == []


def scene(size, radius, shape):
    length, width = shape[0] * 4.0 + 200, shape[1] * 2.95 + 200
    terrain = Terrain.flat(width, length, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    r = np.hypot(x, y)
    height = 150 + 40 * np.exp(-((r / 200) ** 2)) - 15 * np.exp(-((r / 70) ** 2))
    height = height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=0)
    change = size * np.exp(-((np.hypot(x - 30, y + 20) / radius) ** 4))
    return simulate(
        terrain.plus(height),
        {d: change if d in AFTER else None for d in DATES},
        SENSOR,
        shape=shape,
        reflectivity=texture(terrain.heights.shape, 1.5, seed=1),
        radiometry=Radiometry(gain=0.4),
        seed=0,
    )


def run(simulation, workers=2):
    done = []
    options = Options(frame=simulation.frame, progress=lambda *now: done.append(now))
    with dask.config.set(num_workers=workers):
        result = invert_synthesis(simulation.stack, BEFORE, (ENTRY,), options).dataset.isel(date=0).load()
    return result, done


@pytest.fixture(scope="module")
def dome():
    simulation = scene(9.0, 55.0, (96, 416))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", (10**4, 10**4))
        whole, told = run(simulation)
        assert not told
        patch.setattr(tiles, "TILE", (108, 208))
        tiled, told = run(simulation)
        again, _ = run(simulation, workers=1)
    return simulation, whole, tiled, again, told


def test_the_tiled_result_is_the_whole_one_to_a_fraction_of_its_error(dome):
    simulation, whole, tiled, _, told = dome
    assert told[-1][0] == told[-1][1] == 3  # a sample and two tiles
    difference = tiled["elevation_change"] - whole["elevation_change"]
    # still ground that one of them frees a little has the larger error there
    std = np.fmax(whole["elevation_change_std"], tiled["elevation_change_std"])
    z = (difference / std).values
    good = np.isfinite(z)
    assert good.mean() > 0.9
    truth = simulation.truth["elevation_change"].values[-1]
    for where in (good & (truth > 0.8), good & (truth <= 0.8)):
        assert np.sqrt(np.mean(z[where] ** 2)) < 1 / 3
    ratio = (tiled["elevation_change_std"] / whole["elevation_change_std"]).values[good]
    assert 0.7 < np.median(ratio) < 1.4  # each learns envelope and noise from what it sees
    error = (tiled["elevation_change"].values - truth)[good & (truth > 0.8)]
    assert np.sqrt(np.mean(error**2)) < 0.3 * np.sqrt(np.mean(truth[truth > 0.8] ** 2))


def test_the_number_of_threads_changes_no_bit(dome):
    _, _, tiled, again, _ = dome
    for name in ("elevation_change", "elevation_change_std", "mask", "row_gain"):
        np.testing.assert_array_equal(tiled[name].values, again[name].values)


def test_a_change_larger_than_a_tile_is_solved_in_one(monkeypatch):
    simulation = scene(40.0, 90.0, (144, 288))
    whole, _ = run(simulation)
    monkeypatch.setattr(tiles, "TILE", (144, 96))
    monkeypatch.setattr(tiles, "HALO_PIXELS", 48)
    laid = []
    monkeypatch.setattr(Canvas, "lay", record(Canvas.lay, laid))
    result, _ = run(simulation)
    assert [box.shape for box in laid] == [(144, 288)]  # with its surroundings it is the whole image
    truth = simulation.truth["elevation_change"].values[-1]
    zone = ~simulation.truth["hidden"].values.any(axis=0) & (truth > 4.0)
    error, best = (np.sqrt(np.mean((r["estimate"].values - truth)[zone] ** 2)) for r in (result, whole))
    assert error < 1.2 * best + 0.2


def record(lay, laid):
    def recorded(canvas, entry, box, images):
        laid.append(box)
        lay(canvas, entry, box, images)

    return recorded
