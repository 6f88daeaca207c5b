"""Small radar grids anywhere on Earth."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

from mosart.stack import Stack


@pytest.fixture
def make_stack() -> Callable[..., Stack]:
    """A rotated swath with pixels of 20 × 10 m around a place, lazily loaded."""

    def make(place=(-163.97, 54.75), shape=(40, 60), turn=0.0, lonlat=True, full_turn=False) -> Stack:
        rows, columns = shape
        y, x = np.mgrid[:rows, :columns].astype(float)
        east, north = (x - columns / 2 + 0.5) * 10, (y - rows / 2 + 0.5) * 20
        t = np.radians(turn)
        east, north = east * np.cos(t) + north * np.sin(t), north * np.cos(t) - east * np.sin(t)
        lon, lat, _ = pyproj.Geod(ellps="WGS84").fwd(
            np.full(x.size, place[0]), np.full(x.size, place[1]),
            np.degrees(np.arctan2(east, north)).ravel(), np.hypot(east, north).ravel(),
        )  # fmt: skip
        lon, lat = np.reshape(lon, shape), np.reshape(lat, shape)
        if full_turn:
            lon = lon % 360
        dims = ("azimuth", "range")
        rng = np.random.default_rng(0)
        variables = {
            "amplitude": (("date", *dims), da.from_array(rng.random((2, *shape)), chunks=(1, 7, -1))),
            "height": (dims, da.from_array(np.hypot(east, north), chunks=(7, -1))),
            "mask": (("date", *dims), da.zeros((2, *shape), dtype=np.uint8, chunks=(1, 7, -1))),
        }
        if lonlat:
            variables |= {
                "longitude": (dims, da.from_array(lon, chunks=(7, -1))),
                "latitude": (dims, da.from_array(lat, chunks=(7, -1))),
            }
        coords = {
            "date": pd.to_datetime(["2020-01-01", "2020-02-01"]),
            "azimuth": np.arange(rows),
            "range": np.arange(columns),
        }
        return Stack(xr.Dataset(variables, coords=coords))

    return make
