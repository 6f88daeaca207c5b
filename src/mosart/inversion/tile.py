"""The row-wise inversion of one tile: whole rows of all dates, arrays in and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.gaps import range_gradient
from mosart.masks import Flag, withheld

from .entries import Date, Entry
from .groundshift import at_fixed_ground
from .robust import robust_weights
from .rowfit import fit_rows
from .water import substitute_water

Floats = NDArray[np.float64]
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """What a tile is to be inverted for; the same for all tiles.

    Attributes
    ----------
    dates : tuple of datetime.date
        Dates of the amplitudes.
    entries : tuple of Entry
        Entries of the result.
    intensity : bool
        Sum intensity, at the middle of the pixels, in place of amplitude, at their far edge.
    robust : bool
        Find weights by Tukey's biweight.
    theta : ndarray (range,), optional
        Incidence angle in radians; without it there is no change at the fixed ground position.
    flat_range : ndarray (range,), optional
        Ground range of ground at height 0, metres; given with `theta`.
    """

    dates: tuple[Date, ...]
    entries: tuple[Entry, ...]
    intensity: bool
    robust: bool = False
    theta: Floats | None = None
    flat_range: Floats | None = None


def record_type(plan: Plan) -> np.dtype[np.void]:
    """Type of what is known of a pixel after the inversion: one field a variable of the result."""
    names = ["elevation_change"] if plan.theta is not None else []
    names += ["elevation_change_slant", "elevation"] + (["weights"] if plan.robust else [])
    return np.dtype([*((name, "f4") for name in names), ("mask", "u1")])


@dataclass
class Tile:
    """Arrays of one tile, and the images that it has averaged so far."""

    plan: Plan
    amplitude: NDArray[Any]
    mask: Bits
    height: Floats
    gradient: Floats
    weights: Floats | None
    echoes: dict[tuple[Date, ...], tuple[Floats, Bits]] = field(default_factory=dict)

    def echo(self, dates: tuple[Date, ...]) -> tuple[Floats, Bits]:
        """Mean of some images in the unit that the method sums, and its mask."""
        if dates not in self.echoes:
            self.echoes[dates] = self._average(dates)
        return self.echoes[dates]

    def _average(self, dates: tuple[Date, ...]) -> tuple[Floats, Bits]:
        total = np.zeros(self.height.shape)
        count = np.zeros(self.height.shape)
        bits = np.zeros(self.height.shape, dtype=np.uint8)
        for date in dates:
            k = self.plan.dates.index(date)
            image = np.asarray(self.amplitude[k], dtype=np.float64)
            mask = self.mask[k]
            gap = ~np.isfinite(image) | ((mask & Flag.NODATA) != 0)
            water = (mask & Flag.WATER) != 0
            image = np.where(gap, np.nan, image)
            if water.any():
                image = substitute_water(image, self.gradient, water & ~gap)
            total += np.where(gap, 0.0, image * image if self.plan.intensity or len(dates) > 1 else image)
            count += ~gap
            bits |= mask & ~np.uint8(Flag.NODATA)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        if len(dates) > 1 and not self.plan.intensity:
            mean = np.sqrt(mean)
        gap = (count == 0) | ~np.isfinite(self.height)
        bits |= np.where(gap, np.uint8(Flag.NODATA), np.uint8(0))
        return mean, bits

    def fit(self, dates: tuple[Date, ...], weights: Floats | None) -> Floats:
        """Surface that some images show."""
        return fit_rows(self.echo(dates)[0], self.height, weights, centred=self.plan.intensity).surface


def invert_tile(
    amplitude: NDArray[Any],
    mask: Bits,
    height: NDArray[Any],
    gradient: NDArray[Any] | None,
    weights: NDArray[Any] | None,
    *,
    plan: Plan,
) -> NDArray[np.void]:
    """Elevation change of every entry on one tile of whole rows.

    Parameters
    ----------
    amplitude : ndarray (date, azimuth, range)
        Linear; NaN where there is none.
    mask : ndarray of uint8 (date, azimuth, range)
        Bits of :class:`mosart.masks.Flag`.
    height : ndarray (azimuth, range)
        DEM, metres; NaN in gaps.
    gradient : ndarray (azimuth, range), optional
        Gradient of the DEM along range, metres per pixel, by which flat ground is told where there is
        water; that of `height` if not given.
    weights : ndarray (azimuth, range), optional
        Weights of the residuals; 1 everywhere if not given.
    plan : Plan
        Entries and options.

    Returns
    -------
    ndarray of records (entry, azimuth, range)
        Fields as :func:`record_type` says: the change at the fixed ground position and at the fixed
        slant-range pixel in metres, NaN where the mask has any bit but ``CLIPPED``; the reconstructed
        height in metres; the robust weights; the mask.

    Notes
    -----
    An entry and its reference are fitted with the same weights, robust ones too: what the model cannot
    explain, the texture of the ground above all, bends both surfaces alike and cancels in their
    difference. So robust weights come from the difference of the two surfaces (it is the residual to
    the DEM where the reference fits it) and the reference is fitted anew for every entry.

    The change at the fixed ground position takes the DEM as the surface of the reference: the surface
    of an entry is the DEM plus the change at the slant-range pixel, each pixel at its own ground
    position (:mod:`mosart.inversion.groundshift`). Pixels in layover, shadow and water are not used.
    """
    height = np.asarray(height, dtype=np.float64)
    gradient = range_gradient(height) if gradient is None else np.asarray(gradient, dtype=np.float64)
    tile = Tile(plan, np.asarray(amplitude), mask, height, gradient, weights)
    result = np.zeros((len(plan.entries), *height.shape), dtype=record_type(plan))
    references = {entry.reference for entry in plan.entries}
    for entry, record in zip(plan.entries, result, strict=True):
        bits = tile.echo(entry.images)[1]
        if entry.reference:
            bits = bits | tile.echo(entry.reference)[1]
        base = _base_weights(tile, bits)
        if plan.robust:
            base = _robust_weights(tile, entry, base)
            record["weights"] = base
        surface = tile.fit(entry.images, base)
        reference = tile.fit(entry.reference, base) if entry.reference else surface
        record["elevation"] = surface
        _fill(record, surface - reference, bits, tile)
        if entry.images not in references:
            del tile.echoes[entry.images]
    return result


def _base_weights(tile: Tile, bits: Bits) -> Floats | None:
    """Given weights; none, for the method on intensity, where layover and shadow break its model."""
    if not tile.plan.intensity:
        return tile.weights
    broken = (bits & np.uint8(Flag.LAYOVER | Flag.SHADOW)) != 0
    if not broken.any():
        return tile.weights
    given = np.ones(broken.shape) if tile.weights is None else tile.weights
    return np.where(broken, 0.0, given)


def _robust_weights(tile: Tile, entry: Entry, base: Floats | None) -> Floats:
    given = np.ones(tile.height.shape) if base is None else np.asarray(base, dtype=np.float64)
    if not entry.reference:
        return given
    echo, reference = (tile.echo(dates)[0] for dates in (entry.images, entry.reference))
    return robust_weights(echo, reference, tile.height, given, centred=tile.plan.intensity)


def _fill(record: NDArray[np.void], slant: Floats, bits: Bits, tile: Tile) -> None:
    """Change in both readings, and the mask that both share."""
    plan = tile.plan
    usable = ~withheld(bits) & np.isfinite(slant)
    known = usable
    ground = np.full(slant.shape, np.nan)
    if plan.theta is not None and plan.flat_range is not None:
        position = plan.flat_range + tile.height / np.tan(plan.theta)
        reach = 0.5 * float(np.ptp(plan.flat_range)) / max(plan.flat_range.size - 1, 1)
        rise = np.where(usable, slant, np.nan)
        ground = at_fixed_ground(rise, tile.height, position, plan.theta, reach)
        known = usable & np.isfinite(ground)
    bits = bits | np.where(~known & ~withheld(bits), np.uint8(Flag.UNRESOLVED), np.uint8(0))
    record["mask"] = bits
    record["elevation_change_slant"] = np.where(known, slant, np.nan)
    if plan.theta is not None:
        record["elevation_change"] = np.where(known, ground, np.nan)
