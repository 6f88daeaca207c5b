"""From noise-free intensity to the amplitude of one date: gain, noise floor, speckle, scale."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .sensors import Sensor
from .speckle import speckle


@dataclass(frozen=True)
class Radiometry:
    """What happens to the echo on its way into the file.

    Parameters
    ----------
    looks : float, optional
        Equivalent number of looks, any positive number; infinity for no speckle; the sensor's if not given.
    noise : float, optional
        Noise-equivalent sigma nought, dB; minus infinity for none; the sensor's if not given.
    gain : float
        Standard deviation of the gain from date to date, dB.
    row_gain : float
        Standard deviation of the slow drift of the gain along the rows of a date, dB.
    oversampling : tuple of float
        In azimuth and range; above 1 the speckle is correlated.
    scale : float
        Factor on the amplitude: 1 is calibrated (the square root of beta nought), some tens are like raw
        digital numbers.
    """

    looks: float | None = None
    noise: float | None = None
    gain: float = 0.0
    row_gain: float = 0.0
    oversampling: tuple[float, float] = (1.0, 1.0)
    scale: float = 1.0

    def of(self, sensor: Sensor) -> Radiometry:
        """Fill in a sensor's looks and noise where they are not given.

        Parameters
        ----------
        sensor : Sensor
            The radar.

        Returns
        -------
        Radiometry
            With numbers for both.
        """
        return replace(
            self,
            looks=sensor.looks if self.looks is None else self.looks,
            noise=sensor.noise if self.noise is None else self.noise,
        )

    def amplitude(
        self,
        intensity: NDArray[np.float64],
        date: dt.date,
        incidence_angle: float,
        seed: int,
    ) -> NDArray[np.float32]:
        """Make the amplitude image of one date.

        Parameters
        ----------
        intensity : ndarray
            Beta nought without noise, (azimuth, range).
        date : datetime.date
            With the seed it fixes the random numbers, so that one more date leaves the others as they are.
        incidence_angle : float
            Degrees.
        seed : int
            Of the scene.

        Returns
        -------
        ndarray of float32
            ``scale · sqrt((gain · intensity + noise) · speckle)``.

        Notes
        -----
        Speckle multiplies the sum of echo and noise: both are circular Gaussian, so is their sum.
        ``looks`` and ``noise`` must be numbers here (:meth:`of`).
        """
        if self.looks is None or self.noise is None:
            raise ValueError("looks and noise are not given: call of() first")
        rng = np.random.default_rng([seed, date.toordinal()])
        rows = intensity.shape[0]
        decibel = self.gain * rng.standard_normal() + self.row_gain * _drift(rows, rng)
        floor = 10.0 ** (self.noise / 10.0) / math.sin(math.radians(incidence_angle))
        power = intensity * (10.0 ** (decibel / 10.0))[:, None]
        power += floor
        power *= speckle((rows, intensity.shape[1]), self.looks, rng, oversampling=self.oversampling)
        np.sqrt(power, out=power)
        power *= self.scale
        return power.astype(np.float32)


#: No speckle, no noise, no gain.
NOISELESS = Radiometry(looks=math.inf, noise=-math.inf)


def _drift(rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a smooth random line of mean square 1 in expectation, correlated over a sixth of the rows."""
    sigma = max(rows / 6.0, 1.0)
    reach = math.ceil(4 * sigma)
    line = gaussian_filter1d(rng.standard_normal(rows + 2 * reach), sigma)[reach : reach + rows]
    # White noise through a Gaussian of σ samples keeps the variance 1/(2σ√π).
    return np.asarray(line * math.sqrt(2.0 * sigma * math.sqrt(math.pi)))
