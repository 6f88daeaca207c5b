from __future__ import annotations

import datetime as dt
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest

from mosart.errors import InputError
from mosart.io import check_values, open_stack
from mosart.stack import Stack

FlatFile = Callable[..., Path]


def test_an_image_that_is_empty_in_the_crop_is_set_aside(
    flat_file: FlatFile, content: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    half = content["20190206"].copy()
    half[:, :10] = 0
    stack = open_stack(flat_file({"20190301": half})).crop(pixels=(0, 8, 0, 12))
    assert len(stack.dates) == 3
    steps: list[tuple[int, int]] = []
    checked = check_values(stack, progress=lambda a, b: steps.append((a, b)))
    assert checked.dates == (dt.date(2019, 1, 15), dt.date(2019, 2, 6))
    assert "20190301" in caplog.text
    assert steps[-1] == (12, 12)
    assert checked.dataset.attrs["rejected_dates"] == "20190301: zero or NaN everywhere"


def test_too_few_images_left_names_the_empty_ones(flat_file: FlatFile, content: dict[str, Any]) -> None:
    half = content["20190206"].copy()
    half[:, :10] = 0
    stack = open_stack(flat_file({"20190206": half})).crop(pixels=(0, 8, 0, 12))
    with pytest.raises(InputError, match=r"too few[\s\S]*20190206"):
        check_values(stack)
    assert len(check_values(stack, minimum_dates=1).dates) == 1


def test_negative_numbers_are_found_wherever_they_are(flat_file: FlatFile) -> None:
    dataset = open_stack(flat_file()).dataset.load()
    dataset["amplitude"][1, 0, 0] = -1
    with pytest.raises(InputError, match=r"20190206.*negative"):
        check_values(Stack(dataset))


def test_a_checked_stack_is_not_read_again(flat_file: FlatFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = flat_file()
    checked = check_values(open_stack(path))
    path.unlink()
    assert check_values(checked) is checked
    with pytest.raises(InputError):
        check_values(checked.crop(pixels=(0, 5, 0, 5)))


def test_opening_a_large_file_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.h5"
    rows, columns = 20_000, 25_000  # 2 GB an image; chunks that were never written take no disk
    with h5py.File(path, "w") as file:
        for name in ("dem", "20190101", "20190102", "20190103"):
            image = file.create_dataset(name, (rows, columns), "f4", chunks=(256, 256), compression="gzip")
            image[rows // 2, columns // 2] = 1
    tracemalloc.start()
    stack = open_stack(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stack.shape == (3, rows, columns)
    assert peak < 60e6


def test_values_of_numpy_and_dask_alike(flat_file: FlatFile) -> None:
    loaded = open_stack(flat_file()).dataset.load()
    assert check_values(Stack(loaded)).shape == (2, 12, 20)
    assert isinstance(check_values(Stack(loaded.chunk(azimuth=5))).dataset["amplitude"].data, da.Array)
    assert np.isfinite(loaded["amplitude"]).all()
