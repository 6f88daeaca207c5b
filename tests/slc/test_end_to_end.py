"""Two simulated SAFEs of Semisopochnoi with a new crater, by `mosart run` to a map, against the truth.

The terrain is the real one, with layover and shadow and heights above a geoid, moved into the bursts of a
real pair; once more the bursts are turned to the island's longitude, and across the antimeridian.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mosart.geometry.orbit import make_dem, rdr2geo_height
from mosart.geometry.orbit.ellipsoid import from_ecef
from mosart.io import open_stack
from mosart.io.netcdf import open_dataset, write_stack
from mosart.masks import Flag
from mosart.simulate.slc import Ground, make_pixels, render_intensity
from mosart.slc.coregister import prepare
from mosart.slc.sensors import open_product
from mosart.stack import Stack
from mosart.workflow.config import Box, Config
from mosart.workflow.run import run

BOX = (650, 830, 9300, 10200)
LOOKS = 100.0
BAND = (327.0 / 486.486, 42.8e6 / 64.345e6)


def still_ground(path: Path, centre: list[float], half: tuple[float, float], metres: float) -> Path:
    """Write a box without the circle in its middle, as GeoJSON; longitudes run on across the antimeridian."""
    lon, lat = centre[0] % 360, centre[1]
    angle = np.linspace(0, 2 * np.pi, 73)
    hole = [
        [lon + metres * np.sin(a) / (111320 * np.cos(np.radians(lat))), lat + metres * np.cos(a) / 111200]
        for a in angle
    ]
    dx, dy = 1.2 * half[0], 1.2 * half[1]
    box = [[lon - dx, lat - dy], [lon + dx, lat - dy], [lon + dx, lat + dy], [lon - dx, lat + dy]]
    geometry = {"type": "Polygon", "coordinates": [[*box, box[0]], hole]}
    feature = {"type": "Feature", "properties": {"name": "still"}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(x))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("longitude", "method"),
    [
        (None, "rowwise-intensity"),
        (179.6, "rowwise-intensity"),
        (180.0, "rowwise-intensity"),
        (None, "synthesis"),
    ],
)
def test_crater(  # noqa: PLR0917
    tmp_path: Path,
    place: tuple[float, float],
    geoid: None,
    grid_of: Callable,
    make_island: Callable,
    template_of: Callable,
    write_date: Callable,
    longitude: float | None,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mosart.workflow.run.draw_figures", lambda *_: None)
    lon, lat = place
    # Turned so that the middle of the box, which is not the island's, comes to the longitude.
    start = from_ecef(rdr2geo_height(grid_of(template_of("S1B")).crop(*BOX), 90.0, 450.0, 300.0))[0]
    turn = 0.0 if longitude is None else longitude - float(start)
    s1b, s1a = template_of("S1B", turn), template_of("S1A", turn)
    grid = grid_of(s1b).crop(*BOX)
    middle = rdr2geo_height(grid, 90.0, 450.0, 300.0)
    centre = [float(v) for v in from_ecef(middle)]
    before = make_island(tmp_path / "dem.tif", lon + turn, lat, relief=1.0, tagged=True)
    heights = before.dem.heights
    dx, _, west, _, dy, north = before.dem.transform
    x = west + dx * (np.arange(heights.shape[1]) + 0.5)
    y = north + dy * (np.arange(heights.shape[0]) + 0.5)
    east = ((x - centre[0] + 180) % 360 - 180)[None] * 111320 * np.cos(np.radians(lat))
    up = (y - centre[1])[:, None] * 111200
    crater = -40.0 * np.exp(-((np.hypot(east, up) / 350.0) ** 4))
    after = make_island(tmp_path / "after.tif", lon + turn, lat, relief=1.0, tagged=True, change=crater)
    (tmp_path / "after.tif").unlink()
    a, b = s1b.project(0, middle[None]), s1a.project(0, middle[None])
    other = tuple(
        int(v)
        for v in (
            BOX[0] + round(float(b[0][0] - a[0][0])) - 30,
            BOX[1] + round(float(b[0][0] - a[0][0])) + 30,
            BOX[2] + round(float(b[1][0] - a[1][0])) - 60,
            BOX[3] + round(float(b[1][0] - a[1][0])) + 60,
        )
    )
    level = 1500.0
    safes = [
        write_date(tmp_path, s1b, BOX, ground=Ground(before.dem), level=level, looks=LOOKS, seed=1),
        write_date(tmp_path, s1a, other, ground=Ground(after.dem), level=level, looks=LOOKS, seed=2),
    ]
    # The scene is the box: a crop in degrees around its middle.
    half = 0.0105, 0.0085
    # Across the antimeridian west is larger than east, as users write it.
    edges = [(centre[0] + side + 180) % 360 - 180 for side in (-half[0], half[0])]
    crop = (edges[0], centre[1] - half[1], edges[1], centre[1] + half[1])
    scene = prepare([open_product(s) for s in safes], [before.path], crop=crop)[2]
    config = Config(
        out=tmp_path / "products",
        method=method,
        despeckle="none",
        weights="unit" if method == "synthesis" else "stable",
        stable=str(still_ground(tmp_path / "still.geojson", centre, half, 570.0)),
        crop=Box(lonlat=crop),
        workers=2,
    )
    run(config.merged(Config(slc=tuple(reversed(safes)), dem=(before.path,))), quiet=True)
    dataset = open_stack(tmp_path / "products" / "stack.nc").dataset.load()
    assert "EGM2008" in dataset.attrs["dem_vertical_datum"]
    # The relief is the island's: some of it folds over, some is hidden.
    mask = dataset["mask"].values[0]
    assert ((mask & int(Flag.LAYOVER)) != 0).mean() > 0.003
    assert ((mask & int(Flag.SHADOW)) != 0).mean() > 0.003
    if longitude == 180.0:
        assert dataset["longitude"].max() > 179.9
        assert dataset["longitude"].min() < -179.9
    # The same scene without products, orbits of two dates or resampling: rendered on the stack's grid.
    rng = np.random.default_rng(3)
    images = [
        np.abs(make_pixels(render_intensity(scene.grid, g) * (level / 300) ** 2, BAND, rng, looks=LOOKS))
        for g in (Ground(before.dem), Ground(after.dem))
    ]
    assert images[0].shape == dataset["height"].shape
    direct = Stack(
        dataset.assign(amplitude=(("date", "azimuth", "range"), np.stack(images).astype(np.float32)))
    )
    write_stack(direct, tmp_path / "direct.nc")
    run(config.merged(Config(stack=(tmp_path / "direct.nc",), out=tmp_path / "direct")), quiet=True)
    truth_map = make_dem(crater, before.dem.crs, before.dem.transform)
    errors = {}
    for name in ("products", "direct"):
        with open_dataset(tmp_path / name / "radar.nc") as result:
            found = result["elevation_change"].isel(date=-1).values
            truth = truth_map.sample(result["longitude"].values, result["latitude"].values)
        zone = np.abs(truth) > 5
        assert (zone & np.isfinite(found)).sum() > 500
        errors[name] = rms((found - truth)[zone])
    print(longitude, errors)  # noqa: T201
    assert errors["products"] <= 1.2 * errors["direct"]
    # Map and truth by correlation, in pixels of the map.
    with open_dataset(tmp_path / "products" / "elevation_change.nc") as written:
        mapped = written.load()
    values = mapped["elevation_change"].isel(date=-1).values
    assert mapped.sizes["x"] < 400
    import pyproj
    from skimage.registration import phase_cross_correlation

    to_degrees = pyproj.Transformer.from_crs(
        mapped["spatial_ref"].attrs["crs_wkt"], "EPSG:4326", always_xy=True
    )
    mx, my = np.meshgrid(mapped["x"].values, mapped["y"].values)
    mlon, mlat = to_degrees.transform(mx, my)
    expected = truth_map.sample(mlon, mlat)
    known = np.isfinite(values) & np.isfinite(expected)
    shift, _, _ = phase_cross_correlation(
        np.where(known, expected, 0), np.where(known, values, 0), upsample_factor=50, normalization=None
    )
    assert np.abs(shift).max() <= 0.5, shift
