from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from mosart.inversion.synthesis.registration import (
    Registration,
    detail,
    pool_registrations,
    register,
)


def measure(image, unit):
    valid = np.isfinite(image)
    return register(detail(image, valid), detail(unit, valid), valid)


def pair(seed, *, moved=0.0, tilt=(0.0, 0.0), rows=0.0, shape=(120, 300)):
    rng = np.random.default_rng(seed)
    unit = np.exp(0.4 * gaussian_filter(rng.normal(size=shape), 5) * 5 * np.sqrt(np.pi) * 2)
    y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    shift = moved + tilt[0] * np.linspace(-1, 1, shape[0])[:, None] + tilt[1] * np.linspace(-1, 1, shape[1])
    image = map_coordinates(unit, [y - rows, x - shift], order=1, mode="nearest")
    return image * np.exp(0.3 * rng.normal(size=shape)) * rng.gamma(3, 1 / 3, shape), unit


@pytest.mark.parametrize("moved", [0.0, 4.3, -6.0])
def test_the_shift_of_an_image_against_its_dem_is_found_under_speckle_and_texture(moved):
    found = measure(*pair(1, moved=moved))
    assert found.range_std < 0.7
    assert found.range_shift == pytest.approx(moved, abs=max(4 * found.range_std, 0.3))
    assert found.believed == (moved != 0)
    assert found.tilted == (False, False)
    assert not found.rows_believed


@pytest.mark.parametrize("moved", [0.0, 1.7])
def test_an_image_that_is_nearly_its_dem_lies_to_a_tenth_of_a_pixel_where_it_lies(moved):
    # smooth ground without texture, hardly any speckle: the correlation is above 0.99 over several pixels
    rng = np.random.default_rng(8)
    unit = np.exp(8 * gaussian_filter(rng.normal(size=(120, 300)), 12))
    y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in unit.shape), indexing="ij")
    image = map_coordinates(unit, [y, x - moved], order=3, mode="nearest")
    found = measure(image * rng.gamma(100, 1 / 100, unit.shape), unit)
    assert found.range_shift == pytest.approx(moved, abs=0.1)
    assert found.believed == (moved != 0)


@pytest.mark.parametrize("rows", [2.0, -3.4])
def test_a_shift_along_the_azimuth_is_found(rows):
    found = measure(*pair(4, rows=rows, moved=1.6))
    assert found.rows_believed
    assert found.row_shift == pytest.approx(rows, abs=max(4 * found.row_std, 0.3))
    assert found.range_shift == pytest.approx(1.6, abs=max(4 * found.range_std, 0.3))


def test_a_tilt_is_found_and_one_that_is_not_there_is_not():
    found = measure(*pair(5, moved=-2.0, tilt=(2.5, -4.0), shape=(240, 480)))
    assert found.tilted == (True, True)
    assert found.tilt == pytest.approx((2.5, -4.0), abs=0.5)
    assert found.range_shift == pytest.approx(-2.0, abs=0.3)


def test_what_changed_since_the_dem_has_no_say():
    image, unit = pair(6, moved=3.0, shape=(160, 400))
    rng = np.random.default_rng(7)
    image[30:120, 100:250] = np.exp(0.8 * gaussian_filter(rng.normal(size=(90, 150)), 5) * 18)
    image[:, 300:340] = np.nan
    found = measure(image, unit)
    assert found.range_shift == pytest.approx(3.0, abs=max(4 * found.range_std, 0.3))
    assert found.tilted == (False, False)


def test_texture_alone_tells_no_shift():
    rng = np.random.default_rng(2)
    image = np.exp(gaussian_filter(rng.normal(size=(120, 300)), 4) * 8) * rng.exponential(size=(120, 300))
    found = measure(image, np.exp(0.01 * rng.normal(size=image.shape)))
    assert not found.believed
    assert not found.rows_believed


def test_a_small_image_tells_nothing():
    assert not Registration().believed
    assert np.isnan(measure(np.ones((12, 60)), np.ones((12, 60))).range_shift)


def test_parts_are_pooled_to_the_plane_they_were_cut_from():
    image, unit = pair(8, moved=2.0, tilt=(1.5, -3.0), rows=1.2, shape=(320, 640))
    shape = image.shape
    places = [(slice(r, r + 160), slice(c, c + 320)) for r in (0, 160) for c in (0, 320)]
    whole = pool_registrations([measure(image[p], unit[p]) for p in places], places, shape)
    assert whole.tilted == (True, True)
    assert whole.range_shift == pytest.approx(2.0, abs=0.3)
    assert whole.tilt == pytest.approx((1.5, -3.0), abs=0.5)
    assert whole.row_shift == pytest.approx(1.2, abs=0.3)
    part = whole.part(places[1], shape)  # upper right quarter
    ends = np.array([-1.0, 1.0])
    np.testing.assert_allclose(
        part.pixels(ends[:, None], ends[None]),
        whole.pixels(np.array([[-1.0], [0.0]]), np.array([[0.0, 1.0]])),
        atol=1e-9,
    )


def test_parts_that_tell_nothing_are_pooled_to_nothing():
    assert not pool_registrations([Registration()], [(slice(0, 9), slice(0, 9))], (9, 9)).believed
