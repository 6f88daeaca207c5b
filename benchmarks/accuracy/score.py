"""Errors of a map against the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Pixels at the image's edge that are not scored: ground there leaves the image.
EDGE_PIXELS, EDGE_ROWS = 8, 4
#: Distance from the change at which still ground counts as far from it, metres.
FAR = 50.0


def zones(truth: Array, seen: Bool, spacing: tuple[float, float]) -> dict[str, Bool]:
    """Change zone, rim and stable ground.

    Parameters
    ----------
    truth : ndarray (azimuth, range)
        Metres.
    seen : ndarray of bool
        Pixels whose ground is seen alone on both dates.
    spacing : tuple of float
        Rows and pixels on the ground, metres.

    Returns
    -------
    dict
        ``zone``: |truth| above 10 % of its maximum, ``core``: above half of it, ``rim``: 1–10 %,
        ``still``: below, ``far``: of that what is more than 50 m from the rest, ``all``.
    """
    seen = seen.copy()
    seen[:, :EDGE_PIXELS] = seen[:, -EDGE_PIXELS:] = False
    seen[:EDGE_ROWS] = seen[-EDGE_ROWS:] = False
    size = np.abs(truth)
    largest = float(size.max())
    if largest <= 0:
        nothing = np.zeros_like(seen)
        return dict.fromkeys(("zone", "core", "rim"), nothing) | dict.fromkeys(("still", "far", "all"), seen)
    away = distance_transform_edt(size <= 0.01 * largest, sampling=spacing) > FAR
    return {
        "zone": seen & (size > 0.1 * largest),
        "core": seen & (size > 0.5 * largest),
        "rim": seen & (size > 0.01 * largest) & (size <= 0.1 * largest),
        "still": seen & (size <= 0.01 * largest),
        "far": seen & away,
        "all": seen,
    }


def score(estimate: Array, truth: Array, where: Bool, std: Array | None = None) -> dict[str, float]:
    """Errors on some pixels.

    Parameters
    ----------
    estimate, truth : ndarray (azimuth, range)
        Metres; NaN where nothing is given.
    where : ndarray of bool
        Pixels of the zone.
    std : ndarray, optional
        Standard errors, metres.

    Returns
    -------
    dict
        ``rms``, ``bias``, ``truth`` (rms of it), ``flagged`` (share without a number), ``slope`` of estimate
        on truth and its sums ``cross`` and ``power``, and with `std` ``bars50``, ``bars90`` (coverage),
        ``beyond4``, ``in3``, ``detected`` (estimate beyond 3σ, with the sign of the truth).
    """
    given = where & np.isfinite(estimate)
    out = {
        "pixels": float(where.sum()),
        "flagged": 1 - float(given.sum()) / max(int(where.sum()), 1),
        "truth": float(np.sqrt(np.mean(truth[where] ** 2))) if where.any() else np.nan,
    }
    if not given.any():
        return out
    error = estimate[given] - truth[given]
    out |= {"rms": float(np.sqrt(np.mean(error**2))), "bias": float(error.mean())}
    t, e = truth[given], estimate[given]
    out |= {"cross": float((t * e).sum()), "power": float((t * t).sum())}
    out["slope"] = out["cross"] / max(out["power"], 1e-12)
    out["correlation"] = float(np.corrcoef(e, t)[0, 1]) if t.std() > 0 and e.std() > 0 else np.nan
    if std is not None:
        z = np.abs(error) / std[given]
        out |= {
            "bars50": float(np.mean(z < 0.674)),
            "bars90": float(np.mean(z < 1.645)),
            "in3": float(np.mean(z < 3)),
            "beyond4": float(np.mean(z > 4)),
            "detected": float(np.mean(e * np.sign(t) > 3 * std[given])),
        }
    return out
