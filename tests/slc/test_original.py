"""The original's calls over this coregistration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

from mosart import sfs
from mosart.errors import InputError
from mosart.geometry.orbit import rdr2geo_height
from mosart.io import open_stack
from mosart.simulate.slc import Burst, PointTargets, add_targets, make_pixels, write_burst, write_ssc
from mosart.slc.original import coregistration, coregistration_bursts


def _pixels(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (300 * (rng.normal(size=(60, 80)) + 1j * rng.normal(size=(60, 80)))).astype(np.complex64)


@pytest.fixture
def folder(tmp_path: Path, data_folder: Path) -> Path:
    annotation = next((data_folder / "slc" / "terrasarx").glob("*.xml"))
    products = tmp_path / "slcs"
    for k, day in enumerate(("2020-07-22", "2020-08-02", "2020-08-13")):
        write_ssc(products, annotation, _pixels(k), row=14000, column=8000, start=day)
    # The constant height under the scene's centre.
    with rasterio.open(
        tmp_path / "dem_oman.tif",
        "w",
        driver="GTiff",
        width=900,
        height=900,
        count=1,
        dtype="float32",
        crs="EPSG:4979",
        transform=Affine(1 / 3600, 0, 56.2, 0, -1 / 3600, 25.37),
    ) as out:
        out.write(np.full((900, 900), 170.0, np.float32), 1)
    return products


def test_terrasarx(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "projections.h5"
    assert coregistration(output, folder) == []
    with h5py.File(output) as file:
        assert set(file) == {"20200722_20200802", "20200722_20200813"}
        group = file["20200722_20200802"]
        assert set(group) == {"dem", "lon", "lat", "amps", "amps1"}
        np.testing.assert_allclose(group["dem"][()], 170.0, atol=1e-3)
        assert np.isfinite(group["amps1"][8:-8, 10:-10]).all()
    stack = open_stack(output)
    assert [f"{d:%Y%m%d}" for d in stack.dates] == ["20200722", "20200802", "20200813"]
    # Adding one date keeps the others; a broken one is named.
    with h5py.File(output, "a") as file:
        del file["20200722_20200813"]
    assert coregistration(output, folder, index=2) == []
    with h5py.File(output) as file:
        assert set(file) == {"20200722_20200802", "20200722_20200813"}


def test_broken_product_is_named(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victim = sorted(folder.iterdir())[1]
    next((victim / "IMAGEDATA").iterdir()).write_bytes(b"short")
    coregistration(tmp_path / "p.h5", folder)
    assert victim.name in caplog.text
    with h5py.File(tmp_path / "p.h5") as file:
        assert set(file) == {"20200722_20200813"}


def test_burst_lists_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for text, match in (
        ("", "no list"),
        ("hello\n", "no list"),
        (
            "S1_202224_IW2_20160721T045637_VV_17A3-BURST\nS1_202225_IW2_20160802T045637_VV_17A3-BURST\n",
            "more than one burst",
        ),
        (
            "S1_202224_IW2_20160721T045637_VV_17A3-BURST\nS1_202224_IW2_20160802T045637_VH_17A3-BURST\n",
            "more than one polarisation",
        ),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=match):
            coregistration_bursts(path, tmp_path / "o.h5")
    with pytest.raises(InputError, match="cannot be read"):
        coregistration_bursts(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="does not exist"):
        coregistration(tmp_path / "o.h5", tmp_path / "nowhere")


def test_local_bursts_come_first_and_only_what_is_missing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"S1_202224_IW2_{day}T045637_VV_17A3-BURST" for day in ("20160721", "20160802", "20160814")]
    (tmp_path / "list.txt").write_text("\n".join(reversed(names)))
    for name in names[:2]:
        (tmp_path / f"{name}.tiff").touch()
        (tmp_path / f"{name}.xml").touch()
    with h5py.File(tmp_path / "o.h5", "w"):
        pass
    asked: list[str] = []
    opened: list[str] = []

    def fetch(missing: list[str], folder: Path) -> dict[str, Path]:
        asked.extend(missing)
        return {name: folder / f"{name}.tiff" for name in missing}

    def stop(paths: list[Path]) -> None:
        opened.extend(path.stem for path in paths)
        raise InputError("stop")

    monkeypatch.setattr("mosart.slc.original._fetch", fetch)
    monkeypatch.setattr("mosart.slc.original._open", stop)
    for index, missing, used in ((1, names[2:], names), (2, names[2:], [names[0], names[2]])):
        asked.clear()
        opened.clear()
        with pytest.raises(InputError, match="stop"):
            sfs.coregistration_bursts(tmp_path / "list.txt", tmp_path / "o.h5", index)
        assert asked == missing
        assert opened == used


COLUMNS = range(8900, 9140)
BAND = (327.0 / 486.486, 42.8e6 / 64.345e6)


@pytest.fixture
def bursts(
    tmp_path: Path, place: tuple[float, float], template_of: Callable, grid_of: Callable
) -> tuple[list[str], np.ndarray]:
    """Bursts of four dates, as ASF serves them, over flat ground with point targets; their names."""
    lon, lat = place
    with rasterio.open(
        tmp_path / "dem.tif",
        "w",
        driver="GTiff",
        width=1800,
        height=1800,
        count=1,
        dtype="float32",
        crs="EPSG:4979",
        transform=Affine(1 / 3600, 0, lon - 0.25, 0, -1 / 3600, lat + 0.25),
    ) as out:
        out.write(np.full((1800, 1800), 200.0, np.float32), 1)
    first = template_of("S1B", columns=COLUMNS)
    rows, columns = np.meshgrid(np.arange(120.0, 1400.0, 130.0), np.arange(60.0, 200.0, 60.0) + 0.4)
    points = rdr2geo_height(grid_of(first), rows.ravel(), columns.ravel(), 200.0)
    names = []
    for seed, (platform, cycles) in enumerate((("S1B", 0), ("S1A", 0), ("S1B", 1), ("S1A", 1))):
        away = template_of(platform).project(0, points)[1] - columns.ravel()
        start = round(float(np.median(away)))
        template = template_of(platform, columns=range(start, start + len(COLUMNS)), cycles=cycles)
        row, column = template.project(0, points)
        shape = 1517, len(COLUMNS)
        pixels = make_pixels(np.full(shape, 40.0**2), BAND, np.random.default_rng(seed))
        add_targets(pixels, PointTargets(row, column, 6000.0), BAND)
        pixels *= np.exp(1j * template.phase_ramp(0, np.arange(shape[0]), np.arange(shape[1])))
        names.append(write_burst(tmp_path, template, Burst(pixels.astype(np.complex64), 0, 0)).stem)
    return names, np.stack([rows.ravel(), columns.ravel()], axis=1)


@pytest.mark.slow
def test_bursts_end_to_end(
    tmp_path: Path, bursts: tuple[list[str], np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    names, places = bursts
    days = [name.split("_")[3][:8] for name in names]
    assert days == ["20190803", "20190809", "20190815", "20190821"]
    listed, output = tmp_path / "list.txt", tmp_path / "projections.h5"
    listed.write_text("\n".join(reversed(names[:2])))
    sfs.coregistration_bursts(listed, output)
    with h5py.File(output) as file:
        assert set(file) == {"dem", "lon", "lat", *days[:2]}
        before = {name: file[name][()] for name in file}
    np.testing.assert_allclose(before["dem"][np.isfinite(before["dem"])], 200.0, atol=1e-3)
    # Where the first date's targets lie, those of the other lie too.
    first, other = before[days[0]], before[days[1]]
    peaks = np.argwhere(first * 300 > 4000)
    assert len(peaks) >= len(places) * 0.8
    assert (other[tuple(peaks.T)] * 300 > 3300).mean() > 0.95
    # A date more, and one whose image is cut: the first is added, the second is named, the others stay.
    listed.write_text("\n".join(names))
    image = tmp_path / f"{names[3]}.tiff"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    assert coregistration_bursts(listed, output, index=2) == [days[3]]
    assert names[3] in caplog.text
    with h5py.File(output) as file:
        assert set(file) == {"dem", "lon", "lat", *days[:3]}
        for name, values in before.items():
            np.testing.assert_array_equal(file[name][()], values)
        added = file[days[2]][()]
    assert (added[tuple(peaks.T)] * 300 > 3300).mean() > 0.95
    assert [f"{d:%Y%m%d}" for d in open_stack(output).dates] == days[:3]
    # A file of another grid is refused, and stays as it is; so is one that is not there, before any work.
    with h5py.File(output, "a") as file:
        file["lon"][...] += 0.001
    content = output.read_bytes()
    listed.write_text("\n".join(names[:3]))
    with pytest.raises(InputError, match="another grid"):
        coregistration_bursts(listed, output, index=2)
    assert output.read_bytes() == content
    with pytest.raises(InputError, match="does not exist"):
        coregistration_bursts(listed, tmp_path / "none.h5", index=2)
    (tmp_path / f"{names[0]}.tiff").write_bytes(b"")
    with pytest.raises(InputError, match=names[0]):
        coregistration_bursts(listed, output, index=2)
    assert not list(tmp_path.glob(".*"))
