"""What a user is told to judge a result by, and what the method does with odd images."""

from __future__ import annotations

import datetime as dt
import gc
import logging
import weakref

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from mosart.despeckle import nlm
from mosart.errors import InputError
from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.inversion.synthesis.noise import effective_looks
from mosart.inversion.synthesis.part import part_reference, read_part, solve_part
from mosart.inversion.synthesis.reflectivity import choose_kernel
from mosart.inversion.synthesis.told import (
    DATED,
    LEAST_STABLE,
    STILL,
    Told,
    contradicted_text,
    ground_told,
    pooled,
    single_text,
    stable_text,
    told_text,
)
from mosart.masks import Flag, withheld
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture
from mosart.stack import Stack

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])
ENTRY = Entry(AFTER[-1], AFTER, BEFORE)


def scene(size, radius=55.0, *, look="right", heading=349.0, seed=0):
    """A hill with a crater in which a dome of some size and radius rises; mirrored for the left look."""
    terrain = Terrain.flat(950.0, 950.0, 1.5)
    r = np.hypot(terrain.x[None, :], terrain.y[:, None])
    height = 150 + 40 * np.exp(-((r / 200) ** 2)) - 15 * np.exp(-((r / 70) ** 2))
    height = height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=seed)
    rock, change = texture(terrain.heights.shape, 1.5, seed=seed + 1), size * np.exp(-((r / radius) ** 4))
    if look == "left":
        height, rock, change = height[:, ::-1], rock[:, ::-1], change[:, ::-1]
    return simulate(
        terrain.plus(height),
        {d: change if d in AFTER and size else None for d in DATES},
        SENSOR,
        shape=(72, 200),
        look_direction=look,
        heading=heading,
        reflectivity=rock,
        radiometry=Radiometry(gain=0.4),
        seed=seed,
    )


def run(simulation, stack=None, reference=BEFORE, entry=ENTRY):
    stack = simulation.stack if stack is None else stack
    return invert_synthesis(stack, reference, (entry,), Options(frame=simulation.frame)).dataset.isel(date=-1)


def with_amplitude(simulation, amplitude):
    data = simulation.stack.dataset.copy(deep=True)
    data["amplitude"] = (data["amplitude"].dims, np.asarray(amplitude, dtype=np.float32))
    return Stack(data)


def zone_errors(simulation, result):
    """Truth, error over standard error and error, in the changed ground that is seen; and still ground's."""
    truth = simulation.truth["elevation_change"].values[-1].astype(float)
    seen = ~simulation.truth["hidden"].values.any(axis=0)
    seen[:, :8] = seen[:, -8:] = False
    error = result["elevation_change"].values - truth
    seen &= np.isfinite(error)
    z = error / result["elevation_change_std"].values
    zone, still = seen & (np.abs(truth) > 0.1 * np.abs(truth).max()), seen & (np.abs(truth) < 0.09)
    return truth[zone], error[zone], z[zone], z[still]


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture(scope="module")
def dome():
    simulation = scene(9.0)
    return simulation, run(simulation)


def test_the_numbers_to_judge_by_are_those_of_the_simulation(dome):
    simulation, result = dome
    for name, attrs in DATED.items():
        assert np.isfinite(result[name].values), name
        assert result[name].attrs["units"] == attrs["units"]
    # one-look speckle, not correlated between pixels
    assert float(result["looks_pixel"]) == pytest.approx(1.0, abs=0.2)
    assert float(result["looks_pixel_reference"]) == pytest.approx(1.0, abs=0.2)
    # three dates on blocks of four rows and some pixels
    assert 20 < float(result["looks_block"]) < 3 * 32 * 1.2
    truth = simulation.truth["elevation_change"].values[-1]
    moved = np.mean(np.abs(truth) > STILL * SENSOR.range_spacing / np.cos(np.deg2rad(38.0)))
    assert 1 - 4 * moved < float(result["stable_share"]) < 1 - 0.5 * moved
    # a uniform change cannot be told from a shift in range: a tenth of a pixel's height at most
    assert 0.02 < float(result["range_offset_std"]) <= 0.1 * SENSOR.range_spacing / np.cos(np.deg2rad(38.0))


def test_where_the_change_leaves_no_still_ground_it_is_said_what_follows(caplog, dome):
    assert float(dome[1]["stable_share"]) > LEAST_STABLE
    simulation = scene(9.0, radius=260.0)
    with caplog.at_level(logging.WARNING):
        result = run(simulation)
    truth = simulation.truth["elevation_change"].values[-1]
    assert np.mean(np.abs(truth) < 1.1) < 0.1
    assert float(result["stable_share"]) < LEAST_STABLE
    assert "of the visible ground is still" in caplog.text
    assert "an offset of the whole scene cannot be seen" in caplog.text


def told(**more):
    numbers = dict.fromkeys(Told.__dataclass_fields__, 1.0)
    return Told(**numbers | more)


def test_the_share_of_still_ground_is_counted_on_what_is_seen_and_told():
    envelope = np.array([[0.1, 0.1, 5.0, 0.1, np.nan, 0.1]])
    offset = np.array([[0.0, 0.0, 0.3, 0.4, 9.0, 9.0]])
    seen = np.array([[True, True, True, True, True, False]])
    resolved = np.array([[True, True, True, False, True, True]])
    size, ground, still = ground_told(envelope, 2.0, offset, seen, resolved)
    assert (ground, still) == (4.0, 2.0)
    assert size == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 2))
    assert np.isnan(ground_told(envelope, 2.0, offset, ~seen & False, resolved)[0])
    one, other = told(ground=100.0, still=10.0), told(ground=300.0, still=60.0, looks_pixel=2.0)
    both = pooled([one, other])
    assert both.stable_share == pytest.approx(70 / 400)
    assert both.looks_pixel == pytest.approx(1.75)
    assert "18%" in stable_text(both)
    assert stable_text(told(ground=100.0, still=21.0)) == ""
    nothing = told(ground=0.0, still=0.0, last_step=2.0, looks_pixel_reference=float("nan"))
    assert np.isnan(nothing.stable_share)
    assert pooled([one, nothing]).last_step == 2.0
    assert np.isnan(pooled([nothing]).looks_pixel_reference)


def test_a_search_on_single_images_is_warned_of():
    searched = told(ground=1.0, searched_share=0.5)
    assert "average two images" in single_text(searched, 1, 3)
    assert single_text(searched, 3, 1)
    assert single_text(searched, 2, 2) == ""
    assert single_text(told(ground=1.0, searched_share=0.0), 1, 1) == ""
    assert pooled([searched, told(ground=1.0, searched_share=0.0)]).searched_share == 0.25


def test_a_dem_that_the_reference_contradicts_is_warned_of_once_for_all_parts():
    wrong = told(ground=100.0, dem_height_noise=0.4, dem_testable_share=0.6, dem_contradicted_share=0.02)
    unknown = float("nan")
    right = told(ground=300.0, dem_height_noise=unknown, dem_testable_share=0.2, dem_contradicted_share=0.0)
    both = pooled([wrong, right])
    assert both.dem_contradicted_share == pytest.approx(0.005)
    assert both.dem_testable_share == pytest.approx(0.3)
    assert both.dem_height_noise == pytest.approx(0.4)  # of the part that tells it
    assert "0.5%" in contradicted_text(both)
    assert "0.4 m" in told_text(both)
    assert contradicted_text(right) == ""
    assert contradicted_text(told(ground=1.0, dem_contradicted_share=unknown)) == ""


@pytest.mark.parametrize("kind", ["nlm", "boxcar"])
def test_despeckled_images_are_solved_with_the_looks_that_they_have(kind, dome):
    simulation, raw = dome
    images = simulation.stack.dataset["amplitude"].values
    if kind == "nlm":
        filtered = [nlm(image) for image in images]
    else:
        filtered = [np.sqrt(uniform_filter(image.astype(float) ** 2, 3)) for image in images]
    result = run(simulation, with_amplitude(simulation, filtered))
    # what is measured on a block says that it is smoother, not by as much as its pixels look
    assert float(result["looks_pixel"]) > 1.2 * float(raw["looks_pixel"])
    assert float(result["looks_pixel"]) < 4.0  # of the 9 that a single pixel shows
    truth, error, z, still = zone_errors(simulation, result)
    assert rms(error) < 0.33 * rms(truth)
    assert np.mean(np.abs(z) < 1.645) > 0.75
    assert np.mean(np.abs(z) > 4) < 0.01
    assert np.mean(np.abs(still) < 3) > 0.98


def test_a_mirrored_scene_seen_from_the_left_gives_the_same():
    right, left = scene(9.0, heading=0.0), scene(9.0, look="left", heading=0.0)
    # the same ground, though not the same speckle
    height = [s.stack.dataset["height"].values for s in (right, left)]
    np.testing.assert_allclose(height[0], height[1], atol=0.5)
    assert left.frame.look_direction == "left"
    found = [run(s) for s in (right, left)]
    for simulation, result in zip((right, left), found, strict=True):
        truth, error, z, still = zone_errors(simulation, result)
        assert rms(error) < 0.33 * rms(truth)
        assert np.mean(np.abs(z) < 1.645) > 0.75
        assert np.mean(np.abs(still) < 3) > 0.98
    change, std = ([r[name].values for r in found] for name in ("elevation_change", "elevation_change_std"))
    assert np.nanmean(np.abs(change[0] - change[1]) < 3 * np.hypot(*std)) > 0.98


def test_one_date_against_one_has_wider_bars_that_hold(dome):
    simulation, several = dome
    entry = Entry(AFTER[0], AFTER[:1], BEFORE[:1])
    result = run(simulation, reference=BEFORE[:1], entry=entry)
    assert np.isnan(float(result["looks_pixel_reference"]))  # a single image does not tell its looks
    assert 0.5 < float(result["looks_pixel"]) < 1.3  # the pair does
    truth, error, z, still = zone_errors(simulation, result)
    assert rms(error) < 0.5 * rms(truth)
    assert np.mean(np.abs(z) < 1.645) > 0.75
    assert np.mean(np.abs(still) < 3) > 0.98
    std = [np.nanmedian(r["elevation_change_std"].values) for r in (result, several)]
    assert std[0] > std[1]


def test_a_single_row_is_refused_by_name(dome):
    simulation, _ = dome
    with pytest.raises(InputError, match=r"too small for the method synthesis") as refused:
        run(simulation, Stack(simulation.stack.dataset.isel(azimuth=slice(30, 31))))
    assert "--method rowwise" in str(refused.value)


def blank(simulation, *dates, rows=slice(None)):
    amplitude = simulation.stack.dataset["amplitude"].values.copy()
    for date in dates:
        amplitude[DATES.index(date), rows] = np.nan
    return with_amplitude(simulation, amplitude)


@pytest.mark.parametrize("lost", [AFTER[1], BEFORE[0]])
def test_a_date_without_any_value_is_left_out(lost, dome, caplog):
    simulation, whole = dome
    result = run(simulation, blank(simulation, lost))
    assert f"{lost:%Y%m%d}: the image shows nothing" in caplog.text
    # as if it had not been named
    images, reference = (tuple(d for d in dates if d != lost) for dates in (AFTER, BEFORE))
    without = run(simulation, reference=reference, entry=Entry(AFTER[-1], images, reference))
    np.testing.assert_array_equal(result["elevation_change"].values, without["elevation_change"].values)
    block = "looks_block" if lost in AFTER else "looks_block_reference"
    assert float(result[block]) < float(whole[block]) * (1.0 if lost in AFTER else 2.0)
    assert not (result["mask"].values & Flag.NODATA).any()


@pytest.mark.parametrize("lost", [AFTER, BEFORE])
def test_an_epoch_or_a_reference_without_any_value_gives_no_number(lost, dome, caplog):
    simulation, _ = dome
    result = run(simulation, blank(simulation, *lost))
    assert not np.isfinite(result["elevation_change"].values).any()
    assert not np.isfinite(result["elevation_change_std"].values).any()
    assert (result["mask"].values & Flag.NODATA).all()
    assert "no change is given" in caplog.text
    assert np.isnan(float(result["stable_share"]))


def test_what_the_epoch_alone_does_not_show_has_no_number(dome):
    simulation, _ = dome
    gap = slice(20, 32)
    result = run(simulation, blank(simulation, *AFTER, rows=gap))
    assert (result["mask"].values[gap] & Flag.NODATA).all()
    assert np.isnan(result["elevation_change"].values[gap]).all()
    kept = np.delete(np.arange(72), np.arange(72)[gap])
    assert not (result["mask"].values[kept] & Flag.NODATA).any()
    assert np.isfinite(result["elevation_change"].values[kept]).mean() > 0.9
    assert (withheld(result["mask"].values) == np.isnan(result["elevation_change"].values)).all()


def test_water_of_any_date_of_an_entry_is_not_ground_and_does_not_concern_the_others(dome, monkeypatch):
    simulation, _ = dome
    data = simulation.stack.dataset.copy(deep=True)
    mask = np.zeros(data["amplitude"].shape, np.uint8)
    mask[4, 10:40, 40:80] = np.uint8(Flag.WATER)  # a lagoon on one date of the second entry
    data["mask"] = (data["amplitude"].dims, mask)
    part = read_part(Stack(data), slice(0, 72), slice(0, 200), simulation.frame)
    dry = Entry(AFTER[0], AFTER[:1], BEFORE)
    entries = (dry, Entry(AFTER[1], AFTER[1:2], BEFORE), Entry(AFTER[2], AFTER[2:], BEFORE))
    learned = []

    def learn(*given):
        found = part_reference(*given)
        learned.append((np.asarray(found.scene.doubt), weakref.ref(found)))
        return found

    monkeypatch.setattr("mosart.inversion.synthesis.part.part_reference", learn)
    first, wet, _ = solve_part(part, entries)
    assert len(learned) == 2  # that of the dry entries once
    gc.collect()
    assert all(held() is None for _, held in learned)  # answers of many entries hold none
    assert learned[1][0].sum() > learned[0][0].sum() + 500
    assert (wet.images["mask"][10:40, 40:80] & Flag.WATER).all()
    alone = solve_part(part, (dry,))[0]
    np.testing.assert_array_equal(first.images["estimate"], alone.images["estimate"])


def test_a_date_of_which_half_is_missing_does_not_count_as_dark():
    rng = np.random.default_rng(0)
    images = [rng.gamma(1.0, size=(60, 120)) for _ in range(3)]
    images[1][:, 60:] = np.nan
    # nothing but speckle on uniform ground: the widest kernel predicts best, gaps or not
    assert choose_kernel(images, np.ones((60, 120))) == choose_kernel(images[::2], np.ones((60, 120)))
    sums = [rng.gamma(8.0, size=(30, 40)) for _ in range(2)]
    assert effective_looks([*sums, np.full((30, 40), np.nan)]) == effective_looks(sums)
