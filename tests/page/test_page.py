"""The page as a file: whole, self-contained, honest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("plotly", reason="the page needs the extra `report`")
pytest.importorskip("jinja2", reason="the page needs the extra `report`")

from mosart.errors import InputError
from mosart.report.page import build, write_page
from mosart.report.page.facts import judged_table


def body(text: str) -> str:
    """The page without its scripts."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.S)


def test_page_of_one_number_a_date(made: Callable[..., object]) -> None:
    products = made()
    page = write_page(products.folder, areas=products.areas, accuracy="wrong by half <or more>")
    text = page.read_text(encoding="utf-8")
    words = body(text)
    assert page.stat().st_size < 20_000_000
    assert "dome: rose by" in words
    assert "not on 2021-03-01" in words  # when: first seen on the date after
    assert "wrong by half &lt;or more&gt;" in words
    assert "a standard error for every pixel, measured amplitude, modelled amplitude" in words
    assert "shadow" in words
    assert "Copyright" in words  # of the library's licence
    assert "MIT" in words


def test_hostile_names_stay_text(made: Callable[..., object]) -> None:
    products = made()
    text = write_page(products.folder).read_text(encoding="utf-8")
    assert "<b>odd</b>" not in text
    assert "&lt;b&gt;odd&lt;/b&gt; &amp; dark" in text
    assert "method <rowwise>" not in text


def test_nothing_is_asked_of_a_network(made: Callable[..., object]) -> None:
    products = made()
    text = write_page(products.folder).read_text(encoding="utf-8")
    markup = body(text)
    assert "default-src 'none'" in markup
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](?!data:)", markup)
    assert "@import" not in markup


def test_a_date_without_a_finite_pixel_is_called_rejected(made: Callable[..., object]) -> None:
    products = made(empty_date=2)
    words = body(write_page(products.folder, areas=products.areas).read_text(encoding="utf-8"))
    assert "2021-03-23: rejected: no pixel has a value (no data)" in words
    assert "Elevation change by 2021-03-12" in words


def test_a_large_area_is_averaged_with_a_notice(
    made: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    products = made()
    monkeypatch.setattr(build.layers, "CELLS", 2000)
    words = body(write_page(products.folder).read_text(encoding="utf-8"))
    assert re.search(r"the mean of \d+ × \d+ cells of the product", words)


@pytest.mark.parametrize(
    "options",
    [
        {"rows": 1, "columns": 30},
        {"dates": ("2021-03-01",)},
        {"lonlat": False},
        {"centre": (180.0, 51.0)},
        {"centre": (180.0, 51.0), "crs": "geographic"},
        {"per_pixel": True},
    ],
    ids=["one row", "one date", "no positions", "across 180°", "across 180°, degrees", "σ per pixel"],
)
def test_odd_results_have_a_page(made: Callable[..., object], options: dict[str, object]) -> None:
    products = made(**options)
    words = body(write_page(products.folder, areas=products.areas).read_text(encoding="utf-8"))
    assert "What changed" in words
    if options.get("lonlat") is False:
        assert "there is no map, because the stack has no longitude and latitude" in words
        assert "Read at the fixed slant-range pixel" in words
    if "centre" in options:
        longitudes = [float(v) for v in re.findall(r"([\d.]+)° [EW]", words)]
        assert longitudes
        assert all(179.9 < v <= 180.0 for v in longitudes)


def test_how_well_each_date_was_solved_is_a_table_where_the_method_tells() -> None:
    attrs = {"long_name": "range", "units": "m"}
    data = xr.Dataset(
        {
            "elevation_change_std": ("date", [0.2, 0.3], {"long_name": "standard error", "units": "m"}),
            "correlation_range": ("date", [np.nan, 140.25], attrs),
            "averaged_dates": ("date", ["20210301", "20210312"], {"long_name": "images"}),
        },
        coords={"date": np.array(["2021-03-01", "2021-03-12"], "datetime64[ns]")},
    )
    assert judged_table(data) == {
        "columns": ["date", "correlation range (m)"],
        "rows": [["2021-03-01", ""], ["2021-03-12", "140.2"]],
    }
    assert judged_table(data.drop_vars("correlation_range")) is None


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no result"):
        write_page(tmp_path)
    assert list(tmp_path.iterdir()) == []
