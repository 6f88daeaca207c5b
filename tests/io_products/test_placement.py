"""The half pixel: what stands on one point of the ground stands in the map cell that holds it, everywhere."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer

from mosart.change import ElevationChange
from mosart.geocoding import geocode
from mosart.io import zarr
from mosart.io.geotiff import write_geotiffs
from mosart.io.mintpy_export import write_mintpy
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.masks import MASK_ATTRS
from mosart.report.page import build, facts
from mosart.simulate import Terrain, simulate

SPIKE = 50.0


def spiky(look: str, heading: float, crs_at: tuple[float, float]) -> tuple[xr.Dataset, float, float]:
    """A result that is zero but for one pixel, on the grid of a simulated image; and that pixel's place."""
    terrain = Terrain.flat(400.0, 400.0, 2.0, longitude=crs_at[0], latitude=crs_at[1])
    terrain = terrain.plus(200.0)  # level ground: the pixels around the spike are all alike
    simulation = simulate(
        terrain, {dt.date(2020, 1, 1): None}, shape=(50, 90), look_direction=look, heading=heading
    )
    source = simulation.stack.dataset
    row, column = 17, 62
    change = np.zeros((1, 50, 90), np.float32)
    change[0, row, column] = SPIKE
    dims = ("date", "azimuth", "range")
    data = xr.Dataset(
        {
            "elevation_change": (dims, change, {"units": "m"}),
            "elevation_change_std": ("date", np.ones(1, np.float32), {"units": "m"}),
            "mask": (dims, np.zeros(change.shape, np.uint8), MASK_ATTRS),
            "longitude": source["longitude"],
            "latitude": source["latitude"],
        },
        coords={"date": source["date"]},
        attrs={"method": "rowwise", "reference_dates": "20191201"},
    )
    place = [float(source[name].values[row, column]) for name in ("longitude", "latitude")]
    return data, place[0], place[1]


@pytest.mark.parametrize("look", ["right", "left"])
@pytest.mark.parametrize("heading", [349.0, 191.0], ids=["ascending", "descending"])
@pytest.mark.parametrize("place", [(-163.97, 54.75), (180.0, -37.5)], ids=["okmok", "180°"])
def test_a_spike_is_in_the_cell_that_holds_it(
    look: str, heading: float, place: tuple[float, float], tmp_path: Path
) -> None:
    data, lon, lat = spiky(look, heading, place)
    radar = ElevationChange(data)
    write_dataset(geocode(radar, pixel_size=0.5), tmp_path / "elevation_change.nc")
    with open_dataset(tmp_path / "elevation_change.nc") as mapped:
        zarr.write_dataset(mapped, tmp_path / "elevation_change.zarr")
        (tif, *_) = write_geotiffs(mapped, tmp_path / "geotiff", variables=["elevation_change"])
        series, _ = write_mintpy(ElevationChange(mapped), tmp_path / "mintpy")
        page = build.render({}, mapped, tables=facts.Tables()).decode()
    with xr.open_dataset(tmp_path / "elevation_change.nc", decode_coords="all") as stored:
        x, y = Transformer.from_crs(
            "EPSG:4326", stored["spatial_ref"].attrs["crs_wkt"], always_xy=True
        ).transform(lon, lat)
        centres = stored["x"].values, stored["y"].values
        cell = int(np.argmin(np.abs(centres[1] - y))), int(np.argmin(np.abs(centres[0] - x)))
        assert abs(centres[0][cell[1]] - x) <= 0.25
        assert abs(centres[1][cell[0]] - y) <= 0.25
        assert centres[1][0] > centres[1][-1]  # north up
        image = stored["elevation_change"].values[0].astype(np.float64)
    # Between the pixel and its neighbours the map interpolates: the spike is a roof around its place.
    roof = np.where(image > 0.0, image, 0.0)
    assert roof[cell] > 0.6 * SPIKE
    middle = [float((roof * axis).sum() / roof.sum()) for axis in (centres[0][None], centres[1][:, None])]
    assert middle == pytest.approx([x, y], abs=0.02)
    with xr.open_zarr(tmp_path / "elevation_change.zarr") as other:
        np.testing.assert_array_equal(other["elevation_change"].values[0], image)
        np.testing.assert_array_equal(other["x"].values, centres[0])
    with rasterio.open(tif) as file:
        assert file.index(x, y) == cell
        np.testing.assert_array_equal(file.read(1), image)
        assert file.xy(*cell) == pytest.approx((centres[0][cell[1]], centres[1][cell[0]]), abs=3e-9)
    with h5py.File(series) as file:
        attrs = {name: float(file.attrs[name]) for name in ("X_FIRST", "Y_FIRST", "X_STEP", "Y_STEP")}
        there = int((y - attrs["Y_FIRST"]) / attrs["Y_STEP"]), int((x - attrs["X_FIRST"]) / attrs["X_STEP"])
        assert there == cell
        np.testing.assert_array_equal(file["timeseries"][-1], image)
    meta = json.loads(re.search(r'id="meta0">(.*?)</script>', page)[1])  # type: ignore[index]
    assert meta["x0"] + cell[1] * meta["dx"] == pytest.approx(centres[0][cell[1]], abs=1e-6)
    assert meta["y0"] + cell[0] * meta["dy"] == pytest.approx(centres[1][cell[0]], abs=1e-6)
    series, geometry = write_mintpy(radar, tmp_path / "mintpy")
    with h5py.File(series) as file, h5py.File(geometry) as places:
        pixel = np.unravel_index(np.nanargmax(file["timeseries"][-1]), (50, 90))
        assert (places["longitude"][pixel], places["latitude"][pixel]) == pytest.approx((lon, lat), abs=1e-4)
