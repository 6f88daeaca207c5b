"""One layer of a change: a date against the reference, or against the date before."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .correlation import Correlation, measure_lines, sampled_lines

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

#: Ground is taken as stable, where none is named, up to this many standard errors.
STABLE = 3.0
#: Median absolute deviation of a Gaussian in standard deviations, inverted.
GAUSSIAN = 1.4826


@dataclass(frozen=True)
class Layer:
    """Change of one grid between two dates, in memory.

    Parameters
    ----------
    date : datetime.date
        The later date.
    since : datetime.date or None
        What it is against; None where that is the date itself.
    index : int
        Number of the entry.
    change : ndarray (rows, columns)
        Metres, NaN where there is none.
    std : ndarray, () or (rows, columns)
        Standard error, metres.
    mask : ndarray of uint8 (rows, columns)
        Reasons not to use the pixel.
    stable : ndarray of bool (rows, columns) or None
        Stable ground, where it is named.
    """

    date: dt.date
    since: dt.date | None
    index: int
    change: NDArray[np.generic]
    std: NDArray[np.generic]
    mask: NDArray[np.uint8]
    stable: Booleans | None

    def standardised(self, part: tuple[slice, slice], exclude: Booleans | None) -> Floats:
        """Divide the change by its standard error on a part of the stable ground; NaN elsewhere."""
        spread = (self.std[part] if self.std.ndim else self.std).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = self.change[part].astype(np.float64) / np.where(spread > 0, spread, np.nan)
            if self.stable is not None:
                stable = self.stable[part]
            else:
                stable = np.abs(values) <= STABLE
                if exclude is not None:
                    stable &= ~exclude[part]
        return np.where(stable, values, np.nan)

    def correlation(self, exclude: Booleans | None) -> Correlation:
        """Measure how errors go together, on stable ground: on some lines, since an image may be large."""
        columns, rows = (self.standardised(part, exclude) for part in sampled_lines(self.change.shape))
        measured = measure_lines(columns, rows)
        if measured.pixels == 0 and np.any(self.std > 0):  # type: ignore[operator]
            logger.warning(
                "%s: too little stable ground to measure how errors are correlated; "
                "sums and means take them as one error shared by all pixels",
                f"{self.date:%Y%m%d}",
            )
        return measured

    def since_then(self, before: Layer, exclude: Booleans | None) -> Layer:
        """Give the change since an earlier date.

        Parameters
        ----------
        before : Layer
            The earlier date, against the same reference.
        exclude : ndarray of bool (rows, columns), optional
            Ground that is not stable.

        Returns
        -------
        Layer
            What both share, the reference's error above all, is not in it: its standard error is that of the
            two, scaled to the robust spread of the difference over stable ground.
        """
        change = self.change.astype(np.float64) - before.change.astype(np.float64)
        std = np.asarray(np.hypot(self.std.astype(np.float64), before.std.astype(np.float64)))
        grounds = [layer.stable for layer in (self, before) if layer.stable is not None]
        both = grounds[0] & grounds[-1] if grounds else None
        result = Layer(self.date, before.date, self.index, change, std, self.mask | before.mask, both)
        errors = result.standardised((slice(None), sampled_lines(change.shape)[0][1]), exclude)
        known = np.abs(errors[np.isfinite(errors)])
        scale = GAUSSIAN * float(np.median(known)) if known.size else 1.0
        return Layer(self.date, before.date, self.index, change, std * scale, result.mask, both)
