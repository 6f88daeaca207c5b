from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from mosart.areas import raster as module
from mosart.areas import read_raster
from mosart.errors import InputError

PLACE = (-163.97, 54.75)


def write(path, values, transform, crs, *, nodata=None, point=False):
    profile = {"driver": "GTiff", "count": 1, "height": values.shape[0], "width": values.shape[1]}
    with rasterio.open(
        path, "w", **profile, dtype=values.dtype.name, crs=crs, transform=transform, nodata=nodata
    ) as out:
        out.write(values, 1)
        if point:
            out.update_tags(AREA_OR_POINT="Point")
    return path


def plane_map(path, place, crs, cell, *, point=False, size=400):
    """A map whose value is the position of the cell's centre, linear in x and y."""
    x0, y0 = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(*place)
    transform = rasterio.Affine(cell, 0, x0 - cell * size / 2, 0, -cell, y0 + cell * size / 2)
    column, row = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    x, y = transform.a * column + transform.c, transform.e * row + transform.f
    return write(
        path, ((x - x0) / cell + 3 * (y - y0) / cell).astype(np.float64), transform, crs, point=point
    ), (x0, y0)


@pytest.mark.parametrize("point", [False, True])
@pytest.mark.parametrize(("crs", "cell"), [("EPSG:4326", 1e-4), ("EPSG:32603", 7.0), ("EPSG:3338", 7.0)])
def test_bilinear_is_exact_on_a_plane_whatever_the_system(tmp_path, make_stack, crs, cell, point):
    """The cell's centre is the same place with Area and with Point."""
    path, (x0, y0) = plane_map(tmp_path / "map.tif", PLACE, crs, cell, point=point)
    stack = make_stack(turn=40.0)
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    truth = (x - x0) / cell + 3 * (y - y0) / cell
    assert_allclose(read_raster(path, stack), truth, atol=1e-3)


@pytest.mark.parametrize("full_turn", [False, True])
@pytest.mark.parametrize("origin", [179.98, -180.02])
def test_across_the_antimeridian(tmp_path, make_stack, full_turn, origin):
    values = np.arange(400 * 400, dtype=np.float32).reshape(400, 400)
    path = write(tmp_path / "map.tif", values, rasterio.Affine(1e-4, 0, origin, 0, -1e-4, 51.02), "EPSG:4326")
    stack = make_stack((180.0, 51.0), full_turn=full_turn)
    found = read_raster(path, stack, method="nearest")
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    column = np.floor(((lon - 179.98) % 360) / 1e-4).astype(int)
    assert_array_equal(found, values[np.floor((51.02 - lat) / 1e-4).astype(int), column])


def test_no_data_stays_no_data_and_does_not_spread(tmp_path, make_stack):
    values = np.full((400, 400), 5, dtype=np.int16)
    values[150:250, 100:200] = -999
    transform = rasterio.Affine(1e-4, 0, PLACE[0] - 0.02, 0, -1e-4, PLACE[1] + 0.02)
    path = write(tmp_path / "map.tif", values, transform, "EPSG:4326", nodata=-999)
    stack = make_stack()
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    column, row = ((lon - transform.c) / 1e-4).astype(int), ((transform.f - lat) / 1e-4).astype(int)
    hole = values[row, column] == -999
    assert hole.any()
    for method in ("bilinear", "nearest"):
        found = read_raster(path, stack, method=method)
        assert_array_equal(np.isnan(found), hole)
        assert_array_equal(found[~hole], 5)


def test_outside_the_map_there_is_nothing(tmp_path, make_stack):
    stack = make_stack()
    lon = stack.dataset["longitude"].values
    transform = rasterio.Affine(1e-4, 0, PLACE[0], 0, -1e-4, PLACE[1] + 0.02)
    path = write(tmp_path / "half.tif", np.ones((400, 400), np.float32), transform, "EPSG:4326")
    assert_array_equal(np.isfinite(read_raster(path, stack)), lon >= PLACE[0])
    away = write(
        tmp_path / "away.tif", np.ones((4, 4), np.float32), rasterio.Affine(1, 0, 0, 0, -1, 4), "EPSG:4326"
    )
    with pytest.raises(InputError, match=r"away.tif has no value"):
        read_raster(away, stack)


def test_large_maps_are_read_by_windows(tmp_path, make_stack, monkeypatch):
    path, _ = plane_map(tmp_path / "map.tif", PLACE, "EPSG:32603", 7.0)
    stack = make_stack(turn=45.0)
    whole = read_raster(path, stack)
    sizes = []
    inner = module._read

    def counted(raster, window):
        sizes.append(window.width * window.height)
        return inner(raster, window)

    monkeypatch.setattr(module, "_read", counted)
    monkeypatch.setattr(module, "BLOCK", 500)
    assert_array_equal(read_raster(path, stack), whole)
    assert max(sizes) <= 500


def test_images_on_the_radar_grid(tmp_path, make_stack, caplog):
    stack = make_stack(lonlat=False)
    values = np.random.default_rng(0).random((40, 60))
    values[3, 4] = np.nan
    np.save(tmp_path / "w.npy", values)
    xr.Dataset({"w": (("a", "r"), values), "other": ("a", np.zeros(40))}).to_netcdf(
        tmp_path / "w.nc", engine="h5netcdf"
    )
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(tmp_path / "w.tif", values, rasterio.Affine.identity(), None)
    caplog.set_level("INFO")
    for name in ("w.npy", "w.nc", "w.tif"):
        assert_array_equal(read_raster(tmp_path / name, stack), values.astype(np.float32))
    assert "taken to lie on the radar grid" in caplog.text
    np.save(tmp_path / "b.npy", values > 0.5)
    assert_array_equal(read_raster(tmp_path / "b.npy", stack), values > 0.5)


def test_bad_rasters_are_refused_by_name(tmp_path, make_stack):
    stack = make_stack()
    np.save(tmp_path / "shape.npy", np.zeros((40, 61)))
    np.save(tmp_path / "complex.npy", np.zeros((40, 60), complex))
    np.save(tmp_path / "text.npy", np.full((40, 60), "a"))
    np.save(tmp_path / "object.npy", np.full((40, 60), None, dtype=object), allow_pickle=True)
    np.save(tmp_path / "nothing.npy", np.full((40, 60), np.nan))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "shape.npy").read_bytes()[:200])
    for name in ("junk.npy", "junk.tif", "junk.nc"):
        (tmp_path / name).write_bytes(b"junk")
    xr.Dataset({"a": (("y", "x"), np.zeros((40, 60))), "b": (("y", "x"), np.zeros((40, 60)))}).to_netcdf(
        tmp_path / "two.nc", engine="h5netcdf"
    )
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(tmp_path / "bare.tif", np.zeros((5, 5), np.float32), rasterio.Affine.identity(), None)
    cases = {
        "absent.tif": "does not exist", "shape.npy": "another shape", "complex.npy": "numbers",
        "text.npy": "numbers", "object.npy": "cannot be read", "nothing.npy": "no value",
        "cut.npy": "cannot be read", "junk.npy": "cannot be read", "junk.tif": "cannot be read",
        "junk.nc": "cannot be read", "two.nc": "which variable", "bare.tif": "no coordinate reference system",
    }  # fmt: skip
    for name, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            read_raster(tmp_path / name, stack)
        assert name in str(caught.value)
    path, _ = plane_map(tmp_path / "map.tif", PLACE, "EPSG:4326", 1e-4)
    with pytest.raises(InputError, match="is a map"):
        read_raster(path, make_stack(lonlat=False))


@given(st.binary(max_size=200), st.sampled_from([".tif", ".npy", ".nc"]))
def test_any_bytes_give_our_own_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"x{suffix}"
    path.write_bytes(content)
    grid = xr.Dataset({"height": (("azimuth", "range"), np.zeros((2, 3)))})
    with pytest.raises(InputError):
        read_raster(path, grid)
