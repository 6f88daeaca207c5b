"""The ground: constructors, projection, spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from rasterio import Affine

from mosart.errors import InputError
from mosart.simulate import Terrain
from mosart.simulate.relief import cone, crater, fractal, plateau, texture


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-2e4, 2e4), st.floats(-2e4, 2e4))
def test_positions_go_there_and_back(longitude, latitude, x, y):
    terrain = Terrain.flat(10, 10, longitude=longitude, latitude=latitude)
    lon, lat = terrain.to_lonlat(x, y)
    assert -180 <= lon <= 180
    back = terrain.from_lonlat(lon, lat)
    np.testing.assert_allclose(back, (x, y), atol=1e-5)


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(0, 360))
def test_a_metre_is_a_metre(longitude, latitude, azimuth):
    terrain = Terrain.flat(10, 10, longitude=longitude, latitude=latitude)
    a = math.radians(azimuth)
    lon, lat = terrain.to_lonlat(1000 * math.sin(a), 1000 * math.cos(a))
    there, _, distance = Geod(ellps="WGS84").inv(longitude, latitude, float(lon), float(lat))
    assert distance == pytest.approx(1000.0, abs=1e-4)
    assert (there - azimuth + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-4)


def test_shapes():
    x, y = np.meshgrid(np.arange(-500.0, 501.0, 10.0), np.arange(-500.0, 501.0, 10.0))
    assert cone(x, y, 100.0, 200.0).max() == 100.0
    assert cone(np.array([200.0]), np.array([0.0]), 100.0, 200.0)[0] == pytest.approx(100 / math.e)
    assert crater(x, y, 30.0, 50.0).min() == -30.0
    p = plateau(x, y, 8.0, 100.0, 50.0, centre=(10.0, 20.0))
    assert p.max() == 8.0
    assert np.unravel_index(p.argmax(), p.shape) == (52, 51)


@pytest.mark.parametrize("exponent", [2.0, 3.5])
def test_fractal_has_its_spectrum(exponent):
    f = fractal((512, 512), 2.0, 3.0, exponent, seed=1)
    assert f.std() == pytest.approx(3.0)
    assert abs(f.mean()) < 1e-9
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(512, 2.0), np.fft.fftfreq(512, 2.0)))
    power = np.abs(np.fft.fft2(f)) ** 2
    use = (k > 0.01) & (k < 0.2)
    # The logarithm of an exponential variable has the same mean everywhere: the slope is unbiased.
    slope = np.polyfit(np.log(k[use]), np.log(power[use]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)
    banded = fractal((256, 256), 1.0, 1.0, exponent, longest=60.0, shortest=10.0, seed=1)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    power = np.abs(np.fft.fft2(banded)) ** 2
    assert power[(k < 1 / 61) | (k > 1 / 9.9)].sum() < 1e-12 * power.sum()


def test_texture_has_its_level_and_spread():
    t = texture((300, 300), 1.0, level=0.1, spread=0.4, seed=2)
    assert np.median(t) == pytest.approx(0.1, rel=0.1)
    assert np.log(t).std() == pytest.approx(0.4)
    np.testing.assert_array_equal(t, texture((300, 300), 1.0, level=0.1, spread=0.4, seed=2))


def test_sea_and_fields():
    t = Terrain.flat(20.0, 10.0, 1.0).plus(lambda x, y: x + 0 * y).flooded(2.0)
    assert t.heights.shape == (10, 20)
    assert t.heights.min() == 2.0
    assert t.sea.sum() == 10 * 12
    assert not Terrain.flat(3, 3).sea.any()
    assert (t.evaluate(3.0) == 3.0).all()
    assert (t.evaluate(lambda x, y: y + 0 * x)[:, 0] == t.y).all()
    assert (np.diff(t.x) == 1).all()
    assert t.x.mean() == pytest.approx(0)
    with pytest.raises(InputError, match="shape"):
        t.evaluate(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("heights", "spacing", "latitude", "match"),
    [
        (np.zeros(3), 1.0, 0.0, "two-dimensional"),
        (np.full((2, 2), np.nan), 1.0, 0.0, "finite"),
        (np.zeros((2, 2)), 0.0, 0.0, "spacing"),
        (np.zeros((2, 2)), 1.0, 95.0, "anchor"),
    ],
)
def test_refusals(heights, spacing, latitude, match):
    with pytest.raises(InputError, match=match):
        Terrain(heights, spacing, 0.0, latitude)


def write(path, heights, transform, crs="EPSG:4326", nodata=None):
    profile = {"driver": "GTiff", "height": heights.shape[0], "width": heights.shape[1], "count": 1}
    with rasterio.open(
        path, "w", **profile, dtype="float64", crs=crs, transform=transform, nodata=nodata
    ) as out:
        out.write(heights, 1)
    return path


def test_geotiff_in_degrees(tmp_path):
    # Heights that are linear in longitude and latitude: what any position must get is known.
    lon, lat = np.meshgrid(179.9 + (np.arange(200) + 0.5) / 3600, 52.0 - (np.arange(100) + 0.5) / 3600)
    path = write(
        tmp_path / "dem.tif",
        1e4 * (lon - 179.9) + 2e4 * (lat - 52.0) + 900.0,
        Affine(1 / 3600, 0, 179.9, 0, -1 / 3600, 52.0),
    )
    terrain = Terrain.from_geotiff(path, 25.0)
    assert terrain.spacing == 25.0
    x, y = np.meshgrid(terrain.x, terrain.y)
    at = terrain.to_lonlat(x, y)
    expected = 1e4 * (at[0] - 179.9) + 2e4 * (at[1] - 52.0) + 900.0
    np.testing.assert_allclose(terrain.heights[3:-3, 3:-3], expected[3:-3, 3:-3], atol=0.3)
    assert np.median(np.abs(terrain.heights - expected)) < 0.05
    # Nothing is left out but the edge: 100 seconds of arc are 3090 m.
    assert 3000 < terrain.heights.shape[0] * 25 < 3100
    assert Terrain.from_geotiff(path).spacing == pytest.approx(30.9, abs=0.2)


def test_geotiff_with_gaps_and_without_a_system(tmp_path):
    heights = np.full((40, 50), 7.0)
    heights[20, 25] = -9999
    utm = {"transform": Affine(30, 0, 5e5, 0, -30, 5e6), "crs": "EPSG:32601"}
    path = write(tmp_path / "gap.tif", heights, **utm, nodata=-9999)
    with pytest.raises(InputError, match="fill"):
        Terrain.from_geotiff(path)
    np.testing.assert_allclose(Terrain.from_geotiff(path, fill=7.0).heights, 7.0)
    flooded = Terrain.from_geotiff(path, fill=7.0, sea_level=10.0)
    assert (flooded.heights == 10.0).all()
    assert flooded.sea.all()
    with pytest.raises(InputError, match="no coordinate reference system"):
        Terrain.from_geotiff(write(tmp_path / "bare.tif", heights, utm["transform"], crs=None))
    (tmp_path / "no.tif").write_text("no raster")
    with pytest.raises(InputError, match="cannot be read"):
        Terrain.from_geotiff(tmp_path / "no.tif")


def test_a_real_island(data_folder):
    terrain = Terrain.from_geotiff(
        data_folder / "semisopochnoi" / "semisopochnoi_cop30.tif", 30.0, sea_level=0.0
    )
    assert terrain.longitude == pytest.approx(179.64, abs=0.01)
    assert 0.2 < terrain.sea.mean() < 0.9
    assert 1000 < terrain.heights.max() < 1300
    assert terrain.heights.min() == 0.0
