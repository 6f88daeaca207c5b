from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mosart.errors import InputError
from mosart.io import open_stack

DATES = [dt.date(2019, 1, 15), dt.date(2019, 2, 6), dt.date(2019, 3, 1)]


def write_pairs(path: Path, content: dict[str, Any], third: Any) -> None:
    """As the original's TerraSAR-X coregistration writes: the first date in every group."""
    with h5py.File(path, "w") as file:
        for name, second in (("20190206", content["20190206"]), ("20190301", third)):
            group = file.create_group(f"20190115_{name}")
            for key in ("dem", "lon", "lat"):
                group.create_dataset(key, data=content[key], compression="gzip")
            group.create_dataset("amps", data=content["20190115"], compression="gzip")
            group.create_dataset("amps1", data=second, compression="gzip")


def test_a_pair_a_group(tmp_path: Path, content: dict[str, Any]) -> None:
    third = content["20190206"] + 1
    write_pairs(tmp_path / "pairs.h5", content, third)
    stack = open_stack(tmp_path / "pairs.h5")
    assert list(stack.dates) == DATES
    images = stack.dataset["amplitude"].values
    np.testing.assert_array_equal(images, [content["20190115"], content["20190206"], third])
    np.testing.assert_array_equal(stack.dataset["height"], content["dem"])
    np.testing.assert_array_equal(stack.dataset["longitude"], content["lon"])


@pytest.mark.parametrize("key", ["amps", "dem", "lon"])
def test_what_repeats_must_be_identical(tmp_path: Path, content: dict[str, Any], key: str) -> None:
    path = tmp_path / "pairs.h5"
    write_pairs(path, content, content["20190206"] + 1)
    with h5py.File(path, "r+") as file:
        file[f"20190115_20190301/{key}"][5, 6] += 0.5
    with pytest.raises(InputError, match=f"20190115_20190301/{key}"):
        open_stack(path)


def test_not_a_number_repeats_too(tmp_path: Path, content: dict[str, Any]) -> None:
    content["20190115"][3, 4] = np.nan
    write_pairs(tmp_path / "pairs.h5", content, content["20190206"] + 1)
    with h5py.File(tmp_path / "pairs.h5", "r+") as file:  # another NaN of the same meaning
        file["20190115_20190301/amps"][3, 4] = -np.float32(np.nan)
    assert len(open_stack(tmp_path / "pairs.h5").dates) == 3


def test_a_group_that_was_left_unfinished_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "pairs.h5"
    write_pairs(path, content, content["20190206"] + 1)
    with h5py.File(path, "r+") as file:
        del file["20190115_20190301/amps1"]
    with pytest.raises(InputError, match="20190115_20190301"):
        open_stack(path)


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_date_a_group(tmp_path: Path, content: dict[str, Any], everywhere: bool) -> None:
    path = tmp_path / "dates.h5"
    with h5py.File(path, "w") as file:
        for name in ("20190115", "20190206"):
            group = file.create_group(name)
            group["amps"] = content[name]
            for key in ("dem", "lon", "lat"):
                if everywhere:
                    group[key] = content[key]
        if not everywhere:
            for key in ("dem", "lon", "lat"):
                file[key] = content[key]
        file["other/amps"] = content["20190115"]
    stack = open_stack(path)
    assert list(stack.dates) == DATES[:2]
    np.testing.assert_array_equal(stack.dataset["amplitude"][1], content["20190206"])


@pytest.mark.parametrize("name", ["20190230", "20190115_20190230", "2019-02-06"])
def test_impossible_and_misspelt_groups_are_refused(
    tmp_path: Path, content: dict[str, Any], name: str
) -> None:
    path = tmp_path / "dates.h5"
    write_pairs(path, content, content["20190206"] + 1)
    with h5py.File(path, "r+") as file:
        file[f"{name}/amps"] = content["20190115"]
    with pytest.raises(InputError, match=name.rsplit("_", maxsplit=1)[-1]):
        open_stack(path)


def test_without_a_dem(tmp_path: Path, content: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "dates.h5", "w") as file:
        file["20190115/amps"] = content["20190115"]
        file["20190206/amps"] = content["20190206"]
    with pytest.raises(InputError, match="dem"):
        open_stack(tmp_path / "dates.h5")
