"""What an image says of a DEM, where truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mosart.inversion.synthesis.agreement import BLOCK, WARNED, compare, dem_std

SHAPE = (192, 384)
PIXEL, SINE = 2.0, 0.6


def shading(height):
    """Log brightness dp/dr of heights, to first order in the slope, and its metres per unit."""
    response = SINE / 0.8 + 0.8 / SINE
    return response * np.gradient(height, PIXEL, axis=1), PIXEL / response


def relief(seed, scale, rms):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), scale)
    return rms * field / field.std()


def agree(true, dem, seed=9, texture=0.05):
    log, per_log = shading(true)
    image = log + texture * np.random.default_rng(seed).normal(size=SHAPE)
    valid = np.ones(SHAPE, bool)
    return compare(image.astype(np.float32), shading(dem)[0].astype(np.float32), valid, per_log)


def test_a_true_dem_is_borne_out():
    ground = relief(1, 8, 3.0)
    found = agree(ground, ground)
    assert found.testable > 0.1
    assert found.contradicted == 0
    assert found.height_noise < 0.1


def test_ground_that_the_dem_no_longer_shows_is_found_where_it_is_and_only_there():
    dem = relief(1, 8, 3.0)
    inside = np.zeros(SHAPE, bool)
    inside[60:130, 140:260] = True
    weight = gaussian_filter(inside * 1.0, 5)
    found = agree(dem * (1 - weight) + relief(2, 8, 3.0) * weight, dem)
    marked = np.repeat(np.repeat(found.mismatch > 0, BLOCK[0], 0), BLOCK[1], 1)
    assert marked[inside].mean() > 0.6
    assert marked[gaussian_filter(inside * 1.0, 15) < 0.01].mean() < 0.01
    # the slopes there are wrong by as much as two reliefs differ
    expected = np.sqrt(2) * shading(dem)[0].std()
    wrong = np.repeat(np.repeat(found.mismatch, BLOCK[0], 0), BLOCK[1], 1)[inside]
    assert np.median(wrong[wrong > 0]) == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize(("texture", "seen"), [(0.0, True), (0.4, False)])
def test_a_pit_that_a_smooth_dem_does_not_show_stands_out_of_ground_without_texture(texture, seen):
    y, x = np.meshgrid(*(PIXEL * np.arange(n) for n in SHAPE), indexing="ij")
    far = np.hypot(x - 400, y - 200)
    dem = relief(1, 40, 3.0)
    pit = dem - 10.0 * np.exp(-((far / 40) ** 2) / 2)
    field = gaussian_filter(np.random.default_rng(5).normal(size=SHAPE), 6)
    log, per_log = shading(pit)
    image = log + 0.05 * np.random.default_rng(9).normal(size=SHAPE) + texture * field / field.std()
    unit = shading(dem)[0].astype(np.float32)
    found = compare(image.astype(np.float32), unit, np.ones(SHAPE, bool), per_log)
    marked = np.repeat(np.repeat(found.mismatch > 0, BLOCK[0], 0), BLOCK[1], 1)
    assert (marked[far < 40].mean() > 0.6) == seen
    assert marked[far > 150].mean() < 0.01
    assert (found.contradicted >= WARNED) == seen


def test_fine_noise_of_the_heights_is_measured():
    ground = relief(1, 20, 10.0)
    for rms in (0.3, 0.6):
        found = agree(ground, ground + relief(3, 2, rms))
        assert found.height_noise == pytest.approx(rms, rel=0.5)


def test_a_flat_dem_cannot_be_contradicted_and_this_is_said():
    found = agree(relief(1, 8, 3.0), relief(4, 8, 1e-3), texture=0.3)
    assert found.testable < 0.02
    assert found.contradicted == 0


def test_a_misplaced_change_is_wrong_by_its_gradient_and_still_ground_is_not():
    x = np.arange(40) * 10.0
    change = np.tile(5 * np.exp(-(((x - 200) / 40) ** 2)), (20, 1))
    std = dem_std(change, (10.0, 10.0), (0.0, 2.0), np.zeros(change.shape))
    moved = 5 * np.exp(-(((x - 202) / 40) ** 2)) - change[0]
    # central differences over two nodes flatten the slope a little
    assert std[10].max() == pytest.approx(np.abs(moved).max(), rel=0.06)
    assert std[10, 0] < 1e-6
    old = dem_std(change, (10.0, 10.0), (0.0, 0.0), np.full(change.shape, 0.3))
    np.testing.assert_allclose(old, 0.3 * change)
