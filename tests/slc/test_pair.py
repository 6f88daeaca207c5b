"""A simulated pair on real S1A and S1B annotations: what coregistration leaves, on targets it never saw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mosart.simulate.slc import Ground
from mosart.slc.coregister import align, prepare
from mosart.slc.resampling import copy_pixels, reference_geometry, resample
from mosart.slc.sensors import open_product
from mosart.workflow.coregister import coregister_products

BOX = (350, 1050, 8600, 10400)


def peak(image: np.ndarray, row: float, column: float, half: int = 8) -> tuple[float, float]:
    """Peak of a bright point near a place, on the band-limited interpolation of the intensity."""
    r, c = round(row), round(column)
    patch = np.nan_to_num(image[r - half : r + half + 1, c - half : c + half + 1].astype(float)) ** 2
    n = 2 * half + 1
    spectrum = np.fft.fftshift(np.fft.fft2(patch))
    f = np.arange(-half, half + 1) / n
    start = np.unravel_index(np.argmax(patch), patch.shape)
    y, x, step = float(start[0]), float(start[1]), 0.1
    for _ in range(3):
        dy, dx = y + step * np.arange(-10, 11), x + step * np.arange(-10, 11)
        fine = np.exp(2j * np.pi * dy[:, None] * f) @ spectrum @ np.exp(2j * np.pi * f[:, None] * dx)
        best = np.unravel_index(np.argmax(fine.real), fine.shape)
        y, x, step = float(dy[best[0]]), float(dx[best[1]]), step / 10
    return r - half + y, c - half + x


def other_box(template_a, template_b, points, box):
    """The box of the other date that holds the same ground."""
    a, b = template_a.project(0, points), template_b.project(0, points)
    dr, dc = (round(float(np.median(b[k] - a[k]))) for k in range(2))
    return (
        max(box[0] + dr - 40, 0),
        min(box[1] + dr + 40, 1517),
        box[2] + dc - 60,
        box[3] + dc + 60,
    )


@pytest.mark.slow
def test_point_targets(  # noqa: PLR0917
    tmp_path: Path,
    place: tuple[float, float],
    make_island: Callable,
    template_of: Callable,
    grid_of: Callable,
    points_on: Callable,
    write_date: Callable,
) -> None:
    from mosart.slc.scene import build_scene

    island = make_island(tmp_path / "dem.tif", *place)
    assert np.ptp(island.dem.heights) > 1750
    s1b, s1a = template_of("S1B"), template_of("S1A")
    pair = {}
    product = None
    grid = grid_of(s1b)
    points = points_on(island.dem, grid.crop(*BOX), 30)
    assert len(points) >= 25
    boxes = {"b": BOX, "a": other_box(s1b, s1a, points, BOX)}
    for seed, (key, template) in enumerate((("b", s1b), ("a", s1a))):
        safe = write_date(tmp_path, template, boxes[key], points=points, level=8.0, seed=seed)
        pair[key] = open_product(safe)
    # Their ramps are independent: other centroids, other times in the burst.
    assert not np.allclose(
        pair["a"].segments[0].carrier.coefficients[:, ::5000][:, :5],
        pair["b"].segments[0].carrier.coefficients[:, ::5000][:, :5],
        rtol=1e-4,
    )
    product = pair["b"]
    _, base, scene, dem = prepare([pair["a"], product], [island.path], dem_datum=island.separation)
    assert base is product
    valid = product.segments[0].valid
    row0, column0 = BOX[0] - valid[0], BOX[2] - valid[2]
    scene = build_scene(product).crop(row0, row0 + BOX[1] - BOX[0], column0, column0 + BOX[3] - BOX[2])
    layers = reference_geometry(scene, dem, workers=2)
    reference = np.empty(layers.height.shape, np.float32)
    image = np.empty_like(reference)
    copy_pixels(product, scene, reference)
    error = resample(pair["a"], scene, layers, image, workers=2)
    assert error < 0.001
    rows, columns = s1b.project(0, points)
    found = np.array(
        [
            [*peak(reference, r - BOX[0], c - BOX[2]), *peak(image, r - BOX[0], c - BOX[2])]
            for r, c in zip(rows, columns)
        ]
    )
    misregistration = found[:, 2:] - found[:, :2]
    azimuth, distance = np.sqrt(np.mean(misregistration**2, axis=0))
    # Measured: 0.0007 and 0.0007.
    assert azimuth <= 0.01
    assert distance <= 0.02
    # No double images: nothing else as bright as a tenth of a target.
    clear = image.copy()
    for r, c in zip(rows - BOX[0], columns - BOX[2]):
        clear[round(r) - 45 : round(r) + 46, max(round(c) - 45, 0) : round(c) + 46] = 0
    assert np.nanmax(clear) < 0.1 * np.nanmax(image)


@pytest.mark.slow
def test_speckle(  # noqa: PLR0917
    tmp_path: Path,
    place: tuple[float, float],
    make_island: Callable,
    make_texture: Callable,
    template_of: Callable,
    write_date: Callable,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Statistics stay, nothing is striped, and the offset measured on independent speckle is zero."""
    from mosart.slc.scene import build_scene

    island = make_island(tmp_path / "dem.tif", *place, relief=1.0)
    ground = Ground(island.dem, make_texture(island.dem, spread=0.8))
    s1b, s1a = template_of("S1B"), template_of("S1A")
    middle = np.array([[4.25e6, 1.51e6, 4.3e6]])
    boxes = {"b": BOX, "a": other_box(s1b, s1a, middle, BOX)}
    products = {
        key: open_product(write_date(tmp_path, t, boxes[key], ground=ground, seed=seed, noise=36.0))
        for seed, (key, t) in enumerate((("b", s1b), ("a", s1a)))
    }
    _, base, scene, dem = prepare(list(products.values()), [island.path], dem_datum=island.separation)
    valid = base.segments[0].valid
    row0, column0 = BOX[0] - valid[0], BOX[2] - valid[2]
    scene = build_scene(base).crop(row0, row0 + BOX[1] - BOX[0], column0, column0 + BOX[3] - BOX[2])
    layers = reference_geometry(scene, dem, workers=2)
    reference = np.empty(layers.height.shape, np.float32)
    image = np.empty_like(reference)
    copy_pixels(base, scene, reference)
    outcome = align(products["a"], scene, layers, reference, image, workers=2)
    assert not isinstance(outcome, str)
    found = outcome[0].residual
    assert found.measured
    assert abs(found.azimuth) < max(4 * found.azimuth_std, 0.05)
    assert abs(found.range) < max(4 * found.range_std, 0.05)
    # Equivalent number of looks against the expected intensity, which both images share.
    inside = np.isfinite(reference) & np.isfinite(image) & (layers.mask == 0)
    inside[:40] = inside[-40:] = False
    inside[:, :40] = inside[:, -40:] = False
    looks = []
    for picture in (reference, image):
        intensity = np.where(inside, picture.astype(float) ** 2, np.nan)
        # Neighbours four pixels apart are independent; their ratio's spread does not see the texture.
        a, b = intensity[:, :-4:5].ravel(), intensity[:, 4::5][:, : intensity[:, :-4:5].shape[1]].ravel()
        log = np.log(a / b)
        looks.append(np.nanvar(log[np.isfinite(log)]))
    assert abs(looks[1] / looks[0] - 1) < 0.04  # variance of the log ratio: twice the change of looks
    # No azimuth stripes: line means differ no more than the reference's.
    lines = [
        np.nanmean(np.where(inside, p.astype(float) ** 2, np.nan)[40:-40], axis=1) for p in (reference, image)
    ]
    ratio = np.log(lines[1] / lines[0])
    assert np.std(ratio - np.convolve(ratio, np.ones(25) / 25, "same"))[()] < 0.1


@pytest.mark.slow
def test_command(  # noqa: PLR0917
    tmp_path: Path,
    place: tuple[float, float],
    make_island: Callable,
    make_texture: Callable,
    template_of: Callable,
    grid_of: Callable,
    write_date: Callable,
) -> None:
    """The command's file: calibrated amplitude, geometry, offsets, noise; named in any order."""
    import mosart.io

    island = make_island(tmp_path / "dem.tif", *place, relief=1.0)
    ground = Ground(island.dem, make_texture(island.dem, spread=0.8))
    s1b, s1a = template_of("S1B"), template_of("S1A")
    box = (560, 860, 9000, 9900)
    lon, lat, _ = _centre(grid_of(s1b), box)
    middle = np.array([[4.25e6, 1.51e6, 4.3e6]])
    safes = [
        write_date(tmp_path, t, b, ground=ground, seed=s, level=60.0, factor=300.0, noise=36.0)
        for s, (t, b) in enumerate(((s1b, box), (s1a, other_box(s1b, s1a, middle, box))))
    ]
    crop = (lon - 0.01, lat - 0.006, lon + 0.01, lat + 0.006)
    before = sorted(p.name for p in tmp_path.iterdir())
    out = coregister_products(
        safes[::-1], [island.path], tmp_path / "stack.nc", crop=crop, dem_datum=island.separation, workers=2
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*before, "stack.nc"])
    stack = mosart.io.open_stack(out)
    assert [f"{d:%Y%m%d}" for d in stack.dates] == ["20190803", "20190809"]
    data = stack.dataset.load()
    assert data.attrs["radiometric_scale"] == "beta nought"
    assert data.attrs["look_direction"] == "right"
    assert abs(data.attrs["incidence_angle"] - 43) < 2.5
    np.testing.assert_allclose(data["noise_floor"], 36.0 / 300.0**2, rtol=1e-3)
    west, south, east, north = crop
    good = np.isfinite(data["longitude"])
    assert good.mean() > 0.99
    inside = (
        (data["longitude"] > west)
        & (data["longitude"] < east)
        & (data["latitude"] > south)
        & (data["latitude"] < north)
    )
    # Everything asked for is there, on both dates.
    assert np.isfinite(data["amplitude"].where(inside & (data["mask"] == 0), 0.0)).all()
    expected = (60.0 / 300.0) ** 2
    assert 0.2 * expected < float((data["amplitude"] ** 2).mean()) < 5 * expected
    with xr.open_dataset(out) as raw:
        assert "azimuth_offset_std" in raw


def _centre(grid, box):
    from mosart.geometry.orbit import rdr2geo_height
    from mosart.geometry.orbit.ellipsoid import from_ecef

    lon, lat, h = from_ecef(rdr2geo_height(grid, (box[0] + box[1]) / 2, (box[2] + box[3]) / 2, 500.0))
    return float(lon), float(lat), float(h)
