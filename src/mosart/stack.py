"""The stack: what every step reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .errors import InputError

Date = dt.date


@dataclass(frozen=True)
class Stack:
    """Coregistered amplitude images and one DEM on one radar grid.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions ``(date, azimuth, range)``, lazily loaded (dask). Coordinates: ``date``
        (datetime64, one a day, ascending), ``azimuth`` and ``range`` (pixel indices of the file the
        stack came from, kept by a crop). Variables:

        - ``amplitude`` (date, azimuth, range) float32, linear, NaN where there is none;
        - ``height`` (azimuth, range) float64, metres, ellipsoidal, positive up;
        - ``longitude``, ``latitude`` (azimuth, range) float64, degrees; both or neither;
        - ``incidence_angle`` (azimuth, range) degrees from the vertical, where known;
        - ``mask`` (date, azimuth, range) uint8, bits of :class:`mosart.masks.Flag`;
        - ``gradient`` (azimuth, range), where the file carries the original's ``grad``.

        Attributes: see :data:`ATTRIBUTES`.
    """

    dataset: xr.Dataset

    @property
    def dates(self) -> tuple[Date, ...]:
        """Dates of the images, ascending."""
        return tuple(d.item() for d in self.dataset["date"].values.astype("datetime64[D]"))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of dates, azimuth rows and range pixels."""
        sizes = self.dataset.sizes
        return sizes["date"], sizes["azimuth"], sizes["range"]

    @property
    def has_lonlat(self) -> bool:
        """Whether longitude and latitude are known."""
        return "longitude" in self.dataset

    def select(self, dates: Sequence[Date]) -> Stack:
        """The same stack with some of its dates.

        Parameters
        ----------
        dates : sequence of datetime.date
            Dates of the stack, any order.

        Returns
        -------
        Stack
            With the dates in ascending order.

        Raises
        ------
        InputError
            If the stack has not all of them.
        """
        missing = sorted(set(dates) - set(self.dates))
        if missing:
            raise InputError(
                f"the stack has no image of {', '.join(f'{d:%Y%m%d}' for d in missing)}",
                expected=f"one of {', '.join(f'{d:%Y%m%d}' for d in self.dates)}",
                hint="name dates that the stack has; `mosart info FILE` lists them",
            )
        return Stack(self.dataset.sel(date=np.array(sorted(set(dates)), dtype="datetime64[ns]")))


#: Attributes of a stack's dataset; what is not known is recorded as ``"unknown"``.
ATTRIBUTES = (
    "sensor",
    "polarization",
    "orbit_direction",
    "look_direction",  # "right" or "left"
    "heading",  # degrees clockwise from north, of the flight
    "wavelength",  # metres
    "incidence_angle",  # degrees, at the middle of the range
    "range_spacing",  # metres, slant
    "azimuth_spacing",  # metres on the ground
    "radiometric_scale",
    "dem_date",
    "dem_vertical_datum",
    "source",
)
