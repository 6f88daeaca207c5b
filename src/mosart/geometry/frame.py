"""What is known of the radar's look: incidence, spacings and directions of one radar grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosart.errors import InputError

from .profile import running


@dataclass(frozen=True)
class LookFrame:
    """The look of the radar on one radar grid.

    Parameters
    ----------
    incidence_angle : ndarray of float64, (range,)
        Incidence angle in **degrees** from the vertical, per range pixel, of ground at
        ``reference_height``.
    range_spacing : float
        Spacing of the range pixels in **slant** range, metres.
    azimuth_spacing : float
        Spacing of the rows on the ground, metres; NaN where unknown.
    look_direction : str
        ``"right"`` or ``"left"`` of the flight; ``"unknown"``.
    heading : float
        Direction of flight, degrees clockwise from north; NaN where unknown.
    incidence_std_error : float
        Standard error of the incidence angle, degrees; 0 where it was given, not estimated.
    source : str
        Where the numbers come from, for people.
    reference_height : float
        Height in metres for which ``incidence_angle`` holds.

    Raises
    ------
    InputError
        If an angle lies outside 0-90 degrees or a spacing is not positive.
    """

    incidence_angle: NDArray[np.float64]
    range_spacing: float
    azimuth_spacing: float
    look_direction: str
    heading: float
    incidence_std_error: float
    source: str
    reference_height: float = 0.0

    def __post_init__(self) -> None:
        angle = np.atleast_1d(np.asarray(self.incidence_angle, dtype=np.float64)).copy()
        angle.setflags(write=False)
        object.__setattr__(self, "incidence_angle", angle)
        if angle.ndim != 1 or angle.size == 0 or not bool(np.all((angle > 0) & (angle < 90))):
            raise InputError(
                "the incidence angle cannot be used",
                expected="degrees between 0 and 90, one a range pixel",
                got=f"{angle.min():g} to {angle.max():g}" if angle.size else "none",
            )
        if not (np.isfinite(self.range_spacing) and self.range_spacing > 0):
            raise InputError(
                "the range spacing cannot be used",
                expected="a positive number of metres, in slant range",
                got=f"{self.range_spacing}",
            )
        if self.azimuth_spacing <= 0 or np.isinf(self.azimuth_spacing):
            raise InputError(
                "the azimuth spacing cannot be used",
                expected="a positive number of metres",
                got=f"{self.azimuth_spacing}",
            )
        if self.look_direction not in ("right", "left", "unknown"):
            raise InputError(
                "the look direction cannot be used",
                expected='"right" or "left" of the flight',
                got=f'"{self.look_direction}"',
            )

    @property
    def theta(self) -> NDArray[np.float64]:
        """Incidence angle in radians, (range,)."""
        return np.radians(self.incidence_angle)

    @property
    def look_azimuth(self) -> float:
        """Direction of growing ground range, degrees clockwise from north; NaN where unknown."""
        turn = {"right": 90.0, "left": -90.0}.get(self.look_direction, np.nan)
        return float((self.heading + turn) % 360.0)

    @property
    def pixel_area(self) -> float:
        """Area of a pixel on flat ground, in the middle of the swath, square metres."""
        return self.azimuth_spacing * self.range_spacing / float(np.median(np.sin(self.theta)))

    @property
    def pixel_height(self) -> float:
        """Height that moves ground by a range pixel, in the middle of the swath, metres."""
        return self.range_spacing / float(np.median(np.cos(self.theta)))

    @property
    def flat_range(self) -> NDArray[np.float64]:
        """Ground range of ground at the reference height, metres, 0 at the first pixel, (range,)."""
        return running(self.range_spacing / np.sin(self.theta))

    def ground_range(self, height: ArrayLike) -> NDArray[np.float64]:
        """Ground range of every pixel of a DEM that is coded in slant range.

        A pixel's slant range is fixed, so ground that is dh higher lies ``dh / tan(theta)`` further
        away: ``dx = (dr + cos(theta) dh) / sin(theta)`` from one pixel to the next, summed along the row.
        The sum is taken in the form ``x_i = sum(dr / sin(theta)) + (h_i - reference_height) / tan(theta_i)``,
        the same where theta is constant; where it grows along the row, this is the one that holds for an
        angle given at the reference height, and a gap in the heights leaves the pixels beyond it alone.

        Parameters
        ----------
        height : array_like, (..., range)
            Heights in metres, positive up.

        Returns
        -------
        ndarray of float64, (..., range)
            Ground range in metres, growing away from the radar; 0 is where the first pixel's slant range
            meets the reference height, the same for all rows. NaN where the height is.

        Raises
        ------
        InputError
            If the heights have another number of range pixels than the frame.
        """
        height = np.asarray(height, dtype=np.float64)
        self.check_range(height.shape[-1])
        return self.flat_range + (height - self.reference_height) / np.tan(self.theta)

    def check_range(self, size: int) -> None:
        """Refuse a row whose number of pixels is not the frame's.

        Raises
        ------
        InputError
            If ``size`` is not the number of range pixels of the frame.
        """
        if size != self.incidence_angle.size:
            raise InputError(
                "the look frame belongs to another radar grid",
                expected=f"{self.incidence_angle.size} range pixels",
                got=f"{size}",
                hint="resolve the frame after the crop, or crop it too",
            )

    def crop(self, pixels: slice) -> LookFrame:
        """Cut out the frame of some of the range pixels.

        Parameters
        ----------
        pixels : slice
            Range pixels to keep, step 1.

        Returns
        -------
        LookFrame
        """
        return replace(self, incidence_angle=self.incidence_angle[pixels])
