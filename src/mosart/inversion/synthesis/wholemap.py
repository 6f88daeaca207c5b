"""What the tiles of a map of several looks share: what each look says, and the levels between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mosart.inversion.entries import Date, Entry
from mosart.inversion.gather import JointEntry, NamedStack
from mosart.stack import Stack

from .answering import lonlat
from .directions import count_directions, line_of_sight
from .levels import FEWEST_COMMON, Level, gentle_logs, own_level, settle
from .mapped import lay_looks
from .maptiles import MapPlan
from .onlook import LonLat
from .part import FEWEST_COMPARED, Known, Part, part_reference, read_part
from .reference import Epoch
from .survey import learn_gains, learn_scattering, read_sums, sample_places
from .tiles import Box, Span
from .working import in_order

Float = NDArray[np.float64]
#: Looks and the dates that they are compared with.
Compared = tuple[tuple[int, tuple[Date, ...]], ...]

#: Parts of the map from which the levels between the looks are read, spread over what two looks see, and
#: their nodes in y and x: together ten times the ground of one small image.
LEVEL_PARTS, LEVEL_NODES = 12, 48
#: Weight of a tile above which it is the one to tell of a node.
HALF = 0.5


@dataclass(frozen=True)
class Whole:
    """What all tiles share.

    Parameters
    ----------
    known : tuple of Known
        Gains and scattering of each look.
    levels : mapping of datetime.date to mapping of int to Level
        Of the looks that have images of an entry, by its date and their numbers.
    directions : ndarray of uint8 (2 ** looks,)
        Directions of every set of looks, by bits.
    """

    known: tuple[Known, ...]
    levels: Mapping[Date, Mapping[int, Level]]
    directions: NDArray[np.uint8]


@dataclass(frozen=True)
class TileData:
    """A box of the map as the looks show it.

    Parameters
    ----------
    box : Box
        In nodes.
    places : tuple of (slice, slice)
        Rows and pixels of each look.
    looks : tuple of NamedStack
        Positions and heights there.
    parts : tuple of Part
        Images there, NaN on ground beside the box.
    lonlats : tuple of (ndarray, ndarray)
        Positions, degrees.
    """

    box: Box
    places: tuple[tuple[slice, slice], ...]
    looks: tuple[NamedStack, ...]
    parts: tuple[Part, ...]
    lonlats: tuple[LonLat, ...]


def read_tile(plan: MapPlan, looks: Sequence[NamedStack], stacks: Sequence[Stack], box: Box) -> TileData:
    """Read what the looks show of a box.

    Parameters
    ----------
    plan : MapPlan
        Of the map.
    looks : sequence of NamedStack
        All looks.
    stacks : sequence of Stack
        Of the looks, with the dates that are needed alone.
    box : Box
        In nodes.

    Returns
    -------
    TileData
        In memory.
    """
    places, cropped, parts, lonlats = [], [], [], []
    for k, (look, stack) in enumerate(zip(looks, stacks)):
        rows, pixels = plan.crop(k, box)
        data = stack.dataset.isel(azimuth=rows, range=pixels)
        names = [name for name in ("longitude", "latitude", "height") if name in data]
        small = NamedStack(look.name, Stack(data[names].load()), look.frame.crop(pixels))
        part = read_part(stack, rows, pixels, look.frame)
        there = lonlat(small)
        inside = plan.inside(box, *plan.frame.metres(*there))
        shown = {date: np.where(inside, image, np.nan) for date, image in part.intensity.items()}
        places.append((rows, pixels))
        cropped.append(small)
        parts.append(replace(part, intensity=shown))
        lonlats.append(there)
    return TileData(box, tuple(places), tuple(cropped), tuple(parts), tuple(lonlats))


def learn_whole(
    looks: Sequence[NamedStack],
    stacks: Sequence[Stack],
    plan: MapPlan,
    *,
    reference: Sequence[Date],
    entries: Sequence[JointEntry],
    threads: int,
    told: Callable[[int], None],
) -> Whole:
    """Learn what all tiles share.

    Parameters
    ----------
    looks, stacks, plan
        As :func:`read_tile` takes them.
    reference : sequence of datetime.date
        Of all looks.
    entries : sequence of JointEntry
        What to compare.
    threads : int
        That work side by side.
    told : callable
        Told how many of :func:`samples` are done.

    Returns
    -------
    Whole
        Gains from all blocks of each image, law, kernel, noise floor and registration from samples of each
        look, and the levels between the looks from parts of the map that two of them see.
    """
    known, done = [], 0
    for k, (look, stack) in enumerate(zip(looks, stacks)):
        gains = learn_gains(read_sums(stack, look.frame), _entries(k, stack, reference, entries))
        begun = done
        known.append(learn_scattering(stack, look.frame, gains, threads, lambda n: told(begun + n)))  # noqa: B023
        done += len(sample_places(stack.shape[1:]))
        told(done)
    read: dict[Compared, Mapping[int, Level]] = {}
    levels = {}
    for entry in entries:
        key = tuple((k, dates.reference) for k, dates in enumerate(entry.looks) if dates.images)
        if entry.is_zero or not key:
            continue
        if key not in read:
            read[key] = read_levels(looks, stacks, plan, known=known, compared=key, threads=threads)
        levels[entry.entry.date] = read[key]
    sights = [
        line_of_sight(*there, float(np.median(look.frame.theta)))
        for look, there in zip(looks, plan.positions)
    ]
    return Whole(tuple(known), levels, count_directions(sights))


def samples(stacks: Sequence[Stack]) -> int:
    """Count the samples that :func:`learn_whole` tells of."""
    return sum(len(sample_places(stack.shape[1:])) for stack in stacks)


def _entries(k: int, stack: Stack, reference: Sequence[Date], entries: Sequence[JointEntry]) -> list[Entry]:
    """Comparisons of one look whose gains are asked for: its entries, and references that lack an image."""
    found = [one.looks[k] for one in entries if not one.is_zero and one.looks[k].images]
    own = tuple(date for date in reference if date in stack.dates)
    for dates in [one.looks[k].reference for one in entries if not one.is_zero] + [own]:
        if dates and all(dates != one.reference for one in found):
            found.append(Entry(dates[-1], dates[:1], dates))
    return found


def read_levels(
    looks: Sequence[NamedStack],
    stacks: Sequence[Stack],
    plan: MapPlan,
    *,
    known: Sequence[Known],
    compared: Compared,
    threads: int,
) -> dict[int, Level]:
    """Read the levels between the looks on gentle ground that they share, all over the map.

    Parameters
    ----------
    looks, stacks, plan
        As :func:`read_tile` takes them.
    known : sequence of Known
        Gains and scattering of each look.
    compared : tuple of (int, tuple of datetime.date)
        Looks to calibrate, by number, and their reference dates.
    threads : int
        That work side by side.

    Returns
    -------
    dict of int to Level
        By number of the look.

    Notes
    -----
    :data:`LEVEL_PARTS` parts are read. While a pair of looks that share a tile has less than
    :data:`mosart.inversion.synthesis.levels.FEWEST_COMMON` nodes in common, more are, until all have been.
    """
    numbers = [k for k, _ in compared]
    boxes = [box for box in plan.tiles if len(set(plan.shown(box)) & set(numbers)) > 1] or list(plan.tiles)
    chosen = np.unique(np.linspace(0, len(boxes) - 1, LEVEL_PARTS).round().astype(int))
    logs: list[Float] = []
    own: list[Float] = []

    def read(item: tuple[Box, TileData]) -> tuple[Float, Float]:
        log, level = _logs(plan, item[1], known, compared)
        # tiles overlap: each node counts once; and ground beside a box lies on its outermost nodes
        tile, box = item[0], item[1].box
        counts = np.zeros(plan.nodes.shape)
        counts[tile.slices] = tile.weight
        inner = counts[box.slices] > HALF
        inner[[0, -1]] = inner[:, [0, -1]] = False
        return log[:, inner], level

    first = ((boxes[k], read_tile(plan, looks, stacks, _middle(boxes[k]))) for k in chosen)
    with closing(in_order(read, first, threads)) as found:
        for log, level in found:
            logs.append(log)
            own.append(level)
    for k in sorted(set(range(len(boxes))) - set(chosen.tolist())):
        seeing = set(plan.shown(boxes[k])) & set(numbers)
        if not any({numbers[i], numbers[j]} <= seeing for i, j in _lacking(logs)):
            continue
        log, level = read((boxes[k], read_tile(plan, looks, stacks, boxes[k])))
        logs.append(log)
        own.append(level)
    levels = [float(np.median(v[np.isfinite(v)])) if np.isfinite(v).any() else 0.0 for v in np.array(own).T]
    return dict(zip(numbers, settle(np.concatenate(logs, axis=1), levels)))


def _lacking(logs: Sequence[Float]) -> list[tuple[int, int]]:
    """Pairs of looks that have too little ground in common so far."""
    seen = np.isfinite(np.concatenate(logs, axis=1))
    pairs = combinations(range(len(seen)), 2)
    return [(i, j) for i, j in pairs if (seen[i] & seen[j]).sum() < FEWEST_COMMON]


def _middle(box: Box) -> Box:
    """Middle of a box, of :data:`LEVEL_NODES` at most."""
    spans = []
    for span in (box.rows, box.pixels):
        size = min(LEVEL_NODES, span.stop - span.start)
        start = span.start + (span.stop - span.start - size) // 2
        spans.append(Span(start, start + size, (start, start + 1.0), (start + size - 1.0, start + size)))
    return Box(spans[0], spans[1])


def _logs(plan: MapPlan, tile: TileData, known: Sequence[Known], compared: Compared) -> tuple[Float, Float]:
    """Log reflectivity of the looks on the nodes of a box, (look, y, x), and each one's own level."""
    nodes = plan.nodes_of(tile.box)
    logs, own = np.full((len(compared), *nodes.shape), np.nan), np.full(len(compared), np.nan)
    taking = []
    for n, (k, dates) in enumerate(compared):
        shows = np.isfinite(tile.parts[k].height)
        shows &= np.isfinite([tile.parts[k].intensity[date] for date in dates]).any(axis=0)
        if shows.sum() >= FEWEST_COMPARED:
            taking.append(n)
    if taking:
        which = [compared[n] for n in taking]
        references = [part_reference(tile.parts[k], dates, known[k]) for k, dates in which]
        # the reference is its own epoch: nothing is compared here
        epochs = [Epoch(one.mean, one.pixel_looks, 1.0) for one in references]
        mapped, _, _ = lay_looks(references, epochs, [tile.lonlats[k] for k, _ in which], (plan.frame, nodes))
        logs[taking] = gentle_logs(mapped).reshape(len(taking), *nodes.shape)
        own[taking] = [own_level(look) for look in mapped]
    return logs, own
