"""Despeckling: what it removes, what it leaves, and how filtered images are told."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import denoise_nl_means

from mosart.despeckle import FILTERED_LOOKS, image_median, measure_looks, nlm, nlm_absolute, overlap


def speckle(looks: float, shape: tuple[int, int] = (60, 80), seed: int = 0) -> np.ndarray:
    """Amplitude of constant ground, its mean intensity 1."""
    return np.sqrt(np.random.default_rng(seed).gamma(looks, 1.0 / looks, shape))


def step(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    image = np.ones(shape)
    image[:, shape[1] // 2 :] = 3.0
    return image


def test_takes_speckle_and_keeps_edges() -> None:
    noisy = 50.0 * step() * speckle(4.0)
    filtered = nlm(noisy)
    truth = 50.0 * step() * speckle(4.0, (400, 400)).mean()
    left, right = filtered[:, :30], filtered[:, 50:]
    assert left.std() < 0.35 * noisy[:, :30].std()
    assert abs(left.mean() - truth[0, 0]) < 2.0
    assert abs(right.mean() - truth[0, -1]) < 5.0
    assert (filtered[:, 44:].mean() - filtered[:, :36].mean()) > 0.85 * (truth[0, -1] - truth[0, 0])


@pytest.mark.parametrize("unit", [1e-3, 0.2, 60.0, 5000.0])
def test_unit_does_not_matter(unit: float) -> None:
    image = step() * speckle(2.0)
    np.testing.assert_allclose(nlm(unit * image) / unit, nlm(image), rtol=1e-9)


def test_absolute_strength_is_scikit_image() -> None:
    image = 60.0 * step() * speckle(2.0)
    expected = denoise_nl_means(image, patch_size=5, patch_distance=5, h=18.0, sigma=30.0, fast_mode=True)
    np.testing.assert_allclose(nlm_absolute(image, 30.0), expected, rtol=1e-12)


@pytest.mark.parametrize("gaussian", [0.0, 1.0])
def test_gaps_stay_gaps_and_do_not_grow(gaussian: float) -> None:
    image = 60.0 * step() * speckle(2.0)
    image[10:14, 20:30] = np.nan
    image[0, 0] = np.nan
    image[40] = np.nan
    filtered = nlm(image, gaussian=gaussian)
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(image))
    whole = nlm(60.0 * step() * speckle(2.0), gaussian=gaussian)
    assert abs(np.nanmean(filtered - whole)) < 0.5


def test_image_without_values() -> None:
    assert np.isnan(nlm(np.full((5, 6), np.nan))).all()
    assert (nlm(np.zeros((5, 6))) == 0.0).all()
    assert image_median(np.array([[np.nan, 0.0]])) == 0.0
    assert np.isnan(measure_looks(np.full((9, 9), np.nan)))
    assert np.isnan(measure_looks(np.ones((3, 9))))
    assert np.isnan(measure_looks(np.zeros((9, 9))))


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)])
def test_single_rows(shape: tuple[int, int]) -> None:
    image = speckle(2.0, shape)
    filtered = nlm(image)
    assert filtered.shape == shape
    repeated = nlm(np.repeat(image, 3, axis=0) if shape[0] == 1 else np.repeat(image, 3, axis=1))
    np.testing.assert_allclose(filtered, repeated[1:2] if shape[0] == 1 else repeated[:, 1:2], rtol=1e-9)


def test_tiles_with_their_overlap_are_as_in_the_whole_image() -> None:
    image = 60.0 * step() * speckle(2.0)
    median = image_median(image)
    depth = overlap()
    whole = nlm(image)
    for start, stop in ((0, 20), (20, 41), (41, 60)):
        first = max(0, start - depth)
        tile = nlm(image[first : stop + depth], median=median)
        np.testing.assert_allclose(tile[start - first : stop - first], whole[start:stop], rtol=0, atol=1e-9)


@pytest.mark.parametrize("looks", [1.0, 2.0, 4.0, 9.0])
def test_looks_are_measured(looks: float) -> None:
    image = 0.2 * speckle(looks, (150, 200))
    assert measure_looks(image) == pytest.approx(looks, rel=0.15)
    image[50:60, 70:90] = np.nan
    assert measure_looks(image) == pytest.approx(looks, rel=0.15)
    assert measure_looks(image) < FILTERED_LOOKS < measure_looks(nlm(image))


def test_texture_does_not_pass_for_a_filter() -> None:
    rng = np.random.default_rng(1)
    ground = np.exp(0.5 * rng.standard_normal((30, 40))).repeat(5, axis=0).repeat(5, axis=1)
    assert measure_looks(ground * speckle(1.0, ground.shape)) < 1.3
