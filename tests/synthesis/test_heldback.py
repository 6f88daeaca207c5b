from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from mosart.inversion.synthesis.heldback import WIDTHS, find_bumps, find_held_back, whiten
from mosart.inversion.synthesis.prior import Matern, Prior
from mosart.inversion.synthesis.solver import Direct

SHAPE, SPACING, NOISE = (24, 30), (16.0, 24.0), 0.6


def solved(truth, seed, envelope=0.3):
    """Mean and draws of a field that is seen node by node through white noise, under a closed prior."""
    rng = np.random.default_rng(seed)
    seen = truth + NOISE * rng.standard_normal(SHAPE)
    jacobian = sp.csr_array(sp.eye_array(truth.size) / NOISE)
    prior = Prior(Matern(SHAPE, SPACING, 280.0), np.full(SHAPE, envelope))
    solver = Direct(jacobian, [prior])
    mean = solver.solve(jacobian.T @ (seen.ravel() / NOISE)).reshape(SHAPE)
    return prior, mean, *solver.samples(64, rng)


def bumps(found, width):
    return find_bumps(found[0], *whiten(*found), width)


def bump(height, width):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    metres = width * max(SPACING)
    return height * np.exp(-0.5 * (((y - 12) * SPACING[0]) ** 2 + ((x - 15) * SPACING[1]) ** 2) / metres**2)


@pytest.mark.parametrize("width", WIDTHS)
def test_scores_of_a_field_that_is_as_the_prior_says_are_standard_normal(width):
    field = Matern(SHAPE, SPACING, 280.0)
    scores = []
    for seed in range(6):
        truth = 0.3 * field.colour(np.random.default_rng(50 + seed).standard_normal(SHAPE))
        scores.append(bumps(solved(truth, seed), width).score)
    assert np.std(scores) == pytest.approx(1.0, abs=0.12)
    assert abs(np.mean(scores)) < 0.15


@pytest.mark.parametrize(
    ("height", "width", "envelope"), [(3.0, 1.0, 0.3), (-3.0, 1.0, 0.3), (1.0, 3.0, 0.05), (-1.0, 3.0, 0.05)]
)
def test_a_change_that_the_prior_holds_back_is_found_and_doubted_as_much_as_is_missing(
    height, width, envelope
):
    truth = bump(height, width)
    missing, found, likely, doubt = [], [], [], []
    for seed in range(4):
        prior, mean, *draws = solved(truth, seed, envelope)
        missing.append(height - mean[12, 15])
        found.append(bumps((prior, mean, *draws), width).height[12, 15])
        both = find_held_back(prior, mean, *draws)
        likely.append(both[0][12, 15])
        doubt.append(both[1][12, 15])
    assert abs(np.mean(missing)) > 0.3 * abs(height)  # the prior does hold it back
    assert min(likely) > 0.9
    assert np.mean(found) == pytest.approx(np.mean(missing), rel=0.3)
    # the largest within its reach counts
    assert 0.7 < np.mean(doubt) / abs(np.mean(missing)) < 3


def test_noise_alone_is_not_doubted():
    doubts = [find_held_back(*solved(np.zeros(SHAPE), 20 + seed))[1] for seed in range(4)]
    assert np.median(doubts) < 0.1 * NOISE
    assert np.mean(np.array(doubts) > NOISE) < 0.01
