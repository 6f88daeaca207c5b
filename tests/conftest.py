"""What all tests share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("mosart", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("mosart")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread_a_worker() -> Iterator[None]:
    """Keep workers that share the cores from waiting for each other's threads of linear algebra.

    What runs themselves see to; numerics that tests call directly took five times as long.
    """
    # libraries that are loaded later would start their threads all the same
    import scipy.linalg  # noqa: F401

    with threadpool_limits(limits=1 if "PYTEST_XDIST_WORKER" in os.environ else None):
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real data; without it the test is skipped, or fails where CI is set."""
    folder = Path(os.environ.get("MOSART_DATA") or PROJECT.parent / "shared" / "data")
    if folder.is_dir():
        return folder
    message = f"no real data: {folder} does not exist (set MOSART_DATA)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def as_geoid(tmp_path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Put heights, one a whole degree of latitude from the north pole, in the place of EGM2008's grid."""
    import pyproj
    import rasterio

    before = pyproj.datadir.get_data_dir()
    folder = tmp_path / "proj"
    folder.mkdir()

    def put(heights: np.ndarray) -> None:
        profile = {"driver": "GTiff", "width": 360, "height": 181, "count": 1, "dtype": "float32"}
        transform = rasterio.Affine(1.0, 0, -180.5, 0, -1.0, 90.5)
        path = folder / "us_nga_egm08_25.tif"
        with rasterio.open(path, "w", crs="EPSG:4979", transform=transform, **profile) as out:
            out.write(np.repeat(heights[:, None], 360, axis=1).astype(np.float32), 1)
            out.update_tags(TYPE="VERTICAL_OFFSET_GEOGRAPHIC_TO_VERTICAL", AREA_OR_POINT="Point")
            out.update_tags(1, DESCRIPTION="geoid_undulation", UNITTYPE="metre")
            out.set_band_description(1, "geoid_undulation")
            out.units = ("metre",)
        pyproj.datadir.append_data_dir(str(folder))

    yield put
    pyproj.datadir.set_data_dir(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk in memory; called with the bytes that it shall hold. Without the right to mount it: skipped."""
    place = tmp_path / "disk"
    place.mkdir()
    command = shutil.which("mount")

    def mount(options: str) -> bool:
        words = [str(command), "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    if command is None or not mount("size=64m"):
        pytest.skip("a small disk can be mounted by root alone")

    def resize(size: int) -> Path:
        assert mount(f"remount,size={size}")
        return place

    yield resize
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Path]], list[str]]:
    """What the checker of the climate and forecast community finds, but for what docs/files.md explains."""

    def faults_of(files: list[Path]) -> list[str]:
        report = tmp_path_factory.mktemp("judged") / "report.json"
        options = [
            "--criteria",
            "strict",
            "--test",
            "cf:1.11",
            "--format",
            "json_new",
            "--output",
            str(report),
        ]
        done = subprocess.run(
            [Path(sys.executable).with_name("compliance-checker"), *options, *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert report.is_file(), done.stderr
        judged = json.loads(report.read_text())
        assert len(judged) == len(files)
        faults = []
        for path, suites in judged.items():
            verdict = suites["cf:1.11"]
            assert verdict["possible_points"] > 100
            for level in ("high_priorities", "medium_priorities", "low_priorities"):
                for part in verdict[level]:
                    # Those with all their points are remarks on what is right.
                    lost = part["msgs"] if part["value"][0] < part["value"][1] else []
                    faults += [f"{Path(path).name}: {part['name']}: {text}" for text in lost]
        # On the radar grid rows and columns are no latitudes and longitudes.
        return [
            fault
            for fault in faults
            if not (fault.startswith("radar") and "not in the recommended order" in fault)
        ]

    return faults_of
