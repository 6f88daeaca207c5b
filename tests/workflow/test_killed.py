"""A run that is killed at any moment, or on a full disk, leaves whole files, and the next finishes the work.

``MOSART_KILLS`` is the number of kills with each signal (``make test-kill``: 100).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest
import rasterio

from mosart.io.netcdf import write_stack
from mosart.simulate import collapse
from mosart.workflow.folder import MANIFEST, ProductFolder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits as POSIX has them")
KILLS = int(os.environ.get("MOSART_KILLS", "10"))

#: Does runs in children of one process that has everything imported: a run then takes about a second.
NURSERY = """
import json, os, resource, signal, sys, time
from mosart.cli import main
import mosart.workflow.run
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(os.open(order["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if order["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], resource.RLIM_INFINITY))
        code = 99
        try:
            code = main(order["arguments"])
        finally:
            sys.stderr.flush()
            os._exit(code)
    if order["signal"]:
        time.sleep(order["after"])
        os.kill(child, order["signal"])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Nursery:
    """Runs, some of which do not come to their end."""

    process: subprocess.Popen[str]
    told: Path
    temporary: Path

    def run(self, arguments: list[str], *, number: int = 0, after: float = 0.0, limit: int = 0) -> int:
        order: dict[str, Any] = {"arguments": arguments, "signal": number, "after": after, "limit": limit}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order | {"told": str(self.told)}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    command = [sys.executable, "-c", NURSERY]
    temporary = tmp_path_factory.mktemp("temporary")
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Nursery(process, tmp_path_factory.mktemp("told") / "stderr", temporary)
        assert process.stdin is not None
        process.stdin.close()


@dataclass(frozen=True)
class Scene:
    """Two configs that share a folder, and what undisturbed runs of each leave elsewhere."""

    arguments: list[list[str]]
    expected: list[Path]
    seconds: float


@pytest.fixture(scope="module")
def scene(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("kill")
    stack = collapse(shape=(24, 60), before=2, after=1).stack
    write_stack(stack, folder / "stack.nc")
    left_out = "figures,report" if KILLS > 10 else "figures,report,mintpy"
    arguments, expected = [], []
    for k in (0, 1):
        given = ["run", "--stack", str(folder / "stack.nc"), "--reference", f"{stack.dates[k]:%Y%m%d}"]
        for date in stack.dates[1:]:
            given += ["--epoch", f"{date:%Y%m%d}"]
        given += [
            "--method",
            "rowwise-intensity",
            "--areas",
            "pixels=20,40,8,16",
            "--without",
            left_out,
            "--workers",
            "1",
            "--quiet",
        ]
        arguments.append(given)
        expected.append(folder / f"undisturbed_{k}")
        began = time.monotonic()
        assert nursery.run([*given, "--out", str(expected[k])]) == 0, nursery.told.read_text()
    return Scene(arguments, expected, time.monotonic() - began)


def assert_whole(folder: Path) -> None:
    """Every file under its final name can be read to its end."""
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.startswith((".mosart-run-", f".{MANIFEST}.")):  # being written
            continue
        if path.suffix in {".nc", ".h5"}:
            with h5py.File(path) as file:
                file.visititems(lambda _, item: item[()].size if isinstance(item, h5py.Dataset) else None)
        elif path.suffix == ".tif":
            with rasterio.open(path) as raster:
                raster.read()
        elif path.suffix == ".csv":
            assert len(pd.read_csv(path)) > 0
        elif path.suffix in {".json", ".geojson"}:
            json.loads(path.read_text(encoding="utf-8"))
        else:
            assert path.stat().st_size > 0


def test_runs_that_are_killed_at_any_moment_are_finished_by_the_next(
    nursery: Nursery, scene: Scene, tmp_path: Path, same_results: Callable[[Path, Path], None]
) -> None:
    dice = random.Random(20190115)
    out, mine = tmp_path / "out", tmp_path / "out" / "notes.txt"
    out.mkdir()
    mine.write_text("mine")
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL] * KILLS
    for turn, number in enumerate(signals):
        command = [*scene.arguments[turn % 2], "--out", str(out)]
        code = nursery.run(command, number=number, after=dice.uniform(0, 1.1) * scene.seconds)
        assert code in {0, 128 + number, -number}, nursery.told.read_text()
        assert_whole(out)
        assert nursery.run(command) == 0, nursery.told.read_text()
        assert mine.read_text() == "mine"
        mine.unlink()
        same_results(out, scene.expected[turn % 2])
        mine.write_text("mine")
        assert not list(out.glob(".mosart-run-*"))
    assert set(ProductFolder(out).products()) == {
        p.relative_to(out).as_posix()
        for p in out.rglob("*")
        if p.is_file() and p != mine and p.name != MANIFEST
    }
    assert not list(nursery.temporary.iterdir())


def test_a_full_disk_leaves_the_earlier_products_and_the_next_run_finishes(
    nursery: Nursery, scene: Scene, tmp_path: Path, same_results: Callable[[Path, Path], None]
) -> None:
    dice = random.Random(1)
    out = tmp_path / "out"
    assert nursery.run([*scene.arguments[1], "--out", str(out)]) == 0
    largest = max(p.stat().st_size for p in out.rglob("*.nc"))
    for _ in range(max(3, KILLS // 3)):
        command = [*scene.arguments[0], "--out", str(out)]
        code = nursery.run(command, limit=dice.randrange(2_000, largest - 1_000))
        assert code == 1, nursery.told.read_text()
        assert "bug" not in nursery.told.read_text()
        same_results(out, scene.expected[1])
        assert not list(out.glob(".mosart-run-*"))
    assert nursery.run([*scene.arguments[0], "--out", str(out)]) == 0, nursery.told.read_text()
    same_results(out, scene.expected[0])


def test_a_disk_that_is_really_full_is_said_and_the_next_run_finishes(
    nursery: Nursery,
    scene: Scene,
    small_disk: Callable[[int], Path],
    same_results: Callable[[Path, Path], None],
) -> None:
    place = small_disk(64 << 20)
    out = place / "out"
    assert nursery.run([*scene.arguments[1], "--out", str(out)]) == 0
    used = shutil.disk_usage(place).used
    largest = max(p.stat().st_size for p in out.rglob("*.nc"))
    for room in (0, largest // 2, 2 * largest):
        small_disk(used + room)
        code = nursery.run([*scene.arguments[0], "--out", str(out)])
        assert code == 1, nursery.told.read_text()
        assert "No space left on device" in nursery.told.read_text()
        assert "bug" not in nursery.told.read_text()
        same_results(out, scene.expected[1])
        assert not list(out.glob(".mosart-run-*"))
    small_disk(64 << 20)
    assert nursery.run([*scene.arguments[0], "--out", str(out)]) == 0, nursery.told.read_text()
    same_results(out, scene.expected[0])


def test_a_page_that_the_disk_has_no_room_for_is_made_by_the_next_run(
    nursery: Nursery, scene: Scene, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    command = list(scene.arguments[0])
    command[command.index("--without") + 1] = "figures,mintpy,geotiff"
    whole = tmp_path / "whole"
    assert nursery.run([*command, "--out", str(whole)]) == 0, nursery.told.read_text()
    page = (whole / "report.html").stat().st_size
    place = small_disk(64 << 20)
    shutil.copytree(whole, place / "copy")
    used = shutil.disk_usage(place).used
    shutil.rmtree(place / "copy")
    small_disk(used - page // 2)
    out = place / "out"
    assert nursery.run([*command, "--out", str(out)]) == 1
    assert "report.html could not be written" in nursery.told.read_text()
    assert not list(out.glob("*.nc"))
    small_disk(64 << 20)
    assert nursery.run([*command, "--out", str(out)]) == 0, nursery.told.read_text()
    assert (out / "report.html").stat().st_size > 0.9 * page
