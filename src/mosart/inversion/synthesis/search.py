"""A start for changes of any size: a global search over labels of change on the ground.

Gauss–Newton stalls once fine texture is misregistered by more than its own size. Here the change is
one of many labels at every node, and the cost sits on the *edges*: two neighbouring labels fix where
the ground between them lands in slant range and how much light it catches, so texture, its stretch
and its shading are matched at once. Chains along range, coupled weakly in azimuth; min-sum belief
propagation to search, sum-product on finer labels to polish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import gammaincinv, polygamma

from mosart.compiled import compiled

from .ground import Ground
from .nodes import RowNodes

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Tempering of the data: neighbouring pixels share the reference's smoothed speckle and the model's errors.
TEMPER = 0.5
#: Standard deviations of a true match's log ratio at which a pixel's cost is capped.
CAP_SIGMA = 2.7
#: Cost of a pixel's width of ground folded back (layover), in caps.
FOLD_COST = 0.9
#: Cost of a pixel of ground that leaves the image, in caps less a match: a mismatch would be one.
LEAVE_COST = 0.25
#: Label step, in range pixels' heights (the height that moves ground by a pixel).
LABEL_PIXELS = 0.9
#: Steepest slope of the change between two nodes, metres per metre: faces beyond it are in layover
#: in most looks.
STEEPEST = 1.7
#: Penalty of a slope between nodes (nats per squared pixel height, linear beyond one), along range and
#: azimuth; weak on purpose, or domes are rounded.
SLOPE_RANGE, SLOPE_AZIMUTH = 0.15, 0.25
#: Preference of a node for no change, nats.
STILL = 0.1
#: Most that a message in azimuth may say, nats.
MOST_AZIMUTH = 12.0
SWEEPS = 8
#: Stabiliser of the ratio: share of the median intensity.
DARK = 0.02
#: Depth below the beam's lower edge (metres) from which a facet counts as in shadow.
SHADOW_DEPTH = 0.3


@dataclass(frozen=True)
class Scoring:
    """Cost of a pixel whose measured over predicted intensity is ``R``.

    ``looks (2 ln((1 + R)/2) - ln R)``: the negative log density of a ratio of two Gamma variables.

    Parameters
    ----------
    looks : float
        Tempered looks of the ratio.
    match : float
        Mean cost of a true match: what every explained pixel earns.
    cap : float
        Most that a pixel costs.
    """

    looks: float
    match: float
    cap: float


def scoring(new_looks: float, reference_looks: float) -> Scoring:
    """Derive the costs from the looks of a pixel.

    Parameters
    ----------
    new_looks, reference_looks : float
        Effective looks of a pixel of the new epoch's mean, and of the smoothed reference.

    Returns
    -------
    Scoring
        The match's mean cost by quadrature over both Gamma distributions.
    """
    looks = TEMPER / (1 / new_looks + 1 / reference_looks)
    q = (np.arange(64) + 0.5) / 64
    new = gammaincinv(new_looks, q) / new_looks
    old = gammaincinv(reference_looks, q) / reference_looks
    ratio = new[:, None] / old[None]
    sigma = float(np.sqrt(polygamma(1, new_looks) + polygamma(1, reference_looks)))
    far = float(np.exp(CAP_SIGMA * sigma))
    cap = looks * (2 * np.log(0.5 + 0.5 * far) - np.log(far))
    cost = np.minimum(looks * (2 * np.log(0.5 + 0.5 * ratio) - np.log(ratio)), cap)
    return Scoring(float(looks), float(cost.mean()), float(cap))


@compiled
def _edge_costs(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    position, width, rho, depth, cap, cumulative, first_row, last_row, base, labels, most, lift, light,
    facets, looks, match, fold, leave, dark, stiff, unit, out,
):  # fmt: skip
    """Cost of the ground between nodes e and e + 1 of a block row having changes base + labels.

    position, width, depth: pixels; lift, light: pixels of slant range, and of width, per metre.
    """
    blocks, nodes = base.shape
    pixels = cumulative.shape[1] - 1
    count = len(labels)
    for a in range(blocks):
        for e in range(nodes - 1):
            for n in range(count):
                da = base[a, e] + labels[n]
                for t in range(max(-most, -n), min(most, count - 1 - n) + 1):
                    db = base[a, e + 1] + labels[n + t]
                    dd = (db - da) / facets
                    jump = abs(db - da) / unit
                    c = stiff * min(jump * jump, jump)
                    for j in range(first_row[a], last_row[a]):
                        i = e * facets
                        q = position[j, i] - lift[i] * da
                        i0 = 0.0
                        inside = 0 <= q < pixels
                        if inside:
                            k = int(q)
                            i0 = cumulative[j, k] + (q - k) * (cumulative[j, k + 1] - cumulative[j, k])
                        for f in range(facets):
                            i = e * facets + f
                            q2 = position[j, i + 1] - lift[i + 1] * (da + dd * (f + 1))
                            inside2 = 0 <= q2 < pixels
                            i1 = 0.0
                            if inside2:
                                k = int(q2)
                                i1 = cumulative[j, k] + (q2 - k) * (cumulative[j, k + 1] - cumulative[j, k])
                            if inside and inside2:
                                s = q2 - q
                                if s > 0.05:
                                    w = width[j, i] + light[i] * dd
                                    if depth[j, i] > 0 and light[i] * (da + dd * (f + 0.5)) < depth[j, i]:
                                        w = 0.0
                                    ratio = (i1 - i0 + dark * s) / (dark * s + max(w, 0.0) * rho[j, i])
                                    cost = looks * np.log((1 + ratio) * (1 + ratio) / (4 * ratio))
                                    c += s * (min(cost, cap[j, i]) - match)
                                else:
                                    c += fold * (0.05 - s)
                            elif 0 <= position[j, i] < pixels and 0 <= position[j, i + 1] < pixels:
                                c += leave
                            q = q2
                            i0 = i1
                            inside = inside2
                    out[a, e, n, t + most] = c


@compiled
def _min_sum(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    cost, azimuth, still, sweeps, ceiling, right, left, down, up,
):  # fmt: skip
    """Min-sum belief propagation on (block row, node, label); messages are left in the last four."""
    blocks, edges, count, slopes = cost.shape
    most = slopes // 2
    nodes = edges + 1
    reach = len(azimuth) // 2
    h = np.empty(count, np.float32)
    for _ in range(sweeps):
        for a in range(blocks):
            for n in range(1, nodes):
                for k in range(count):
                    h[k] = right[a, n - 1, k] + down[a, n - 1, k] + up[a, n - 1, k] + still[k]
                    right[a, n, k] = 1e9
                low = np.float32(1e9)
                for k in range(count):
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        v = h[k] + cost[a, n - 1, k, t + most]
                        right[a, n, k + t] = min(v, right[a, n, k + t])
                for k in range(count):
                    low = min(low, right[a, n, k])
                for k in range(count):
                    right[a, n, k] -= low
            for n in range(nodes - 2, -1, -1):
                for k in range(count):
                    h[k] = left[a, n + 1, k] + down[a, n + 1, k] + up[a, n + 1, k] + still[k]
                low = np.float32(1e9)
                for k in range(count):
                    best = np.float32(1e9)
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        v = h[k + t] + cost[a, n, k, t + most]
                        best = min(best, v)
                    left[a, n, k] = best
                    low = min(low, best)
                for k in range(count):
                    left[a, n, k] -= low
        for n in range(nodes):
            for direction in range(2):
                message = up if direction == 1 else down
                for q in range(1, blocks):
                    a = blocks - 1 - q if direction == 1 else q
                    b = a + 1 if direction == 1 else a - 1
                    for k in range(count):
                        h[k] = right[b, n, k] + left[b, n, k] + message[b, n, k] + still[k]
                    low = np.float32(1e9)
                    for k in range(count):
                        best = np.float32(1e9)
                        for t in range(max(-reach, -k), min(reach, count - 1 - k) + 1):
                            best = min(best, h[k + t] + azimuth[t + reach])
                        message[a, n, k] = best
                        low = min(low, best)
                    for k in range(count):
                        message[a, n, k] = min(message[a, n, k] - low, ceiling)


@compiled
def _min_sum_about(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    cost, base, labels, weight, unit, still_cost, sweeps, ceiling, right, left, down, up,
):  # fmt: skip
    """Do the same with labels relative to a solution that differs from node to node."""
    blocks, edges, count, slopes = cost.shape
    most = slopes // 2
    nodes = edges + 1
    h = np.empty(count, np.float32)
    for _ in range(sweeps):
        for a in range(blocks):
            for n in range(1, nodes):
                for k in range(count):
                    d = abs(base[a, n - 1] + labels[k])
                    still = np.float32(0.0) if d < 0.5 * unit else still_cost
                    h[k] = right[a, n - 1, k] + down[a, n - 1, k] + up[a, n - 1, k] + still
                    right[a, n, k] = 1e9
                low = np.float32(1e9)
                for k in range(count):
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        v = h[k] + cost[a, n - 1, k, t + most]
                        right[a, n, k + t] = min(v, right[a, n, k + t])
                for k in range(count):
                    low = min(low, right[a, n, k])
                for k in range(count):
                    right[a, n, k] -= low
            for n in range(nodes - 2, -1, -1):
                for k in range(count):
                    d = abs(base[a, n + 1] + labels[k])
                    still = np.float32(0.0) if d < 0.5 * unit else still_cost
                    h[k] = left[a, n + 1, k] + down[a, n + 1, k] + up[a, n + 1, k] + still
                low = np.float32(1e9)
                for k in range(count):
                    best = np.float32(1e9)
                    for t in range(max(-most, -k), min(most, count - 1 - k) + 1):
                        best = min(best, h[k + t] + cost[a, n, k, t + most])
                    left[a, n, k] = best
                    low = min(low, best)
                for k in range(count):
                    left[a, n, k] -= low
        for n in range(nodes):
            for direction in range(2):
                message = up if direction == 1 else down
                for q in range(1, blocks):
                    a = blocks - 1 - q if direction == 1 else q
                    b = a + 1 if direction == 1 else a - 1
                    for k in range(count):
                        h[k] = right[b, n, k] + left[b, n, k] + message[b, n, k]
                        d = abs(base[b, n] + labels[k])
                        if d >= 0.5 * unit:
                            h[k] += still_cost
                    low = np.float32(1e9)
                    for k in range(count):
                        best = np.float32(1e9)
                        for m in range(count):
                            jump = abs(base[a, n] + labels[k] - base[b, n] - labels[m]) / unit
                            best = min(best, h[m] + np.float32(weight * min(jump * jump, jump)))
                        message[a, n, k] = best
                        low = min(low, best)
                    for k in range(count):
                        message[a, n, k] = min(message[a, n, k] - low, ceiling)


@compiled
def _sum_product(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
    likelihood, base, labels, weight, unit, sweeps, right, left, down, up, mean, spread,
):  # fmt: skip
    """Sum-product about a solution: marginal mean and standard deviation of every node."""
    blocks, edges, count, slopes = likelihood.shape
    most = slopes // 2
    nodes = edges + 1
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
                        o[k + t] += h[k] / top * likelihood[a, n - 1, k, t + most]
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
                        o[k] += h[k + t] / top * likelihood[a, n, k, t + most]
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
                    for k in range(count):
                        total = 1e-30
                        for m in range(count):
                            if h[m] > 1e-6 * top:
                                jump = abs(base[a, n] + labels[k] - base[b, n] - labels[m]) / unit
                                total += h[m] / top * np.exp(-weight * min(jump * jump, jump))
                        o[k] = total
                    top = o.max()
                    for k in range(count):
                        message[a, n, k] = max(o[k] / top, 1e-5)
    for a in range(blocks):
        for n in range(nodes):
            total = 0.0
            first = 0.0
            for k in range(count):
                h[k] = float(right[a, n, k]) * left[a, n, k] * down[a, n, k] * up[a, n, k]
                total += h[k]
                first += h[k] * labels[k]
            first /= max(total, 1e-300)
            second = 0.0
            for k in range(count):
                second += h[k] * (labels[k] - first) ** 2
            mean[a, n] = base[a, n] + first
            spread[a, n] = np.sqrt(second / max(total, 1e-300))


@dataclass(frozen=True)
class Matching:
    """The ground and the new image as the search reads them.

    Parameters
    ----------
    ground : Ground
        Few facets between nodes; the nodes are its knots.
    reflectivity : ndarray (azimuth, facet) float32
        Denoised reference: intensity per unit of width across the beam (pixels).
    dark : ndarray (azimuth, facet) bool
        Ground that the reference does not light: unknown, not dark.
    intensity : ndarray (azimuth, range)
        Mean of the new epoch; gaps filled.
    rows_block : int
        Rows of pixels for one row of nodes.
    score : Scoring
        Costs of a pixel.
    """

    ground: Ground
    reflectivity: Float32
    dark: NDArray[np.bool_]
    intensity: Float
    rows_block: int
    score: Scoring

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes in azimuth and range."""
        return -(-len(self.ground.height) // self.rows_block), self.ground.knots

    @property
    def nodes(self) -> RowNodes:
        """The nodes."""
        return RowNodes(self.ground.knot_x, self.rows_block, self.shape[0])

    @property
    def unit(self) -> float:
        """Height that moves ground by a range pixel, metres."""
        return self.ground.range_spacing / float(np.median(self.ground.cosine))

    @cached_property
    def profile(self) -> tuple[Float, Float, Float]:
        """Slant position of points (pixels), width across the beam and shadow depth of facets (pixels)."""
        slant, across = self.ground.slant_and_across()
        step = self.ground.range_spacing
        top = np.maximum.accumulate(across, axis=1) - across
        depth = 0.5 * (top[:, 1:] + top[:, :-1]) / step
        return slant / step, np.diff(across, axis=1) / step, np.where(depth * step > SHADOW_DEPTH, depth, 0.0)

    @cached_property
    def cumulative(self) -> Float:
        """Cumulative intensity of the rows, from zero."""
        return np.concatenate([np.zeros((len(self.intensity), 1)), np.cumsum(self.intensity, axis=1)], axis=1)

    def costs(self, base: Float, labels: Float, most: int, gain: Float32 | None = None) -> Float32:
        """Costs of all edges: (block row, edge, label, slope), nats."""
        g, sc = self.ground, self.score
        position, width, depth = self.profile
        first = np.arange(self.shape[0]) * self.rows_block
        last = np.minimum(first + self.rows_block, len(g.height))
        rho = self.reflectivity if gain is None else self.reflectivity * gain
        cap = np.where(self.dark | (depth > 0), sc.match, sc.cap).astype(np.float32)
        out = np.full((self.shape[0], self.shape[1] - 1, len(labels), 2 * most + 1), 1e4, np.float32)
        per_facet = self.ground.spacing * float(np.median(g.sine)) / g.range_spacing
        _edge_costs(
            position, width, rho, depth, cap, self.cumulative, first, last,
            np.ascontiguousarray(base, dtype=np.float64), labels, most, g.cosine / g.range_spacing,
            g.sine / g.range_spacing, g.facets, sc.looks, sc.match, FOLD_COST * sc.cap,
            LEAVE_COST * (sc.cap - sc.match) * per_facet, DARK * float(np.median(self.intensity)),
            SLOPE_RANGE, self.unit, out,
        )  # fmt: skip
        return out

    def steepest_labels(self, step: float) -> int:
        """Labels that two neighbouring nodes may differ by."""
        return max(1, int(np.ceil(STEEPEST * self.ground.spacing * self.ground.facets / step)))


def _messages(shape: tuple[int, int, int], value: float) -> list[Float32]:
    return [np.full(shape, value, np.float32) for _ in range(4)]


def global_search(
    matching: Matching, lowest: float, highest: float, step: float, gain: Float32 | None = None
) -> Float:
    """Search all labels.

    Parameters
    ----------
    matching : Matching
        What is matched.
    lowest, highest, step : float
        Labels, metres; zero is one of them.
    gain : ndarray (azimuth, facet) float32, optional
        Change of reflectivity, a factor.

    Returns
    -------
    ndarray (block row, node)
        Best label of every node, metres.
    """
    labels = step * np.arange(np.floor(lowest / step), np.ceil(highest / step) + 1)
    most = matching.steepest_labels(step)
    cost = matching.costs(np.zeros(matching.shape), labels, most, gain)
    jump = np.abs(np.arange(-most, most + 1)) * step / matching.unit
    azimuth = (SLOPE_AZIMUTH * np.minimum(jump**2, jump)).astype(np.float32)
    still = np.where(np.abs(labels) < 0.5 * step, 0.0, STILL).astype(np.float32)
    messages = _messages((*matching.shape, len(labels)), 0.0)
    _min_sum(cost, azimuth, still, SWEEPS, np.float32(MOST_AZIMUTH), *messages)
    belief = messages[0] + messages[1] + messages[2] + messages[3] + still
    return np.asarray(labels[belief.argmin(axis=2)])


def narrow(matching: Matching, change: Float, half: float, step: float, gain: Float32 | None = None) -> Float:
    """Search finer labels about a solution.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        The solution, metres.
    half, step : float
        Labels on either side, metres.
    gain : ndarray (azimuth, facet) float32, optional
        Change of reflectivity, a factor.

    Returns
    -------
    ndarray (block row, node)
        Metres.
    """
    labels = step * np.arange(-np.ceil(half / step), np.ceil(half / step) + 1)
    cost = matching.costs(change, labels, len(labels) - 1, gain)
    messages = _messages((*matching.shape, len(labels)), 0.0)
    _min_sum_about(
        cost, change, labels, SLOPE_AZIMUTH, matching.unit, np.float32(STILL), SWEEPS // 2,
        np.float32(MOST_AZIMUTH), *messages,
    )  # fmt: skip
    belief = messages[0] + messages[1] + messages[2] + messages[3]
    return np.asarray(change + labels[belief.argmin(axis=2)])


def polish(
    matching: Matching, change: Float, half: float, step: float, gain: Float32 | None = None
) -> tuple[Float, Float]:
    """Posterior mean and standard deviation near a solution, by sum-product.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        The solution, metres.
    half, step : float
        Labels on either side, metres.
    gain : ndarray (azimuth, facet) float32, optional
        Change of reflectivity, a factor.

    Returns
    -------
    mean, std : ndarray (block row, node)
        Metres.
    """
    labels = step * np.arange(-np.ceil(half / step), np.ceil(half / step) + 1)
    cost = matching.costs(change, labels, len(labels) - 1, gain)
    cost -= cost.min(axis=(2, 3), keepdims=True)
    mean, spread = np.empty(matching.shape), np.empty(matching.shape)
    right, left, down, up = _messages((*matching.shape, len(labels)), 1.0)
    _sum_product(
        np.exp(-cost), change, labels, SLOPE_AZIMUTH, matching.unit, SWEEPS // 2, right, left, down, up,
        mean, spread,
    )  # fmt: skip
    return mean, spread


@dataclass(frozen=True)
class Laid:
    """The new image read on the ground under a change, facet by facet.

    Parameters
    ----------
    energy, pixels, width : ndarray (azimuth, facet)
        New energy in a facet's slant interval; the interval's length and the facet's width across the
        beam, pixels.
    good : ndarray (azimuth, facet) bool
        Lit by both epochs, alone in its interval, inside the image.
    """

    energy: Float
    pixels: Float
    width: Float
    good: NDArray[np.bool_]


def on_points(matching: Matching, nodes: Float) -> Float:
    """Node values on the fine points of every row: linear in both directions."""
    g = matching.ground
    rows = np.clip((np.arange(len(g.height)) + 0.5) / matching.rows_block - 0.5, 0, len(nodes) - 1)
    a = np.minimum(rows.astype(int), max(len(nodes) - 2, 0))
    t = (rows - a)[:, None]
    k = np.arange(len(g.x)) / g.facets
    fine = np.array([np.interp(k, np.arange(g.knots), row) for row in nodes])
    return np.asarray((1 - t) * fine[a] + t * fine[np.minimum(a + 1, len(nodes) - 1)])


def lay(matching: Matching, change: Float) -> Laid:
    """Read the new image on the ground under a change.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        Metres.

    Returns
    -------
    Laid
        Facet by facet.
    """
    g = matching.ground
    d = on_points(matching, change)
    position, width, depth = matching.profile
    q = position - g.cosine / g.range_spacing * d
    pixels = matching.intensity.shape[1]
    edge = np.arange(pixels + 1)
    energy = np.array([np.diff(np.interp(a, edge, c)) for a, c in zip(q, matching.cumulative)])
    s = np.diff(q, axis=1)
    w = width + 0.5 * (g.sine[1:] + g.sine[:-1]) / g.range_spacing * np.diff(d, axis=1)
    p = np.cumsum(np.concatenate([np.zeros((len(w), 1)), w], axis=1), axis=1)
    lit = p[:, 1:] >= np.maximum.accumulate(p, axis=1)[:, 1:] - 1e-9
    far = np.maximum.accumulate(q, axis=1)
    near = np.minimum.accumulate(q[:, ::-1], axis=1)[:, ::-1]
    alone = (q[:, :-1] >= far[:, :-1] - 1e-6) & (q[:, 1:] <= near[:, 1:] + 1e-6)
    inside = (q[:, 1:] < pixels) & (q[:, :-1] > 0)
    good = lit & alone & inside & (s > 0.2) & (w > 0.1 * s) & (depth == 0) & ~matching.dark
    return Laid(energy, s, w, good)


def by_node(matching: Matching, facets: Float) -> Float:
    """Facets (azimuth, facet) as (block row, row, edge, facet), the last block row filled with zeros."""
    rows, n = matching.shape[0], matching.rows_block
    full = np.zeros((rows * n, facets.shape[1]))
    full[: len(facets)] = facets
    return full.reshape(rows, n, -1, matching.ground.facets)


#: Width of the windows in which a change of brightness is read, metres of ground range, and what noise
#: of the log ratio remains there (natural logarithm): smaller values are shrunk to zero.
BRIGHT_WINDOW, BRIGHT_NOISE = 50.0, 0.15


def brightness(matching: Matching, change: Float) -> Float:
    """Change of log reflectivity in wide windows, under the smoothed change.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        Metres.

    Returns
    -------
    ndarray (block row, node)
        Natural logarithm. The sawtooth by which a wrong brightness bends the slope averages out.
    """
    g = matching.ground
    node = (g.azimuth_spacing * matching.rows_block, g.spacing * g.facets)
    sigma = tuple(BRIGHT_WINDOW / s for s in node)
    laid = lay(matching, gaussian_filter(change, sigma, mode="nearest"))

    def window(f: Float) -> Float:
        return np.asarray(gaussian_filter(by_node(matching, np.where(laid.good, f, 0.0)).sum((1, 3)), sigma))

    new = window(laid.energy)
    old = window(matching.reflectivity.astype(np.float64) * np.maximum(laid.width, 0))
    fill = 0.05 * float(np.median(old))
    b = np.log((new + fill) / (old + fill))
    b *= b**2 / (b**2 + BRIGHT_NOISE**2)
    return np.concatenate([b, b[:, -1:]], axis=1)


def crop(matching: Matching, rows: slice, nodes: slice) -> Matching:
    """Part of the ground, against whole rows of the image.

    Parameters
    ----------
    matching : Matching
        The whole.
    rows : slice
        Block rows, start and stop given.
    nodes : slice
        Nodes, start and stop given.

    Returns
    -------
    Matching
        The part.
    """
    g = matching.ground
    r = slice(rows.start * matching.rows_block, min(rows.stop * matching.rows_block, len(g.height)))
    p = slice(nodes.start * g.facets, (nodes.stop - 1) * g.facets + 1)
    f = slice(p.start, p.stop - 1)
    slant = matching.profile[0][r, p.start] * g.range_spacing
    part = replace(
        g,
        height=g.height[r, p],
        offset=slant,
        x=g.x[p],
        sine=g.sine[p],
        cosine=g.cosine[p],
        known=g.known[r, p],
        bend=g.bend[p],
    )
    return replace(
        matching,
        ground=part,
        reflectivity=matching.reflectivity[r, f],
        dark=matching.dark[r, f] | (matching.profile[2][r, f] > 0),
        intensity=matching.intensity[r],
    )


@dataclass(frozen=True)
class Start:
    """Outcome of the search.

    Parameters
    ----------
    change, std : ndarray (block row, node)
        Metres.
    brightness : ndarray (block row, node)
        Change of log reflectivity.
    matching : Matching
        With the brightness multiplied into the reflectivity.
    """

    change: Float
    std: Float
    brightness: Float
    matching: Matching


def with_brightness(matching: Matching, b: Float) -> Matching:
    """Change the reflectivity."""
    fine = on_points(matching, b)
    gain = np.exp(0.5 * (fine[:, 1:] + fine[:, :-1]))
    return replace(matching, reflectivity=(matching.reflectivity * gain).astype(np.float32))


def find_start(matching: Matching, lowest: float, highest: float) -> Start:
    """Search, take the brightness change out, search again near by, polish.

    Parameters
    ----------
    matching : Matching
        What is matched.
    lowest, highest : float
        Bounds of the change, metres.

    Returns
    -------
    Start
        The start for the refinement.
    """
    fine = LABEL_PIXELS * matching.unit
    d = global_search(matching, lowest, highest, 2 * fine)
    d = narrow(matching, d, 4 * fine, fine)
    b = brightness(matching, d)
    bright = with_brightness(matching, b)
    if float(np.abs(b).max()) > BRIGHT_NOISE:
        d = global_search(bright, lowest, highest, 2 * fine)
        d = narrow(bright, d, 4 * fine, fine)
        b = brightness(matching, d)
        bright = with_brightness(matching, b)
    d, std = polish(bright, d, 2 * fine, 0.5 * fine)
    return Start(d, std, b, bright)
