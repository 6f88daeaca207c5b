"""The map against analytic fields on rotated swaths: everything at its place."""

from __future__ import annotations

from importlib import import_module

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from mosart.errors import InputError
from mosart.geocoding import MapGrid, derive_grid, geocode
from mosart.geocoding.lookup import fill_table, sample_bilinear, sample_nearest
from mosart.geocoding.mapgrid import nice_size, zone
from mosart.masks import MASK_ATTRS, Flag

LOOKS = pytest.mark.parametrize("look", [1, -1])
HEADINGS = pytest.mark.parametrize("heading", [-12.0, 192.0, 100.0, 348.0])


def to_lonlat(east, north, centre):
    phi = np.radians(centre[1])
    w2 = 1 - 0.00669437999014 * np.sin(phi) ** 2
    lat = centre[1] + np.degrees(north / (6378137 * (1 - 0.00669437999014) / w2**1.5))
    lon = centre[0] + np.degrees(east / (6378137 / np.sqrt(w2) * np.cos(phi)))
    return lon, lat


def swath(
    rows=120, columns=160, *, step=(8.0, 5.0), heading=-12.0, look=1, centre=(-163.97, 54.75), relief=0
):
    """Positions of a swath, whose range spacing varies with the relief as it does over hills."""
    h = np.radians(heading)
    a = (np.arange(rows) - (rows - 1) / 2)[:, None] * step[0]
    r = (np.arange(columns) - (columns - 1) / 2)[None, :] * step[1]
    r = r + relief * np.sin(a / 90.0 + 0.3) * np.cos(r / 70.0)
    r = look * r
    east, north = a * np.sin(h) + r * np.cos(h), a * np.cos(h) - r * np.sin(h)
    return (*to_lonlat(east, north, centre), east, north)


def scene(fields: np.ndarray, lon: np.ndarray, lat: np.ndarray, mask: np.ndarray | None = None) -> xr.Dataset:
    dims = ("date", "azimuth", "range")
    mask = np.where(np.isnan(fields), int(Flag.SHADOW), 0) if mask is None else mask
    dates = np.datetime64("2019-01-15", "ns") + np.arange(len(fields)) * np.timedelta64(11, "D")
    return xr.Dataset(
        {
            "elevation_change": (dims, np.asarray(fields, np.float32), {"units": "m"}),
            "mask": (dims, mask.astype(np.uint8), MASK_ATTRS),
            "elevation_change_std": ("date", np.full(len(fields), 0.1, np.float64)),
            "longitude": (dims[1:], lon),
            "latitude": (dims[1:], lat),
        },
        coords={"date": dates},
    )


def positions(mapped: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(mapped["x"].values, mapped["y"].values)
    crs = CRS.from_wkt(mapped["spatial_ref"].attrs["crs_wkt"])
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)


def metres(lon, lat, centre):
    one = to_lonlat(np.array(1.0), np.array(1.0), centre)
    turned = (np.asarray(lon) - centre[0] + 180) % 360 - 180
    return turned / (one[0] - centre[0]), (np.asarray(lat) - centre[1]) / (one[1] - centre[1])


@LOOKS
@HEADINGS
@pytest.mark.parametrize("crs", ["utm", "geographic", "EPSG:3857"])
def test_an_analytic_field_comes_out_at_its_place(look: int, heading: float, crs: str) -> None:
    centre = (-163.97, 54.75)
    lon, lat, _, _ = swath(heading=heading, look=look, relief=15.0)
    field = 10 * np.sin((lon - centre[0]) * 2000) + 8 * np.cos((lat - centre[1]) * 1500)
    mapped = geocode(scene(field[None], lon, lat), crs=crs).compute()
    plon, plat = positions(mapped)
    truth = 10 * np.sin((plon - centre[0]) * 2000) + 8 * np.cos((plat - centre[1]) * 1500)
    error = mapped["elevation_change"].values[0] - truth
    assert np.nanmax(np.abs(error)) < 0.1  # bilinear between pixels 8 m apart; half a pixel off would be 1
    assert np.all(np.diff(mapped["y"].values) < 0)
    assert np.all(np.diff(mapped["x"].values) > 0)
    # Every cell within the swath has a value, none outside: the image covers its own area.
    cell = abs(np.diff(plon[0, :2])[0] * np.cos(np.radians(54.75)) * np.diff(plat[:2, 0])[0]) * 111_300**2
    covered = np.isfinite(error).sum() * cell / (119 * 8.0 * 159 * 5.0)
    assert covered == pytest.approx(1.0, abs=0.03)
    unseen = ~np.isfinite(error)
    assert np.array_equal(mapped["mask"].values[0] == int(Flag.NODATA), unseen)


@LOOKS
@HEADINGS
def test_a_change_ten_pixels_wide_has_its_centroid_within_half_a_cell(look: int, heading: float) -> None:
    centre = (179.9999, 51.9)
    lon, lat, east, north = swath(heading=heading, look=look, centre=centre, relief=15.0)
    place = 103.0, -61.0
    change = 20.0 * (np.hypot(east - place[0], north - place[1]) < 25.0)
    mapped = geocode(scene(change[None], lon, lat)).compute()
    values = np.nan_to_num(mapped["elevation_change"].values[0])
    x, y = np.meshgrid(mapped["x"].values, mapped["y"].values)
    crs = CRS.from_wkt(mapped["spatial_ref"].attrs["crs_wkt"])
    tx, ty = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*to_lonlat(*place, centre))
    cell = mapped["x"].values[1] - mapped["x"].values[0]
    assert abs((values * x).sum() / values.sum() - tx) < 0.5 * cell
    assert abs((values * y).sum() / values.sum() - ty) < 0.5 * cell


@LOOKS
@HEADINGS
def test_a_spike_comes_out_in_the_cell_that_contains_it(look: int, heading: float) -> None:
    lon, lat, _, _ = swath(heading=heading, look=look)
    grid = derive_grid(lon, lat, pixel_size=3.0)
    to_map = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    for row, column in [(0, 0), (17, 90), (60, 80), (119, 159), (40, 1)]:
        field = np.zeros(lon.shape)
        field[row, column] = 1.0
        x, y = to_map.transform(lon[row, column], lat[row, column])
        j, i = int((x - grid.bounds[0]) // 3.0), int((grid.bounds[3] - y) // 3.0)
        # The pixel's centre lies in this cell, whose own centre is up to 2.1 m from it.
        window = field[None]
        values = geocode(scene(window, lon, lat), grid)["elevation_change"].values[0]
        near = np.nan_to_num(values[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2])
        assert near.max() == np.nanmax(values)
        if 0 < row < 119 and 0 < column < 159:
            assert values[i, j] > 0.25
            assert np.unravel_index(np.nanargmax(values), values.shape) == pytest.approx((i, j), abs=1)


def test_a_pixel_on_a_cells_centre_gives_the_cell_its_value() -> None:
    grid = MapGrid.from_bounds("EPSG:32603", (565000, 6067000, 565100, 6067080), 10.0)
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    values = np.random.default_rng(1).normal(size=x.shape).astype(np.float64)
    mapped = geocode(scene(values[None], lon, lat), grid).compute()
    np.testing.assert_allclose(mapped["elevation_change"].values[0], values, atol=1e-3)
    assert list(mapped["x"].values[:2]) == [565005.0, 565015.0]
    assert list(mapped["y"].values[:2]) == [6067075.0, 6067065.0]
    assert grid.bounds == (565000, 6067000, 565100, 6067080)


@pytest.mark.parametrize("crs", ["utm", "geographic"])
def test_the_antimeridian_makes_one_small_grid_however_longitudes_are_written(crs: str) -> None:
    lon, lat = np.meshgrid(np.linspace(179.98, 180.02, 40), np.linspace(51.02, 50.98, 40))
    field = np.sin(lon * 900)[None]
    maps = []
    for written in (lon, (lon + 180) % 360 - 180, lon - 360, lon + 360):
        assert derive_grid(written, lat, crs=crs).shape == derive_grid(lon, lat, crs=crs).shape
        maps.append(geocode(scene(field, written, lat), crs=crs).compute())
    assert maps[0].sizes["x"] < 100
    assert maps[0].sizes["y"] < 100
    for other in maps[1:]:
        assert other.attrs == maps[0].attrs
        xr.testing.assert_allclose(other, maps[0], rtol=1e-4)
    plon, _ = positions(maps[0])
    error = maps[0]["elevation_change"].values[0] - np.sin((plon % 360) * 900)
    assert np.isfinite(error).mean() > 0.85
    assert np.nanmax(np.abs(error)) < 0.2


@pytest.mark.parametrize(
    ("centre", "crs"),
    [
        ((0.0, 89.99), "EPSG:5041"),
        ((140.0, -85.0), "EPSG:5042"),
        ((-177.1, -30.0), "EPSG:32701"),
        ((179.5, 1.0), "EPSG:32660"),
    ],
)
def test_poles_and_zones(centre: tuple[float, float], crs: str) -> None:
    assert zone(*centre) == crs
    if abs(centre[1]) < 89:
        lon, lat, east, _ = swath(centre=centre)
    else:  # a swath over the pole itself
        x, y = np.meshgrid(np.arange(-300.0, 300, 5), np.arange(300.0, -300, -5))
        lon, lat = Transformer.from_crs("EPSG:5041", "EPSG:4326", always_xy=True).transform(2e6 + x, 2e6 + y)
        east = x
    mapped = geocode(scene(east[None], lon, lat)).compute()
    assert CRS.from_wkt(mapped["spatial_ref"].attrs["crs_wkt"]).to_epsg() == int(crs[5:])
    plon, plat = positions(mapped)
    values = mapped["elevation_change"].values[0]
    truth = metres(plon, plat, centre)[0] if abs(centre[1]) < 89 else None
    if truth is None:
        truth = np.broadcast_to(mapped["x"].values - 2e6, values.shape)
    # UTM 3° from its meridian and UPS are turned and scaled; positions are compared, so neither matters.
    assert np.nanmax(np.abs(values - truth)) < 1.5
    assert np.isfinite(values).sum() > 1000


def test_gaps_keep_the_outline_of_their_pixels() -> None:
    grid = MapGrid.from_bounds("EPSG:32603", (565000, 6067000, 565400, 6067400), 1.0)
    x, y = np.meshgrid(np.arange(565005.0, 565400, 10), np.arange(6067395.0, 6067000, -10))
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    field = np.full((40, 40), 5.0)
    field[10:14, 20:23] = np.nan
    field[30, 30] = np.nan
    mapped = geocode(scene(field[None], lon, lat), grid).compute()
    values, bits = mapped["elevation_change"].values[0], mapped["mask"].values[0]
    inside = np.zeros(values.shape, bool)
    inside[5:395, 5:395] = True
    gap = np.zeros(values.shape, bool)
    gap[100:140, 200:230] = gap[300:310, 300:310] = True
    # The edge between two pixels lies on cell edges, which no cell's centre is on: exact.
    assert np.array_equal(np.isnan(values) & inside, gap)
    assert np.array_equal(bits == int(Flag.SHADOW), gap)
    assert np.nanmax(np.abs(values - 5.0)) == 0.0


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 0.6),
)
def test_values_stay_between_those_of_their_neighbours(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(9, 11))
    image[rng.random(image.shape) < share] = np.nan
    table = np.stack([rng.uniform(-0.5, 8.5, (20, 20)), rng.uniform(-0.5, 10.5, (20, 20))]).astype(np.float64)
    out = np.empty((20, 20))
    sample_bilinear(image, table, out)
    nearest = sample_nearest(image, table, 0)
    assert np.array_equal(np.isnan(out), np.isnan(nearest))
    if np.isfinite(image).any():
        assert np.nanmin(out, initial=9) >= np.nanmin(image) - 1e-12
        assert np.nanmax(out, initial=-9) <= np.nanmax(image) + 1e-12


@given(st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_the_inverse_of_the_bilinear_map(jitter: list[float], u: float, v: float) -> None:
    # A quadrilateral of 20 cells, any of whose corners may be moved.
    corners = np.array([[0, 0], [0, 20], [20, 0], [20, 20]], float) + 20 * np.array(jitter).reshape(4, 2)
    p00, p01, p10, p11 = corners + 20.0
    place = (1 - u) * (1 - v) * p00 + (1 - u) * v * p01 + u * (1 - v) * p10 + u * v * p11
    # Shift so that a cell's centre is exactly on the place.
    shift = np.round(place) - place
    grid = (corners + 20.0 + shift).reshape(2, 2, 2)
    table = np.full((2, 70, 70), np.nan, np.float64)
    fill_table(np.moveaxis(grid, -1, 0).copy(), table, np.full((70, 70), np.inf), 1e9, 1.0)
    column, row = np.round(place).astype(int)
    found = table[:, row, column]
    if np.isfinite(found).all():  # folded corners have two solutions: then any is right
        a, b = found.astype(float)
        again = (
            (1 - a) * (1 - b) * grid[0, 0]
            + (1 - a) * b * grid[0, 1]
            + a * (1 - b) * grid[1, 0]
            + a * b * grid[1, 1]
        )
        np.testing.assert_allclose(again, (column, row), atol=1e-4)
    else:
        assert min(u, v, 1 - u, 1 - v) < 1e-6


def test_of_several_pixels_over_one_place_the_unfolded_and_then_the_smallest_wins() -> None:
    # Range runs east, turns back, and runs east again: three quadrilaterals over the middle.
    x = np.array([0, 40, 80, 70, 60, 64, 68, 72, 112.0])
    y = np.array([0.0, 10, 20])
    grid = MapGrid.from_bounds("EPSG:32603", (565000, 6067000, 565112, 6067020), 1.0)
    px, py = np.meshgrid(565000 + x, 6067020 - y)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(px, py)
    field = np.broadcast_to(np.arange(9.0), px.shape)
    values = geocode(scene(field[None], lon, lat), grid)["elevation_change"].values[0]
    row = values[10]
    assert row[20] == pytest.approx(0.5, abs=0.05)  # 20.5 m: between pixels 0 and 1
    assert row[66] == pytest.approx(5 + 2.5 / 4, abs=0.05)  # 66.5 m: 40…80, folded 70…60, or 64…68: the last
    assert row[100] == pytest.approx(7 + 28.5 / 40, abs=0.05)


def test_the_work_grows_linearly() -> None:
    tried = []
    for factor in (1, 2, 4):
        n = 50 * factor
        rows, columns = np.meshgrid(np.arange(n + 1.0) * 1.9, np.arange(n + 1.0) * 1.9, indexing="ij")
        places = np.stack([columns + 0.2 * rows, rows - 0.2 * columns + 0.2 * 1.9 * n])
        size = int(1.2 * 1.9 * n) + 4
        table = np.full((2, size, size), np.nan, np.float64)
        tried.append(fill_table(places, table, np.full((size, size), np.inf), 100.0, 1.0) / n**2)
    assert max(tried) < 1.1 * min(tried)
    assert max(tried) < 12  # cells tried a pixel of 3.6 cells


def test_blocks_join_without_a_seam_and_nothing_is_computed_before_it_is_asked_for(monkeypatch) -> None:
    lon, lat, _, _ = swath(300, 400, relief=15.0)
    rng = np.random.default_rng(0)
    field = rng.normal(size=(2, 300, 400))
    field[rng.random(field.shape) < 0.1] = np.nan
    data = scene(field, lon, lat)
    whole = geocode(data)
    assert whole["elevation_change"].data.numblocks == (2, 1, 1)
    expected = whole.compute()
    monkeypatch.setattr(import_module("mosart.geocoding.to_map"), "BLOCK_CELLS", (32, 70))
    lazy = data.chunk({"date": 1, "azimuth": 37})
    parted = geocode(lazy)
    assert parted["elevation_change"].data.npartitions > 50
    assert dask.is_dask_collection(parted["mask"].data)
    with dask.config.set(scheduler="threads"):
        xr.testing.assert_allclose(parted.compute().drop_attrs(), expected.drop_attrs(), atol=1e-6)


@LOOKS
def test_one_row_is_as_high_as_the_azimuth_spacing(look: int) -> None:
    lon, lat, _, _ = swath(1, 200, look=look)
    data = scene(np.arange(200.0)[None, None], lon, lat)
    data.attrs["azimuth_spacing"] = 8.0
    mapped = geocode(data, pixel_size=1.0).compute()
    values = mapped["elevation_change"].values[0]
    assert np.isfinite(values).sum() == pytest.approx(8.0 * 199 * 5.0, rel=0.02)
    data.attrs["azimuth_spacing"] = "unknown"
    square = geocode(data, pixel_size=1.0)["elevation_change"].values[0]
    assert np.isfinite(square).sum() == pytest.approx(5.0 * 199 * 5.0, rel=0.02)
    column = geocode(scene(np.zeros((1, 150, 1)), *swath(150, 1)[:2]), pixel_size=1.0)
    assert np.isfinite(column["elevation_change"].values).sum() == pytest.approx(8 * 149 * 8, rel=0.02)


def test_what_lies_elsewhere_than_its_pixel_is_not_mapped_unasked() -> None:
    lon, lat, _, _ = swath(20, 20)
    data = scene(np.zeros((1, 20, 20)), lon, lat)
    data["elevation_change_slant"] = data["elevation_change"]
    data["elevation"] = data["elevation_change"]
    assert set(geocode(data).data_vars) == {"elevation_change", "mask", "elevation_change_std"}
    assert "elevation" in geocode(data, variables=["elevation"])
    with pytest.raises(InputError, match="amplitude"):
        geocode(data, variables=["amplitude"])
    assert "elevation_change_slant" in geocode(data.drop_vars("elevation_change"))


def test_positions_with_gaps_map_what_they_know() -> None:
    lon, lat, east, _ = swath(60, 60)
    lon[20:30, 20:30] = np.nan
    lat[:, -5:] = np.nan
    mapped = geocode(scene(east[None], lon, lat)).compute()
    plon, plat = positions(mapped)
    values = mapped["elevation_change"].values[0]
    assert np.nanmax(np.abs(values - metres(plon, plat, (-163.97, 54.75))[0])) < 0.2
    with pytest.raises(InputError, match="longitude and latitude"):
        geocode(scene(east[None], np.full_like(lon, np.nan), lat))
    with pytest.raises(InputError, match="longitude and latitude"):
        geocode(scene(east[None], lon, lat).drop_vars("longitude"))


def test_a_grid_that_makes_no_sense_is_refused() -> None:
    lon, lat, east, _ = swath(60, 60)
    for wrong in (0, -5, np.nan, (1, 2, 3), (5, -5)):
        with pytest.raises(InputError, match="pixel size"):
            derive_grid(lon, lat, pixel_size=wrong)
    with pytest.raises(InputError, match=r"absurdly large|impossible size"):
        derive_grid(lon, lat, pixel_size=0.01)
    spoilt = lon.copy()
    spoilt[0, 0] = 0.0
    with pytest.raises(InputError, match=r"absurdly large|impossible size"):
        derive_grid(spoilt, np.where(spoilt == 0, 0.0, lat), crs="geographic")
    with pytest.raises(InputError, match="unknown"):
        derive_grid(lon, lat, crs="EPSG:999999")
    with pytest.raises(InputError, match="no map"):
        derive_grid(lon, lat, crs="EPSG:4978")
    with pytest.raises(InputError, match="off the image"):
        geocode(scene(east[None], lon, lat), MapGrid.from_bounds("EPSG:32603", (0, 0, 100, 100), 10))
    with pytest.raises(InputError, match="north up"):
        MapGrid("EPSG:32603", MapGrid.from_bounds("EPSG:32603", (0, 0, 9, 9), 1).transform @ flip(), 3, 3)


def flip():
    from affine import Affine

    return Affine.scale(1, -1)


@given(st.floats(1e-6, 1e4), st.floats(-1e6, 1e6), st.floats(0, 1e3))
def test_snapped_grids_lie_on_the_lattice_and_cover_their_bounds(
    size: float, west: float, cells: float
) -> None:
    bounds = (west, -west - cells * size, west + cells * size, -west)
    grid = MapGrid.from_bounds("EPSG:32603", bounds, size)
    tolerance = 2e-6 * size + 1e-9 * abs(west)
    assert grid.bounds[0] <= bounds[0] + tolerance
    assert grid.bounds[1] <= bounds[1] + tolerance
    assert grid.bounds[2] >= bounds[2] - tolerance
    assert grid.bounds[3] >= bounds[3] - tolerance
    assert grid.width <= cells + 2
    assert abs(grid.bounds[0] / size - round(grid.bounds[0] / size)) < 1e-6 * max(1, abs(west / size) * 1e-9)


@given(st.floats(1e-7, 1e5))
def test_a_derived_size_is_near_what_was_measured(size: float) -> None:
    assert 0.85 < nice_size(size) / size < 1.18
