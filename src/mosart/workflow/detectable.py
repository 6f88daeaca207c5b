"""The smallest change that a stack can show, told before any inversion."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry import LookFrame
from mosart.geometry.section import Section
from mosart.inversion import Entry
from mosart.inversion.synthesis.detect import Windows, predict_windows
from mosart.inversion.synthesis.needed import FEWEST_PIXELS, FEWEST_ROWS
from mosart.inversion.synthesis.reference import learn_reference, read_epoch
from mosart.masks import Flag
from mosart.stack import Stack

from .plan import Look, Plan

logger = logging.getLogger(__name__)

Bool = NDArray[np.bool_]

#: Rows and pixels of a sample, the most samples, and what is taken around an area of interest.
SAMPLE, MOST_SAMPLES, MARGIN = (192, 512), 4, (24, 64)
#: Standard errors that a change must have to count as detected.
DETECTED = 3.0
#: Share of a sample that must have an image and a height.
LEAST_SEEN = 0.5


def smallest_changes(plan: Plan) -> str:
    """Say the smallest change that the first epoch of a plan can show, look by look.

    Parameters
    ----------
    plan : Plan
        Of the method ``synthesis``.

    Returns
    -------
    str
        One line a look.
    """
    if not plan.joint:
        return f"detectable {smallest_change(plan, plan.look)}"
    return "\n".join(f"detectable {look.name} alone: {smallest_change(plan, look)}" for look in plan.looks)


def smallest_change(plan: Plan, look: Look) -> str:
    """Say the smallest change that one look can show of the first epoch of a plan.

    Parameters
    ----------
    plan : Plan
        Of the method ``synthesis``.
    look : Look
        One of its looks.

    Returns
    -------
    str
        One line: the median and the 5th to 95th percentile over the areas of interest, else over samples of
        the image; or why it cannot be told.
    """
    entry = next((e for e in plan.entries if e.reference), None)
    if entry is None:
        return "not known: no epoch to compare"
    own = Entry(entry.date, look.dates_of(entry.images), look.dates_of(entry.reference))
    missing = _missing(own, look.frame)
    if missing or look.frame is None:
        return f"not known: {missing}"
    try:
        inside = plan.areas.union(look.stack) if plan.areas is not None else None
    except InputError:
        return "not known: the areas of interest lie outside this look"
    return _told(look.stack, look.frame, own, inside)


def _missing(entry: Entry, frame: LookFrame | None) -> str:
    """Say what a look lacks of an epoch, if anything; of several looks, one alone needs to have it."""
    if frame is None or not np.isfinite(frame.azimuth_spacing):
        return "the look is not known"
    if not entry.images:
        return f"no image of the epoch {entry.date:%Y%m%d}"
    return "" if entry.reference else f"no reference date outside the epoch {entry.date:%Y%m%d}"


def _told(stack: Stack, frame: LookFrame, entry: Entry, inside: Bool | None) -> str:
    found = [w for place in _samples(stack, inside) if (w := _windows(stack, frame, entry, place))]
    if not found:
        return "not known: too little of the image is there"
    width = max(w.width for w in found)
    std = np.concatenate([w.total[_in_area(w, inside, frame)] for w in found])
    if not std.size:
        return "not known: the areas of interest are too near the image's edge"
    seen = np.isfinite(std)
    if not seen.any():
        return "nothing: the area lies in layover or shadow"
    low, middle, high = DETECTED * np.percentile(std[seen], [5, 50, 95])
    hidden = 1 - float(seen.mean())
    where = "in the areas of interest" if inside is not None else "in samples of the image"
    return (
        f"smallest change at {DETECTED:.0f} sigma: {middle:.2g} m over a window of {width:.0f} m "
        f"(median; {low:.2g}-{high:.2g} m) {where}, where the ground keeps its texture"
        + (f"; {hidden:.0%} of it is not seen" if hidden > 0.005 else "")
    )


def _samples(stack: Stack, inside: Bool | None) -> list[tuple[slice, slice]]:
    """Boxes that are looked at: around the areas of interest, else spread over the image."""
    rows, pixels = stack.shape[1:]
    box = [(0, rows), (0, pixels)]
    if inside is not None and inside.any():
        for axis, margin, length in zip((0, 1), MARGIN, (rows, pixels), strict=True):
            where = np.nonzero(inside.any(axis=1 - axis))[0]
            box[axis] = max(0, int(where[0]) - margin), min(length, int(where[-1]) + 1 + margin)
    cuts = []
    number = [max(1, min(2, round((b - a) / size))) for (a, b), size in zip(box, SAMPLE, strict=True)]
    for (a, b), size, count in zip(box, SAMPLE, number, strict=True):
        long = min(size, b - a)
        cuts.append([slice(int(s), int(s) + long) for s in np.linspace(a, b - long, count).round()])
    return [(r, c) for r in cuts[0] for c in cuts[1]][:MOST_SAMPLES]


def _windows(stack: Stack, frame: LookFrame, entry: Entry, place: tuple[slice, slice]) -> Windows | None:
    """Predict a sample; its rows and pixels become those of the stack."""
    data = stack.dataset.isel(azimuth=place[0], range=place[1])
    shape = data.sizes["azimuth"], data.sizes["range"]
    if shape[0] < FEWEST_ROWS or shape[1] < FEWEST_PIXELS:
        return None
    forbidden = np.uint8(Flag.NODATA | Flag.WATER | Flag.CLIPPED)
    images = {}
    water = np.zeros(shape, bool)
    for date in (*entry.reference, *entry.images):
        one = data.sel(date=np.datetime64(date, "ns"))
        amplitude = np.asarray(one["amplitude"].values, dtype=np.float64)
        if "mask" in one:
            bits = np.asarray(one["mask"].values)
            amplitude = np.where((bits & forbidden) != 0, np.nan, amplitude)
            water |= (bits & np.uint8(Flag.WATER)) != 0
        images[date] = amplitude**2
    height = np.asarray(data["height"].values, dtype=np.float64)
    good = np.isfinite(height) & np.isfinite(list(images.values())).all(axis=0)
    if good.mean() < LEAST_SEEN:
        return None
    reference = learn_reference(
        [images[d] for d in entry.reference],
        height,
        frame.crop(place[1]),
        water,
        section=Section.traced(data),
    )
    epoch = read_epoch([images[d] for d in entry.images], reference)
    return predict_windows(reference, epoch).moved(place[0].start, place[1].start)


def _in_area(windows: Windows, inside: Bool | None, frame: LookFrame) -> Bool:
    """Windows that reach into the areas of interest."""
    if inside is None:
        return np.ones(len(windows.std), bool)
    pixel = frame.range_spacing / float(np.median(np.sin(frame.theta)))
    reach = 0.5 * windows.width / frame.azimuth_spacing, 0.5 * windows.width / pixel
    found = []
    for row, column in zip(windows.row, windows.pixel, strict=True):
        a = slice(max(0, int(row - reach[0])), int(row + reach[0]) + 1)
        b = slice(max(0, int(column - reach[1])), int(column + reach[1]) + 1)
        found.append(bool(inside[a, b].any()))
    return np.array(found, dtype=bool)
