"""What the tiles of a large image share, learned once from the whole of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame
from mosart.inversion.entries import Date, Entry
from mosart.stack import Stack

from .law import pool_laws
from .part import Known, Part, part_reference, read_part
from .reading import READING_BLOCK, Gained, read_epoch_gains, read_gains, reading_sums
from .reference import Reference, Scattering
from .reflectivity import KERNELS
from .registration import pool_registrations
from .terrain import with_terrain
from .tiles import ALIGNED
from .working import in_order

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

#: Samples on which scattering is learned: how many along azimuth and range at most, and their size, rows
#: and pixels: each has some thousand blocks.
SAMPLES, SAMPLE = (3, 4), (192, 640)
#: Share of a sample's pixels that must be ground that is seen.
LEAST_SEEN = 0.5
#: Bytes of images that are read at a time.
READ_BYTES = 64_000_000


def read_sums(stack: Stack, frame: LookFrame) -> dict[Date, Float]:
    """Sum the reading blocks of every date, in one pass through the stack.

    Parameters
    ----------
    stack : Stack
        The images.
    frame : LookFrame
        Its geometry.

    Returns
    -------
    dict of datetime.date to ndarray (block row, block)
        NaN where less than half of a block is there.
    """
    dates, rows, columns = stack.shape
    step = max(1, READ_BYTES // (8 * dates * columns) // READING_BLOCK[0]) * READING_BLOCK[0]
    stack = with_terrain(stack, "coded")  # sections are not needed here
    found: dict[Date, list[Float]] = {date: [] for date in stack.dates}
    for start in range(0, rows, step):
        part = read_part(stack, slice(start, min(start + step, rows)), slice(0, columns), frame)
        for date, image in part.intensity.items():
            found[date].append(reading_sums(image))
    return {date: np.concatenate(parts) for date, parts in found.items()}


def sample_places(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Place samples evenly over an image.

    Parameters
    ----------
    shape : tuple of int
        Rows and pixels.

    Returns
    -------
    list of tuple of slice
        Rows and pixels, aligned.
    """
    axes = []
    for length, size, most, aligned in zip(shape, SAMPLE, SAMPLES, ALIGNED, strict=True):
        number = min(most, max(1, length // (2 * size)))
        centres = (np.arange(number) + 0.5) * length / number
        starts = [max(0, int(c - size / 2) // aligned * aligned) for c in centres]
        axes.append([slice(s, min(s + size, length)) for s in starts])
    return [(rows, pixels) for rows in axes[0] for pixels in axes[1]]


def learn_gains(sums: dict[Date, Float], entries: Sequence[Entry]) -> Known:
    """Gains and looks of all dates, from the whole image.

    Parameters
    ----------
    sums : dict of datetime.date to ndarray (block row, block)
        As :func:`read_sums` gives them.
    entries : sequence of Entry
        What is compared.

    Returns
    -------
    Known
        Without scattering.
    """
    reference: dict[tuple[Date, ...], Gained] = {}
    epoch = {}
    for entry in entries:
        if not entry.reference:
            continue
        if entry.reference not in reference:
            reference[entry.reference] = read_gains([sums[date] for date in entry.reference])
        gained = reference[entry.reference]
        mean = _mean([sums[date] for date in entry.reference], gained.gains)
        images = [sums[date] for date in entry.images]
        epoch[entry.images, entry.reference] = read_epoch_gains(images, mean, gained.pixel_looks)
    return Known(reference, epoch, {})


def _mean(sums: Sequence[Float], gains: Sequence[Float]) -> Float:
    """Mean of block sums without their gains; NaN where all are."""
    total, count = np.zeros(sums[0].shape), np.zeros(sums[0].shape)
    for s, gain in zip(sums, gains, strict=True):
        good = np.isfinite(s)
        total += np.where(good, s * np.exp(-gain)[:, None], 0.0)
        count += good
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def learn_scattering(
    stack: Stack, frame: LookFrame, gains: Known, threads: int, told: Callable[[int], None]
) -> Known:
    """Law, kernel, noise floor and registration, from samples of the whole image.

    Parameters
    ----------
    stack : Stack
        The images.
    frame : LookFrame
        Its geometry.
    gains : Known
        Gains and looks.
    threads : int
        That work side by side.
    told : callable
        Told how many samples are done.

    Returns
    -------
    Known
        With scattering, where there is ground to learn it from.
    """

    def learn(part: Part) -> list[Reference]:
        return [part_reference(part, dates, gains) for dates in gains.reference]

    parts = [read_part(stack, *place, frame) for place in sample_places(stack.shape[1:])]
    parts = [part for part in parts if _seen(part)]
    found = []
    with closing(in_order(learn, parts, threads)) as samples:
        for done, sample in enumerate(samples, start=1):
            found.append([reference.scattering for reference in sample])
            told(done)
    pixel = frame.range_spacing / float(np.median(np.sin(frame.theta)))
    places = [part.place for part in parts]
    scattering = {}
    for k, dates in enumerate(gains.reference if found else []):
        scattering[dates] = pool([sample[k] for sample in found], places, stack.shape[1:], pixel)
    return Known(gains.reference, gains.epoch, scattering)


def _seen(part: Part) -> bool:
    """Whether most of a part is ground that all dates show."""
    good = np.isfinite(part.height)
    for image in part.intensity.values():
        good &= np.isfinite(image)
    return bool(good.mean() >= LEAST_SEEN)


def pool(
    samples: Sequence[Scattering],
    places: Sequence[tuple[slice, slice]],
    shape: tuple[int, int],
    pixel: float,
) -> Scattering:
    """Pool what samples of one image say.

    Parameters
    ----------
    samples : sequence of Scattering
        One or more.
    places : sequence of tuple of slice
        Rows and pixels of each.
    shape : tuple of int
        Of the image.
    pixel : float
        A range pixel on the ground, metres.

    Returns
    -------
    Scattering
        The law and the registration by their standard errors; the kernel and the floor by medians, the floor
        where there is shadow to tell it.
    """
    kernels = sorted(KERNELS.index(s.kernel) for s in samples)
    floors = [s.floor for s in samples if s.floor > 0]
    return Scattering(
        pool_laws([s.law for s in samples], pixel),
        KERNELS[kernels[(len(kernels) - 1) // 2]],
        float(np.median(floors)) if floors else 0.0,
        pool_registrations([s.registration for s in samples], places, shape),
        samples[0].largest,
    )
