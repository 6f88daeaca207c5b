"""The offset that remains after coregistration by geometry, from the images' own amplitudes.

Patches of both amplitudes are correlated (Bamler 2000, *Interferometric stereo radargrammetry*, gives the
accuracy), the peak is found on an upsampled correlation (Guizar-Sicairos et al. 2008, Optics Letters
33(2)), and one offset for the image is the median of the patches that agree: ground that changed, and
patches of sea, are outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PATCH = 64
_MOST_PATCHES = 600
_FEWEST = 8


@dataclass(frozen=True)
class Residual:
    """Offset of an image against the reference, in pixels of the reference grid.

    Parameters
    ----------
    azimuth, range : float
        Rows and columns by which features of the image lie after those of the reference; NaN where it
        could not be measured.
    azimuth_std, range_std : float
        Standard errors.
    patches : int
        Patches that agreed.
    tried : int
        Patches that had pixels.
    """

    azimuth: float
    range: float
    azimuth_std: float
    range_std: float
    patches: int
    tried: int

    @property
    def measured(self) -> bool:
        """Whether enough patches agreed."""
        return self.patches >= _FEWEST

    @property
    def significant(self) -> bool:
        """Whether the offset is larger than three standard errors, and than a fiftieth of a pixel."""
        return self.measured and (
            abs(self.azimuth) > max(3 * self.azimuth_std, 0.02)
            or abs(self.range) > max(3 * self.range_std, 0.02)
        )


UNMEASURED = Residual(float("nan"), float("nan"), float("nan"), float("nan"), 0, 0)


def _prepare(patch: NDArray[np.float32], window: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Log amplitude without its mean, tapered; None where too much is missing."""
    good = np.isfinite(patch) & (patch > 0)
    if good.mean() < 0.9:
        return None
    values = np.where(good, patch, 1.0).astype(np.float64)
    # The root tames single bright targets; unlike the logarithm it does not magnify the dark ones.
    values = np.sqrt(values)
    mean = values[good].mean()
    spread = values[good].std()
    if not spread > 0:
        return None
    return np.asarray(np.where(good, (values - mean) / spread, 0.0) * window)


def correlate(
    reference: NDArray[np.float32], image: NDArray[np.float32], reach: int
) -> tuple[float, float, float] | None:
    """Offset (rows, columns) of one patch and the height of its peak; None where there is none.

    Parameters
    ----------
    reference, image : ndarray (n, n)
        Amplitudes, NaN where missing.
    reach : int
        Largest offset searched, pixels.
    """
    n, m = reference.shape
    window = np.hanning(n + 2)[1:-1, None] * np.hanning(m + 2)[1:-1]
    a, b = _prepare(reference, window), _prepare(image, window)
    if a is None or b is None:
        return None
    product = np.conj(np.fft.fft2(a)) * np.fft.fft2(b)
    surface = np.fft.ifft2(product).real / np.sqrt((a**2).sum() * (b**2).sum())
    rows, columns = np.fft.fftfreq(n, 1 / n), np.fft.fftfreq(m, 1 / m)
    inside = (np.abs(rows)[:, None] <= reach) & (np.abs(columns) <= reach)
    noise = float(surface[~inside].std())
    peak = np.unravel_index(np.argmax(np.where(inside, surface, -np.inf)), surface.shape)
    height = float(surface[peak])
    if height < max(5.0 * noise, 0.05):
        return None
    y, x = float(rows[peak[0]]), float(columns[peak[1]])
    if abs(y) >= reach or abs(x) >= reach:
        return None
    # Nyquist frequencies have no sign; without them a shift of half a pixel is unambiguous.
    keep_r, keep_c = np.abs(rows) < n / 2, np.abs(columns) < m / 2
    spectrum = product[np.ix_(keep_r, keep_c)]
    fr, fc = rows[keep_r] / n, columns[keep_c] / m
    step = 1.0 / 8
    for _ in range(3):
        dy = y + step * np.arange(-8, 9)
        dx = x + step * np.arange(-8, 9)
        fine = np.exp(2j * np.pi * dy[:, None] * fr) @ spectrum @ np.exp(2j * np.pi * fc[:, None] * dx)
        best = np.unravel_index(np.argmax(fine.real), fine.shape)
        y, x = float(dy[best[0]]), float(dx[best[1]])
        step /= 8
    return y, x, height


def measure(
    reference: NDArray[np.float32],
    image: NDArray[np.float32],
    *,
    exclude: NDArray[np.bool_] | None = None,
    reach: int = 8,
) -> Residual:
    """Offset of an image against the reference.

    Parameters
    ----------
    reference, image : ndarray (rows, columns)
        Amplitudes on the reference grid, NaN where missing.
    exclude : ndarray of bool, optional
        Ground that changed: patches that hold some of it are not used.
    reach : int
        Largest offset searched, pixels.

    Returns
    -------
    Residual
    """
    rows, columns = reference.shape
    size_r, size_c = min(_PATCH, rows), min(_PATCH, columns)
    if size_r < 4 * reach // 2 or size_c < 4 * reach // 2:
        return UNMEASURED
    every_r = max(int((rows - size_r) / max(int(np.sqrt(_MOST_PATCHES * rows / columns)), 1)), size_r // 2)
    every_c = max(int((columns - size_c) / max(int(np.sqrt(_MOST_PATCHES * columns / rows)), 1)), size_c // 2)
    found, tried = [], 0
    for r in range(0, rows - size_r + 1, every_r):
        for c in range(0, columns - size_c + 1, every_c):
            box = np.s_[r : r + size_r, c : c + size_c]
            if exclude is not None and exclude[box].any():
                continue
            tried += 1
            result = correlate(np.asarray(reference[box]), np.asarray(image[box]), reach)
            if result is not None:
                found.append(result)
    if len(found) < _FEWEST:
        return Residual(float("nan"), float("nan"), float("nan"), float("nan"), len(found), tried)
    offsets = np.array(found)[:, :2]
    keep = np.ones(len(found), dtype=bool)
    for _ in range(6):
        centre = np.median(offsets[keep], axis=0)
        spread = np.maximum(1.4826 * np.median(np.abs(offsets[keep] - centre), axis=0), 0.01)
        keep = np.all(np.abs(offsets - centre) <= 3.0 * spread, axis=1)
    agreed = int(keep.sum())
    # Half-overlapping patches share pixels: about half of them count. A median costs a quarter more.
    error = 1.2533 * offsets[keep].std(axis=0) / np.sqrt(max(agreed / 2, 1.0))
    centre = np.median(offsets[keep], axis=0)
    return Residual(
        float(centre[0]), float(centre[1]), float(error[0]), float(error[1]), agreed, tried
    )
