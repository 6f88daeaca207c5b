from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from mosart.errors import InputError
from mosart.geometry import LookFrame, from_look, to_look
from mosart.geometry.geodesy import bearing, centre, local_metres, unwrap_longitude

metres = st.floats(-1e5, 1e5)
angles = st.floats(0.05, 1.5)


@given(x=metres, h=metres, theta=angles)
def test_look_frame_is_undone_by_its_inverse(x, h, theta):
    assert_allclose(from_look(*to_look(x, h, theta), theta), (x, h), atol=1e-9)


@given(x=metres, h=metres, theta=angles)
def test_look_frame_keeps_distances(x, h, theta):
    assert_allclose(np.hypot(*to_look(x, h, theta)), np.hypot(x, h), atol=1e-9)


def test_higher_ground_is_nearer_to_the_radar_and_further_across_the_look():
    r, p = to_look(0.0, 10.0, np.radians(30))
    assert_allclose((r, p), (-10 * np.cos(np.radians(30)), 5.0))


def test_look_frame_passes_gaps_on():
    r, p = to_look([1.0, np.nan], [2.0, 3.0], 0.6)
    assert np.isnan(r[1])
    assert np.isnan(p[1])
    assert np.isfinite(r[0])


def frame(angle, spacing=3.0, **changes):
    values = {"azimuth_spacing": 5.0, "look_direction": "right", "heading": 350.0, "incidence_std_error": 0.0}
    return LookFrame(np.asarray(angle, float), spacing, **{**values, "source": "test", **changes})


@given(theta=st.floats(15, 60), seed=st.integers(0, 99))
def test_ground_range_solves_the_range_equation(theta, seed):
    h = np.random.default_rng(seed).normal(0, 200, (3, 40))
    x = frame(np.full(40, theta)).ground_range(h)
    r, _ = to_look(x, h, np.radians(theta))
    assert_allclose(r, np.broadcast_to(3.0 * np.arange(40), h.shape), atol=1e-9)


def test_ground_range_follows_the_cumulative_rule_across_a_gap():
    h = np.random.default_rng(0).normal(0, 50, 30)
    theta = np.radians(35.0)
    steps = (3.0 + np.cos(theta) * np.diff(h)) / np.sin(theta)
    h_gap = h.copy()
    h_gap[10:15] = np.nan
    x = frame(np.full(30, 35.0)).ground_range(h_gap)
    assert_allclose(x[20] - x[5], steps[5:20].sum())
    assert np.array_equal(np.isnan(x), np.isnan(h_gap))


def test_ground_range_on_a_sphere_seen_from_a_satellite():
    """Angle and position follow from the triangle of radar, ground and the Earth's centre."""
    earth, radar, spacing, size = 6371.0e3, 7071.0e3, 20.0, 2001
    slant = 850e3 + (np.arange(size) - 1000) * spacing
    theta = np.degrees(np.arccos((radar**2 - earth**2 - slant**2) / (2 * earth * slant)))
    h = 300.0 * np.sin(np.arange(size) / 90.0)
    position = earth * np.arccos((radar**2 + (earth + h) ** 2 - slant**2) / (2 * radar * (earth + h)))
    x = frame(theta, spacing).ground_range(h)
    # to first order in h: 300 m of height over 850 km leave 0.3 m.
    assert_allclose(x - x.mean(), position - position.mean(), atol=0.5)


def test_frame_of_another_grid_is_refused():
    with pytest.raises(InputError, match="another radar grid"):
        frame(np.full(10, 35.0)).ground_range(np.zeros((2, 9)))


@pytest.mark.parametrize(
    "changes",
    [{"angle": [0.0]}, {"angle": [95.0]}, {"angle": [np.nan]}, {"angle": []}, {"spacing": 0.0},
     {"spacing": np.nan}, {"azimuth_spacing": -1.0}, {"look_direction": "up"}],
)  # fmt: skip
def test_impossible_frames_are_refused(changes):
    with pytest.raises(InputError):
        frame(**{"angle": [35.0], **changes})


def test_cropped_frame_is_the_frame_of_the_crop():
    whole = frame(np.linspace(30, 40, 50))
    part = whole.crop(slice(10, 30))
    assert_allclose(part.incidence_angle, whole.incidence_angle[10:30])
    assert_allclose(np.diff(part.flat_range), np.diff(whole.flat_range)[10:29])


@pytest.mark.parametrize(("look", "azimuth"), [("right", 80.0), ("left", 260.0), ("unknown", np.nan)])
def test_direction_of_the_look(look, azimuth):
    assert_allclose(frame([35.0], look_direction=look).look_azimuth, azimuth)


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-89.9, 89.9),
    azimuth=st.floats(0, 360),
    distance=st.floats(1, 4e4),
)
def test_local_metres_agree_with_geodesics(lon, lat, azimuth, distance):
    import pyproj

    lon1, lat1, _ = pyproj.Geod(ellps="WGS84").fwd(lon, lat, azimuth, distance)
    east, north = local_metres(lon1, lat1, (lon, lat))
    assert_allclose(np.hypot(east, north), distance, rtol=2e-5)
    turn = (np.degrees(np.arctan2(east, north)) - azimuth + 180) % 360 - 180
    assert abs(turn) < 0.01


@given(lon=st.floats(-720, 720), reference=st.floats(-180, 360))
def test_unwrapped_longitudes_are_near_the_reference_and_the_same_place(lon, reference):
    turned = float(unwrap_longitude(lon, reference))
    assert reference - 180 <= turned < reference + 180
    assert_allclose((turned - lon + 180) % 360 - 180, 0, atol=1e-9)


def test_centre_lies_on_the_antimeridian_and_on_a_pole():
    lon, lat = centre([179.9, -179.9, 180.0, np.nan], [51.0, 51.0, 51.0, 51.0])
    assert_allclose(abs(lon), 180)
    assert_allclose(lat, 51, atol=1e-3)
    assert centre([0.0, 90.0, 180.0, -90.0], [89.9] * 4)[1] > 89.99


def test_bearing():
    assert_allclose([bearing(1, 0), bearing(0, -1), bearing(-1, 0)], [90, 180, 270])
