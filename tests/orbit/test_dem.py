"""DEMs: tiles, holes, datums, units, the antimeridian; never silently wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine

from mosart.errors import InputError
from mosart.geometry.orbit import RadarGrid, coverage, geometry_layers, load_dem

STEP = 1 / 3600


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(
        name: str,
        heights: np.ndarray,
        west: float,
        north: float,
        *,
        step: tuple[float, float] = (STEP, STEP),
        crs: str = "EPSG:4326",
        nodata: float | None = None,
        unit: str | None = None,
        point: bool = False,
        dtype: str = "float32",
    ) -> Path:
        path = tmp_path / name
        with (
            rasterio.Env(GTIFF_REPORT_COMPD_CS=True),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=heights.shape[1],
                height=heights.shape[0],
                count=1,
                dtype=dtype,
                crs=crs,
                transform=Affine(step[0], 0, west, 0, -step[1], north),
                nodata=nodata,
                GEOTIFF_VERSION="1.1",
            ) as out,
        ):
            out.write(heights.astype(dtype), 1)
            if unit:
                out.units = (unit,)
            if point:
                out.update_tags(AREA_OR_POINT="Point")
        return path

    return make


@pytest.fixture
def geoid(as_geoid: Callable[[np.ndarray], None]) -> None:
    """45 m everywhere."""
    as_geoid(np.full(181, 45.0))


def field(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return 300 + 200 * np.sin(np.radians(lon) * 6000) * np.cos(np.radians(lat) * 5000)


def lattice(west: float, north: float, nx: int, ny: int, dx: float = STEP, dy: float = STEP):  # noqa: PLR0917
    return np.meshgrid(west + (np.arange(nx) + 0.5) * dx, north - (np.arange(ny) + 0.5) * dy)


def test_tiles_join_without_seam(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    whole = field(*lattice(19.9, 35.1, 720, 720))
    hole = whole.copy()
    hole[300:420, 330:390] = -9999
    tiles = [
        write("a.tif", hole[:, :400], 19.9, 35.1, nodata=-9999),
        write("b.tif", whole[:, 300:], 19.9 + 300 * STEP, 35.1),
    ]
    truth = load_dem(write("w.tif", whole, 19.9, 35.1), grid, datum="ellipsoidal")
    for order in itertools.permutations(tiles):
        dem = load_dem(order, grid, datum="ellipsoidal")
        lon, lat = lattice(19.93, 35.05, 500, 400)
        np.testing.assert_allclose(dem.sample(lon, lat), truth.sample(lon, lat), atol=1e-3)


def test_coarser_and_other_crs_tiles_fill_in(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    fine = field(*lattice(19.9, 35.1, 360, 720))
    coarse = field(*lattice(19.95, 35.1, 240, 720, 1.5 * STEP))
    west = write("a.tif", fine, 19.9, 35.1)
    east = write("b.tif", coarse, 19.95, 35.1, step=(1.5 * STEP, STEP))
    x, y = np.meshgrid(500000 + 25 * (np.arange(900) - 450) + 12.5, 3.874e6 - 25 * np.arange(900) - 12.5)
    lon, lat = pyproj.Transformer.from_crs("EPSG:32634", "EPSG:4326", always_xy=True).transform(x, y)
    utm = write("c.tif", field(lon, lat), 500000 - 450 * 25, 3.874e6, step=(25.0, 25.0), crs="EPSG:32634")
    for names in ([west, east], [east, west]):
        dem = load_dem(names, grid, datum="ellipsoidal")
        lon, lat = lattice(19.998, 35.004, 130, 30)
        assert np.abs(dem.sample(lon, lat) - field(lon, lat)).max() < 3.0  # wrong by one cell would be 20
        assert np.isfinite(dem.sample(lon, lat)).all()
    # Heights of a projected DEM: no worse.
    dem = load_dem(utm, circular(35.0, 21.0), datum="ellipsoidal")
    lon, lat = lattice(20.998, 35.004, 100, 30)
    sampled = dem.sample(lon, lat)
    inside = np.isfinite(sampled)
    assert inside.any()
    assert np.abs(sampled - field(lon, lat))[inside].max() < 3.0


def test_antimeridian(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(51.0, 179.995)
    nx, ny = 600, 500
    lon, lat = lattice(180 - 300 * STEP, 51.07, nx, ny)
    whole = field(lon, lat)
    one = write("one.tif", whole, 180 - 300 * STEP, 51.07)
    pair = [
        write("east.tif", whole[:, :300], 180 - 300 * STEP, 51.07),
        write("west.tif", whole[:, 300:], -180.0, 51.07),
    ]
    as_negative = write("neg.tif", whole, -180 - 300 * STEP, 51.07)
    results = [
        geometry_layers(grid, load_dem(names, grid, datum="ellipsoidal"))
        for names in (one, pair, pair[::-1], as_negative)
    ]
    assert (results[0].mask == 0).all()
    assert results[0].longitude.max() > 179.9
    assert results[0].longitude.min() < -179.9
    for other in results[1:]:
        assert other.height.shape == results[0].height.shape
        np.testing.assert_allclose(other.height, results[0].height, atol=2e-3)
        difference = (other.longitude - results[0].longitude + 180) % 360 - 180
        assert np.abs(difference).max() < 1e-8


def test_pixel_is_area_or_point(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    lon, lat = lattice(19.9, 35.1, 720, 720)
    heights = np.full(lon.shape, 100.0)
    heights[360, 360] = 200.0
    area = load_dem(write("area.tif", heights, 19.9, 35.1), grid, datum="ellipsoidal")
    # GDAL writes a Point raster's tie point at the centre; what comes back is the same raster.
    point = load_dem(write("point.tif", heights, 19.9, 35.1, point=True), grid, datum="ellipsoidal")
    for dem in (area, point):
        assert abs(dem.sample(lon[360:361, 360], lat[360:361, 360])[0] - 200.0) < 1e-6
    np.testing.assert_allclose(area.transform, point.transform, rtol=0, atol=1e-12)


def test_geoid_is_added_once(
    write: Callable, circular: Callable[..., RadarGrid], geoid: None, caplog: pytest.LogCaptureFixture
) -> None:
    grid = circular(35.0, 20.0)
    flat = np.full((720, 720), 1000.0)
    flat[5:9, 5:9] = -32768

    def centre(path: Path, **more: object) -> tuple[float, str]:
        dem = load_dem(path, grid, **more)
        return float(dem.sample(np.array([20.0]), np.array([35.0]))[0]), dem.datum

    untagged = write("u.tif", flat, 19.9, 35.1)
    height, datum = centre(untagged)
    assert height == pytest.approx(1000.0, abs=1e-6)
    assert "assumed" in datum
    assert "no vertical datum" in caplog.text
    height, datum = centre(write("c.tif", flat, 19.9, 35.1, crs="EPSG:4326+3855"))
    assert height == pytest.approx(1045.0, abs=1e-3)
    assert "EGM2008" in datum
    height, datum = centre(write("e.tif", flat, 19.9, 35.1, crs="EPSG:4979"))
    assert height == pytest.approx(1000.0, abs=1e-6)
    assert "as the file says" in datum
    assert centre(untagged, datum="EGM2008")[0] == pytest.approx(1045.0, abs=1e-3)
    assert centre(untagged, datum="ellipsoidal")[0] == pytest.approx(1000.0)
    assert centre(untagged, datum=-12.5)[0] == pytest.approx(987.5)
    assert centre(untagged, datum="-12.5")[0] == pytest.approx(987.5)
    # Holes stay holes under a geoid.
    dem = load_dem(write("h.tif", flat, 19.9, 35.1, crs="EPSG:4326+3855"), datum=None)
    assert np.isnan(dem.heights[6, 6])
    assert np.nanmin(dem.heights) == pytest.approx(1045.0, abs=1e-3)


def test_missing_geoid_stops(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    flat = np.full((720, 720), 1000.0)
    for crs, datum in (("EPSG:4326+3855", None), ("EPSG:4326+5773", None), ("EPSG:4326", "EGM96")):
        with pytest.raises(InputError, match="cannot be made ellipsoidal"):
            load_dem(write("c.tif", flat, 19.9, 35.1, crs=crs), grid, datum=datum)
    with pytest.raises(InputError, match="unknown vertical datum"):
        load_dem(write("c.tif", flat, 19.9, 35.1), grid, datum="sea level")


def test_feet(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    flat = np.full((720, 720), 1000.0)
    dem = load_dem(write("f.tif", flat, 19.9, 35.1, unit="ft"), grid, datum="ellipsoidal")
    assert "feet" in dem.datum
    assert dem.sample(np.array([20.0]), np.array([35.0]))[0] == pytest.approx(304.8)
    with pytest.raises(InputError, match="fathom"):
        load_dem(write("g.tif", flat, 19.9, 35.1, unit="fathom"), grid, datum="ellipsoidal")


def test_holes_stay(write: Callable, circular: Callable[..., RadarGrid]) -> None:
    grid = circular(35.0, 20.0)
    flat = np.full((720, 720), 10.0)
    flat[355:365, 350:375] = -9999
    flat[340:345, 350:375] = np.nan
    dem = load_dem(write("f.tif", flat, 19.9, 35.1), grid, datum=45.0)
    assert set(np.unique(dem.heights[np.isfinite(dem.heights)])) == {55.0}
    layers = geometry_layers(grid, dem)
    assert np.isnan(layers.height).any()
    assert np.nanmin(layers.height) == pytest.approx(55.0, abs=1e-3)
    assert 0.5 < coverage(grid, dem) < 1.0


def test_refusals(write: Callable, circular: Callable[..., RadarGrid], tmp_path: Path) -> None:
    grid = circular(35.0, 20.0)
    flat = np.full((100, 100), 1.0)
    with pytest.raises(InputError, match="does not meet"):
        load_dem(write("far.tif", flat, 50.0, 10.0), grid, datum="ellipsoidal")
    (tmp_path / "text.tif").write_text("no DEM")
    with pytest.raises(InputError, match=r"text.tif"):
        load_dem(tmp_path / "text.tif", grid)
    with pytest.raises(InputError, match="named"):
        load_dem([], grid)
    path = tmp_path / "bare.npy.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=9,
        height=9,
        count=1,
        dtype="float32",
        transform=Affine(1, 0, 0, 0, -1, 9),
    ) as out:
        out.write(np.zeros((9, 9), np.float32), 1)
    with pytest.raises(InputError, match="no CRS"):
        load_dem(path, grid)
