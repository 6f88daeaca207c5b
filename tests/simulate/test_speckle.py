"""Speckle against its moments and correlation in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import gamma, kstest

from mosart.errors import InputError
from mosart.simulate.speckle import speckle

SHAPE = (300, 400)


@pytest.mark.parametrize("looks", [0.5, 1.0, 3.7, 16.0])
def test_is_gamma_with_any_number_of_looks(looks):
    x = speckle(SHAPE, looks, np.random.default_rng(1)).ravel()
    assert x.mean() == pytest.approx(1.0, abs=5 / math.sqrt(looks * x.size))
    assert kstest(x, gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3


@pytest.mark.parametrize("looks", [1.0, 2.5, 4.0, 6.2])
def test_correlated_speckle_keeps_mean_and_looks(looks):
    x = speckle(SHAPE, looks, np.random.default_rng(2), oversampling=(1.3, 1.6)).astype(float)
    n = x.size / 1.3 / 1.6  # independent cells
    assert x.mean() == pytest.approx(1.0, abs=5 / math.sqrt(looks * n))
    assert x.mean() ** 2 / x.var() == pytest.approx(looks, rel=0.05)


def test_correlation_is_that_of_a_rectangular_band():
    x = speckle((400, 500), 1.0, np.random.default_rng(3), oversampling=(1.0, 2.0)).astype(float)
    x -= x.mean()
    for lag in (1, 2, 3):
        along = (x[:, lag:] * x[:, :-lag]).mean() / x.var()
        assert along == pytest.approx(np.sinc(lag / 2.0) ** 2, abs=0.02)
    assert (x[1:] * x[:-1]).mean() / x.var() == pytest.approx(0.0, abs=0.02)


def test_infinite_looks_are_no_speckle():
    assert (speckle((3, 4), math.inf, np.random.default_rng(0)) == 1).all()


def test_one_row():
    x = speckle((1, 5000), 1.0, np.random.default_rng(0), oversampling=(1.5, 1.5))
    assert x.shape == (1, 5000)
    assert x.mean() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("looks", "oversampling"),
    [(0.0, (1, 1)), (-1.0, (1, 1)), (math.nan, (1, 1)), (1.0, (0.5, 1)), (0.5, (2, 2))],
)
def test_refusals(looks, oversampling):
    with pytest.raises(InputError):
        speckle((2, 2), looks, np.random.default_rng(0), oversampling=oversampling)
