"""Belief propagation on nodes in rows: chains along range, coupled in azimuth.

Labels are whole numbers relative to a base that may differ from node to node; the label's unit is a step.
The cost of an edge along range depends on both labels and comes as a table; across rows it is a penalty of
the jump alone, square up to one unit and linear beyond.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]

#: Most that a message in azimuth may say, nats.
MOST_AZIMUTH = 12.0
#: Smallest message of the sums: no row may forbid another's label.
LEAST_MESSAGE = 1e-5


@compiled
def _min_sum(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    cost, base, first, penalty, still, sweeps, ceiling, right, left, down, up,
):  # fmt: skip
    """Min-sum; the label k of a node is base + first + k. Messages are left in the last four."""
    blocks, edges, slopes, count = cost.shape
    most = slopes // 2
    nodes = edges + 1
    reach = len(penalty) - 1
    h = np.empty(count, np.float32)
    for _ in range(sweeps):
        for a in range(blocks):
            for n in range(1, nodes):
                zero = -first - base[a, n - 1]
                for k in range(count):
                    h[k] = right[a, n - 1, k] + down[a, n - 1, k] + up[a, n - 1, k]
                    if k != zero:
                        h[k] += still[a, n - 1]
                    right[a, n, k] = 1e9
                low = np.float32(1e9)
                for t in range(-most, most + 1):
                    for k in range(max(0, -t), min(count, count - t)):
                        v = h[k] + cost[a, n - 1, t + most, k]
                        right[a, n, k + t] = min(v, right[a, n, k + t])
                for k in range(count):
                    low = min(low, right[a, n, k])
                for k in range(count):
                    right[a, n, k] -= low
            for n in range(nodes - 2, -1, -1):
                zero = -first - base[a, n + 1]
                for k in range(count):
                    h[k] = left[a, n + 1, k] + down[a, n + 1, k] + up[a, n + 1, k]
                    if k != zero:
                        h[k] += still[a, n + 1]
                    left[a, n, k] = 1e9
                low = np.float32(1e9)
                for t in range(-most, most + 1):
                    for k in range(max(0, -t), min(count, count - t)):
                        v = h[k + t] + cost[a, n, t + most, k]
                        left[a, n, k] = min(v, left[a, n, k])
                for k in range(count):
                    low = min(low, left[a, n, k])
                for k in range(count):
                    left[a, n, k] -= low
        for n in range(nodes):
            for direction in range(2):
                message = up if direction == 1 else down
                for q in range(1, blocks):
                    a = blocks - 1 - q if direction == 1 else q
                    b = a + 1 if direction == 1 else a - 1
                    zero = -first - base[b, n]
                    for k in range(count):
                        h[k] = right[b, n, k] + left[b, n, k] + message[b, n, k]
                        if k != zero:
                            h[k] += still[b, n]
                        message[a, n, k] = 1e9
                    shift = base[a, n] - base[b, n]
                    low = np.float32(1e9)
                    for t in range(-reach, reach + 1):  # from label k + shift + t of the other row
                        for k in range(max(0, -shift - t), min(count, count - shift - t)):
                            v = h[k + shift + t] + penalty[abs(t)]
                            message[a, n, k] = min(v, message[a, n, k])
                    for k in range(count):
                        low = min(low, message[a, n, k])
                    for k in range(count):
                        message[a, n, k] = min(message[a, n, k] - low, ceiling)


@compiled
def _sum_product(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    likelihood, base, weight, least, sweeps, right, left, down, up, mean, spread,
):  # fmt: skip
    """Sum-product: marginal mean and standard deviation of every node, in labels from the base's middle."""
    blocks, edges, slopes, count = likelihood.shape
    most = slopes // 2
    nodes = edges + 1
    reach = len(weight) - 1
    half = count // 2
    h = np.empty(count, np.float64)
    o = np.empty(count, np.float64)
    for _ in range(sweeps):
        for a in range(blocks):
            for n in range(1, nodes):
                top = 1e-30
                for k in range(count):
                    h[k] = right[a, n - 1, k] * down[a, n - 1, k] * up[a, n - 1, k]
                    o[k] = 1e-30
                    top = max(top, h[k])
                for k in range(count):
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        o[k + t] += h[k] / top * likelihood[a, n - 1, t + most, k]
                top = o.max()
                for k in range(count):
                    right[a, n, k] = o[k] / top
            for n in range(nodes - 2, -1, -1):
                top = 1e-30
                for k in range(count):
                    h[k] = left[a, n + 1, k] * down[a, n + 1, k] * up[a, n + 1, k]
                    o[k] = 1e-30
                    top = max(top, h[k])
                for k in range(count):
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        o[k] += h[k + t] / top * likelihood[a, n, t + most, k]
                top = o.max()
                for k in range(count):
                    left[a, n, k] = o[k] / top
        for n in range(nodes):
            for direction in range(2):
                message = up if direction == 1 else down
                for q in range(1, blocks):
                    a = blocks - 1 - q if direction == 1 else q
                    b = a + 1 if direction == 1 else a - 1
                    top = 1e-30
                    for k in range(count):
                        h[k] = right[b, n, k] * left[b, n, k] * message[b, n, k]
                        top = max(top, h[k])
                    shift = base[a, n] - base[b, n]
                    for k in range(count):
                        total = 1e-30
                        for m in range(max(0, k + shift - reach), min(count - 1, k + shift + reach) + 1):
                            total += h[m] / top * weight[abs(k + shift - m)]
                        o[k] = total
                    top = o.max()
                    for k in range(count):
                        message[a, n, k] = max(o[k] / top, least)
    for a in range(blocks):
        for n in range(nodes):
            total = 0.0
            first = 0.0
            for k in range(count):
                h[k] = float(right[a, n, k]) * left[a, n, k] * down[a, n, k] * up[a, n, k]
                total += h[k]
                first += h[k] * (k - half)
            first /= max(total, 1e-300)
            second = 0.0
            for k in range(count):
                second += h[k] * (k - half - first) ** 2
            mean[a, n] = first
            spread[a, n] = np.sqrt(second / max(total, 1e-300))


def jump_penalty(reach: int, step: float, weight: float) -> Float32:
    """Penalty of a jump between rows.

    Parameters
    ----------
    reach : int
        Largest jump that is tried, labels.
    step : float
        Of the labels, in units.
    weight : float
        Nats of a jump by one unit.

    Returns
    -------
    ndarray (reach + 1,) float32
        Square up to one unit, linear beyond.
    """
    jump = np.arange(reach + 1) * step
    return np.asarray(weight * np.minimum(jump**2, jump), dtype=np.float32)


def most_likely(
    cost: Float32, base: Int, first: int, *, penalty: Float32, still: Float32, sweeps: int
) -> Int:
    """Labels of least cost, by min-sum.

    Parameters
    ----------
    cost : ndarray (block row, edge, slope, label) float32
        Nats; the third axis is the next node's label less this one's, plus the largest.
    base : ndarray (block row, node) of int
        What the labels are relative to.
    first : int
        The first label.
    penalty : ndarray (reach + 1,) float32
        See :func:`jump_penalty`.
    still : ndarray (block row, node) float32
        What any label but zero costs.
    sweeps : int
        Each along range, and along azimuth, both ways.

    Returns
    -------
    ndarray (block row, node) of int
        The base included.
    """
    shape = (*base.shape, cost.shape[3])
    messages = [np.zeros(shape, np.float32) for _ in range(4)]
    _min_sum(cost, base, first, penalty, still, sweeps, np.float32(MOST_AZIMUTH), *messages)
    belief = messages[0] + messages[1] + messages[2] + messages[3]
    labels = base[..., None] + first + np.arange(shape[2])
    belief += np.where(labels != 0, still[..., None], np.float32(0))
    return np.asarray(base + first + belief.argmin(axis=2))


def marginals(cost: Float32, base: Int, penalty: Float32, *, sweeps: int) -> tuple[Float, Float]:
    """Posterior mean and standard deviation of every node, by sum-product.

    Parameters
    ----------
    cost : ndarray (block row, edge, slope, label) float32
        Nats; an odd number of labels, the base in their middle.
    base : ndarray (block row, node) of int
        What the labels are relative to.
    penalty : ndarray (reach + 1,) float32
        See :func:`jump_penalty`.
    sweeps : int
        Each along range, and along azimuth, both ways.

    Returns
    -------
    mean, std : ndarray (block row, node)
        Labels; the base included.
    """
    shape = (*base.shape, cost.shape[3])
    messages = [np.ones(shape, np.float32) for _ in range(4)]
    mean, spread = np.empty(base.shape), np.empty(base.shape)
    likelihood = np.exp(cost.min(axis=(2, 3), keepdims=True) - cost)
    weight = np.exp(-penalty.astype(np.float64))
    right, left, down, up = messages
    _sum_product(likelihood, base, weight, LEAST_MESSAGE, sweeps, right, left, down, up, mean, spread)
    return np.asarray(base + mean), spread
