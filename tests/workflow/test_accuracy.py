"""The error that the software states is the one that is measured."""

from __future__ import annotations

import numpy as np
import pytest

from mosart.inversion import invert
from mosart.simulate import collapse
from mosart.workflow.accuracy import MEASURED, ZONE, expected_error


@pytest.mark.parametrize("method", sorted(MEASURED))
def test_the_stated_error_is_that_of_a_simulated_crater(method: str) -> None:
    simulation = collapse(depth=25.0, seed=0)
    dates, truth = simulation.stack.dates, simulation.truth
    change = invert(simulation.stack, method, dates[:3], [dates[3:]], frame=simulation.frame)
    true, hidden = truth["elevation_change"].values[-1], truth["hidden"].values[-1]
    found = change.dataset["elevation_change"].values[0]
    known = np.isfinite(found) & ~hidden
    zone = known & (np.abs(true) > ZONE * np.abs(true).max())
    still = known & (true == 0)
    error = found - true
    low, high = MEASURED[method][0]
    assert low - 0.05 <= np.sqrt(np.mean(error[zone] ** 2) / np.mean(true[zone] ** 2)) <= high
    low, high = MEASURED[method][1]
    assert low - 0.05 <= found[zone].sum() / true[zone].sum() <= high + 0.05
    low, high = MEASURED[method][2]
    assert low - 0.3 <= np.sqrt(np.mean(error[still] ** 2)) <= high
    assert f"{MEASURED[method][0][0]:.0%}" in expected_error(method)
