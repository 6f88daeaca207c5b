"""The original's calls over this coregistration."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

from mosart import sfs
from mosart.errors import InputError
from mosart.io import open_stack
from mosart.simulate.slc import write_ssc
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
