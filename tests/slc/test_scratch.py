"""The scratch of the coregistration command: gone afterwards, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mosart.errors import InputError
from mosart.slc.scratch import scratch
from mosart.workflow.coregister import check_products, coregister_products


def test_scratch_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "stack.nc"
    # Left by a run that was killed; and one of a run that lives.
    dead = tmp_path / ".stack.nc.4194303.x.scratch"
    alive = tmp_path / f".stack.nc.{os.getpid()}.y.scratch"
    other = tmp_path / ".other.nc.4194303.x.scratch"
    for folder in (dead, alive, other):
        folder.mkdir()
    with pytest.raises(KeyboardInterrupt), scratch(out) as allocate:  # noqa: PT012
        assert not dead.exists()
        small, large = allocate((3, 4), np.float32, "small"), allocate((9000, 9000), np.uint8, "large")
        assert not isinstance(small, np.memmap)
        assert isinstance(large, np.memmap)
        large[5, 5] = 7
        raise KeyboardInterrupt
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive.name, other.name])


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(small_disk: Callable[[int], Path]) -> None:
    place = small_disk(4_000_000)
    with pytest.raises(OSError, match="No space left"), scratch(place / "stack.nc") as allocate:
        allocate((9000, 9000), np.uint8, "large")[...] = 1
    assert not list(place.iterdir())


def test_refused_before_work(tmp_path: Path) -> None:
    for slc, dem, match in (
        ([], [tmp_path], "no SLC product"),
        ([tmp_path], [], "no DEM"),
        ([tmp_path / "a", tmp_path / "a"], [tmp_path], "twice"),
        ([tmp_path / "a"], [tmp_path / "dem.tif"], "dem.tif does not exist"),
        ([tmp_path / "a.zip"], [tmp_path], "a.zip"),
    ):
        with pytest.raises(InputError, match=match):
            check_products(slc, dem)
    with pytest.raises(InputError, match="netCDF"):
        coregister_products([tmp_path], [tmp_path], tmp_path / "stack.h5")
    with pytest.raises(InputError, match="folder"):
        coregister_products([tmp_path], [tmp_path], tmp_path / "no" / "stack.nc")
    assert not list(tmp_path.iterdir())
