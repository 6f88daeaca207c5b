"""The command line: what it takes and refuses, with which exit code, and that refusals change nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio

from mosart.cli import join_numbers, main
from mosart.workflow.config import Box, Config
from mosart.workflow.configfile import load

ROWS, COLUMNS = 40, 90
QUICK = ("--method", "rowwise-intensity", "--despeckle", "none")


def write_stack(path: Path, dates: tuple[str, ...] = ("20190115", "20190215", "20190315")) -> Path:
    """A small flat HDF5 with a hill, its positions as a right-looking radar at 38 degrees codes them."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[0:ROWS, 0:COLUMNS].astype(float)
    height = (
        300 + 60 * np.exp(-((row - 20) ** 2 + (column - 40) ** 2) / 200) + 10 * np.sin(column / 7 + row / 5)
    )
    theta, spacing = np.radians(38.0), 2.0
    across = (column * spacing + np.cos(theta) * height) / np.sin(theta)
    with h5py.File(path, "w") as file:
        file["dem"] = height
        file["lon"] = -163.97 + across / (111320 * np.cos(np.radians(54.75)))
        file["lat"] = 54.75 + row * 3.0 / 111320
        for date in dates:
            file[date] = (60 * np.sqrt(random.gamma(4, 0.25, height.shape))).astype("f4")
    return path


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return write_stack(tmp_path / "projections.h5")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("draw_figures", "write_report"):
        monkeypatch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        p.relative_to(folder).as_posix(): (p.stat().st_mtime_ns, p.read_bytes())
        for p in folder.rglob("*")
        if p.is_file()
    }


# What makes a good file a bad one, and what the message must say.
def without_dem(file: h5py.File) -> None:
    del file["dem"]


def without_dates(file: h5py.File) -> None:
    for name in [name for name in file if name.isdigit()]:
        del file[name]


def other_shape(file: h5py.File) -> None:
    del file["20190215"]
    file["20190215"] = np.ones((ROWS, COLUMNS + 1), "f4")


def misspelt(file: h5py.File) -> None:
    file["2019-04-15"] = file["20190215"][()]


def impossible(file: h5py.File) -> None:
    file["20190230"] = file["20190215"][()]


def seven_digits(file: h5py.File) -> None:
    file["2019041"] = file["20190215"][()]


def one_finite(file: h5py.File) -> None:
    for name in ("20190115", "20190315"):
        file[name][...] = np.nan


def negative(file: h5py.File) -> None:
    file["20190315"][30, 50] = -3.0


def truth_values(file: h5py.File) -> None:
    del file["20190215"]
    file["20190215"] = np.ones((ROWS, COLUMNS), bool)


def texts(file: h5py.File) -> None:
    del file["20190215"]
    file["20190215"] = np.full((ROWS, COLUMNS), b"x")


def geocoded(file: h5py.File) -> None:
    file["lon"][...] = -163.97 + np.arange(COLUMNS)[None, :] * 1e-5 + np.zeros((ROWS, 1))
    file["lat"][...] = 54.75 - np.arange(ROWS)[:, None] * 1e-5 + np.zeros((1, COLUMNS))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_dem, "dem"),
        (without_dates, "date"),
        (other_shape, "20190215"),
        (misspelt, "2019-04-15"),
        (impossible, "20190230"),
        (seven_digits, "2019041"),
        (one_finite, "20190115, 20190315"),
        (negative, "20190315"),
        (truth_values, "20190215"),
        (texts, "20190215"),
        (geocoded, "geocoded"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_touched(
    stack: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[h5py.File], None],
    words: str,
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with h5py.File(stack, "r+") as file:
        spoil(file)
    refused_without_a_trace(["run", "--stack", str(stack), "--out", "out"], tmp_path, capsys, words)


def refused_without_a_trace(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    before = everything(folder)
    assert main(arguments) == 2
    assert everything(folder) == before
    captured = capsys.readouterr()
    message = captured.err[captured.err.rindex("mosart: ") :]
    assert words in message
    for part in ("expected:", "got:", "what to do:"):
        assert part in message, message
    assert "Traceback" not in message
    assert captured.out == ""


def test_a_truncated_file_is_refused(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = stack.read_bytes()
    stack.write_bytes(content[: len(content) // 2])
    refused_without_a_trace(
        ["run", "--stack", str(stack), "--out", "out"], tmp_path, capsys, "projections.h5"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--reference", "20190116"], "20190116"),
        (["--reference", "20190230"], "20190230"),
        (["--reference", "2019-01-15"], "2019-01-15"),
        (["--reference", "20190215,20190115"], "out of order at 20190115"),
        (["--reference", "20190115,20190115"], "doubled at 20190115"),
        (["--reference", "20190215..20190115"], "out of order"),
        (["--epoch", "20190101..20190110"], "20190101..20190110"),
        (["--epoch", "20190215", "--epoch", "20190215"], "20190215"),
        (["--epoch", "20190115..20190215", "--epoch", "20190215"], "20190215"),
        (["--areas", "lonlat=10,10,11,11"], "holds no pixel"),
        (["--points", "10,10"], "holds no pixel"),
        (["--areas", "none.geojson"], "areas: "),
        (["--stable", "pixels=500,600,0,10"], "holds no pixel"),
        (["--crop", "10,10,11,11.5"], "no pixel lies in the lon/lat box"),
        (["--crop", "5,10,20,30"], "degrees or pixels"),
        (["--crop.pixels", "200", "300", "0", "10"], "outside"),
        (["--weights", "stable"], "--stable"),
        (["--weights", "none.tif"], "weights: "),
        (["--water.raster", "none.tif"], "water.raster: "),
        (["--water.strip", "pixels=0,9,0,9"], "sea level"),
        (["--grid.crs", "EPSG:99999"], "grid.crs"),
        (["--method", "rowise"], "method"),
        (["--geometry.incidence-angle", "95"], "geometry.incidence_angle"),
        (["--workers", "0"], "workers"),
        (["--stack", "other.h5"], "several stacks"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    refused_without_a_trace(["run", "--stack", str(stack), "--out", "out", *options], tmp_path, capsys, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--metod", "rowwise"], "--method"),
        (["run", "--geometry.incidence-angel", "38"], "--geometry.incidence-angle"),
        (["run", "none.yaml"], "none.yaml"),
        (["run", "--out", "out"], "`stack` is missing"),
        (["run", "--stack", "none.h5", "--out", "out"], "none.h5"),
        (["run", "--crop.lonlat", "1", "2", "3"], "--crop.lonlat"),
        (["runn"], "run"),
        (["info"], "info"),
        (["info", "none.h5"], "none.h5"),
        (["init"], "stack"),
        (["report", "none"], "none"),
        (["export", "none", "--to", "qgis"], "none"),
        (["export", ".", "--to", "excel"], "mintpy"),
        (["export", "."], "--to"),
        (["compare", "none", "other"], "none"),
        (["compare", "none", "other", "--date", "2019"], "2019"),
        (["simulate", "--out", "a.h5", "--dates", "1"], "dates"),
        (["coregister"], "`slc` is missing"),
        (["coregister", "--slc", "a.SAFE", "--out", "stack.nc"], "`dem` is missing"),
        (["coregister", "--slc", "a.SAFE", "--dem", "none.tif"], "`out` is missing"),
        (["coregister", "--slc", "a.SAFE:IW2", "--dem", "none.tif", "--out", "stack.nc"], "a.SAFE"),
        (["run", "--slc", "a.SAFE", "--out", "out"], "`dem` is missing"),
        (["check", "--slc", "a.SAFE", "--dem", "none.tif", "--out", "out"], "slc: "),
        (["run", "--slc", "a.SAFE", "--stack", "b.h5", "--out", "out"], "stack and slc"),
        (["fetch", "--place", "1,2,3", "--start", "20190101", "--end", "20190102", "--out", "o"], "lonlat"),
        (
            ["fetch", "--place", "1,2,3,4", "--start", "2019-01-01", "--end", "20190102", "--out", "o"],
            "start",
        ),
        (["fetch", "--place", "1,2,3,4", "--start", "20190103", "--end", "20190102", "--out", "o"], "end"),
        (["simulate", "--out", "a.h5", "--terrain", "none.tif"], "none.tif"),
        (["simulate", "--out", "no/such/folder/a.h5"], "no/such/folder"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert words in message
    assert "what to do:" in message
    assert everything(tmp_path) == {}


def test_a_folder_that_cannot_be_written_is_refused(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    arguments = ["run", "--stack", str(stack), "--out", "file/out"]
    refused_without_a_trace(arguments, tmp_path, capsys, "out: ")


def test_options_win_over_the_file(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(f"stack: {stack.name}\nout: a\nmethod: rowwise\ndespeckle: none\n")
    options = ["--out", "b", "--reference", "20190115,20190215", "--epoch", "20190315"]
    assert main(["run", "config.yaml", *options, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "20190115, 20190215" in captured.out
    used = load(tmp_path / "b" / "config.yaml")
    assert (used.method, used.despeckle) == ("rowwise", "none")
    assert used.reference == ("20190115,20190215",)
    assert used.epoch == ("20190315",)
    assert not (tmp_path / "a").exists()


def test_init_then_check_then_run(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--stack", str(stack), "--out", "out", *QUICK]) == 0
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "20190115, 20190215, 20190315" in text
    assert re.search(r"derived from the stack: incidence 3[78]\.\d+", text.replace("\n# ", " "))
    assert load(tmp_path / "config.yaml").despeckle == "none"
    before = everything(tmp_path)
    assert main(["check", "config.yaml"]) == 0
    told = capsys.readouterr().out
    assert everything(tmp_path) == before
    for part in ("memory     about", "geometry   incidence 3", "wrong by 40%", "reference  20190115"):
        assert part in told
    assert main(["run", "config.yaml"]) == 0
    assert (tmp_path / "out" / "elevation_change.nc").exists()
    assert main(["init", "--stack", str(stack)]) == 2
    assert "config.yaml is there already" in capsys.readouterr().err


def test_info_tells_the_dates_the_geometry_and_what_is_ignored(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(stack, "r+") as file:
        file["note"] = "hello"
        file["cube"] = np.zeros((2, 3, 4))
    assert main(["info", str(stack)]) == 0
    captured = capsys.readouterr()
    assert "3 dates, 40 azimuth rows x 90 range pixels" in captured.out
    assert "20190115, 20190215, 20190315" in captured.out
    assert re.search(r"incidence 3[78]\.\d+", captured.out)
    assert "note" in captured.err
    assert "cube" in captured.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The products of a run with an area, without page and figures."""
    folder = tmp_path_factory.mktemp("finished")
    path = write_stack(folder / "projections.h5")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_figures", "write_report"):
            patch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)
        arguments = ["run", "--stack", str(path), "--out", str(folder / "out"), *QUICK]
        assert main([*arguments, "--areas", "-163.963,54.7503,-163.962,54.7508", "--quiet"]) == 0
    return folder / "out"


def test_the_page_is_made_again_from_the_products(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly", reason="the page needs the extra `report`")
    copy = tmp_path / "out"
    shutil.copytree(finished, copy)
    assert main(["report", str(copy)]) == 0
    assert "report.html is written" in capsys.readouterr().out
    page = (copy / "report.html").read_text(encoding="utf-8")
    assert "as measured on simulated craters" in page
    assert main(["report", str(copy)]) == 0  # its own page it may replace
    capsys.readouterr()
    (tmp_path / "mine").mkdir()
    shutil.copy(copy / "radar.nc", tmp_path / "mine")
    (tmp_path / "mine" / "report.html").write_text("mine")
    refused_without_a_trace(["report", "mine"], tmp_path, capsys, "report.html")


@pytest.mark.parametrize(
    ("target", "name"),
    [("mintpy", "mintpy/timeseries.h5"), ("qgis", "mosart.qgz"), ("bowser", "bowser_rasters.json")],
)
def test_exports_are_made_again_from_the_products(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, name: str
) -> None:
    copy = tmp_path / "out"
    shutil.copytree(finished, copy)
    (copy / name).unlink()
    assert main(["export", str(copy), "--to", target]) == 0
    assert name in capsys.readouterr().out
    assert (copy / name).exists()
    (tmp_path / "none").mkdir()
    shutil.copy(finished / "radar.nc", tmp_path / "none")
    if target != "mintpy":
        refused_without_a_trace(["export", "none", "--to", target], tmp_path, capsys, "no GeoTIFFs")


def test_a_run_is_compared_with_another_and_with_a_raster(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(finished), str(finished)]) == 0
    told = capsys.readouterr().out
    assert "20190315 all: median +0.00 m, NMAD 0.00 m, RMSE 0.00 m" in told
    assert told.count("20190315") == 2  # the area of the config too
    source = finished / "geotiff" / "elevation_change_20190215.tif"
    with rasterio.open(source) as raster:
        profile, values = raster.profile, raster.read(1)
    with rasterio.open(tmp_path / "lidar.tif", "w", **profile) as raster:
        raster.write(values - 2.0, 1)
    arguments = ["compare", str(finished), "lidar.tif", "--date", "20190215", "--out", "both"]
    assert main(arguments) == 0
    assert "20190215 all: median +2.00 m, NMAD 0.00 m, RMSE 2.00 m" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "both").iterdir()} == {"comparison.csv", "comparison_20190215.png"}
    refused_without_a_trace(["compare", str(finished), "none.tif"], tmp_path, capsys, "none.tif")


def test_simulate_writes_a_stack_and_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--out", "a.h5", "--dates", "2", "--seed", "3", "--looks", "0"]) == 0
    assert "mosart run --stack a.h5" in capsys.readouterr().out
    with h5py.File(tmp_path / "a.h5") as file, h5py.File(tmp_path / "a_truth.nc") as truth:
        assert {"dem", "lon", "lat", "20190115", "20190126"} <= set(file)
        assert truth["elevation_change"][1].min() == pytest.approx(-25, abs=0.5)
        assert truth["elevation_change"][0].max() == 0


def test_help_teaches_by_examples_and_names_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    commands = ("run", "check", "init", "info", "simulate", "demo", "coregister", "fetch")
    for command in (*commands, "report", "export", "compare"):
        assert main([command, "--help"]) == 0
        assert f"mosart {command} " in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "mosart demo" in capsys.readouterr().out
    main(["run", "--help"])
    told = capsys.readouterr().out
    for name, field in Config.model_fields.items():
        fields = getattr(type(field.default), "model_fields", None)
        for key in [name] if fields is None else [f"{name}.{part}" for part in fields]:
            assert f"--{key.replace('_', '-')}" in told


def test_boxes_may_begin_with_a_minus_and_stand_apart() -> None:
    assert join_numbers(["run", "--crop", "-163.98,54.74,-163.96,54.76", "--out", "o"]) == [
        "run", "--crop=-163.98,54.74,-163.96,54.76", "--out", "o",
    ]  # fmt: skip
    assert join_numbers(["--crop", "-1", "2", "3", "4"]) == ["--crop=-1,2,3,4"]
    assert join_numbers(["--crop", "pixels=1,2,3,4"]) == ["--crop", "pixels=1,2,3,4"]
    assert join_numbers(["--points", "-163.97,54.75", "--workers", "2"]) == [
        "--points=-163.97,54.75",
        "--workers",
        "2",
    ]


@pytest.mark.parametrize(
    ("arguments", "box"),
    [
        (["--crop", "-163.971,54.7501,-163.969,54.7509"], Box(lonlat=(-163.971, 54.7501, -163.969, 54.7509))),
        (["--crop", "pixels=5,80,3,33"], Box(pixels=(5, 80, 3, 33))),
        (["--crop", "0,80,0,33"], Box(pixels=(0, 80, 0, 33))),
        (["--crop.pixels", "5", "80", "3", "33"], Box(pixels=(5, 80, 3, 33))),
        (["--crop.lonlat", "-164", "54", "-163", "55"], Box(lonlat=(-164, 54, -163, 55))),
    ],
)
def test_a_crop_can_be_written_in_several_ways(
    stack: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], box: Box
) -> None:
    seen: list[Config] = []

    def stop(config: Config, **_: object) -> None:
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("mosart.workflow.run.run", stop)
    assert main(["run", "--stack", str(stack), "--out", "out", *arguments]) == 130
    assert seen[0].crop == box


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_stop_that_a_library_makes_another_error_of_is_a_stop(
    stack: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: BaseException,
    code: int,
) -> None:
    def interrupted(*_: object) -> None:
        try:
            raise stop
        except BaseException as error:
            raise RuntimeError("invalid state") from error

    monkeypatch.setattr("mosart.workflow.run.execute", interrupted)
    assert main(["run", "--stack", str(stack), "--out", "out"]) == code
    message = capsys.readouterr().err
    assert "bug" not in message
    assert "the log of the failed run" not in message


def test_a_bug_shows_its_traceback_and_is_called_one(
    stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("mosart.workflow.run.execute", fail)
    assert main(["run", "--stack", str(stack), "--out", "out"]) == 1
    message = capsys.readouterr().err
    assert "ZeroDivisionError" in message
    assert "this is a bug in MoSARt" in message
    assert "the log of the failed run is" in message


def test_without_the_extras_their_commands_say_how_to_get_them_and_all_else_works(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("eos", "cv2", "asf_search", "eof", "dem_stitcher"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.SAFE" / "annotation").mkdir(parents=True)
    (tmp_path / "a.SAFE" / "annotation" / "s1a-iw3.xml").touch()
    (tmp_path / "dem.tif").touch()
    assert main(["coregister", "--slc", "a.SAFE", "--dem", "dem.tif", "--out", "s.nc"]) == 2
    assert "pip install 'mosart[slc]'" in capsys.readouterr().err
    place = ["--place", "-1,2,3,4", "--start", "20190101", "--end", "20190102", "--out", "o"]
    assert main(["fetch", *place]) == 2
    assert "pip install 'mosart[download]'" in capsys.readouterr().err
    assert main(["run", "--stack", str(stack), "--out", "out", *QUICK, "--quiet"]) == 0


def mosart(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mosart", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_a_run_works_without_a_display_whatever_backend_the_user_has_set(stack: Path, tmp_path: Path) -> None:
    environment = {"MPLBACKEND": "TkAgg", "DISPLAY": "", "OMP_NUM_THREADS": "7"}
    with mosart("run", "--stack", str(stack), "--out", "out", *QUICK, **environment) as process:
        _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert (tmp_path / "out" / "figures" / "elevation_change.png").read_bytes()[:4] == b"\x89PNG"
    # Not a terminal: plain lines, no control codes of a progress bar.
    assert "\x1b" not in told


def test_wrong_usage_in_a_shell_ends_with_exit_code_2(tmp_path: Path) -> None:
    with mosart("run", "--stack", "none.h5", "--out", "out") as process:
        out, told = process.communicate(timeout=120)
    assert process.returncode == 2
    assert out == ""
    assert "none.h5" in told


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_the_earlier_products_as_they_were(
    finished: Path, tmp_path: Path, number: signal.Signals
) -> None:
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    stack = tmp_path / "projections.h5"
    before = everything(tmp_path)
    with mosart("run", "--stack", str(stack), "--out", "out", "--reference", "20190315") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "hashing" in line:  # the work has begun
                break
        time.sleep(0.5)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 128 + number
    # Finished steps may be kept for the next run, out of sight.
    left = {name: file for name, file in everything(tmp_path).items() if ".mosart-run-" not in name}
    assert left == before


def test_a_script_from_standard_input_works_without_a_guard(stack: Path, tmp_path: Path) -> None:
    """Our threads are of this process: under spawn no child runs the script again."""
    script = (
        "import multiprocessing, pathlib; multiprocessing.set_start_method('spawn')\n"
        "import mosart.workflow.run as r; r.draw_figures = lambda *_: None\n"
        "from mosart.workflow.config import Config\n"
        "how = dict(method='rowwise-intensity', workers=2, despeckle='none')\n"
        f"config = Config(stack=({str(stack)!r},), out='out', **how)\n"
        "print(len(r.run(config).products))\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1
    assert (tmp_path / "out" / "radar.nc").exists()
