from __future__ import annotations

import numpy as np

from mosart.inversion.regularised import surface_from_slopes


def test_the_surface_with_given_slopes_comes_back():
    y, x = np.meshgrid(np.arange(80) * 3.0, np.arange(120) * 2.0, indexing="ij")
    bump = 10 * np.exp(-(((x - 120) / 25) ** 2) - ((y - 120) / 60) ** 2)
    slope = np.gradient(bump, 2.0, axis=1)
    found = surface_from_slopes(slope, (3.0, 2.0))
    assert np.corrcoef(found.ravel(), bump.ravel())[0, 1] > 0.92
    # azimuth slopes count as errors, so that a narrow bump is lowered, never raised
    assert 0.5 * bump.max() < found.max() - np.median(found) <= bump.max()


def test_no_slope_is_no_change():
    assert np.all(surface_from_slopes(np.zeros((5, 40)), (3.0, 2.0)) == 0)
