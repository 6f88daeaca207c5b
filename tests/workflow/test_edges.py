"""A run where there is little, or where the world's edge is; and what a daily job is told."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from mosart.areas import read_written_areas
from mosart.cli import main
from mosart.io.flat import write_flat
from mosart.simulate import collapse
from mosart.workflow.config import Config, Geometry, Grid
from mosart.workflow.run import run

AREA = "pixels=30,60,8,20"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair of dates."""
    path = tmp_path_factory.mktemp("pair") / "stack.h5"
    write_flat(collapse(shape=(28, 80), before=1, after=1, metadata=False).stack, path)
    return path


def changed(source: Path, target: Path, **images: np.ndarray | None) -> Path:
    """A copy of a stack with other datasets; None leaves one out."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        for name in {*old, *images}:
            values = images.get(name, old[name][()] if name in old else None)
            if values is not None:
                new[name] = values
    return target


def test_an_area_across_180_degrees_is_as_any_other(pair: Path, tmp_path: Path) -> None:
    with h5py.File(pair) as file:
        lon, lat = file["lon"][()], file["lat"][()]
    there = (lon - lon.mean() + 360.0) % 360.0 - 180.0
    assert there.max() - there.min() > 359
    other = changed(pair, tmp_path / "antimeridian.h5", lon=there, lat=lat)
    corner = lon[8:20, 30:60] - lon.mean()
    box = f"{corner.min() + 180},{lat[8:20, 30:60].min()},{corner.max() - 180},{lat[8:20, 30:60].max()}"
    home = (corner + lon.mean()).min(), (corner + lon.mean()).max()
    usual = f"{home[0]},{lat[8:20, 30:60].min()},{home[1]},{lat[8:20, 30:60].max()}"
    found = []
    for stack, area, name in ((pair, usual, "a"), (other, box, "b")):
        config = Config(
            method="rowwise-intensity",
            stack=(stack,),
            out=tmp_path / name,
            areas=(area,),
            grid=Grid(crs="geographic"),
        )
        run(config.merged(Config(without=("figures",))), quiet=True)
        with rasterio.open(next((tmp_path / name / "geotiff").glob("elevation_change_*.tif"))) as raster:
            found.append((raster.shape, pd.read_csv(tmp_path / name / "volumes.csv")))
        assert read_written_areas(tmp_path / name / "areas.geojson").names == (
            f"lonlat {','.join(f'{float(v):.10g}' for v in area.split(','))}",
        )
    assert found[1][0] == pytest.approx(found[0][0], abs=1)
    for name in ("net_m3", "area_m2", "net_std_m3"):
        np.testing.assert_allclose(found[1][1][name], found[0][1][name], rtol=0.01)


def test_one_row(pair: Path, tmp_path: Path) -> None:
    with h5py.File(pair) as file:
        row = {name: file[name][14:15] for name in file}
    stack = changed(pair, tmp_path / "row.h5", **row)
    look = Geometry(incidence_angle=38.0, range_spacing=1.36, azimuth_spacing=2.0, look_direction="right")
    areas = ("pixels=30,60,0,1",)
    config = Config(
        method="rowwise-intensity",
        stack=(stack,),
        out=tmp_path / "out",
        geometry=look,
        areas=areas,
        without=("figures",),
    )
    run(config, quiet=True)
    with xr.open_dataset(tmp_path / "out" / "radar.nc", engine="h5netcdf") as data:
        assert data["elevation_change"].shape == (2, 1, 80)
    assert len(pd.read_csv(tmp_path / "out" / "volumes.csv")) == 3
    assert (tmp_path / "out" / "elevation_change.nc").exists()


def test_without_positions_there_is_no_map_and_this_is_said(pair: Path, tmp_path: Path) -> None:
    stack = changed(pair, tmp_path / "bare.h5", lon=None, lat=None)
    look = Geometry(incidence_angle=38.0, range_spacing=1.36, azimuth_spacing=2.0)
    config = Config(
        method="rowwise-intensity",
        stack=(stack,),
        out=tmp_path / "out",
        geometry=look,
        areas=(AREA,),
        without=("figures",),
    )
    outcome = run(config, quiet=True)
    assert {"radar.nc", "timeseries.csv", "volumes.csv", "mintpy/timeseriesRadar.h5"} <= set(outcome.products)
    assert not {"elevation_change.nc", "mosart.qgz"} & set(outcome.products)
    assert not any(name.startswith("geotiff") for name in outcome.products)
    assert "no lon/lat: results stay on the radar grid" in (tmp_path / "out" / "mosart.log").read_text()
    assert read_written_areas(tmp_path / "out" / "areas.geojson").areas[0].pixels == (30, 60, 8, 20)
    run(config, quiet=True)  # what was reused is as good as new
    assert "no lon/lat" in (tmp_path / "out" / "mosart.log").read_text()


def test_a_daily_job_is_told_where_the_newest_date_says_nothing(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(pair) as file:
        names = sorted(name for name in file if name.isdigit())
        image = file[names[-1]][()]
    stack = tmp_path / "stack.h5"
    command = ["run", "--stack", str(stack), "--out", str(tmp_path / "out"), "--areas", AREA, "--quiet"]
    command += ["--method", "rowwise-intensity", "--without", "figures,report,mintpy,geotiff"]
    changed(pair, stack)
    assert main(command) == 0
    told = capsys.readouterr().out
    series = pd.read_csv(tmp_path / "out" / "timeseries.csv").iloc[-1]
    volumes = pd.read_csv(tmp_path / "out" / "volumes.csv")
    volume = volumes[volumes["kind"] == "reference"].iloc[-1]
    assert f"newest date {names[-1]}, against {names[0]}" in told
    assert f"{series['elevation_change_m']:+.2f} m ± {series['elevation_change_std_m']:.2g} m" in told
    assert f"net {volume['net_m3']:+.4g} m3 ± {volume['net_std_m3']:.2g} m3" in told
    # The next image is empty: all products are there, and the job is told.
    changed(pair, stack, **{"20190301": np.zeros_like(image)})
    assert main(command) == 3
    told = capsys.readouterr().out
    assert "NOT RESOLVED: the newer image of 20190301 is rejected" in told
    # Then one of which most of the area is missing.
    holed = image.copy()
    holed[6:22, 35:80] = np.nan
    changed(pair, stack, **{"20190302": holed})
    assert main(command) == 3
    told = capsys.readouterr().out
    assert "NOT RESOLVED: pixels 30,60,8,20 on 20190302: 15% of it seen" in told
    assert main([*command[:5], "--quiet", "--areas", "pixels=1,20,1,20", *command[-4:]]) == 0
