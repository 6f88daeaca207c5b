"""The folder of a run: products as a set, the user's own files untouched, nothing half there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mosart.errors import InputError
from mosart.workflow.folder import MANIFEST, STAGING, ProductFolder


def leave(folder: Path, *names: str, text: str = "x") -> ProductFolder:
    products = ProductFolder(folder)
    products.examine()
    with products.staging() as stage:
        for name in names:
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(text)
    return products


def seen(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}


def test_a_later_run_replaces_the_products_of_the_earlier_as_a_set(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    leave(out, "radar.nc", "geotiff/elevation_change_20190101.tif", "figures/series.png", text="1")
    (out / "notes.txt").write_text("mine")
    (out / "geotiff" / "mine.tif").write_text("mine")
    products = leave(out, "radar.nc", "timeseries.csv", text="2")
    assert seen(out) == {"radar.nc", "timeseries.csv", "notes.txt", "geotiff/mine.tif"}
    assert (out / "radar.nc").read_text() == "2"
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "figures").exists()
    assert products.products() == ("radar.nc", "timeseries.csv")


def test_a_run_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, "radar.nc", text="1")

    def interrupted() -> None:
        with ProductFolder(out).staging() as stage:
            (stage / "radar.nc").write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen(out) == {"radar.nc"}
    assert (out / "radar.nc").read_text() == "1"
    with pytest.raises(RuntimeError), ProductFolder(tmp_path / "b" / "c").staging():
        raise RuntimeError
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "name", ["radar.nc", "geotiff/elevation_change_20190101.tif", "config.yaml", "mosart.log"]
)
def test_files_of_the_user_with_a_products_name_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=name):
        ProductFolder(tmp_path).examine()
    assert (tmp_path / name).read_text() == "mine"


def test_input_that_is_a_product_of_the_folder_is_refused(tmp_path: Path) -> None:
    products = leave(tmp_path, "radar.nc")
    with pytest.raises(InputError, match="would replace"):
        products.examine([tmp_path / "radar.nc"])


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for path in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError, match="cannot be a folder"):
            ProductFolder(path).examine()


@pytest.mark.skipif(os.name == "nt", reason="folders without permission to write, as POSIX has them")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # Root may write anywhere but in the kernel's own folders.
    folder = Path("/proc/self") if os.getuid() == 0 else tmp_path
    if folder == tmp_path:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"):
            ProductFolder(folder / "out").examine()
    finally:
        tmp_path.chmod(0o700)


def test_leftovers_of_a_killed_run_are_removed_and_a_running_one_is_respected(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, os; from mosart.workflow.folder import ProductFolder\n"
        "with ProductFolder(pathlib.Path(sys.argv[1])).staging() as stage:\n"
        "    (stage / 'radar.nc').write_text('half'); print('ready', flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"ready"
        with pytest.raises(InputError, match="another run is at work"):
            ProductFolder(tmp_path).examine()
        other.kill()
    assert seen(tmp_path) != set()
    leave(tmp_path, "radar.nc", text="2")
    assert seen(tmp_path) == {"radar.nc"}
    assert not list(tmp_path.glob(f"{STAGING}*"))


def test_a_list_that_names_files_outside_is_not_obeyed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text(json.dumps({"products": ["../precious", str(tmp_path / "precious"), 3]}))
    leave(out, "radar.nc")
    assert (tmp_path / "precious").read_text() == "mine"
