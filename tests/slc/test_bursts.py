"""Several bursts: one grid without seams, each line from its own burst, on both dates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from mosart.geometry.orbit import rdr2geo_height
from mosart.geometry.orbit.ellipsoid import from_ecef
from mosart.simulate.slc import Burst, PointTargets, add_targets, make_pixels, write_safe
from mosart.slc.coregister import prepare
from mosart.slc.resampling import copy_pixels, reference_geometry, resample
from mosart.slc.sensors import open_product

COLUMNS = (9000, 9260)
BAND = (327.0 / 486.486, 42.8e6 / 64.345e6)


@pytest.mark.slow
def test_two_bursts(
    tmp_path: Path, annotations: dict[str, Path], place: tuple[float, float], template_of: Callable
) -> None:
    lon, lat = place
    dem_path = tmp_path / "dem.tif"
    with rasterio.open(
        dem_path,
        "w",
        driver="GTiff",
        width=2400,
        height=2400,
        count=1,
        dtype="float32",
        crs="EPSG:4979",
        transform=Affine(1 / 1800, 0, lon - 2 / 3, 0, -1 / 1800, lat + 2 / 3),
    ) as out:
        out.write(np.full((2400, 2400), 200.0, np.float32), 1)
    templates = {key: template_of(key, bursts=range(4, 6)) for key in ("S1B", "S1A")}
    # Products without pixels yet: for their grids.
    empty = open_product(write_safe(tmp_path / "empty", templates["S1B"], {}))
    scene = prepare([empty], [dem_path])[2]
    assert len(scene.owners) == 2
    cut = scene.owners[0][1]
    assert scene.owners == ((0, cut, empty.segments[0].name), (cut, scene.grid.rows, empty.segments[1].name))
    column0 = COLUMNS[0] - empty.segments[0].valid[2]
    # Targets along the scene, some beside the cut.
    rows = np.array([200, 700, 1200, cut - 60, cut - 3, cut + 40, cut + 500, cut + 1000], float)
    columns = np.linspace(column0 + 45, column0 + 205, rows.size) + 0.3
    points = rdr2geo_height(scene.grid, rows, columns, 200.0)
    assert np.allclose(from_ecef(points)[2], 200.0)
    products = {}
    for seed, (key, template) in enumerate(templates.items()):
        bursts = {}
        for index, burst in enumerate(template.metadata()):
            row, column = template.project(index, points)
            start = round(float(np.median(column))) - 190
            shape = burst.lines_per_burst, 380
            rng = np.random.default_rng(10 * seed + index)
            pixels = make_pixels(np.full(shape, 40.0**2), BAND, rng)
            inside = (row > 0) & (row < shape[0])
            add_targets(pixels, PointTargets(row[inside], column[inside] - start, 6000.0), BAND)
            ramp = template.phase_ramp(index, np.arange(shape[0]), np.arange(start, start + shape[1]))
            _, y, _, h = burst.burst_roi
            y -= index * burst.lines_per_burst
            pixels *= np.exp(1j * ramp)
            pixels[:y] = pixels[y + h :] = 0
            bursts[index] = Burst(pixels.astype(np.complex64), 0, start)
        products[key] = open_product(write_safe(tmp_path, template, bursts))
    _, base, scene, dem = prepare(list(products.values()), [dem_path])
    scene = scene.crop(0, scene.grid.rows, column0, column0 + COLUMNS[1] - COLUMNS[0])
    layers = reference_geometry(scene, dem, workers=2)
    reference, image = (np.empty(layers.height.shape, np.float32) for _ in range(2))
    copy_pixels(base, scene, reference)
    resample(products["S1A"], scene, layers, image, workers=2)
    assert np.isfinite(reference).mean() > 0.999
    # The other date's first and last lines lie outside its bursts; the seam does not.
    assert np.isfinite(image[20:-20]).mean() > 0.999
    for picture in (reference, image):
        for r, c in zip(rows, columns - column0):
            patch = picture[round(r) - 2 : round(r) + 3, round(c) - 2 : round(c) + 3]
            assert np.nanmax(patch) * 300 > 4500
        # Each target once: no double image from the other burst, no line of another brightness at the cut.
        assert (picture * 300 > 3500).sum() <= 4 * rows.size
        power = np.nanmedian(picture[cut - 120 : cut + 120] ** 2, axis=1)
        seam, around = power[114:126], power
        assert np.abs(np.log(seam / np.median(around))).max() < 0.6
