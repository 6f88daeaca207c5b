"""The row-wise methods: the right place, weights, gaps, masks, entries, tiles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import mosart
from mosart import lsquares
from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.geometry import flag_visibility
from mosart.inversion import METHODS
from mosart.masks import Flag, withheld
from mosart.simulate import NOISELESS, Terrain, collapse, simulate
from mosart.simulate.relief import bump
from mosart.stack import Stack

BEFORE, AFTER = dt.date(2020, 1, 1), dt.date(2020, 2, 1)


def invert_rows(stack: Stack, method: str = "rowwise-intensity", **options: Any) -> ElevationChange:
    return mosart.invert(stack, method, **options)


def relative(change: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Error in parts of the change, rms."""
    assert np.isfinite(change[where]).all()
    return float(np.sqrt(np.mean((change - truth)[where] ** 2) / np.mean(truth[where] ** 2)))


@pytest.mark.parametrize("look", ["right", "left"])
@pytest.mark.parametrize("heading", [0.0, 80.0, 190.0, 305.0])
def test_the_right_place(look: str, heading: float) -> None:
    # Constant gamma nought, no noise, a smooth change of 20 m on the flank of a hill of 60 m.
    terrain = Terrain.flat(1100, 1100, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    terrain = terrain.plus(bump(x, y, 60, 130, centre=(30, -20)))
    rise = bump(x, y, 20, 55, centre=(-30, 20))
    simulation = simulate(
        terrain,
        {BEFORE: None, AFTER: np.where(rise < 0.02, 0.0, rise)},
        "terrasar-x",
        look_direction=look,
        heading=heading,
        shape=(100, 420),
        radiometry=NOISELESS,
    )
    stack = flag_visibility(simulation.stack, simulation.frame)
    truth = simulation.truth["elevation_change"].values[1]
    hidden = simulation.truth["hidden"].values[1]
    changed = (truth > 0.2) & ~hidden

    def invert(weights: Any) -> Any:
        return invert_rows(stack, frame=simulation.frame, despeckle="none", weights=weights).dataset

    known = invert(np.where(truth > 0.02, 0.0, 1.0))
    assert relative(known["elevation_change"].values[1], truth, changed) < 0.03
    assert relative(invert("robust")["elevation_change"].values[1], truth, changed) < 0.10
    assert relative(invert("unit")["elevation_change"].values[1], truth, changed) > 0.6
    # At the fixed slant-range pixel what rose is displaced towards the radar.
    slant = known["elevation_change_slant"].values[1]
    assert relative(slant, truth, changed) > 0.10
    pixels = np.arange(truth.shape[1])
    middle = truth.sum(axis=1).argmax()
    shift = (slant[middle] * pixels).sum() / slant[middle].sum() - (truth[middle] * pixels).sum() / truth[
        middle
    ].sum()
    # Pixel by pixel the shift is -d cos(theta) / spacing; over a bump its mean is weighted by d.
    cosine = np.cos(simulation.frame.theta[0])
    expected = -np.average(truth[middle], weights=truth[middle]) * cosine / simulation.frame.range_spacing
    assert shift == pytest.approx(expected, rel=0.15)


def test_displacement_of_a_plateau(scene: Callable[..., Any]) -> None:
    made = scene(rise=12.0)
    changed = made.truth > 0.1
    result = invert_rows(
        made.stack, frame=made.frame, despeckle="none", weights=np.tile(1.0 * ~changed, (12, 1))
    ).dataset
    ground = result["elevation_change"].values[1, 0]
    slant = result["elevation_change_slant"].values[1, 0]
    np.testing.assert_allclose(ground, made.truth, atol=0.02)
    np.testing.assert_allclose(slant, made.slant, atol=0.02)
    # The ground at pixel i has risen by d and is seen d cos(theta) nearer.
    pixels = np.arange(made.truth.size)
    moved = pixels - made.truth * np.cos(made.frame.theta) / made.frame.range_spacing
    height = made.stack.dataset["height"].values[0]
    seen = np.interp(moved, pixels, height + slant)
    np.testing.assert_allclose(seen[5:], (height + made.truth)[5:], atol=0.1)


def test_unit_weights_bend_the_fit(scene: Callable[..., Any]) -> None:
    made = scene()
    changed = np.tile(made.truth > 0.2, (12, 1))
    truth = np.tile(made.truth, (12, 1))
    for method in METHODS:
        if not method.startswith("rowwise"):
            continue
        unit = invert_rows(made.stack, method, frame=made.frame, despeckle="none").dataset
        assert 0.6 < relative(unit["elevation_change"].values[1], truth, changed) < 1.1


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_robust_weights_leave_out_what_changed(scene: Callable[..., Any], share: float) -> None:
    made = scene(columns=int(190 / share))
    result = invert_rows(made.stack, frame=made.frame, despeckle="none", weights="robust").dataset
    changed = np.tile(made.truth > 0.2, (12, 1))
    assert relative(result["elevation_change"].values[1], np.tile(made.truth, (12, 1)), changed) < 0.10
    weights = result["weights"].values
    assert (weights[0] == 1.0).all()  # the reference against itself: nothing to leave out
    assert weights[1][np.tile(made.truth > 5.0, (12, 1))].max() < 0.1


def test_stable_weights(scene: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    made = scene()
    stable = np.tile(made.truth < 0.01, (12, 1))
    stable[3] = False
    with caplog.at_level("WARNING", logger="mosart"):
        result = invert_rows(
            made.stack,
            frame=made.frame,
            despeckle="none",
            weights="stable",
            stable=stable,
            stable_name="plain",
        ).dataset
    assert "1 of 12 rows" in caplog.text
    assert "plain" in result.attrs["stable_area"]
    change = result["elevation_change"].values[1]
    assert np.isnan(change[3]).all()
    assert (result["mask"].values[1, 3] == Flag.UNRESOLVED).all()
    rest = np.delete(change, 3, axis=0)
    np.testing.assert_allclose(rest, np.tile(made.truth, (11, 1)), atol=0.05)
    assert result["elevation_change_std"].values[1] < 0.02
    np.testing.assert_array_equal(result["stable"].values, stable)
    with pytest.raises(InputError, match="stable"):
        invert_rows(made.stack, frame=made.frame, weights="stable")


def test_rowwise_is_the_original_row_fit(scene: Callable[..., Any]) -> None:
    made = scene()
    result = invert_rows(made.stack, "rowwise", frame=made.frame, despeckle="none").dataset
    data = made.stack.dataset
    surfaces = [
        lsquares.getabc_reg(image, data["height"].values, data["height"].values)[0]
        for image in data["amplitude"].values
    ]
    np.testing.assert_allclose(result["elevation"].values, surfaces, atol=2e-5)  # kept in float32
    np.testing.assert_allclose(
        result["elevation_change_slant"].values[1], surfaces[1] - surfaces[0], atol=2e-5
    )


def test_gap_stays_in_its_row_and_does_not_grow(scene: Callable[..., Any]) -> None:
    made = scene()
    weights = np.tile(1.0 * (made.truth < 0.01), (12, 1))

    def invert(stack: Stack) -> Any:
        return invert_rows(stack, frame=made.frame, despeckle="none", weights=weights).dataset

    whole = invert(made.stack)
    data = made.stack.dataset.copy(deep=True)
    data["amplitude"][1, 4, 350:360] = np.nan  # where nothing moves
    data["amplitude"][0, 6, :] = np.nan
    data["height"][8, 20] = np.nan
    gappy = invert(Stack(data))
    for name in ("elevation_change", "elevation_change_slant"):
        values = gappy[name].values[1]
        rows = [r for r in range(12) if r not in (4, 6, 8)]
        np.testing.assert_array_equal(values[rows], whole[name].values[1][rows])
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values[4])), np.arange(350, 360))
        assert np.isnan(values[6]).all()
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values[8])), [20])
        # Bridging the gap keeps the rest of its row right, to what the bridge can know.
        assert np.nanmax(np.abs(values[4] - whole[name].values[1][4])) < 0.5
    mask = gappy["mask"].values[1]
    assert (mask[4, 350:360] & Flag.NODATA).all()
    assert (mask[6] & Flag.NODATA).all()


@pytest.mark.parametrize("flag", list(Flag))
def test_products_are_nan_where_a_bit_is_set(scene: Callable[..., Any], flag: Flag) -> None:
    made = scene()
    data = made.stack.dataset.copy(deep=True)
    data["mask"][1, 2:4, 380:390] = int(flag)
    result = invert_rows(Stack(data), frame=made.frame, despeckle="none", weights="robust").dataset
    mask = result["mask"].values
    assert (mask[1, 2:4, 380:390] & flag).all()
    for name in ("elevation_change", "elevation_change_slant"):
        np.testing.assert_array_equal(np.isnan(result[name].values), withheld(mask))
    if flag == Flag.CLIPPED:
        assert np.isfinite(result["elevation_change"].values[1, 2:4, 380:390]).all()
    assert np.isfinite(result["elevation"].values[1, 2:4, 300:340]).all()


def test_water_counts_as_flat_ground(scene: Callable[..., Any], stack_of: Callable[..., Stack]) -> None:
    # Dark water drags the original's surface down; with the echo of flat ground in its place it is flat.
    made = scene(gains=(60.0,))
    data = made.stack.dataset
    height = data["height"].values.copy()
    amplitude = data["amplitude"].values.astype(float).copy()
    flat = np.median(amplitude[0, :, 450:480])
    height[:, 400:] = height[:, [400]]
    amplitude[..., 400:] = flat
    dark = amplitude.copy()
    dark[..., 440:] = 0.1 * flat
    mask = np.zeros(dark.shape, np.uint8)
    mask[..., 440:] = Flag.WATER
    dry = invert_rows(stack_of(amplitude, height), "rowwise", frame=made.frame, despeckle="none").dataset
    wet = invert_rows(stack_of(dark, height, mask), "rowwise", frame=made.frame, despeckle="none").dataset
    np.testing.assert_allclose(wet["elevation"].values, dry["elevation"].values, atol=1e-3)
    assert np.isnan(wet["elevation_change"].values[..., 440:]).all()


def test_entries_and_references(scene: Callable[..., Any]) -> None:
    made = scene(rows=3, gains=(60.0, 62.0, 58.0, 61.0))
    invert = {"frame": made.frame, "despeckle": "none"}
    zero = invert_rows(made.stack, **invert)
    assert isinstance(zero, ElevationChange)
    assert zero.reference_dates == (dt.date(2020, 1, 1),)  # the earliest
    assert zero.dates == made.stack.dates
    assert (zero.dataset["elevation_change"].values[0] == 0.0).all()
    assert zero.dataset["elevation_change_std"].values[0] == 0.0

    # One of several reference dates is compared with the mean of the others.
    several = invert_rows(made.stack, reference=["20200101", "20200201", "20200301"], **invert).dataset
    others = invert_rows(made.stack, reference=["20200101", "20200301"], **invert).dataset
    np.testing.assert_array_equal(
        several["elevation_change"].sel(date="2020-02-01").values,
        others["elevation_change"].sel(date="2020-02-01").values,
    )
    # An epoch is the mean of intensities, dated by its last date.
    epochs = invert_rows(
        made.stack, reference="20200101", epochs=[["20200401", "20200201"], ["20200301"]], **invert
    ).dataset
    assert list(epochs["averaged_dates"].values) == ["20200301", "20200201,20200401"]
    assert [str(d)[:10] for d in epochs["date"].values] == ["2020-03-01", "2020-04-01"]
    data = made.stack.dataset.isel(date=[0, 3]).copy(deep=True)
    images = made.stack.dataset["amplitude"].values.astype(float)
    data["amplitude"][1] = np.sqrt((images[1] ** 2 + images[3] ** 2) / 2)
    mean = invert_rows(Stack(data), **invert).dataset
    np.testing.assert_allclose(
        epochs["elevation_change"].values[1], mean["elevation_change"].values[1], atol=1e-3
    )
    # One more date does not move the others.
    fewer = invert_rows(made.stack.select(made.stack.dates[:3]), **invert).dataset
    np.testing.assert_array_equal(
        fewer["elevation_change"].values, zero.dataset["elevation_change"].values[:3]
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "nothing"}, "method"),
        ({"reference": "20300101"}, "20300101"),
        ({"reference": "2020-01-01"}, "2020-01-01"),
        ({"reference": []}, "reference"),
        ({"epochs": []}, "epoch"),
        ({"epochs": [["20200201"], ["20200101", "20200201"]]}, "two epochs end on 20200201"),
        ({"epochs": [["20200101", "20200201"]]}, "all of the reference"),
        ({"despeckle": "lee"}, "despeckling"),
        ({"weights": "heavy"}, "weights"),
        ({"weights": np.ones((2, 2))}, "weights"),
        ({"weights": -np.ones((12, 500))}, "weights"),
        ({"stable": np.zeros((12, 500), bool)}, "stable"),
        ({"stable": np.ones((2, 2), bool)}, "stable"),
    ],
)
def test_what_cannot_be_is_refused(scene: Callable[..., Any], options: dict[str, Any], match: str) -> None:
    made = scene()
    with pytest.raises(InputError, match=match):
        invert_rows(made.stack, frame=made.frame, **options)


def test_without_geometry_only_slant(scene: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    made = scene()
    with caplog.at_level("WARNING", logger="mosart"):
        result = invert_rows(made.stack, despeckle="none").dataset
    assert "slant" in caplog.text
    assert "elevation_change" not in result
    known = invert_rows(made.stack, frame=made.frame, despeckle="none").dataset
    np.testing.assert_array_equal(
        result["elevation_change_slant"].values, known["elevation_change_slant"].values
    )


def test_one_row_and_one_date(scene: Callable[..., Any]) -> None:
    made = scene(rows=1)
    stable = (made.truth < 0.01)[None]
    row = invert_rows(made.stack, frame=made.frame, despeckle="nlm", weights="stable", stable=stable).dataset
    assert row["elevation_change"].shape == (2, 1, 500)
    one = invert_rows(made.stack.select([BEFORE]), frame=made.frame).dataset
    assert one["elevation_change"].shape == (1, 1, 500)
    assert (one["elevation_change"].values == 0.0).all()


@pytest.mark.parametrize("method", ["rowwise", "rowwise-intensity"])
@pytest.mark.parametrize("weights", ["unit", "robust"])
def test_tiles_equal_the_whole(method: str, weights: str) -> None:
    simulation = collapse(shape=(45, 120), before=2, after=1)
    data = flag_visibility(simulation.stack, simulation.frame).dataset.copy(deep=True)
    data["amplitude"].values[1, 20:23, 50:60] = np.nan
    stack = Stack(data)

    def invert(rows: int) -> Any:
        return invert_rows(
            stack, method, frame=simulation.frame, despeckle="nlm", weights=weights, tile_rows=rows
        ).dataset

    whole = invert(45)
    for rows in (1, 13, 32) if weights == "unit" else (13,):
        tiled = invert(rows)
        for name in ("elevation_change", "elevation_change_slant", "elevation", "elevation_change_std"):
            np.testing.assert_allclose(tiled[name].values, whole[name].values, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(tiled["mask"].values, whole["mask"].values)


@pytest.mark.parametrize("method", ["rowwise", "rowwise-intensity", "regularised"])
def test_an_entry_is_the_same_bit_by_bit_whatever_other_entries_there_are(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosart.inversion.rowwise.FILTER_PIXELS", 17 * 130)
    stack = collapse(shape=(50, 130), before=2, after=2).stack
    names = [f"{date:%Y%m%d}" for date in stack.dates]
    weights = "unit" if method == "regularised" else "robust"
    everything = mosart.invert(stack, method, names[:2], weights=weights).dataset
    for k in (0, 3):
        alone = mosart.invert(stack, method, names[:2], [[names[k]]], weights=weights, tile_rows=7).dataset
        xr.testing.assert_identical(everything.isel(date=[k]).compute(), alone.compute())


def test_large_results_stay_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = collapse(shape=(200, 150), before=2, after=1)
    kept = invert_rows(simulation.stack, frame=simulation.frame)
    monkeypatch.setattr("mosart.inversion.rowwise.KEPT_BYTES", 0)
    monkeypatch.setattr("mosart.inversion.rowwise.WHOLE_PIXELS", 0)
    lazy = invert_rows(simulation.stack, frame=simulation.frame, tile_rows=32)
    assert isinstance(lazy.dataset["elevation_change"].data, da.Array)
    assert isinstance(kept.dataset["elevation_change"].data, np.ndarray)
    np.testing.assert_allclose(
        lazy.dataset["elevation_change"].values, kept.dataset["elevation_change"].values, rtol=0, atol=1e-6
    )
    assert "sample of 64 of 200 rows" in lazy.dataset.attrs["stable_area"]
    ratio = lazy.dataset["elevation_change_std"].values[1:] / kept.dataset["elevation_change_std"].values[1:]
    assert np.all(np.abs(np.log(ratio)) < np.log(1.5))


def test_standard_error_of_noise(scene: Callable[..., Any]) -> None:
    # On ground that did not change the standard error is the spread of what is reported.
    simulation = collapse(shape=(120, 200), before=3, after=0)
    result = invert_rows(simulation.stack, frame=simulation.frame).dataset
    change = result["elevation_change"].values[1:]
    found = result["elevation_change_std"].values[1:]
    for one, std in zip(change, found, strict=True):
        values = one[np.isfinite(one)]
        spread = 1.4826 * np.median(np.abs(values - np.median(values)))
        assert 0.5 < std / spread < 1.1
    assert "found away from change" in result.attrs["stable_area"]


def test_noise_does_not_spread_nan() -> None:
    simulation = collapse(shape=(60, 250), before=1, after=1)
    result = invert_rows(simulation.stack, frame=simulation.frame, despeckle="none").dataset
    assert np.isfinite(result["elevation_change"].values).mean() > 0.97


@settings(max_examples=8)
@given(gain=st.floats(1e-3, 1e4), level=st.floats(-50.0, 3000.0))
def test_unit_of_the_amplitude_does_not_matter(scene: Callable[..., Any], gain: float, level: float) -> None:
    made = scene(rows=2, columns=200)
    plain = invert_rows(made.stack, frame=made.frame, despeckle="none").dataset
    data = made.stack.dataset.copy(deep=True)
    data["amplitude"] = data["amplitude"] * np.float32(gain)
    data["height"] = data["height"] + level
    scaled = invert_rows(Stack(data), frame=made.frame, despeckle="none").dataset
    np.testing.assert_allclose(
        scaled["elevation_change"].values, plain["elevation_change"].values, rtol=0, atol=2e-3
    )
