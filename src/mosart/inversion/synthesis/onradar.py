"""All entries on the radar grid of one look, as a dataset; and what the datasets of all grids share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack
from mosart.masks import withheld

from .invert import ATTRS, WITHHELD
from .onlook import FIELDS, TEXTS, Answered, Float, Images
from .reference import Reference, Scattering
from .told import registration_attributes


def shared_dataset(
    plans: Sequence[JointEntry], reference: Sequence[Date]
) -> tuple[xr.Dataset, dict[str, str]]:
    """Make the coordinates, texts and attributes that all grids share."""
    dates = [plan.entry.date for plan in plans]
    data = xr.Dataset(coords={"date": np.array(dates, dtype="datetime64[ns]")})
    texts = [",".join(f"{date:%Y%m%d}" for date in plan.entry.images) for plan in plans]
    data["averaged_dates"] = ("date", np.array(texts), ATTRS["averaged_dates"])
    attrs = {
        "method": "synthesis",
        "reference_dates": ",".join(f"{date:%Y%m%d}" for date in reference),
        "stable_area": "all ground, as far as its learned envelope is small",
    }
    return data, attrs


def hidden(values: Any, mask: Any) -> Any:
    """Withhold values where the mask says so; lazy where they are."""
    if isinstance(values, np.ndarray):
        return np.where(withheld(mask), np.float32(np.nan), values)
    return da.map_blocks(hidden, values, mask, dtype=np.float32)


@dataclass(frozen=True)
class RadarImages:
    """All entries on the grid of one look, numpy or lazy.

    Parameters
    ----------
    images : mapping of str to array (date, azimuth, range)
        :data:`FIELDS` before anything is withheld.
    mask : array of uint8 (date, azimuth, range)
        What is withheld.
    row_gain : ndarray (date, azimuth)
        Log gains; NaN where the look has no image of an entry.
    """

    images: Images
    mask: Any
    row_gain: Float

    @classmethod
    def of(cls, k: int, done: Sequence[Answered]) -> RadarImages:
        """Put together what a look sees of all entries."""
        return cls(
            {name: np.array([one.seen[k].images[name] for one in done]) for name in FIELDS},
            np.array([one.masks[k] for one in done]),
            np.array([one.seen[k].row_gain for one in done]),
        )


def radar_dataset(
    look: NamedStack,
    reference: tuple[Date, ...],
    plans: Sequence[JointEntry],
    found: RadarImages,
    learned: Sequence[Reference | Scattering],
) -> xr.Dataset:
    """Lay the result on the grid of a look.

    Parameters
    ----------
    look : NamedStack
        Its stack.
    reference : tuple of datetime.date
        Of all looks.
    plans : sequence of JointEntry
        All entries.
    found : RadarImages
        What it sees of them.
    learned : sequence of Reference or Scattering
        What its reference dates said.

    Returns
    -------
    xarray.Dataset
        Of an :class:`~mosart.change.ElevationChange`, (date, azimuth, range).
    """
    source, grid = look.stack.dataset, ("date", "azimuth", "range")
    data, attrs = shared_dataset(plans, reference)
    data = data.assign_coords({name: source[name] for name in grid[1:] if name in source.coords})
    images, mask = found.images, found.mask
    data["elevation_change"] = (grid, hidden(images["estimate"], mask))
    for name, values in images.items():
        data[name] = (grid, hidden(values, mask) if name in WITHHELD else values)
    data["mask"] = (grid, mask)
    data["row_gain"] = (grid[:2], found.row_gain.astype(np.float32))
    for name in ("height", "longitude", "latitude", "incidence_angle"):
        if name in source:
            data[name] = source[name]
    for name in set(TEXTS) & {str(v) for v in data.data_vars}:
        data[name].attrs.update(TEXTS[name])
    data.attrs.update(source.attrs)
    data.attrs.update(attrs)
    data.attrs["look"] = look.name
    data.attrs["azimuth_spacing"] = look.frame.azimuth_spacing
    for one in learned[:1]:
        data.attrs["law_exponent"], data.attrs["law_exponent_std"] = one.law.exponent, one.law.std
        data.attrs.update(registration_attributes(one.registration, look.frame))
    return data
