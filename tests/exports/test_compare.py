"""Comparison of results with what is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from mosart.areas import read_areas
from mosart.change import ElevationChange
from mosart.compare import compare, table
from mosart.errors import InputError
from mosart.io.geotiff import write_geotiff
from mosart.report.comparison import write_comparison

Maker = Callable[..., ElevationChange]


def shifted(change: ElevationChange, offset: float, noise: float = 0.0) -> ElevationChange:
    values = change.dataset["elevation_change"]
    errors = offset + noise * np.random.default_rng(11).normal(0, 1, values.shape)
    return ElevationChange(change.dataset.assign(elevation_change=values.copy(data=values.values + errors)))


def test_equal_results_differ_by_nothing(mapped: Maker) -> None:
    change = mapped()
    for one in compare(change, change):
        assert (one.median, one.nmad, one.rmse, one.share) == (0.0, 0.0, 0.0, 1.0)
        assert one.coverage(0.68) == 1.0


def test_numbers_are_those_of_the_noise(mapped: Maker) -> None:
    change = mapped(shape=(120, 150), per_pixel=True, noise=0.5)
    noisy = shifted(change, 0.3, np.sqrt(0.5))  # the variance that two bars of 0.5 m make
    for one in compare(change, noisy):
        assert one.median == pytest.approx(-0.3, abs=0.02)
        assert one.nmad == pytest.approx(np.sqrt(0.5), rel=0.03)
        assert one.rmse == pytest.approx(np.hypot(0.3, np.sqrt(0.5)), rel=0.03)
    unbiased = compare(change, shifted(change, 0.0, np.sqrt(0.5)))[0]
    for level in (0.68, 0.9, 0.95):
        assert unbiased.coverage(level) == pytest.approx(level, abs=0.015)


def test_a_raster_on_another_grid_and_in_degrees(mapped: Maker, tmp_path: Path) -> None:
    """A plane in UTM coordinates, sampled finely in degrees, comes back as the plane."""
    change = mapped()
    step, west, north = 0.00004, -163.9740, 54.7560
    lon, lat = np.meshgrid(west + step * (np.arange(300) + 0.5), north - step * (np.arange(150) + 0.5))
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32603", always_xy=True).transform(lon, lat)
    plane = 2 * (0.05 * ((6_068_000.0 - y) / 10 - 0.5) - 0.02 * ((x - 566_000.0) / 10 - 0.5))
    with rasterio.open(
        tmp_path / "dod.tif", "w", driver="GTiff", width=300, height=150, count=1, dtype="float32",
        crs="EPSG:4326", transform=Affine(step, 0, west, 0, -step, north),
    ) as file:  # fmt: skip
        file.write(plane.astype(np.float32), 1)
    one = compare(change, tmp_path / "dod.tif")[0]
    inner = np.abs(one.difference[10:-2, 13:-2])
    assert one.date == dt.date(2021, 3, 23)
    assert one.share > 0.9
    assert np.nanmax(inner) < 0.01  # a cell of misplacement would be 0.1 down and 0.04 across


def test_half_a_cell_is_not_lost(mapped: Maker, tmp_path: Path) -> None:
    change = mapped()
    write_geotiff(change.dataset["elevation_change"].isel(date=-1), tmp_path / "same.tif")
    one = compare(change, tmp_path / "same.tif")[0]
    assert np.nanmax(np.abs(one.difference)) == 0.0


def test_areas_are_compared_by_themselves(mapped: Maker) -> None:
    change = mapped()
    box = read_areas([{"name": "part", "lonlat": [-163.9715, 54.7528, -163.969, 54.7545]}])
    found = compare(change, shifted(change, 1.0), areas=box)
    assert [one.name for one in found[:2]] == ["all", "part"]
    assert 0 < found[1].errors.size < found[0].errors.size
    assert found[1].median == pytest.approx(-1.0, abs=1e-5)


def test_results_are_written(mapped: Maker, tmp_path: Path) -> None:
    change = mapped()
    found = compare(change, shifted(change, 1.0))
    files = write_comparison(found, change.dataset, tmp_path / "comparison")
    assert [path.name for path in files][:2] == ["comparison.csv", "comparison_20210301.png"]
    read = pd.read_csv(files[0])
    np.testing.assert_allclose(read["median_m"], -1.0, atol=1e-5)
    assert list(read.columns) == list(table(found).columns)


def test_what_cannot_be_compared_is_refused(mapped: Maker, tmp_path: Path) -> None:
    change = mapped()
    with pytest.raises(InputError, match="no date to compare"):
        compare(change, mapped(dates=("2022-01-01",), reference="20220101"))
    with pytest.raises(InputError, match="no ground in common"):
        compare(change, mapped(west=700_000.0))
    with pytest.raises(InputError, match="cannot be read as a raster"):
        compare(change, tmp_path / "missing.tif")
    with rasterio.open(
        tmp_path / "bare.tif", "w", driver="GTiff", width=2, height=2, count=2, dtype="float32",
        transform=Affine(1, 0, 0, 0, -1, 2),
    ) as file:  # fmt: skip
        file.write(np.zeros((2, 2, 2), np.float32))
    with pytest.raises(InputError, match="cannot be compared"):
        compare(change, tmp_path / "bare.tif")
