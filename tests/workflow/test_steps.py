"""A repeated run does only what something changed for, and its results are those of an undisturbed one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from mosart.io.atomic import atomic_path
from mosart.io.flat import write_flat
from mosart.simulate import collapse
from mosart.workflow.config import Config, Grid
from mosart.workflow.folder import MANIFEST
from mosart.workflow.run import run
from mosart.workflow.steps import write_json

Same = Callable[[Path, Path], None]

AREA = ("pixels=30,60,10,25",)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("draw_figures", "write_report"):
        monkeypatch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four dates of a small crater."""
    path = tmp_path_factory.mktemp("four") / "projections.h5"
    write_flat(collapse(shape=(30, 80), before=2, after=2, metadata=False).stack, path)
    return path


def part(source: Path, target: Path, dates: int) -> list[str]:
    """The first dates of a stack as a file of their own."""
    with h5py.File(source) as whole, h5py.File(target, "w") as file:
        names = sorted(name for name in whole if name.isdigit())[:dates]
        for name in ["dem", "lon", "lat", *names]:
            file[name] = whole[name][()]
    return names


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def steps(folder: Path) -> tuple[dict[str, str], set[str]]:
    """Steps that the last run did, with the reasons, and those that it reused, from its log."""
    done, reused = {}, set()
    for line in (folder / "mosart.log").read_text(encoding="utf-8").splitlines():
        if found := re.search(r"(?:INFO|DEBUG) +(.+?): (because .*|reused: unchanged)$", line):
            if found[2].startswith("because"):
                done[found[1]] = found[2]
            else:
                reused.add(found[1])
    return done, reused


def test_a_repeated_run_does_nothing_and_changes_no_product(
    four: Path, tmp_path: Path, same_results: Same
) -> None:
    config = Config(method="rowwise-intensity", stack=(four,), out=tmp_path / "out", areas=AREA)
    run(config, quiet=True)
    before = contents(tmp_path / "out")
    run(config, quiet=True)
    done, reused = steps(tmp_path / "out")
    assert done == {}
    assert {"inversion 20190115", "map 20190217", "GeoTIFF 20190115", "tables", "mintpy", "qgis"} <= reused
    after = contents(tmp_path / "out")
    assert {n for n in before | after if before.get(n) != after.get(n)} == {"mosart.log"}


def test_one_date_more_redoes_what_hangs_on_it_alone(four: Path, tmp_path: Path, same_results: Same) -> None:
    names = part(four, tmp_path / "stack.h5", 3)
    config = Config(
        method="rowwise-intensity", stack=(tmp_path / "stack.h5",), out=tmp_path / "out", areas=AREA
    )
    run(config, quiet=True)
    newest = part(four, tmp_path / "stack.h5", 4)[-1]
    outcome = run(config, quiet=True)
    done, reused = steps(tmp_path / "out")
    assert done[f"inversion {newest}"] == f"because the image of {newest} is new"
    assert f"newest date {newest}" in outcome.text()
    per_date = {name for name in done if re.search(r"\d{8}$", name)}
    assert per_date == {f"{kind} {newest}" for kind in ("inversion", "map", "GeoTIFF")}
    assert {f"{kind} {name}" for kind in ("inversion", "map", "GeoTIFF") for name in names} <= reused
    run(config.merged(Config(out=tmp_path / "fresh")), quiet=True)
    same_results(tmp_path / "out", tmp_path / "fresh")


def test_a_stopped_run_is_taken_up_with_one_date_more(
    four: Path, tmp_path: Path, same_results: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had finished is in a file that the new date's run writes anew."""
    names = part(four, tmp_path / "stack.h5", 3)
    out = tmp_path / "out"
    config = Config(method="rowwise-intensity", stack=(tmp_path / "stack.h5",), out=out, areas=AREA)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mosart.workflow.run.write_tables", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, quiet=True)
    part(four, tmp_path / "stack.h5", 4)
    run(config, quiet=True)
    done, reused = steps(out)
    assert {name for name in done if name.startswith("inversion")} == {"inversion 20190217"}
    assert {f"inversion {name}" for name in names} <= reused
    run(config.merged(Config(out=tmp_path / "fresh")), quiet=True)
    same_results(out, tmp_path / "fresh")


def test_a_changed_image_and_a_lost_or_altered_product_are_made_again(
    four: Path, tmp_path: Path, same_results: Same
) -> None:
    names = part(four, tmp_path / "stack.h5", 3)
    out = tmp_path / "out"
    config = Config(method="rowwise-intensity", stack=(tmp_path / "stack.h5",), out=out, areas=AREA)
    run(config, quiet=True)
    with h5py.File(tmp_path / "stack.h5", "r+") as file:
        file[names[2]][10:20] *= 1.5
    run(config, quiet=True)
    done, _ = steps(out)
    assert done[f"inversion {names[2]}"] == f"because the image of {names[2]} changed"
    assert {name for name in done if name.startswith("inversion")} == {f"inversion {names[2]}"}
    run(config.merged(Config(out=tmp_path / "fresh")), quiet=True)
    same_results(out, tmp_path / "fresh")
    (out / "timeseries.csv").write_text("altered")
    (out / "geotiff" / f"mask_{names[1]}.tif").unlink()
    run(config, quiet=True)
    done, _ = steps(out)
    assert set(done) == {"tables", f"GeoTIFF {names[1]}"}
    assert done["tables"] == "because what it left is missing or was altered"
    same_results(out, tmp_path / "fresh")


def test_a_changed_key_redoes_what_depends_on_it_alone(
    four: Path, tmp_path: Path, same_results: Same
) -> None:
    config = Config(
        method="rowwise-intensity",
        stack=(four,),
        out=tmp_path / "out",
        areas=AREA,
        epoch=("20190126", "20190206,20190217"),
    )
    run(config, quiet=True)
    shown = {"figures", "report.html"}  # which show the areas, the map and the config
    mapped = {"map", "elevation_change.nc", "GeoTIFF", "mintpy", "qgis"}
    for changed, kinds, reason in (
        (Config(workers=1), set(), ""),
        (Config(activity=("20190116.. restless",)), shown, "`activity` changed"),
        (Config(areas=(*AREA, "pixels=1,9,1,9")), {"tables", *shown}, "`areas` changed"),
        (Config(grid=Grid(crs="geographic")), {*mapped, *shown}, "`grid` changed"),
        (Config(without=("mintpy",)), {"report.html"}, "the config as used changed"),
    ):
        config = config.merged(changed)
        run(config, quiet=True)
        done, _ = steps(tmp_path / "out")
        assert {name.split()[0] for name in done} == kinds
        assert not kinds or any(reason in why for why in done.values())
    assert not (tmp_path / "out" / "mintpy").exists()
    run(config.merged(Config(out=tmp_path / "fresh")), quiet=True)
    same_results(tmp_path / "out", tmp_path / "fresh")


def test_what_a_step_warned_of_is_said_again_where_it_is_reused(tmp_path: Path) -> None:
    path = tmp_path / "stack.h5"
    write_flat(collapse(shape=(20, 60), before=1, after=1, metadata=False).stack, path)
    config = Config(
        method="rowwise-intensity",
        stack=(path,),
        out=tmp_path / "out",
        stable="pixels=0,2,0,2",
        weights="stable",
        without=("mintpy", "geotiff"),
    )
    said = []
    for _ in range(2):
        run(config, quiet=True)
        log = (tmp_path / "out" / "mosart.log").read_text(encoding="utf-8")
        said.append([line.split("WARNING", 1)[1] for line in log.splitlines() if " WARNING " in line])
    assert steps(tmp_path / "out")[0] == {}
    assert any("less than" in text for text in said[0])
    assert set(said[0]) == set(said[1])


def test_what_a_killed_process_left_beside_a_note_goes_with_the_next_note(tmp_path: Path) -> None:
    killed = (
        "import os, pathlib, sys; from mosart.io.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('{'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "notes.json")], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_path(tmp_path / "notes.json") as of_a_living_one:
        of_a_living_one.write_text("2")
        write_json(tmp_path / "notes.json", {"a": 1})
        assert json.loads((tmp_path / "notes.json").read_text()) == {"a": 1}
        assert set(tmp_path.iterdir()) == {tmp_path / "notes.json", of_a_living_one}
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.json"]
