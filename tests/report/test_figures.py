"""Figures: what is drawn, where it lies, and that nobody else's canvas is touched."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from PIL import Image
from pyproj import CRS

from mosart.change import ElevationChange
from mosart.geocoding import geocode
from mosart.masks import Flag
from mosart.periods import Period
from mosart.report import canvas, write_figures
from mosart.report.dates import (
    CHANGE_COLOURS,
    RESIDUAL_COLOURS,
    Ground,
    Panel,
    amplitude_figures,
    change_limit,
    change_scale,
    date_figures,
)
from mosart.report.maps import shade
from mosart.report.profile import profile_figure, read_profiles
from mosart.report.raster import reasons, shrink, shrink_bits
from mosart.report.series import series_figures, volume_figures
from mosart.report.view import view_of
from mosart.stack import Stack

DIMS = ("date", "azimuth", "range")


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few dots: what is tested here does not need them."""
    monkeypatch.setattr(canvas, "DPI", 60)


@dataclasses.dataclass(frozen=True)
class Places:
    """Areas that are masks already, on whichever grid is asked for."""

    given: Mapping[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.given)

    def masks(self, data: xr.Dataset, names: Iterable[str]) -> Mapping[str, np.ndarray]:
        if "y" in data.dims:
            return {name: np.ones((data.sizes["y"], data.sizes["x"]), bool) for name in names}
        return {name: self.given[name] for name in names}


def result(
    dates: int = 3, shape=(40, 60), *, lonlat: bool = True, look: int = 1
) -> tuple[ElevationChange, Stack]:
    rng = np.random.default_rng(0)
    change = rng.normal(0, 0.5, (dates, *shape)).astype(np.float32)
    if min(shape) > 20:
        change[1:, 10:20, 20:30] -= 15
        change[:, 5:8, 5:50] = np.nan
    mask = np.where(np.isnan(change), int(Flag.WATER), 0).astype(np.uint8)
    when = np.datetime64("2019-01-15", "ns") + np.arange(dates) * np.timedelta64(11, "D")
    a, r = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]) * look, indexing="ij")
    data = xr.Dataset(
        {
            "elevation_change": (DIMS, change),
            "elevation": (DIMS, change + 100),
            "mask": (DIMS, mask),
            "elevation_change_std": ("date", np.full(dates, 0.5)),
            "height": (DIMS[1:], 100.0 + a + 0 * r),
            "weights": (DIMS[1:], rng.random(shape)),
        },
        coords={"date": when, "azimuth": np.arange(shape[0]) + 500, "range": np.arange(shape[1]) + 1000},
        attrs={
            "method": "test",
            "reference_dates": "20190115",
            "heading": "-12.0",
            "look_direction": "right",
            "azimuth_spacing": 8.0,
        },
    )
    if lonlat:
        data["longitude"] = (DIMS[1:], 179.999 + (r * 5.0) / 68_000)
        data["latitude"] = (DIMS[1:], 52.0 + a * 8.0 / 111_000)
    amplitude = rng.rayleigh(50.0, (dates, *shape)).astype(np.float32)
    extra = [n for n in ("longitude", "latitude", "height") if n in data]
    stack = data[extra].assign(amplitude=(DIMS, da.from_array(amplitude, chunks=(1, 16, shape[1]))))
    return ElevationChange(data), Stack(stack.assign_coords(date=when).assign_attrs(data.attrs))


def everything(change: ElevationChange, stack: Stack, folder: Path, **options) -> list[Path]:
    inside = np.zeros(change.shape[1:], bool)
    inside[change.shape[1] // 3 : change.shape[1] // 2 + 1, 20:30] = True
    point = np.zeros_like(inside)
    point[0, 3] = True
    areas = Places({"crater": inside, "a $point_": point})
    filtered = stack.dataset["amplitude"] * 0.9
    return write_figures(change, folder, stack=stack, filtered=filtered, areas=areas, **options)


@pytest.mark.parametrize("lonlat", [True, False])
def test_a_run_leaves_its_pictures(tmp_path: Path, lonlat: bool) -> None:
    change, stack = result(lonlat=lonlat)
    mapped = geocode(change) if lonlat else None
    done: list[tuple[int, int]] = []
    paths = everything(change, stack, tmp_path, mapped=mapped, progress=lambda *a: done.append(a))
    names = ["amplitude", "despeckling", "weights", "heights", "elevation_change", "profile", "time_series"]
    wanted = [f"{name}.{kind}" for name in names for kind in ("png", "pdf")]
    assert [path.name for path in paths] == wanted
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(wanted)
    assert done[-1][0] == done[-1][1] == 14
    for path in paths[1::2]:
        assert path.read_bytes().startswith(b"%PDF")
    for path in paths[::2]:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert 250 < image.width < 1000
            assert 120 < image.height < 1250
            pixels = np.asarray(image.convert("L"))
            assert pixels.min() < 60
            assert pixels.max() > 240


@pytest.mark.parametrize(("dates", "shape"), [(1, (1, 60)), (13, (1, 60)), (1, (90, 31))])
def test_one_row_one_date_and_many_dates(tmp_path: Path, dates: int, shape: tuple[int, int]) -> None:
    change, stack = result(dates, shape)
    paths = everything(change, stack, tmp_path, mapped=geocode(change))
    pages = [path.name for path in paths[::2] if path.name.startswith("elevation_change")]
    assert pages == (
        ["elevation_change.png"] if dates == 1 else ["elevation_change_01.png", "elevation_change_02.png"]
    )


def test_a_date_without_a_value_and_nothing_but_the_change(tmp_path: Path) -> None:
    change, _ = result()
    data = change.dataset.drop_vars(["height", "weights", "elevation"])
    data["elevation_change"][1] = np.nan
    data["elevation_change_std"][1] = np.nan
    data = data.rename(elevation_change="elevation_change_slant")
    paths = write_figures(ElevationChange(data), tmp_path)
    assert [path.name for path in paths[::2]] == ["elevation_change.png", "profile.png"]


def drawn(figure: Figure) -> list:
    return [image for axes in figure.axes for image in axes.images if image.get_cmap().name == CHANGE_COLOURS]


def test_all_dates_on_all_pages_have_one_scale_centred_on_zero() -> None:
    change, _ = result(30)
    view = view_of(change.dataset)
    panels = [
        Panel(date, values, np.zeros(values.shape, np.int64))
        for date, values in zip(change.dates, change.dataset["elevation_change"].values, strict=True)
    ]
    limit = change_limit(panels, {})
    assert 15 <= limit <= 20
    figures = list(date_figures(panels, Ground(view), change_scale(limit), "t"))
    images = [image for figure in figures for image in drawn(figure)]
    assert len(figures) == 3
    assert len(images) == 30
    assert {image.get_clim() for image in images} == {(-limit, limit)}
    assert tuple(images[0].get_extent()) == (999.5, 1059.5, 539.5, 499.5)
    middle = np.array(images[0].get_cmap()(0.5))
    assert np.all(middle[:3] > 0.94)  # nought is white, and no reason is painted so
    # The scale is made for the area, whatever failed rows do beside it.
    area = np.zeros(view_shape(change), np.uint8)
    area[30:35, 30:40] = 1
    assert change_limit(panels, {"quiet": area}) < 3


def view_shape(change: ElevationChange) -> tuple[int, int]:
    return change.shape[1], change.shape[2]


def test_the_view_knows_where_north_is() -> None:
    h = np.radians(-12.0)
    a, r = np.meshgrid(np.arange(50) * 8.0, np.arange(70) * 5.0, indexing="ij")
    for look in (1, -1):
        east, north = a * np.sin(h) + look * r * np.cos(h), a * np.cos(h) - look * r * np.sin(h)
        data = xr.Dataset(
            {
                "longitude": (DIMS[1:], 10 + east / (111_195 * np.cos(np.radians(45)))),
                "latitude": (DIMS[1:], 45 + north / 111_195),
            }
        )
        view = view_of(data)
        # Rows run down the paper along the flight, so seen from above a right look is mirrored.
        dy = 1.0  # a step to the north is so many rows and columns:
        rows, columns = dy * np.cos(h), -look * dy * np.sin(h)
        expected = np.degrees(np.arctan2(columns, -rows)) % 360
        assert view.north == pytest.approx(expected, abs=1.0)
        assert view.metres == pytest.approx((5.0, 8.0), rel=5e-3)
        assert view.look == 90.0
        assert view.true


def test_very_long_images_stay_on_the_page() -> None:
    data = xr.Dataset({"height": (DIMS[1:], np.zeros((20, 9000)))})
    view = view_of(data)
    assert view.shape == pytest.approx(0.4)
    assert np.isnan(view.north)
    assert not view.true


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_shrinking_averages_what_is_finite(most: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(23, 31))
    image[rng.random(image.shape) < 0.4] = np.nan
    small = shrink(xr.DataArray(da.from_array(image, chunks=5), dims=("a", "b")), most)
    high, wide = -(-23 // most), -(-31 // most)
    assert small.shape == (-(-23 // high), -(-31 // wide))
    for i in range(small.shape[0]):
        for j in range(small.shape[1]):
            part = image[i * high : (i + 1) * high, j * wide : (j + 1) * wide]
            expected = np.nanmean(part) if np.isfinite(part).any() else np.nan
            assert small[i, j] == pytest.approx(expected, nan_ok=True)
    bits = np.where(np.isnan(image), 3, 16).astype(np.uint8)
    assert shrink_bits(bits, most)[0, 0] == np.bitwise_or.reduce(bits[:high, :wide], axis=None)


def test_reasons_name_what_withholds() -> None:
    bits = np.array([0, 16, 1, 2, 3, 4 | 8, 8, 32, 33], np.uint8)
    expected = [8, 8, 1, 2, 2, 4, 8, 32, 1]
    assert reasons(bits).tolist() == expected


def test_time_series_show_values_and_errors() -> None:
    table = pd.DataFrame(
        {
            "name": ["a"] * 3 + ["b"] * 3,
            "date": list(pd.to_datetime(["2019-01-15", "2019-02-15", "2019-03-15"])) * 2,
            "elevation_change_m": [0.0, np.nan, -3.0, 1.0, 2.0, 3.0],
            "elevation_change_std_m": [0.0, np.nan, 0.5, 0.1, 0.2, 0.3],
        }
    )
    (figure,) = series_figures(table, "elevation_change_m", "t")
    containers = figure.axes[0].containers
    assert [c.get_label() for c in containers] == ["a", "b"]
    np.testing.assert_array_equal(containers[1].lines[0].get_ydata(), [1, 2, 3])
    bars = containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars], [0.2, 0.4, 0.6])
    many = pd.concat([table.assign(name=str(k)) for k in range(9)])
    assert len(list(series_figures(many, "elevation_change_m", "t"))) == 2


def modelled(dates: int = 3) -> ElevationChange:
    """A result with a standard error and a modelled amplitude for every pixel."""
    change, _ = result(dates)
    data = change.dataset.copy()
    shape = data["elevation_change"].shape
    data["elevation_change_std"] = (DIMS, np.full(shape, 0.4, np.float32))
    data["measured_amplitude"] = (DIMS, np.full(shape, 2.0, np.float32))
    data["modelled_amplitude"] = (DIMS, np.full(shape, 1.0, np.float32))
    return ElevationChange(data)


def test_what_a_method_gives_is_drawn_and_no_more(tmp_path: Path) -> None:
    names = {path.stem for path in write_figures(modelled(), tmp_path)}
    assert names == {"weights", "heights", "elevation_change", "standard_error", "profile", "amplitudes"}
    fewer = modelled().dataset.drop_vars("modelled_amplitude")
    assert {path.stem for path in write_figures(ElevationChange(fewer), tmp_path)} == names


def test_residual_amplitudes_are_ratios_on_one_scale_centred_on_zero() -> None:
    change = modelled(6)
    panels = [
        [
            Panel(date, values, np.zeros(values.shape, np.int64))
            for date, values in zip(change.dates, cube.values)
        ]
        for cube in (change.dataset["measured_amplitude"], change.dataset["modelled_amplitude"])
    ]
    panels[1] = [dataclasses.replace(panel, note="noise 1.20") for panel in panels[1]]
    figures = list(amplitude_figures(*panels, Ground(view_of(change.dataset)), "t"))
    assert len(figures) == 2
    titles = [axes.get_title() for axes in figures[0].axes if axes.get_title()]
    assert [title.endswith("noise 1.20") for title in titles] == ["residual" in title for title in titles]
    images = [
        image for figure in figures for axes in figure.axes for image in axes.images
        if image.get_cmap().name == RESIDUAL_COLOURS
    ]  # fmt: skip
    assert len(images) == 6
    low, high = images[0].get_clim()
    assert low == -high
    assert {image.get_clim() for image in images} == {(low, high)}
    np.testing.assert_allclose(images[3].get_array(), 20 * np.log10(2.0))


def test_relief_shows_through_the_change_and_hides_no_reason() -> None:
    change = modelled(1)
    view = view_of(change.dataset)
    values = change.dataset["elevation_change"].values[0].astype(float)
    height = 100 + 30 * np.sin(np.arange(60) / 3.0)[None] * np.ones((40, 1))
    panel = Panel(change.dates[0], values, np.where(np.isnan(values), 4, 0))
    (figure,) = date_figures([panel], Ground(view, {}, shade(height, view)), change_scale(10.0), "t")
    veil = figure.axes[0].images[-1].get_array()
    assert veil[..., 3][np.isnan(values)].max() == 0
    assert np.ptp(veil[..., 3][np.isfinite(values)]) > 0.1
    assert veil[..., 3].max() <= 0.45


@pytest.mark.parametrize("on_map", [True, False])
def test_profiles_cross_the_change_where_it_is(on_map: bool) -> None:
    """A ramp that rises by 1 m a cell to the east and by 10 m a cell to the north, read along both lines."""
    rows, columns = 40, 60
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    values = (j - 10.0 * i)[None].astype(np.float32)
    dims = ("date", "y", "x") if on_map else DIMS
    data = xr.Dataset(
        {
            "elevation_change": (dims, values),
            "elevation_change_std": (dims, np.full(values.shape, 0.5, np.float32)),
            "mask": (dims, np.zeros(values.shape, np.uint8)),
            "height": (dims[1:], np.full((rows, columns), 7.0)),
        },
        coords={"date": np.array(["2020-01-01"], "datetime64[ns]")},
        attrs={"method": "t", "reference_dates": "20190101"},
    )
    if on_map:
        data = data.assign_coords(x=500_000.0 + 2.0 * np.arange(columns), y=6e6 - 3.0 * np.arange(rows))
        data["spatial_ref"] = ((), 0, {"crs_wkt": CRS.from_epsg(32603).to_wkt()})
    profiles = read_profiles(ElevationChange(data), 0, (12, 30), view_of(data), None)
    first, second = profiles
    assert first.change[first.distance == 0] == values[0, 12, 30] == second.change[second.distance == 0]
    east, north = np.gradient(first.change, first.distance), np.gradient(second.change, second.distance)
    np.testing.assert_allclose(east, 0.5 if on_map else 1.0)
    np.testing.assert_allclose(north, 10 / 3 if on_map else -10.0)
    assert [p.unit for p in profiles] == (["m"] * 2 if on_map else ["pixel"] * 2)
    np.testing.assert_array_equal(first.std, 0.5)
    figure = profile_figure(profiles, change_dates(data)[0], "t")
    band = figure.axes[2].collections[0].get_paths()[0].vertices
    assert np.ptp(band[np.isclose(band[:, 0], 0.0)][:, 1]) == pytest.approx(
        1.0
    )  # one standard error either way


def change_dates(data: xr.Dataset) -> tuple:
    return ElevationChange(data).dates


def test_volumes_and_activity_over_time() -> None:
    table = pd.DataFrame(
        {
            "name": ["dome"] * 3,
            "date": pd.to_datetime(["2019-01-15", "2019-02-15", "2019-03-15"]),
            "net_m3": [0.0, 2.0e6, 5.0e6],
            "net_std_m3": [0.0, 2.0e5, 1.0e6],
        }
    )
    day = dt.date
    spells = (((2, 1), (2, 10)), ((3, 1), None))
    activity = [Period(day(2019, *a), None if b is None else day(2019, *b), "grows") for a, b in spells]
    activity.append(Period(day(2001, 1, 1), day(2001, 2, 1)))  # before the curve begins
    (figure,) = volume_figures(table, "t", activity)
    axes = figure.axes[0]
    assert "million" in axes.get_ylabel()
    np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(), [0, 2, 5])
    shaded = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
    left, right = axes.get_xlim()
    assert [(box.x0, box.x1) for box in shaded] == [
        pytest.approx((date2num(day(2019, 2, 1)), date2num(day(2019, 2, 11)))),
        pytest.approx((date2num(day(2019, 3, 1)), right)),
    ]
    assert left < date2num(day(2019, 1, 15))
    assert "grows" in {text.get_text() for text in axes.texts}


def test_figures_leave_nothing_behind(tmp_path: Path) -> None:
    change, _ = result(1)
    data = change.dataset.drop_vars(["height", "weights", "elevation"])
    for _ in range(3):
        write_figures(ElevationChange(data), tmp_path)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Figure)]


def test_the_users_backend_is_left_alone_without_a_display(tmp_path: Path) -> None:
    script = f"""
import sys
from mosart.report import write_figures
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
assert matplotlib.get_backend(auto_select=False).lower() == "tkagg", matplotlib.get_backend(auto_select=False)
before = dict(matplotlib.rcParams)
import importlib.util
spec = importlib.util.spec_from_file_location("figures", {str(Path(__file__))!r})
module = importlib.util.module_from_spec(spec); sys.modules["figures"] = module
spec.loader.exec_module(module)
change, stack = module.result(1)
write_figures(change, {str(tmp_path)!r})
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
"""
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"MPLBACKEND": "TkAgg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 4
