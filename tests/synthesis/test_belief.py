from __future__ import annotations

from itertools import product

import numpy as np

from mosart.inversion.synthesis.belief import jump_penalty, marginals, most_likely


def total(cost, labels, first, base, *, penalty, still):
    """Cost of a labelling, told by itself."""
    blocks, nodes = labels.shape
    most = cost.shape[2] // 2
    k = labels - base - first
    out = float((still * (labels != 0)).sum())
    for a in range(blocks):
        for e in range(nodes - 1):
            t = k[a, e + 1] - k[a, e]
            if abs(t) > most:
                return np.inf
            out += cost[a, e, t + most, k[a, e]]
    for a in range(blocks - 1):
        for n in range(nodes):
            jump = abs(labels[a + 1, n] - labels[a, n])
            if jump >= len(penalty):
                return np.inf
            out += penalty[jump]
    return out


def everything(cost, first, base, penalty, still):
    """Cost of every labelling."""
    count = cost.shape[3]
    found = {}
    for k in product(range(count), repeat=base.size):
        labels = base + first + np.reshape(k, base.shape)
        found[k] = (total(cost, labels, first, base, penalty=penalty, still=still), labels)
    return found


def test_a_chain_is_solved_exactly_about_a_base_that_differs_from_node_to_node():
    rng = np.random.default_rng(3)
    base = np.array([[2, -1, 0, 1]])
    penalty = jump_penalty(4, 1.0, 0.3)
    for _ in range(10):
        cost = rng.uniform(0, 3, (1, 3, 5, 3)).astype(np.float32)
        still = rng.uniform(0, 1, base.shape).astype(np.float32)
        found = most_likely(cost, base, -1, penalty=penalty, still=still, sweeps=2)
        least = min(v for v, _ in everything(cost, -1, base, penalty, still).values())
        assert abs(total(cost, found, -1, base, penalty=penalty, still=still) - least) < 1e-5


def test_a_row_pulls_the_others_that_have_nothing_to_say():
    penalty = jump_penalty(8, 1.0, 2.0)
    cost = np.full((4, 1, 17, 9), 0.0, np.float32)
    cost[2, 0, :, :] = 3.0 * np.abs(np.arange(-4, 5) - 3)  # row 2 wants label 3
    base = np.zeros((4, 2), int)
    still = np.full(base.shape, 0.1, np.float32)
    found = most_likely(cost, base, -4, penalty=penalty, still=still, sweeps=3)
    assert (found[:, 0] == 3).all()


def test_marginals_of_a_chain_are_those_of_the_sum_over_everything():
    rng = np.random.default_rng(5)
    base = np.array([[0, 2, 1]])
    cost = rng.uniform(0, 3, (1, 2, 5, 3)).astype(np.float32)
    penalty = jump_penalty(4, 1.0, 0.3)
    mean, std = marginals(cost, base, penalty, sweeps=2)
    found = everything(cost, -1, base, penalty, np.zeros(base.shape))
    weight = np.exp(-np.array([v for v, _ in found.values()]))
    labels = np.array([x for _, x in found.values()], float)
    expected = np.tensordot(weight / weight.sum(), labels, 1)
    spread = np.sqrt(np.tensordot(weight / weight.sum(), (labels - expected) ** 2, 1))
    np.testing.assert_allclose(mean, expected, atol=1e-4)
    np.testing.assert_allclose(std, spread, atol=1e-4)


def test_the_penalty_is_square_up_to_a_unit_and_linear_beyond():
    np.testing.assert_allclose(jump_penalty(3, 0.5, 2.0), [0.0, 0.5, 2.0, 3.0])
