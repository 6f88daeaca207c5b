from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from mosart.inversion.synthesis.band import BESIDE, Ordering, Room
from mosart.inversion.synthesis.gains import date_gain
from mosart.inversion.synthesis.noise import effective_looks, looks_of_log_variance
from mosart.inversion.synthesis.prior import Matern, Prior
from mosart.inversion.synthesis.reflectivity import choose_kernel, predict
from mosart.inversion.synthesis.solver import Direct, Iterative, make_solver


def test_the_field_has_unit_variance_and_the_range_that_it_is_given():
    field = Matern((96, 128), (4.0, 6.0), 60.0)
    rng = np.random.default_rng(0)
    draws = np.array([field.colour(rng.standard_normal(field.shape)) for _ in range(40)])
    inner = draws[:, 20:-20, 20:-20]
    assert inner.var() == pytest.approx(1.0, abs=0.1)
    lag = int(60 / 6)
    correlation = (inner[:, :, lag:] * inner[:, :, :-lag]).mean() / inner.var()
    assert correlation == pytest.approx(0.14, abs=0.06)
    white = field.factor @ draws[0].ravel()
    np.testing.assert_allclose(field.colour(white.reshape(field.shape)), draws[0], atol=1e-8)


def test_direct_and_iterative_solvers_agree_and_their_samples_have_the_posterior_variance():
    rng = np.random.default_rng(1)
    shape = (14, 18)
    n = shape[0] * shape[1]
    data = 400
    rows = np.repeat(np.arange(data), 4)
    jacobian = sp.csr_array(
        (rng.normal(size=4 * data), (rows, rng.integers(0, 2 * n, 4 * data))), (data, 2 * n)
    )
    envelope = rng.uniform(0.1, 5.0, shape)
    priors = [
        Prior(Matern(shape, (8.0, 12.0), 130.0), envelope),
        Prior(Matern(shape, (8.0, 12.0), 260.0), np.full(shape, 0.2)),
    ]
    right = jacobian.T @ rng.normal(size=data)
    direct, iterative = Direct(jacobian, priors), Iterative(jacobian, priors)
    a, b = direct.solve(right), iterative.solve(right)
    assert np.sqrt(np.mean((a - b) ** 2)) < 1e-3 * np.sqrt(np.mean(a**2))
    factor = sp.block_diag([p.factor for p in priors])
    variance = np.diag(np.linalg.inv((jacobian.T @ jacobian + factor.T @ factor).toarray()))
    drawn = [solver.samples(300, np.random.default_rng(2))[0] for solver in (direct, iterative)]
    for samples in drawn:
        ratio = samples.var(axis=0) / variance
        assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    # the same random numbers: the same samples, whichever solver drew them
    difference = np.sqrt(np.mean((drawn[0] - drawn[1]) ** 2, axis=0) / variance)
    assert difference.max() < 0.01
    precision = (jacobian.T @ jacobian + factor.T @ factor).toarray()
    assert direct.log_determinant() == pytest.approx(np.linalg.slogdet(precision)[1], rel=1e-6)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("number", [1, BESIDE + 1])
def test_rows_that_reach_far_widen_the_band_only_where_they_are_many(number, single):
    shape = (5, 30)
    wide = np.zeros((number, 300))
    wide[:, 0], wide[:, 154] = 1.0, np.linspace(1.0, 2.0, number)
    near = np.random.default_rng(0).normal(size=(60, 3))
    ones = sp.csr_array((near.ravel(), (np.repeat(np.arange(60), 3), np.arange(180))), shape=(60, 300))
    zero = sp.csr_array((np.zeros(1), (np.zeros(1, int), np.array([149]))), shape=(1, 300))
    jacobian = sp.csr_array(sp.vstack([sp.csr_array(wide), ones, zero], format="csr"))
    priors = [Prior(Matern(shape, (8.0, 12.0), 130.0), np.ones(shape))] * 2
    ordering = Ordering(jacobian, priors)  # along the five rows: two columns of K, or four of a row
    assert ordering.width == (4 * 5 * 2 + 1 if number > BESIDE else 2 * 2 * 5)
    factor = sp.block_diag([p.factor for p in priors]).toarray()
    precision = jacobian.toarray().T @ jacobian.toarray() + factor.T @ factor
    direct = Direct(jacobian, priors, single=single)
    right = np.arange(300.0)
    np.testing.assert_allclose(direct.solve(right), np.linalg.solve(precision, right), rtol=1e-5, atol=1e-6)
    assert direct.log_determinant() == pytest.approx(np.linalg.slogdet(precision)[1], rel=1e-5)
    drawn = direct.samples(8, np.random.default_rng(1))[0]
    exact = Iterative(jacobian, priors).samples(8, np.random.default_rng(1))[0]
    assert np.abs(drawn - exact).max() < 1e-3 * np.abs(exact).max()


def test_single_precision_is_corrected_and_gives_way_where_it_does_not_suffice():
    shape = (30, 40)
    n = shape[0] * shape[1]
    rng = np.random.default_rng(4)
    right = rng.normal(size=n)
    jacobian = sp.csr_array(([1.0], ([0], [n // 2])), shape=(1, n))
    for length in (300.0, 1e6):  # the longer the range, the smoother what is left to the data
        prior = Prior(Matern(shape, (8.0, 12.0), length), np.geomspace(0.01, 100.0, n).reshape(shape))
        exact = make_solver(jacobian, [prior], "direct").solve(right)
        found = make_solver(jacobian, [prior], "direct", single=True).solve(right)
        assert np.linalg.norm(found - exact) < 1e-3 * np.linalg.norm(exact)


def test_memory_that_is_used_again_holds_nothing_of_what_was_there():
    shape, room = (6, 7), Room()
    jacobian = sp.csr_array(np.random.default_rng(5).normal(size=(20, 42)) * (np.arange(42) < 5))
    found = []
    for envelope in (5.0, 0.5, 5.0):
        prior = Prior(Matern(shape, (8.0, 12.0), 130.0), np.full(shape, envelope))
        found.append(Direct(jacobian, [prior], single=envelope < 1, room=room).solve(np.ones(42)))
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("looks", [0.5, 1.0, 7.3, 300.0])
def test_looks_follow_from_the_variance_of_the_logarithm(looks):
    rng = np.random.default_rng(3)
    z = np.log(rng.gamma(looks, 1 / looks, 200_000))
    assert looks_of_log_variance(float(z.var())) == pytest.approx(looks, rel=0.03)


def test_effective_looks_are_measured_on_textured_ground_with_gains_and_a_change():
    rng = np.random.default_rng(4)
    texture = np.exp(rng.normal(size=(40, 50)))
    sums = [texture * g * rng.gamma(20, 1 / 20, texture.shape) for g in (1.0, 3.0, 0.5)]
    sums[2][:10, :10] *= 4
    assert effective_looks(sums) == pytest.approx(20, rel=0.15)


def test_a_gain_is_read_on_still_ground_though_bright_new_rock_fills_half_of_the_rows():
    rng = np.random.default_rng(5)
    texture = np.exp(0.7 * rng.normal(size=(40, 60)))
    reference = texture * rng.gamma(60, 1 / 60, texture.shape)
    new = 1.7 * texture * rng.gamma(60, 1 / 60, texture.shape)
    fresh = np.exp(0.7 * rng.normal(size=(40, 34)))
    new[:, 20:54] = 1.7 * 1.6 * fresh * rng.gamma(60, 1 / 60, fresh.shape)
    gain = date_gain(new, reference, 4, 30.0)
    np.testing.assert_allclose(gain, np.log(1.7), atol=0.06)


@pytest.mark.parametrize("dates", [1, 4])
def test_the_kernel_follows_the_texture(dates):
    rng = np.random.default_rng(6)
    unit = np.ones((120, 160))
    smooth_ground = [rng.exponential(size=unit.shape) for _ in range(dates)]
    fine = np.exp(1.2 * rng.normal(size=unit.shape))
    textured = [fine * rng.gamma(8, 1 / 8, unit.shape) for _ in range(dates)]
    assert choose_kernel(smooth_ground, unit)[1] >= 3.0
    if dates > 1:
        assert choose_kernel(textured, unit)[1] <= 0.6
    gap = smooth_ground[0].copy()
    gap[40:60, 50:90] = np.nan
    rho = predict(gap, unit, (2.0, 3.0))
    assert np.isfinite(rho).all()
    assert np.median(rho) == pytest.approx(1.0, abs=0.1)
