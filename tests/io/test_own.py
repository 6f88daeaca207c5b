"""Our own netCDF and Zarr: what is written is read back."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.io import netcdf, open_stack, zarr
from mosart.stack import Stack

FlatFile = Callable[..., Path]
both = pytest.mark.parametrize("writer", [netcdf, zarr])


def make_stack(seed: int, dates: int, rows: int, columns: int, *, extras: bool) -> Stack:
    rng = np.random.default_rng(seed)
    cube, plane = ("date", "azimuth", "range"), ("azimuth", "range")
    amplitude = rng.gamma(1, 1, (dates, rows, columns)).astype("f4")
    mask = rng.integers(0, 64, amplitude.shape).astype(np.uint8) & ~np.uint8(8)
    gap = rng.random(amplitude.shape) < 0.1
    gap[:, 0, 0] = False
    amplitude[gap], mask[gap] = np.nan, mask[gap] | 8
    height = rng.normal(500, 100, (rows, columns))
    variables: dict[str, Any] = {
        "amplitude": (cube, amplitude),
        "mask": (cube, mask, {"flag_masks": np.array([1, 2, 4, 8, 16, 32], np.uint8)}),
        "height": (plane, height),
        "longitude": (plane, rng.uniform(-180, 180, height.shape)),
        "latitude": (plane, rng.uniform(-90, 90, height.shape)),
    }
    attrs: dict[str, Any] = {"sensor": "simulated", "heading": -12.25, "incidence_angle": 38.5}
    times = np.datetime64("2019-01-01", "ns") + np.arange(dates) * np.timedelta64(11, "D")
    if extras:
        variables["incidence_angle"] = (plane, rng.uniform(30, 40, height.shape))
        variables["acquisition_time"] = ("date", times + np.timedelta64(123456789, "ns"))
        variables["noise_floor"] = ("date", rng.random(dates))
        variables["orbit"] = (("date", "state", "component"), rng.normal(size=(dates, 3, 6)))
        variables["polarisations"] = ("date", np.array([f"V{'H' * i}" for i in range(dates)], object))
    coords = {"date": times, "azimuth": np.arange(7, 7 + rows), "range": np.arange(3, 3 + columns)}
    return Stack(xr.Dataset(variables, coords, attrs))


@both
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(
    seed=st.integers(0, 1000),
    dates=st.integers(1, 3),
    rows=st.integers(1, 150),
    columns=st.integers(1, 40),
    blocks=st.integers(1, 80),
    extras=st.booleans(),
)
def test_stack_round_trip(
    tmp_path: Path, writer: Any, *, seed: int, dates: int, rows: int, columns: int, blocks: int, extras: bool
) -> None:
    stack = make_stack(seed, dates, rows, columns, extras=extras)
    lazy = Stack(stack.dataset.chunk(date=1, azimuth=blocks))
    path = tmp_path / "stack.own"
    writer.write_stack(lazy, path)
    again = open_stack(path, minimum_dates=1).dataset.compute()
    xr.testing.assert_equal(again, stack.dataset)
    for name in ("amplitude", "mask", "height"):
        assert again[name].dtype == stack.dataset[name].dtype
    for name, value in stack.dataset.attrs.items():
        assert again.attrs[name] == value
    np.testing.assert_array_equal(again["mask"].attrs["flag_masks"], [1, 2, 4, 8, 16, 32])
    assert again["mask"].attrs["flag_masks"].dtype == np.uint8


@both
def test_result_with_scalars_text_and_grid_mapping(tmp_path: Path, writer: Any) -> None:
    change = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("f4")
    change[0, 1, 2] = np.nan
    result = xr.Dataset(
        {
            "elevation_change": (("date", "y", "x"), change, {"grid_mapping": "spatial_ref"}),
            "averaged_dates": ("date", ["20190101,20190102", "20200101"]),
            "valid": (("y", "x"), change[0] > 0),
            "spatial_ref": ((), 0, {"crs_wkt": "GEOGCRS[…]", "note": None, "exact": True}),
        },
        {"date": np.array(["2019-01-02", "2020-01-01"], "M8[ns]"), "y": np.arange(5.0), "x": np.arange(6.0)},
        {"method": "rowwise", "reference_dates": ["20190101", "20190102"]},
    )
    writer.write_dataset(result, tmp_path / "map.own")
    again = writer.open_dataset(tmp_path / "map.own")
    xr.testing.assert_equal(again.compute(), result.assign(valid=result["valid"].astype("u1")))
    assert again.attrs["Conventions"] == "CF-1.11"
    assert again.attrs["reference_dates"] == "20190101,20190102"
    assert again["elevation_change"].attrs["units"] == "m"
    assert again["elevation_change"].attrs["grid_mapping"] == "spatial_ref"
    assert again["elevation_change"].chunks is not None


def test_others_read_our_netcdf(tmp_path: Path) -> None:
    stack = make_stack(1, 2, 9, 8, extras=True)
    netcdf.write_stack(stack, tmp_path / "stack.nc")
    with xr.open_dataset(tmp_path / "stack.nc", engine="h5netcdf") as theirs:
        np.testing.assert_array_equal(theirs["amplitude"], stack.dataset["amplitude"])
        np.testing.assert_array_equal(theirs["date"], stack.dataset["date"])
        assert theirs["longitude"].attrs["units"] == "degrees_east"
        assert theirs["mask"].dtype == np.uint8


def test_others_read_our_zarr(tmp_path: Path) -> None:
    stack = make_stack(1, 2, 9, 8, extras=True)
    zarr.write_stack(stack, tmp_path / "stack.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = xr.open_zarr(tmp_path / "stack.zarr", consolidated=False)
    np.testing.assert_array_equal(theirs["amplitude"], stack.dataset["amplitude"])
    np.testing.assert_array_equal(theirs["acquisition_time"], stack.dataset["acquisition_time"])


@both
def test_each_block_is_computed_once_and_progress_is_told(tmp_path: Path, writer: Any) -> None:
    seen: list[tuple[int, ...]] = []

    def compute(block: Any, block_info: Any = None) -> Any:
        seen.append(tuple(block_info[0]["chunk-location"]))
        return block + 1

    source = da.zeros((3, 100, 30), chunks=(1, 37, 30), dtype="f4")
    lazy = source.map_blocks(compute, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    dataset = xr.Dataset(
        {"one": (("date", "azimuth", "range"), lazy), "two": (("date", "azimuth", "range"), lazy * 2)}
    )
    steps: list[tuple[int, int]] = []
    writer.write_dataset(dataset, tmp_path / "x.own", progress=lambda a, b: steps.append((a, b)))
    assert len(seen) == len(set(seen)) == 9
    assert steps == [(37, 100), (74, 100), (100, 100)]
    again = writer.open_dataset(tmp_path / "x.own")
    assert (again["one"] == 1).all()
    assert (again["two"] == 2).all()


@both
@pytest.mark.parametrize("missing", ["amplitude", "height", "latitude", "date"])
def test_parts_that_are_missing_are_named(tmp_path: Path, writer: Any, missing: str) -> None:
    dataset = make_stack(2, 2, 6, 5, extras=False).dataset.drop_vars(missing)
    writer.write_dataset(dataset, tmp_path / "x.own")
    with pytest.raises(InputError, match=missing if missing != "amplitude" else "amplitude|dem"):
        open_stack(tmp_path / "x.own")


@both
def test_values_are_checked(tmp_path: Path, writer: Any) -> None:
    dataset = make_stack(2, 3, 6, 5, extras=False).dataset
    dataset["amplitude"][1] = -5.0
    writer.write_dataset(dataset, tmp_path / "negative.own")
    with pytest.raises(InputError, match="negative"):
        open_stack(tmp_path / "negative.own")
    writer.write_dataset(dataset.drop_vars("mask").isel(date=[0, 2]), tmp_path / "maskless.own")
    stack = open_stack(tmp_path / "maskless.own")
    np.testing.assert_array_equal(stack.dataset["mask"], np.where(np.isnan(stack.dataset["amplitude"]), 8, 0))


def test_truth_values_are_no_amplitudes(tmp_path: Path) -> None:
    dataset = make_stack(2, 2, 6, 5, extras=False).dataset
    netcdf.write_dataset(dataset, tmp_path / "x.nc")
    with h5py.File(tmp_path / "x.nc", "r+") as file:
        text = file["amplitude"][:].astype("S4")
        file.move("amplitude", "was")
        new = file.create_dataset("amplitude", data=text)
        for index, dim in enumerate(("date", "azimuth", "range")):
            new.dims[index].attach_scale(file[dim])
    with pytest.raises(InputError, match="amplitude"):
        open_stack(tmp_path / "x.nc")
