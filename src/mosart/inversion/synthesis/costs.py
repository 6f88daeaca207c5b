"""What it costs, in nats, that ground between two nodes has changed by two labels.

The cost sits on the *edges*: two neighbouring labels fix where the ground between them lands in slant
range and how much light it catches, so texture, its stretch and its shading are matched at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, polygamma

from mosart.compiled import compiled

Float32 = NDArray[np.float32]

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


def _logarithm() -> tuple[np.float32, ...]:
    """Polynomial for the binary logarithm of 1 to 2, in what exceeds 1.5, highest power first."""
    at = np.polynomial.Chebyshev.interpolate(lambda m: np.log2(1.5 + m), 9, (-0.5, 0.5))
    return tuple(np.float32(c) for c in at.convert(kind=np.polynomial.Polynomial).coef[::-1])


#: Errors below 1e-6: what is measured is uncertain by far more.
LOGARITHM = _logarithm()
#: Pixels of slant range below which a facet counts as folded.
SHORTEST = np.float32(0.05)


@compiled
def _add_facet(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - a kernel
    near, far, before, upto, told, telling, shaded, lit, dark, looks, cap, match, fold, low, high, gone, out,
):  # fmt: skip
    """Add a facet's cost for neighbouring labels: plain arithmetic, many labels at a time.

    near, far: where its points land; before, upto: cumulative intensity there; told, telling: pixels that
    show anything up to there; shaded: the labels up to which it is in shadow; low, high: the image's edges.
    """
    c = LOGARITHM
    for n in range(len(out)):
        x, y = near[n], far[n]
        s = y - x
        t = telling[n] - told[n]
        share = t / max(s, SHORTEST)
        new = max(upto[n] - before[n], np.float32(0.0)) + dark * s
        old = dark * s + (np.float32(0.0) if np.float32(n) < shaded else lit * share)
        both = new + old
        ratio = np.float32(4.0) * new * old / (both * both)
        bits = np.float32(ratio if s > SHORTEST else np.float32(1.0)).view(np.int32)
        m = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32) - np.float32(1.5)
        power = (((((((((c[0] * m + c[1]) * m + c[2]) * m + c[3]) * m + c[4]) * m + c[5]) * m + c[6]) * m
                   + c[7]) * m + c[8]) * m + c[9])  # fmt: skip
        fit = -looks * (np.float32((bits >> 23) - 127) + power)
        cost = t * (min(fit, cap) - match) if s > SHORTEST else fold * (SHORTEST - s)
        out[n] += cost if (low <= x) & (x < high) & (low <= y) & (y < high) else gone


@compiled
def edge_costs(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - a kernel
    position, width, rho, depth, cap, cumulative, telling, first_row, last_row, base, start, step, most,
    lift, light, facets, looks, match, fold, leave, dark, stiff, unit, out,
):  # fmt: skip
    """Cost of the ground between nodes e and e + 1 of a block row having changes base + start + n step.

    position, width, depth: pixels; telling: cumulative number of pixels that show anything; lift, light:
    pixels of slant range, and of width, per metre.

    The ground between two nodes is linear in their labels: where any label puts a point is one of `facets`
    places a step. They are looked up once, and the rest is arithmetic along the labels, in single precision
    about the place of the edge.
    """
    blocks, nodes = base.shape
    pixels = cumulative.shape[1] - 1
    count, slopes = out.shape[3], out.shape[2]
    f32 = np.float32
    place = np.empty((facets + 1, facets, count), np.float32)
    light_to = np.empty((facets + 1, facets, count), np.float32)
    tells_to = np.empty((facets + 1, facets, count), np.float32)
    looks_, match_, fold_, dark_ = f32(looks * np.log(2)), f32(match), f32(fold), f32(dark)
    for a in range(blocks):
        for e in range(nodes - 1):
            across = base[a, e + 1] - base[a, e]
            for slope in range(slopes):
                jump = abs(across + (slope - most) * step) / unit
                out[a, e, slope, :] = stiff * min(jump * jump, jump)
            for j in range(first_row[a], last_row[a]):
                near = np.floor(position[j, e * facets] - lift[e * facets] * (base[a, e] + start))
                start_pixel = int(min(max(near, 0), pixels))
                anchor, first_told = cumulative[j, start_pixel], telling[j, start_pixel]
                for f in range(facets + 1):
                    i = e * facets + f
                    phases = facets if 0 < f < facets else 1
                    for phase in range(phases):
                        for n in range(count):
                            d = base[a, e] + start + across * f / facets + step * (n + phase / facets)
                            q = position[j, i] - lift[i] * d
                            place[f, phase, n] = q - near
                            q = min(max(q, 0.0), pixels - 1e-9)
                            k = int(q)
                            pixel = cumulative[j, k + 1] - cumulative[j, k]
                            light_to[f, phase, n] = cumulative[j, k] - anchor + (q - k) * pixel
                            tells = telling[j, k + 1] - telling[j, k]
                            tells_to[f, phase, n] = telling[j, k] - first_told + (q - k) * tells
                low, high = f32(-near), f32(pixels - near)
                for f in range(facets):
                    i = e * facets + f
                    inside = 0 <= position[j, i] < pixels and 0 <= position[j, i + 1] < pixels
                    gone = f32(leave if inside else 0.0)
                    most_here = f32(cap[j, i])
                    for slope in range(slopes):
                        t = slope - most
                        rise = (across + t * step) / facets
                        lit = f32(max(width[j, i] + light[i] * rise, 0.0) * rho[j, i])
                        # where the old ground was in shadow, the new one is lit above that shadow's edge
                        edge = f32((depth[j, i] / light[i] - base[a, e] - start - rise * (f + 0.5)) / step
                                   if depth[j, i] > 0 else -1e9)  # fmt: skip
                        p, r = (t * f) % facets, (t * (f + 1)) % facets
                        u, v = (t * f) // facets, (t * (f + 1)) // facets
                        n0, n1 = max(0, -t), min(count, count - t)
                        _add_facet(
                            place[f, p, n0 + u : n1 + u], place[f + 1, r, n0 + v : n1 + v],
                            light_to[f, p, n0 + u : n1 + u], light_to[f + 1, r, n0 + v : n1 + v],
                            tells_to[f, p, n0 + u : n1 + u], tells_to[f + 1, r, n0 + v : n1 + v],
                            edge - f32(n0), lit, dark_, looks_, most_here, match_, fold_, low, high, gone,
                            out[a, e, slope, n0:n1],
                        )  # fmt: skip
            for slope in range(slopes):
                t = slope - most
                out[a, e, slope, : max(0, -t)] = 1e4
                out[a, e, slope, min(count, count - t) :] = 1e4
