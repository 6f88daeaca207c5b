"""The row-wise method and its despeckling on real radar: ALOS over Okmok caldera."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import mosart
from mosart import sfs
from mosart.masks import Flag


@pytest.fixture(scope="module")
def okmok(data_folder: Path) -> Path:
    return data_folder / "okmok_alos" / "okmok_alos.h5"


def test_reconstructed_surface(okmok: Path) -> None:
    change = mosart.invert(mosart.open_stack(okmok), "rowwise", "20071005", despeckle="none").dataset
    with h5py.File(okmok) as file:
        published = file["published/demdef_20071005"][:]
    ours = change["elevation"].sel(date="2007-10-05").values.clip(0.0, 1100.0)
    known = np.isfinite(ours)
    assert known.mean() > 0.99
    assert np.sqrt(np.mean((ours - published)[known] ** 2)) <= 3.5
    assert np.corrcoef(ours[known], published[known])[0, 1] >= 0.9998
    # Without lon/lat and geometry there is no ground position.
    assert "elevation_change" not in change
    assert (change["mask"].values & Flag.CLIPPED).any()


def test_non_local_means(okmok: Path, tmp_path: Path) -> None:
    with h5py.File(okmok) as file, h5py.File(tmp_path / "projections.h5", "w") as raw:
        for name in ("dem", "unfiltered/20070705"):
            raw[name.split("/")[-1]] = file[name][:]
        published = file["nlm/20070705"][:]
    sfs.preprocessing(
        projections=tmp_path / "projections.h5",
        output=tmp_path / "out.h5",
        sigma_amp=5,
        patch_kw={"patch_size": 2, "patch_distance": 2},
    )
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.abs(file["20070705"][:] - published).mean() <= 0.36


def test_filtered_images_are_not_filtered_again(okmok: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = mosart.open_stack(okmok)
    with caplog.at_level("INFO", logger="mosart"):
        twice = mosart.invert(stack, "rowwise", "20070705", despeckle="nlm").dataset
    assert caplog.text.count("filtered already") == 2
    once = mosart.invert(stack, "rowwise", "20070705", despeckle="none").dataset
    np.testing.assert_array_equal(twice["elevation"].values, once["elevation"].values)
