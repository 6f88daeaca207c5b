"""Files for MintPy: its layout, numbers and places; MintPy itself opens them in `make test-clients`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mosart.change import ElevationChange
from mosart.io.mintpy_export import write_mintpy

Maker = Callable[..., ElevationChange]


def test_series_and_geometry(mapped: Maker, tmp_path: Path) -> None:
    change = mapped()
    files = write_mintpy(change, tmp_path)
    assert [path.name for path in files] == ["timeseries.h5", "geometryGeo.h5"]
    with h5py.File(files[0]) as file:
        assert file.attrs["FILE_TYPE"] == "timeseries"
        assert (file.attrs["UNIT"], file.attrs["UTM_ZONE"], file.attrs["EPSG"]) == ("m", "3N", "32603")
        assert [d.decode() for d in file["date"]] == ["20210301", "20210312", "20210323"]
        assert file.attrs["REF_DATE"] == "20210301"
        np.testing.assert_array_equal(file["timeseries"], change.dataset["elevation_change"].values)
        # the spike's cell: its centre, from the corner that MintPy starts from
        x = float(file.attrs["X_FIRST"]) + 11.5 * float(file.attrs["X_STEP"])
        y = float(file.attrs["Y_FIRST"]) + 7.5 * float(file.attrs["Y_STEP"])
    spike = change.dataset["elevation_change"].isel(date=-1, y=7, x=11)
    assert (x, y) == pytest.approx((float(spike["x"]), float(spike["y"])), abs=1e-6)
    with h5py.File(files[1]) as file:
        assert file.attrs["FILE_TYPE"] == "geometry"
        assert file["shadowMask"][0, :4].tolist() == [True, True, True, False]
        assert file["waterMask"][1, :4].tolist() == [False, False, False, True]
        assert file["height"].shape == (40, 50)


def test_an_earlier_reference_is_added_with_no_change(mapped: Maker, tmp_path: Path) -> None:
    change = mapped(dates=("2021-03-12",), reference="20210201,20210212")
    with h5py.File(write_mintpy(change, tmp_path)[0]) as file:
        assert [d.decode() for d in file["date"]] == ["20210212", "20210312"]
        assert file.attrs["REF_DATE"] == "20210212"
        first = file["timeseries"][0]
        assert set(np.unique(first[np.isfinite(first)])) == {0.0}
        np.testing.assert_array_equal(file["timeseries"][1], change.dataset["elevation_change"].values[0])


def test_no_reference_is_made_up(mapped: Maker, tmp_path: Path) -> None:
    change = mapped(reference="20210301,20210312")
    with h5py.File(write_mintpy(change, tmp_path)[0]) as file:
        assert "REF_DATE" not in file.attrs
        assert file["timeseries"].shape[0] == 3


def test_standard_errors(mapped: Maker, tmp_path: Path) -> None:
    one = write_mintpy(mapped(), tmp_path / "one")
    with h5py.File(one[0]) as file:
        assert file.attrs["ELEVATION_CHANGE_STD"] == "0.1,0.1,0.1"
    every = write_mintpy(mapped(per_pixel=True), tmp_path / "every")
    assert [path.name for path in every] == ["timeseries.h5", "timeseriesStd.h5", "geometryGeo.h5"]
    with h5py.File(every[1]) as file:
        np.testing.assert_allclose(file["timeseries"], 0.1)


def test_across_180_degrees_and_other_systems(
    mapped: Maker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    degrees = mapped(crs="EPSG:4326", west=179.999, north=51.0, size=0.0001)
    with h5py.File(write_mintpy(degrees, tmp_path / "a")[0]) as file:
        assert (file.attrs["X_UNIT"], file.attrs["EPSG"]) == ("degrees", "4326")
        assert float(file.attrs["X_FIRST"]) == pytest.approx(179.999)
        assert "UTM_ZONE" not in file.attrs
    polar = mapped(crs="EPSG:3413", west=0.0, north=-1_000_000.0)
    with caplog.at_level(logging.WARNING):
        write_mintpy(polar, tmp_path / "b")
    assert "MintPy knows maps in degrees and in UTM" in caplog.text
