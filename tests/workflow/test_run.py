"""The whole run on small simulated stacks, in process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

from mosart.errors import InputError
from mosart.simulate import Simulation
from mosart.workflow.check import prepare
from mosart.workflow.config import Box, Config, Geometry, Grid, Water
from mosart.workflow.configfile import load
from mosart.workflow.demo import score
from mosart.workflow.folder import MANIFEST
from mosart.workflow.log import Talk
from mosart.workflow.run import run


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing figures and the page takes most of a small run's time, and most tests do not look."""
    for name in ("draw_figures", "write_report"):
        monkeypatch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)


quickly = pytest.mark.usefixtures("no_figures")


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}


def radar(folder: Path) -> xr.Dataset:
    with xr.open_dataset(folder / "radar.nc", engine="h5netcdf") as data:
        return data.load()


def test_a_run_leaves_every_product_and_they_agree_with_the_truth(
    scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    dates = [f"{date:%Y%m%d}" for date in scene[1].stack.dates]
    config = Config(
        method="rowwise-intensity",
        stack=(scene[0],),
        out=tmp_path,
        reference=(",".join(dates[:2]),),
        epoch=(",".join(dates[2:]),),
        areas=("pixels=90,160,30,80",),
        points=("pixels=125,126,55,56",),
    )
    outcome = run(config, quiet=True)
    assert files(tmp_path) == {
        "config.yaml", "radar.nc", "elevation_change.nc", "mosart.log", "timeseries.csv", "volumes.csv",
        "areas.geojson",
        f"geotiff/elevation_change_{dates[-1]}.tif", f"geotiff/mask_{dates[-1]}.tif",
        *(
            f"figures/{name}.{kind}"
            for name in (
                "amplitude", "despeckling", "elevation_change", "heights", "profile", "amplitudes",
                "time_series", "volumes",
            )
            for kind in ("png", "pdf")
        ),
        "report.html", "mosart.qgz", "bowser_rasters.json",
        f"geotiff/elevation_change_{dates[-1]}.qml", f"geotiff/mask_{dates[-1]}.qml",
        f"geotiff/measured_amplitude_{dates[-1]}.tif", f"geotiff/measured_amplitude_{dates[-1]}.qml",
        "mintpy/timeseries.h5", "mintpy/geometryGeo.h5",
        "mintpy/timeseriesRadar.h5", "mintpy/geometryRadar.h5",
    }  # fmt: skip
    assert set(outcome.products) == files(tmp_path)
    data = radar(tmp_path)
    assert {"elevation_change", "elevation_change_slant", "mask", "longitude", "latitude"} <= set(
        data.variables
    )
    assert data["elevation_change_std"].dims == ("date",)
    assert "MoSARt" in data.attrs["history"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "as measured on simulated craters" in page
    assert "the vertical datum of the DEM is unknown" in page  # a warning of the run
    assert data["averaged_dates"].values.tolist() == [",".join(dates[2:])]
    truth = scene[1].truth
    found = score(data["elevation_change"], truth)
    # The method's own limit: it sees that and where the ground sank, not by how much.
    assert found.zone < found.change
    true = truth["elevation_change"].values[-1]
    change = data["elevation_change"].values[0]
    assert np.nanmedian(change[true < -10]) < np.nanmedian(change[true == 0]) - 1
    # The map holds what the radar grid holds: the same median where the ground sank.
    with rasterio.open(tmp_path / "geotiff" / f"elevation_change_{dates[-1]}.tif") as raster:
        assert raster.crs.is_projected
        assert np.isnan(raster.nodata)
        assert raster.units == ("m",)
        image = raster.read(1)
    lowest = np.nanpercentile(image, 1), np.nanpercentile(change, 1)
    assert lowest[0] == pytest.approx(lowest[1], rel=0.15)
    series = pd.read_csv(tmp_path / "timeseries.csv")
    assert len(series) == 2
    assert len(pd.read_csv(tmp_path / "volumes.csv")) == 1
    assert series.iloc[0]["elevation_change_m"] < 0


@quickly
def test_the_config_as_used_is_complete_and_repeats_the_run(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    config = Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path / "a")
    run(config, quiet=True)
    text = (tmp_path / "a" / "config.yaml").read_text(encoding="utf-8")
    assert hashlib.sha256(right_scene[0].read_bytes()).hexdigest() in text
    used = load(tmp_path / "a" / "config.yaml")
    assert used.reference == (f"{right_scene[1].stack.dates[0]:%Y%m%d}",)
    run(used.merged(Config(out=tmp_path / "b")), quiet=True)
    first, second = radar(tmp_path / "a"), radar(tmp_path / "b")
    np.testing.assert_array_equal(first["elevation_change"], second["elevation_change"])
    assert files(tmp_path / "a") == files(tmp_path / "b")


@quickly
def test_another_reference_in_the_same_folder_replaces_the_products_as_a_set(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    dates = [f"{date:%Y%m%d}" for date in right_scene[1].stack.dates]
    run(Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path), quiet=True)
    assert f"geotiff/elevation_change_{dates[0]}.tif" in files(tmp_path)
    (tmp_path / "geotiff" / "mine.tif").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    run(
        Config(
            method="rowwise-intensity",
            stack=(right_scene[0],),
            out=tmp_path,
            reference=(dates[1],),
            epoch=(dates[3],),
        ),
        quiet=True,
    )
    rasters = {name for name in files(tmp_path) if name.startswith("geotiff/") and name.endswith(".tif")}
    assert rasters == {
        f"geotiff/elevation_change_{dates[3]}.tif",
        f"geotiff/mask_{dates[3]}.tif",
        f"geotiff/measured_amplitude_{dates[3]}.tif",
        "geotiff/mine.tif",
    }
    assert (tmp_path / "notes.txt").read_text() == "mine"
    data = radar(tmp_path)
    assert data.attrs["reference_dates"] == dates[1]
    assert data.sizes["date"] == 1


@quickly
def test_the_number_of_workers_does_not_change_the_result(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    results = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        run(Config(method="rowwise-intensity", stack=(right_scene[0],), out=out, workers=workers), quiet=True)
        results.append(radar(out))
    for other in results[1:]:
        for name in ("elevation_change", "elevation_change_slant", "elevation"):
            np.testing.assert_allclose(results[0][name], other[name], atol=1e-6, rtol=0)
        np.testing.assert_array_equal(results[0]["mask"], other["mask"])


@quickly
def test_a_crop_weights_water_and_a_grid_of_ones_own(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    weights = np.ones(right_scene[1].stack.shape[1:], dtype=np.float32)
    weights[:, 70:100] = 0.0
    np.save(tmp_path / "weights.npy", weights)
    config = Config(
        method="rowwise-intensity",
        stack=(right_scene[0],),
        out=tmp_path / "out",
        crop=Box(pixels=(20, 150, 5, 55)),
        weights=str(tmp_path / "weights.npy"),
        water=Water(sea_level=120.0, tolerance=2.0),
        grid=Grid(crs="geographic"),
        despeckle="none",
    )
    run(config, quiet=True)
    data = radar(tmp_path / "out")
    assert (data.sizes["azimuth"], data.sizes["range"]) == (50, 130)
    assert data["range"].values[0] == 20
    height = data["height"].values
    water = np.abs(height - 120.0) <= 2.0
    assert water.any()
    assert np.isnan(data["elevation_change"].values[:, water]).all()
    assert (data["mask"].values[:, water] & 4 == 4).all()
    raster = next((tmp_path / "out" / "geotiff").glob("elevation_change_*.tif"))
    with rasterio.open(raster) as opened:
        assert opened.crs.to_epsg() == 4326


def test_without_the_libraries_of_the_page_a_run_says_once_how_to_get_them(
    right_scene: tuple[Path, Simulation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosart.workflow.run.draw_figures", lambda *_: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run(
        Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path, despeckle="none"),
        quiet=True,
    )
    log = (tmp_path / "mosart.log").read_text(encoding="utf-8")
    assert log.count("pip install 'mosart[report]'") == 1
    assert "report.html" not in files(tmp_path)
    assert "elevation_change.nc" in files(tmp_path)


def test_a_geometry_in_the_config_wins_over_the_derived_one(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    config = Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path / "out")
    derived = prepare(config, Talk(quiet=True)).frame
    assert derived is not None
    assert derived.incidence_angle.mean() == pytest.approx(38.0, abs=1.0)
    given = Geometry(incidence_angle=30.0, range_spacing=0.9, look_direction="left", heading=100.0)
    frame = prepare(config.merged(Config(geometry=given)), Talk(quiet=True)).frame
    assert frame is not None
    assert frame.incidence_angle[80] == pytest.approx(30.0, abs=0.1)
    assert (frame.range_spacing, frame.look_direction, frame.heading) == (0.9, "left", 100.0)
    assert not (tmp_path / "out").exists()


def test_real_radar_without_a_geometry_gives_the_slant_range_change_alone_and_says_so(
    data_folder: Path, tmp_path: Path
) -> None:
    stack = data_folder / "okmok_alos" / "okmok_alos.h5"
    run(
        Config(
            method="rowwise-intensity", stack=(stack,), out=tmp_path / "a", areas=("pixels=100,150,30,60",)
        ),
        quiet=True,
    )
    data = radar(tmp_path / "a")
    assert "elevation_change_slant" in data
    assert "elevation_change" not in data
    assert data.sizes["date"] == 2
    log = (tmp_path / "a" / "mosart.log").read_text(encoding="utf-8")
    assert "no lon/lat: results stay on the radar grid" in log
    assert "geometry of the look is unknown" in log
    assert "ignored" in log
    assert not (tmp_path / "a" / "elevation_change.nc").exists()
    assert (tmp_path / "a" / "figures" / "elevation_change.png").exists()
    assert (tmp_path / "a" / "report.html").exists()
    assert (tmp_path / "a" / "mintpy" / "timeseriesRadar.h5").exists()
    assert not (tmp_path / "a" / "mosart.qgz").exists()
    series = pd.read_csv(tmp_path / "a" / "timeseries.csv")
    assert "elevation_change_slant_m" in series


@quickly
def test_real_radar_with_a_geometry_gives_the_change_at_fixed_ground_position_too(
    data_folder: Path, tmp_path: Path
) -> None:
    stack = data_folder / "okmok_alos" / "okmok_alos.h5"
    geometry = Geometry(
        incidence_angle=38.7, range_spacing=37.5, azimuth_spacing=37.0, look_direction="right"
    )
    run(Config(method="rowwise-intensity", stack=(stack,), out=tmp_path / "b", geometry=geometry), quiet=True)
    assert {"elevation_change", "elevation_change_slant"} <= set(radar(tmp_path / "b"))


@quickly
def test_refused_input_changes_nothing(right_scene: tuple[Path, Simulation], tmp_path: Path) -> None:
    run(Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path), quiet=True)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()}
    for changed in (
        {"reference": ("20200101",)},
        {"epoch": ("20190115", "20190115")},
        {"crop": Box(pixels=(9000, 9100, 0, 10))},
        {"areas": ("lonlat=10,10,11,11",)},
        {"stable": "lonlat=10,10,11,11"},
        {"weights": "stable"},
        {"weights": str(tmp_path / "none.tif")},
        {"grid": Grid(crs="EPSG:1")},
        {"stack": (tmp_path / "radar.nc",)},
    ):
        with pytest.raises(InputError):
            run(
                Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path).merged(
                    Config(**changed)
                ),
                quiet=True,
            )  # type: ignore[arg-type]
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()}
    assert before == after
