"""Styles and project for QGIS as files; QGIS itself opens them in `make test-clients`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.io.geotiff import write_geotiffs
from mosart.io.qgis import write_qgis

Maker = Callable[..., ElevationChange]


def project(folder: Path) -> ElementTree.Element:
    with zipfile.ZipFile(folder / "mosart.qgz") as archive:
        return ElementTree.fromstring(archive.read("mosart.qgs"))


@pytest.mark.parametrize("per_pixel", [False, True])
def test_project_of_a_run(mapped: Maker, tmp_path: Path, per_pixel: bool) -> None:
    rasters = ["elevation_change", "mask"] + (["elevation_change_std"] if per_pixel else [])
    write_geotiffs(mapped(per_pixel=per_pixel).dataset, tmp_path / "geotiff", variables=rasters)
    files = write_qgis(tmp_path, limit=5.0)
    assert len(files) == 3 * len(rasters) + 1
    root = project(tmp_path)
    layers = root.findall("projectlayers/maplayer")
    assert len(layers) == 3 * len(rasters)
    for layer in layers:
        assert (tmp_path / str(layer.findtext("datasource"))).is_file()
        assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:32603"
    changes = [la for la in layers if str(la.findtext("id")).startswith("elevation_change_2")]
    spells = sorted(
        (la.findtext("temporal/fixedRange/start"), la.findtext("temporal/fixedRange/end")) for la in changes
    )
    assert spells[0] == ("2021-03-01T00:00:00Z", "2021-03-11T23:59:59Z")
    assert spells[2] == ("2021-03-23T00:00:00Z", "2021-04-02T23:59:59Z")
    scales = {la.find("pipe/rasterrenderer").get("classificationMax") for la in changes}  # type: ignore[union-attr]
    assert scales == {"5"}  # one for all dates
    assert root.findtext("ProjectTimeSettings/TemporalRange/start") == "2021-03-01T00:00:00Z"


def test_equal_results_make_equal_files(mapped: Maker, tmp_path: Path) -> None:
    write_geotiffs(mapped().dataset, tmp_path / "geotiff", variables=["elevation_change"])
    write_qgis(tmp_path)
    before = (tmp_path / "mosart.qgz").read_bytes()
    write_qgis(tmp_path)
    assert (tmp_path / "mosart.qgz").read_bytes() == before


def test_one_date(mapped: Maker, tmp_path: Path) -> None:
    change = mapped(dates=("2021-03-12",), reference="20210301")
    write_geotiffs(change.dataset, tmp_path / "geotiff", variables=["elevation_change", "mask"])
    write_qgis(tmp_path)
    assert project(tmp_path).findtext("ProjectTimeSettings/TemporalRange/end") == "2021-03-13T00:00:00Z"


def test_a_run_without_a_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no GeoTIFFs"):
        write_qgis(tmp_path)
