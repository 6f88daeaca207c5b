"""Volumes and their errors against simulations with truth, and intervals against closed forms."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import mosart
from mosart.areas import read_areas
from mosart.change import ElevationChange
from mosart.change.rowmodel import RowModel, kept_share, reliability
from mosart.geometry import flag_visibility
from mosart.inversion.rowfit import fit_rows
from mosart.simulate import NOISELESS, Simulation, Terrain, collapse, simulate
from mosart.simulate.relief import bump, plateau


def around(changed: np.ndarray) -> str:
    rows, columns = np.nonzero(changed)
    return f"pixels={columns.min()},{columns.max() + 1},{rows.min()},{rows.max() + 1}"


def invert(simulation: Simulation, weights: str, changed: np.ndarray) -> ElevationChange:
    known = {"stable": ~changed} if weights == "stable" else {}
    return mosart.invert(
        simulation.stack, "rowwise-intensity", frame=simulation.frame, weights=weights, **known
    )


@pytest.mark.slow
def test_the_bars_of_row_wise_volumes_hold_the_truth() -> None:
    """50 craters with texture and speckle: fitted on all ground, which bends, and on the stable alone."""
    errors: dict[str, list[float]] = {"unit": [], "stable": []}
    sizes: dict[str, list[float]] = {"unit": [], "stable": []}
    for seed in range(50):
        simulation = collapse(shape=(60, 160), before=1, after=1, seed=seed)
        truth = simulation.truth["elevation_change"].values[-1]
        changed = np.abs(truth) > 0.3
        areas = read_areas(around(changed))
        for weights, found in errors.items():
            result = invert(simulation, weights, changed)
            row = result.volume(areas).iloc[-1]
            box = (slice(0, 60), slice(0, 160))
            size = np.abs(result._areas_of_pixels(box, equal_areas=False))
            seen = np.isfinite(result.dataset["elevation_change"].values[-1])
            seen &= areas.mask(simulation.stack, areas.names[0])
            volume = float((truth * size)[seen].sum())
            found.append((row["net_m3"] - volume) / row["net_std_m3"])
            sizes[weights].append(row["net_std_m3"] / abs(volume))
            assert row["rate_m3_s"] == pytest.approx(row["net_m3"] / (11 * 86400))
    for found in errors.values():
        assert np.mean(np.abs(found) < 2.0) >= 0.9, np.sort(np.abs(found))[-8:]
        assert np.sqrt(np.mean(np.square(found))) > 0.3  # nor are they far too wide
    # Fitted beside the crater the bars tell a volume from none; on all of a row that it nearly fills, they
    # say that nothing is known.
    assert np.median(sizes["stable"]) < 0.6 < np.median(sizes["unit"])


@pytest.mark.parametrize(("look", "radius"), [("right", 30.0), ("left", 60.0)])
def test_the_kept_share_is_that_of_a_simulation_without_noise(look: str, radius: float) -> None:
    before, after = dt.date(2020, 1, 1), dt.date(2020, 2, 1)
    terrain = Terrain.flat(900, 900, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    terrain = terrain.plus(bump(x, y, 60, 130, centre=(30, -20)))
    rise = plateau(x, y, 6.0, radius, 8.0, centre=(10.0, 0.0))
    rise[np.abs(rise) < 0.05] = 0.0
    simulation = simulate(
        terrain, {before: None, after: rise}, "terrasar-x", look_direction=look, shape=(70, 330),
        radiometry=NOISELESS,
    )  # fmt: skip
    stack = flag_visibility(simulation.stack, simulation.frame)
    result = mosart.invert(stack, "rowwise-intensity", frame=simulation.frame, despeckle="none")
    truth = simulation.truth["elevation_change"].values[-1]
    areas = read_areas(around(truth > 3.0))
    row = result.volume(areas).iloc[-1]
    inside = areas.mask(stack, areas.names[0])
    found = result.dataset["elevation_change"].values[-1]
    recovered = np.nansum(found[inside]) / truth[inside].sum()
    assert 0.05 < row["kept_share"] < 0.95
    assert recovered == pytest.approx(row["kept_share"], abs=0.12)
    assert abs(row["net_m3"] - row["net_m3"] / recovered) < 2 * row["net_std_m3"]


def test_the_kept_share_in_closed_form() -> None:
    rows, size = 5, 200
    surface = np.random.default_rng(0).standard_normal((rows, size))
    ones = np.ones((rows, size))
    everything = np.ones((rows, size), bool)
    assert kept_share(surface, ones, everything, ones) == pytest.approx(0.0, abs=1e-9)
    part = np.zeros((rows, size), bool)
    part[:, 90:110] = True
    # In the middle of a row on a surface that has nothing to do with it only the mean is taken from it.
    assert kept_share(surface, ones, part, ones * part) == pytest.approx(1 - 20 / size, abs=0.02)
    assert kept_share(surface, np.where(part, 0.0, 1.0), part, ones * part) == pytest.approx(1.0)
    surface[:, :90] = np.nan
    assert 0.0 <= kept_share(surface, ones, part, ones * part) <= 1.0


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_the_reliability_is_the_share_of_a_change_that_noise_in_the_running_sum_leaves(noise: float) -> None:
    """Regression on a noisy regressor: 1 / (1 + noise²) of its coefficient, in closed form."""
    rng = np.random.default_rng(5)
    rows, size = 40, 600
    height, wrong = rng.standard_normal((2, rows, size))
    height[:, 300:302] = np.nan
    weights = np.ones((rows, size))
    weights[:, 250:350] = 0.0
    change = np.where((np.arange(size) >= 280) & (np.arange(size) < 320), -20.0, 0.0)
    surfaces = []
    for rise in (np.zeros(size), change):
        run = np.nan_to_num(height) + noise * wrong + rise + 0.3 * np.arange(size)
        surfaces.append(fit_rows(np.diff(run, prepend=0.0, axis=1), height, weights).surface)
    found = np.nanmean((surfaces[1] - surfaces[0])[:, 290:310]) / -20.0
    expected = 1.0 / (1.0 + noise**2)
    assert found == pytest.approx(expected, abs=0.02)
    assert reliability(surfaces[1], height, weights) == pytest.approx(expected, abs=0.02)
    assert reliability(surfaces[1], np.full_like(height, 7.0), weights) == 0.0  # no relief settles no scale


def test_the_error_of_an_interval_is_without_what_both_dates_owe_to_the_reference() -> None:
    rng = np.random.default_rng(2)
    shape = (60, 90)
    common = 5.0 * rng.standard_normal((1, *shape))  # of the reference, in every date
    own = rng.standard_normal((40, *shape))
    inside = np.zeros(shape, bool)
    inside[20:40, 30:60] = True
    change = common + own + np.where(inside, np.arange(40.0)[:, None, None], 0.0)
    result = noisy(change, np.full(40, np.sqrt(26.0)), ~inside)
    table = result.volume(read_areas("pixels=30,60,20,40"), intervals=True)
    steps = table[table["kind"] == "interval"]
    assert len(steps) == 39
    assert len(table) == 79
    pixel = table["area_m2"].iloc[0] / 600
    expected = pixel * np.sqrt(600 * 2.0)
    assert steps["net_std_m3"].to_numpy() == pytest.approx(expected, rel=0.15)
    scaled = (steps["net_m3"] - 600 * pixel) / steps["net_std_m3"]
    assert 0.7 < np.sqrt(np.mean(scaled**2)) < 1.4
    assert (steps["date"] - steps["since"]).unique() == np.timedelta64(11, "D")
    assert steps["rate_m3_s"].mean() == pytest.approx(600 * pixel / (11 * 86400), rel=0.05)
    whole = table[table["kind"] == "reference"]
    assert (whole["net_std_m3"].median() / steps["net_std_m3"].median()) > 3
    assert list(whole["since"].dt.strftime("%Y%m%d").unique()) == ["20190104"]


def noisy(change: np.ndarray, std: np.ndarray, stable: np.ndarray) -> ElevationChange:
    import xarray as xr

    dims = ("date", "azimuth", "range")
    rows, columns = np.mgrid[: change.shape[1], : change.shape[2]].astype(float)
    data = xr.Dataset(
        {
            "elevation_change": (dims, change.astype(np.float32)),
            "mask": (dims, np.zeros(change.shape, np.uint8)),
            "elevation_change_std": ("date", std.astype(np.float32)),
            "stable": (dims[1:], stable),
            "longitude": (dims[1:], -163.97 + columns * 1e-4),
            "latitude": (dims[1:], 54.75 + rows * 1e-4),
        },
        coords={
            "date": np.datetime64("2019-01-15", "ns") + np.arange(len(change)) * np.timedelta64(11, "D"),
            "azimuth": np.arange(change.shape[1]),
            "range": np.arange(change.shape[2]),
        },
        attrs={"method": "test", "reference_dates": "20181224,20190104"},
    )
    return ElevationChange(data)


def test_other_methods_and_maps_have_no_such_model() -> None:
    result = noisy(np.ones((2, 20, 30)), np.ones(2), np.ones((20, 30), bool))
    assert RowModel.of(result.dataset, 1) is None
    assert np.isnan(result.volume(read_areas("pixels=1,9,1,9"))["kept_share"]).all()
