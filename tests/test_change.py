"""Time series and volumes against closed forms, and their errors against repeated noise."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mosart.change import ElevationChange, temporal_std
from mosart.change.correlation import FULLY_CORRELATED, measure_correlation
from mosart.errors import InputError
from mosart.geocoding import geocode
from mosart.geometry.ground import pixel_area, pixel_area_from_look
from mosart.masks import Flag
from mosart.stack import Stack

METRES = 111_132.95  # a degree of latitude near 55°, WGS 84


@dataclasses.dataclass(frozen=True)
class Places:
    """Areas that are masks already."""

    given: Mapping[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.given)

    def masks(self, data: xr.Dataset, names: Iterable[str]) -> Mapping[str, np.ndarray]:
        return {name: self.given[name] for name in names}


def swath(rows: int, columns: int, *, step=(8.0, 5.0), heading=-12.0, look=1, centre=(-163.97, 54.75)):
    """Longitude and latitude of a flat swath, and each pixel's east and north in metres."""
    h = np.radians(heading)
    a = (np.arange(rows) - rows / 2)[:, None] * step[0]
    r = look * (np.arange(columns) - columns / 2)[None, :] * step[1]
    east, north = a * np.sin(h) + r * np.cos(h), a * np.cos(h) - r * np.sin(h)
    phi = np.radians(centre[1])
    w2 = 1 - 0.00669437999014 * np.sin(phi) ** 2
    lat = centre[1] + np.degrees(north / (6378137 * (1 - 0.00669437999014) / w2**1.5))
    lon = centre[0] + np.degrees(east / (6378137 / np.sqrt(w2) * np.cos(phi)))
    return lon, lat, east, north


def dataset(change: np.ndarray, std, **extra) -> xr.Dataset:
    dims = ("date", "azimuth", "range")
    dates = np.datetime64("2019-01-15", "ns") + np.arange(len(change)) * np.timedelta64(11, "D")
    data = xr.Dataset(
        {
            "elevation_change": (dims, np.asarray(change, np.float32)),
            "mask": (dims, np.where(np.isnan(change), int(Flag.LAYOVER), 0).astype(np.uint8)),
            "elevation_change_std": (dims if np.ndim(std) == 3 else ("date",), np.asarray(std, np.float32)),
        },
        coords={"date": dates},
        attrs={"method": "test", "reference_dates": "20190101"},
    )
    for name, values in extra.items():
        data[name] = (("azimuth", "range"), values)
    return data


def test_a_constant_change_is_its_own_mean_and_its_volume_the_area_times_it() -> None:
    lon, lat, _, _ = swath(40, 60)
    change = np.full((3, 40, 60), 2.0)
    change[1] = -3.0
    inside = np.zeros((40, 60), bool)
    inside[10:20, 20:40] = True
    point = np.zeros((40, 60), bool)
    point[5, 5] = True
    result = ElevationChange(dataset(change, [0.5, 0.5, 0.5], longitude=lon, latitude=lat))
    areas = Places({"box": inside, "point": point})
    series, volume = result.time_series(areas), result.volume(Places({"box": inside}))
    assert list(series["name"]) == ["box"] * 3 + ["point"] * 3
    assert list(series["elevation_change_m"]) == pytest.approx([2, -3, 2] * 2)
    assert list(series["pixels"]) == [200] * 3 + [1] * 3
    assert series["elevation_change_std_m"].iloc[3] == pytest.approx(0.5)
    assert list(volume["net_m3"]) == pytest.approx([200 * 40 * 2, -200 * 40 * 3, 200 * 40 * 2], rel=2e-3)
    assert volume["gained_m3"].iloc[1] == 0
    assert volume["lost_m3"].iloc[0] == 0
    assert volume["area_m2"].iloc[0] == pytest.approx(200 * 40, rel=2e-3)
    assert list(volume["unseen_share"]) == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("look", [1, -1])
@pytest.mark.parametrize("centre", [(-163.97, 54.75), (180.0, -54.75), (10.0, 85.0)])
def test_the_volume_of_a_cone_on_both_grids(look: int, centre: tuple[float, float]) -> None:
    lon, lat, east, north = swath(150, 200, look=look, centre=centre)
    cone = np.clip(20 * (1 - np.hypot(east, north) / 250), 0, None)
    truth = np.pi * 250**2 * 20 / 3
    lon = (lon + 180) % 360 - 180
    result = ElevationChange(dataset(cone[None], [0.1], longitude=lon, latitude=lat))
    everything = Places({"cone": np.ones((150, 200), bool)})
    assert result.volume(everything)["net_m3"].iloc[0] == pytest.approx(truth, rel=5e-3)
    mapped = ElevationChange(geocode(result).compute())
    cells = Places({"cone": np.ones(mapped.shape[1:], bool)})
    # UPS near the pole enlarges areas by (1 - 0.994…)²: the map's cells are as large as the map says.
    scale = 1.0 if abs(centre[1]) < 80 else 0.994**2
    assert mapped.volume(cells)["net_m3"].iloc[0] == pytest.approx(truth * scale, rel=1e-2)


def test_what_is_not_seen_is_not_filled_but_told() -> None:
    lon, lat, _, _ = swath(20, 20)
    change = np.full((1, 20, 20), 4.0)
    change[0, 5:10, 5:15] = np.nan
    inside = np.zeros((20, 20), bool)
    inside[5:15, 5:15] = True
    result = ElevationChange(dataset(change, [0.2], longitude=lon, latitude=lat))
    row = result.volume(Places({"a": inside})).iloc[0]
    assert row["unseen_share"] == pytest.approx(0.5, abs=1e-4)
    assert row["net_m3"] == pytest.approx(50 * 40 * 4, rel=2e-3)
    assert row["flags"] == "layover"
    hidden = np.zeros((20, 20), bool)
    hidden[5:10, 5:15] = True
    none = result.volume(Places({"a": hidden})).iloc[0]
    assert np.isnan(none["net_m3"])
    assert np.isnan(none["net_std_m3"])
    assert none["unseen_share"] == 1.0
    series = result.time_series(Places({"a": hidden})).iloc[0]
    assert np.isnan(series["elevation_change_m"])
    assert series["pixels"] == 0


def noise(kind: str, dates: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    white = rng.standard_normal((dates, *shape))
    if kind == "white":
        return white
    if kind == "stripes":  # rows apart, a long memory along range, as row-wise methods leave it
        memory = 0.9
        for i in range(1, shape[1]):
            white[..., i] = memory * white[..., i - 1] + np.sqrt(1 - memory**2) * white[..., i]
        return white
    kernel = np.exp(-((np.arange(-9, 10) / 4.0) ** 2))
    for axis in (1, 2):
        white = np.apply_along_axis(np.convolve, axis, white, kernel / np.sqrt((kernel**2).sum()), "same")
    return white


@pytest.mark.parametrize("kind", ["white", "stripes", "blobs"])
@pytest.mark.parametrize("per_pixel", [False, True])
def test_errors_of_sums_hold_under_repeated_noise(kind: str, per_pixel: bool) -> None:
    rng = np.random.default_rng(3)
    shape, dates = (120, 150), 60
    lon, lat, _, _ = swath(*shape)
    sigma = np.full(shape, 0.7)
    if per_pixel:
        sigma *= 1 + np.linspace(0, 2, shape[1])
    change = noise(kind, dates, shape, rng) * sigma
    stable = np.ones(shape, bool)
    stable[40:80, 50:90] = False
    inside = ~stable
    std = np.broadcast_to(sigma, change.shape) if per_pixel else np.full(dates, 0.7)
    result = ElevationChange(dataset(change, std, longitude=lon, latitude=lat, stable=stable))
    volume, series = result.volume(Places({"a": inside})), result.time_series(Places({"a": inside}))
    for scaled in (
        volume["net_m3"] / volume["net_std_m3"],
        series["elevation_change_m"] / series["elevation_change_std_m"],
    ):
        assert 0.75 < np.sqrt(np.mean(scaled**2)) < 1.3  # 60 dates tell it to a tenth
    independent = np.sqrt((sigma[inside] ** 2).sum()) * 40
    factor = {"white": (0.95, 1.2), "stripes": (3.0, 5.0), "blobs": (7.0, 14.0)}[kind]
    assert factor[0] < volume["net_std_m3"].median() / independent < factor[1]


def test_without_stable_ground_an_error_is_shared_by_all_pixels() -> None:
    assert measure_correlation(np.full((30, 30), np.nan)) is FULLY_CORRELATED
    assert FULLY_CORRELATED.sum_std(np.full((30, 30), 0.5)) == pytest.approx(450)


@given(st.integers(1, 1500), st.integers(1, 40), st.floats(0.0, 0.95))
def test_large_areas_are_summed_by_blocks_without_a_loss(columns: int, rows: int, memory: float) -> None:
    from mosart.change.correlation import Correlation

    rho = memory ** np.arange(200.0)
    rho[-1] = 0.0
    correlation = Correlation(np.array([1.0, 0.0]), rho, 1.0, 1000)
    lags = np.abs(np.arange(columns)[:, None] - np.arange(columns)[None, :])
    variance = rows * np.where(lags < 199, memory**lags, 0.0).sum()
    assert correlation.sum_std(np.ones((rows, columns))) == pytest.approx(np.sqrt(variance), rel=1e-3)


def test_the_reference_itself_has_no_error() -> None:
    lon, lat, _, _ = swath(20, 20)
    result = ElevationChange(dataset(np.zeros((1, 20, 20)), [0.0], longitude=lon, latitude=lat))
    row = result.volume(Places({"a": np.ones((20, 20), bool)})).iloc[0]
    assert (row["net_m3"], row["net_std_m3"]) == (0.0, 0.0)


def test_one_row_has_series_and_volume() -> None:
    lon, lat, _, _ = swath(1, 50)
    data = dataset(np.full((1, 1, 50), 3.0), [0.1], longitude=lon, latitude=lat)
    data.attrs["azimuth_spacing"] = 8.0
    inside = np.zeros((1, 50), bool)
    inside[0, 10:20] = True
    result = ElevationChange(data)
    assert result.time_series(Places({"a": inside}))["elevation_change_m"].iloc[0] == pytest.approx(3)
    assert result.volume(Places({"a": inside}))["net_m3"].iloc[0] == pytest.approx(10 * 40 * 3, rel=2e-3)


def test_without_positions_the_look_gives_the_area_and_without_it_volume_is_refused() -> None:
    inside = np.zeros((10, 30), bool)
    inside[2:5, 10:20] = True
    height = np.broadcast_to(np.arange(30.0) * 0.5, (10, 30))
    data = dataset(np.ones((1, 10, 30)), [0.1], height=height)
    data = data.rename(elevation_change="elevation_change_slant")
    data.attrs |= {"incidence_angle": "unknown", "azimuth_spacing": "unknown"}
    series = ElevationChange(data).time_series(Places({"a": inside}))
    assert series["elevation_change_slant_m"].iloc[0] == pytest.approx(1)
    with pytest.raises(InputError, match="ground area"):
        ElevationChange(data).volume(Places({"a": inside}))
    data.attrs |= {"incidence_angle": 35.0, "range_spacing": 2.0, "azimuth_spacing": 3.0}
    s, c = np.sin(np.radians(35)), np.cos(np.radians(35))
    area = 30 * 3.0 * (2.0 + c * 0.5) / s
    volume = ElevationChange(data).volume(Places({"a": inside}))
    assert volume["net_m3"].iloc[0] == pytest.approx(area)


def test_a_fold_counts_the_ground_once() -> None:
    x = np.array([0, 1, 2, 3, 4, 3.2, 2.4, 3.4, 4.4, 5.4, 6.4]) * 1e-4
    lon, lat = np.broadcast_to(x, (4, x.size)), np.broadcast_to(np.arange(4.0)[:, None] * 1e-4, (4, x.size))
    area = pixel_area(lon.copy(), lat.copy())
    straight = pixel_area(np.broadcast_to(np.arange(11) * 0.64e-4, (4, 11)).copy(), lat.copy())
    assert (area < 0).any()
    # Half a pixel at each end is extrapolated: 1 against 0.64 units wide.
    assert area.sum() == pytest.approx(straight.sum() * (6.4 + 1) / (6.4 + 0.64), rel=1e-3)
    assert pixel_area_from_look(np.array([[0.0, -9.0, -18.0]]), 35.0, 2.0, 1.0).max() < 0


def test_an_area_without_a_pixel_is_refused_by_name() -> None:
    lon, lat, _, _ = swath(5, 5)
    result = ElevationChange(dataset(np.zeros((1, 5, 5)), [0.1], longitude=lon, latitude=lat))
    with pytest.raises(InputError, match="lake"):
        result.time_series(Places({"lake": np.zeros((5, 5), bool)}))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda d: d.drop_vars("elevation_change"), "no change"),
        (lambda d: d.drop_vars("mask"), "mask"),
        (lambda d: d.assign(mask=d["mask"].astype(np.int32)), "bits"),
        (lambda d: d.drop_vars("elevation_change_std"), "std"),
        (lambda d: d.assign(elevation_change_std=("azimuth", np.zeros(5))), "std"),
        (lambda d: d.isel(date=[1, 0]), "dates"),
        (lambda d: d.isel(date=[0, 0]), "dates"),
        (lambda d: d.isel(date=[]), "dates"),
        (lambda d: d.transpose("azimuth", "range", "date"), "dimensions"),
        (lambda d: d.assign(longitude=(("azimuth", "range"), np.zeros((5, 6)))), "latitude"),
        (lambda d: d.assign_attrs(reference_dates=""), "reference_dates"),
        (lambda d: d.assign_attrs(reference_dates="20190230"), "reference_dates"),
    ],
)
def test_what_is_no_elevation_change_is_refused(spoil, match: str) -> None:
    good = dataset(np.zeros((2, 5, 6)), [0.1, 0.1])
    assert ElevationChange(good).dates == (dt.date(2019, 1, 15), dt.date(2019, 1, 26))
    with pytest.raises(InputError, match=match):
        ElevationChange(spoil(good))


def test_temporal_std_is_lazy_and_leaves_gaps_out() -> None:
    rng = np.random.default_rng(0)
    amplitude = rng.gamma(2.0, 30.0, (6, 8, 9)).astype(np.float32)
    amplitude[2, 3] = np.nan
    amplitude[:, 0, 0] = np.nan
    amplitude[1:, 1, 1] = np.nan
    stack = Stack(
        xr.Dataset(
            {"amplitude": (("date", "azimuth", "range"), da.from_array(amplitude, chunks=(1, 4, 9)))},
            coords={"date": np.arange(6).astype("datetime64[D]").astype("datetime64[ns]")},
        )
    )
    result = temporal_std(stack)
    assert result.chunks is not None
    values = result.values
    assert np.isnan(values[0, 0])
    assert values[1, 1] == 0
    rest = np.ones((8, 9), bool)
    rest[0, 0] = False
    expected = np.nanstd(amplitude.astype(np.float64)[:, rest], axis=0)
    np.testing.assert_allclose(values[rest], expected, rtol=1e-12, atol=1e-12)
