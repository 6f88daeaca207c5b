from __future__ import annotations

import numpy as np
import pytest

from mosart.inversion.synthesis.costs import SHORTEST, TEMPER, edge_costs, scoring


@pytest.mark.parametrize(("new", "old"), [(1.0, 3.0), (4.0, 20.0)])
def test_a_true_match_costs_what_drawing_both_images_gives(new, old):
    rng = np.random.default_rng(1)
    score = scoring(new, old)
    ratio = rng.gamma(new, 1 / new, 200_000) / rng.gamma(old, 1 / old, 200_000)
    cost = score.looks * np.log((1 + ratio) ** 2 / (4 * ratio))
    assert np.minimum(cost, score.cap).mean() == pytest.approx(score.match, rel=0.03)
    assert np.mean(cost > score.cap) < 0.05  # the cap takes few true matches
    assert score.looks == pytest.approx(TEMPER / (1 / new + 1 / old))


def test_the_table_of_edges_is_what_each_pair_of_labels_costs_by_itself():
    rng = np.random.default_rng(4)
    facets, nodes, rows, most = 3, 6, 5, 2
    points, pixels = (nodes - 1) * facets + 1, 14
    position = 1.5 + np.cumsum(rng.uniform(0.1, 1.6, (rows, points)), axis=1)  # ends beyond the image
    width = rng.uniform(-0.2, 1.5, (rows, points - 1))
    rho = rng.uniform(0.3, 2.0, (rows, points - 1)).astype(np.float32)
    depth = np.where(rng.random((rows, points - 1)) < 0.2, rng.uniform(0.2, 1.5, (rows, points - 1)), 0.0)
    cap = np.where(depth > 0, 0.2, 1.1).astype(np.float32)
    shown = rng.random((rows, pixels)) < 0.8
    light = np.where(shown, rng.gamma(2, 0.5, (rows, pixels)), 0.0)
    cumulative, telling = (np.pad(np.cumsum(v, 1), ((0, 0), (1, 0))) for v in (light, 1.0 * shown))
    first, last = np.array([0, 3]), np.array([3, 5])
    base, labels = rng.normal(0, 2, (2, nodes)), -3.0 + 0.8 * np.arange(9)
    lift, light = rng.uniform(0.4, 0.5, points), rng.uniform(0.3, 0.35, points)
    looks, match, fold, leave, dark, stiff, unit = 1.5, 0.2, 0.9, 0.4, 0.02, 0.15, 2.5
    out = np.zeros((2, nodes - 1, 2 * most + 1, 9), np.float32)
    edge_costs(
        position, width, rho, depth, cap, cumulative, telling, first, last, base, labels[0], 0.8, most,
        lift, light, facets, looks, match, fold, leave, dark, stiff, unit, out,
    )  # fmt: skip

    def facet(j, i, d0, d1, lit_above):
        """Cost of the ground between two points that have changed by so much."""
        q0, q1 = position[j, i] - lift[i] * d0, position[j, i + 1] - lift[i + 1] * d1
        if not (0 <= q0 < pixels and 0 <= q1 < pixels):
            return leave if (position[j, i : i + 2] < pixels).all() else 0.0
        s = q1 - q0
        if s <= SHORTEST:
            return fold * (SHORTEST - s)
        measured, told = (np.diff(np.interp([q0, q1], np.arange(pixels + 1), v[j]))[0]
                          for v in (cumulative, telling))  # fmt: skip
        lit = max(width[j, i] + light[i] * (d1 - d0), 0) if lit_above else 0.0
        ratio = (measured + dark * s) / (lit * rho[j, i] * told / s + dark * s)
        return told * (min(looks * np.log((1 + ratio) ** 2 / (4 * ratio)), cap[j, i]) - match)

    kinds = set()
    for a, e, n, m in np.ndindex(2, nodes - 1, 9, 9):
        t = m - n
        if abs(t) > most:
            continue
        ends = base[a, e] + labels[n], base[a, e + 1] + labels[m]
        jump = abs(ends[1] - ends[0]) / unit
        expected = stiff * min(jump**2, jump)
        d = np.linspace(*ends, facets + 1)
        for j in range(first[a], last[a]):
            for f in range(facets):
                i = e * facets + f
                above = depth[j, i] == 0 or light[i] * 0.5 * (d[f] + d[f + 1]) >= depth[j, i]
                cost = facet(j, i, d[f], d[f + 1], above)
                kinds |= {"left" if cost == leave else "seen", "lit" if above else "shaded"}
                expected += cost
        assert out[a, e, t + most, n] == pytest.approx(expected, abs=2e-4)
    assert kinds == {"left", "seen", "lit", "shaded"}
    assert (out[:, :, 0, :most] == 1e4).all()  # no such label
    assert (out[:, :, -1, -most:] == 1e4).all()
