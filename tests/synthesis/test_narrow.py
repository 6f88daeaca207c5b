from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from mosart.inversion.synthesis.narrow import find_narrow
from mosart.inversion.synthesis.prior import Matern, Prior
from mosart.inversion.synthesis.solver import Direct

SHAPE, SPACING, NOISE = (24, 30), (16.0, 24.0), 0.6


def solved(truth, seed, envelope=0.3):
    """Find narrow changes in a field that is seen node by node through white noise, under a closed prior."""
    rng = np.random.default_rng(seed)
    seen = truth + NOISE * rng.standard_normal(SHAPE)
    jacobian = sp.csr_array(sp.eye_array(truth.size) / NOISE)
    prior = Prior(Matern(SHAPE, SPACING, 280.0), np.full(SHAPE, envelope))
    solver = Direct(jacobian, [prior])
    mean = solver.solve(jacobian.T @ (seen.ravel() / NOISE)).reshape(SHAPE)
    return mean, find_narrow(prior, mean, *solver.samples(64, rng))


def bump(height):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return height * np.exp(-0.5 * (((y - 12) * SPACING[0]) ** 2 + ((x - 15) * SPACING[1]) ** 2) / 24.0**2)


def test_scores_of_a_field_that_is_as_the_prior_says_are_standard_normal():
    field = Matern(SHAPE, SPACING, 280.0)
    scores = []
    for seed in range(6):
        truth = 0.3 * field.colour(np.random.default_rng(50 + seed).standard_normal(SHAPE))
        scores.append(solved(truth, seed)[1].score)
    assert np.std(scores) == pytest.approx(1.0, abs=0.12)
    assert abs(np.mean(scores)) < 0.15


@pytest.mark.parametrize("height", [3.0, -3.0])
def test_a_narrow_change_that_the_prior_holds_back_is_found_and_doubted_as_much_as_is_missing(height):
    truth = bump(height)
    missing, found, likely, doubt = [], [], [], []
    for seed in range(4):
        mean, narrow = solved(truth, seed)
        missing.append(height - mean[12, 15])
        found.append(narrow.height[12, 15])
        likely.append(narrow.likely[12, 15])
        doubt.append(narrow.doubt[12, 15])
    assert abs(np.mean(missing)) > 1.0  # the prior does hold it back
    assert min(likely) > 0.9
    assert np.mean(found) == pytest.approx(np.mean(missing), rel=0.3)
    assert np.mean(doubt) > 0.7 * abs(np.mean(missing))


def test_noise_alone_is_not_doubted():
    doubts = [solved(np.zeros(SHAPE), 20 + seed)[1].doubt for seed in range(4)]
    assert np.median(doubts) < 0.1 * NOISE
    assert np.mean(np.array(doubts) > NOISE) < 0.01
