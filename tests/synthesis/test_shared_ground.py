"""One ground for several looks: positions against the geodesic, and one field seen by rows of any heading."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyproj
import pytest

from mosart.inversion.synthesis.ground import ground_from_radar
from mosart.inversion.synthesis.nodes import MapNodes
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term
from mosart.inversion.synthesis.sharedground import LocalFrame, Track, map_over
from mosart.simulate import NOISELESS, Simulation, Terrain, simulate
from mosart.simulate.relief import bump

DATE = dt.date(2020, 1, 1)


def _look(heading: float, look: str = "right") -> Simulation:
    terrain = Terrain.flat(900.0, 900.0, 3.0)
    x, y = np.meshgrid(terrain.x, terrain.y)
    hill = bump(x, y, 40.0, 120.0)
    return simulate(
        terrain.plus(hill), {DATE: None}, heading=heading, look_direction=look, shape=(80, 160),
        radiometry=NOISELESS,
    )  # fmt: skip


def _scene(simulation: Simulation) -> tuple[Scene, np.ndarray]:
    height = np.asarray(simulation.stack.dataset["height"].values)
    ground, x = ground_from_radar(height, simulation.frame, knot_pixels=4)
    one = np.ones((len(ground.height), len(ground.x) - 1), np.float32)
    return Scene(ground, one, 1.0, (4, 8), azimuth_slope_term(ground), 0 * one), x


def _track(simulation: Simulation, x: np.ndarray, frame: LocalFrame) -> tuple[Track, np.ndarray, np.ndarray]:
    data = simulation.stack.dataset
    east, north = frame.metres(np.asarray(data["longitude"].values), np.asarray(data["latitude"].values))
    return Track.fit(x, east, north), east, north


@pytest.mark.parametrize("longitude", [-122.2, 179.999, -180.0])
def test_local_metres_are_those_of_the_geodesic_on_either_side_of_the_antimeridian(longitude: float) -> None:
    lon = longitude + np.array([[-0.004, 0.0], [0.0, 0.006]])
    lat = 54.7 + np.array([[0.0, 0.0], [0.005, -0.003]])
    wrapped = (lon + 180) % 360 - 180
    frame = LocalFrame.of(wrapped, lat)
    east, north = frame.metres(wrapped, lat)
    geod = pyproj.Geod(ellps="WGS84")
    for a, b in (((0, 0), (1, 1)), ((0, 1), (1, 0))):
        _, _, distance = geod.inv(lon[a], lat[a], lon[b], lat[b])
        assert np.hypot(east[a] - east[b], north[a] - north[b]) == pytest.approx(distance, rel=1e-6)
    assert np.all(np.diff(east[0]) > 0)


def test_an_unknown_position_stays_unknown() -> None:
    lon, lat = np.array([[10.0, np.nan]]), np.array([[45.0, 45.0]])
    east, north = LocalFrame.of(lon, lat).metres(lon, lat)
    assert np.isfinite(east[0, 0])
    assert np.isnan([east[0, 1], north[0, 1]]).all()


@pytest.mark.parametrize(("heading", "look"), [(348.0, "right"), (192.0, "right"), (75.0, "left")])
def test_a_track_passes_through_the_pixels(heading: float, look: str) -> None:
    simulation = _look(heading, look)
    _, x = _scene(simulation)
    x = x.copy()
    x[30:40, 20:50] = np.nan  # a gap
    track, east, north = _track(simulation, x, LocalFrame.of(*_lonlat(simulation)))
    rows = np.broadcast_to(np.arange(len(x), dtype=float)[:, None], x.shape)
    good = np.isfinite(x)
    found = track.positions(rows[good], x[good])
    assert np.hypot(found[0] - east[good], found[1] - north[good]).max() < 0.05


def _lonlat(simulation: Simulation) -> tuple[np.ndarray, np.ndarray]:
    data = simulation.stack.dataset
    return np.asarray(data["longitude"].values), np.asarray(data["latitude"].values)


def test_looks_of_any_heading_read_one_field_at_the_same_ground() -> None:
    """A plane is what bilinear interpolation keeps: both looks must read it where their pixels lie."""
    looks = [_look(348.0), _look(192.0), _look(75.0, "left")]
    frame = LocalFrame.of(*_lonlat(looks[0]))
    knots = []
    for simulation in looks:
        scene, x = _scene(simulation)
        track, _, _ = _track(simulation, x, frame)
        knots.append(track.of_knots(scene))
    nodes = map_over(knots, 15.0)
    yy, xx = np.mgrid[: nodes.shape[0], : nodes.shape[1]]

    def plane(east: np.ndarray, north: np.ndarray) -> np.ndarray:
        return np.asarray(2.0 + 0.03 * east - 0.05 * north)

    field = plane(nodes.origin[1] + xx * nodes.spacing[1], nodes.origin[0] + yy * nodes.spacing[0])
    for east, north in knots:
        read = nodes.interpolation(north, east) @ field.ravel()
        np.testing.assert_allclose(read, plane(east, north).ravel(), atol=1e-9)


def test_a_bump_on_the_map_is_imaged_as_the_simulator_images_it_in_both_looks() -> None:
    """The change is told once, on the map; each look renders it through its own rows."""
    terrain = Terrain.flat(900.0, 900.0, 2.0)
    x, y = np.meshgrid(terrain.x, terrain.y)
    change = bump(x, y, 20.0, 60.0, (30.0, -20.0))
    frame: LocalFrame | None = None
    for heading in (348.0, 192.0):
        later = DATE + dt.timedelta(1)
        made = simulate(
            terrain, {DATE: None, later: change}, heading=heading, shape=(120, 240), radiometry=NOISELESS
        )
        scene, ground_range = _scene(made)
        frame = frame or LocalFrame.of(*_lonlat(made))
        track, east, north = _track(made, ground_range, frame)
        knots = track.of_knots(scene)
        nodes = map_over([knots], 8.0)
        # the truth at the pixels' fixed ground positions, brought to the nodes
        inside = np.isfinite(east)
        to_pixels = nodes.interpolation(north[inside], east[inside])
        weight = to_pixels.T @ np.ones(int(inside.sum()))
        truth = np.asarray(made.truth["elevation_change"].values[-1], float)[inside]
        d = (to_pixels.T @ truth) / np.maximum(weight, 1e-9)
        on_knots = (nodes.interpolation(knots[1], knots[0]) @ d).reshape(scene.knots)
        image = np.asarray(made.stack.dataset["amplitude"].values, float) ** 2
        before, after = (_blocks(i) for i in image)
        model = scene.render(on_knots, derivatives=False).energy / scene.ground.range_spacing
        flat = scene.render(0 * on_knots, derivatives=False).energy / scene.ground.range_spacing
        inner = (slice(3, -3), slice(3, -3))
        shown = np.log(after / before)[inner]
        rendered = np.log(model / flat)[inner][: shown.shape[0], : shown.shape[1]]
        assert np.abs(shown).max() > 0.3
        assert np.sqrt(np.mean((rendered - shown) ** 2)) < 0.06 * np.sqrt(np.mean(shown**2)) + 0.003


def _blocks(image: np.ndarray) -> np.ndarray:
    rows, pixels = image.shape[0] // 4, image.shape[1] // 8
    return image[: 4 * rows, : 8 * pixels].reshape(rows, 4, pixels, 8).sum(axis=(1, 3))


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_the_derivative_by_the_nodes_is_that_of_the_image(angle: float) -> None:
    simulation = _look(348.0)
    scene, _ = _scene(simulation)
    g = scene.ground
    azimuth = scene.nodes.row_centres * g.azimuth_spacing
    nodes = MapNodes.covering(
        float(g.x[-1] - g.x[0]), float(azimuth[-1]), (20.0, 20.0), angle, (0.0, float(g.x[0]))
    )
    p = nodes.interpolation(azimuth[:, None] + 0 * g.knot_x, g.knot_x + 0 * azimuth[:, None])
    rng = np.random.default_rng(1)
    d = 0.3 * rng.normal(size=nodes.shape[0] * nodes.shape[1])
    step = rng.normal(size=d.shape)
    small = 1e-5

    def image(values: np.ndarray) -> np.ndarray:
        return scene.render((p @ values).reshape(scene.knots), derivatives=False).energy.ravel()

    out = scene.render((p @ d).reshape(scene.knots))
    assert out.by_change is not None
    numeric = (image(d + small * step) - image(d - small * step)) / (2 * small)
    np.testing.assert_allclose(out.by_change @ (p @ step), numeric, atol=2e-4 * np.abs(numeric).max())
    assert p.sum(axis=1) == pytest.approx(1.0)
