"""What it costs, in nats, that ground between two nodes has changed by two labels.

The cost sits on the *edges*: two neighbouring labels fix where the ground between them lands in slant
range and how much light it catches, so texture, its stretch and its shading are matched at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, polygamma

from mosart.compiled import compiled

#: Tempering of the data: neighbouring pixels share the reference's smoothed speckle and the model's errors.
TEMPER = 0.5
#: Standard deviations of a true match's log ratio at which a pixel's cost is capped.
CAP_SIGMA = 2.7


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
def edge_costs(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0917 - a kernel
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
