from __future__ import annotations

import dask.array as da
import geopandas
import numpy as np
import pytest
import shapely
from numpy.testing import assert_array_equal

from mosart.areas import flag_water
from mosart.errors import InputError
from mosart.masks import Flag
from mosart.stack import Stack

WATER = np.uint8(Flag.WATER)


def flags(stack):
    mask = stack.dataset["mask"]
    assert isinstance(mask.data, da.Array)
    assert mask.dtype == np.uint8
    return mask.values


def test_sea_level_within_a_tolerance(make_stack):
    stack = make_stack()
    h = stack.dataset["height"].values
    assert_array_equal(
        flags(flag_water(stack, sea_level=100.0, tolerance=30.0)),
        np.broadcast_to(WATER * (np.abs(h - 100) <= 30), (2, 40, 60)),
    )


def test_unknown_heights_are_no_water(make_stack):
    stack = make_stack()
    nowhere = stack.dataset["height"] * np.nan
    assert not flags(flag_water(Stack(stack.dataset.assign(height=nowhere)), sea_level=0.0)).any()


def test_polygons_and_raster_join_and_other_flags_stay(tmp_path, make_stack):
    stack = make_stack()
    stack = Stack(stack.dataset.assign(mask=stack.dataset["mask"] | np.uint8(Flag.SHADOW)))
    raster = np.zeros((40, 60))
    raster[0, 1], raster[0, 2] = 1, np.nan
    np.save(tmp_path / "water.npy", raster)
    found = flags(flag_water(stack, polygons="pixels=5,8,2,4", raster=tmp_path / "water.npy"))
    truth = np.zeros((40, 60), bool)
    truth[2:4, 5:8] = truth[0, 1] = True
    assert_array_equal(found, np.broadcast_to(int(Flag.SHADOW) | WATER * truth, (2, 40, 60)))


def test_polygons_partly_outside_are_no_error_but_wholly_are(make_stack):
    stack = make_stack()
    near, far = shapely.box(-163.971, 54.749, -163.97, 54.75), shapely.box(10, 10, 11, 11)
    both = geopandas.GeoDataFrame({"name": ["sea", "lake"]}, geometry=[near, far], crs=4326)
    assert flags(flag_water(stack, polygons=both)).any()
    with pytest.raises(InputError, match="lake holds no pixel"):
        flag_water(stack, polygons=both.iloc[[1]])


def test_the_strip_tests_the_amplitude_of_each_date(make_stack, caplog):
    stack = make_stack()
    amplitude = stack.dataset["amplitude"].values.copy()
    amplitude[1] *= 10
    amplitude[1, 5, 5] = np.nan
    stack = Stack(stack.dataset.assign(amplitude=(("date", "azimuth", "range"), amplitude)))
    found = flags(flag_water(stack, sea_level=100.0, tolerance=200.0, strip="pixels=0,20,0,10"))
    level = np.abs(stack.dataset["height"].values - 100) <= 200
    for date in range(2):
        strip = amplitude[date, :10, :20]
        low, high = np.nanpercentile(strip, (10, 90))
        inside = (amplitude[date] >= np.float32(low)) & (amplitude[date] <= np.float32(high)) & level
        assert np.mean((found[date] > 0) != inside) < 1e-3  # limits are float32
        assert 0.7 < np.mean(found[date][level] > 0) < 0.9
    assert not found[1, 5, 5]
    assert not caplog.records


def test_a_date_without_an_amplitude_in_the_strip_is_said(make_stack, caplog):
    stack = make_stack()
    amplitude = stack.dataset["amplitude"].values.copy()
    amplitude[1, :10, :20] = np.nan
    stack = Stack(stack.dataset.assign(amplitude=(("date", "azimuth", "range"), amplitude)))
    found = flags(flag_water(stack, sea_level=100.0, tolerance=200.0, strip="pixels=0,20,0,10"))
    assert "20200201" in caplog.text
    assert found[1, 20:].mean() > found[0, 20:].mean()


def test_what_cannot_be_is_refused(make_stack):
    stack = make_stack()
    with pytest.raises(InputError, match="without a sea level"):
        flag_water(stack, strip="pixels=0,20,0,10")
    with pytest.raises(InputError, match="tolerance"):
        flag_water(stack, sea_level=0.0, tolerance=-1.0)
    with pytest.raises(InputError, match="holds no pixel"):
        flag_water(stack, sea_level=0.0, strip="pixels=500,520,0,10")


def test_nothing_is_computed_before_it_is_asked_for(make_stack):
    stack = make_stack()

    def never(block):
        raise AssertionError

    lazy = stack.dataset["height"].data.map_blocks(never, dtype=float, meta=np.empty((0, 0)))
    flag_water(Stack(stack.dataset.assign(height=(("azimuth", "range"), lazy))), sea_level=0.0)
