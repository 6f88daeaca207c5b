"""The config: what it takes, what it refuses and how, and that a file gives back what was written."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from mosart.errors import InputError
from mosart.workflow.config import Box, Config, Geometry, Grid, Water
from mosart.workflow.configfile import dump, load, refusal
from mosart.workflow.places import check_dates, parse_box, select_dates

DATES = tuple(dt.date(2019, month, 15) for month in range(1, 7))

quick = settings(deadline=None, derandomize=True, max_examples=40)
days = st.lists(st.dates(dt.date(1990, 1, 1), dt.date(2040, 1, 1)), min_size=1, max_size=4, unique=True).map(
    lambda dates: ",".join(f"{date:%Y%m%d}" for date in sorted(dates))
)
positive = st.floats(0.01, 1e4)
lonlat = st.tuples(st.floats(-180, 0), st.floats(-89, 0), st.floats(0.1, 180), st.floats(0.1, 89))
pixels = st.tuples(st.integers(0, 99), st.integers(100, 9999), st.integers(0, 99), st.integers(100, 9999))
boxes = st.one_of(st.builds(Box), st.builds(Box, lonlat=lonlat), st.builds(Box, pixels=pixels))
names = st.text("abcdefghijklmnopqrstuvwxyzäé #:'\"{}[]-", min_size=1, max_size=12).map(
    lambda s: f"/d/{s}x.json"
)
sources = st.one_of(
    st.fixed_dictionaries({"stack": st.tuples(names.map(Path))}),
    st.fixed_dictionaries(
        {
            "slc": st.lists(names.map(lambda n: Path(f"{n}:IW2")), min_size=1, max_size=3),
            "dem": st.lists(names.map(Path), min_size=1, max_size=2),
            "dem_datum": st.none() | st.sampled_from(["EGM2008", "ellipsoidal"]) | st.floats(-100, 100),
            "polarization": st.sampled_from([None, "VV", "hh"]),
            "grid_date": st.none() | st.dates(dt.date(1990, 1, 1)).map(lambda d: f"{d:%Y%m%d}"),
            "orbits": st.lists(names.map(Path), max_size=2),
        }
    ),
)
configs = st.builds(
    lambda source, **rest: Config(**source, **rest),
    sources,
    out=st.none() | names.map(Path),
    method=st.sampled_from(["rowwise", "rowwise-intensity"]),
    reference=days,
    epoch=st.lists(days, max_size=3),
    crop=boxes,
    areas=st.lists(names | lonlat.map(list), max_size=3),
    points=st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=3),
    stable=st.none() | names,
    water=st.builds(Water, sea_level=st.none() | st.floats(-100, 100), tolerance=positive),
    geometry=st.builds(
        Geometry, incidence_angle=st.none() | st.floats(1, 89), range_spacing=st.none() | positive
    ),
    despeckle=st.sampled_from(["none", "nlm"]),
    weights=st.sampled_from(["unit", "stable", "robust", "/d/weights.tif"]),
    grid=st.builds(Grid, pixel_size=st.none() | positive),
    activity=st.lists(
        st.tuples(st.dates(dt.date(1990, 1, 1), dt.date(2010, 1, 1)), st.integers(0, 900), names).map(
            lambda p: {"start": f"{p[0]:%Y%m%d}", "end": f"{p[0] + dt.timedelta(p[1]):%Y%m%d}", "label": p[2]}
        ),
        max_size=2,
    ),
    without=st.lists(st.sampled_from(["mintpy", "figures"]), max_size=2, unique=True),
    workers=st.none() | st.integers(1, 99),
)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@quick
@given(config=configs)
def test_a_config_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    path = write(
        tmp_path_factory.mktemp("config"), dump(config, heading=("top",), notes={"stack": "two\nlines"})
    )
    assert load(path) == config


def test_every_key_has_a_description_and_stands_in_the_file() -> None:
    text = dump(Config())

    def visit(model: type[BaseModel]) -> None:
        assert model.model_config["extra"] == "forbid"
        for name, field in model.model_fields.items():
            assert field.description, name
            assert f"{name}:" in text
            if isinstance(field.default, BaseModel):
                visit(type(field.default))

    visit(Config)


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("metod: rowwise", "metod", "did you mean `method`?"),
        (
            "geometry: {incidence_angel: 38}",
            "geometry.incidence_angel",
            "did you mean `geometry.incidence_angle`?",
        ),
        ("water: {sea: 0}", "water.sea", ""),
        ("stack: a\nslc: b", "stack and slc", "leave one out"),
        ("grid_date: 20190230", "20190230", "correct the date"),
        ("polarization: XX", "polarization", "choose one of HH"),
        ("slcs: a", "slcs", "did you mean `slc`?"),
        ("method: rowise", "method", "did you mean rowwise?"),
        ("geometry: {incidence_angle: 92}", "geometry.incidence_angle", "correct"),
        ("geometry: {incidence_angle: .nan}", "geometry.incidence_angle", "correct"),
        ("workers: 0", "workers", "correct"),
        ("workers: many", "workers", "correct"),
        ("grid: {pixel_size: -3}", "grid.pixel_size", "correct"),
        ("reference: 20190230", "20190230", "correct the date"),
        ("reference: 2019-01-15", "reference", "write 20190115"),
        ("reference: [20190215, 20190115]", "20190115", "earliest to the latest"),
        ("reference: [20190115, 20190115]", "doubled at 20190115", "earliest"),
        ("epoch: [20190115, 201902]", "201902", "eight digits"),
        (
            "geometry_of: {dsc: {incidence_angel: 38}}",
            "geometry_of.dsc.incidence_angel",
            "did you mean `geometry_of.dsc.incidence_angle`?",
        ),
        ("crop: [10, 20, 30, 40]", "degrees or pixels", "lonlat= or pixels="),
        ("crop: {lonlat: [10.5, 30, 20, 20]}", "south", ""),
        ("crop: {pixels: [5, 5, 0, 9]}", "stop", ""),
        ("crop: {pixels: [0, 5, 0, 9], lonlat: [1, 2, 3, 4]}", "twice", "leave one out"),
        ("stack: a\nstack: b", "duplicate key", "mosart init"),
        ("stack: [", "line", "mosart init"),
        ("- stack", "no config", "mosart init"),
    ],
)
def test_a_fault_in_the_file_is_told_by_its_key_and_what_to_do(
    tmp_path: Path, text: str, key: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text))
    message = str(caught.value)
    assert "config.yaml" in message
    assert key in message
    assert hint in message


def test_a_missing_config_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_keys_left_empty_are_at_their_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, "stack:\nwater:\ngeometry:\nepoch:\n")) == Config()


def test_paths_of_the_file_are_relative_to_it_and_those_of_options_to_the_current_folder(
    tmp_path: Path,
) -> None:
    text = "{stack: a.h5, out: o, areas: [x.json, [1.5, 2, 3, 4]], weights: w.tif, water: {raster: w.npy}}"
    config = load(write(tmp_path, text))
    assert config.stack == (tmp_path / "a.h5",)
    assert config.out == tmp_path / "o"
    assert config.areas == (str(tmp_path / "x.json"), "lonlat=1.5,2.0,3.0,4.0")
    assert config.weights_path() == tmp_path / "w.tif"
    assert config.water.raster == tmp_path / "w.npy"
    products = load(write(tmp_path, "{slc: [a.SAFE:IW2, /b.zip], dem: d.tif, orbits: o, dem_datum: 7.5}"))
    assert products.slc == (tmp_path / "a.SAFE:IW2", Path("/b.zip"))
    assert products.dem == (tmp_path / "d.tif",)
    assert products.orbits == (tmp_path / "o",)
    assert products.dem_datum == "7.5"
    merged = config.merged(Config(out=Path("/elsewhere"), water=Water(sea_level=0)))
    assert merged.out == Path("/elsewhere")
    assert merged.water == Water(raster=tmp_path / "w.npy", sea_level=0)


def test_a_box_of_an_option_replaces_the_other_kind_of_box_in_the_file() -> None:
    merged = Config(crop=Box(pixels=(0, 5, 0, 9))).merged(Config(crop=Box(lonlat=(1, 2, 3, 4))))
    assert merged.crop == Box(lonlat=(1, 2, 3, 4))


def test_options_at_their_default_do_not_hide_the_file() -> None:
    assert Config(method="rowwise").merged(Config(despeckle="none")).method == "rowwise"
    assert Config(method="rowwise").merged(Config(method="rowwise-intensity")).method == "rowwise-intensity"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-163.98,54.74,-163.96,54.76", {"lonlat": (-163.98, 54.74, -163.96, 54.76)}),
        ("179.5,-1,-179.5,1", {"lonlat": (179.5, -1, -179.5, 1)}),
        ("0,1100,0,4700", {"pixels": (0, 1100, 0, 4700)}),
        ("lonlat=10,20,30,40", {"lonlat": (10, 20, 30, 40)}),
        ("pixels=10,20,30,40", {"pixels": (10, 20, 30, 40)}),
        ([10.5, 20, 30, 40], {"lonlat": (10.5, 20, 30, 40)}),
        ((0, 20, 5, 400), {"pixels": (0, 20, 5, 400)}),
    ],
)
def test_boxes_are_read_as_written(value: object, expected: dict[str, tuple[float, ...]]) -> None:
    assert parse_box(value) == expected


@pytest.mark.parametrize("value", ["1,2,3", "a,b,c,d", "box=1,2,3,4", "pixels=1.5,2,3,4", {"a": 1}, [1, 2]])
def test_boxes_that_cannot_be_read_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="lonlat=WEST"):
        parse_box(value)


def test_dates_are_chosen_by_list_and_by_range() -> None:
    assert select_dates("20190115,20190315", DATES, "reference") == (DATES[0], DATES[2])
    assert select_dates("20190215..20190415", DATES, "epoch") == DATES[1:4]
    assert select_dates("20190115,20190301..20190630", DATES, "epoch") == (DATES[0], *DATES[2:])
    with pytest.raises(InputError, match="epoch: the stack has no date 20190116"):
        select_dates("20190116", DATES, "epoch")
    with pytest.raises(InputError, match=r"no date in 20190116\.\.20190117"):
        select_dates("20190116..20190117", DATES, "reference")


@quick
@given(first=st.dates(dt.date(2000, 1, 1)), second=st.dates(dt.date(2000, 1, 1)))
def test_a_range_is_taken_when_it_ascends(first: dt.date, second: dt.date) -> None:
    text = f"{first:%Y%m%d}..{second:%Y%m%d}"
    if first <= second:
        assert check_dates(text) == text
    else:
        with pytest.raises(InputError, match="out of order"):
            check_dates(text)


def test_several_faults_are_all_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"workers": 0, "metod": 1})
    message = str(refusal(caught.value))
    assert "workers" in message
    assert "metod" in message


@pytest.mark.parametrize(
    ("given", "start", "end", "label"),
    [
        ("20190115..20190301 lava  flow", "20190115", "20190301", "lava flow"),
        ("20190115.. dome", "20190115", None, "dome"),
        ("20190115 collapse", "20190115", "20190115", "collapse"),
        (20190115, "20190115", "20190115", ""),
        ({"start": 20190115, "end": 20190301}, "20190115", "20190301", ""),
        ({"start": "20190115", "label": "goes on"}, "20190115", None, "goes on"),
    ],
)
def test_periods_of_activity_in_every_writing(given: object, start: str, end: str | None, label: str) -> None:
    for config in (Config(activity=(given,)), Config(activity=given)):  # type: ignore[arg-type]
        again = Config.model_validate(config.model_dump())
        (period,) = again.periods()
        assert f"{period.start:%Y%m%d}" == start
        assert (None if period.end is None else f"{period.end:%Y%m%d}") == end
        assert period.label == label


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("20190301..20190115 x", "ends before"),
        ("20190231 x", "20190231"),
        ({"start": 20190115, "stop": 20190301}, "cannot be read"),
        ("lava 20190115", "no date"),
    ],
)
def test_wrong_periods_are_refused(given: object, match: str) -> None:
    with pytest.raises((ValidationError, InputError), match=match):
        Config(activity=(given,))  # type: ignore[arg-type]
