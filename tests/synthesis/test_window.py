"""What is refined again in a window is what all of it would have become, and the rest stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mosart.inversion.synthesis.ground import Ground
from mosart.inversion.synthesis.look import Look, Measured
from mosart.inversion.synthesis.newton import FROM_START, refine
from mosart.inversion.synthesis.prior import Matern
from mosart.inversion.synthesis.problem import Problem
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term
from mosart.inversion.synthesis.window import OUTSIDE, cropped, laid, refine_around, windows, within

SINE, COSINE = np.sin(np.deg2rad(38.0)), np.cos(np.deg2rad(38.0))


def make_scene(steep):
    """Eighty nodes along the range; where `steep`, with a cliff in the middle that folds and shadows."""
    rng = np.random.default_rng(0)
    rows, points = 40, 1281
    x, y = np.arange(points) * 0.8, np.arange(rows)[:, None] * 3.0
    height = 3 * np.sin(x / 25 + y / 40) + np.cos(x / 9)
    height = (height + steep * 40 * np.exp(-(((x - 500) / 25) ** 2))).astype(np.float32)
    bend = np.full(points, 1e-5)
    ground = Ground(
        height, 6.0 - height[:, 0] * COSINE, x, np.full(points, SINE), np.full(points, COSINE),
        np.ones(height.shape, bool), bend, 16, 1.0, 3.0, int(points * 0.8 * SINE) - 4,
    )  # fmt: skip
    rho = rng.gamma(3, 1 / 3, (rows, points - 1)).astype(np.float32)
    return Scene(ground, rho, 0.7, (4, 8), azimuth_slope_term(ground), np.zeros_like(rho))


def make_problem(scene, change, seed=1):
    rng = np.random.default_rng(seed)
    energy = scene.render(change, derivatives=False).energy
    energy = energy * rng.gamma(120.0, 1 / 120.0, energy.shape)
    measured = Measured(energy, np.ones(energy.shape), 0 * energy, 120.0, 400.0)
    return Problem([Look(scene, measured)], Matern(scene.knots, (12.0, 12.8), 130.0), seed=1)


def hill(scene, size, at):
    y, x = np.mgrid[: scene.knots[0], : scene.knots[1]]
    return size * np.exp(-(((y - 4.5) / 3.0) ** 2) - ((x - at) / 6.0) ** 2)


def test_windows_hold_what_is_asked_for_with_a_margin_and_do_not_overlap():
    rng = np.random.default_rng(2)
    for _ in range(20):
        asked = rng.random((40, 90)) < 0.001
        boxes = windows(asked, (5, 8))
        count = np.zeros(asked.shape, int)
        for box in boxes:
            count[box] += 1
        assert count.max(initial=0) <= 1
        for j, i in np.argwhere(asked):
            assert count[max(j - 5, 0) : j + 6, max(i - 8, 0) : i + 9].all()
    assert windows(np.zeros((4, 4), bool), (1, 1)) == []


@pytest.mark.parametrize("steep", [0.0, 1.0])
def test_a_window_shows_in_its_blocks_what_the_whole_shows(steep):
    scene = make_scene(steep)
    problem = make_problem(scene, np.zeros(scene.knots))
    solution = refine(problem, problem.start(), FROM_START)
    change = hill(scene, 6.0, 40)
    before = scene.render(change)
    box = (slice(1, 9), slice(28, 57))
    part = within(problem, solution, before, box).looks[0]
    shown = part.measured.share > 0
    inside = (slice(1, -1), slice(None))  # the outermost rows lack the nodes beyond
    seen = part.scene.render(change[box], derivatives=False).energy
    whole = before.energy[box[0]]
    # its place along the range: where the image is the same
    energy = problem.looks[0].measured.energy[box[0]]
    width = seen.shape[1]
    offset = next(
        k for k in range(energy.shape[1]) if (energy[:, k : k + width] == part.measured.energy).all()
    )
    assert shown[inside].mean() > 0.8
    np.testing.assert_allclose(
        seen[inside][shown[inside]], whole[:, offset : offset + width][inside][shown[inside]], rtol=1e-6
    )
    assert not shown.all() or not steep


def test_a_change_that_was_missed_is_found_in_its_window_and_nothing_moves_elsewhere():
    scene = make_scene(0.0)
    truth = hill(scene, 8.0, 40)
    still = make_problem(scene, np.zeros(scene.knots))
    kept = refine(still, still.start(), FROM_START)

    def problem_and_start():
        problem = make_problem(scene, truth)
        return problem, replace(problem.start(truth), envelope=np.maximum(truth, 0.4))

    problem, start = problem_and_start()
    found = refine_around(problem, kept, start, truth > 1.0)
    everywhere = refine(*problem_and_start(), FROM_START, uniform_steps=0)
    where = truth > 0.5
    assert np.sqrt(np.mean((found.change - truth)[where] ** 2)) < 0.5 * np.sqrt(np.mean(truth[where] ** 2))
    relative = ((found.change - everywhere.change) / everywhere.std)[where]
    assert np.sqrt(np.mean(relative**2)) < 0.5
    outside = np.ones(truth.shape, bool)
    (box,) = windows(truth > 1.0, (11, 11))
    outside[box] = False
    assert outside.any()
    np.testing.assert_array_equal(found.change[outside], kept.change[outside])
    # a window that is most of the image is the whole
    problem, start = problem_and_start()
    again = refine_around(problem, kept, start, truth > -1.0)
    np.testing.assert_array_equal(again.change, everywhere.change)


def test_a_window_gives_way_to_its_surroundings_before_its_edge():
    scene = make_scene(0.0)
    problem = make_problem(scene, np.zeros(scene.knots))
    state = problem.start()
    box = (slice(0, 10), slice(20, 60))
    part = problem.start(np.ones(scene.knots))
    joined = laid(state, cropped(part, box), box, (8, 12))
    along = joined.change[5]
    assert (along[: 20 + int(12 * OUTSIDE)] == 0).all()
    assert (along[32:48] == 1).all()
    assert (np.diff(along[20:33]) >= 0).all()
    np.testing.assert_array_equal(joined.change, np.broadcast_to(along, joined.change.shape))
