"""Files that are cut short, lose a part of themselves, or are not what they seem."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from mosart.errors import InputError, MosartError
from mosart.io import netcdf, open_stack, zarr

FlatFile = Callable[..., Path]


def read_all(path: Path) -> None:
    """Open a stack and read every number of it."""
    open_stack(path).dataset.compute()


@pytest.mark.parametrize("layout", [{}, {"chunks": (4, 5)}, {"chunks": (4, 5), "compression": "gzip"}])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
def test_truncated(flat_file: FlatFile, layout: dict[str, Any], share: float) -> None:
    path = flat_file(**layout)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"stack\.h5"):
        read_all(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (b"CDF\x01rest", "netCDF-3"),
        (b"II*\x00rest", "radar geometry"),
        (b"PK\x03\x04", "zip"),
        (b"text", "no HDF5"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, head: bytes, kind: str) -> None:
    path = tmp_path / "stack.h5"
    path.write_bytes(head)
    with pytest.raises(InputError, match=kind):
        open_stack(path)


def test_no_file_and_no_zarr(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_stack(tmp_path / "nothing.h5")
    with pytest.raises(InputError, match="no Zarr"):
        open_stack(tmp_path)


def make_virtual(path: Path, source: Path, content: dict[str, Any]) -> None:
    with h5py.File(source, "w") as file:
        file["image"] = content["20190206"]
    layout = h5py.VirtualLayout((12, 20), "f4")
    layout[:] = h5py.VirtualSource(source.name, "image", (12, 20))
    with h5py.File(path, "r+") as file:
        del file["20190206"]
        file.create_virtual_dataset("20190206", layout)


def test_virtual_dataset_with_and_without_its_source(
    flat_file: FlatFile, content: dict[str, Any], tmp_path: Path
) -> None:
    path, source = flat_file(), tmp_path / "source.h5"
    make_virtual(path, source, content)
    np.testing.assert_array_equal(open_stack(path).dataset["amplitude"][1], content["20190206"])
    with h5py.File(source, "w") as file:
        file["image"] = np.ones((3, 20), "f4")
    with pytest.raises(InputError, match=r"20190206.*too small"):
        open_stack(path)
    with h5py.File(source, "w") as file:
        file["other"] = np.ones((12, 20), "f4")
    with pytest.raises(InputError, match="image"):
        open_stack(path)
    source.unlink()
    with pytest.raises(InputError, match=r"20190206.*missing"):
        open_stack(path)


def test_source_that_is_lost_after_opening(
    flat_file: FlatFile, content: dict[str, Any], tmp_path: Path
) -> None:
    path, source = flat_file(), tmp_path / "source.h5"
    make_virtual(path, source, content)
    stack = open_stack(path)
    source.unlink()
    with pytest.raises(InputError, match="missing"):
        stack.dataset["amplitude"].compute()


def test_external_numbers(flat_file: FlatFile, content: dict[str, Any], tmp_path: Path) -> None:
    path, numbers = flat_file(), tmp_path / "numbers.raw"
    numbers.write_bytes(content["20190206"].tobytes())
    with h5py.File(path, "r+") as file:
        del file["20190206"]
        size = numbers.stat().st_size
        file.create_dataset("20190206", (12, 20), "f4", external=[(str(numbers), 0, size)])
    np.testing.assert_array_equal(open_stack(path).dataset["amplitude"][1], content["20190206"])
    numbers.write_bytes(b"short")
    with pytest.raises(InputError, match="cut short"):
        open_stack(path)
    numbers.unlink()
    with pytest.raises(InputError, match=r"20190206.*missing"):
        open_stack(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("gone.h5", "/x"), h5py.SoftLink("/gone")])
@pytest.mark.parametrize("name", ["20190206", "dem"])
def test_links_that_lead_nowhere(flat_file: FlatFile, name: str, link: Any) -> None:
    path = flat_file()
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = link
    with pytest.raises(InputError, match=rf"{name}.*gone|{name}.*\n.*\n.*gone"):
        open_stack(path)


def test_a_filter_that_is_not_installed_is_named(flat_file: FlatFile) -> None:
    path = flat_file({"20190206": None})
    with h5py.File(path, "r+") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 5))
        plist.set_deflate(4)
        h5py.h5d.create(file.id, b"20190206", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((12, 20)), plist)
        file["20190206"][...] = 1.0
    data = bytearray(path.read_bytes())
    # The number in the filter's message becomes that of Zstandard: 1, eight bytes before its name.
    where = data.rfind(b"deflate")
    assert where > 0
    data[where - 8 : where - 6] = (32015).to_bytes(2, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"20190206.*filter"):
        open_stack(path)


def test_chunks_that_zarr_lost(flat_file: FlatFile, tmp_path: Path) -> None:
    folder = tmp_path / "stack.zarr"
    zarr.write_stack(open_stack(flat_file()), folder)
    open_stack(folder)
    (folder / "amplitude" / "1.0.0").unlink()
    with pytest.raises(InputError, match=r"amplitude.*incomplete"):
        open_stack(folder)


@pytest.mark.parametrize("writer", [netcdf, zarr])
def test_dates_doubled_or_out_of_order(flat_file: FlatFile, tmp_path: Path, writer: Any) -> None:
    dataset = open_stack(flat_file({"20190301": np.ones((12, 20), "f4")})).dataset
    for order, word in (([0, 1, 1], "doubled"), ([1, 0, 2], "out of order"), ([0, 2, 1], "20190206")):
        path = tmp_path / f"{word.replace(' ', '')}.x"
        writer.write_dataset(dataset.isel(date=order), path)
        with pytest.raises(InputError, match=word):
            open_stack(path)
    # twice on one day, at other times
    times = np.array(["2019-01-15T01", "2019-01-15T05", "2019-03-01"], "datetime64[ns]")
    writer.write_dataset(dataset.assign_coords(date=times), tmp_path / "hours.x")
    with pytest.raises(InputError, match=r"doubled: 20190115"):
        open_stack(tmp_path / "hours.x")


@pytest.mark.parametrize("writer", [netcdf, zarr])
def test_a_result_is_not_a_stack(flat_file: FlatFile, tmp_path: Path, writer: Any) -> None:
    dataset = open_stack(flat_file()).dataset.rename(amplitude="elevation_change")
    writer.write_dataset(dataset, tmp_path / "radar.x")
    with pytest.raises(InputError, match="result"):
        open_stack(tmp_path / "radar.x")


def test_geocoded_images_are_refused(flat_file: FlatFile, content: dict[str, Any], tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(-163.9, -163.8, 20), np.linspace(54.8, 54.7, 12))
    with pytest.raises(InputError, match=r"geocoded[\s\S]*range line"):
        open_stack(flat_file({"lon": x, "lat": y}))
    cubes = {"amplitude": (("date", "y", "x"), np.ones((2, 12, 20), "f4")), "z": (("y", "x"), x)}
    for names in ({}, {"amplitude": "gamma0"}, {"y": "lat", "x": "lon"}):
        map_grid = xr.Dataset(cubes, {"y": y[:, 0], "x": x[0]}).rename(names)
        map_grid.to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
        with pytest.raises(InputError, match="geocoded"):
            open_stack(tmp_path / "map.nc")
    # flat ground tells nothing: radar images of a sea along a meridian look the same
    open_stack(flat_file({"lon": x, "lat": y, "dem": np.zeros((12, 20))}))


@pytest.fixture
def small_files(flat_file: FlatFile, tmp_path: Path) -> dict[str, Path]:
    flat = flat_file(chunks=(4, 5), compression="gzip", shuffle=True)
    stack = open_stack(flat)
    netcdf.write_stack(stack, tmp_path / "stack.nc")
    zarr.write_stack(stack, tmp_path / "stack.zarr")
    return {"flat": flat, "netcdf": tmp_path / "stack.nc", "zarr": tmp_path / "stack.zarr"}


@pytest.mark.parametrize("kind", ["flat", "netcdf"])
@pytest.mark.parametrize("seed", range(2))
def test_flipped_and_cut_bytes(small_files: dict[str, Path], kind: str, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([seed, len(kind)])
    whole = small_files[kind].read_bytes()
    path = tmp_path / f"fuzzed{small_files[kind].suffix}"
    for _ in range(25):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), rng.integers(1, 6)):
            data[position] = rng.integers(0, 256)
        if rng.random() < 0.2:
            del data[rng.integers(0, len(data)) :]
        path.write_bytes(data)
        with suppress(MosartError):
            read_all(path)


def test_flipped_and_cut_bytes_of_zarr(small_files: dict[str, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    folder = tmp_path / "fuzzed.zarr"
    for _ in range(40):
        shutil.copytree(small_files["zarr"], folder)
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        path = files[rng.integers(0, len(files))]
        data = bytearray(path.read_bytes())
        data[rng.integers(0, len(data))] = rng.integers(0, 256)
        if rng.random() < 0.3:
            del data[rng.integers(0, len(data)) :]
        path.write_bytes(data)
        with suppress(MosartError):
            read_all(folder)
        shutil.rmtree(folder)
