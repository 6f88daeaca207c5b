"""Small results whose truth is known, as a run leaves them."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mosart.areas import Areas, read_areas
from mosart.change import ElevationChange
from mosart.geocoding import geocode
from mosart.io.netcdf import open_dataset, write_dataset
from mosart.io.tables import write_table
from mosart.masks import MASK_ATTRS, Flag

DATES = ("2021-03-01", "2021-03-12", "2021-03-23")
METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class Made:
    """A folder of products and what it was made of."""

    folder: Path
    radar: xr.Dataset
    areas: Areas | None
    ring: list[tuple[float, float]]


def make(
    folder: Path,
    *,
    rows: int = 60,
    columns: int = 80,
    dates: tuple[str, ...] = DATES,
    per_pixel: bool = False,
    lonlat: bool = True,
    centre: tuple[float, float] = (-163.97, 54.755),
    empty_date: int | None = None,
    crs: str = "utm",
) -> Made:
    """A dome that grows by 10 m a date, 5 m pixels, flown to the north-north-west, looking right."""
    rng = np.random.default_rng(7)
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    dome = np.exp(
        -(((i - 0.35 * rows) / (rows / 8 + 1)) ** 2) - ((j - 0.7 * columns) / (columns / 10 + 1)) ** 2
    )
    change = np.stack([10.0 * k * dome + rng.normal(0, 0.2, dome.shape) for k in range(len(dates))])
    mask = np.zeros(change.shape, np.uint8)
    mask[:, : max(rows // 10, 0), :5] = int(Flag.SHADOW)
    mask[:, -max(rows // 10, 0) or rows :, -5:] = int(Flag.LAYOVER)
    if empty_date is not None:
        mask[empty_date] = int(Flag.NODATA)
    change[(mask & 47) != 0] = np.nan
    std = np.full(len(dates), 0.2, np.float32)
    data = xr.Dataset(
        {
            "elevation_change" if lonlat else "elevation_change_slant": (
                ("date", "azimuth", "range"),
                change.astype(np.float32),
                {"units": "m", "long_name": "elevation change"},
            ),
            "elevation_change_std": (
                ("date", "azimuth", "range") if per_pixel else ("date",),
                (0.2 + 0.3 * np.broadcast_to(dome, change.shape)).astype(np.float32) if per_pixel else std,
                {"units": "m", "long_name": "standard error"},
            ),
            "mask": (("date", "azimuth", "range"), mask, MASK_ATTRS),
            "averaged_dates": (("date",), np.array([d.replace("-", "") for d in dates], dtype=object)),
            "height": (("azimuth", "range"), 100.0 + 60.0 * dome, {"units": "m"}),
        },
        coords={
            "date": np.array(dates, dtype="datetime64[ns]"),
            "azimuth": np.arange(rows),
            "range": np.arange(columns),
        },
        attrs={
            "method": "rowwise",
            "reference_dates": dates[0].replace("-", ""),
            "heading": 347.0,
            "look_direction": "right",
            "azimuth_spacing": 5.0,
            "source": "MoSARt, method <rowwise> & 'more'",
        },
    )
    if per_pixel:
        for number, name in enumerate(("measured_amplitude", "modelled_amplitude")):
            data[name] = (
                ("date", "azimuth", "range"),
                rng.gamma(4.0, 0.25, change.shape).astype(np.float32) + number,
                {"units": "1"},
            )
    areas, ring = None, []
    if lonlat:
        turn = np.radians(347.0)
        along, across = 5.0 * (i - rows / 2), 5.0 * (j - columns / 2)
        east = along * np.sin(turn) + across * np.cos(turn)
        north = along * np.cos(turn) - across * np.sin(turn)
        lon = centre[0] + east / (METRES_PER_DEGREE * np.cos(np.radians(centre[1])))
        lat = centre[1] + north / METRES_PER_DEGREE
        data["longitude"] = (("azimuth", "range"), (lon + 180.0) % 360.0 - 180.0)
        data["latitude"] = (("azimuth", "range"), lat)
        if min(rows, columns) > 20:
            a, r = int(0.35 * rows), int(0.7 * columns)
            middle = lon[a, r], lat[a, r]
            ring = [
                (float(middle[0] + sx * 0.0010), float(middle[1] + sy * 0.0006))
                for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            areas = read_areas([{"name": "dome", "lonlat": [ring[0][0], ring[0][1], ring[2][0], ring[2][1]]}])
    folder.mkdir(parents=True, exist_ok=True)
    write_dataset(data, folder / "radar.nc")
    with open_dataset(folder / "radar.nc") as stored:
        result = ElevationChange(stored)
        if lonlat:
            write_dataset(geocode(result, crs=crs), folder / "elevation_change.nc")
        if areas is not None:
            write_table(result.time_series(areas), folder / "timeseries.csv")
            write_table(result.volume(areas), folder / "volumes.csv")
    (folder / "mosart.log").write_text(
        f"{dt.datetime(2021, 4, 1):%Y-%m-%dT%H:%M:%SZ} WARNING 20210312: <b>odd</b> & dark\n",
        encoding="utf-8",
    )
    return Made(folder, data, areas, ring)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Make folders of products, each kind once."""
    there: dict[str, Made] = {}

    def maker(**options: object) -> Made:
        key = repr(sorted(options.items()))
        if key not in there:
            there[key] = make(tmp_path_factory.mktemp("products") / "out", **options)  # type: ignore[arg-type]
        return there[key]

    return maker


@pytest.fixture(scope="session")
def two_looks(made: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A joint map of two looks, as it is left beside the radar grids of each."""
    folder = tmp_path_factory.mktemp("looks") / "out"
    folder.mkdir()
    source = made().folder  # type: ignore[operator]
    with open_dataset(source / "radar.nc") as radar:
        write_dataset(radar, folder / "radar_ascending.nc")
        change = 2.0 * radar["elevation_change"]
        write_dataset(radar.assign(elevation_change=change), folder / "radar_descending.nc")
    with open_dataset(source / "elevation_change.nc") as mapped:
        seen = np.full((mapped.sizes["y"], mapped.sizes["x"]), 3, np.uint8)
        seen[:, : seen.shape[1] // 3], seen[: seen.shape[0] // 3] = 1, 2
        seen = np.where(np.isfinite(mapped["elevation_change"].values), seen, 0).astype(np.uint8)
        attrs = {
            "long_name": "looks that saw the ground",
            "flag_masks": np.array([1, 2], np.uint8),
            "flag_meanings": "ascending descending",
            "grid_mapping": "spatial_ref",
        }
        level = np.array([[0.1], [-0.1]]) * np.ones(len(DATES))
        joint = mapped.assign(
            looks=(("date", "y", "x"), seen, attrs),
            look_level=(("look", "date"), level),
            look_level_std=(("look", "date"), np.full(level.shape, 0.02)),
        ).assign_coords(look=["ascending", "descending"])
        write_dataset(joint, folder / "elevation_change.nc")
    for name in ("timeseries.csv", "volumes.csv"):
        shutil.copy(source / name, folder / name)
    return folder
