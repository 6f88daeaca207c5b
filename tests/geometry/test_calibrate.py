from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from mosart.errors import InputError
from mosart.geometry import self_calibrate


def middle(frame):
    return frame.incidence_angle[frame.incidence_angle.size // 2]


@pytest.mark.parametrize("look", ["right", "left"])
@pytest.mark.parametrize("heading", [350.0, 190.0, 90.0, 37.0])
def test_both_looks_and_all_headings(plane_grid, look, heading):
    frame = self_calibrate(*plane_grid(look=look, heading=heading).arrays())
    assert_allclose(frame.incidence_angle, 39.0, atol=1e-3)
    assert_allclose([frame.range_spacing, frame.azimuth_spacing], [2.3, 14.0], rtol=1e-4)
    assert frame.look_direction == look
    assert abs((frame.heading - heading + 180) % 360 - 180) < 0.05
    assert frame.incidence_std_error < 0.01


@settings(max_examples=8)
@given(theta=st.floats(20, 55), spacing=st.floats(0.9, 40), seed=st.integers(0, 50))
def test_any_incidence_and_spacing(plane_grid, theta, spacing, seed):
    grid = plane_grid(theta=theta, spacing=spacing, rms=60 * spacing, seed=seed)
    frame = self_calibrate(*grid.arrays())
    assert_allclose(frame.incidence_angle, theta, atol=0.02)
    assert_allclose(frame.range_spacing, spacing, rtol=1e-3)


@pytest.mark.parametrize("noise", [0.0, 10.0])
@pytest.mark.parametrize("look", ["right", "left"])
def test_eighty_kilometres_of_curved_earth(orbit_grid, look, noise):
    grid, truth, level = orbit_grid(look=look, noise=noise)
    frame = self_calibrate(*grid.arrays())
    assert truth[-1] - truth[0] > 4.0
    error = 0.02 if noise == 0 else 0.1
    assert_allclose(frame.incidence_angle, truth, atol=error)
    assert_allclose(frame.range_spacing, 42.0, rtol=2e-3)
    assert_allclose(frame.reference_height, level, atol=1.0)
    assert frame.look_direction == look
    # Rows converge a little away from the track.
    assert_allclose(frame.azimuth_spacing, 300.0, rtol=0.02)


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_noise_of_the_dem_does_not_bias(plane_grid, width):
    """Means over realisations, white and correlated noise: a bias would not average out."""
    found = []
    for seed in range(6):
        grid = plane_grid(theta=38.0, rms=40.0, seed=seed)
        noise = np.random.default_rng(100 + seed).standard_normal(grid.height.shape)
        noise = gaussian_filter(noise, width) if width else noise
        found.append(self_calibrate(grid.longitude, grid.latitude, grid.height + 5 * noise / noise.std()))
    angles = np.array([middle(frame) for frame in found])
    errors = np.array([frame.incidence_std_error for frame in found])
    assert abs(angles.mean() - 38.0) < 3 * np.sqrt(np.mean(errors**2) / 6)
    assert np.all(np.abs(angles - 38.0) < 5 * errors)
    assert errors.max() < 0.5


def test_noise_of_the_positions_does_not_bias(plane_grid):
    found = [self_calibrate(*plane_grid(theta=38.0, jitter=3.0, seed=seed).arrays()) for seed in range(5)]
    angles = np.array([middle(frame) for frame in found])
    assert_allclose(angles.mean(), 38.0, atol=0.03)
    assert_allclose(angles, 38.0, atol=0.08)


def test_gaps_fill_values_and_outliers(plane_grid):
    lon, lat, h = (a.copy() for a in plane_grid(noise=2.0).arrays())
    rng = np.random.default_rng(0)
    h[rng.random(h.shape) < 0.05] = np.nan
    h[rng.random(h.shape) < 0.02] = -32768.0
    h[rng.random(h.shape) < 0.02] += 800.0
    lon[5:9, 100:140] = lat[5:9, 100:140] = 0.0
    lon[20:22], lat[20:22] = np.nan, np.nan
    lat[:, :3] = -9999.0
    frame = self_calibrate(lon, lat, h)
    assert_allclose(middle(frame), 39.0, atol=0.1)
    assert_allclose([frame.range_spacing, frame.azimuth_spacing], [2.3, 14.0], rtol=5e-3)


@pytest.mark.parametrize("place", [(179.999, 51.0), (20.0, 89.98), (-58.45, -62.1), (0.0, 0.0)])
def test_antimeridian_pole_and_equator(plane_grid, place):
    grid = plane_grid(place=place)
    for lon in (grid.longitude, grid.longitude % 360):
        frame = self_calibrate(lon, grid.latitude, grid.height)
        assert_allclose(frame.incidence_angle, 39.0, atol=1e-3)
        assert_allclose(frame.azimuth_spacing, 14.0, rtol=1e-3)


def test_one_row_tells_the_incidence_but_no_direction(plane_grid):
    frame = self_calibrate(*plane_grid(shape=(1, 400)).arrays())
    assert_allclose(frame.incidence_angle, 39.0, atol=1e-2)
    assert np.isnan(frame.azimuth_spacing)
    assert np.isnan(frame.heading)
    assert frame.look_direction == "unknown"


def test_selected_rows_keep_their_spacing(plane_grid):
    rows = np.array([0, 3, 4, 11, 30])
    frame = self_calibrate(*(a[rows] for a in plane_grid().arrays()), rows=rows)
    assert_allclose(frame.azimuth_spacing, 14.0, rtol=1e-4)


def test_rows_against_time_turn_the_look_but_not_the_incidence(plane_grid):
    """The rule that is documented: rows are in the order of time."""
    frame = self_calibrate(*(a[::-1] for a in plane_grid().arrays()))
    assert_allclose(frame.incidence_angle, 39.0, atol=1e-3)
    assert frame.look_direction == "left"
    assert abs(frame.heading - 170.0) < 0.1


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_flat_ground_is_refused(plane_grid, noise):
    with pytest.raises(InputError, match=r"too flat(?s:.)*geometry:"):
        self_calibrate(*plane_grid(rms=0.0, noise=noise).arrays())


def test_little_relief_under_much_noise_is_refused(plane_grid):
    with pytest.raises(InputError, match="too flat"):
        self_calibrate(*plane_grid(rms=1.0, noise=20.0, shape=(20, 200)).arrays())


@pytest.mark.parametrize("known", [{"incidence_angle": 39.0}, {"range_spacing": 2.3}])
@pytest.mark.parametrize("rms", [0.0, 150.0])
def test_one_known_gives_the_other_on_flat_ground_too(plane_grid, known, rms):
    frame = self_calibrate(*plane_grid(rms=rms, noise=1.0).arrays(), **known)
    assert_allclose(frame.incidence_angle, 39.0, atol=0.1)
    assert_allclose(frame.range_spacing, 2.3, rtol=3e-3)


def test_both_known_are_refused(plane_grid):
    with pytest.raises(InputError, match="both known"):
        self_calibrate(*plane_grid().arrays(), incidence_angle=39.0, range_spacing=2.3)


def test_single_precision_is_refused_where_it_matters(plane_grid):
    lon, lat, h = plane_grid().arrays()
    for kind in (np.float32, np.float64):  # a reader may have widened them
        with pytest.raises(InputError, match="float32"):
            self_calibrate(lon.astype(np.float32).astype(kind), lat.astype(np.float32).astype(kind), h)


def test_single_precision_is_said_where_it_does_not_matter(plane_grid, caplog):
    lon, lat, h = plane_grid(spacing=60.0, azimuth=90.0, rms=900.0).arrays()
    frame = self_calibrate(lon.astype(np.float32), lat.astype(np.float32), h)
    assert_allclose(middle(frame), 39.0, atol=0.1)
    assert "float32" in caplog.text


def test_range_towards_the_radar_is_refused(plane_grid):
    with pytest.raises(InputError, match="towards the radar"):
        self_calibrate(*(a[:, ::-1] for a in plane_grid().arrays()))


def test_shapes_and_empty_positions_are_refused(plane_grid):
    lon, lat, h = plane_grid().arrays()
    with pytest.raises(InputError, match="do not belong together"):
        self_calibrate(lon, lat[:, :-1], h)
    with pytest.raises(InputError, match="at least 8 pixels"):
        self_calibrate(np.full_like(lon, np.nan), lat, h)
    with pytest.raises(InputError, match="change along a row"):
        self_calibrate(np.full_like(lon, 8.0), np.full_like(lat, 8.0), h)


def test_an_airborne_scene_against_published_geometry(data_folder):
    """ISCE's own geometry of a UAVSAR scene: left-looking, 10 m of relief, incidence 21 to 32 degrees."""
    folder = data_folder / "isce_golden" / "topo_winnipeg"

    def read(name, kind):
        return np.fromfile(folder / f"{name}.rdr", kind).reshape(250, 250)

    lon, lat, h, truth = read("x", "f8"), read("y", "f8"), read("z", "f8"), read("inc", "f4").mean(axis=0)
    frame = self_calibrate(lon, lat, h)
    assert_allclose(frame.incidence_angle, truth, atol=0.15)
    assert_allclose([frame.range_spacing, frame.azimuth_spacing], [6.245676, 6.005856], rtol=2e-3)
    assert frame.look_direction == "left"
    frame = self_calibrate(lon, lat, h, range_spacing=6.245676208)
    assert_allclose(frame.incidence_angle, truth, atol=0.05)
