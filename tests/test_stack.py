from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.stack import Stack


def make(lon: NDArray[np.float64], lat: NDArray[np.float64], blocks: int | None = None) -> Stack:
    shape = (2, *lon.shape)
    plane, cube = ("azimuth", "range"), ("date", "azimuth", "range")
    dataset = xr.Dataset(
        {
            "amplitude": (cube, np.arange(np.prod(shape), dtype="f4").reshape(shape)),
            "height": (plane, np.zeros(lon.shape)),
            "longitude": (plane, lon),
            "latitude": (plane, lat),
        },
        {
            "date": np.array(["2019-01-15", "2019-02-06"], "M8[ns]"),
            "azimuth": np.arange(lon.shape[0]),
            "range": np.arange(lon.shape[1]),
        },
    )
    return Stack(dataset if blocks is None else dataset.chunk(azimuth=blocks))


def swath(
    rows: int,
    columns: int,
    *,
    turn: float = 0.2,
    look: int = 1,
    centre: tuple[float, float] = (-163.97, 54.75),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude (-180…180) and latitude of a swath turned by an angle, looking to either side."""
    y, x = np.mgrid[:rows, :columns].astype(float)
    x, y = look * (x - (columns - 1) / 2) * 2e-4, (y - (rows - 1) / 2) * 1e-4
    lon = centre[0] + x * np.cos(turn) - y * np.sin(turn)
    lat = centre[1] + x * np.sin(turn) + y * np.cos(turn)
    return (lon + 180) % 360 - 180, lat


grids = st.builds(
    swath,
    rows=st.integers(2, 30),
    columns=st.integers(2, 30),
    turn=st.floats(-np.pi, np.pi),
    look=st.sampled_from([-1, 1]),
    centre=st.tuples(st.sampled_from([-163.97, 179.9999, -179.9995, 0.0, 17.3]), st.floats(-70, 70)),
)


@given(grid=grids, corners=st.tuples(*[st.floats(0, 1)] * 4), blocks=st.integers(1, 30), as_360=st.booleans())
def test_lonlat_box_is_the_smallest_that_holds_its_pixels(
    grid: tuple[NDArray[np.float64], NDArray[np.float64]],
    corners: tuple[float, ...],
    blocks: int,
    as_360: bool,
) -> None:
    lon, lat = grid
    # Degrees east of 90° west of the scene: no seam, so that the truth is a plain comparison.
    start = lon[0, 0] - 90
    east = (lon - start) % 360
    west_edge, east_edge = sorted(east.min() + np.ptp(east) * np.array(corners[:2]))
    south, north = sorted(lat.min() + np.ptp(lat) * np.array(corners[2:]))
    inside = (east >= west_edge) & (east <= east_edge) & (lat >= south) & (lat <= north)
    close = 1e-8  # leave the rounding of degrees alone
    for values, edges in ((east, (west_edge, east_edge)), (lat, (south, north))):
        for edge in edges:
            if (np.abs(values - edge) < close).any():
                return
    wrap = (lambda v: v % 360) if as_360 else (lambda v: (v + 180) % 360 - 180)
    box = (wrap(west_edge + start), south, wrap(east_edge + start), north)
    stack = make(lon % 360 if as_360 else lon, lat, blocks)
    if not inside.any():
        with pytest.raises(InputError, match=r"no pixel|empty"):
            stack.crop(lonlat=box)
        return
    cropped = stack.crop(lonlat=box).dataset
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    np.testing.assert_array_equal(cropped["azimuth"], np.arange(rows[0], rows[-1] + 1))
    np.testing.assert_array_equal(cropped["range"], np.arange(columns[0], columns[-1] + 1))
    expected = stack.dataset["amplitude"].values[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(cropped["amplitude"], expected)
    assert all(cropped[name].chunks for name in ("amplitude", "longitude"))


@pytest.mark.parametrize("box", [(179.9, 50, -179.9, 52), (179.9, 50, 180.1, 52), (-180.1, 50, -179.9, 52)])
@pytest.mark.parametrize("as_360", [True, False])
def test_across_the_antimeridian(box: tuple[float, ...], as_360: bool) -> None:
    x, lat = np.meshgrid(np.linspace(179.5, 180.5, 41), np.linspace(50.5, 51.5, 40))
    lon = x if as_360 else (x + 180) % 360 - 180
    cropped = make(lon, lat).crop(lonlat=box)
    np.testing.assert_array_equal(cropped.dataset["range"], np.arange(16, 25))
    assert cropped.shape == (2, 40, 9)


@given(pixels=st.tuples(*[st.integers(-5, 40)] * 4))
def test_pixel_box_is_clipped_to_the_image(pixels: tuple[int, int, int, int]) -> None:
    stack = make(*swath(20, 30))
    x0, x1, y0, y1 = pixels
    columns = [i for i in range(30) if x0 <= i < x1]
    rows = [i for i in range(20) if y0 <= i < y1]
    if not columns or not rows:
        with pytest.raises(InputError, match=r"empty|outside"):
            stack.crop(pixels=pixels)
        return
    cropped = stack.crop(pixels=pixels).dataset
    np.testing.assert_array_equal(cropped["range"], columns)
    np.testing.assert_array_equal(cropped["azimuth"], rows)


def test_a_crop_of_a_crop_counts_from_its_own_first_pixel() -> None:
    stack = make(*swath(20, 30))
    twice = stack.crop(pixels=(5, 25, 4, 16)).crop(pixels=(2, 10, 1, 5))
    xr.testing.assert_identical(twice.dataset, stack.crop(pixels=(7, 15, 5, 9)).dataset)


def test_partly_outside_is_said(caplog: pytest.LogCaptureFixture) -> None:
    lon, lat = swath(40, 40)
    stack = make(lon, lat)
    inside = (lon[15, 15], lat[15, 15] - 2e-4, lon[15, 15] + 5e-4, lat[15, 15] + 3e-4)
    stack.crop(lonlat=inside)
    stack.crop(pixels=(0, 40, 0, 40))
    assert not caplog.records
    stack.crop(lonlat=(lon[20, 20], lat[20, 20], lon.max() + 1, lat[20, 20] + 4e-4))
    assert "partly outside" in caplog.text
    caplog.clear()
    stack.crop(pixels=(-1, 40, 0, 40))
    assert "partly outside" in caplog.text


@pytest.mark.parametrize(
    "box",
    [
        (10.0, 54.0, 11.0, 55.0),
        (-164.0, 54.76, -163.9, 54.74),
        (-163.96, 54.74, -163.98, 54.76),
        (np.nan, 54.7, -163.9, 54.8),
        (-164.0, 54.7, -163.9),
        (-164.0, -95.0, -163.9, 54.8),
        (-164.0, 54.7, -164.0, 54.8),
    ],
)
def test_boxes_that_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        make(*swath(40, 40)).crop(lonlat=box)


@pytest.mark.parametrize("box", [(0, 5, 3, 3), (5, 2, 0, 3), (0, 5, 3), (0.5, 5, 0, 3), (100, 120, 0, 3)])
def test_pixel_boxes_that_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="pixel box"):
        make(*swath(20, 20)).crop(pixels=box)  # type: ignore[arg-type]


def test_a_crop_needs_one_box() -> None:
    stack = make(*swath(20, 20))
    with pytest.raises(InputError, match="either"):
        stack.crop()
    with pytest.raises(InputError, match="either"):
        stack.crop(pixels=(0, 1, 0, 1), lonlat=(0, 0, 1, 1))
    bare = Stack(stack.dataset.drop_vars(["longitude", "latitude"]))
    with pytest.raises(InputError, match="longitude"):
        bare.crop(lonlat=(-164, 54, -163, 55))


def test_pixels_without_a_position_are_in_no_box() -> None:
    lon, lat = swath(20, 20)
    lon[:5], lat[:5] = np.nan, np.nan
    lon[:, 15:] = np.nan
    cropped = make(lon, lat, 3).crop(lonlat=(-165, 54, -163, 55))
    assert cropped.shape == (2, 15, 15)
    lon[:] = np.nan
    with pytest.raises(InputError, match="no pixel"):
        make(lon, lat).crop(lonlat=(-165, 54, -163, 55))


def test_the_whole_globe_holds_everything() -> None:
    assert make(*swath(20, 20)).crop(lonlat=(-180, -90, 180, 90)).shape == (2, 20, 20)


def test_one_row_and_one_column() -> None:
    for rows, columns in ((1, 9), (9, 1), (1, 1)):
        stack = make(*swath(rows, columns))
        assert stack.crop(lonlat=(-164, 54, -163.9, 55)).shape == (2, rows, columns)


def test_select() -> None:
    stack = make(*swath(3, 4))
    assert stack.select([dt.date(2019, 2, 6)]).shape == (1, 3, 4)
    with pytest.raises(InputError, match="20200101"):
        stack.select([dt.date(2020, 1, 1)])
