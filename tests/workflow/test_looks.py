"""Several stacks in one run, and one stack by the default method, from the command line to every product."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from mosart.change import ElevationChange
from mosart.cli import main
from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.masks import Flag
from mosart.report.figures import amplitude_pages
from mosart.report.looks import level_texts, radar_files
from mosart.report.view import view_of
from mosart.stack import Stack
from mosart.workflow import run as run_module
from mosart.workflow.check import prepare
from mosart.workflow.config import Config
from mosart.workflow.detectable import smallest_changes
from mosart.workflow.folder import _FOREIGN
from mosart.workflow.layers import joined
from mosart.workflow.log import Talk
from mosart.workflow.looks import look_names, shared_ground
from mosart.workflow.outputs import compare_results, export, make_report
from mosart.workflow.plan import Plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def joint(pair: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of both looks, with all products."""
    out = tmp_path_factory.mktemp("joint") / "out"
    assert main(["run", *pair.options(out), "--quiet"]) == 0
    return out


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_new_rock_is_measured_from_two_looks_and_withheld_from_one(
    pair: Any, joint: Path, tmp_path: Path
) -> None:
    for name, simulation in pair.looks.items():
        truth = simulation.truth["elevation_change"].values[-1]
        zone = truth > 1.5
        with xr.open_dataset(joint / f"radar_{name}.nc") as data:
            found = data["elevation_change"].values[0]
        assert np.isfinite(found[zone]).mean() > 0.95
        error = (found - truth)[zone & np.isfinite(found)]
        assert _rms(error) < 0.2 * _rms(truth[zone])
    # One look alone, by the default method, with every product that a run has.
    out = tmp_path / "one"
    stack = pair.folder / "asc.h5"
    dates = ["--reference=20200101,20200107", "--epoch=20200113,20200119"]
    code = main(["run", f"--stack={stack}", f"--out={out}", *dates, f"--areas={pair.box}", "--quiet"])
    zone = pair.looks["asc"].truth["elevation_change"].values[-1] > 1.5
    with xr.open_dataset(out / "radar.nc") as data:
        assert data.attrs["method"] == "synthesis"
        seen = np.isfinite(data["elevation_change"].values[0])
        assert {"measured_amplitude", "modelled_amplitude", "residual"} <= set(data)
    assert seen[zone].mean() < 0.6
    assert code == (0 if seen[zone].mean() >= 0.5 else 3)
    names = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    quantities = (
        "elevation_change",
        "elevation_change_std",
        "mask",
        "measured_amplitude",
        "modelled_amplitude",
    )
    assert {f"geotiff/{quantity}_20200119.tif" for quantity in quantities} <= names
    figures = ("elevation_change", "standard_error", "amplitude", "amplitudes", "time_series", "volumes")
    assert {f"figures/{figure}.png" for figure in figures} <= names
    others = (
        "timeseries.csv",
        "volumes.csv",
        "report.html",
        "mosart.qgz",
        "config.yaml",
        "mintpy/timeseriesStd.h5",
    )
    assert set(others) <= names


def test_every_product_is_joint_or_one_a_look(pair: Any, joint: Path) -> None:
    names = {p.relative_to(joint).as_posix() for p in joint.rglob("*") if p.is_file()}
    assert "radar.nc" not in names
    own = [f"radar_{look}.nc" for look in ("asc", "dsc")]
    own += [f"figures/{kind}_{look}.png" for look in ("asc", "dsc") for kind in ("amplitude", "amplitudes")]
    own += [f"mintpy/{kind}Radar_{look}.h5" for look in ("asc", "dsc") for kind in ("timeseries", "geometry")]
    shared = [
        "elevation_change.nc",
        "mintpy/timeseries.h5",
        "mintpy/geometryGeo.h5",
        "mosart.qgz",
        "report.html",
    ]
    shared += [
        f"figures/{kind}.png" for kind in ("elevation_change", "standard_error", "looks", "new_reflectivity")
    ]
    shared += [
        f"geotiff/{kind}_20200114.tif"
        for kind in ("elevation_change", "elevation_change_std", "mask", "looks")
    ]
    assert {*own, *shared} <= names
    with xr.open_dataset(joint / "elevation_change.nc", decode_coords="all") as data:
        assert data["elevation_change"].dims == ("date", "y", "x")
        assert data["looks"].attrs["flag_meanings"] == "asc dsc"
        assert [str(name) for name in data["look"].values] == ["asc", "dsc"]
        assert data["averaged_dates"].values.tolist() == ["20200113,20200114"]
        assert data.attrs["reference_dates"] == "20200101,20200102,20200107,20200108"
        given = np.isfinite(data["elevation_change"].values[0])
        seen = data["looks"].values[0]
        assert set(np.unique(seen)) == {0, 1, 2, 3}
        assert not given[seen == 0].any()
        # The map's volume is the truth's: it is the same ground.
        volumes = pd.read_csv(joint / "volumes.csv")
        one = pair.looks["asc"]
        west, south, east, north = (float(number) for number in pair.box.split(","))
        lon, lat = (one.stack.dataset[name].values for name in ("longitude", "latitude"))
        inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        truth = one.truth["elevation_change"].values[-1][inside].sum() * 4.0 * 1.8 / np.sin(np.radians(38.0))
        assert volumes["net_m3"].iloc[0] == pytest.approx(truth, rel=0.15)
        step = abs(float(data["x"][1] - data["x"][0]))
        assert "spatial_ref" in data.coords
    with rasterio.open(joint / "geotiff" / "looks_20200114.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), seen)
        assert raster.tags()["flag_meanings"] == "asc dsc"
        assert raster.transform.a == pytest.approx(step)
    log = (joint / "mosart.log").read_text()
    assert re.search(r"level of the looks on 2020-01-14: asc [+-]\d", log)
    style = (joint / "geotiff" / "looks_20200114.qml").read_text()
    assert all(text in style for text in ('label="asc alone"', 'label="dsc alone"', 'label="asc and dsc"'))


def test_products_are_what_other_software_expects(
    joint: Path, judge: Callable[[list[Path]], list[str]]
) -> None:
    assert judge([joint / "elevation_change.nc", joint / "radar_asc.nc"]) == []
    for path in (joint / "geotiff").glob("*.tif"):
        valid, faults, warnings = cog_validate(path, strict=True, quiet=True)
        assert valid, (path.name, faults, warnings)


def test_export_and_compare_work_on_the_folder(joint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(joint, folder)
    written = {path.name for path in export(folder, "zarr")}
    assert written == {"elevation_change.zarr", "radar_asc.zarr", "radar_dsc.zarr"}
    with (
        xr.open_zarr(folder / "radar_dsc.zarr") as one,
        xr.open_dataset(folder / "radar_dsc.nc") as other,
    ):
        np.testing.assert_array_equal(one["elevation_change"].values, other["elevation_change"].values)
    assert {path.name for path in export(folder, "mintpy")} >= {"timeseries.h5", "timeseriesRadar_asc.h5"}
    assert "median +0.00 m" in compare_results(folder, joint)
    (folder / "report.html").unlink()
    # A file of another origin is none of the run's looks.
    shutil.copy(folder / "radar_dsc.nc", folder / "radar_old.nc")
    assert "radar_old.zarr" not in {path.name for path in export(folder, "zarr")}
    assert list(radar_files(folder)) == ["asc", "dsc"]
    assert make_report(folder).read_text(encoding="utf-8").count("on its radar grid</option>") == 2


def test_the_same_command_does_nothing_and_one_epoch_more_is_all_that_is_solved(
    pair: Any, joint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved = []
    real = run_module.invert_entry

    def counted(plan: Any, entry: Any, *rest: Any) -> Any:
        solved.append(f"{entry.date:%Y%m%d}")
        return real(plan, entry, *rest)

    monkeypatch.setattr(run_module, "invert_entry", counted)
    out = tmp_path / "out"
    shutil.copytree(joint, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert main(["run", *pair.options(out), "--quiet"]) == 0
    assert solved == []
    changed = {p.name for p, content in before.items() if p.read_bytes() != content}
    assert changed <= {"mosart.log", ".mosart-products.json", "config.yaml"}  # which tell of the folder
    more = ["--epoch=20200119,20200120", "--without=figures,report,mintpy", "--quiet"]
    assert main(["run", *pair.options(out), *more]) == 0
    assert solved == ["20200120"]
    with (
        open_dataset(out / "elevation_change.nc") as data,
        open_dataset(joint / "elevation_change.nc") as first,
    ):
        assert data.sizes["date"] == 2
        assert data["new_reflectivity"].dims == ("look", "date", "y", "x")
        for name in ("elevation_change", "looks", "new_reflectivity", "look_level"):
            then, now = first[name].isel(date=0).values, data[name].isel(date=0).values
            np.testing.assert_array_equal(now, then)
    with open_dataset(out / "radar_dsc.nc") as data:
        assert data.sizes["date"] == 2
        assert data.attrs["look_direction"] == "right"
        assert float(data.attrs["heading"]) == pytest.approx(192.0, abs=0.5)


def test_a_run_that_was_stopped_between_solving_and_writing_ends_as_an_undisturbed_one(
    pair: Any,
    joint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    same_file: Callable[[Path, Path], None],
) -> None:
    opened = {name: open_dataset(joint / f"radar_{name}.nc") for name in ("asc", "dsc")}
    solved = ElevationChange(
        open_dataset(joint / "elevation_change.nc"), {name: ElevationChange(d) for name, d in opened.items()}
    )
    calls = []
    monkeypatch.setattr(run_module, "invert_entry", lambda *_: calls.append(1) or solved)
    bare = ["--without=figures,report,mintpy,geotiff", "--quiet"]
    assert main(["run", *pair.options(tmp_path / "whole"), *bare]) == 0

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mosart.workflow.layers._assemble", stop)
        assert main(["run", *pair.options(tmp_path / "out"), *bare]) == 130
    assert main(["run", *pair.options(tmp_path / "out"), *bare]) == 0
    assert len(calls) == 2
    for name in ("elevation_change.nc", "radar_asc.nc", "radar_dsc.nc"):
        same_file(tmp_path / "whole" / name, tmp_path / "out" / name)


def test_layers_are_joined_along_the_date_wherever_it_stands(tmp_path: Path) -> None:
    parts = [
        xr.Dataset(
            {
                "a": (("look", "date"), np.full((2, 1), k)),
                "b": (("look", "date", "y", "x"), np.full((2, 1, 3, 4), k)),
            },
            coords={"date": np.array([f"2020-01-0{k}"], "datetime64[ns]"), "look": ["one", "two"]},
        )
        for k in (1, 2)
    ]
    whole = joined(parts)
    assert whole["b"].shape == (2, 2, 3, 4)
    np.testing.assert_array_equal(whole["a"].values, [[1, 2], [1, 2]])
    np.testing.assert_array_equal(whole["b"].values[:, :, 0, 0], [[1, 2], [1, 2]])
    write_dataset(whole, tmp_path / "whole.nc")
    with open_dataset(tmp_path / "whole.nc") as again:
        np.testing.assert_array_equal(again["b"].values, whole["b"].values)
        assert again["look"].values.tolist() == ["one", "two"]


@pytest.fixture
def refused(
    pair: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run with options that cannot be; nothing is written."""
    monkeypatch.chdir(tmp_path)

    def attempt(arguments: list[str]) -> str:
        there = sorted(tmp_path.rglob("*"))
        assert main(arguments) == 2
        assert sorted(tmp_path.rglob("*")) == there
        return capsys.readouterr().err

    return attempt


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "`epoch` is missing"),
        (["--epoch=20200113", "--method=rowwise"], "only synthesis joins looks"),
        (["--epoch=20200113", "--crop=pixels=0,50,0,50"], "crop: "),
        (["--epoch=20200113", "--areas=pixels=0,50,0,50"], "areas: "),
        (["--epoch=20200113", "--weights=robust"], "weights: "),
        (["--epoch=20200113", "--stable=lonlat=-164,54,-163,55"], "stable: "),
        (["--epoch=20200113", "--water.raster=sea.npy"], "water.raster: "),
        (["--epoch=20200113", "--geometry-of.ascending.heading=3"], "no stack is called ascending"),
        (["--epoch=20200113", "--geometry-of.asc.headin=3"], "geometry_of.asc.headin"),
        (["--epoch=20200113", "--stack=none.h5"], "none.h5 does not exist"),
        (["--epoch=20200113", "--reference=20200101"], "dsc"),
        (["--epoch=20200113", "--stak=x.h5"], "--stack"),
        (["--epoch=20200113", "--crop=10,10,10.1,10.1"], "asc: "),
    ],
)
def test_what_several_stacks_cannot_be_asked_is_refused_by_name(
    pair: Any, refused: Callable[..., str], options: list[str], words: str
) -> None:
    stacks = [f"--stack={pair.folder / name}" for name in ("asc.h5", "dsc.nc")]
    assert words in refused(["run", *stacks, "--out=out", *options])


def test_two_stacks_of_one_name_and_other_ground_are_refused(
    pair: Any, refused: Callable[..., str], tmp_path: Path
) -> None:
    moved = pair.looks["dsc"].stack.dataset
    write_dataset(moved.assign(latitude=moved["latitude"] + 0.5), tmp_path / "far.nc")
    write_dataset(moved.assign(height=moved["height"] + 30.0), tmp_path / "asc.nc")
    own = ["run", f"--stack={pair.folder / 'asc.h5'}", "--out=out", "--epoch=20200113,20200114"]
    text = refused([*own, f"--stack={tmp_path / 'asc.nc'}"])
    assert "two stacks are called asc" in text
    assert "rename one" in text
    assert "does not overlap" in refused([*own, f"--stack={tmp_path / 'far.nc'}"])
    (tmp_path / "asc.nc").rename(tmp_path / "high.nc")
    assert "DEMs of asc and high differ" in refused([*own, f"--stack={tmp_path / 'high.nc'}"])


def test_the_level_between_looks_is_told_in_decibels_where_there_are_two() -> None:
    level = np.log(10) / 10 * np.array([[0.5, 0.0, 0.2], [-0.5, np.nan, -0.2]])
    std = np.log(10) / 10 * np.array([[0.05, 0.05, np.nan], [0.05, np.nan, np.nan]])
    data = xr.Dataset(
        {"look_level": (("look", "date"), level), "look_level_std": (("look", "date"), std)},
        coords={
            "look": ["asc", "dsc"],
            "date": np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[ns]"),
        },
    )
    first, third = level_texts(data)
    assert (
        first == "2020-01-01: asc +0.50 dB ± 0.05 dB, dsc -0.50 dB ± 0.05 dB, against the mean of the looks"
    )
    assert third.count("(too little ground in common for an error)") == 2


def test_names_become_parts_of_file_names() -> None:
    assert look_names([Path("a/tsx asc (2).h5"), Path("b/tsx.dsc.nc")]) == ("tsx_asc__2_", "tsx.dsc")
    with pytest.raises(InputError, match="two stacks are called a_b") as caught:
        look_names([Path("a b.h5"), Path("a_b.h5")])
    assert "counted as _" in str(caught.value.expected)


def test_info_tells_of_two_files_of_one_name(
    pair: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "asc.h5"
    shutil.copy(pair.folder / "asc.h5", again)
    assert main(["info", str(pair.folder / "asc.h5"), str(again)]) == 0
    text = capsys.readouterr().out
    assert re.search(
        rf"^{re.escape(str(again))} +[\d.]+ km2 of ground, 100% of it in common", text, re.MULTILINE
    )


def test_pages_of_a_look_are_not_those_of_another() -> None:
    days = np.arange("2020-01-01", "2020-01-14", dtype="datetime64[D]").astype("datetime64[ns]")
    shape = len(days), 3, 4
    dims = ("date", "azimuth", "range")

    def pages(look: str, dates: int) -> list[str]:
        data = xr.Dataset({"measured_amplitude": (dims, np.ones(shape))}, coords={"date": days})
        change = SimpleNamespace(
            dataset=data.isel(date=slice(0, dates)), dates=days[:dates].astype("datetime64[D]").tolist()
        )
        return [name for name, _ in amplitude_pages(change, None, view_of(data), look)]

    several = pages("asc", len(days))
    assert several[:2] == ["amplitudes_asc~01", "amplitudes_asc~02"]
    assert all(_FOREIGN.fullmatch(f"figures/{name}.png") for name in several)
    (other,) = pages("asc_01", 1)
    assert other not in several


def test_check_info_and_init_tell_of_every_look(
    pair: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *pair.options(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for look, days in (("asc", "20200101, 20200107"), ("dsc", "20200102, 20200108")):
        assert re.search(rf"look +{look}: ", text)
        assert f"reference {days}; epoch 20200114: 202001" in text
        assert f"detectable {look} alone: " in text
    assert text.count("it in common with the other look") == 2
    assert re.search(r"time +about \d+ s", text)
    stacks = [str(pair.folder / name) for name in ("asc.h5", "dsc.nc")]
    assert main(["info", *stacks]) == 0
    assert capsys.readouterr().out.count("in common with the other look") == 2
    config = tmp_path / "config.yaml"
    assert main(["init", *(f"--stack={stack}" for stack in stacks), f"--config={config}"]) == 0
    capsys.readouterr()
    assert "TO BE FILLED IN" in config.read_text()
    assert main(["check", str(config)]) == 2
    assert "`epoch` is missing" in capsys.readouterr().err
    assert main(["check", str(config), "--epoch=20200113,20200114"]) == 0


def test_help_teaches_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    text = re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out))
    assert "--stack ascending.h5 --stack descending.h5" in text
    assert "--geometry-of.{NAME}.heading" in text


@pytest.fixture
def planned(pair: Any, tmp_path: Path) -> Callable[..., Plan]:
    """Check a run of both looks with other settings."""

    def plan(**settings: Any) -> Plan:
        given = {
            "stack": (pair.folder / "asc.h5", pair.folder / "dsc.nc"),
            "out": tmp_path / "out",
            "reference": ("20200101..20200108",),
            "epoch": ("20200113,20200114",),
        }
        return prepare(Config.model_validate(given | settings), Talk(quiet=True))

    return plan


def _box(places: np.ndarray, data: xr.Dataset) -> str:
    """The middle of some pixels, in degrees."""
    lon, lat = (float(np.median(data[name].values[places])) for name in ("longitude", "latitude"))
    return f"lonlat={lon - 1e-4},{lat - 1e-4},{lon + 1e-4},{lat + 1e-4}"


def _half(stack: Any, path: Path) -> Path:
    """Write the first rows of a stack."""
    write_dataset(stack.dataset.isel(azimuth=slice(0, 70)).load(), path)
    return path


def test_check_says_where_a_look_has_no_image_of_the_epoch_or_does_not_see_the_area(
    pair: Any, planned: Callable[..., Plan], tmp_path: Path
) -> None:
    plan = planned(epoch=("20200113", "20200119,20200120"))
    assert [str(entry.date) for entry in plan.entries] == ["2020-01-13", "2020-01-20"]
    text = smallest_changes(plan).splitlines()
    assert "detectable asc alone: smallest change at" in text[0]
    assert text[1] == "detectable dsc alone: not known: no image of the epoch 20200113"
    # An area that the first look alone sees.
    stacks = (pair.folder / "asc.h5", _half(pair.looks["dsc"].stack, tmp_path / "dsc.nc"))
    one = pair.looks["asc"].stack.dataset
    seen = np.zeros(one["latitude"].shape, bool)
    half = open_stack(stacks[1]).dataset["latitude"].values
    # Descending, the first rows are the northern ones.
    seen[(one["latitude"].values < half.min() - 3e-4)] = True
    plan = planned(stack=stacks, areas=(_box(seen, one),))
    text = smallest_changes(plan).splitlines()
    assert "outside" not in text[0]
    assert text[1] == "detectable dsc alone: not known: the areas of interest lie outside this look"


def test_water_that_one_look_alone_sees_is_no_fault_but_a_strip_is_one_by_the_looks_name(
    pair: Any, planned: Callable[..., Plan], tmp_path: Path
) -> None:
    stacks = (pair.folder / "asc.h5", _half(pair.looks["dsc"].stack, tmp_path / "dsc.nc"))
    one = pair.looks["asc"].stack.dataset
    south = one["latitude"].values < open_stack(stacks[1]).dataset["latitude"].values.min() - 3e-4
    box = _box(south, one)
    west, lower, east, upper = (float(number) for number in box.removeprefix("lonlat=").split(","))
    corners = [[west, lower], [east, lower], [east, upper], [west, upper], [west, lower]]

    def sea(shift: float) -> Path:
        path = tmp_path / "sea.geojson"
        moved = [[x, y + shift] for x, y in corners]
        geometry = {"type": "Polygon", "coordinates": [moved]}
        path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
        return path

    plan = planned(stack=stacks, water={"polygons": sea(0.0)})
    flagged = [bool((look.stack.dataset["mask"].values & Flag.WATER).any()) for look in plan.looks]
    assert flagged == [True, False]
    with pytest.raises(InputError, match="no pixel of any of the stacks"):
        planned(stack=stacks, water={"polygons": sea(5.0)})
    with pytest.raises(InputError, match=r"^dsc: "):
        planned(stack=stacks, water={"sea_level": 0.0, "strip": box})


def test_a_border_without_positions_is_told(pair: Any) -> None:
    stacks = [simulation.stack for simulation in pair.looks.values()]
    nothing = stacks[1].dataset.assign({n: stacks[1].dataset[n] * np.nan for n in ("longitude", "latitude")})
    point = stacks[1].dataset.isel(azimuth=slice(0, 1), range=slice(0, 1))
    line = stacks[1].dataset.isel(azimuth=slice(0, 1))
    for data in (nothing, point, line):
        first, second = shared_ground([stacks[0], Stack(data)])
        assert re.fullmatch(
            r"[\d.]+ km2 of ground, it is not known how much of it in common with the other look", first
        )
        assert second == "not known: the border has no positions"
    assert set(shared_ground([Stack(nothing), Stack(nothing)])) == {"not known: the border has no positions"}


def test_what_cannot_be_is_refused_before_any_image_is_read(
    pair: Any, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("all images are read")

    monkeypatch.setattr("mosart.workflow.check.survey", read)
    one = {"stack": (pair.folder / "asc.h5",), "reference": (), "epoch": ()}
    with pytest.raises(InputError, match="too small for the method synthesis"):
        planned(**one, method="synthesis", crop={"pixels": (0, 7, 0, 100)})
    with pytest.raises(InputError, match="20200102"):
        planned(**one | {"reference": ("20200102",)})
    with pytest.raises(InputError, match="20200102"):
        planned(**one | {"epoch": ("20200102",)})
    with pytest.raises(InputError, match="reference"):
        planned(reference=("20200101",))
    with pytest.raises(AssertionError, match="all images"):
        planned(**one, method="synthesis")
