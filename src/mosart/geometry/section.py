"""The ground along the rows, as a radar-coded DEM or a traced one tells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .frame import LookFrame

Float = NDArray[np.float64]

#: Variables of a stack that hold traced sections, (azimuth, section): metres, and range pixels counted as the
#: coordinate ``range`` counts them.
SECTION_HEIGHT, SECTION_RANGE = "section_height", "section_range"


@dataclass(frozen=True)
class Section:
    """Points of the ground along every row.

    Parameters
    ----------
    height : ndarray (azimuth, point)
        Metres; NaN where the DEM has none.
    pixel : ndarray (azimuth, point) or (1, point)
        Slant range, in range pixels from the centre of the image's first.
    """

    height: Float
    pixel: Float

    @classmethod
    def coded(cls, height: Float) -> Section:
        """Take a DEM that is coded on the radar grid: a point a pixel; folds and shadow it cannot hold."""
        return cls(height, np.arange(height.shape[1], dtype=np.float64)[None])

    @classmethod
    def traced(cls, data: xr.Dataset) -> Section | None:
        """Read what a stack's dataset, cut to a part or not, holds of traced sections; None without any.

        Parameters
        ----------
        data : xarray.Dataset
            With the coordinate ``range`` of the part.

        Returns
        -------
        Section or None
            Those points alone that return into the part, and what lies between them on the ground.
        """
        if SECTION_HEIGHT not in data or SECTION_RANGE not in data:
            return None
        # single precision (a few thousandths of a pixel) until what is wanted is cut out of long lines
        pixel = np.asarray(data[SECTION_RANGE].values)
        height = np.asarray(data[SECTION_HEIGHT].values)
        first = float(data["range"].values[0])
        inside = (pixel >= first - 1.0) & (pixel <= first + data.sizes["range"]) & np.isfinite(height)
        seen = np.flatnonzero(inside.any(axis=0))
        if len(seen) < 2:
            return None
        part = slice(int(seen[0]), int(seen[-1]) + 1)
        heights, pixels = height[:, part].astype(np.float64), pixel[:, part].astype(np.float64)
        return cls(heights, pixels - first)

    def theta(self, frame: LookFrame) -> Float:
        """Incidence angle at the reference height where the points return to, radians."""
        return np.asarray(np.interp(self.pixel, np.arange(frame.theta.size), frame.theta))

    def ground_range(self, frame: LookFrame) -> Float:
        """Ground range of the points, as :meth:`LookFrame.ground_range` gives it to pixels.

        Parameters
        ----------
        frame : LookFrame
            Of the image.

        Returns
        -------
        ndarray (azimuth, point)
            Metres; NaN where the height is. Beyond the image its ends go on.
        """
        last = frame.theta.size - 1
        theta = self.theta(frame)
        beyond = self.pixel - np.clip(self.pixel, 0, last)
        flat = np.interp(self.pixel, np.arange(last + 1), frame.flat_range)
        flat = flat + beyond * frame.range_spacing / np.sin(theta)
        return np.asarray(flat + (self.height - frame.reference_height) / np.tan(theta))
