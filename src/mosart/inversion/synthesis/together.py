"""One epoch of several looks: solved on the ground, and what each look and the map are told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray

from mosart.geocoding import MapGrid, geocode
from mosart.inversion.entries import Date, Entry
from mosart.inversion.gather import JointEntry
from mosart.masks import Flag

from .contradicted import without_contradictions
from .directions import count_directions, line_of_sight
from .joint import Joint, solve_jointly
from .levels import Level, calibrate, with_levels
from .mapped import MappedLook, lay_looks
from .nodes import MapNodes
from .part import SEED, Known, Part, gained_rows
from .reference import Epoch, Reference, read_epoch
from .sharedground import LocalFrame

Float = NDArray[np.float64]
Bits = NDArray[np.uint8]
Bool = NDArray[np.bool_]

#: Bits by which a look says that it does not see the ground.
UNSEEN = np.uint8(Flag.LAYOVER | Flag.SHADOW | Flag.WATER | Flag.NODATA)
#: Pixels whose places are in memory as a matrix at a time.
SAMPLED = 1_000_000
#: Share of a node's usual light below which a look tells nothing of its reflectivity.
FAINT = 0.3


@dataclass(frozen=True)
class Shared:
    """What a part of a large map takes over from the whole.

    Parameters
    ----------
    frame : LocalFrame
        Of the nodes' coordinates.
    nodes : MapNodes
        Of the part.
    known : sequence of Known
        Gains and scattering of each look.
    levels : mapping of datetime.date to mapping of int to Level
        Of the looks that have images of an entry, by the entry's date and the number of the look.
    seed : int
        Of the posterior samples: another in every part.
    """

    frame: LocalFrame
    nodes: MapNodes
    known: Sequence[Known]
    levels: Mapping[Date, Mapping[int, Level]]
    seed: int


@dataclass(frozen=True)
class Solved:
    """An epoch on the nodes.

    Parameters
    ----------
    joint : Joint
        The answer.
    nodes : MapNodes
        Where it is told.
    frame : LocalFrame
        Of the nodes' coordinates.
    mapped : mapping of int to MappedLook
        Looks that have images of the epoch, by number.
    gain : mapping of int to ndarray (block row,)
        Their log gains.
    growth : ndarray (y, x)
        Standard error that the days between the looks leave, metres.
    lost : ndarray (y, x) bool
        Where the looks contradict each other.
    draws : ndarray (number, y, x)
        Errors drawn from what is known of them, metres, for sums over areas; none where none are drawn.
    """

    joint: Joint
    nodes: MapNodes
    frame: LocalFrame
    mapped: Mapping[int, MappedLook]
    gain: Mapping[int, Float]
    growth: Float
    lost: Bool
    draws: Float

    @property
    def std(self) -> Float:
        """Standard error with the growth's part, (y, x)."""
        return np.hypot(self.joint.std, self.growth)

    def at(self, longitude: Float, latitude: Float, *fields: Float) -> list[Float]:
        """Sample fields of the nodes at positions, bilinearly; beyond the nodes the edge's value.

        Parameters
        ----------
        longitude, latitude : ndarray (rows, columns)
            Degrees; NaN where unknown.
        *fields : ndarray (y, x)
            Any.

        Returns
        -------
        list of ndarray (rows, columns)
            NaN where the position is.
        """
        found = [np.full(longitude.shape, np.nan) for _ in fields]
        step = max(1, SAMPLED // max(longitude.shape[1], 1))
        for start in range(0, len(longitude), step):
            rows = slice(start, start + step)
            east, north = self.frame.metres(longitude[rows], latitude[rows])
            good = np.isfinite(east) & np.isfinite(north)
            matrix = self.nodes.interpolation(north[good], east[good])
            for out, field in zip(found, fields):
                out[rows][good] = matrix @ field.ravel()
        return found

    def seen_nodes(self, mask: Bits, longitude: Float, latitude: Float) -> Bool:
        """Nodes that a look sees: those whose nearest pixel bears no bit of :data:`UNSEEN`."""
        dy, dx = self.nodes.spacing
        y0, x0 = self.nodes.origin
        height, width = self.nodes.shape
        corner = x0 - 0.5 * dx, y0 + (height - 0.5) * dy
        transform = Affine(dx, 0.0, corner[0], 0.0, -dy, corner[1])
        grid = MapGrid(self.frame.projection.crs.to_wkt(), transform, width, height)
        plane = ("azimuth", "range")
        data = xr.Dataset(
            {"mask": (plane, mask), "longitude": (plane, longitude), "latitude": (plane, latitude)}
        )
        mapped = geocode(data, grid, variables=["mask"])["mask"].values
        return np.asarray((mapped & UNSEEN) == 0)[::-1]


def map_looks(
    references: Sequence[Reference],
    epochs: Sequence[Epoch],
    lonlats: Sequence[tuple[Float, Float]],
    laid: tuple[LocalFrame, MapNodes] | None = None,
    levels: Sequence[Level] | None = None,
) -> tuple[list[MappedLook], MapNodes, LocalFrame]:
    """Lay looks on one map and calibrate them to each other.

    Parameters
    ----------
    references : sequence of Reference
        Of each look.
    epochs : sequence of Epoch
        The new images of each.
    lonlats : sequence of (ndarray, ndarray)
        Longitude and latitude of the pixels of each, degrees; NaN where unknown.
    laid : (LocalFrame, MapNodes), optional
        The nodes of a part of a larger map; laid over the looks if not given.
    levels : sequence of Level, optional
        What the whole of a larger map says of each look's; read here if not given.

    Returns
    -------
    looks : list of MappedLook
        With a common level where they see enough common ground.
    nodes : MapNodes
        Over all that any of them sees; y is north.
    frame : LocalFrame
        Of the nodes' coordinates.
    """
    looks, nodes, frame = lay_looks(references, epochs, lonlats, laid)
    looks = calibrate(looks) if levels is None else with_levels(looks, levels)
    return without_contradictions(looks, nodes), nodes, frame


def solve_entry(
    entry: JointEntry,
    parts: Sequence[Part],
    lonlats: Sequence[tuple[Float, Float]],
    reference_of: Callable[[int, tuple[Date, ...]], Reference],
    shared: Shared | None = None,
) -> Solved:
    """Solve one epoch with the looks that have images of it.

    Parameters
    ----------
    entry : JointEntry
        Not the reference itself.
    parts : sequence of Part
        Images of all looks.
    lonlats : sequence of (ndarray, ndarray)
        Positions of their pixels, degrees.
    reference_of : callable
        What a look's reference dates say, by the number of the look.
    shared : Shared, optional
        What the whole of a larger map says; all is found here if not given.

    Returns
    -------
    Solved
        On the nodes.
    """
    taking = [k for k, dates in enumerate(entry.looks) if dates.images]
    # the first one lays the nodes: which it is must not depend on the order that the user gave
    taking.sort(key=lambda k: _rank(parts[k], lonlats[k]))
    references = [reference_of(k, entry.looks[k].reference) for k in taking]
    epochs = [_epoch(entry.looks[k], parts[k], one, shared, k) for k, one in zip(taking, references)]
    mapped, nodes, frame = map_looks(
        references,
        epochs,
        [lonlats[k] for k in taking],
        None if shared is None else (shared.frame, shared.nodes),
        None if shared is None else [shared.levels[entry.entry.date][k] for k in taking],
    )
    joint = solve_jointly(mapped, nodes, seed=SEED if shared is None else shared.seed)
    return Solved(
        joint,
        nodes,
        frame,
        dict(zip(taking, mapped)),
        dict(zip(taking, joint.gain)),
        growth_std(joint.change, [entry.looks[k] for k in taking]),
        joint.unresolved,
        joint.draws,
    )


def _epoch(dates: Entry, part: Part, reference: Reference, shared: Shared | None, k: int) -> Epoch:
    """Read a look's images of an entry."""
    images = [part.intensity[date] for date in part.shown(dates.images)]
    if shared is None:
        return read_epoch(images, reference)
    gained = shared.known[k].epoch[dates.images, dates.reference]
    return read_epoch(images, reference, gained_rows(gained, part, dates.images))


def _rank(part: Part, lonlat: tuple[Float, Float]) -> tuple[float, ...]:
    """Order of looks: the finest first."""
    return part.frame.pixel_area, *(float(np.nanmean(position)) for position in lonlat)


def growth_std(change: Float, dates: Sequence[Entry]) -> Float:
    """Error that the ground's growth between the looks' dates leaves.

    Parameters
    ----------
    change : ndarray
        Metres.
    dates : sequence of Entry
        Dates of the epoch and of the reference, of each look.

    Returns
    -------
    ndarray
        Metres: the mean rate since the reference, times the days between the looks' mean dates.

    Notes
    -----
    How fast the ground moved in just those days nobody knows; the mean rate is what it is without
    further knowledge. Ground that grew in spurts may have grown more.
    """
    after, before = [_day(one.images) for one in dates], [_day(one.reference) for one in dates]
    days = float(np.hypot(np.ptp(after), np.ptp(before)))
    since = abs(float(np.mean(after)) - float(np.mean(before)))
    return np.abs(change) * (days / max(since, days, 1.0))


def _day(dates: Sequence[Date]) -> float:
    return float(np.mean([date.toordinal() for date in dates]))


def new_reflectivity(look: MappedLook, change: Float, gain: Float) -> Float:
    """Reflectivity of the epoch's ground as one look has it, none of the old texture assumed.

    Parameters
    ----------
    look : MappedLook
        On the nodes.
    change : ndarray (y, x)
        Metres.
    gain : ndarray (block row,)
        Logarithms.

    Returns
    -------
    ndarray (y, x)
        Natural logarithm, against ground of median brightness; NaN where the look tells nothing.
    """
    bare = look.with_kept(np.zeros(change.shape))
    out = bare.scene.render(bare.on_knots(change))
    assert out.by_brightness is not None
    model = np.exp(gain)[:, None] * out.energy
    light = np.maximum(look.measured.energy - look.measured.floor, 0.0)
    share = np.where(look.measured.share > 0.5, 1 - np.clip(out.folded + out.doubtful, 0, 1), 0.0).ravel()
    ratio = (light / np.maximum(model, 1e-2 * np.median(model))).ravel()
    above = look.to_knots.T @ (out.by_brightness.T @ (share * ratio))
    below = look.to_knots.T @ (out.by_brightness.T @ share)
    usual = float(np.median(below[below > 0])) if (below > 0).any() else np.inf
    log = np.log(np.maximum(above, 1e-9 * usual) / np.maximum(below, 1e-9 * usual))
    return np.where(below > FAINT * usual, log, np.nan).reshape(change.shape)


def sides(parts: Sequence[Part], lonlats: Sequence[tuple[Float, Float]]) -> NDArray[np.uint8]:
    """Count the directions of every set of looks, by bits."""
    frame = LocalFrame.of(*lonlats[0])
    sights = [
        line_of_sight(*frame.metres(*lonlat), float(np.median(part.frame.theta)))
        for part, lonlat in zip(parts, lonlats)
    ]
    return count_directions(sights)
