from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from mosart.inversion.synthesis.prior import Matern, Prior, learn_envelope
from mosart.inversion.synthesis.solver import Direct

SHAPE, SPACING, RANGE = (40, 44), (8.0, 12.0), 140.0
BOUNDS = {"floor": 0.02, "ceiling": 100.0, "least": 0.01}
NOISE = 0.8


def learned(truth, seed, steps=14):
    """Envelope and posterior of a field that is seen node by node through white noise."""
    rng = np.random.default_rng(seed)
    seen = truth + NOISE * rng.standard_normal(SHAPE)
    jacobian = sp.csr_array(sp.eye_array(truth.size) / NOISE)
    prior = Prior(Matern(SHAPE, SPACING, RANGE), np.full(SHAPE, 4.0))
    for _ in range(steps):
        solver = Direct(jacobian, [prior])
        mean = solver.solve(jacobian.T @ (seen.ravel() / NOISE)).reshape(SHAPE)
        samples, white = solver.samples(16, rng)
        prior = Prior(prior.field, learn_envelope(prior, mean, samples, white, **BOUNDS))
    solver = Direct(jacobian, [prior])
    mean = solver.solve(jacobian.T @ (seen.ravel() / NOISE)).reshape(SHAPE)
    return prior.envelope, mean, solver.samples(64, rng)[0].std(axis=0).reshape(SHAPE)


def test_the_envelope_finds_where_a_field_lives_and_how_large_it_is_and_the_bars_hold():
    field = Matern(SHAPE, SPACING, RANGE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.hypot((y - 20) / 12, (x - 22) / 9) < 1
    sizes, held, still = [], [], []
    for seed in range(4):
        truth = 5.0 * inside * field.colour(np.random.default_rng(100 + seed).standard_normal(SHAPE))
        envelope, mean, std = learned(truth, seed)
        sizes.append(np.sqrt(np.mean(envelope[inside] ** 2)) / 5.0)
        held.append(np.mean(np.abs(mean - truth)[inside] < 1.645 * std[inside]))
        far = np.hypot((y - 20) / 24, (x - 22) / 18) > 1
        still.append(np.sqrt(np.mean(mean[far] ** 2)))
    assert 0.6 < np.exp(np.mean(np.log(sizes))) < 1.5
    assert 0.82 < np.mean(held) < 0.97
    assert max(still) < 0.15 * NOISE  # ground that stays is held


def test_a_large_smooth_change_is_not_shrunk():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    dome = 6.0 * np.exp(-(((y - 20) / 9) ** 2) - ((x - 22) / 7) ** 2)
    slopes = []
    for seed in range(3):
        _, mean, _ = learned(dome, seed)
        slopes.append((mean * dome).sum() / (dome**2).sum())
    assert 0.94 < np.mean(slopes) < 1.03


def test_noise_alone_leaves_no_envelope():
    envelope, mean, _ = learned(np.zeros(SHAPE), 7)
    assert np.median(envelope) < 0.15 * NOISE
    assert np.sqrt(np.mean(mean**2)) < 0.1 * NOISE


def test_draws_beside_their_white_noise_give_the_freedom_that_the_data_tell():
    rng = np.random.default_rng(3)
    shape = (12, 14)
    prior = Prior(Matern(shape, SPACING, 90.0), rng.uniform(0.5, 3.0, shape))
    jacobian = sp.csr_array(sp.diags_array(rng.uniform(0.0, 0.8, prior.envelope.size)))
    factor = prior.factor
    covariance = np.linalg.inv((jacobian.T @ jacobian + factor.T @ factor).toarray())
    told = 1 - np.diag(factor @ covariance @ factor.T)
    samples, white = Direct(jacobian, [prior]).samples(4000, rng)
    found = np.mean(white * (white - (factor @ samples.T).T), axis=0)
    assert np.abs(found - told).max() < 0.1
    assert abs(found.sum() / told.sum() - 1) < 0.05
