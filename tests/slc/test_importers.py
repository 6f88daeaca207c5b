"""Stacks that other processors coregistered: ISCE2's merged folders, MintPy's geometry."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import h5py
import numpy as np
import pytest

from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.isce import input_files, open_isce, recognises
from mosart.io.mintpy import open_mintpy
from mosart.masks import Flag

SHAPE = (30, 40)


def _xml(path: Path, kind: str, bands: int = 1) -> None:
    values = {
        "width": SHAPE[1],
        "length": SHAPE[0],
        "number_bands": bands,
        "data_type": kind,
        "scheme": "BIL",
        "byte_order": "l",
    }
    inner = "".join(f'<property name="{k}"><value>{v}</value></property>' for k, v in values.items())
    path.with_name(path.name + ".xml").write_text(f"<imageFile>{inner}</imageFile>")


def _put(path: Path, array: np.ndarray, kind: str, bands: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array.tofile(path)
    _xml(path, kind, bands)


@pytest.fixture
def merged(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    # Flying north, looking right: columns go east.
    truth = {
        "hgt": 100.0 + rows + 2.0 * columns,
        "lat": 51.0 + rows * 1e-4,
        "lon": 179.998 + columns * 1e-4,
    }
    # A higher point lies nearer to the radar: no map.
    truth["lon"] += truth["hgt"] * 1e-6
    truth["lon"] = (truth["lon"] + 180) % 360 - 180
    folder = tmp_path / "stack" / "merged"
    geometry = folder / "geom_reference"
    for name, array in truth.items():
        _put(geometry / f"{name}.rdr.full", array.astype("f8"), "DOUBLE")
    los = np.stack([np.full(SHAPE, 38.0), np.full(SHAPE, 100.0)], axis=1).astype("f4")
    _put(geometry / "los.rdr.full", los, "FLOAT", 2)
    shadow = np.zeros(SHAPE, "u1")
    shadow[3, 4], shadow[5, 6], shadow[7, 8] = 1, 2, 3
    _put(geometry / "shadowMask.rdr.full", shadow, "BYTE")
    for day in ("20190803", "20190809"):
        slc = (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)).astype("c8")
        slc[0] = 0
        truth[day] = slc
        _put(folder / "SLC" / day / f"{day}.slc.full", slc, "CFLOAT")
    (folder / "SLC" / "notes").mkdir()
    return folder, truth


def test_isce(merged: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, truth = merged
    assert recognises(folder)
    assert set(input_files(folder.parent)) == {folder / "SLC", folder / "geom_reference"}
    assert recognises(folder.parent)
    stack = open_stack(folder.parent)
    assert stack.dates == (dt.date(2019, 8, 3), dt.date(2019, 8, 9))
    data = stack.dataset.compute()
    np.testing.assert_allclose(data["height"], truth["hgt"])
    np.testing.assert_allclose(data["longitude"], truth["lon"])
    np.testing.assert_allclose(data["amplitude"][1, 1:], np.abs(truth["20190809"])[1:], rtol=1e-6)
    assert np.isnan(data["amplitude"][:, 0]).all()
    np.testing.assert_allclose(data["incidence_angle"], 38.0)
    mask = data["mask"].values[0]
    assert mask[3, 4] == Flag.SHADOW
    assert mask[5, 6] == Flag.LAYOVER
    assert mask[7, 8] == Flag.SHADOW | Flag.LAYOVER
    assert (mask[0] == Flag.NODATA).all()
    assert data.attrs["look_direction"] == "right"
    assert data.attrs["orbit_direction"] == "ascending"
    assert min(data.attrs["heading"], 360 - data.attrs["heading"]) < 1


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_isce_virtual_images(merged: tuple[Path, dict[str, np.ndarray]]) -> None:
    """topsStack may leave the merged SLC as a VRT over the bursts."""
    folder, truth = merged
    path = folder / "SLC" / "20190803" / "20190803.slc.full"
    raw = path.with_name("burst.slc")
    path.rename(raw)
    path.with_name(path.name + ".vrt").write_text(
        f'<VRTDataset rasterXSize="{SHAPE[1]}" rasterYSize="{SHAPE[0]}">'
        '<VRTRasterBand dataType="CFloat32" band="1" subClass="VRTRawRasterBand">'
        '<SourceFilename relativeToVRT="1">burst.slc</SourceFilename><ImageOffset>0</ImageOffset>'
        f"<PixelOffset>8</PixelOffset><LineOffset>{8 * SHAPE[1]}</LineOffset><ByteOrder>LSB</ByteOrder>"
        "</VRTRasterBand></VRTDataset>"
    )
    data = open_isce(folder).dataset.compute()
    np.testing.assert_allclose(data["amplitude"][0, 1:], np.abs(truth["20190803"])[1:], rtol=1e-6)


def test_isce_refuses(merged: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, _ = merged
    with pytest.raises(InputError, match="no stack of ISCE2"):
        open_isce(tmp_path / "stack" / "nothing")
    slc = folder / "SLC" / "20190809" / "20190809.slc.full"
    content = slc.read_bytes()
    slc.write_bytes(content[:-8])
    with pytest.raises(InputError, match=r"20190809.slc.full does not fit"):
        open_isce(folder)
    slc.write_bytes(content)
    slc.with_name(slc.name + ".xml").write_text("<imageFile>")
    with pytest.raises(InputError, match="cannot be understood"):
        open_isce(folder)
    (folder / "geom_reference" / "hgt.rdr.full").unlink()
    with pytest.raises(InputError, match="hgt"):
        open_isce(folder)


def test_mintpy(merged: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, truth = merged
    inputs = tmp_path / "mintpy" / "inputs"
    inputs.mkdir(parents=True)
    with h5py.File(inputs / "geometryRadar.h5", "w") as file:
        file["height"] = truth["hgt"].astype("f4")
        file["latitude"], file["longitude"] = truth["lat"], truth["lon"]
        file["incidenceAngle"] = np.full(SHAPE, 38.0, "f4")
        water = np.ones(SHAPE, bool)
        water[2, 2] = False
        file["waterMask"] = water
        file.attrs.update(
            {
                "ANTENNA_SIDE": "-1",
                "HEADING": "-12.5",
                "RANGE_PIXEL_SIZE": "2.33",
                "AZIMUTH_PIXEL_SIZE": "15.6",
                "EARTH_RADIUS": "6371000",
                "HEIGHT": "700000",
                "ORBIT_DIRECTION": "ASCENDING",
                "WAVELENGTH": "0.0555",
                "RLOOKS": "1",
                "ALOOKS": "1",
            }
        )
    with pytest.raises(InputError, match="geometry alone"):
        open_mintpy(inputs.parent)
    stack = open_mintpy(inputs.parent, folder)
    assert len(stack.dates) == 2
    with h5py.File(inputs / "slcStack.h5", "w") as file:
        file["slc"] = np.stack([truth["20190803"], truth["20190809"]])
        file["date"] = np.array([b"20190803", b"20190809"])
    assert open_stack(inputs.parent).dates == open_stack(inputs / "geometryRadar.h5").dates == stack.dates
    for images in (None, folder):
        data = open_mintpy(inputs / "geometryRadar.h5", images).dataset.compute()
        np.testing.assert_allclose(data["amplitude"][1, 1:], np.abs(truth["20190809"])[1:], rtol=1e-6)
        np.testing.assert_allclose(data["height"], truth["hgt"], rtol=1e-6)
        assert data.attrs["look_direction"] == "right"
        assert data.attrs["heading"] == pytest.approx(347.5)
        assert data.attrs["azimuth_spacing"] == pytest.approx(15.6 * 6371 / 7071)
        assert data["mask"].values[0, 2, 2] == Flag.WATER
