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

#: Pixels' worth of light that a jump must hide: less is a steep slope, and lies on fewer pixels than a block.
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
#: Share of the usual light of unit reflectivity below which ground is too dim to tell the level; and factor
#: by which the level beside a jump may differ from the image's.
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
            near, far = sorted((slant[j, first] / step, slant[j, last] / step))
            hidden = (across[j, last] - across[j, first]) / step
            if slant[j, last] > slant[j, first]:
                hidden -= usual * (far - near)
            if hidden < LEAST_LIGHT:
                continue
            rise = float(abs(ground.height[j, last] - ground.height[j, first]))
            reach = int(np.ceil(rise * float(ground.cosine[first]) / step)) + 1
            low, high = int(np.floor(near)), int(np.floor(far)) + 1
            away = np.arange(reach + BESIDE)
            for side in (low - 1 - away, high + away):
                k = side[(side >= 0) & (side < pixels)]
                end = _run(
                    light[j, k],
                    own[j, k] / usual,
                    shown[j, k],
                    level=level * usual,
                    hidden=hidden,
                    reach=reach,
                )
                if end:
                    found[j, k[:end]] = True
                    found[j, max(low, 0) : max(high, 0)] = True
    return np.asarray(median_filter(found, (WINDOW[0], 1), mode="nearest"))


def _run(light: Float, own: Float, shown: Bool, *, level: float, hidden: float, reach: int) -> int:
    """Pixels, from a jump on, that are more likely in layover than not.

    light, own: measured, and of the ground that the DEM has there, in the usual; level: of the usual, over
    the image; hidden: light behind the jump, in pixels of the usual; reach: pixels that it can fold over.
    """
    if not len(light):
        return 0
    ratio = light / own
    beside = ratio[reach:][shown[reach:]]
    around = float(np.median(beside)) if len(beside) >= BESIDE // 2 else level
    excess = (ratio / np.clip(around, level / UNEVEN, level * UNEVEN) - 1)[:reach] * own[:reach]
    gain = np.cumsum(excess - DENSITY * hidden / reach)
    gain[np.cumsum(excess) > MOST_LIGHT * hidden] = -np.inf
    if not gain.size or gain.max() <= 0:
        return 0
    end = int(np.argmax(gain >= NEARLY * gain.max())) + 1
    return max(end - WINDOW[1] // 2, 1)  # the window blurs the end


def _jumps(known: Bool) -> list[tuple[int, int]]:
    """Last known point before, and first after, every run of unknown points between known ones."""
    at = np.flatnonzero(known)
    wide = np.flatnonzero(np.diff(at) > 1)
    return [(int(at[k]), int(at[k + 1])) for k in wide]
