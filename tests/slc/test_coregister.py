"""Coregistration on real pixels, and of simulated stripmap pairs."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from mosart.errors import InputError
from mosart.geometry.orbit import RadarGrid, geo2rdr, make_dem
from mosart.simulate.slc import Ground, PointTargets, add_targets, make_pixels, render_intensity, write_rslc
from mosart.slc import kernels
from mosart.slc.coregister import align, prepare
from mosart.slc.product import Product
from mosart.slc.resampling import copy_pixels, reference_geometry, resample
from mosart.slc.residual import measure
from mosart.slc.sensors import open_product


@pytest.mark.parametrize("band", [0.43, 0.67, 0.77, 0.88])
def test_kernel_error_is_what_it_says(band: float) -> None:
    weights, error = kernels.choose(band)
    taps = weights.shape[1]
    assert np.abs(weights.sum(axis=1) - 1).max() < 0.02
    rng = np.random.default_rng(0)
    n = 4096
    spectrum = np.where(np.abs(np.fft.fftfreq(n)) < band / 2, 1.0, 0.0) * np.exp(2j * np.pi * rng.random(n))
    signal = np.fft.ifft(spectrum)
    worst = 0.0
    for step in range(0, kernels.STEPS, 37):
        shift = step / kernels.STEPS
        truth = np.fft.ifft(spectrum * np.exp(2j * np.pi * np.fft.fftfreq(n) * shift))
        mine = sum(weights[step, k] * np.roll(signal, taps // 2 - 1 - k) for k in range(taps))
        worst = max(worst, float(np.sqrt(np.mean(np.abs(mine - truth) ** 2) / np.mean(np.abs(truth) ** 2))))
    assert worst < 1.3 * error + 1e-6


class _Changed:
    """Pixels of a product, shifted by part of a pixel and brighter in one place."""

    def __init__(self, pixels: np.ndarray, shift: tuple[float, float], change: np.ndarray) -> None:
        moved = ndimage.fourier_shift(np.fft.fft2(pixels), shift)
        self.data = (np.fft.ifft2(moved) * change).astype(np.complex64)

    def read(self, box: tuple[int, int, int, int]) -> np.ndarray:
        r0, r1, c0, c1 = box
        out = np.zeros((r1 - r0, c1 - c0), np.complex64)
        h, w = self.data.shape
        a, b, c, d = max(r0, 0), min(r1, h), max(c0, 0), min(c1, w)
        if a < b and c < d:
            out[a - r0 : b - r0, c - c0 : d - c0] = self.data[a:b, c:d]
        return out


@pytest.fixture
def sanand(data_folder: Path):
    folder = data_folder / "slc" / "nisar_format"
    coarse, fine = (open_product(folder / f"SanAnd_{n}.h5") for n in (129, 138))
    _, _, scene, dem = prepare([coarse], [folder / "SanAnd_dem.tif"], dem_datum="ellipsoidal")
    layers = reference_geometry(scene, dem)
    reference = np.empty(layers.height.shape, np.float32)
    copy_pixels(coarse, scene, reference)
    return fine, scene, layers, reference


def _shifted(product: Product, shift: tuple[float, float], change: np.ndarray | float = 1.0) -> Product:
    segment = product.segments[0]
    pixels = segment.pixels.read((0, segment.grid.rows, 0, segment.grid.columns))
    changed = _Changed(pixels, shift, np.broadcast_to(np.asarray(change), pixels.shape))
    return dataclasses.replace(product, segments=(dataclasses.replace(segment, pixels=changed),))


def test_real_pixels_align(sanand) -> None:
    """SanAnd_138 (3.1 m) onto SanAnd_129 (6.2 m), by an independent correlation (scikit-image)."""
    from skimage.registration import phase_cross_correlation

    fine, scene, layers, reference = sanand
    image = np.empty_like(reference)
    resample(fine, scene, layers, image)
    good = np.isfinite(image)
    columns = (
        np.flatnonzero(good.all(axis=0))
        if good.all(axis=0).any()
        else np.flatnonzero(good.mean(axis=0) > 0.9)
    )
    box = np.s_[8:-8, columns[0] + 2 : columns[-1] - 2]
    a, b = (np.nan_to_num(np.sqrt(p[box])) for p in (reference, image))
    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])
    shift, _, _ = phase_cross_correlation(
        (a - a.mean()) * window, (b - b.mean()) * window, upsample_factor=100, normalization=None
    )
    assert np.abs(shift).max() <= 0.1
    # The two share their speckle, so they must look alike.
    assert np.corrcoef(reference[good], image[good])[0, 1] > 0.7


def test_real_pixels_shift_and_change_are_found_again(sanand) -> None:
    fine, scene, layers, reference = sanand
    plain = np.empty_like(reference)
    resample(fine, scene, layers, plain)
    change = np.ones((fine.segments[0].grid.rows, fine.segments[0].grid.columns))
    change[60:90, 150:250] = 3.0
    moved = _shifted(fine, (0.37, -0.62), change)
    image = np.empty_like(reference)
    outcome = align(moved, scene, layers, reference, image)
    assert not isinstance(outcome, str)
    report = outcome[0]
    assert report.applied
    # The fine image has half the range spacing: −0.62 of its samples are −0.31 of the grid's.
    assert report.residual.azimuth == pytest.approx(0.37, abs=0.05)
    assert report.residual.range == pytest.approx(-0.31, abs=0.05)
    assert abs(report.remaining.azimuth) < 0.05
    assert abs(report.remaining.range) < 0.05
    ratio = image / plain
    inside, outside = ratio[66:84, 85:115], ratio[10:50, 30:150]
    assert np.nanmedian(inside) == pytest.approx(3.0, rel=0.1)
    assert np.nanmedian(outside) == pytest.approx(1.0, rel=0.05)


def _stripmap(side: str, baseline: float = 0.0, *, start: int = 0) -> RadarGrid:
    from mosart.geometry.orbit import Orbit
    from mosart.geometry.orbit.ellipsoid import to_ecef

    spot = to_ecef(12.0, 45.0, 0.0)
    earth = np.linalg.norm(spot)
    up = spot / earth
    east = np.cross([0, 0, 1.0], up)
    east /= np.linalg.norm(east)
    north = np.cross(up, east)
    sign = 1 if side == "right" else -1
    radius = 7.0e6
    central = np.arcsin(radius / earth * np.sin(np.radians(30))) - np.radians(30)
    below = np.cos(central) * up - sign * np.sin(central) * east
    t = np.arange(-60.0, 61.0, 10.0)
    angle = t[:, None] * 7500 / radius
    position = (radius + baseline) * (np.cos(angle) * below + np.sin(angle) * north) + baseline * east
    velocity = 7500 * (np.cos(angle) * north - np.sin(angle) * below)
    orbit = Orbit(dt.datetime(2021, 3, 4 + start, 5), t, position, velocity)
    distance = float(np.linalg.norm(spot - radius * below))
    return RadarGrid(
        orbit, -0.25 + 1e-4 * start, 0.00075, distance - 1500.0 + 3.3 * start, 5.0, 640, 560, side, 0.24
    )


@pytest.fixture
def stripmap(tmp_path: Path) -> Callable[..., tuple[Path, Path, Path, np.ndarray, list[RadarGrid]]]:
    """Two RSLC files with point targets over 700 m of relief, 300 m apart, and their DEM."""
    import rasterio
    from affine import Affine

    def make(side: str, doppler: float = 0.0, level: float = 5.0, spread: float = 0.0):
        step = 1 / 3600
        lon, lat = np.meshgrid(11.9 + step * (np.arange(720) + 0.5), 45.1 - step * (np.arange(720) + 0.5))
        heights = 400 + 350 * np.sin(lon * 400) * np.cos(lat * 300)
        path = tmp_path / "dem.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=720, height=720, count=1, dtype="float32", crs="EPSG:4979",
            transform=Affine(step, 0, 11.9, 0, -step, 45.1),
        ) as out:  # fmt: skip
            out.write(heights.astype(np.float32), 1)
        import pyproj

        dem = make_dem(heights, pyproj.CRS("EPSG:4326"), (step, 0, 11.9, 0, -step, 45.1))
        rng = np.random.default_rng(5)
        grids = [_stripmap(side), _stripmap(side, 300.0, start=1)]
        from mosart.geometry.orbit import geometry_layers
        from mosart.geometry.orbit.ellipsoid import to_ecef

        layers = geometry_layers(grids[0], dem)
        spots = [(r, c) for r in range(70, 600, 95) for c in range(80, 500, 95) if layers.mask[r, c] == 0]
        points = np.array([to_ecef(layers.longitude[p], layers.latitude[p], layers.height[p]) for p in spots])
        texture = np.exp(spread * ndimage.gaussian_filter(rng.normal(size=heights.shape), 1.0) / 0.28)
        ground = Ground(dem, make_dem(texture, dem.crs, dem.transform))
        paths = []
        for k, grid in enumerate(grids):
            intensity = render_intensity(grid, ground) * level**2 if spread else np.full((640, 560), level**2)
            pixels = make_pixels(intensity, (0.8, 0.85), rng)
            if not spread:
                row, column = geo2rdr(grid, points)
                add_targets(pixels, PointTargets(row, column, 3000.0), (0.8, 0.85))
            tau = (np.arange(640) - 320)[:, None] * grid.time_step
            pixels = (pixels * np.exp(2j * np.pi * doppler * tau)).astype(np.complex64)
            paths.append(write_rslc(tmp_path / f"{k}.h5", grid, pixels, doppler=doppler))
        return paths[0], paths[1], path, np.array(spots, float), grids

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("side", "doppler"), [("left", 0.0), ("right", 420.0)])
def test_stripmap_pair(stripmap: Callable, side: str, doppler: float) -> None:
    """Left and right looking; pixels whose spectrum lies around a Doppler centroid."""
    first, second, dem_path, spots, _ = stripmap(side, doppler)
    products = [open_product(p) for p in (second, first)]
    dates, base, scene, dem = prepare(products, [dem_path])
    assert base.date == dt.date(2021, 3, 4)
    layers = reference_geometry(scene, dem)
    reference, image = (np.empty(layers.height.shape, np.float32) for _ in range(2))
    copy_pixels(base, scene, reference)
    resample(dates[1], scene, layers, image)
    errors = []
    for r, c in spots.astype(int):
        a, b = (np.nan_to_num(p[r - 8 : r + 9, c - 8 : c + 9]) for p in (reference, image))
        # Targets lie on pixel centres of the grid: the same cut of both must be alike.
        assert a.max() > 2500
        weights_a, weights_b = a.astype(float) ** 4, b.astype(float) ** 4
        y, x = np.mgrid[-8:9, -8:9]
        errors.append(
            [
                (weights_b * y).sum() / weights_b.sum() - (weights_a * y).sum() / weights_a.sum(),
                (weights_b * x).sum() / weights_b.sum() - (weights_a * x).sum() / weights_a.sum(),
            ]
        )
        assert b.max() == pytest.approx(a.max(), rel=0.05)
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    assert rms[0] < 0.02
    assert rms[1] < 0.02


@pytest.mark.slow
def test_bad_dates_are_left_out_and_the_run_goes_on(stripmap: Callable, tmp_path: Path) -> None:
    from mosart.slc.coregister import coregister

    first, second, dem_path, _, grids = stripmap("right", level=40.0, spread=0.8)
    # A third date over ground that is not the scene's.
    shift = 3 * 86400.0
    vectors = grids[1].orbit
    from mosart.geometry.orbit import Orbit

    third = dataclasses.replace(
        grids[1],
        orbit=Orbit(
            vectors.epoch + dt.timedelta(seconds=shift), vectors.times, vectors.position, vectors.velocity
        ),
        first_range=grids[1].first_range + 40000.0,
    )
    rng = np.random.default_rng(1)
    pixels = make_pixels(np.full((640, 560), 1600.0), (0.8, 0.85), rng)
    write_rslc(tmp_path / "far.h5", third, pixels)
    products = [open_product(p) for p in (tmp_path / "far.h5", second, first)]
    result = coregister(products, [dem_path])
    assert len(result.dates) == 2
    assert [d for d, _ in result.rejected] == [dt.date(2021, 3, 8)]
    assert "covers" in result.rejected[0][1]
    assert result.amplitude.shape[0] == 2
    with pytest.raises(InputError, match="no date could be aligned"):
        coregister([products[0], products[2]], [dem_path])
    # One product alone gives its amplitude and geometry.
    alone = coregister([products[2]], [dem_path])
    assert alone.amplitude.shape == (1, 640, 560)
    from mosart.slc.stack import to_stack

    stack = to_stack(alone)
    assert stack.shape == (1, 640, 560)
    assert stack.dataset.attrs["look_direction"] == "right"


@pytest.mark.slow
def test_grid_date_and_crop(stripmap: Callable) -> None:
    first, second, dem_path, _, _ = stripmap("right")
    products = [open_product(p) for p in (first, second)]
    _, base, whole, dem = prepare(products, [dem_path], grid_date=dt.date(2021, 3, 5))
    assert base.date == dt.date(2021, 3, 5)
    with pytest.raises(InputError, match="20210306"):
        prepare(products, [dem_path], grid_date=dt.date(2021, 3, 6))
    layers = reference_geometry(whole, dem)
    lon, lat = float(layers.longitude[300, 280]), float(layers.latitude[300, 280])
    box = (lon - 0.004, lat - 0.003, lon + 0.004, lat + 0.003)
    _, _, cut, dem = prepare(products, [dem_path], grid_date=dt.date(2021, 3, 5), crop=box)
    part = reference_geometry(cut, dem)
    inside = (
        (layers.longitude > box[0])
        & (layers.longitude < box[2])
        & (layers.latitude > box[1])
        & (layers.latitude < box[3])
    )
    again = (
        (part.longitude > box[0])
        & (part.longitude < box[2])
        & (part.latitude > box[1])
        & (part.latitude < box[3])
    )
    assert abs(int(again.sum()) - int(inside.sum())) <= 2  # a pixel on the very edge
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert part.height.shape[0] <= np.ptp(rows) + 12
    assert part.height.shape[1] <= np.ptp(columns) + 12
    with pytest.raises(InputError, match="outside"):
        prepare(products, [dem_path], crop=(13.0, 45.0, 13.1, 45.1))


def test_residual_ignores_the_changed_part() -> None:
    rng = np.random.default_rng(2)
    field = np.exp(ndimage.gaussian_filter(rng.normal(size=(420, 420)), 2.0) * 3)

    def image(shift: tuple[float, float]) -> np.ndarray:
        moved = ndimage.shift(field, shift, order=3, mode="wrap")
        speckle = ndimage.gaussian_filter(rng.normal(size=(2, 420, 420)), (0, 0.5, 0.5))
        return (np.sqrt(moved) * np.hypot(*speckle)).astype(np.float32)

    a, b = image((0, 0)), image((0.4, -0.25))
    rise = image((0.4, 5.0))
    b[100:220, 100:220] = rise[100:220, 100:220]
    found = measure(a, b)
    assert found.measured
    assert found.azimuth == pytest.approx(0.4, abs=4 * found.azimuth_std + 0.03)
    assert found.range == pytest.approx(-0.25, abs=4 * found.range_std + 0.03)
    assert found.azimuth_std < 0.25
    nothing = measure(a, rng.normal(size=a.shape).astype(np.float32) ** 2)
    assert not nothing.measured or not nothing.significant


def test_resampling_keeps_the_looks() -> None:
    """Equivalent number of looks within 2 %, at a shift of nearly half a pixel in both directions."""
    rng = np.random.default_rng(4)
    for band in ((0.67, 0.67), (0.77, 0.9)):
        pixels = make_pixels(np.ones((700, 700)), band, rng)
        rows, columns = np.mgrid[20:680, 20:680].astype(float)
        weights = [kernels.choose(b)[0].astype(np.float32) for b in band]
        out = np.zeros(rows.shape, np.complex64)
        filled = np.zeros(rows.shape, np.uint8)
        kernels.interpolate(
            pixels,
            0,
            0,
            np.array([0, 700, 0, 700]),
            rows + 0.47,
            columns + 0.53,
            *weights,
            kernels.STEPS,
            out,
            filled,
        )
        assert filled.all()
        looks = []
        for image in (pixels[20:680, 20:680], out):
            intensity = np.abs(image.astype(complex)) ** 2
            looks.append(intensity.mean() ** 2 / intensity.var())
            assert intensity.mean() == pytest.approx(1.0, abs=0.02)
        assert looks[1] == pytest.approx(looks[0], rel=0.02)
