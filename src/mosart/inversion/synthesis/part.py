"""One part of an image: its dates in, the answer of every entry out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame
from mosart.geometry.section import Section
from mosart.inversion.entries import Date, Entry
from mosart.masks import TRACED, VISIBILITY, Flag
from mosart.stack import Stack

from .epoch import Result, on_pixels, solve_epoch, to_radar
from .reference import READING_BLOCK, Gained, Reference, Scattering, learn_reference, read_epoch

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bits = NDArray[np.uint8]

#: Seed of the posterior samples: the same images give the same numbers, bit by bit.
SEED = 20190115
#: Images of an answer, float32.
FIELDS = (
    "estimate",
    "elevation_change_std",
    "elevation_change_slant",
    "elevation",
    "range_offset_effect",
    "brightness_change",
    "change_brightness_correlation",
    "measured_amplitude",
    "modelled_amplitude",
    "residual",
)


@dataclass(frozen=True)
class Part:
    """Images and heights of a part of a stack.

    Parameters
    ----------
    intensity : mapping of datetime.date to ndarray (azimuth, range)
        NaN where the mask forbids the measurement.
    flags : mapping of datetime.date to ndarray of uint8 (azimuth, range)
        Mask of every date; empty where the stack has none.
    height : ndarray (azimuth, range)
        DEM, metres; NaN in gaps.
    place : tuple of slice
        Rows and pixels of the whole image.
    whole : tuple of int
        Rows and pixels of it.
    frame : LookFrame
        Geometry of the part's pixels.
    section : Section or None
        The ground along the rows, where the stack holds it.
    traced : bool
        Whether the flags hold layover and shadow of the DEM raster.
    """

    intensity: Mapping[Date, Float]
    flags: Mapping[Date, Bits]
    height: Float
    place: tuple[slice, slice]
    whole: tuple[int, int]
    frame: LookFrame
    section: Section | None = None
    traced: bool = False

    def within(self, place: tuple[slice, slice], whole: tuple[int, int]) -> Part:
        """Take the part as one of a larger image."""
        return replace(self, place=place, whole=whole)

    def entry_flags(self, dates: tuple[Date, ...]) -> Bits:
        """Bits that any of some dates has; missing data only where all dates miss."""
        any_bits = np.zeros(self.height.shape, np.uint8)
        if not self.flags:
            return any_bits
        all_bits = np.full(self.height.shape, 255, np.uint8)
        for date in dates:
            any_bits |= self.flags[date]
            all_bits &= self.flags[date]
        nodata = np.uint8(Flag.NODATA)
        return np.asarray((any_bits & ~nodata) | (all_bits & nodata), dtype=np.uint8)


def read_part(stack: Stack, rows: slice, pixels: slice, frame: LookFrame) -> Part:
    """Read a part of a stack.

    Parameters
    ----------
    stack : Stack
        With the dates that are needed, and no others.
    rows, pixels : slice
        What to read.
    frame : LookFrame
        Geometry of the whole stack.

    Returns
    -------
    Part
        Clipped pixels, water and missing data are NaN.
    """
    data = stack.dataset.isel(azimuth=rows, range=pixels)
    flags: dict[Date, Bits] = {}
    intensity: dict[Date, Float] = {}
    bad = np.uint8(Flag.NODATA | Flag.WATER | Flag.CLIPPED)
    for k, date in enumerate(stack.dates):
        amplitude = np.asarray(data["amplitude"][k].values, dtype=np.float64)
        if "mask" in data:
            flags[date] = np.asarray(data["mask"][k].values)
            amplitude = np.where((flags[date] & bad) != 0, np.nan, amplitude)
        intensity[date] = amplitude**2
    height = np.asarray(data["height"].values, dtype=np.float64)
    return Part(
        intensity,
        flags,
        height,
        (rows, pixels),
        stack.shape[1:],
        frame.crop(pixels),
        Section.traced(data),
        data.attrs.get(VISIBILITY) == TRACED,
    )


@dataclass(frozen=True)
class Known:
    """What a part of a larger image takes over from the whole.

    Parameters
    ----------
    reference : mapping of tuple of datetime.date to Gained
        Gains and looks of reference dates, over all rows.
    epoch : mapping of tuple of datetime.date, twice, to Gained
        The same of an epoch's dates against reference dates.
    scattering : mapping of tuple of datetime.date to Scattering
        By reference dates.
    """

    reference: Mapping[tuple[Date, ...], Gained]
    epoch: Mapping[tuple[tuple[Date, ...], tuple[Date, ...]], Gained]
    scattering: Mapping[tuple[Date, ...], Scattering]


@dataclass(frozen=True)
class Answer:
    """Answer of one entry on a part.

    Parameters
    ----------
    images : mapping of str to ndarray (azimuth, range)
        :data:`FIELDS` before anything is withheld, and the mask.
    row_gain : ndarray (azimuth,)
        Log gain that the refinement found.
    reference : Reference or None
        What the entry was compared with.
    searched : bool
        Whether the search for large changes ran.
    """

    images: Mapping[str, NDArray[Any]]
    row_gain: Float
    reference: Reference | None
    searched: bool


def solve_part(part: Part, entries: tuple[Entry, ...], known: Known | None = None) -> list[Answer]:
    """Solve all entries of a part.

    Parameters
    ----------
    part : Part
        Images and heights.
    entries : tuple of Entry
        What to compare.
    known : Known, optional
        What the whole image says; all is measured on the part if not given.

    Returns
    -------
    list of Answer
        One an entry.
    """
    learned: dict[tuple[Date, ...], Reference] = {}
    answers = []
    for entry in entries:
        flags = part.entry_flags((*entry.images, *entry.reference))
        if not entry.reference:
            answers.append(_zero(part.height, flags))
            continue
        if entry.reference not in learned:
            learned[entry.reference] = part_reference(part, entry.reference, known)
        this = learned[entry.reference]
        gained = None if known is None else known.epoch[entry.images, entry.reference]
        images = [part.intensity[date] for date in entry.images]
        epoch = read_epoch(images, this, None if gained is None else _rows(gained, part))
        result = solve_epoch(this, epoch, seed=SEED)
        logger.log(
            logging.INFO if known is None else logging.DEBUG,
            "%s: %.1f looks a pixel and date, noise %.2f of the expected, correlation range %.0f m, "
            "last step %.3f m",
            f"{entry.date:%Y%m%d}",
            epoch.pixel_looks,
            result.solution.looks[0].noise,
            result.correlation_range,
            result.solution.steps[-1],
        )
        answers.append(_answer(result, this, part, flags))
    return answers


def part_reference(part: Part, dates: tuple[Date, ...], known: Known | None) -> Reference:
    """Learn what the reference dates say of a part.

    Parameters
    ----------
    part : Part
        Images and heights.
    dates : tuple of datetime.date
        Of the reference.
    known : Known, optional
        Gains, and scattering where it holds these dates, of the whole image.

    Returns
    -------
    Reference
        Of the part.
    """
    scattering = None if known is None else known.scattering.get(dates)
    if scattering is not None:
        registration = scattering.registration.part(part.place, part.whole)
        scattering = replace(scattering, registration=registration)
    water = (part.entry_flags(dates) & np.uint8(Flag.WATER)) != 0
    return learn_reference(
        [part.intensity[date] for date in dates],
        part.height,
        part.frame,
        water,
        section=part.section,
        traced=part.traced,
        gained=None if known is None else _rows(known.reference[dates], part),
        scattering=scattering,
    )


def _rows(gained: Gained, part: Part) -> Gained:
    """Gains of a part's rows."""
    first = (part.place[0].start or 0) // READING_BLOCK[0]
    number = -(-len(part.height) // READING_BLOCK[0])
    return Gained(tuple(g[first : first + number] for g in gained.gains), gained.pixel_looks)


def _zero(height: Float, flags: Bits) -> Answer:
    """Make an entry that is the reference itself."""
    zero, nothing = np.zeros(height.shape), np.full(height.shape, np.nan)
    flags = flags | np.where(np.isfinite(height), 0, np.uint8(Flag.NODATA)).astype(np.uint8)
    images: dict[str, NDArray[Any]] = dict.fromkeys(FIELDS, nothing)
    images |= dict.fromkeys(("estimate", "elevation_change_std", "elevation_change_slant"), zero)
    images |= {"elevation": height, "mask": flags}
    return Answer(images, np.full(len(height), np.nan), None, searched=False)


def _answer(result: Result, reference: Reference, part: Part, flags: Bits) -> Answer:
    """Products and diagnostics of an entry."""
    height = part.height
    radar = to_radar(result, reference, height, part.frame.reference_height)
    mask = flags.copy()
    mask[radar.layover] |= np.uint8(Flag.LAYOVER)
    mask[radar.shadow] |= np.uint8(Flag.SHADOW)
    mask[radar.unresolved] |= np.uint8(Flag.UNRESOLVED)
    mask[~np.isfinite(height)] |= np.uint8(Flag.NODATA)
    scene, solution = result.scene, result.solution
    fit = solution.looks[0]
    rows, pixels = height.shape
    later = reference.registration.rows

    def blocks(values: Float) -> Float:
        full = np.repeat(np.repeat(values, scene.block[0], axis=0), scene.block[1], axis=1)
        return full[:rows, :pixels]

    area = scene.block[0] * scene.block[1] * scene.ground.range_spacing
    model = np.exp(fit.gain)[:, None] * fit.rendered.energy + result.measured.floor
    images: dict[str, NDArray[Any]] = {
        "estimate": radar.change,
        "elevation_change_std": radar.std,
        "elevation_change_slant": radar.slant_change,
        "elevation": radar.elevation,
        "range_offset_effect": on_pixels(result.offset, scene, reference.x, later),
        "brightness_change": on_pixels(solution.state.brightness[0], scene, reference.x, later),
        "change_brightness_correlation": on_pixels(solution.coupling[0], scene, reference.x, later),
        "measured_amplitude": blocks(np.sqrt(result.measured.energy / area)),
        "modelled_amplitude": blocks(np.sqrt(model / area)),
        "residual": blocks(fit.residual),
    }
    images = {name: np.asarray(image, dtype=np.float32) for name, image in images.items()}
    gain = np.repeat(fit.gain, scene.block[0])[:rows]
    return Answer(images | {"mask": mask}, gain, reference, searched=result.start is not None)
