"""Small simulated stacks for the workflow's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio

from mosart.io.flat import write_flat
from mosart.io.netcdf import write_stack
from mosart.simulate import Simulation, collapse, dome
from mosart.workflow.folder import MANIFEST

Scene = tuple[Path, Simulation]


@pytest.fixture(scope="session", params=["right", "left"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A small crater as the original's flat HDF5, without metadata, in either look direction."""
    simulation = collapse(
        shape=(110, 260), look_direction=request.param, heading=-20.0, before=2, after=2, metadata=False
    )
    path = tmp_path_factory.mktemp(f"scene_{request.param}") / "projections.h5"
    write_flat(simulation.stack, path)
    return path, simulation


@pytest.fixture(scope="session")
def right_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The same in one look direction, smaller."""
    simulation = collapse(shape=(60, 160), before=2, after=2, metadata=False)
    path = tmp_path_factory.mktemp("scene") / "projections.h5"
    write_flat(simulation.stack, path)
    return path, simulation


@dataclass(frozen=True)
class Pair:
    """Two stacks of one ground, their simulations, and the options of a run of both."""

    folder: Path
    looks: dict[str, Simulation]
    box: str

    def options(self, out: Path) -> list[str]:
        """Both stacks, the two reference dates of each and the third dates as one epoch."""
        stacks = [f"--stack={self.folder / name}" for name in ("asc.h5", "dsc.nc")]
        dates = ["--reference=20200101..20200108", "--epoch=20200113,20200114"]
        return [*stacks, f"--out={out}", *dates, f"--areas={self.box}"]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A dome of new rock, 15 m high, seen from both sides on days of their own; one flat HDF5, one netCDF."""
    folder = tmp_path_factory.mktemp("pair")
    simulated = dome(height=15.0, radii=(90.0, 75.0), side=800.0, shape=(110, 200), before=2, after=2)
    looks = dict(zip(("asc", "dsc"), simulated, strict=True))
    write_flat(looks["asc"].stack, folder / "asc.h5")
    write_stack(looks["dsc"].stack, folder / "dsc.nc")
    lon, lat = (looks["asc"].stack.dataset[name].values for name in ("longitude", "latitude"))
    inside = looks["asc"].truth["elevation_change"].values[-1] > 1.5
    box = [lon[inside].min(), lat[inside].min(), lon[inside].max(), lat[inside].max()]
    return Pair(folder, looks, ",".join(f"{number:.6f}" for number in box))


#: Attributes that tell when, from which file and by which config a product was made.
TOLD = ("history", "config", "input_hashes", "source")


def products(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}


def assert_same_file(one: Path, other: Path) -> None:
    """Two HDF5 files hold the same numbers, text and attributes."""
    with h5py.File(one) as a, h5py.File(other) as b:
        names: list[str] = [""]
        a.visit(names.append)
        others: list[str] = [""]
        b.visit(others.append)
        assert names == others
        for name in names:
            first, second = a[name or "/"], b[name or "/"]
            told = [
                {
                    k: str(v)
                    for k, v in item.attrs.items()
                    if k not in TOLD and "_LIST" not in k and "_Netcdf4" not in k
                }
                for item in (first, second)
            ]
            assert told[0] == told[1], f"{name} in {one}"
            if isinstance(first, h5py.Dataset):
                np.testing.assert_array_equal(first[()], second[()], err_msg=f"{name} in {one}")


def assert_same_results(one: Path, other: Path) -> None:
    """Every product is there in both, whole, and holds the same numbers, bit by bit."""
    assert products(one) == products(other)
    for name in sorted(products(one)):
        first, second = one / name, other / name
        if name.endswith((".nc", ".h5")):
            assert_same_file(first, second)
        elif name.endswith(".tif"):
            with rasterio.open(first) as a, rasterio.open(second) as b:
                assert str(a.profile) == str(b.profile)
                assert (a.units, a.descriptions) == (b.units, b.descriptions)
                np.testing.assert_array_equal(a.read(), b.read())
        elif name.endswith(".csv"):
            pd.testing.assert_frame_equal(pd.read_csv(first), pd.read_csv(second), check_exact=True)
        elif name.endswith((".geojson", ".json")):
            assert json.loads(first.read_text()) == json.loads(second.read_text())
        elif name.endswith((".png", ".qml")):
            assert first.read_bytes() == second.read_bytes()
        else:
            assert second.stat().st_size > 0


@pytest.fixture(scope="session")
def same_results() -> Callable[[Path, Path], None]:
    """Whether two folders of products hold the same, whenever and in how many goes they were made."""
    return assert_same_results


@pytest.fixture(scope="session")
def same_file() -> Callable[[Path, Path], None]:
    """Whether two HDF5 files hold the same numbers, text and attributes."""
    return assert_same_file
