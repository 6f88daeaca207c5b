from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter

from mosart.inversion.synthesis.costs import scoring
from mosart.inversion.synthesis.epoch import _held
from mosart.inversion.synthesis.ground import Ground
from mosart.inversion.synthesis.hypotheses import compete, lost_lock
from mosart.inversion.synthesis.matching import Matching
from mosart.inversion.synthesis.search import find_start

ROWS, PIXELS, FACETS, SINE, COSINE, SPACING = 64, 200, 4, 0.6, 0.8, 2.0


def blocks_of_texture(change, seed=1):
    """Flat ground with texture of a few pixels, and its image after a change that differs by rows."""
    rng = np.random.default_rng(seed)
    points = PIXELS + 1
    ground = Ground(
        np.zeros((ROWS, points), np.float32), np.zeros(ROWS), np.arange(points) * SPACING / SINE,
        np.full(points, SINE), np.full(points, COSINE), np.ones((ROWS, points), bool), np.zeros(points),
        FACETS, SPACING, 4.0, PIXELS,
    )  # fmt: skip
    width = ground.slant_and_across()[1][0, 1] / SPACING
    field = gaussian_filter(rng.standard_normal((ROWS, PIXELS)), 1.5, mode="wrap")
    old = np.exp(0.7 * field / field.std())
    new = old.copy()
    for j in range(ROWS):  # ground that rises by a metre comes nearer by COSINE metres
        new[j] = np.roll(old[j], -round(change[j] * COSINE / SPACING))
    speckle = rng.gamma(6, 1 / 6, new.shape)
    rho = (old / width).astype(np.float32)
    return Matching(ground, rho, rho, np.zeros(rho.shape, bool), new * speckle, 4, scoring(6.0, 60.0),
                    np.zeros(new.shape, bool))  # fmt: skip


def test_the_search_finds_a_change_of_many_pixels():
    m = blocks_of_texture(np.full(ROWS, 40.0))
    start = find_start(m, -80.0, 80.0, np.zeros(m.shape))
    inside = start.change[:, 8:-6]  # ground at the near edge has left the image
    assert np.mean(np.abs(inside - 40.0) < 2.5) > 0.97
    assert np.abs(start.brightness[:, 12:-10]).max() < 0.3


def test_what_explains_the_image_wins_patch_by_patch_and_a_tie_is_disputed():
    change = np.where(np.arange(ROWS) < ROWS // 2, 40.0, 0.0)
    m = blocks_of_texture(change)
    truth = np.repeat(change[::4, None], m.shape[1], axis=1)
    first, second = np.zeros(m.shape), np.zeros(m.shape)
    first[1:3] = 40.0  # right
    second[5:7] = 40.0  # right where the first is wrong
    second[10:13] = 40.0  # wrong
    found = compete(m, first, second, 2.0)
    np.testing.assert_array_equal(found.change[:, 20], np.repeat([0, 40, 0, 40, 0], [1, 2, 2, 2, 9]))
    # where the other is better the first is not to be given
    np.testing.assert_array_equal(found.disputed[:, 20], np.repeat([False, True, False], [5, 2, 9]))
    blind = blocks_of_texture(change)
    blind.intensity[:] = 1.0
    blind.reflectivity[:] = np.mean(blind.reflectivity)
    tie = compete(blind, truth, 0 * truth, 2.0)
    assert tie.disputed[2:4].all()


def test_a_change_does_not_fall_with_a_false_one_that_touches_it():
    change = np.where(np.arange(ROWS) < 20, 40.0, 0.0)
    m = blocks_of_texture(change)
    first = np.full(m.shape, -40.0)  # wrong, and larger than what is right
    first[:5] = 40.0
    found = compete(m, first, np.zeros(m.shape), 2.0).change
    np.testing.assert_array_equal(found[:, 20], np.where(np.arange(m.shape[0]) < 5, 40.0, 0.0))


def test_ground_beside_what_stands_still_for_sure_is_not_held():
    still = np.zeros((30, 40))
    still[8:22, 10:30] = 200.0  # nats, of a window that lies in it
    window = 1.5
    evidence = gaussian_filter(still, window) - 5.0
    texture = SimpleNamespace(evidence=evidence, untold=np.zeros(still.shape, bool), window=window)
    assert (evidence[still == 0] > 50).any()  # a window shares in what lies beside it
    held = _held(texture)
    assert not held[still == 0].any()
    assert (held[12:18, 14:26] > 3).all()


def test_a_node_that_is_held_stays_where_nothing_matches():
    m = blocks_of_texture(np.zeros(ROWS))
    m.intensity[:] = np.random.default_rng(2).permutation(m.intensity.ravel()).reshape(m.intensity.shape)
    free = find_start(m, -40.0, 40.0, np.zeros(m.shape)).change
    held = find_start(m, -40.0, 40.0, np.full(m.shape, 4.0)).change
    assert np.abs(held).mean() < 0.25 * np.abs(free).mean()


def test_ground_whose_texture_is_not_found_again_is_searched_however_good_the_residuals():
    shape = (40, 60)
    rng = np.random.default_rng(3)
    look = SimpleNamespace(at_blocks=lambda values, _: values)
    problem = SimpleNamespace(looks=[look], unit=1.0, field=SimpleNamespace(spacing=(6.0, 8.0)))
    fit = SimpleNamespace(residual=rng.standard_normal(shape), rendered=None)
    change = np.zeros(shape)
    change[18:23, 10:16] = change[18:23, 44:50] = 5.0
    solution = SimpleNamespace(looks=[fit], change=change)
    moved, new = change > 0, np.zeros(shape, bool)
    assert not lost_lock(problem, solution, moved, new).any()
    new[20, 46] = True
    asked = lost_lock(problem, solution, moved, new)
    assert asked[18:23, 44:50].all()
    assert not asked[:, :30].any()  # the other patch repeats its texture
    fit.residual[18:23, 10:16] *= 2
    assert lost_lock(problem, solution, moved, new)[18:23, 10:16].all()
