from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mosart.inversion.synthesis.ground import Ground
from mosart.inversion.synthesis.look import Look, Measured
from mosart.inversion.synthesis.nodes import MapNodes
from mosart.inversion.synthesis.prior import Matern
from mosart.inversion.synthesis.problem import Problem, linearise, stack_rows
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term
from mosart.inversion.synthesis.solver import Direct

NODES = MapNodes.covering(200.0, 40.0, (12.0, 10.0), 0.2, (0.0, 0.0))


def make_look(seed, theta, *, reads=(0,), looks=40.0):
    """Gentle ground seen at an incidence angle, its fields told on NODES, its image that of no change."""
    rng = np.random.default_rng(seed)
    rows, points = 12, 161
    s, c = np.sin(np.deg2rad(theta)), np.cos(np.deg2rad(theta))
    x, y = np.arange(points) * 1.2, np.arange(rows)[:, None] * 3.0
    height = (2 * np.sin(x / 30) + np.cos(x / 11 + y / 20)).astype(np.float32)
    ground = Ground(
        height, 3.0 - height[:, 0].astype(float) * c, x, np.full(points, s), np.full(points, c),
        np.ones(height.shape, bool), np.zeros(points), 8, 1.0, 3.0, int(points * 1.2 * s) - 4,
    )  # fmt: skip
    rho = rng.gamma(4, 0.25, (rows, points - 1)).astype(np.float32)
    scene = Scene(ground, rho, 1.0, (4, 8), azimuth_slope_term(ground), np.zeros_like(rho))
    energy = scene.render(np.zeros(scene.knots), derivatives=False).energy
    measured = Measured(
        energy * rng.gamma(looks, 1 / looks, energy.shape), np.ones(energy.shape), 0 * energy, looks, 200.0
    )
    azimuth, along = np.meshgrid(scene.nodes.row_centres * 3.0, scene.nodes.x, indexing="ij")
    return Look(scene, measured, NODES.interpolation(azimuth, along), reads)


@pytest.fixture(scope="module")
def two():
    looks = [make_look(1, 35.0, reads=(0,)), make_look(2, 45.0, reads=(0, 1))]
    return Problem(looks, Matern(NODES.shape, NODES.spacing, 60.0), solver="direct")


def test_the_equations_of_two_looks_are_the_derivatives_of_their_log_energies(two):
    rng = np.random.default_rng(3)
    start = two.start()
    state = dataclasses.replace(
        start,
        change=0.3 * rng.normal(size=start.change.shape),
        brightness=0.1 * rng.normal(size=start.brightness.shape),
    )
    assert state.brightness.shape[0] == two.bright_fields == 2
    merges = two.merging((2, 2))
    rows = linearise(two, state, two.render(state), merges)
    step = rng.normal(size=state.unknowns.size)
    goal = step.reshape(-1, *state.change.shape)

    def residuals(size):
        moved = dataclasses.replace(
            state, change=state.change + size * goal[0], brightness=state.brightness + size * goal[1:]
        )
        rendered = two.render(moved, derivatives=False)
        return [
            look.residual(out, gain, m)[0]
            for look, out, gain, m in zip(two.looks, rendered, state.gain, merges)
        ]

    variances = two.variances(two.render(state), state, merges)
    for k, (plus, minus) in enumerate(zip(residuals(1e-6), residuals(-1e-6))):
        used = rows[k].used & (np.abs(rows[k].standard) < 3)
        assert used.sum() > 10
        numeric = (minus - plus)[used] / 2e-6 / np.sqrt(variances[k][used])
        analytic = (rows[k].weighted @ step)[used]
        # the stabiliser of the logarithm is left out of the derivative of the model, as it should be
        np.testing.assert_allclose(analytic, numeric, rtol=1e-4, atol=1e-4 * np.abs(numeric).max())


def test_a_second_image_of_the_same_look_adds_its_information_once():
    one = make_look(4, 38.0)
    field = Matern(NODES.shape, NODES.spacing, 60.0)
    alone, twice = (Problem(looks, field, solver="direct") for looks in ([one], [one, one]))
    precision = []
    for problem in (alone, twice):
        state = problem.start()
        weighted, right = stack_rows(
            linearise(problem, state, problem.render(state), problem.merging((1, 1)))
        )
        precision.append(((weighted.T @ weighted).toarray(), weighted.T @ right, weighted, problem, state))
    np.testing.assert_allclose(precision[1][0], 2 * precision[0][0], atol=1e-9)
    np.testing.assert_allclose(precision[1][1], 2 * precision[0][1], atol=1e-9)
    _, right, weighted, problem, state = precision[1]
    solved = Direct(weighted, problem.priors(state)).solve(right)
    assert np.isfinite(solved).all()
