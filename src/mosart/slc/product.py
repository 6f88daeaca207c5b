"""What coregistration knows of a product: one thin protocol, the same for every sensor."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.orbit import RadarGrid

#: A box of pixels: first and last row, first and last column, half-open.
Box = tuple[int, int, int, int]


class Pixels(Protocol):
    """Where complex pixels are read from."""

    def read(self, box: Box) -> NDArray[np.complex64]:
        """Pixels of a box of the segment; zero where the product has none."""
        ...


@dataclass(frozen=True)
class Table:
    """Values on a lattice of rows and columns, bilinear between, held constant outside.

    Parameters
    ----------
    rows : ndarray (n,)
        Ascending, in pixels of the segment.
    columns : ndarray (m,)
        Ascending.
    values : ndarray (n, m)
        Finite.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values on the lattice of some rows and columns, (rows, columns)."""
        along = np.stack([np.interp(columns, self.columns, line) for line in self.values])
        if self.rows.size == 1:
            return np.repeat(along, rows.size, axis=0)
        clipped = np.clip(rows, self.rows[0], self.rows[-1])
        k = np.clip(np.searchsorted(self.rows, clipped, side="right") - 1, 0, self.rows.size - 2)
        f = ((clipped - self.rows[k]) / (self.rows[k + 1] - self.rows[k]))[:, None]
        return np.asarray(along[k] * (1 - f) + along[k + 1] * f)


def constant(value: float) -> Table:
    """Return a table of one value."""
    return Table(np.zeros(1), np.zeros(1), np.full((1, 1), float(value)))


@dataclass(frozen=True)
class Carrier:
    """The phase that sits on the pixels besides the scene's: quadratic in time, column by column.

    ``phase = p0 + p1·τ + p2·τ²`` with τ the seconds after ``time``; it is removed before resampling,
    which needs spectra around zero frequency.

    Parameters
    ----------
    time : float
        Reference azimuth time, seconds after the orbit's epoch.
    coefficients : ndarray (3, columns)
        Radians, rad/s, rad/s².
    """

    time: float
    coefficients: NDArray[np.float64]


def no_carrier(columns: int) -> Carrier:
    """Pixels whose spectrum lies around zero already."""
    return Carrier(0.0, np.zeros((3, columns)))


@dataclass(frozen=True)
class Segment:
    """One regular radar grid with its pixels: a burst, or a whole stripmap image.

    Parameters
    ----------
    name : str
        The same for the same ground on every date: a burst's relative number and swath, or "scene".
    grid : RadarGrid
        Of all of the segment's pixels.
    valid : Box
        Where pixels are data.
    pixels : Pixels
        Reader.
    carrier : Carrier
        Phase to remove.
    amplitude_scale : Table
        Factor from digital amplitude to the square root of beta nought; one where not calibrated.
    noise : Table or None
        Noise floor, in units of the scaled intensity, where the product tells it.
    """

    name: str
    grid: RadarGrid
    valid: Box
    pixels: Pixels
    carrier: Carrier
    amplitude_scale: Table
    noise: Table | None


@dataclass(frozen=True)
class Product:
    """An SLC product of one date, one polarisation and one track.

    Parameters
    ----------
    paths : tuple of Path
        Files it was read from.
    sensor, platform, mode : str
        As "Sentinel-1", "S1A", "IW3".
    date : datetime.date
        UTC day of the first line, from the product and never from a name.
    polarization : str
        As "VV".
    track : str
        What must agree between dates: relative orbit and direction, or the like; "" if unknown.
    orbit_direction : str
        "ascending", "descending" or "unknown".
    segments : tuple of Segment
        In order of time.
    bandwidth : tuple of float
        Processed over sampled bandwidth in azimuth and range, 0…1.
    radiometric_scale : str
        "beta nought" or "unknown".
    processor : str
        Name and version of the processor, "" if unknown.
    orbit_source : str
        Which orbit was used.
    single_bursts : bool
        Whether further segments of the same pass may come as products of their own.
    """

    paths: tuple[Path, ...]
    sensor: str
    platform: str
    mode: str
    date: dt.date
    polarization: str
    track: str
    orbit_direction: str
    segments: tuple[Segment, ...] = field(repr=False)
    bandwidth: tuple[float, float]
    radiometric_scale: str
    processor: str
    orbit_source: str
    single_bursts: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """For messages."""
        return self.paths[0].name if self.paths else f"{self.sensor} {self.date:%Y%m%d}"


@dataclass(frozen=True)
class Sensor:
    """A format of SLC products: one line in :data:`mosart.slc.sensors.SENSORS`.

    Parameters
    ----------
    name : str
        For messages.
    recognises : callable
        Whether a path looks like such a product, from its name and first bytes.
    open : callable
        ``open(path, polarization, orbits) -> Product``; raises InputError and nothing else. The
        polarisation is "" for the co-polarised one; ``orbits`` are orbit files, which a sensor without
        any ignores.
    """

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, str, tuple[Path, ...]], Product]
