from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.flat import write_flat
from mosart.masks import Flag

FlatFile = Callable[..., Path]


def test_what_is_in_the_file_is_in_the_stack(flat_file: FlatFile, content: dict[str, Any]) -> None:
    stack = open_stack(flat_file({"grad": np.gradient(content["dem"], axis=1)}, compression="gzip"))
    assert stack.dates == (dt.date(2019, 1, 15), dt.date(2019, 2, 6))
    data = stack.dataset.compute()
    np.testing.assert_array_equal(data["amplitude"][1], content["20190206"])
    for ours, theirs in (("height", "dem"), ("longitude", "lon"), ("latitude", "lat")):
        np.testing.assert_array_equal(data[ours], content[theirs])
        assert data[ours].dtype == np.float64
    np.testing.assert_allclose(data["gradient"], np.gradient(content["dem"], axis=1))
    assert (data["mask"] == 0).all()
    assert (data["mask"].dtype, data["amplitude"].dtype) == (np.uint8, np.float32)
    assert stack.dataset.attrs["dem_vertical_datum"] == "unknown"


def test_nothing_is_loaded_by_opening(flat_file: FlatFile) -> None:
    stack = open_stack(flat_file())
    assert all(stack.dataset[name].chunks for name in ("amplitude", "height", "longitude", "mask"))


def test_longitude_and_latitude_may_be_missing_both(flat_file: FlatFile) -> None:
    assert not open_stack(flat_file({"lon": None, "lat": None})).has_lonlat
    with pytest.raises(InputError, match="no `lat`"):
        open_stack(flat_file({"lat": None}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dem": None}, "dem"),
        ({"20190115": None, "20190206": None}, "no image"),
        ({"20190206": None}, "20190115"),
        ({"20190206": np.ones((12, 19))}, "20190206"),
        ({"20190206": np.ones((3, 12, 20))}, "20190206"),
        ({"20190206": 3.0}, "20190206"),
        ({"dem": np.ones((20, 12))}, "shape"),
        ({"dem": np.array([["a"] * 20] * 12, dtype="S1")}, "dem"),
        ({"lon": np.ones((1, 20))}, "lon"),
        ({"20190230": np.ones((12, 20))}, "20190230"),
        ({"20190230": 1.0}, "20190230"),
        ({"2019-02-07": np.ones((12, 20))}, "2019-02-07"),
        ({"2019020": np.ones((12, 20))}, "2019020"),
        ({"201902071": np.ones((12, 20))}, "201902071"),
        ({"20190206": np.full((12, 20), -12.0)}, "negative"),
        ({"20190206": np.ones((12, 20), bool)}, "20190206"),
        ({"20190206": np.full((12, 20), b"x", "S1")}, "20190206"),
        ({"20190206": np.zeros((12, 20))}, "20190206"),
        ({"20190206": np.full((12, 20), np.nan)}, "20190206"),
    ],
)
def test_refused_by_name(flat_file: FlatFile, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        open_stack(flat_file(changes))


def test_other_names_are_ignored_and_listed(
    flat_file: FlatFile, caplog: pytest.LogCaptureFixture, content: dict[str, Any]
) -> None:
    path = flat_file(
        {
            "amp12345678": np.ones((12, 20)),
            "note": "text",
            "cube": np.zeros((2, 12, 20)),
            "2023-01-06": np.ones(3),
            "scalar": 1,
        }
    )
    with h5py.File(path, "r+") as file:
        file["20190301/20190301"] = content["20190115"]
        file["nlm/20190115"] = content["20190115"]
    with caplog.at_level(logging.INFO):
        stack = open_stack(path)
    assert len(stack.dates) == 2
    for name in ("amp12345678", "note", "cube", "2023-01-06", "scalar", "20190301", "nlm"):
        assert name in caplog.text


def test_a_third_image_of_zeros_is_set_aside_by_name(
    flat_file: FlatFile, caplog: pytest.LogCaptureFixture
) -> None:
    stack = open_stack(flat_file({"20190301": np.zeros((12, 20))}))
    assert len(stack.dates) == 2
    assert "20190301" in caplog.text


def test_one_number_is_enough_for_an_image(flat_file: FlatFile) -> None:
    lone = np.zeros((12, 20))
    lone[0, 3] = 1
    assert len(open_stack(flat_file({"20190301": lone})).dates) == 3


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", "u1", "<i2", ">u4", "i8"])
def test_numbers_of_any_size_and_order(flat_file: FlatFile, dtype: str) -> None:
    values = np.arange(1, 241).reshape(12, 20) % 120
    image = open_stack(flat_file({"20190206": values.astype(dtype)})).dataset["amplitude"][1].values
    expected = np.where(values == 0, image, values)  # zeros at the end of a row are no data
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.float32


def test_complex_numbers_become_their_modulus(flat_file: FlatFile, caplog: pytest.LogCaptureFixture) -> None:
    slc = np.full((12, 20), 3 + 4j, np.complex64)
    pairs = np.zeros((12, 20), dtype=[("r", "<i2"), ("i", "<i2")])
    pairs["r"], pairs["i"] = -300, 400
    with caplog.at_level(logging.INFO):
        data = open_stack(flat_file({"20190206": slc, "20190301": pairs})).dataset
    assert (data["amplitude"][1] == 5).all()
    assert (data["amplitude"][2] == 500).all()
    assert "modulus" in caplog.text
    assert "20190301" in caplog.text


def test_infinite_is_no_data(flat_file: FlatFile, content: dict[str, Any]) -> None:
    image = content["20190206"].astype("f8")
    image[3, 4], image[5, 6] = np.inf, 1e300
    data = open_stack(flat_file({"20190206": image})).dataset
    assert np.isnan(data["amplitude"].values[1, [3, 5], [4, 6]]).all()
    assert data["mask"].values[1, 3, 4] == Flag.NODATA


def test_negative_numbers_beyond_the_sample_are_refused_when_read(
    flat_file: FlatFile, content: dict[str, Any]
) -> None:
    rows = 2000
    tall = {name: np.repeat(value, rows // 12 + 1, axis=0)[:rows] for name, value in content.items()}
    tall["20190206"] = tall["20190206"].copy()
    tall["20190206"][1999, 3] = -1
    stack = open_stack(flat_file(tall))
    with pytest.raises(InputError, match=r"20190206.*negative"):
        stack.dataset["amplitude"].compute()


def test_zeros_at_the_border_are_no_data_shadow_is_not(flat_file: FlatFile, content: dict[str, Any]) -> None:
    image = content["20190206"].copy()
    image[:3] = 0  # a border of rows
    image[-1, :] = np.nan
    image[:, -2:] = 0  # the last tenth of each line
    image[5, :4] = [0, np.nan, 0, 0]
    image[6, 8:11] = 0  # shadow
    data = open_stack(flat_file({"20190206": image})).dataset.compute()
    gap = np.zeros((12, 20), bool)
    gap[:3], gap[-1], gap[:, -2:], gap[5, :4] = True, True, True, True
    np.testing.assert_array_equal(np.isnan(data["amplitude"][1]), gap)
    np.testing.assert_array_equal(data["mask"][1], np.where(gap, Flag.NODATA, 0))
    assert (data["amplitude"][1, 6, 8:11] == 0).all()
    assert (data["mask"][0] == 0).all()


def test_a_crop_does_not_move_the_border(flat_file: FlatFile, content: dict[str, Any]) -> None:
    image = content["20190206"].copy()
    image[4, 8:11] = 0
    stack = open_stack(flat_file({"20190206": image})).crop(pixels=(8, 12, 3, 6))
    assert (stack.dataset["amplitude"][1, 1, :3] == 0).all()


def test_saturated_pixels_are_flagged(flat_file: FlatFile) -> None:
    path = flat_file()
    flags = np.zeros((12, 20), bool)
    flags[2, 3] = True
    with h5py.File(path, "r+") as file:
        file["saturated/20190206"] = flags
        file["saturated/20200101"] = flags
    mask = open_stack(path).dataset["mask"].values
    assert mask[1, 2, 3] == Flag.CLIPPED
    assert np.count_nonzero(mask) == 1
    with h5py.File(path, "r+") as file:
        del file["saturated/20190206"]
        file["saturated/20190206"] = flags[1:]
    with pytest.raises(InputError, match="saturated/20190206"):
        open_stack(path)


def test_holes_of_the_dem_stay_holes(flat_file: FlatFile, content: dict[str, Any]) -> None:
    dem = content["dem"].astype("f4")
    dem[3, 4], dem[5, 6], dem[7, 8] = -32768, -9999, np.inf
    height = open_stack(flat_file({"dem": dem})).dataset["height"].values
    assert np.isnan(height[[3, 5, 7], [4, 6, 8]]).all()
    assert np.isnan(height).sum() == 3


def test_real_scene(data_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = data_folder / "okmok_alos" / "okmok_alos.h5"
    with caplog.at_level(logging.INFO):
        stack = open_stack(path)
    assert stack.shape == (2, 100, 300)
    assert not stack.has_lonlat
    assert "published" in caplog.text
    with h5py.File(path) as file:
        np.testing.assert_array_equal(stack.dataset["amplitude"][0], file["20070705"])
        clipped = (stack.dataset["mask"].values & Flag.CLIPPED) != 0
        np.testing.assert_array_equal(clipped[1], file["saturated/20071005"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    images=hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 3), st.integers(1, 7), st.integers(1, 9)),
        elements=st.one_of(st.floats(0, 100, width=32), st.just(np.nan)),
    ),
    clipped=st.integers(0, 2**32 - 1),
)
def test_round_trip(tmp_path: Path, images: Any, clipped: int) -> None:
    dates, rows, columns = images.shape
    images[:, 0, 0] = 1  # no image without a number
    path = tmp_path / "trip.h5"
    rng = np.random.default_rng(clipped)
    with h5py.File(path, "w") as file:
        file["dem"] = rng.normal(size=(rows, columns))
        file.attrs["heading"], file.attrs["sensor"] = -13.5, "simulated"
        for index in range(dates):
            file[f"2020010{index + 1}"] = images[index]
        file["saturated/20200102"] = rng.random((rows, columns)) > 0.5
    first = open_stack(path)
    write_flat(first, tmp_path / "again.h5")
    again = open_stack(tmp_path / "again.h5")
    xr.testing.assert_identical(first.dataset.compute(), again.dataset.compute())
    assert again.dataset.attrs["heading"] == -13.5


def test_no_other_file_is_touched(flat_file: FlatFile, tmp_path: Path) -> None:
    stack = open_stack(flat_file())
    write_flat(stack, tmp_path / "out.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.h5", "stack.h5"]


def test_a_file_that_changes_while_it_is_read_is_an_error(flat_file: FlatFile) -> None:
    stack = open_stack(flat_file())
    flat_file({"extra": np.zeros(1000)})
    with pytest.raises(InputError, match="changed"):
        stack.dataset["amplitude"].compute()
