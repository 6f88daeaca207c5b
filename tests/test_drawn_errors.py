"""Sums over areas from drawn errors, against their sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import xarray as xr

from mosart import Areas, ElevationChange
from mosart.areas.area import Area
from mosart.change.drawn import DrawnErrors
from mosart.geocoding import MapGrid, georeference

STEP = 4
SHAPE = (41, 61)


def _dataset() -> tuple[xr.Dataset, np.ndarray]:
    """Two dates on a map of 3 m, and the errors on every cell, (draw, date, y, x)."""
    rng = np.random.default_rng(3)
    grid = MapGrid.from_bounds("EPSG:32660", (500_001.0, 6_000_000.0, 500_184.0, 6_000_123.0), 3.0)
    assert grid.shape == SHAPE
    rows, columns = np.arange(0, SHAPE[0], STEP), np.arange(0, SHAPE[1], STEP)
    draws = rng.normal(size=(24, 2, rows.size, columns.size))
    full = np.array(
        [
            [
                [np.interp(np.arange(SHAPE[1]), columns, line) for line in np.array(
                    [np.interp(np.arange(SHAPE[0]), rows, column) for column in field.T]
                ).T]
                for field in draw
            ]
            for draw in draws
        ]
    )  # fmt: skip
    dims = ("date", "y", "x")
    shape = (2, *SHAPE)
    data = xr.Dataset(
        {
            "elevation_change": (dims, np.full(shape, 2.0, np.float32)),
            "elevation_change_std": (dims, np.full(shape, 0.5, np.float32)),
            "mask": (dims, np.zeros(shape, np.uint8)),
            "growth_effect": (dims, np.stack([np.zeros(SHAPE), np.full(SHAPE, 0.25)]).astype(np.float32)),
            "error_draws": (
                ("draw", "draw_y", "draw_x", "date"),
                np.moveaxis(draws, 1, -1).astype(np.float32),
            ),
        },
        coords={
            "date": np.array(["2020-01-01", "2020-02-01"], dtype="datetime64[ns]"),
            "draw_y": grid.y[rows],
            "draw_x": grid.x[columns],
        },
        attrs={"method": "synthesis", "reference_dates": "20191201"},
    )
    return georeference(data, grid), full


def test_the_variance_of_a_sum_is_that_of_its_draws() -> None:
    data, full = _dataset()
    box = slice(7, 30), slice(11, 52)
    weights = np.random.default_rng(4).uniform(0, 9, size=(23, 41))
    for index, shared in ((0, 0.0), (1, 0.25 * weights.sum())):
        drawn = DrawnErrors.of(data, index)
        assert drawn is not None
        expected = np.mean((full[:, index][:, *box] * weights).sum(axis=(1, 2)) ** 2) + shared**2
        assert drawn.variance(box, weights) == pytest.approx(expected, rel=1e-5)
    assert DrawnErrors.of(data.drop_vars("error_draws"), 0) is None


def test_volumes_and_means_have_it() -> None:
    data, full = _dataset()
    grid = shapely.box(500_030.0, 6_000_030.0, 500_120.0, 6_000_090.0)
    corners = shapely.transform(grid, _to_degrees)
    areas = Areas((Area("part", "polygon", (corners,)),))
    inside = areas.masks(data, ["part"])["part"]
    change = ElevationChange(data)
    volumes = change.volume(areas, intervals=True)
    sums = [(full[:, k][:, inside] * 9.0).sum(axis=1) for k in range(2)]
    growth = inside.sum() * 9.0 * 0.25
    expected = [np.sqrt(np.mean(sums[0] ** 2)), np.sqrt(np.mean(sums[1] ** 2) + growth**2)]
    both = volumes[volumes["kind"] == "reference"]["net_std_m3"].to_numpy()
    np.testing.assert_allclose(both, expected, rtol=1e-4)
    interval = volumes[volumes["kind"] == "interval"]["net_std_m3"].to_numpy()
    np.testing.assert_allclose(interval, np.hypot(*expected), rtol=1e-4)
    means = change.time_series(areas)["elevation_change_std_m"].to_numpy()
    np.testing.assert_allclose(means, np.array(expected) / (inside.sum() * 9.0), rtol=1e-4)


def _to_degrees(points: np.ndarray) -> np.ndarray:
    from pyproj import Transformer

    return np.column_stack(
        Transformer.from_crs("EPSG:32660", "EPSG:4326", always_xy=True).transform(*points.T)
    )
