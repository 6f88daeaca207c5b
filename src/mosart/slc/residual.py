"""The offset that remains after coregistration by geometry, from the images' own amplitudes.

Patches of both amplitudes are correlated and the peak of each is found on an upsampled correlation
(Guizar-Sicairos et al. 2008, Optics Letters 33(2)). Patches that agree are kept: ground that changed,
and patches of sea, are outvoted. The offset is the peak of the mean correlation of those kept, in which
the speckle of single patches has averaged out; its standard error is the spread between sixteen groups
of patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PATCH = 64
_MOST_PATCHES = 600
_FEWEST = 8
_GROUPS = 16


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


@dataclass(frozen=True)
class _Correlation:
    """Cross spectrum of a patch, normalised, with its peak."""

    spectrum: NDArray[np.complex128]
    row: float
    column: float


def _frequencies(n: int, m: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.fft.fftfreq(n).astype(np.float64), np.fft.fftfreq(m).astype(np.float64)


def find_peak(
    spectrum: NDArray[np.complex128], reach: int, *, sure: bool = False
) -> tuple[float, float] | None:
    """Peak of a correlation, rows and columns, to a five-hundredth of a pixel.

    Parameters
    ----------
    spectrum : ndarray (n, m)
        Cross spectrum.
    reach : int
        Largest offset searched, pixels.
    sure : bool
        Take the peak even where it does not stand out.

    Returns
    -------
    tuple of float or None
        None where no peak stands out of the correlation at larger offsets.
    """
    n, m = spectrum.shape
    surface = np.fft.ifft2(spectrum).real
    fr, fc = _frequencies(n, m)
    rows, columns = fr * n, fc * m
    inside = (np.abs(rows)[:, None] <= reach) & (np.abs(columns) <= reach)
    peak = np.unravel_index(np.argmax(np.where(inside, surface, -np.inf)), surface.shape)
    if not sure and surface[peak] < 4.5 * surface[~inside].std():
        return None
    y, x = float(rows[peak[0]]), float(columns[peak[1]])
    if abs(y) >= reach or abs(x) >= reach:
        return None
    # Nyquist frequencies have no sign; without them a shift of half a pixel is unambiguous.
    keep_r, keep_c = np.abs(rows) < n / 2, np.abs(columns) < m / 2
    inner = spectrum[np.ix_(keep_r, keep_c)]
    fr, fc = fr[keep_r], fc[keep_c]
    step = 1.0 / 8
    for _ in range(3):
        dy = y + step * np.arange(-8, 9)
        dx = x + step * np.arange(-8, 9)
        fine = np.exp(2j * np.pi * dy[:, None] * fr) @ inner @ np.exp(2j * np.pi * fc[:, None] * dx)
        best = np.unravel_index(np.argmax(fine.real), fine.shape)
        y, x = float(dy[best[0]]), float(dx[best[1]])
        step /= 8
    return y, x


def correlate(reference: NDArray[np.float32], image: NDArray[np.float32], reach: int) -> _Correlation | None:
    """Correlate one patch; None where too much is missing or no peak stands out.

    Parameters
    ----------
    reference, image : ndarray (n, m)
        Amplitudes, NaN where missing.
    reach : int
        Largest offset searched, pixels.
    """
    n, m = reference.shape
    window = np.hanning(n + 2)[1:-1, None] * np.hanning(m + 2)[1:-1]
    a, b = _prepare(reference, window), _prepare(image, window)
    if a is None or b is None:
        return None
    spectrum = np.conj(np.fft.fft2(a)) * np.fft.fft2(b) / np.sqrt((a**2).sum() * (b**2).sum())
    peak = find_peak(spectrum, reach)
    return None if peak is None else _Correlation(spectrum, *peak)


def _patch_size(n: int) -> int:
    return min(n, _PATCH if n >= 4 * _PATCH else max(_PATCH // 2, 2 * (n // 8)))


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
    size_r, size_c = _patch_size(rows), _patch_size(columns)
    reach = min(reach, size_r // 4, size_c // 4)
    if reach < 2:
        return UNMEASURED
    every_r = max((rows - size_r) // max(int(np.sqrt(_MOST_PATCHES * rows / columns)), 1), size_r // 2)
    every_c = max((columns - size_c) // max(int(np.sqrt(_MOST_PATCHES * columns / rows)), 1), size_c // 2)
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
    nan = float("nan")
    if len(found) < _FEWEST:
        return Residual(nan, nan, nan, nan, len(found), tried)
    offsets = np.array([(f.row, f.column) for f in found])
    keep = np.ones(len(found), dtype=bool)
    for _ in range(6):
        centre = np.median(offsets[keep], axis=0)
        spread = np.maximum(1.4826 * np.median(np.abs(offsets[keep] - centre), axis=0), 0.02)
        keep = np.all(np.abs(offsets - centre) <= 3.0 * spread, axis=1)
    # Where patches do not agree with each other better than chance, nothing was measured.
    agreed = int(keep.sum())
    if agreed < _FEWEST or spread.max() > 0.4 * reach:
        return Residual(nan, nan, nan, nan, 0, tried)
    kept = [found[k].spectrum for k in np.flatnonzero(keep)]
    peak = find_peak(np.mean(kept, axis=0), reach, sure=True)
    # Neighbours overlap by half: they go to one group, so that groups are nearly independent.
    number = min(_GROUPS, agreed // 2)
    groups = np.array_split(np.arange(agreed), number)
    peaks = [find_peak(np.mean([kept[k] for k in g], axis=0), reach, sure=True) for g in groups]
    values = np.array([p for p in peaks if p is not None])
    if peak is None or len(values) < 3:
        return Residual(nan, nan, nan, nan, 0, tried)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    # The search's own steps leave a five-hundredth of a pixel.
    error = np.hypot(error, 0.002)
    return Residual(peak[0], peak[1], float(error[0]), float(error[1]), agreed, tried)
