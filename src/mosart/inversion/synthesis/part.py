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
from mosart.masks import TRACED, VISIBILITY, Flag, withheld
from mosart.stack import Stack

from .epoch import Result, on_pixels, solve_epoch, to_radar
from .needed import FEWEST_PIXELS, FEWEST_ROWS
from .newton import CONVERGED
from .reading import READING_BLOCK, Gained
from .reference import Epoch, Reference, Scattering, learn_reference, read_epoch
from .told import Told, ground_told

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bits = NDArray[np.uint8]

#: Seed of the posterior samples: the same images give the same numbers, bit by bit.
SEED = 20190115
#: Pixels that epoch and reference must both show: those of the smallest image.
FEWEST_COMPARED = FEWEST_ROWS * FEWEST_PIXELS
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
    traced : bool
        Whether the flags hold layover and shadow of the DEM raster.
    section : Section or None
        The ground along the rows as it was traced on the DEM raster, folds and all.
    """

    intensity: Mapping[Date, Float]
    flags: Mapping[Date, Bits]
    height: Float
    place: tuple[slice, slice]
    whole: tuple[int, int]
    frame: LookFrame
    traced: bool = False
    section: Section | None = None

    def within(self, place: tuple[slice, slice], whole: tuple[int, int]) -> Part:
        """Take the part as one of a larger image."""
        return replace(self, place=place, whole=whole)

    def any_flags(self, dates: tuple[Date, ...]) -> Bits:
        """Bits that any of some dates has; missing data is another matter."""
        bits = np.zeros(self.height.shape, np.uint8)
        for date in dates if self.flags else ():
            bits |= self.flags[date]
        return bits & ~np.uint8(Flag.NODATA)

    def missing(self, dates: tuple[Date, ...]) -> NDArray[np.bool_]:
        """Pixels that none of some dates shows, and not because they are water or clipped."""
        gone = np.ones(self.height.shape, bool)
        for date in dates:
            lost = ~np.isfinite(self.intensity[date])
            if self.flags:
                told = np.uint8(Flag.WATER | Flag.CLIPPED)
                lost &= ((self.flags[date] & told) == 0) | ((self.flags[date] & np.uint8(Flag.NODATA)) != 0)
            gone &= lost
        return gone

    def date_flags(self, dates: tuple[Date, ...]) -> Bits:
        """Bits that any of some dates has; no data where none of them shows the ground."""
        gone = np.where(self.missing(dates), np.uint8(Flag.NODATA), 0)
        return np.asarray(self.any_flags(dates) | gone, dtype=np.uint8)

    def entry_flags(self, entry: Entry) -> Bits:
        """Bits of an entry: of any of its dates; no data where the epoch or the reference has none."""
        flags = self.any_flags((*entry.images, *entry.reference))
        gone = self.missing(entry.images)
        if entry.reference:
            gone |= self.missing(entry.reference)
        return np.asarray(flags | np.where(gone, np.uint8(Flag.NODATA), 0), dtype=np.uint8)

    def shown(self, dates: tuple[Date, ...]) -> list[Date]:
        """Dates that show anything here."""
        return [date for date in dates if np.isfinite(self.intensity[date]).any()]

    def compared(self, entry: Entry) -> int:
        """Count the pixels that epoch and reference both show on ground that the DEM knows."""
        both = np.isfinite(self.height)
        for dates in (entry.images, entry.reference):
            both &= np.isfinite([self.intensity[date] for date in dates]).any(axis=0)
        return int(both.sum())


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
        traced=data.attrs.get(VISIBILITY) == TRACED,
        section=Section.traced(data),
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
    scattering : Scattering or None
        Of the reference that the entry was compared with.
    searched : bool
        Whether the search for large changes ran.
    told : Told or None
        Numbers to judge it by; None for an entry that is the reference.
    """

    images: Mapping[str, NDArray[Any]]
    row_gain: Float
    scattering: Scattering | None
    searched: bool
    told: Told | None = None


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
    if known is None:
        for date in sorted({d for e in entries for d in (*e.images, *e.reference)}):
            if not part.shown((date,)):
                logger.warning("%s: the image shows nothing and is left out", f"{date:%Y%m%d}")
    # water of any of its dates is not ground; where all dates share it, so do they the reference
    keys = [(entry.reference, np.packbits(_water(part.entry_flags(entry))).tobytes()) for entry in entries]
    learned: dict[tuple[tuple[Date, ...], bytes], Reference] = {}
    answers = []
    for k, (entry, key) in enumerate(zip(entries, keys)):
        learned = {held: one for held, one in learned.items() if held in keys[k:]}
        flags = part.entry_flags(entry)
        if not entry.reference:
            answers.append(_zero(part.height, flags))
            continue
        if part.compared(entry) < FEWEST_COMPARED:
            answers.append(_nothing(part.height, flags))
            continue
        if key not in learned:
            learned[key] = part_reference(part, entry.reference, known, _water(flags))
        this = learned[key]
        gained = None if known is None else known.epoch[entry.images, entry.reference]
        images = [part.intensity[date] for date in part.shown(entry.images)]
        epoch = read_epoch(images, this, None if gained is None else gained_rows(gained, part, entry.images))
        result = solve_epoch(this, epoch, seed=SEED)
        answers.append(_answer(result, this, epoch, part, flags))
    return answers


def _water(flags: Bits) -> NDArray[np.bool_]:
    return np.asarray((flags & np.uint8(Flag.WATER)) != 0)


def part_reference(
    part: Part, dates: tuple[Date, ...], known: Known | None, water: NDArray[np.bool_] | None = None
) -> Reference:
    """Learn what the reference dates say of a part.

    Parameters
    ----------
    part : Part
        Images and heights.
    dates : tuple of datetime.date
        Of the reference.
    known : Known, optional
        Gains, and scattering where it holds these dates, of the whole image.
    water : ndarray (azimuth, range) bool, optional
        What is not ground; by default the water of the reference dates.

    Returns
    -------
    Reference
        Of the part.
    """
    scattering = None if known is None else known.scattering.get(dates)
    if scattering is not None:
        registration = scattering.registration.part(part.place, part.whole)
        scattering = replace(scattering, registration=registration)
    if water is None:
        water = (part.any_flags(dates) & np.uint8(Flag.WATER)) != 0
    return learn_reference(
        [part.intensity[date] for date in part.shown(dates)],
        part.height,
        part.frame,
        water,
        section=part.section,
        layover=(part.any_flags(dates) & np.uint8(Flag.LAYOVER)) != 0 if part.traced else None,
        traced=part.traced,
        gained=None if known is None else gained_rows(known.reference[dates], part, dates),
        scattering=scattering,
    )


def gained_rows(gained: Gained, part: Part, dates: tuple[Date, ...]) -> Gained:
    """Take the gains of a part's rows, of the dates that show anything there.

    Parameters
    ----------
    gained : Gained
        Of `dates`, over all rows of the image.
    part : Part
        That begins with a reading block.
    dates : tuple of datetime.date
        Which.

    Returns
    -------
    Gained
        Of the dates that the part shows.
    """
    first = (part.place[0].start or 0) // READING_BLOCK[0]
    number = -(-len(part.height) // READING_BLOCK[0])
    shown = part.shown(dates)
    gains = [g[first : first + number] for g, date in zip(gained.gains, dates) if date in shown]
    return Gained(tuple(gains), gained.pixel_looks)


def _nothing(height: Float, flags: Bits) -> Answer:
    """Make an entry of which too little is shown to be compared."""
    mask = flags | np.where(withheld(flags), 0, np.uint8(Flag.UNRESOLVED)).astype(np.uint8)
    images: dict[str, NDArray[Any]] = dict.fromkeys(FIELDS, np.full(height.shape, np.nan))
    return Answer(images | {"mask": mask}, np.full(len(height), np.nan), None, searched=False)


def _zero(height: Float, flags: Bits) -> Answer:
    """Make an entry that is the reference itself."""
    zero, nothing = np.zeros(height.shape), np.full(height.shape, np.nan)
    flags = flags | np.where(np.isfinite(height), 0, np.uint8(Flag.NODATA)).astype(np.uint8)
    images: dict[str, NDArray[Any]] = dict.fromkeys(FIELDS, nothing)
    images |= dict.fromkeys(("estimate", "elevation_change_std", "elevation_change_slant"), zero)
    images |= {"elevation": height, "mask": flags}
    return Answer(images, np.full(len(height), np.nan), None, searched=False)


def _answer(result: Result, reference: Reference, epoch: Epoch, part: Part, flags: Bits) -> Answer:
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
    told = _told(result, reference, epoch, images["range_offset_effect"], mask)
    return Answer(
        images | {"mask": mask}, gain, reference.scattering, searched=result.start is not None, told=told
    )


def _told(result: Result, reference: Reference, epoch: Epoch, offset: NDArray[Any], mask: Bits) -> Told:
    """Numbers to judge an entry by."""
    measured, solution, ground = result.measured, result.solution, result.scene.ground
    unit = ground.unit
    envelope = on_pixels(solution.state.envelope, result.scene, reference.x, reference.registration.rows)
    hidden = np.uint8(Flag.LAYOVER | Flag.SHADOW | Flag.WATER | Flag.NODATA)
    resolved = (mask & np.uint8(Flag.UNRESOLVED)) == 0
    size, seen, still = ground_told(envelope, unit, offset, (mask & hidden) == 0, resolved)
    return Told(
        looks_pixel=epoch.pixel_looks,
        looks_pixel_reference=reference.pixel_looks,
        looks_block=measured.looks,
        looks_block_reference=measured.reference_looks,
        noise_rescaling=solution.looks[0].noise,
        correlation_range=result.correlation_range,
        steps=float(len(solution.steps)),
        last_step=solution.steps[-1],
        converged_share=float(solution.steps[-1] < CONVERGED * unit),
        range_offset_std=size,
        ground=seen,
        still=still,
        searched_share=float(result.start is not None),
        dem_height_noise=reference.agreement.height_noise,
        dem_testable_share=reference.agreement.testable,
        dem_contradicted_share=reference.agreement.contradicted,
    )
