"""The page in a real browser."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

pytest.importorskip("plotly", reason="the page needs the extra `report`")
pytest.importorskip("jinja2", reason="the page needs the extra `report`")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from mosart.periods import Period  # noqa: E402 (after the checks)
from mosart.report.page import write_page  # noqa: E402 (after the checks)

pytestmark = pytest.mark.slow

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        message = "no Chromium: the page is not tested in a browser (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield opened
        opened.close()


class Tab:
    """A page that is open, with all that it complained of and asked for."""

    def __init__(self, browser: object, path: Path, width: int = 1300, height: int = 1000) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": height}, accept_downloads=True)  # type: ignore[attr-defined]
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]", timeout=60_000)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the map is."""
        self.page.locator("#map").scroll_into_view_if_needed()
        return tuple(
            self.page.evaluate(
                """([x, y]) => {
                  const box = MAP.getBoundingClientRect(), f = MAP._fullLayout;
                  const [a, b] = [f.xaxis, f.yaxis];
                  return [box.left + a._offset + a.d2p(x), box.top + b._offset + b.d2p(y)];
                }""",
                [x, y],
            )
        )

    def settle(self) -> None:
        self.page.evaluate("() => drawing")

    def close(self) -> None:
        quiet = self.complaints
        asked = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        self.page.close()
        assert quiet == []
        assert asked == []


@pytest.fixture
def tabs(browser: object) -> Iterator[Callable[..., Tab]]:
    opened: list[Tab] = []

    def opener(path: Path, **options: int) -> Tab:
        opened.append(Tab(browser, path, **options))
        return opened[-1]

    yield opener
    for tab in opened:
        tab.close()


@pytest.mark.parametrize("per_pixel", [False, True], ids=["σ per date", "σ per pixel"])
def test_a_click_shows_what_the_netcdf_holds(
    made: Callable[..., object], tabs: Callable[..., Tab], per_pixel: bool
) -> None:
    products = made(per_pixel=per_pixel)
    tab = tabs(write_page(products.folder, areas=products.areas))
    with xr.open_dataset(products.folder / "elevation_change.nc", decode_coords="all") as data:
        index = np.unravel_index(
            int(np.nanargmax(data["elevation_change"].values[-1])), data["elevation_change"].shape[1:]
        )
        cell = data.isel(date=slice(None), y=index[0], x=index[1]).load()
    tab.page.mouse.click(*tab.at(float(cell["x"]), float(cell["y"])))
    tab.page.locator("#picked", has_text="2021-03-23").wait_for()
    std = np.broadcast_to(cell["elevation_change_std"].values, 3)
    expected = f"{cell['elevation_change'].values[-1]:+.2f} m ± {std[-1]:.2f} m"
    assert expected in tab.page.inner_text("#picked")
    shown = tab.page.evaluate("document.getElementById('series').data[0]")
    np.testing.assert_allclose(shown["y"], cell["elevation_change"].values, atol=0.0051)
    np.testing.assert_allclose(shown["error_y"]["array"], std, atol=0.0051)


def test_the_picture_lies_where_its_coordinates_say(
    made: Callable[..., object], tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    products = made()
    tab = tabs(write_page(products.folder))  # no outlines over the dome
    from matplotlib import colormaps
    from matplotlib.image import imread

    limit = tab.page.evaluate("META.limit")
    with xr.open_dataset(products.folder / "elevation_change.nc", decode_coords="all") as data:
        last = data["elevation_change"].values[-1]
        x, y = data["x"].values, data["y"].values
    strong = np.argwhere(np.abs(last) > 0.3 * limit)[::3]
    weak = np.argwhere(np.abs(last) < 0.1 * limit)[::40]
    tab.page.evaluate("mark(null)")
    tab.at(float(x[0]), float(y[0]))  # scrolls
    spots = [tab.at(float(x[c]), float(y[r])) for r, c in (*strong, *weak)]
    tab.page.screenshot(path=tmp_path / "shown.png")
    picture = imread(tmp_path / "shown.png")[..., :3]
    drawn = np.array([picture[round(v), round(u)] for u, v in spots])
    wanted = np.array([colormaps["RdBu_r"](0.5 + 0.5 * last[r, c] / limit)[:3] for r, c in (*strong, *weak)])
    assert len(strong) > 5
    assert np.mean(np.abs(drawn - wanted).max(axis=1) < 0.12) > 0.9


def test_the_slider_moves_the_map_and_play_runs(
    made: Callable[..., object], tabs: Callable[..., Tab]
) -> None:
    products = made()
    tab = tabs(write_page(products.folder))
    source = "MAP.data[0].source"
    before = tab.page.evaluate(source)
    tab.page.focus("#date")
    tab.page.keyboard.press("ArrowLeft")
    tab.page.wait_for_selector("#map[data-shown='change 2021-03-12']")
    assert tab.page.evaluate(source) != before
    tab.page.click("#play")
    tab.page.wait_for_selector("#map[data-shown='change 2021-03-23']")
    tab.page.wait_for_selector("#map[data-shown='change 2021-03-01']")
    tab.page.click("#play")
    assert tab.page.inner_text("#play") == "Play"


def test_layers_switch_and_what_a_method_does_not_give_is_not_offered(
    made: Callable[..., object], tabs: Callable[..., Tab]
) -> None:
    tab = tabs(write_page(made(per_pixel=True).folder))
    seen = {tab.page.evaluate("MAP.data[0].source")}
    for layer in ("std", "amplitude", "modelled", "mask"):
        tab.page.select_option("#layer", layer)
        tab.page.wait_for_selector(f"#map[data-shown='{layer} 2021-03-23']")
        seen.add(tab.page.evaluate("MAP.data[0].source"))
    assert len(seen) == 5
    tab.page.select_option("#layer", "change")
    tab.page.wait_for_selector("#map[data-shown='change 2021-03-23']")
    full = tab.page.evaluate("MAP.data[0].source")
    tab.page.locator("#opacity").fill("30")
    tab.settle()
    assert tab.page.evaluate("MAP.data[0].source") != full
    bare = tabs(write_page(made().folder))
    options = bare.page.locator("#layer option").evaluate_all("all => all.map(o => o.value)")
    assert options == ["change", "mask"]


@pytest.mark.parametrize("options", [{}, {"centre": (180.0, 51.0), "crs": "geographic"}], ids=["utm", "180°"])
def test_a_typed_polygon_has_the_volume_of_the_table(
    made: Callable[..., object], tabs: Callable[..., Tab], options: dict[str, object]
) -> None:
    products = made(**options)
    tab = tabs(write_page(products.folder, areas=products.areas))
    tab.page.locator("summary", has_text="Type a polygon").click()
    tab.page.fill("#corners", "\n".join(f"{lon}, {lat}" for lon, lat in products.ring))
    tab.page.click("#type button")
    tab.page.locator("#said", has_text="Typed polygon").wait_for()
    rows = tab.page.evaluate("VOLUMES.rows")
    table = pd.read_csv(products.folder / "volumes.csv")
    for row, (_, line) in zip(rows[1:], table[1:].iterrows(), strict=True):
        assert row["net_m3"] == pytest.approx(line["net_m3"], rel=0.01)
        assert row["net_std_m3"] == pytest.approx(line["net_std_m3"], rel=0.15)


def test_a_drawn_box_has_a_volume_and_what_is_shown_downloads(
    made: Callable[..., object], tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    products = made()
    tab = tabs(write_page(products.folder, areas=products.areas))
    x, y = tab.page.evaluate("[META.x0 + 0.5 * COLS * META.dx, META.y0 + 0.5 * ROWS * META.dy]")
    a, b = tab.at(x - 60, y - 40), tab.at(x + 60, y + 40)
    tab.page.click("#box")
    a, b = tab.at(x - 60, y - 40), tab.at(x + 60, y + 40)
    tab.page.mouse.move(*a)
    tab.page.mouse.down()
    tab.page.mouse.move(*b, steps=5)
    tab.page.mouse.up()
    tab.page.locator("#said", has_text="Drawn polygon").wait_for()
    assert tab.page.evaluate("VOLUMES.rows[2].area_m2") == pytest.approx(120 * 80, rel=0.06)
    for button, column in (
        ("#volume-csv", "net_m3"),
        ("#series-csv", "elevation_change_m"),
        ("#map-csv", "change"),
    ):
        with tab.page.expect_download() as waiting:
            tab.page.click(button)
        waiting.value.save_as(tmp_path / "shown.csv")
        table = pd.read_csv(tmp_path / "shown.csv")
        assert column in table
        assert len(table) >= 3


def test_the_map_works_without_a_mouse(made: Callable[..., object], tabs: Callable[..., Tab]) -> None:
    tab = tabs(write_page(made().folder))
    tab.page.focus("#map")
    start = tab.page.evaluate("[PICK.row, PICK.col]")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        tab.page.keyboard.press(key)
    tab.page.locator("#picked", has_text="2021-03-23").wait_for()
    assert tab.page.evaluate("[PICK.row, PICK.col]") == [start[0] - 1, start[1] + 2]  # north is up


@pytest.mark.parametrize("width", [390, 1600])
def test_it_fits_the_screen_and_prints(
    made: Callable[..., object], tabs: Callable[..., Tab], tmp_path: Path, width: int
) -> None:
    products = made()
    tab = tabs(write_page(products.folder, areas=products.areas), width=width, height=844)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    box = tab.page.locator("#map .main-svg").first.bounding_box()
    assert box["width"] <= width
    assert box["height"] > 200
    tab.page.pdf(path=tmp_path / "page.pdf", format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes()))
    assert 1 <= pages <= 8


@pytest.mark.parametrize(
    "options",
    [
        {"rows": 1, "columns": 30},
        {"dates": ("2021-03-01",)},
        {"lonlat": False},
        {"empty_date": 2},
    ],
    ids=["one row", "one date", "no positions", "a date without a pixel"],
)
def test_odd_results_are_drawn(
    made: Callable[..., object], tabs: Callable[..., Tab], options: dict[str, object]
) -> None:
    tab = tabs(write_page(made(**options).folder))
    assert tab.page.locator("#map .main-svg").first.is_visible()
    assert tab.page.locator("section.volumes").is_visible() == (options.get("lonlat") is not False)


def test_a_page_without_areas_begins_at_the_strongest_change(
    made: Callable[..., object], tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(made().folder, folder, ignore=shutil.ignore_patterns("*.csv"))
    tab = tabs(write_page(folder))
    tab.page.locator("#picked", has_text=" m ±").wait_for()
    began = tab.page.inner_text("#picked")
    assert "NaN" not in began
    with xr.open_dataset(folder / "elevation_change.nc") as data:
        strongest = np.nanmax(np.abs(data["elevation_change"].sel(date=began.split(":")[0]).values))
    found = re.search(r": ([+\u2212-][\d.]+) m ±", began)
    assert found is not None
    assert abs(float(found[1].replace("\u2212", "-"))) > 0.7 * strongest


def test_a_page_of_two_looks_switches_between_them(
    two_looks: Path, tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    tab = tabs(write_page(two_looks, out=tmp_path / "report.html"))
    names = tab.page.locator("#view option").evaluate_all("all => all.map(o => o.textContent)")
    assert names == [
        "all looks, on the map",
        "ascending, on its radar grid",
        "descending, on its radar grid",
    ]
    tab.page.select_option("#layer", "looks")
    tab.page.wait_for_selector("#map[data-shown='looks 2021-03-23']")
    assert tab.page.inner_text("#looks-key").split(" ")[:2] == ["ascending", "alone"]
    with xr.open_dataset(two_looks / "elevation_change.nc") as data:
        seen = data["looks"].values[-1]
        change = data["elevation_change"].values[-1, seen.shape[0] // 2, -20]
        std = data["elevation_change_std"].values[-1]
        place = float(data["x"].values[-20]), float(data["y"].values[seen.shape[0] // 2])
        bits = seen[seen.shape[0] // 2, -20]
    assert bits == 3
    tab.at(*place)
    u, v = tab.at(*place)
    tab.page.screenshot(path=tmp_path / "looks.png")
    from matplotlib.image import imread

    green = np.array([0, 158, 115]) / 255  # of both
    drawn = imread(tmp_path / "looks.png")[round(v), round(u), :3]
    np.testing.assert_allclose(drawn, green, atol=0.03)
    tab.page.mouse.click(u, v)
    tab.page.locator("#picked", has_text="2021-03-23").wait_for()
    assert f"{change:+.2f} m ± {std:.2f} m" in tab.page.inner_text("#picked")
    answer = tab.page.inner_text("#answer")
    assert re.search(r"Of what was seen: [\d.]+ % by ascending and descending, [\d.]+ % by", answer)
    levels = tab.page.locator("details", has_text="Level between the looks")
    levels.locator("summary").click()
    assert "2021-03-23: ascending +0.43 dB ± 0.087 dB, descending -0.43 dB" in levels.inner_text()
    assert "the joint map" in tab.page.inner_text("#absent")
    with tab.page.expect_navigation():
        tab.page.select_option("#view", "2")
    tab.page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert tab.page.evaluate("CHOSEN") == 2
    assert tab.page.evaluate("META.kind") == "radar"
    with xr.open_dataset(two_looks / "radar_descending.nc") as data:
        wanted = data["elevation_change"].values[:, 21, 56]
    shown = tab.page.evaluate("cellSeries(21, 56)")
    np.testing.assert_allclose([row["change"] for row in shown], wanted, atol=0.0051)
    # There is no map here, so no volumes: the curves that are there fit a window of another size.
    assert not tab.page.locator("section.volumes").is_visible()
    assert not tab.page.locator("#absent").is_visible()
    tab.page.set_viewport_size({"width": 900, "height": 800})
    tab.page.wait_for_timeout(1000)
    assert tab.page.evaluate("MAP.layout.width") < 900


def test_activity_is_shaded_behind_the_curve(
    made: Callable[..., object], tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    products = made()
    spells = [
        Period(dt.date(2021, 3, 5), dt.date(2021, 3, 10), "<b>dome</b>"),
        Period(dt.date(1990, 1, 1), dt.date(1991, 1, 1)),
    ]
    page = write_page(products.folder, out=tmp_path / "report.html", areas=products.areas, activity=spells)
    tab = tabs(page)
    shapes = tab.page.evaluate("document.getElementById('series').layout.shapes")
    assert [(shape["x0"], shape["x1"]) for shape in shapes] == [("2021-03-05", "2021-03-10")]
    assert "<b>dome</b>" in tab.page.locator("#series .annotation-text").first.text_content()
