"""Layover that a radar-coded DEM cannot hold: it has one height a pixel, and leaves the hidden wall out.

A wall that faces the radar folds back over the ground before or behind it. Coded on the radar grid it is a
jump from one pixel to the next; the light of all that the jump skips lies on the pixels beside it, as far as
the wall folds. There the image shows more than one ground: it tells neither the ground's reflectivity nor,
later, its change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter

from .ground import Ground

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Pixels' worth of light that a jump must hide: less is a steep slope, and lies on fewer pixels than a block has.
LEAST_LIGHT = 8.0
#: Share of the least density that the hidden light can have (spread over all that the wall can reach) above
#: which a pixel is more likely in layover; and most light, in what the wall would send at the reflectivity
#: beside it.
DENSITY, MOST_LIGHT = 0.5, 2.0
#: Share of the largest sum at which a run ends: what follows is as likely without.
NEARLY = 0.95
#: Window in which light is read: rows and pixels; and pixels beyond the reach of a jump that say what the
#: ground's own light is.
WINDOW, BESIDE = (5, 3), 48
#: Share of the usual light of unit reflectivity below which ground is too dim to tell the level; and factor by
#: which the level beside a jump may differ from the image's.
DIM, UNEVEN = 0.3, 2.0


def coded_layover(mean: Float, expected: Float, ground: Ground) -> Bool:
    """Find the pixels on which hidden walls lie.

    Parameters
    ----------
    mean : ndarray (azimuth, range)
        Intensity of the reference; NaN in gaps.
    expected : ndarray (azimuth, range)
        Intensity, for unit reflectivity, of the ground that the DEM has.
    ground : Ground
        Profiles from a radar-coded DEM; a jump is a run of unknown points.

    Returns
    -------
    ndarray (azimuth, range) bool
        Beside every jump the run of pixels whose excess of light, less half of what a fold would add, is
        largest in sum; at most as far as a vertical wall of the jump's height would fold. The
        pixels of the jump itself are part of it where there is such a run.
    """
    found = np.zeros(mean.shape, bool)
    seen = np.isfinite(mean)
    light = uniform_filter(np.where(seen, mean, 0.0), WINDOW, mode="nearest")
    own = uniform_filter(np.where(seen, expected, 0.0), WINDOW, mode="nearest")
    usual = float(np.median(expected[expected > 0])) if (expected > 0).any() else 1.0
    shown = seen & (own > DIM * usual)
    own = np.maximum(own, DIM * usual)
    level = float(np.median(light[shown] / own[shown])) if shown.any() else 1.0
    slant, across = ground.slant_and_across()
    step, pixels = ground.range_spacing, mean.shape[1]
    for j, known in enumerate(ground.known):
        for first, last in _jumps(known):
            near, far = slant[j, first] / step, slant[j, last] / step
            hidden = (across[j, last] - across[j, first]) / step - usual * max(far - near, 0.0)
            if hidden < LEAST_LIGHT:
                continue
            rise = float(abs(ground.height[j, last] - ground.height[j, first]))
            reach = int(np.ceil(rise * float(ground.cosine[first]) / step)) + 1
            low, high = int(np.floor(min(near, far))), int(np.floor(max(near, far))) + 1
            for side in (range(low - 1, low - 1 - reach - BESIDE, -1), range(high, high + reach + BESIDE)):
                k = np.array([q for q in side if 0 <= q < pixels], int)
                if len(k) == 0:
                    continue
                ratio = light[j, k] / own[j, k]
                beside = ratio[reach:][shown[j, k[reach:]]]
                around = float(np.median(beside)) if len(beside) >= BESIDE // 2 else level
                ratio /= np.clip(around, level / UNEVEN, level * UNEVEN)
                excess = (ratio[:reach] - 1) * own[j, k[:reach]] / usual
                gain = np.cumsum(excess - DENSITY * hidden / reach)
                gain[np.cumsum(excess) > MOST_LIGHT * hidden] = -np.inf
                if gain.size and gain.max() > 0:
                    end = int(np.argmax(gain >= NEARLY * gain.max())) + 1
                    found[j, k[: max(end - WINDOW[1] // 2, 1)]] = True  # the window blurs the end
                    found[j, max(low, 0) : max(high, 0)] = True
    return np.asarray(median_filter(found, (WINDOW[0], 1), mode="nearest"))


def _jumps(known: Bool) -> list[tuple[int, int]]:
    """Last known point before, and first after, every run of unknown points between known ones."""
    at = np.flatnonzero(known)
    wide = np.flatnonzero(np.diff(at) > 1)
    return [(int(at[k]), int(at[k + 1])) for k in wide]
