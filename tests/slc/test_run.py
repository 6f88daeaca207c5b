"""Runs that start from SLC products: small SSC of speckle over flat ground."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

from mosart.cli import main
from mosart.io import open_stack
from mosart.masks import TRACED, VISIBILITY
from mosart.simulate.slc import write_ssc
from mosart.workflow.configfile import load
from mosart.workflow.folder import ProductFolder

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def _pixels(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (300 * (rng.normal(size=(60, 80)) + 1j * rng.normal(size=(60, 80)))).astype(np.complex64)


@pytest.fixture
def folder(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two products and a DEM, a config beside them, and that folder the current one."""
    annotation = next((data_folder / "slc" / "terrasarx").glob("*.xml"))
    for k, day in enumerate(("2020-07-22", "2020-08-02")):
        write_ssc(tmp_path / "slcs", annotation, _pixels(k), row=14000, column=8000, start=day)
    east = np.arange(900)[None] * np.ones((900, 1))
    with rasterio.open(
        tmp_path / "dem.tif",
        "w",
        driver="GTiff",
        width=900,
        height=900,
        count=1,
        dtype="float32",
        crs="EPSG:4979",
        transform=Affine(1 / 3600, 0, 56.2, 0, -1 / 3600, 25.37),
    ) as out:
        out.write((170.0 + 3.0 * np.sin(east)).astype(np.float32), 1)
    names = [p.name for p in sorted((tmp_path / "slcs").iterdir())]
    listed = "".join(f"  - slcs/{name}\n" for name in reversed(names))
    (tmp_path / "config.yaml").write_text(f"slc:\n{listed}dem: dem.tif\nout: out\ndespeckle: none\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mosart.workflow.run.draw_figures", lambda *_: None)
    return tmp_path


def products(folder: Path) -> set[str]:
    return set(ProductFolder(folder).products())


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_run_coregisters_first_and_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    assert main(["check", "config.yaml"]) == 0
    told = capsys.readouterr().out
    assert files(folder) == before
    for part in (
        "20200722",
        "20200802",
        "60 azimuth rows x 80 range pixels",
        "dem.tif",
        "ellipsoidal",
        "100.0 %",
        "GiB",
    ):
        assert part in told
    assert main(["coregister", "config.yaml"]) == 0
    assert "next: mosart run config.yaml" in capsys.readouterr().out
    assert products(folder / "out") == {"stack.nc"}
    made = (folder / "out" / "stack.nc").stat().st_mtime_ns
    # What the first step has made is used, and stays a product of the run.
    assert main(["run", "config.yaml"]) == 0
    assert "is used as it is" in capsys.readouterr().err
    assert (folder / "out" / "stack.nc").stat().st_mtime_ns == made
    assert {"stack.nc", "radar.nc", "elevation_change.nc"} <= products(folder / "out")
    # The terrain along the lines passes through the pixels' own heights.
    with open_stack(folder / "out" / "stack.nc").dataset as data:
        assert data.attrs[VISIBILITY] == TRACED
        for row in (0, 31, 59):
            at, height = (data[name].values[row] for name in ("section_range", "section_height"))
            assert at[0] < 0
            assert at[-1] > 79
            found = np.interp(data["range"].values, at, height)
            np.testing.assert_allclose(found, data["height"].values[row], atol=0.2)
    used = load(folder / "out" / "config.yaml")
    assert len(used.slc) == 2
    assert used.stack == ()
    text = (folder / "out" / "config.yaml").read_text()
    assert all(f"input: {p}" in text for p in (folder / "dem.tif", *(folder / "slcs").iterdir()))
    # The config as used repeats the run; another grid's date makes another stack.
    assert main(["run", "out/config.yaml", "--out", "other", "--grid-date", "20200802", "--quiet"]) == 0
    stack = open_stack(folder / "other" / "stack.nc")
    assert [f"{d:%Y%m%d}" for d in stack.dates] == ["20200722", "20200802"]
    # Nothing but products and the user's own is left.
    assert files(folder) - before - {".mosart-products.json"} == {
        f"{name}/{item}"
        for name in ("out", "other")
        for item in (*products(folder / name), ".mosart-products.json")
    }


def test_a_stack_is_made_again_only_where_what_it_is_made_of_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def coregister(*options: str) -> int:
        assert main(["coregister", "config.yaml", *options]) == 0
        capsys.readouterr()
        return (folder / "out" / "stack.nc").stat().st_mtime_ns

    made = coregister()
    # Another order, what a run alone needs, other names of the folders: the same stack.
    text = (folder / "config.yaml").read_text()
    slcs = sorted((folder / "slcs").iterdir())
    (folder / "slcs").rename(folder / "moved")
    listed = "".join(f"  - moved/{p.name}\n" for p in slcs)
    (folder / "config.yaml").write_text(f"slc:\n{listed}{text[text.index('dem:') :]}weights: robust\n")
    assert coregister("--workers", "1") == made
    # Another setting, another DEM, other software.
    other = coregister("--grid-date", "20200802")
    assert other != made
    made = coregister()
    assert made != other
    with rasterio.open(folder / "dem.tif", "r+") as dem:
        heights = dem.read(1)
        heights[100, 100] += 1
        dem.write(heights, 1)
    other = coregister()
    assert other != made
    monkeypatch.setattr("mosart.workflow.fromslc.software", lambda: "another")
    assert coregister() != other


def test_places_outside_the_image_are_refused_before_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(folder)

    def outcome(*options: str) -> str:
        code = main(["check", "config.yaml", *options])
        told = capsys.readouterr()
        assert files(folder) == before
        return told.out if code == 0 else f"{code}: {told.err}"

    assert main(["coregister", "config.yaml", "--out", "whole.nc", "--quiet"]) == 0
    capsys.readouterr()
    with open_stack(folder / "whole.nc").dataset as data:
        lon, lat = (data[name].values for name in ("longitude", "latitude"))
        (folder / "whole.nc").unlink()

    def place(x: float, y: float, half: float) -> str:
        return f"{x},{y}" if half == 0 else f"lonlat={x - half},{y - half},{x + half},{y + half}"

    # A little beyond the middle of the last column; some kilometres aside; elsewhere on earth.
    beside = 2 * lon[30, -1] - lon[30, 40], 2 * lat[30, -1] - lat[30, 40]
    for key, half in (("--points", 0.0), ("--areas", 2e-4)):
        assert "memory" in outcome(key, place(lon[30, 40], lat[30, 40], half))
        for x, y in (beside, (lon[30, 40] + 0.05, lat[30, 40]), (1.0, 1.0), (-120.0, 50.0)):
            told = outcome(key, place(x, y, half))
            assert told.startswith("2: ")
            assert "holds no pixel" in told
    w, e, s, n = lon.min(), lon.max(), lat.min(), lat.max()
    assert "memory" in outcome("--areas", f"lonlat={w - 1},{s - 1},{e + 1},{n + 1}")
    assert "holds no pixel" in outcome("--stable", f"lonlat={w + 1},{s},{e + 1},{n}")
    assert "memory" in outcome("--stable", f"lonlat={w},{s},{e},{n}")
    assert "memory" in outcome("--crop", "pixels=10,70,5,50")
    assert "outside the image" in outcome("--crop", "pixels=100,170,5,50")
    assert "holds no pixel" in outcome("--crop", "pixels=10,30,5,50", "--areas", "pixels=40,50,5,50")
    assert "outside the scene" in outcome("--crop", f"lonlat={w + 1},{s},{e + 1},{n}")
    assert main(["coregister", "config.yaml", "--out", "stack.h5"]) == 2
    assert "netCDF" in capsys.readouterr().err
    # A file of its own cannot be cut by pixels; it says so instead of leaving the crop out.
    assert main(["coregister", "config.yaml", "--out", "cut.nc", "--crop", "pixels=10,70,5,50"]) == 2
    assert "longitude and latitude" in capsys.readouterr().err
    assert files(folder) == before


def test_one_product_alone_gives_its_amplitude_and_geometry(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = next((folder / "slcs").iterdir())
    assert main(["coregister", "--slc", f"{one}", "--dem", "dem.tif", "--out", "one.nc", "--quiet"]) == 0
    stack = open_stack(folder / "one.nc", minimum_dates=1)
    assert stack.shape == (1, 60, 80)
    assert {"height", "longitude", "latitude", "incidence_angle"} <= set(stack.dataset.variables)
    capsys.readouterr()
    assert main(["run", "--slc", f"{one}", "--dem", "dem.tif", "--out", "out"]) == 2
    assert "images of two dates" in capsys.readouterr().err
    assert not (folder / "out").exists()


@pytest.mark.parametrize("command", ["run", "check", "coregister"])
def test_what_cannot_be_used_is_refused_before_work(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    before = files(folder)

    def refused(words: str, *options: str) -> None:
        assert main([command, "config.yaml", *options]) == 2
        assert words in capsys.readouterr().err
        assert files(folder) == before

    refused("none.tif", "--dem", "none.tif")
    refused("no product of the grid's date", "--grid-date", "20200723")
    refused("HV", "--polarization", "HV")
    refused("EGM2020", "--dem-datum", "EGM2020")
    refused("areas: ", "--areas", "none.geojson")
    if command != "coregister":
        refused("20200723", "--reference", "20200723")
        refused("no stack is called ascending", "--geometry-of.ascending.heading", "3")
    # A file of the user's own is not overwritten by the stack of a run.
    (folder / "out").mkdir()
    (folder / "out" / "stack.nc").write_text("mine")
    before = files(folder)
    refused("stack.nc")
    (folder / "out" / "stack.nc").unlink()
    victim = sorted((folder / "slcs").iterdir())[1]
    image = next((victim / "IMAGEDATA").iterdir())
    image.write_bytes(image.read_bytes()[:1000])
    before = files(folder)
    refused(victim.name)


def test_the_originals_call(folder: Path) -> None:
    from mosart import sfs

    sfs.coregistration("projections.h5", "slcs")
    with h5py.File("projections.h5") as file:
        assert set(file) == {"20200722_20200802"}
