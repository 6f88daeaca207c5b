from __future__ import annotations

import numpy as np
import pytest

from mosart.inversion.synthesis.costs import TEMPER, scoring


@pytest.mark.parametrize(("new", "old"), [(1.0, 3.0), (4.0, 20.0)])
def test_a_true_match_costs_what_drawing_both_images_gives(new, old):
    rng = np.random.default_rng(1)
    score = scoring(new, old)
    ratio = rng.gamma(new, 1 / new, 200_000) / rng.gamma(old, 1 / old, 200_000)
    cost = score.looks * np.log((1 + ratio) ** 2 / (4 * ratio))
    assert np.minimum(cost, score.cap).mean() == pytest.approx(score.match, rel=0.03)
    assert np.mean(cost > score.cap) < 0.05  # the cap takes few true matches
    assert score.looks == pytest.approx(TEMPER / (1 / new + 1 / old))
