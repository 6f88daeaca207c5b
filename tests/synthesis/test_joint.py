"""Two looks solved together, against simulated truth: new rock, calibration, gaps, unchanged ground."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import scipy.sparse as sp

from mosart.inversion.synthesis import joint as joint_module
from mosart.inversion.synthesis.bordered import Bordered
from mosart.inversion.synthesis.contradicted import CONTRADICTED_SHARE, without_contradictions
from mosart.inversion.synthesis.doubts import NOT_ONE_GROUND
from mosart.inversion.synthesis.fractal import Fractal
from mosart.inversion.synthesis.joint import (
    CONTRADICTED,
    LIKELIER,
    Joint,
    _End,
    _joint,
    _likeliest,
    _shared,
    _tried,
    solve_jointly,
)
from mosart.inversion.synthesis.jointstep import Descent, Point, Posterior, brightness_width
from mosart.inversion.synthesis.kept import chance_kept, shift_to_texture
from mosart.inversion.synthesis.levels import calibrate
from mosart.inversion.synthesis.mapped import LEFT_OUT, MappedLook
from mosart.inversion.synthesis.nodes import MapNodes
from mosart.inversion.synthesis.prior import Matern, Prior
from mosart.inversion.synthesis.problem import Rows, State
from mosart.inversion.synthesis.reference import learn_reference, read_epoch
from mosart.inversion.synthesis.rowstart import settled
from mosart.inversion.synthesis.sharedground import LocalFrame
from mosart.inversion.synthesis.together import map_looks
from mosart.simulate import Radiometry, Sensor, Simulation, Terrain, simulate
from mosart.simulate.relief import fractal, replaced, texture

SENSOR = Sensor("stripmap", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "1.8 m × 4 m")
DATES = [dt.date(2020, 1, 1 + 3 * k) for k in range(8)]
HEIGHT = 20.0


@cache
def _pair(height: float, sharp: bool = False) -> tuple[Simulation, ...]:
    """New rock of the old brightness, a dome or a plateau, from opposite sides, rows 24° from parallel."""
    terrain = Terrain.flat(1000.0, 1000.0, 2.0)
    x, y = np.meshgrid(terrain.x, terrain.y)
    shape = terrain.heights.shape
    terrain = terrain.plus(fractal(shape, 2.0, 4.0, 3.6, longest=600.0, seed=5))
    change = height * np.exp(-((x / 140) ** 2 + (y / 115) ** 2))
    if sharp:
        change = height * np.clip((120 - np.hypot(x, y)) / 20, 0, 1)
    old, new = (texture(shape, 2.0, seed=s) for s in (6, 7))
    after = replaced(old, new, np.clip(np.abs(change) - 0.5, 0, 1)) if height else old
    looks = []
    for k, heading in enumerate((348.0, 192.0)):
        changes = dict.fromkeys(DATES[:4]) | dict.fromkeys(DATES[4:], change)
        looks.append(
            simulate(
                terrain,
                changes,
                SENSOR,
                heading=heading,
                shape=(140, 250),
                reflectivity=old,
                new_reflectivity=dict.fromkeys(DATES[4:], after) if height else None,
                radiometry=Radiometry(gain=0.3),
                seed=20 + k,
            )
        )
    return tuple(looks)


def _mapped(
    simulations: tuple[Simulation, ...], factors: tuple[float, ...] = (1.0, 1.0), gap: bool = False
) -> tuple[list[MappedLook], MapNodes, LocalFrame]:
    references, epochs, lonlats = [], [], []
    for simulation, factor in zip(simulations, factors):
        data = simulation.stack.dataset
        images = factor * np.asarray(data["amplitude"].values, float) ** 2
        if gap:
            images[4:, 60:80, 100:150] = np.nan
        height = np.asarray(data["height"].values, float)
        references.append(learn_reference(list(images[:4]), height, simulation.frame))
        epochs.append(read_epoch(list(images[4:]), references[-1]))
        lonlats.append((np.asarray(data["longitude"].values), np.asarray(data["latitude"].values)))
    return map_looks(references, epochs, lonlats)


def _errors(
    joint: Joint, nodes: MapNodes, frame: LocalFrame, simulation: Simulation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, σ and truth at the pixels that are seen, away from the edges."""
    data = simulation.stack.dataset
    east, north = frame.metres(np.asarray(data["longitude"].values), np.asarray(data["latitude"].values))
    p = nodes.interpolation(north, east)
    truth = np.asarray(simulation.truth["elevation_change"].values[-1], float)
    seen = ~np.asarray(simulation.truth["hidden"].values).any(axis=0)
    # both looks see the middle
    seen &= np.hypot(east, north) < 190
    shape = truth.shape
    return (
        (p @ joint.change.ravel()).reshape(shape)[seen],
        (p @ joint.std.ravel()).reshape(shape)[seen],
        truth[seen],
    )


@cache
def _solved(height: float, sharp: bool = False) -> tuple[Joint, MapNodes, LocalFrame, list[MappedLook]]:
    looks, nodes, frame = _mapped(_pair(height, sharp))
    return solve_jointly(looks, nodes), nodes, frame, looks


def test_new_rock_is_measured_from_two_looks_in_both_grids() -> None:
    joint, nodes, frame, _ = _solved(HEIGHT)
    for simulation in _pair(HEIGHT):
        estimate, std, truth = _errors(joint, nodes, frame, simulation)
        zone = truth > 0.1 * HEIGHT
        assert zone.sum() > 2000
        error = (estimate - truth)[zone]
        assert np.sqrt(np.mean(error**2)) < 0.12 * np.sqrt(np.mean(truth[zone] ** 2))
        assert abs(error.sum() / truth[zone].sum()) < 0.06
        assert np.mean(np.abs(error) < 1.645 * np.hypot(std[zone], 0.2)) > 0.7


def test_a_plateau_with_steep_edges_keeps_its_height() -> None:
    """Going down with the longest correlation range takes a tenth of it, and leaves the end too few steps."""
    joint, nodes, frame, _ = _solved(HEIGHT, sharp=True)
    assert joint.correlation_range < 400.0
    for simulation in _pair(HEIGHT, sharp=True):
        estimate, std, truth = _errors(joint, nodes, frame, simulation)
        top = truth > 0.99 * HEIGHT
        assert top.sum() > 2000
        assert estimate[top].mean() == pytest.approx(HEIGHT, abs=1.5)
        assert np.sqrt(np.mean((estimate - truth)[top] ** 2)) < 2.3
        assert np.mean(np.abs((estimate - truth)[top]) < 3 * std[top]) > 0.95


def test_one_look_alone_does_not_measure_it() -> None:
    """What the second look is for: the same code with one of the two."""
    joint, nodes, frame, looks = _solved(HEIGHT)
    alone = solve_jointly(looks[:1], nodes, cycles=2)
    simulation = _pair(HEIGHT)[0]
    both, _, truth = _errors(joint, nodes, frame, simulation)
    single, _, _ = _errors(alone, nodes, frame, simulation)
    zone = truth > 0.1 * HEIGHT
    assert np.sqrt(np.mean((single - truth)[zone] ** 2)) > 2 * np.sqrt(np.mean((both - truth)[zone] ** 2))


def test_new_rock_is_told_from_kept_rock() -> None:
    joint, nodes, frame, _ = _solved(HEIGHT)
    simulation = _pair(HEIGHT)[0]
    kept, _, truth = _errors(replace(joint, change=joint.kept), nodes, frame, simulation)
    assert np.mean(kept[truth > 2.0] < 0.5) > 0.95


def test_unchanged_ground_stays() -> None:
    joint, nodes, frame, looks = _solved(0.0)
    estimate, std, _ = _errors(joint, nodes, frame, _pair(0.0)[0])
    assert np.sqrt(np.mean(estimate**2)) < 0.6
    assert np.mean(np.abs(estimate) < 3 * np.hypot(std, 0.1)) > 0.99
    nothing = [np.zeros(look.scene.blocks[0]) for look in looks]
    kept = chance_kept(looks, nodes, np.zeros(nodes.shape), nothing)
    at_centre, _, _ = _errors(replace(joint, change=kept), nodes, frame, _pair(0.0)[0])
    assert np.mean(at_centre > 0.5) > 0.98


def test_what_sums_err_by_on_still_ground_is_taken_out_between_it_too() -> None:
    """A saddle solves Laplace's equation, whatever the spacing: it is taken out wholly."""
    nodes = MapNodes((9, 14), (20.0, 10.0))
    row, column = np.indices(nodes.shape)
    dome = np.where((np.abs(row - 4) < 3) & (np.abs(column - 6) < 4), 30.0, 0.0)
    error = 5.0 + ((20.0 * row) ** 2 - (10.0 * column) ** 2) / 1000
    still = (dome == 0).astype(float)
    np.testing.assert_allclose(settled(dome + error, still, nodes), dome, atol=1e-9)
    np.testing.assert_array_equal(settled(dome, np.zeros(nodes.shape), nodes), dome)
    np.testing.assert_array_equal(settled(dome, np.ones(nodes.shape), nodes), 0.0)
    line = MapNodes((1, 14), (20.0, 10.0))
    slope = 5.0 + 2.0 * column
    np.testing.assert_allclose(settled((dome + slope)[4:5], still[4:5], line), dome[4:5], atol=1e-9)
    # beyond the last still ground there is what there is on it; and a single place tells nothing
    half = np.where(column < 7, 1.0, 0.0)
    np.testing.assert_allclose(settled(np.full(nodes.shape, 8.0), half, nodes), 0.0, atol=1e-9)
    corner = np.zeros(nodes.shape)
    corner[0, 0] = 1.0
    np.testing.assert_array_equal(settled(dome + error, corner, nodes), dome + error)


def test_ground_that_seems_new_is_moved_to_where_its_texture_is() -> None:
    """Unchanged ground, with a patch put too high: there nothing repeats the old texture."""
    _, nodes, _, looks = _solved(0.0)
    nothing = [np.zeros(look.scene.blocks[0]) for look in looks]
    row, column = (np.arange(n) - n // 2 for n in nodes.shape)
    away = np.hypot(row[:, None] * nodes.spacing[0], column * nodes.spacing[1])
    inside = away < 60
    for height in (25.0, -25.0):
        moved = shift_to_texture(looks, nodes, height * np.exp(-((away / 200) ** 4)), nothing)
        assert np.median(np.abs(moved[inside])) < 8
    still = shift_to_texture(looks, nodes, np.zeros(nodes.shape), nothing)
    assert np.abs(still[inside]).max() == 0.0


def test_new_rock_stays_where_it_is() -> None:
    """There is no old texture, at any height."""
    joint, nodes, frame, looks = _solved(HEIGHT)
    moved = shift_to_texture(looks, nodes, joint.change, joint.gain) - joint.change
    simulation = _pair(HEIGHT)[0]
    there, _, truth = _errors(replace(joint, change=moved), nodes, frame, simulation)
    assert np.sqrt(np.mean(there[truth > 0.1 * HEIGHT] ** 2)) < 1.0


def test_a_start_that_is_far_too_high_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums that err by twice the change, also where the ground is still."""
    joint, nodes, frame, looks = _solved(HEIGHT)
    starts, looked_for = [], []
    begin, shift = joint_module._begin, joint_module.shift_to_texture

    def started(
        some: Sequence[MappedLook], start: np.ndarray, changed: np.ndarray
    ) -> tuple[Point, np.ndarray]:
        starts.append((start, on_coarse(joint.change)))
        return begin(some, start, changed)

    def shifted(some: Sequence[MappedLook], at: MapNodes, change: np.ndarray, gains: Sequence) -> np.ndarray:
        looked_for.append(np.abs(change).max())
        return shift(some, at, change, gains)

    def on_coarse(values: np.ndarray) -> np.ndarray:
        coarse, onto = nodes.coarsened(2 if nodes.shape[0] * nodes.shape[1] > joint_module.MANY_NODES else 1)
        return np.asarray(onto.T @ values.ravel() / onto.sum(axis=0)).reshape(coarse.shape)

    monkeypatch.setattr(joint_module, "integrated", lambda looks, nodes: joint.change + 40.0)
    monkeypatch.setattr(joint_module, "_begin", started)
    monkeypatch.setattr(joint_module, "shift_to_texture", shifted)
    mended = solve_jointly(looks, nodes)
    ((start, right),) = starts
    assert np.sqrt(np.mean((start - right) ** 2)) < 2.0
    assert len(looked_for) == 1
    for simulation in _pair(HEIGHT):
        estimate, _, truth = _errors(mended, nodes, frame, simulation)
        assert np.sqrt(np.mean((estimate - truth) ** 2)) < 1.5


def test_a_texture_found_in_new_rock_by_chance_is_no_error_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Coarse nodes put new rock 12 m too low, and fine ones take it back: its σ is as it was."""
    joint, nodes, _, looks = _solved(HEIGHT)
    moved = []

    def shifted(some: Sequence[MappedLook], at: MapNodes, change: np.ndarray, gains: Sequence) -> np.ndarray:
        row, column = np.unravel_index(np.argmax(change), change.shape)
        away = np.hypot(np.arange(at.shape[0])[:, None] - row, np.arange(at.shape[1]) - column)
        moved.append(12.0 * np.exp(-((away / 1.5) ** 2)))
        return np.asarray(change - moved[-1])

    monkeypatch.setattr(joint_module, "shift_to_texture", shifted)
    again = solve_jointly(looks, nodes)
    assert len(moved) == 1
    assert np.abs(again.change - joint.change).max() < 1.0
    new = joint.kept < 0.5
    assert np.median(again.std[new] / joint.std[new]) == pytest.approx(1.0, abs=0.1)
    assert (again.std[new] / joint.std[new]).max() < 1.5


def test_what_draws_share_adds_to_what_was_drawn_before() -> None:
    """Few draws of a small map correlate by chance; of these the mean square is the sum of both."""
    rng = np.random.default_rng(4)
    width = 0.5 + rng.uniform(size=(5, 6))
    drawn = rng.standard_normal(24)[:, None, None] * width
    one = 0.7 * rng.uniform(size=(5, 6))
    shared = _shared(rng, drawn, one / width**2)
    assert np.mean(shared**2) == pytest.approx(1.0)
    total = drawn + shared[:, None, None] * one
    np.testing.assert_allclose(np.mean(total**2, axis=0), np.mean(drawn**2, axis=0) + one**2)


def test_a_look_of_another_calibration_is_brought_to_the_level_of_the_other() -> None:
    _, _, _, plain = _solved(HEIGHT)
    looks, _, _ = _mapped(_pair(HEIGHT), (1.0, 4.0))
    own = plain[1].level - plain[0].level  # each look's dates have random gains
    assert abs(own) < 0.1
    assert looks[1].level - looks[0].level - own == pytest.approx(np.log(4.0), abs=0.005)
    again = calibrate(looks)
    assert [look.level for look in again] == pytest.approx([look.level for look in looks], abs=0.02)


def test_gaps_of_an_epoch_leave_finite_numbers_and_the_rest_alone() -> None:
    looks, nodes, _ = _mapped(_pair(HEIGHT), gap=True)
    joint = solve_jointly(looks, nodes, cycles=1)
    assert np.isfinite(joint.change).all()
    assert (joint.std > 0).all()


def test_new_rock_is_as_rough_as_its_prior_says() -> None:
    """Neighbours of a field with the power P / k² differ by half of P in variance."""
    light = Fractal((40, 40), (10.0, 10.0))
    width = brightness_width(np.zeros(light.shape))
    covariance = np.linalg.inv(light.precision.toarray()) * width.ravel()[:, None] * width.ravel()
    middle = 20 * 40 + 20
    variance = (
        covariance[middle, middle] + covariance[middle + 1, middle + 1] - 2 * covariance[middle, middle + 1]
    )
    assert variance == pytest.approx(0.125, rel=0.02)


def test_the_cosine_transform_inverts_the_differences_of_the_brightness() -> None:
    light = Fractal((9, 13), (10.0, 10.0))
    white = np.random.default_rng(1).standard_normal((9 * 13, 2))
    precision = light.precision.toarray()
    twice = light.colour_columns(light.colour_columns(white))
    assert precision @ twice == pytest.approx(white, abs=1e-9)
    assert light.whiten_columns(light.whiten_columns(white)) == pytest.approx(precision @ white, abs=1e-9)
    assert light.log_determinant == pytest.approx(np.linalg.slogdet(precision)[1])


@pytest.mark.parametrize("kind", ["direct", "iterative"])
def test_numbers_beside_the_fields_are_solved_with_them(kind: str) -> None:
    """Against the dense normal equations: mean, spread and determinant."""
    rng = np.random.default_rng(3)
    nodes = (6, 7)
    n = nodes[0] * nodes[1]
    weighted, own = 0.3 * rng.standard_normal((150, 2 * n)), rng.standard_normal((150, 2))
    priors = [
        Prior(Matern(nodes, (10.0, 10.0), 60.0), np.full(nodes, 2.0)),
        Prior(Fractal(nodes, (10.0, 10.0)), np.full(nodes, 0.5)),
    ]
    whole = np.hstack([weighted, own])
    precision = whole.T @ whole
    for k, prior in enumerate(priors):
        precision[k * n : (k + 1) * n, k * n : (k + 1) * n] += (prior.factor.T @ prior.factor).toarray()
    precision[2 * n :, 2 * n :] += 5.0 * np.eye(2)
    solver = Bordered(sp.csr_array(weighted), own, priors, np.full(own.shape[1], 5.0), kind)
    right = rng.standard_normal(150)
    fields, numbers = solver.solve(right)
    truth = np.linalg.solve(precision, whole.T @ right)
    assert np.concatenate([fields, numbers]) == pytest.approx(truth, abs=1e-4)
    covariance = np.linalg.inv(precision)
    assert solver.number_std() == pytest.approx(np.sqrt(np.diag(covariance)[2 * n :]), rel=1e-3)
    draws, _ = solver.samples(1000, rng)
    assert np.var(draws, axis=0) == pytest.approx(np.diag(covariance)[: 2 * n], rel=0.25)
    if kind == "direct":
        assert solver.log_determinant() == pytest.approx(np.linalg.slogdet(precision)[1])


def test_conjugate_gradients_go_where_the_factorisation_goes() -> None:
    _, fine, _, mapped = _solved(HEIGHT)
    nodes, onto = fine.coarsened(2)
    looks = [look.coarsened(onto) for look in mapped]
    kept = np.full(nodes.shape, 0.3)
    start = State(
        np.zeros(nodes.shape),
        np.zeros((1, *nodes.shape)),
        np.full(nodes.shape, 10.0),
        brightness_width(kept)[None],
        (1.0, 1.0),
        tuple(np.zeros(look.scene.blocks[0]) for look in looks),
    )
    found = []
    for kind in ("direct", "iterative"):
        field = Matern(nodes.shape, nodes.spacing, 300.0)
        descent = Descent(looks, nodes, field, np.random.default_rng(0), kind)
        at, problem = Point(start, np.zeros(2)), descent.problem(kept)
        for _ in range(3):
            at = descent.step(problem, at, kept, (1, 1), learn=True)
        found.append(at)
    change = [at.state.change for at in found]
    assert np.sqrt(np.mean(change[0] ** 2)) > 1.0
    assert np.sqrt(np.mean((change[1] - change[0]) ** 2)) < 0.05
    assert found[1].ratio == pytest.approx(found[0].ratio, abs=1e-3)


def test_ground_whose_image_no_change_explains_is_flagged() -> None:
    """A patch of one look shows another image: speckle that is not the ground's."""
    joint, nodes, frame, looks = _solved(HEIGHT)
    simulation = _pair(HEIGHT)[0]
    lost, _, _ = _errors(replace(joint, change=joint.unresolved.astype(float)), nodes, frame, simulation)
    assert np.mean(lost) < 0.02
    energy = looks[0].measured.energy.copy()
    rows, blocks = slice(12, 22), slice(11, 20)
    energy[rows, blocks] *= np.exp(0.8 * np.random.default_rng(1).standard_normal((10, 9)))
    spoilt = replace(looks[0], measured=replace(looks[0].measured, energy=energy))
    wrong = solve_jointly([spoilt, looks[1]], nodes, cycles=1)
    data = simulation.stack.dataset
    east, north = frame.metres(np.asarray(data["longitude"].values), np.asarray(data["latitude"].values))
    lost = nodes.interpolation(north, east) @ wrong.unresolved.ravel().astype(float)
    lost = lost.reshape(east.shape)[4 * 14 : 4 * 20, 8 * 13 : 8 * 18]
    assert np.mean(lost) > 0.5
    assert np.mean(wrong.unresolved) < 0.3


def test_a_flipped_image_shows_in_the_noise() -> None:
    """No ground explains both looks, and nothing in single places tells: all of one image is another."""
    joint, nodes, _, looks = _solved(HEIGHT)
    assert max(joint.noise) < 0.5 * NOT_ONE_GROUND
    energy = looks[1].measured.energy[::-1].copy()
    flipped = replace(looks[1], measured=replace(looks[1].measured, energy=energy))
    wrong = solve_jointly([looks[0], flipped], nodes, cycles=1)
    assert max(wrong.noise) > NOT_ONE_GROUND


def test_dark_ground_beside_the_layover_of_another_look_is_not_doubted() -> None:
    """One look has a bright patch that the other has not; ground beside it is dark in both."""
    _, nodes, _, looks = _solved(0.0)
    patch, beside = np.zeros(nodes.shape), np.zeros(nodes.shape)
    row, column = nodes.shape[0] // 2, nodes.shape[1] // 2
    patch[row - 2 : row + 3, column - 2 : column + 3] = 1.0
    beside[row - 2 : row + 3, column + 3 : column + 6] = 1.0

    def changed(look: MappedLook, bright: float) -> MappedLook:
        log = look.to_facets @ (bright * patch - 0.5 * beside).ravel()
        rho = look.scene.reflectivity * np.exp(log.reshape(look.mends.shape)).astype(np.float32)
        return replace(look, scene=replace(look.scene, reflectivity=rho))

    found = without_contradictions([changed(looks[0], 0.0), changed(looks[1], 1.5)], nodes)
    new = [after.scene.doubt > before.scene.doubt for before, after in zip(looks, found)]
    inside = [(look.to_facets @ patch.ravel()).reshape(look.mends.shape) > 0.5 for look in looks]
    assert np.mean(new[1][inside[1]]) > 0.95
    assert np.sum(new[0]) < 0.1 * np.sum(new[1])


def test_ground_in_doubt_still_helps() -> None:
    """Half of a dome's ground in one look: its light is uncertain there, but not worthless."""
    height = 3 * HEIGHT
    looks, nodes, frame = _mapped(_pair(height))
    x = nodes.origin[1] + nodes.spacing[1] * np.arange(nodes.shape[1])
    half = np.broadcast_to((x > 0) & (x < 150), nodes.shape).astype(np.float64)
    facets = (looks[0].to_facets @ half.ravel()).reshape(looks[0].mends.shape) > 0.3

    def error(share: float) -> float:
        doubt = np.maximum(looks[0].scene.doubt, share * facets).astype(np.float32)
        doubting = replace(looks[0], scene=replace(looks[0].scene, doubt=doubt))
        joint = solve_jointly([doubting, looks[1]], nodes)
        estimate, std, truth = _errors(joint, nodes, frame, _pair(height)[0])
        zone = truth > 0.1 * height
        assert np.mean(np.abs(estimate - truth)[zone] < 1.645 * std[zone]) > 0.7
        return float(np.sqrt(np.mean((estimate - truth)[zone] ** 2)))

    assert error(CONTRADICTED_SHARE) < 0.75 * error(LEFT_OUT)


def test_a_lake_that_the_wind_brightens_in_one_look_harms_nothing() -> None:
    """Its light is not the ground's: it is left out, and the ground around it stays."""
    references, epochs, lonlats, shores = [], [], [], []
    for simulation, windy in zip(_pair(HEIGHT), (1.0, 7.0)):
        data = simulation.stack.dataset
        lonlats.append((np.asarray(data["longitude"].values), np.asarray(data["latitude"].values)))
        frame = LocalFrame.of(*lonlats[0])
        east, north = frame.metres(*lonlats[-1])
        lake = (np.abs(east + 150) < 40) & (np.abs(north) < 60)
        shores.append((np.abs(east + 150) < 90) & (np.abs(north) < 110) & ~lake)
        images = np.asarray(data["amplitude"].values, float) ** 2
        images[:, lake] *= 0.3
        images[4:, lake] *= windy
        height = np.asarray(data["height"].values, float)
        references.append(learn_reference(list(images[:4]), height, simulation.frame, water=lake))
        epochs.append(read_epoch(list(images[4:]), references[-1]))
    looks, nodes, frame = map_looks(references, epochs, lonlats)
    joint = solve_jointly(looks, nodes)
    for simulation, lonlat, shore in zip(_pair(HEIGHT), lonlats, shores):
        east, north = frame.metres(*lonlat)
        truth = np.asarray(simulation.truth["elevation_change"].values[-1], float)
        estimate = (nodes.interpolation(north, east) @ joint.change.ravel()).reshape(truth.shape)
        assert np.sqrt(np.mean((estimate - truth)[shore & (np.hypot(east, north) < 190)] ** 2)) < 0.65


def test_a_few_blocks_that_are_far_off_are_no_contradiction() -> None:
    """Blocks that a wall is rounded off in, against a patch where all of them show another image."""
    joint, nodes, _, looks = _solved(HEIGHT)
    found = []
    for share in (0.1, 1.0):
        rng = np.random.default_rng(1)
        energy = looks[0].measured.energy.copy()
        patch = energy[12:22, 11:20]
        off = rng.uniform(size=patch.shape) < share
        patch *= np.exp(off * rng.choice([-1.5, 1.5], patch.shape))
        spoilt = [replace(looks[0], measured=replace(looks[0].measured, energy=energy)), looks[1]]
        field = Matern(nodes.shape, nodes.spacing, joint.correlation_range)
        descent = Descent(spoilt, nodes, field, rng)
        state = State(
            joint.change,
            joint.brightness[None],
            np.full(nodes.shape, 10.0),
            brightness_width(joint.kept)[None],
            joint.noise,
            joint.gain,
        )
        at = Point(state, np.array(joint.ratio))
        misfit = descent.posterior(descent.problem(joint.kept), at, joint.kept).misfit
        found.append(np.mean(misfit > CONTRADICTED))
    assert found[0] == 0.0
    assert found[1] > 0.01


def test_far_ground_that_casts_a_shadow_costs_no_wide_equations() -> None:
    """What a block is told of ground near it stays, and so does what its equation says of the residual."""
    nodes = MapNodes((12, 40), (10.0, 10.0))
    n, width = 12 * 40, 40
    middle, far = 5 * width + 8, 5 * width + 30
    weighted = np.zeros((1, 2 * n))
    weighted[0, [middle - 1, middle, middle + width, far]] = 1.0, -2.0, 0.5, 0.3
    weighted[0, n + np.array([middle - 1, middle, middle + 1])] = 1.0, 2.0, 1.0
    rng = np.random.default_rng(2)
    state = State(
        rng.standard_normal(nodes.shape),
        rng.standard_normal((1, *nodes.shape)),
        np.ones(nodes.shape),
        np.ones((1, *nodes.shape)),
        (1.0,),
        (np.zeros(1),),
    )
    right = 0.7 + weighted @ state.unknowns
    rows = Rows(sp.csr_array(weighted), right, np.ones(1), 0.0, (1, 1))
    descent = Descent([], nodes, Matern(nodes.shape, nodes.spacing, 100.0), rng)
    (found,) = descent._near([rows], state, (1, 1))
    expected = weighted.copy()
    expected[0, far] = 0.0
    np.testing.assert_array_equal(found.weighted.toarray(), expected)
    assert found.right - found.weighted @ state.unknowns == pytest.approx(0.7)


def test_a_step_that_lowers_nothing_is_not_taken() -> None:
    _, fine, _, mapped = _solved(HEIGHT)
    nodes, onto = fine.coarsened(2)
    kept = np.full(nodes.shape, 0.3)
    looks = [look.coarsened(onto) for look in mapped]
    start = State(
        np.zeros(nodes.shape),
        np.zeros((1, *nodes.shape)),
        np.full(nodes.shape, 10.0),
        brightness_width(kept)[None],
        (1.0, 1.0),
        tuple(np.zeros(look.scene.blocks[0]) for look in looks),
    )

    class Uphill(Descent):
        def _prior_cost(self, at: Point) -> float:
            return 0.0 if at.state.change is start.change else np.inf

    field = Matern(nodes.shape, nodes.spacing, 300.0)
    moves = []
    for kind in (Descent, Uphill):
        descent = kind(looks, nodes, field, np.random.default_rng(0))
        at = descent.step(descent.problem(kept), Point(start, np.zeros(2)), kept, (4, 4), learn=False)
        moves.append(float(np.abs(at.state.change).max() + np.abs(at.ratio).max()))
    assert moves[0] > 1.0
    assert moves[1] == 0.0


@pytest.mark.parametrize(
    ("evidence", "tried", "taken"),
    [
        ((20, 0, 30), 2, 0),
        ((0, 20, 40), 3, 2),
        ((0, 30, 20), 3, 1),
        ((0, 30, 33), 3, 1),  # other random numbers might say the opposite
        ((0, 6, 12), 3, 2),
        ((np.nan,) * 3, 3, 1),
        ((np.nan,), 1, 0),
    ],
)
def test_shorter_ranges_are_tried_as_long_as_they_are_likelier(
    evidence: tuple[float, ...], tried: int, taken: int
) -> None:
    nodes = MapNodes((6, 8), (10.0, 10.0))
    zero = np.zeros(nodes.shape)
    state = State(zero, zero[None], zero + 1, zero[None] + 1, (1.0,), (np.zeros(3),))
    found: list[float] = []

    def posterior(problem: object, at: Point, kept: np.ndarray) -> Posterior:
        found.append(ended.field.range)
        return Posterior(np.zeros((4, *nodes.shape)), np.zeros(1), zero, float(evidence[len(found) - 1]))

    ended = SimpleNamespace(
        nodes=nodes,
        rng=np.random.default_rng(0),
        ratio_precision=lambda: np.full(1, 1e3),
        problem=lambda kept: None,
        step=lambda problem, at, kept, by, learn: at,
        posterior=posterior,
    )
    lengths = [400.0, 200.0, 100.0][: len(evidence)]
    ends = _tried(cast(Descent, ended), Point(state, np.zeros(1)), zero, lengths, 2)
    assert found == lengths[:tried]
    assert _likeliest(ends, LIKELIER) == taken
    if np.isfinite(evidence).all():
        assert _likeliest(ends) == np.argmax(evidence[:tried])
    assert _joint(cast(Descent, ended), ends, zero, ([zero], zero), []).correlation_range == found[taken]


def test_what_the_brightness_of_the_looks_has_in_common_is_brightness_of_the_ground() -> None:
    """The descent has ended: each look's brightness is the one that it ended with, as are noise and gain."""
    nodes = MapNodes((6, 8), (10.0, 10.0))
    rng = np.random.default_rng(3)
    kept, own, zero = rng.uniform(size=nodes.shape), np.array([0.04, 0.01]), np.zeros(nodes.shape)
    gain = (np.full(3, 0.1), np.full(4, -0.2))
    state = State(zero, rng.standard_normal((1, *nodes.shape)), zero + 1, zero[None] + 1, (1.7, 0.8), gain)
    told = Posterior(np.zeros((4, *nodes.shape)), np.full(2, 0.01), zero, 0.0)
    ended = SimpleNamespace(
        nodes=nodes,
        rng=rng,
        ratio_precision=lambda: np.full(2, 1e3),
        problem=lambda kept: None,
        step=lambda problem, at, kept, by, learn: at,
        posterior=lambda problem, at, kept: told,
    )
    ends = [_End(600.0, Point(state, own), told)]
    joint = _joint(cast(Descent, ended), ends, kept, ([zero], zero), [])
    assert sum(joint.ratio) == pytest.approx(0.0, abs=1e-12)
    for mine, ratio in zip(own, joint.ratio):
        np.testing.assert_allclose(
            joint.brightness + ratio * (1 - kept), state.brightness[0] + mine * (1 - kept)
        )
    assert joint.noise == (1.7, 0.8)
    assert joint.gain == gain
    # half of the square of what coarse nodes say otherwise is error
    apart = _joint(cast(Descent, ended), ends, kept, ([zero + 2.0], zero), [])
    np.testing.assert_allclose(apart.std, np.sqrt(0.5 * 2.0**2))
    # of two offers that of the nearer
    apart = _joint(cast(Descent, ended), ends, kept, ([zero - 9.0, zero + 2.0], zero), [])
    np.testing.assert_allclose(apart.std, np.sqrt(0.5 * 2.0**2))
    # and the way that the last cycle went
    apart = _joint(cast(Descent, ended), ends, kept, ([zero + 2.0], zero - 4.0), [])
    np.testing.assert_allclose(apart.std, np.sqrt(0.5 * (2.0**2 + 4.0**2)))
