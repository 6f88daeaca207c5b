from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mosart.errors import InputError, MosartError
from mosart.io import flat, netcdf, open_stack, zarr
from mosart.io.atomic import atomic_path

FlatFile = Callable[..., Path]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fail(target: Path, error: BaseException) -> None:
    with atomic_path(target) as temporary:
        if target.suffix == ".zarr":
            temporary.mkdir()
        else:
            temporary.write_text("half")
        raise error


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.nc"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".nc"
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert names(tmp_path) == ["out.nc"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, InputError])
def test_nothing_is_left_of_a_failure(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out.nc"
    target.write_text("before")
    with pytest.raises(error):
        fail(target, error("stop"))
    assert target.read_text() == "before"
    assert names(tmp_path) == ["out.nc"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_stops_a_search_for_a_file_is_not_told_that_it_is_missing(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def search() -> None:
        with atomic_path(tmp_path / "out.nc"):
            try:
                (tmp_path / "none").stat()
            except FileNotFoundError:
                raise error from None  # as a signal does that comes just then: the context stays

    with pytest.raises(error):
        search()
    assert names(tmp_path) == []


def test_folders_are_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"
    for content in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
        assert names(target) == [content]
    with pytest.raises(ValueError, match="stop"):
        fail(target, ValueError("stop"))
    assert names(target) == ["two"]
    assert names(tmp_path) == ["out.zarr"]


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="folder"), atomic_path(tmp_path / "out") as temporary:
        temporary.write_text("x")
    assert names(tmp_path) == ["out"]


def test_no_folder_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"), atomic_path(tmp_path / "no" / "out.nc"):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError), atomic_path(tmp_path / "file" / "out.nc"):
        pass
    if os.name != "nt" and os.geteuid() != 0:
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(InputError, match="cannot be written"), atomic_path(tmp_path / "out.nc"):
                pass
        finally:
            tmp_path.chmod(0o700)


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MosartError, match="nothing"), atomic_path(tmp_path / "out.nc"):
        pass


@posix
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.nc").write_text("old")
    (tmp_path / "link.nc").symlink_to(tmp_path / "real.nc")
    with atomic_path(tmp_path / "link.nc") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.nc").is_symlink()
    assert (tmp_path / "real.nc").read_text() == "new"


WRITE = """
import sys
from mosart.io import open_stack, netcdf, zarr, flat
stack = open_stack(sys.argv[1])
print("ready", flush=True)
while True:
    netcdf.write_stack(stack, sys.argv[2] + "/stack.nc")
    zarr.write_stack(stack, sys.argv[2] + "/stack.zarr")
    flat.write_flat(stack, sys.argv[2] + "/stack.h5")
"""


@posix
def test_killed_at_random_a_file_is_whole_or_absent(flat_file: FlatFile, tmp_path: Path) -> None:
    source = flat_file()
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", WRITE, str(source), str(out)]
    for delay, stop in ((0.1, signal.SIGTERM), (0.35, signal.SIGKILL)):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(stop)
            process.wait()
        for path in out.iterdir():
            if not path.name.startswith("."):
                open_stack(path).dataset.load()
    stack = open_stack(source)  # the next to write clears what the killed ones left
    netcdf.write_stack(stack, out / "stack.nc")
    zarr.write_stack(stack, out / "stack.zarr")
    flat.write_flat(stack, out / "stack.h5")
    assert names(out) == ["stack.h5", "stack.nc", "stack.zarr"]


LIMITED = """
import logging, resource, sys
logging.disable()
from mosart.errors import InputError
from mosart.io import open_stack, netcdf, zarr, flat
stack = open_stack(sys.argv[1])
for limit in (300, 5000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for writer in (netcdf.write_stack, zarr.write_stack, flat.write_flat):
        try:
            writer(stack, sys.argv[2])
        except InputError as error:
            print("refused:", error.what)
        else:
            print("written", writer.__module__, limit)
            import shutil; shutil.rmtree(sys.argv[2])
"""


@posix
def test_a_full_disk_is_said_and_nothing_is_left(flat_file: FlatFile, tmp_path: Path) -> None:
    source = flat_file()
    out = tmp_path / "out"
    out.mkdir()
    (out / "stack").write_text("before")
    command = [sys.executable, "-c", LIMITED, str(source), str(out / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert all("could not be written" in line for line in lines if not line.startswith("written"))
    assert [line for line in lines if line.startswith("written")] == ["written mosart.io.zarr 5000"]
    assert names(out) == ["stack"]


def test_what_was_written_before_survives_a_stack_that_cannot_be_read(
    flat_file: FlatFile, tmp_path: Path
) -> None:
    target = tmp_path / "out.nc"
    path = flat_file()
    netcdf.write_stack(open_stack(path), target)
    before = target.read_bytes()
    stack = open_stack(path)
    path.unlink()
    with pytest.raises(InputError, match=r"stack\.h5"):
        netcdf.write_stack(stack, target)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["out.nc"]
