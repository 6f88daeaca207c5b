"""Whole runs of what is small, incomplete or at the edge of the map: all products there can be, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

pytest.importorskip("plotly", reason="the page needs the extra `report`")

from mosart.report import canvas
from mosart.workflow.config import Config
from mosart.workflow.outputs import export
from mosart.workflow.run import run

DATES = ("20190115", "20190215", "20190315")
MAP = {"elevation_change.nc", "mosart.qgz", "bowser_rasters.json", "mintpy/timeseries.h5"}
ALWAYS = {"radar.nc", "report.html", "config.yaml", "mosart.log", "mintpy/timeseriesRadar.h5"}


def write(
    path: Path,
    *,
    shape: tuple[int, int] = (40, 90),
    dates: tuple[str, ...] = DATES,
    middle: float = -163.97,
    lonlat: bool = True,
    empty: str = "",
    branch: float = 180.0,
) -> Path:
    """A hill as a right-looking radar at 38 degrees codes it; it grows by 5 m after the first date."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    hill = np.exp(-((row - shape[0] / 2) ** 2 + (column - 40) ** 2) / 200)
    height = 300 + 60 * hill + 10 * np.sin(column / 7 + row / 5)
    theta, spacing = np.radians(38.0), 2.0
    across = (column * spacing + np.cos(theta) * height) / np.sin(theta)
    with h5py.File(path, "w") as file:
        file["dem"] = height
        if lonlat:
            lon = middle + (across - across.mean()) / (111320 * np.cos(np.radians(54.75)))
            file["lon"] = (lon + branch) % 360.0 - branch
            file["lat"] = 54.75 + row * 3.0 / 111320
        for date in dates:
            image = 60 * np.sqrt(random.gamma(4, 0.25, height.shape))
            file[date] = np.where(date == empty, np.nan, image).astype("f4")
    return path


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "DPI", 50)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    "odd",
    [
        {"middle": 180.0, "dates": DATES[:2]},
        {"shape": (1, 90)},
        {"empty": DATES[1]},
        {"lonlat": False},
    ],
    ids=["one pair across 180°", "one row", "a date without a pixel", "no positions"],
)
def test_odd_stacks_leave_whole_products(
    odd: dict[str, object], tmp_path: Path, judge: Callable[[list[Path]], list[str]]
) -> None:
    out = tmp_path / "out"
    geometry = {
        "incidence_angle": 38.0,
        "range_spacing": 2.0,
        "azimuth_spacing": 3.0,
        "look_direction": "right",
    }
    run(
        Config(
            method="rowwise-intensity",
            stack=(write(tmp_path / "projections.h5", **odd),),  # type: ignore[arg-type]
            out=out,
            despeckle="none",
            geometry=geometry | {"look_direction": "right"},  # type: ignore[arg-type]
            areas=("pixels=30,50,0,40" if odd.get("shape") is None else "pixels=30,50,0,1",),
        ),
        quiet=True,
    )
    there = names(out)
    assert there >= ALWAYS
    log = (out / "mosart.log").read_text(encoding="utf-8")
    page = (out / "report.html").read_text(encoding="utf-8")
    files = [out / "radar.nc"]
    if odd.get("lonlat") is False:
        assert not there & MAP
        assert not any(name.startswith("geotiff/") for name in there)
        assert "no lon/lat: results stay on the radar grid, there is no map" in log
        assert "there is no map, because the stack has no longitude and latitude" in page
    else:
        assert there >= MAP
        files.append(out / "elevation_change.nc")
        _look_at_map(out, odd)
    assert judge(files) == []
    series = pd.read_csv(out / "timeseries.csv", dtype={"date": str})
    assert len(series) == len(_dates(odd))
    assert {f"figures/elevation_change.{kind}" for kind in ("png", "pdf")} <= there
    if "empty" in odd:
        rejected = re.search(r"<dt>Rejected</dt>\s*<dd>(.*?)</dd>", page, re.S)
        assert rejected is not None
        assert "set aside, as they are zero or NaN everywhere: 20190215" in rejected[1]
        assert "No date was rejected" not in page


def _dates(odd: dict[str, object]) -> list[str]:
    return [date for date in odd.get("dates", DATES) if date != odd.get("empty")]  # type: ignore[attr-defined]


def _look_at_map(out: Path, odd: dict[str, object]) -> None:
    with xr.open_dataset(out / "elevation_change.nc", decode_coords="all") as data:
        cells = data.sizes["x"] * data.sizes["y"]
        seen = np.isfinite(data["elevation_change"].values[-1]).any()
        x = data["x"].values
    assert seen
    assert cells < 40_000  # not the whole globe
    if "middle" in odd:
        assert np.ptp(x) < 400.0
    tifs = sorted((out / "geotiff").glob("*.tif"))
    assert len(tifs) == 3 * len(_dates(odd))
    for path in tifs:
        assert cog_validate(path, strict=True, quiet=True)[0]
        with rasterio.open(path) as file:
            assert file.transform.e < 0 < file.transform.a
    listed = json.loads((out / "bowser_rasters.json").read_text())
    assert {len(group["file_list"]) for group in listed} == {len(_dates(odd))}


def test_a_zarr_export_goes_with_the_products_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("draw_figures", "write_report"):
        monkeypatch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)
    config = Config(
        method="rowwise-intensity",
        stack=(write(tmp_path / "projections.h5"),),
        out=tmp_path / "out",
        despeckle="none",
    )
    run(config, quiet=True)
    export(tmp_path / "out", "zarr")
    (tmp_path / "out" / "mine.zarr").mkdir()
    with xr.open_zarr(tmp_path / "out" / "radar.zarr") as data:
        assert data.attrs["reference_dates"] == DATES[0]
    run(config.merged(Config(reference=(DATES[2],))), quiet=True)
    assert {path.name for path in (tmp_path / "out").glob("*.zarr")} == {"mine.zarr"}
