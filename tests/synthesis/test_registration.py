from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from mosart.inversion.synthesis.registration import measure_shift


@pytest.mark.parametrize("moved", [0.0, 4.3, -6.0])
def test_the_shift_of_an_image_against_its_dem_is_found_under_speckle_and_texture(moved):
    rng = np.random.default_rng(1)
    unit = np.exp(0.4 * gaussian_filter(rng.normal(size=(120, 300)), 5) * 5 * np.sqrt(np.pi) * 2)
    texture = np.exp(0.3 * rng.normal(size=unit.shape))
    image = shift(unit, (0, moved), order=1, mode="nearest") * texture * rng.gamma(3, 1 / 3, unit.shape)
    found = measure_shift(image, unit)
    assert found.std < 0.7
    assert found.pixels == pytest.approx(moved, abs=max(4 * found.std, 0.3))
    assert found.believed == (moved != 0)


def test_texture_alone_tells_no_shift():
    rng = np.random.default_rng(2)
    image = np.exp(gaussian_filter(rng.normal(size=(120, 300)), 4) * 8) * rng.exponential(size=(120, 300))
    assert not measure_shift(image, np.exp(0.01 * rng.normal(size=image.shape))).believed
