"""The stack: what every step reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .boxes import clip_pixels, find_lonlat
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
        - ``section_height``, ``section_range`` (azimuth, section) float32: the terrain along every row, a
          point a range pixel on level ground, folds and shadow included; metres, and range pixels counted
          as ``range`` is; where it was traced on a DEM raster;
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
        """Select the same stack with some of its dates.

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

    def crop(self, *, pixels: Sequence[int] | None = None, lonlat: Sequence[float] | None = None) -> Stack:
        """Cut out the same stack on a part of its image, as lazy as before.

        Parameters
        ----------
        pixels : sequence of int, optional
            Range start and stop, azimuth start and stop; counted from 0 at this stack's first pixel,
            the stops not included.
        lonlat : sequence of float, optional
            West, south, east, north in degrees: the smallest pixel box that holds every pixel in it.
            Across the antimeridian as west > east, or with an east beyond 180. Longitude and latitude
            are read once, by blocks of rows; pixels without a position (NaN) are in no box.

        Returns
        -------
        Stack
            Its ``azimuth`` and ``range`` coordinates still count in the source's grid. A box partly
            outside the image is logged as a warning and cropped to what there is.

        Raises
        ------
        InputError
            If the box is empty or wholly outside, both or no box is given, or a lon/lat box is
            given for a stack without longitude and latitude.
        """
        if (pixels is None) == (lonlat is None):
            raise InputError("a crop needs either a pixel box or a lon/lat box", expected="one of them")
        if pixels is not None:
            part = clip_pixels(pixels, *self.shape[1:])
        elif lonlat is not None and self.has_lonlat:
            part = find_lonlat(self.dataset, lonlat)
        else:
            raise InputError(
                "the stack has no longitude and latitude",
                expected="a pixel box",
                hint="crop with pixels: range start and stop, azimuth start and stop",
            )
        return Stack(self.dataset.isel(azimuth=slice(part.y0, part.y1), range=slice(part.x0, part.x1)))


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
