"""The products as the field's own checkers and readers judge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from mosart.geocoding import geocode
from mosart.inversion import invert
from mosart.inversion.synthesis.told import DATED
from mosart.io.netcdf import write_dataset
from mosart.simulate import collapse
from mosart.workflow.outputs import export


def test_the_conventions_checker_finds_no_error_and_only_the_warning_that_is_explained(
    products: Path, judge: Callable[[list[Path]], list[str]]
) -> None:
    assert judge([products / "radar.nc", products / "elevation_change.nc"]) == []


def test_what_synthesis_tells_of_itself_keeps_the_conventions_too(
    judge: Callable[[list[Path]], list[str]], tmp_path: Path
) -> None:
    simulation = collapse(shape=(60, 160), before=2, after=1)
    dates = simulation.stack.dates
    change = invert(simulation.stack, "synthesis", dates[:1], frame=simulation.frame)
    told = {"title": "a test", "history": "2026-01-01T00:00:00Z made for a test"}  # which a run writes
    write_dataset(change.dataset.assign_attrs(told), tmp_path / "radar.nc")
    write_dataset(geocode(change).assign_attrs(told), tmp_path / "elevation_change.nc")
    assert judge([tmp_path / "radar.nc", tmp_path / "elevation_change.nc"]) == []
    for name in ("radar.nc", "elevation_change.nc"):
        with xr.open_dataset(tmp_path / name) as data:
            for number in DATED:
                assert data[number].dims == ("date",)
                assert data[number].attrs["units"] == DATED[number]["units"]
                assert np.isnan(data[number].values[0])  # the reference itself
            assert np.isfinite(data["noise_rescaling"].values[1:]).all()


def test_geotiffs_are_strictly_cloud_optimised_and_carry_what_they_are(products: Path) -> None:
    files = sorted((products / "geotiff").glob("*.tif"))
    quantities = {path.stem.rsplit("_", 1)[0] for path in files}
    assert quantities == {"elevation_change", "mask", "measured_amplitude"}
    assert len(files) == 2 * len(quantities)
    for path in files:
        valid, faults, warnings = cog_validate(path, strict=True, quiet=True)
        assert valid, (path.name, faults, warnings)
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 32603
            assert file.nodata is not None
            unit = {"elevation": "m", "measured": "1", "mask": None}[path.stem.split("_")[0]]
            assert file.units == (unit,)
            assert file.descriptions[0]
            assert file.tags()["reference_dates"]
            assert "sha256" in file.tags()["input_hashes"]
            assert file.transform.e < 0 < file.transform.a  # north up


def test_plain_xarray_finds_system_times_bounds_and_what_belongs_together(products: Path) -> None:
    with xr.open_dataset(products / "elevation_change.nc", decode_coords="all") as data:
        assert data["spatial_ref"].attrs["crs_wkt"]
        assert data["elevation_change"].encoding["grid_mapping"] == "spatial_ref"
        assert data["elevation_change"].attrs["ancillary_variables"] == "elevation_change_std mask"
        assert data["date"].dtype.kind == "M"
        bounds = data["date_bounds"].values.astype("datetime64[D]")
        averaged = [text.split(",") for text in data["averaged_dates"].values]
        assert [len(dates) for dates in averaged] == [1, 2]
        for (first, after), dates, date in zip(bounds, averaged, data["date"].values, strict=True):
            assert f"{first.item():%Y%m%d}" == dates[0]
            assert f"{(after - 1).item():%Y%m%d}" == dates[-1]
            assert first <= date < after
        for name in ("software_version", "config", "input_hashes", "references", "history"):
            assert data.attrs[name]
        assert json.loads(data.attrs["config"])["method"] == data.attrs["method"]
    with xr.open_dataset(products / "radar.nc", decode_coords="all") as data:
        assert data["elevation_change_slant"].attrs["ancillary_variables"] == "mask"
        assert {"longitude", "latitude"} <= set(data["elevation_change"].coords)
        assert (data["measured_amplitude"] > 0).any()


@pytest.mark.parametrize("name", ["elevation_change", "radar"])
def test_zarr_holds_the_same(products: Path, name: str) -> None:
    written = export(products, "zarr")
    assert products / f"{name}.zarr" in written
    with (
        xr.open_zarr(products / f"{name}.zarr", decode_coords="all") as one,
        xr.open_dataset(products / f"{name}.nc", decode_coords="all") as other,
    ):
        xr.testing.assert_identical(one.load().drop_encoding(), other.load().drop_encoding())


def test_geotiffs_are_made_again_as_they_were(products: Path) -> None:
    def values() -> dict[str, np.ndarray]:
        found = {}
        for path in sorted((products / "geotiff").glob("*.tif")):
            with rasterio.open(path) as file:
                found[path.name] = file.read(1)
        return found

    before = values()
    assert sorted(path.name for path in export(products, "geotiff")) == sorted(before)
    for name, image in values().items():
        np.testing.assert_array_equal(image, before[name])


def test_a_point_and_a_map_each_unpack_little_more_than_they_are(products: Path) -> None:
    """Chunks of one date and a few rows: a date's map is whole chunks, a point's series small ones."""
    with xr.open_dataset(products / "elevation_change.nc") as data:
        variable = data["elevation_change"]
        chunks = variable.encoding["chunksizes"]
        assert chunks[0] == 1
        assert np.prod(chunks) * variable.dtype.itemsize <= 2**17
