from __future__ import annotations

import logging

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mosart.errors import InputError
from mosart.geometry import GeometryUnknown, resolve
from mosart.stack import Stack

FLAT = np.zeros((20, 50))


def test_everything_from_the_positions(plane_grid, as_stack):
    frame = resolve(as_stack(plane_grid()))
    assert_allclose(frame.incidence_angle, 39.0, atol=1e-3)
    assert_allclose([frame.range_spacing, frame.azimuth_spacing], [2.3, 14.0], rtol=1e-4)
    assert frame.look_direction == "right"
    assert abs(frame.heading - 350) < 0.1
    assert 0 < frame.incidence_std_error < 0.1
    assert "least squares" in frame.source


def test_config_before_file_before_positions(plane_grid, as_stack):
    attrs = {"incidence_angle": 38.0, "range_spacing": "2.31", "heading": "unknown", "look_direction": "Left"}
    frame = resolve(as_stack(plane_grid(), attrs=attrs), {"incidence_angle": 38.5, "heading": None})
    assert_allclose(frame.incidence_angle[200], 38.5, atol=0.01)
    assert frame.range_spacing == 2.31
    assert_allclose(frame.azimuth_spacing, 14.0, rtol=1e-4)
    assert frame.incidence_std_error == 0
    assert frame.look_direction == "left"
    # Range points east: a radar that looks left flies south.
    assert abs(frame.heading - 170.0) < 0.1
    assert "given: incidence_angle" in frame.source
    assert "the file: range_spacing, look_direction" in frame.source


@pytest.mark.parametrize("given", [{"incidence_angle": 39.0}, {"range_spacing": 2.3}])
def test_partial_overrides_are_completed_on_flat_ground(plane_grid, as_stack, given):
    frame = resolve(as_stack(plane_grid(rms=0.0)), given)
    assert_allclose(frame.incidence_angle, 39.0, atol=0.05)
    assert_allclose(frame.range_spacing, 2.3, rtol=2e-3)
    assert_allclose(frame.azimuth_spacing, 14.0, rtol=1e-3)


def test_a_given_heading_tells_the_side(plane_grid, as_stack):
    grid = plane_grid()
    assert resolve(as_stack(grid), {"heading": 170.0}).look_direction == "left"
    assert resolve(as_stack(grid), {"heading": -10.0}).look_direction == "right"


def test_angle_per_pixel_in_the_file(plane_grid, as_stack):
    """A map of the incidence, with relief in it, gives the angle along the row."""
    grid = plane_grid()
    smooth = np.linspace(36, 42, 400)
    angle = smooth + (grid.height - 500) / 4e4
    angle[3, 7], angle[:, 11] = np.nan, 0.0
    stack = as_stack(grid, attrs={"range_spacing": 2.3}, incidence_angle=(("azimuth", "range"), angle))
    assert_allclose(resolve(stack).incidence_angle, smooth, atol=0.01)
    # A number in the config comes first.
    assert_allclose(resolve(stack, {"incidence_angle": 39.0}).incidence_angle[200], 39.0, atol=0.01)


def test_growth_of_a_single_angle_comes_from_the_positions(orbit_grid, as_stack):
    grid, truth, _ = orbit_grid()
    frame = resolve(as_stack(grid), {"incidence_angle": float(truth[600]), "range_spacing": 42.0})
    assert_allclose(frame.incidence_angle, truth, atol=0.05)


def test_without_positions_all_must_be_given(as_stack):
    stack = as_stack(None, height=FLAT)
    with pytest.raises(GeometryUnknown, match=r"range_spacing missing(?s:.)*geometry:"):
        resolve(stack, {"incidence_angle": 38.7})
    frame = resolve(stack, {"incidence_angle": 38.7, "range_spacing": 37.5})
    assert_allclose(frame.incidence_angle, np.full(50, 38.7))
    assert np.isnan(frame.azimuth_spacing)
    assert np.isnan(frame.heading)
    assert frame.look_direction == "unknown"
    given = {
        "incidence_angle": 38.7,
        "range_spacing": 37.5,
        "azimuth_spacing": 37.0,
        "look_direction": "right",
    }
    assert resolve(stack, given).azimuth_spacing == 37.0


def test_flat_ground_says_why_the_geometry_is_unknown(plane_grid, as_stack):
    with pytest.raises(GeometryUnknown, match=r"too flat(?s:.)*geometry:"):
        resolve(as_stack(plane_grid(rms=0.0)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("incidence_angle", 0), ("incidence_angle", 95), ("incidence_angle", "steep"), ("range_spacing", -1),
     ("range_spacing", float("inf")), ("azimuth_spacing", 0), ("look_direction", "up"), ("heading", 1e6),
     ("theta", 3)],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(as_stack, key, value):
    with pytest.raises(InputError, match=key):
        resolve(as_stack(None, height=FLAT), {"incidence_angle": 38.7, "range_spacing": 37.5, key: value})
    if key != "theta":
        with pytest.raises(InputError, match=rf"attribute {key}"):
            resolve(as_stack(None, height=FLAT, attrs={key: value}))


def test_contradictions_are_said(plane_grid, as_stack, caplog):
    resolve(as_stack(plane_grid()), {"incidence_angle": 39.0, "range_spacing": 7.8, "azimuth_spacing": 20.0})
    assert "range spacing 7.8 m" in caplog.text
    assert "azimuth spacing 20 m" in caplog.text
    caplog.clear()
    resolve(as_stack(plane_grid()), {"incidence_angle": 39.0, "range_spacing": 2.3})
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_useless_positions_do_not_spoil_a_given_geometry(plane_grid, as_stack, caplog):
    grid = plane_grid()
    stack = as_stack(grid)
    nowhere = stack.dataset["longitude"] * np.nan
    frame = resolve(
        Stack(stack.dataset.assign(longitude=nowhere)), {"incidence_angle": 39.0, "range_spacing": 2.3}
    )
    assert_allclose(frame.incidence_angle, 39.0)
    assert "constant along the rows" in caplog.text


def test_a_large_stack_is_not_read_whole(plane_grid, as_stack):
    small = plane_grid(shape=(8, 300))
    rows = 4000
    read = []

    def tiled(array):
        def block(part, block_info=None):
            read.append(part.shape[0])
            return part

        repeated = da.concatenate([da.from_array(array, chunks=(1, -1))] * (rows // 8))
        return (("azimuth", "range"), repeated.map_blocks(block, dtype=float, meta=np.empty((0, 0))))

    stack = as_stack(None, height=FLAT)
    dataset = stack.dataset.drop_dims(["azimuth", "range"]).assign_attrs(small=1)
    dataset = dataset.assign(
        amplitude=(("date", "azimuth", "range"), da.zeros((2, rows, 300), chunks=(1, 100, 300))),
        height=tiled(small.height), longitude=tiled(small.longitude), latitude=tiled(small.latitude),
    )  # fmt: skip
    resolve(Stack(dataset), {"azimuth_spacing": 14.0})
    assert sum(read) <= 3 * 200
