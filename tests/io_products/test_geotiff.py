"""GeoTIFFs as other software reads them."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr

from mosart.errors import InputError
from mosart.geocoding import MapGrid, geocode
from mosart.io.geotiff import transform_of, write_geotiff, write_geotiffs
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.masks import MASK_ATTRS, Flag

GRID = MapGrid.from_bounds("EPSG:32660", (565000, 5760000, 568000, 5762000), 2.5)


def mapped(grid: MapGrid = GRID, dates: int = 2) -> xr.Dataset:
    """A map that geocode made, of a radar image whose pixels are the cells."""
    from pyproj import Transformer

    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    change = np.zeros((dates, *grid.shape), np.float32)
    change[:, 10, 20] = 7.0
    change[:, 30:40, 50:70] = np.nan
    dims = ("date", "azimuth", "range")
    mask = np.where(np.isnan(change), int(Flag.SHADOW), 0).astype(np.uint8)
    data = xr.Dataset(
        {
            "elevation_change": (dims, change, {"long_name": "elevation change", "units": "m"}),
            "mask": (dims, mask, MASK_ATTRS),
            "elevation_change_std": ("date", np.linspace(0.25, 1, dates)),
            "longitude": (dims[1:], lon),
            "latitude": (dims[1:], lat),
        },
        coords={"date": np.datetime64("2019-01-15", "ns") + np.arange(dates) * np.timedelta64(1, "D")},
    )
    return geocode(data, grid)


def test_files_carry_crs_nodata_units_overviews_and_every_value(tmp_path: Path) -> None:
    data = mapped()
    done: list[tuple[int, int]] = []
    paths = write_geotiffs(
        data, tmp_path / "geotiff", tags={"method": "test"}, progress=lambda *a: done.append(a)
    )
    assert [path.name for path in paths] == [
        "elevation_change_20190115.tif",
        "elevation_change_20190116.tif",
        "mask_20190115.tif",
        "mask_20190116.tif",
    ]
    assert sorted(p.name for p in (tmp_path / "geotiff").iterdir()) == sorted(p.name for p in paths)
    assert done[-1][0] == done[-1][1]
    with rasterio.open(paths[0]) as file:
        assert file.crs.to_epsg() == 32660
        assert np.isnan(file.nodata)
        assert file.units == ("m",)
        assert file.descriptions == ("elevation change",)
        assert file.tags()["date"] == "2019-01-15"
        assert file.tags()["elevation_change_std"] == "0.25"
        assert file.tags()["method"] == "test"
        assert file.tags()["AREA_OR_POINT"] == "Area"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1)
        values = file.read(1)
        np.testing.assert_array_equal(values, data["elevation_change"].values[0])
        # The half pixel: the spike's cell, found by its centre's coordinate.
        row, column = file.index(GRID.x[20], GRID.y[10])
        assert (row, column) == (10, 20)
        x, y = file.xy(10, 20)
        assert abs(x - GRID.x[20]) < 1e-9 * 2.5
        assert abs(y - GRID.y[10]) < 1e-9 * 2.5
    with rasterio.open(paths[2]) as file:
        assert file.nodata == 255
        assert file.tags()["flag_meanings"] == MASK_ATTRS["flag_meanings"]
        np.testing.assert_array_equal(file.read(1), data["mask"].values[0])
        # Overviews of bits are bits that exist, never their mean.
        small = file.read(1, out_shape=(file.height // 4, file.width // 4))
        assert set(np.unique(small)) <= {0, int(Flag.SHADOW), int(Flag.NODATA)}


def test_the_cells_are_the_same_in_netcdf_and_geotiff(tmp_path: Path) -> None:
    grid = MapGrid.from_bounds("EPSG:4326", (179.98, 51.0, 180.02, 51.02), (1e-4, 7e-5))
    data = mapped(grid, 1)
    write_dataset(data, tmp_path / "map.nc")
    stored = open_dataset(tmp_path / "map.nc")
    (path,) = write_geotiffs(stored, tmp_path, variables=["elevation_change"])
    with rasterio.open(path) as file, xr.open_dataset(tmp_path / "map.nc", decode_coords="all") as other:
        assert file.crs.to_epsg() == 4326
        assert other.rio.crs.to_epsg() == 4326
        for index in (0, 7, file.width - 1):
            x, _ = file.xy(0, index)
            assert abs(x - other["x"].values[index]) < 1e-9 * 1e-4 + 1e-13
        np.testing.assert_array_equal(file.read(1), other["elevation_change"].values[0])
        assert other["y"].values[0] > other["y"].values[-1]
        assert other["x"].attrs["standard_name"] == "longitude"
    stored.close()


def test_the_transform_without_the_grid_mappings_own_is_that_of_the_centres() -> None:
    data = mapped()["elevation_change"].isel(date=0)
    assert transform_of(data) == GRID.transform
    bare = data.drop_vars("spatial_ref")
    assert transform_of(bare).almost_equals(GRID.transform, 1e-6)
    with pytest.raises(InputError, match="cell size"):
        transform_of(bare.isel(x=[0]))


def test_what_is_lazy_is_streamed_and_computed_once(tmp_path: Path) -> None:
    seen: list[int] = []
    data = mapped()["elevation_change"].isel(date=0)

    def block(part: np.ndarray, block_info=None) -> np.ndarray:
        if part.size:
            seen.append(part.shape[0])
        return part

    lazy = data.copy(
        data=da.from_array(data.values, chunks=(100, 1200)).map_blocks(
            block, dtype=np.float32, meta=np.empty((0, 0), np.float32)
        )
    )
    write_geotiff(lazy, tmp_path / "a.tif")
    assert sorted(seen) == [100] * 8
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(1), data.values)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    data = mapped()["elevation_change"].isel(date=0)
    write_geotiff(data, tmp_path / "a.tif")
    before = (tmp_path / "a.tif").read_bytes()

    def fail(part: np.ndarray) -> np.ndarray:
        raise RuntimeError("disk on fire")

    broken = data.copy(
        data=da.from_array(data.values, chunks=(100, 1200)).map_blocks(
            fail, dtype=np.float32, meta=np.empty((0, 0), np.float32)
        )
    )
    with pytest.raises(RuntimeError, match="fire"):
        write_geotiff(broken, tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_what_cannot_become_a_geotiff_is_refused(tmp_path: Path) -> None:
    data = mapped()
    with pytest.raises(InputError, match="slope"):
        write_geotiffs(data, tmp_path, variables=["slope"])
    with pytest.raises(InputError, match="grid mapping"):
        write_geotiff(data["elevation_change"].isel(date=0).drop_vars("spatial_ref"), tmp_path / "a.tif")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        write_geotiffs(data, tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
