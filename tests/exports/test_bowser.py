"""The list of layers for bowser; bowser itself reads it in `make test-clients`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.io.bowser import write_bowser
from mosart.io.geotiff import write_geotiffs


def test_layers_are_listed_in_time_order(mapped: Callable[..., ElevationChange], tmp_path: Path) -> None:
    write_geotiffs(mapped().dataset, tmp_path / "geotiff", variables=["mask", "elevation_change"])
    listed = json.loads(write_bowser(tmp_path).read_text())
    assert [group["name"] for group in listed] == ["elevation change (m)", "mask"]
    for group in listed:
        assert len(group["file_list"]) == 3
        assert group["file_list"] == sorted(group["file_list"])
        assert all((tmp_path / name).is_file() for name in group["file_list"])


def test_a_run_without_a_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no GeoTIFFs"):
        write_bowser(tmp_path)
