"""A map whose change is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from mosart.change import ElevationChange
from mosart.geocoding.mapgrid import MapGrid
from mosart.masks import MASK_ATTRS, Flag


@pytest.fixture
def mapped() -> Callable[..., ElevationChange]:
    """Make a result on a map."""

    def make(
        *,
        dates: tuple[str, ...] = ("2021-03-01", "2021-03-12", "2021-03-23"),
        reference: str = "20210301",
        crs: str = "EPSG:32603",
        west: float = 566_000.0,
        north: float = 6_068_000.0,
        size: float = 10.0,
        shape: tuple[int, int] = (40, 50),
        per_pixel: bool = False,
        noise: float = 0.0,
    ) -> ElevationChange:
        rng = np.random.default_rng(3)
        grid = MapGrid.from_bounds(
            crs, (west, north - shape[0] * size, west + shape[1] * size, north), size, snap=False
        )
        i, j = np.meshgrid(np.arange(grid.height), np.arange(grid.width), indexing="ij")
        trend = 0.05 * i - 0.02 * j
        change = (
            np.stack([k * trend for k in range(len(dates))])
            + rng.normal(0, 1, (len(dates), *i.shape)) * noise
        )
        change[-1, 7, 11] = 500.0  # a spike in one cell
        mask = np.zeros(change.shape, np.uint8)
        mask[:, 0, :3], mask[:, 1, :3], mask[:, 2, :3] = int(Flag.SHADOW), int(Flag.WATER), int(Flag.NODATA)
        change[mask != 0] = np.nan
        dims = ("date", "y", "x")
        std = np.full(change.shape if per_pixel else len(dates), max(noise, 0.1), np.float32)
        data = xr.Dataset(
            {
                "elevation_change": (dims, change.astype(np.float32), {"units": "m"}),
                "elevation_change_std": (dims if per_pixel else ("date",), std, {"units": "m"}),
                "mask": (dims, mask, MASK_ATTRS),
                "height": (("y", "x"), 100.0 + trend, {"units": "m"}),
            },
            coords={"date": np.array(dates, dtype="datetime64[ns]"), "y": grid.y, "x": grid.x},
            attrs={
                "method": "rowwise",
                "reference_dates": reference,
                "heading": 347.0,
                "look_direction": "right",
            },
        )
        data = data.rio.write_crs(crs).rio.write_transform(grid.transform)
        return ElevationChange(data)

    return make
