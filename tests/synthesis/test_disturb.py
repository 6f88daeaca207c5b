from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mosart.inversion.synthesis.disturb import responses, with_law, with_offset
from mosart.inversion.synthesis.ground import Ground
from mosart.inversion.synthesis.look import Look, Measured
from mosart.inversion.synthesis.newton import Level, refine
from mosart.inversion.synthesis.prior import Matern
from mosart.inversion.synthesis.problem import Problem
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term

SINE, COSINE = np.sin(np.deg2rad(38.0)), np.cos(np.deg2rad(38.0))


def make_scene(seed=0):
    rng = np.random.default_rng(seed)
    rows, points = 40, 321
    x, y = np.arange(points) * 0.8, np.arange(rows)[:, None] * 3.0
    height = (3 * np.sin(x / 25 + y / 40) + np.cos(x / 9)).astype(np.float32)
    ground = Ground(
        height, 6.0 - height[:, 0] * COSINE, x, np.full(points, SINE), np.full(points, COSINE),
        np.ones(height.shape, bool), np.zeros(points), 16, 1.0, 3.0, int(points * 0.8 * SINE) - 4,
    )  # fmt: skip
    rho = rng.gamma(3, 1 / 3, (rows, points - 1)).astype(np.float32)
    return Scene(ground, rho, 1.0, (4, 8), azimuth_slope_term(ground), np.zeros_like(rho))


def make_problem(scene, change):
    energy = scene.render(change, derivatives=False).energy
    measured = Measured(energy, np.ones(energy.shape), 0 * energy, 120.0, 400.0)
    return Problem([Look(scene, measured)], Matern(scene.knots, (12.0, 12.8), 130.0), seed=1)


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def hill(scene, size):
    y, x = np.mgrid[: scene.knots[0], : scene.knots[1]]
    return size * np.exp(-(((y - 4.5) / 2.5) ** 2) - ((x - 10) / 3.5) ** 2)


def test_an_offset_in_range_is_a_change_of_its_height_where_ground_may_change(scene):
    problem = make_problem(scene, np.zeros(scene.knots))
    middle = (slice(2, -2), slice(4, -4))
    free = dataclasses.replace(problem.start(), envelope=np.full(scene.knots, 30.0))
    (found,) = responses(problem, free, [[with_offset(scene, 0.1)]])
    assert np.median(found[middle]) == pytest.approx(0.1 / COSINE, rel=0.2)  # brightness takes a part
    held = dataclasses.replace(problem.start(), envelope=np.full(scene.knots, 0.01))
    (found,) = responses(problem, held, [[with_offset(scene, 0.1)]])
    assert np.abs(found[middle]).max() < 0.3 * 0.1 / COSINE


def test_another_law_shows_the_same_reference_image(scene):
    other = with_law(scene, 1.8)
    still = np.zeros(scene.knots)
    before, after = (s.render(still, derivatives=False).energy for s in (scene, other))
    np.testing.assert_allclose(after, before, rtol=1e-5)
    moved = hill(scene, 4.0)
    before, after = (s.render(moved, derivatives=False).energy for s in (scene, other))
    assert np.abs(np.log(after / before)).max() > 0.02


def test_the_response_to_another_law_is_how_far_the_solution_moves(scene):
    change = hill(scene, 4.0)
    problem = make_problem(scene, change)
    first = refine(problem, problem.start())
    other = with_law(scene, 1.3)
    (predicted,) = responses(problem, first.state, [[other]])
    again = Problem([dataclasses.replace(problem.looks[0], scene=other)], problem.field, seed=1)
    second = refine(again, first.state, (Level((1, 1), 5),), uniform_steps=0)
    longer = refine(make_problem(scene, change), first.state, (Level((1, 1), 5),), uniform_steps=0)
    moved = second.change - longer.change
    where = change > 1
    assert np.sqrt(np.mean(moved[where] ** 2)) > 0.03
    slope = (predicted * moved)[where].sum() / (moved[where] ** 2).sum()
    assert 0.6 < slope < 1.5
    assert np.corrcoef(predicted[where], moved[where])[0, 1] > 0.8
