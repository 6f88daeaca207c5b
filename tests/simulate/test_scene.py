"""Whole scenes: positions, truth, texture, time, errors of the DEM."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from mosart.errors import InputError
from mosart.simulate import (
    NOISELESS,
    SENSORS,
    DemError,
    Radiometry,
    Scene,
    Terrain,
    collapse,
    island,
    simulate,
)
from mosart.simulate.projections import write_projections
from mosart.simulate.relief import bump, fractal, replaced, share_of, texture
from mosart.simulate.render import render

D1, D2, D3 = dt.date(2019, 1, 15), dt.date(2019, 1, 26), dt.date(2019, 2, 6)
LOOKS = [(look, heading) for look in ("right", "left") for heading in (12.0, 100.0, 190.0, 349.3)]


@pytest.fixture(scope="module")
def hill() -> Terrain:
    """Gentle relief without layover or shadow, 400 m wide."""
    return Terrain.flat(420.0, 420.0, 1.0).plus(lambda x, y: bump(x, y, 30.0, 70.0) + 0.05 * x - 0.03 * y)


def sink(x, y):
    return bump(x, y, -8.0, 30.0, centre=(15.0, -10.0))


def values(simulation, name):
    return simulation.stack.dataset[name].values


def along_range(simulation, terrain):
    """Ground range and azimuth of the pixels from their longitude and latitude alone."""
    x, y = terrain.from_lonlat(values(simulation, "longitude"), values(simulation, "latitude"))
    (lx, ly), (fx, fy) = simulation.swath.look, simulation.swath.flight
    return x * lx + y * ly, x * fx + y * fy


@pytest.mark.parametrize(("look", "heading"), LOOKS)
def test_pixels_lie_where_their_slant_range_says(hill, look, heading):
    s = simulate(hill, {D1: sink}, look_direction=look, heading=heading, radiometry=NOISELESS)
    u, v = along_range(s, hill)
    t = math.radians(38.0)
    r = s.swath.first_range + (np.arange(s.swath.columns) + 0.5) * s.swath.range_spacing
    np.testing.assert_allclose(
        u * math.sin(t) - values(s, "height") * math.cos(t), np.broadcast_to(r, u.shape), atol=1e-4
    )
    np.testing.assert_allclose(v, np.broadcast_to(s.swath.row_positions[:, None], v.shape), atol=1e-4)
    # The frame's own ground range tells the same differences.
    x = s.frame.ground_range(values(s, "height"))
    np.testing.assert_allclose(x - x[:, :1], u - u[:, :1], atol=1e-3)


@pytest.mark.parametrize(("look", "heading"), LOOKS)
def test_truth_is_the_change_at_the_pixel(hill, look, heading):
    s = simulate(hill, {D1: None, D2: sink}, look_direction=look, heading=heading, radiometry=NOISELESS)
    x, y = hill.from_lonlat(values(s, "longitude"), values(s, "latitude"))
    # The first rows and last pixels may lie on the terrain's edge going on.
    on = np.maximum(np.abs(x), np.abs(y)) < 208
    assert on.mean() > 0.9
    np.testing.assert_allclose(s.truth.elevation_change.values[1][on], sink(x, y)[on], atol=2e-3)
    assert (s.truth.elevation_change[0] == 0).all()
    assert s.truth.elevation_change[1].min() < -7.5
    height = bump(x, y, 30.0, 70.0) + 0.05 * x - 0.03 * y
    np.testing.assert_allclose(s.truth.height.values[on], height[on], atol=2e-3)
    assert not s.truth.hidden[0].any()


@pytest.mark.parametrize("rise", [10.0, -6.0])
def test_what_rises_moves_towards_the_radar(rise):
    terrain = Terrain.flat(300.0, 40.0, 0.5)
    spot = 0.2 + bump(terrain.x[None, :], terrain.y[:, None], 20.0, 3.0)
    s = simulate(
        terrain,
        {D1: None, D2: lambda x, y: np.full(np.broadcast(x, y).shape, rise)},
        heading=0.0,
        shape=(1, 150),
        reflectivity=spot,
        radiometry=NOISELESS,
    )
    power = values(s, "amplitude")[:, 0].astype(float) ** 2
    power -= power.min()
    power[power < 0.02 * power.max()] = 0
    centre = (power * np.arange(150)).sum(axis=1) / power.sum(axis=1)
    expected = -rise * math.cos(math.radians(38.0)) / 0.9094
    assert centre[1] - centre[0] == pytest.approx(expected, abs=0.01)


def test_two_looks_see_the_same_ground():
    # Flat ground, so that nothing but the reflectivity shows: the same in any look, at the same place.
    terrain = Terrain.flat(300.0, 300.0, 2.0)
    rho = 0.2 * np.exp(fractal(terrain.heights.shape, 2.0, 0.5, 2.0, shortest=25.0, seed=4))
    for look, heading in LOOKS:
        s = simulate(
            terrain, {D1: None}, look_direction=look, heading=heading, reflectivity=rho, radiometry=NOISELESS
        )
        x, y = terrain.from_lonlat(values(s, "longitude"), values(s, "latitude"))
        at = [(y - terrain.y[0]) / 2.0, (x - terrain.x[0]) / 2.0]
        seen = values(s, "amplitude")[0].astype(float) ** 2 * math.tan(math.radians(38.0))
        expected = map_coordinates(rho, at, order=1)
        assert np.sqrt(np.mean((seen / expected - 1) ** 2)) < 0.01
        assert seen.std() / seen.mean() > 0.3


def test_the_same_seed_gives_the_same_images(hill):
    options = {"radiometry": Radiometry(gain=0.5, row_gain=0.2, oversampling=(1.0, 1.3)), "seed": 5}
    a = simulate(hill, {D1: None, D2: sink}, **options)
    b = simulate(hill, {D1: None, D2: sink}, **options)
    np.testing.assert_array_equal(values(a, "amplitude"), values(b, "amplitude"))
    more = simulate(hill, {D3: sink, D2: sink, D1: None}, **options)
    np.testing.assert_array_equal(values(more, "amplitude")[:2], values(a, "amplitude"))
    assert more.stack.dates == (D1, D2, D3)
    other = simulate(hill, {D1: None, D2: sink}, **(options | {"seed": 6}))
    assert (values(other, "amplitude") != values(a, "amplitude")).mean() > 0.99


def test_speckle_gain_and_noise_of_an_image():
    terrain = Terrain.flat(500.0, 500.0, 5.0)
    clean = simulate(terrain, {D1: None}, radiometry=NOISELESS)
    level = float(values(clean, "amplitude")[0, 0, 0]) ** 2
    assert level == pytest.approx(0.2 / math.tan(math.radians(38.0)), rel=1e-5)
    floor = 10 ** (-1.3) / math.sin(math.radians(38.0))
    s = simulate(terrain, {D1: None}, radiometry=Radiometry(looks=2.5, noise=-13.0, scale=50.0))
    power = (values(s, "amplitude").astype(float) / 50.0) ** 2
    assert power.mean() == pytest.approx(level + floor, rel=0.01)
    assert power.mean() ** 2 / power.var() == pytest.approx(2.5, rel=0.05)
    assert s.stack.dataset.attrs["radiometric_scale"] == "unknown"

    days = {D1 + dt.timedelta(days=k): None for k in range(60)}
    drifting = replace(NOISELESS, gain=1.0, row_gain=0.5)
    gains = 20 * np.log10(
        values(simulate(terrain, days, shape=(40, 1), radiometry=drifting), "amplitude")[..., 0]
    )
    assert gains.mean(axis=1).std() == pytest.approx(math.hypot(1.0, 0.4), rel=0.3)
    rows = gains - gains.mean(axis=1, keepdims=True)
    assert 0.2 < rows.std() < 0.6
    assert np.abs(np.diff(rows, axis=1)).max() < 0.5


def test_one_row_one_date_one_pixel(hill):
    s = simulate(hill, {D1: sink}, shape=(1, 1))
    assert s.stack.shape == (1, 1, 1)
    assert np.isfinite(values(s, "amplitude")).all()
    s = simulate(
        hill,
        {D1: sink},
        shape=(1, 90),
        radiometry=Radiometry(gain=1.0, row_gain=1.0, oversampling=(1.5, 1.5)),
    )
    assert s.stack.shape == (1, 1, 90)
    assert all(np.isfinite(v.values).all() for v in s.stack.dataset.data_vars.values())


def test_no_gaps_even_beyond_the_terrain(hill):
    s = simulate(hill, {D1: None, D2: sink}, "sentinel-1", shape=(60, 300))
    for variable in (*s.stack.dataset.data_vars.values(), *s.truth.data_vars.values()):
        assert np.isfinite(variable.values).all()
    assert (values(s, "amplitude") > 0).all()
    assert (values(s, "mask") == 0).all()


def test_rows_out_of_reach_of_a_change_stay_and_the_others_are_right(hill):
    rough = hill.plus(fractal(hill.heights.shape, 1.0, 1.5, 3.4, longest=60.0, seed=2))
    rho = texture(hill.heights.shape, 1.0, seed=3)
    change = np.where(np.abs(hill.evaluate(sink)) < 0.05, 0.0, hill.evaluate(sink))
    new = replaced(rho, texture(hill.heights.shape, 1.0, seed=9), share_of(change), decibel=2.0)
    scene = Scene(
        rough,
        {D1: None, D2: change},
        reflectivity=rho,
        new_reflectivity={D2: new},
        radiometry=NOISELESS,
        heading=33.0,
    )
    s = scene.simulate()
    whole = render(rough.plus(change), scene.swath, new)
    np.testing.assert_allclose(values(s, "amplitude")[1].astype(float) ** 2, whole, rtol=1e-5, atol=1e-9)
    same = (values(s, "amplitude")[0] == values(s, "amplitude")[1]).all(axis=1)
    assert 0.2 < same.mean() < 0.9


def test_hidden_is_either_surface_or_out_of_the_image(hill):
    wall = bump(hill.x[None, :], hill.y[:, None], 60.0, 15.0)
    s = simulate(hill, {D1: None, D2: wall}, heading=0.0, radiometry=NOISELESS)
    assert not s.truth.hidden[0].any()
    assert 0.01 < s.truth.hidden[1].mean() < 0.5
    up = simulate(hill, {D1: np.full(hill.heights.shape, 20.0)}, heading=0.0, radiometry=NOISELESS)
    # 20 m up is 17.3 bins nearer: that many columns leave the image.
    assert up.truth.hidden[0].values.mean(axis=0)[:17].all()
    assert not up.truth.hidden[0].values[:, 18:].any()


@pytest.mark.parametrize("kept", [True, False])
def test_new_rock_and_brighter_rock(kept):
    shape = (200, 200)
    old, fresh = texture(shape, 2.0, seed=1), texture(shape, 2.0, seed=2)
    share = np.zeros(shape)
    share[50:150, 50:150] = 1.0
    new = replaced(old, None if kept else fresh, share, decibel=2.0)
    np.testing.assert_allclose(new[share == 0], old[share == 0], rtol=1e-12)
    inside = np.log(new[share == 1]), np.log(old[share == 1])
    correlation = np.corrcoef(*inside)[0, 1]
    assert correlation > 0.999 if kept else abs(correlation) < 0.6
    if kept:
        np.testing.assert_allclose(inside[0] - inside[1], 0.2 * math.log(10), atol=1e-9)
    np.testing.assert_allclose(share_of([0.0, 0.5, 1.0, -1.0, 9.0]), [0, 0, 0.5, 0.5, 1])


def test_without_metadata_only_the_positions_are_left(hill):
    s = simulate(hill, {D1: None}, metadata=False)
    assert set(s.stack.dataset.data_vars) == {"amplitude", "height", "longitude", "latitude", "mask"}
    assert {v for k, v in s.stack.dataset.attrs.items() if k != "source"} == {"unknown"}
    assert s.frame.incidence_angle[0] == 38.0
    told = simulate(hill, {D1: None}, "alos", incidence_angle=41.0, look_direction="left", heading=190.0)
    attrs = told.stack.dataset.attrs
    assert (attrs["orbit_direction"], attrs["look_direction"]) == ("descending", "left")
    assert (attrs["incidence_angle"], attrs["range_spacing"]) == (41.0, 4.684)
    assert (values(told, "incidence_angle") == 41.0).all()


def test_across_the_antimeridian():
    terrain = Terrain.flat(600.0, 600.0, 2.0, longitude=180.0, latitude=51.0).plus(
        lambda x, y: bump(x, y, 20, 90)
    )
    s = simulate(terrain, {D1: None}, heading=349.0, radiometry=NOISELESS)
    lon = values(s, "longitude")
    assert lon.max() > 179.99
    assert lon.min() < -179.99
    assert (np.abs(lon) <= 180).all()
    u, v = along_range(s, terrain)
    t = math.radians(38.0)
    r = s.swath.first_range + (np.arange(s.swath.columns) + 0.5) * s.swath.range_spacing
    np.testing.assert_allclose(
        u * math.sin(t) - values(s, "height") * math.cos(t), np.broadcast_to(r, u.shape), atol=1e-3
    )
    assert np.isfinite(v).all()


def test_errors_of_the_dem(hill):
    rough = hill.plus(fractal(hill.heights.shape, 1.0, 4.0, 2.5, seed=1))
    truth = rough.heights
    noisy = DemError(noise=1.5, correlation=8.0).apply(rough).heights - truth
    assert noisy.std() == pytest.approx(1.5, rel=0.05)
    assert abs(noisy.mean()) < 0.3
    assert (noisy[:, 8:] * noisy[:, :-8]).mean() / noisy.var() == pytest.approx(math.exp(-1), abs=0.08)
    np.testing.assert_array_equal(DemError(offset=-7.0).apply(rough).heights, truth - 7.0)
    moved = DemError(east=3.0, north=-2.0).apply(rough).heights
    np.testing.assert_allclose(moved[10:-10, 10:-10], truth[12:-8, 7:-13], atol=1e-6)
    tilted = DemError(tilt_east=0.01, tilt_north=-0.02).apply(rough).heights - truth
    np.testing.assert_allclose(tilted, 0.01 * rough.x[None, :] - 0.02 * rough.y[:, None], atol=1e-9)
    wave = Terrain(np.tile(np.sin(2 * np.pi * np.arange(400) / 40.0), (30, 1)), 1.0)
    smooth = DemError(smoothing=6.0).apply(wave).heights
    ratio = smooth[15, 100:300].std() / wave.heights[15, 100:300].std()
    assert ratio == pytest.approx(math.exp(-0.5 * (2 * np.pi / 40.0 * 6.0) ** 2), rel=0.01)

    s = simulate(rough, {D1: None}, dem_error=DemError(offset=5.0), radiometry=NOISELESS, heading=0.0)
    # The pixel lies where the raised DEM meets its slant range; the truth is read there.
    u, _ = along_range(s, rough)
    plain = simulate(rough, {D1: None}, radiometry=NOISELESS, heading=0.0)
    assert np.median(u - along_range(plain, rough)[0]) == pytest.approx(
        5.0 / math.tan(math.radians(38.0)), rel=0.05
    )
    np.testing.assert_array_equal(values(s, "amplitude"), values(plain, "amplitude"))
    assert np.median(values(s, "height") - s.truth.height) == pytest.approx(5.0, abs=0.05)


def test_refusals(hill):
    with pytest.raises(InputError, match="at least one date"):
        simulate(hill, {})
    with pytest.raises(InputError, match="unknown sensor"):
        simulate(hill, {D1: None}, "landsat")
    with pytest.raises(InputError, match="change of 2019-01-15"):
        simulate(hill, {D1: np.zeros((3, 3))})
    with pytest.raises(InputError, match="finite"):
        simulate(hill, {D1: np.full(hill.heights.shape, np.nan)})
    with pytest.raises(InputError, match="law"):
        simulate(hill, {D1: None}, law=-1.0)
    with pytest.raises(InputError, match="incidence_angle"):
        simulate(hill, {D1: None}, incidence_angle=90.0)
    with pytest.raises(InputError, match="range_spacing"):
        simulate(hill, {D1: None}, replace(SENSORS["alos"], range_spacing=0.0))
    with pytest.raises(InputError, match="new_reflectivity"):
        simulate(hill, {D1: None}, new_reflectivity={D2: 1.0})
    with pytest.raises(InputError, match="look_direction"):
        simulate(hill, {D1: None}, look_direction="down")


def test_presets():
    s = collapse(shape=(60, 120), before=1, after=2, seed=3)
    assert s.stack.shape == (3, 60, 120)
    assert s.truth.elevation_change[1].min() == pytest.approx(-25.0, abs=0.3)
    assert (s.truth.elevation_change[0] == 0).all()
    assert s.truth.hidden.mean() < 0.1

    s = island(dates=4, shape=(130, 700), box=(250, 650, 15, 125))
    height, amplitude = values(s, "height"), values(s, "amplitude")
    assert 30 < height[15:125, 250:650].max() < 80
    outside = np.ones(height.shape, dtype=bool)
    outside[15:125, 250:600] = False
    assert (height[outside] == 0).all()
    assert (np.gradient(height, axis=1)[:, :240] == 0).all()
    land = height > 5
    assert 40 < np.median(amplitude[0][land]) < 80
    assert np.median(amplitude[0][outside]) < 0.5 * np.median(amplitude[0][land])
    assert amplitude[0][outside].std() > 0.3 * amplitude[0][outside].mean()
    assert (s.truth.elevation_change.values[:, outside] == 0).all()
    assert s.truth.elevation_change[-1].max() == pytest.approx(12.0, rel=0.05)
    assert s.stack.dataset.attrs["heading"] == "unknown"


def test_written_date_by_date_it_is_the_same(hill, tmp_path):
    h5py = pytest.importorskip("h5py")
    scene = Scene(hill, {D1: None, D2: sink}, shape=(20, 50), seed=4)
    write_projections(scene, tmp_path / "projections.h5", tmp_path / "truth.h5")
    s = scene.simulate()
    with h5py.File(tmp_path / "projections.h5") as file, h5py.File(tmp_path / "truth.h5") as truth:
        assert set(file) == {"dem", "lon", "lat", "20190115", "20190126"}
        np.testing.assert_array_equal(file["dem"], values(s, "height"))
        np.testing.assert_array_equal(file["lon"], values(s, "longitude"))
        np.testing.assert_array_equal(file["20190126"], values(s, "amplitude")[1])
        np.testing.assert_array_equal(truth["20190126/elevation_change"], s.truth.elevation_change[1])
        np.testing.assert_array_equal(truth["20190126/hidden"], s.truth.hidden[1])
    bare = Scene(hill, {D1: None}, shape=(20, 50), metadata=False)
    write_projections(bare, tmp_path / "bare.h5")
    with h5py.File(tmp_path / "bare.h5") as file:
        assert not file.attrs
