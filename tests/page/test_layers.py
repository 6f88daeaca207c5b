"""Layers of the page: what is kept, what is averaged, how small it gets."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.report.page.layers import GAP, draw_layers, nice
from mosart.report.places import extremes
from mosart.report.raster import block_bits, block_means


def result(change: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {
            "elevation_change": (("date", "y", "x"), change.astype(np.float32)),
            "elevation_change_std": (("date",), np.ones(len(change), np.float32)),
            "mask": (("date", "y", "x"), np.zeros(change.shape, np.uint8)),
        },
        coords={"date": np.arange(len(change)).astype("datetime64[D]").astype("datetime64[ns]")},
    )


def numbers(layer: object, index: int, shape: tuple[int, int]) -> np.ndarray:
    raw = np.frombuffer(gzip.decompress(layer.slices[index]), "<i2").reshape(shape)  # type: ignore[attr-defined]
    return np.where(raw == GAP, np.nan, raw * layer.step)  # type: ignore[attr-defined]


def test_small_results_keep_every_centimetre() -> None:
    change = np.random.default_rng(1).normal(0, 20, (2, 30, 40))
    change[1, 3, 4] = np.nan
    drawn = draw_layers(result(change), "elevation_change", ("y", "x"))
    assert drawn.block == 1
    for index in range(2):
        np.testing.assert_allclose(
            numbers(drawn.layers[0], index, drawn.shape), change[index].astype(np.float32), atol=0.00501
        )


def test_numbers_beyond_the_range_of_centimetres_are_kept_more_coarsely() -> None:
    change = np.array([[[-5000.0, 1.0], [np.nan, 4000.0]]])
    drawn = draw_layers(result(change), "elevation_change", ("y", "x"))
    layer = drawn.layers[0]
    assert layer.step == 1.0
    np.testing.assert_allclose(numbers(layer, 0, drawn.shape), change[0])


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_block_means_keep_sums(block: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * 100 + columns)
    image = rng.normal(0, 5, (rows, columns))
    image[rng.random(image.shape) < 0.3] = np.nan
    mean, share = block_means(image, block)
    assert np.nansum(mean * share) * block**2 == pytest.approx(np.nansum(image), abs=1e-9)
    assert mean.shape == (-(-rows // block), -(-columns // block))


def test_means_of_means_are_means() -> None:
    """What is made smaller twice is as if it was made smaller once, gaps and edges included."""
    rng = np.random.default_rng(5)
    image = rng.normal(0, 5, (37, 53))
    image[rng.random(image.shape) < 0.4] = np.nan
    once = block_means(image, 6)
    half, share = block_means(image, 2)
    twice = block_means(half, 3, share)
    np.testing.assert_allclose(twice[0], once[0])
    np.testing.assert_allclose(twice[1], once[1])


def test_every_number_is_read_once_however_small_the_page_must_be() -> None:
    import dask.array as da

    change = np.random.default_rng(2).normal(0, 5, (3, 200, 300)).astype(np.float32)
    seen = np.zeros(change.shape, int)

    def look(block: np.ndarray, block_info=None) -> np.ndarray:
        if block_info:
            seen[tuple(slice(*edges) for edges in block_info[0]["array-location"])] += 1
        return block

    lazy = da.from_array(change, chunks=(1, 50, 300)).map_blocks(
        look, dtype=np.float32, meta=change[:0, :0, :0]
    )
    data = result(change)
    data["elevation_change"] = (("date", "y", "x"), lazy)
    drawn = draw_layers(data, "elevation_change", ("y", "x"), budget=20_000)
    assert drawn.block >= 4
    assert np.unique(seen).tolist() == [1]


def test_bits_of_a_block_are_those_set_anywhere_in_it() -> None:
    mask = np.zeros((5, 4), np.uint8)
    mask[0, 0], mask[1, 1], mask[4, 3] = 1, 4, 8
    np.testing.assert_array_equal(block_bits(mask, 2), [[5, 0], [0, 0], [0, 8]])


def test_a_result_too_large_is_averaged_until_it_fits() -> None:
    change = np.random.default_rng(2).normal(0, 5, (3, 200, 300))
    drawn = draw_layers(result(change), "elevation_change", ("y", "x"), budget=60_000)
    assert drawn.block > 1
    assert sum(layer.size for layer in drawn.layers) <= 60_000
    assert "share" in {layer.name for layer in drawn.layers}


def test_more_dates_than_any_page_holds_are_refused() -> None:
    with pytest.raises(InputError, match="too large"):
        draw_layers(result(np.ones((40, 8, 8))), "elevation_change", ("y", "x"), budget=100)


def test_a_date_without_a_value_has_layers() -> None:
    change = np.full((1, 4, 5), np.nan)
    drawn = draw_layers(result(change), "elevation_change", ("y", "x"))
    assert np.isnan(numbers(drawn.layers[0], 0, drawn.shape)).all()
    assert drawn.limit == nice(0.1)


def test_extremes_are_means_of_windows_and_ignore_single_cells() -> None:
    image = np.zeros((60, 60))
    image[20:32, 30:42] = 7.0
    image[50, 50] = 100.0
    image[40:52, 5:17] = -3.0
    high, low = extremes(image)
    assert (high.value, low.value) == (pytest.approx(7.0), pytest.approx(-3.0))
    assert 20 <= high.row < 32
    assert 30 <= high.column < 42
    assert 40 <= low.row < 52


def test_extremes_of_nothing_are_unknown() -> None:
    high, low = extremes(np.full((3, 3), np.nan))
    assert np.isnan(high.value)
    assert np.isnan(low.value)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 1.0), (0.11, 0.15), (29.9, 30.0), (30.0, 30.0), (850.0, 1000.0)]
)
def test_nice(value: float, expected: float) -> None:
    assert nice(value) == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 3])
def test_an_area_is_traced_around_its_pixels_on_a_radar_grid(made: Callable[..., object], block: int) -> None:
    from matplotlib.path import Path as Outline

    from mosart.report.page.grid import frame_of, outlines

    products = made()
    with xr.open_dataset(products.folder / "radar.nc") as data:
        inside = np.asarray(products.areas.masks(data, ["dome"])["dome"], bool)
        shape = -(-inside.shape[0] // block), -(-inside.shape[1] // block)
        frame = frame_of(data, block, shape, None)
        (drawn,) = outlines(products.areas, frame, data)
    assert (drawn["name"], drawn["point"]) == ("dome", False)
    (ring,) = drawn["rings"]
    row, column = np.indices(shape)
    x, y = frame.x[0] + frame.x[1] * column, frame.y[0] + frame.y[1] * row
    held = Outline(np.transpose([ring["x"], ring["y"]])).contains_points(np.transpose([x.ravel(), y.ravel()]))
    starts = [np.arange(0, size, block) for size in inside.shape]
    wanted = np.logical_or.reduceat(np.logical_or.reduceat(inside, starts[0], axis=0), starts[1], axis=1)
    np.testing.assert_array_equal(held.reshape(shape), wanted)
