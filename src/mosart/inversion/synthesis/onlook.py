"""The joint result on the radar grid of one look, with what that look measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.inversion.entries import Entry
from mosart.inversion.gather import JointEntry
from mosart.masks import Flag

from .epoch import OnRadar, to_radar
from .invert import ATTRS
from .mapped import MappedLook
from .part import Part
from .reference import Reference
from .render import Scene
from .sharedground import Track
from .together import UNSEEN, Solved

Float = NDArray[np.float64]
Bits = NDArray[np.uint8]
Bool = NDArray[np.bool_]
Images = Mapping[str, NDArray[Any]]
LonLat = tuple[Float, Float]

#: Images of an entry on a look's grid, float32.
FIELDS = (
    "estimate",
    "elevation_change_std",
    "elevation_change_slant",
    "elevation",
    "brightness",
    "measured_amplitude",
    "modelled_amplitude",
    "residual",
)


TEXTS: dict[str, dict[str, object]] = ATTRS | {
    "brightness": {
        "long_name": "log reflectivity of new rock against ground of median brightness",
        "units": "1",
        "comment": "on ground whose texture was kept: its change",
    },
    "error_draws": {
        "long_name": "errors of the elevation change drawn from what is known of them",
        "units": "m",
        "comment": "for the standard errors of sums over areas; on lines of cells about half a node apart",
    },
    "texture_kept": {"long_name": "chance that the old texture was kept", "units": "1"},
    "growth_effect": {
        "long_name": "standard error that the days between the looks leave",
        "units": "m",
        "comment": "mean rate since the reference times these days; part of the standard error",
    },
    "new_reflectivity": {
        "long_name": "log reflectivity against ground of median brightness, as this look alone has it",
        "units": "1",
        "comment": "under the joint change; on kept ground it is the old texture",
    },
    "new_brightness": {
        "long_name": "log brightness of new rock in this look against the mean of all",
        "units": "1",
    },
    "look_level": {
        "long_name": "log brightness of median ground in this look's calibration against the mean of all",
        "units": "1",
        "comment": "read on gentle unchanged ground that the looks share",
    },
    "look_level_std": {"long_name": "standard error of look_level", "units": "1"},
    "height": {"long_name": "height of the DEM", "units": "m", "positive": "up"},
}


@dataclass(frozen=True)
class _OnKnots:
    """A joint result on the knots of a look's scene."""

    scene: Scene
    change: Float
    std: Float
    unresolved: Bool


@dataclass(frozen=True)
class Seen:
    """What one look sees of an entry, before the others have been asked.

    Parameters
    ----------
    images : mapping of str to ndarray (azimuth, range)
        :data:`FIELDS` before anything is withheld.
    mask : ndarray of uint8 (azimuth, range)
        Layover and shadow of the old surface and of the new, and the stack's own flags.
    row_gain : ndarray (azimuth,)
        Log gains; NaN where the look has no image of the entry.
    kept : ndarray (azimuth, range)
        Chance that the texture was kept.
    lost : ndarray (azimuth, range) bool
        Where the joint answer is not to be used.
    """

    images: Images
    mask: Bits
    row_gain: Float
    kept: Float
    lost: Bool


@dataclass(frozen=True)
class Answered:
    """An entry with what each look sees of it; nothing solved for the reference itself."""

    plan: JointEntry
    solved: Solved | None
    seen: tuple[Seen, ...]
    masks: tuple[Bits, ...]

    @property
    def taking(self) -> list[int]:
        """Numbers of the looks with images of it."""
        if self.solved is None:
            return list(range(len(self.seen)))
        return list(self.solved.mapped)


def on_zero(part: Part, dates: Entry, reference: Reference | None) -> Seen:
    """Give an entry that is the reference itself.

    Parameters
    ----------
    part : Part
        Of the look.
    dates : Entry
        The look's dates of it.
    reference : Reference, optional
        What these dates say; none if they show nothing.

    Returns
    -------
    Seen
        Zero everywhere, with the layover and shadow of the DEM.
    """
    height = part.height
    kept, lost = np.ones(height.shape), np.zeros(height.shape, bool)
    zero, nothing = np.zeros(height.shape, np.float32), np.full(height.shape, np.nan, np.float32)
    images = dict.fromkeys(FIELDS, nothing)
    images |= dict.fromkeys(("estimate", "elevation_change_std", "elevation_change_slant"), zero)
    images["elevation"] = height.astype(np.float32)
    mask = part.date_flags((*dates.images, *dates.reference))
    if reference is not None:
        _hide(mask, _on_radar(np.zeros(reference.scene.knots), part, reference))
    mask[~np.isfinite(height)] |= np.uint8(Flag.NODATA)
    return Seen(images, mask, np.full(len(height), np.nan), kept, lost)


def on_nothing(part: Part, dates: Entry) -> Seen:
    """Give an entry of which no look shows anything, or a look whose reference shows nothing.

    Parameters
    ----------
    part : Part
        Of the look.
    dates : Entry
        The look's dates of the entry.

    Returns
    -------
    Seen
        No data everywhere.
    """
    shape = part.height.shape
    images = dict.fromkeys(FIELDS, np.full(shape, np.nan, np.float32))
    mask = part.any_flags((*dates.images, *dates.reference)) | np.uint8(Flag.NODATA)
    return Seen(images, mask, np.full(shape[0], np.nan), np.ones(shape), np.zeros(shape, bool))


def on_look(
    solved: Solved, number: int, dates: Entry, part: Part, *, lonlat: LonLat, reference: Reference
) -> Seen:
    """Bring a solved entry to a look's pixels.

    Parameters
    ----------
    solved : Solved
        The entry on the nodes.
    number : int
        Of the look.
    dates : Entry
        The look's dates of the entry; it may have no images of it.
    part : Part
        Its images and heights.
    lonlat : tuple of ndarray (azimuth, range)
        Degrees; NaN where unknown.
    reference : Reference
        What its reference dates say.

    Returns
    -------
    Seen
        The change is that of the ground at `lonlat`.
    """
    joint = solved.joint
    change, std, kept, lost, brightness = solved.at(
        *lonlat, joint.change, solved.std, joint.kept, solved.lost.astype(np.float64), joint.brightness
    )
    radar = _surface(solved, lonlat, part, reference)
    mask = part.entry_flags(dates) if number in solved.mapped else part.date_flags(dates.reference)
    _hide(mask, radar)
    mask[~np.isfinite(part.height) | ~np.isfinite(change)] |= np.uint8(Flag.NODATA)
    nothing = np.full(part.height.shape, np.nan)
    images = {
        "estimate": change,
        "elevation_change_std": std,
        "elevation_change_slant": radar.slant_change,
        "elevation": radar.elevation,
        "brightness": brightness,
    }
    gain = np.full(len(part.height), np.nan)
    blocks = dict.fromkeys(("measured_amplitude", "modelled_amplitude", "residual"), nothing)
    if number in solved.mapped:
        blocks = _blocks(solved, number, part.height.shape)
        look = solved.mapped[number]
        gain = np.repeat(solved.gain[number], look.scene.block[0])[: len(gain)]
    images = {name: image.astype(np.float32) for name, image in (images | blocks).items()}
    return Seen(images, mask, gain, kept, np.nan_to_num(lost) > 0.5)


def _surface(solved: Solved, lonlat: LonLat, part: Part, reference: Reference) -> OnRadar:
    """Layover, shadow and heights of the new surface, which the profiles of the look's own scene tell."""
    scene, later = reference.scene, reference.registration.rows
    track = Track.fit(reference.x, *solved.frame.metres(*lonlat))
    east, north = track.of_knots(scene, later)
    matrix = solved.nodes.interpolation(north, east)
    change = (matrix @ solved.joint.change.ravel()).reshape(east.shape)
    return _on_radar(change, part, reference)


def _on_radar(change: Float, part: Part, reference: Reference) -> OnRadar:
    """Bring a change of the knots to the pixels."""
    knots = _OnKnots(reference.scene, change, np.zeros_like(change), np.zeros(change.shape, bool))
    return to_radar(knots, reference, part.height, part.frame.reference_height)


def _hide(mask: Bits, radar: OnRadar) -> None:
    """Set the bits of layover and shadow."""
    mask[radar.layover] |= np.uint8(Flag.LAYOVER)
    mask[radar.shadow] |= np.uint8(Flag.SHADOW)


def _blocks(solved: Solved, number: int, shape: tuple[int, int]) -> dict[str, Float]:
    """Give what the look measured, what the answer has it measure, and the difference in its errors."""
    joint, gain = solved.joint, solved.gain[number]
    mapped: MappedLook = solved.mapped[number]
    place = list(solved.mapped).index(number)
    ratio, noise = joint.ratio[place], joint.noise[place]
    look = mapped.with_kept(joint.kept)
    scene, measured = look.scene, look.measured
    bright = look.on_knots(joint.brightness + ratio * (1 - joint.kept))
    out = scene.render(look.on_knots(joint.change), bright, derivatives=False)
    residual, _ = look.residual(out, gain, None)
    error = np.sqrt(noise * look.variance(out).ravel())
    standard = np.where(look.usable(out).ravel(), residual / error, np.nan)
    area = scene.block[0] * scene.block[1] * scene.ground.range_spacing
    model = np.exp(gain)[:, None] * out.energy + measured.floor
    values = {
        "measured_amplitude": np.sqrt(np.where(measured.share > 0, measured.energy, np.nan) / area),
        "modelled_amplitude": np.sqrt(model / area),
        "residual": standard.reshape(out.energy.shape),
    }
    return {
        name: np.repeat(np.repeat(v, scene.block[0], axis=0), scene.block[1], axis=1)[: shape[0], : shape[1]]
        for name, v in values.items()
    }


def withhold(
    seen: Seen, number: int, others: Mapping[int, Bool], directions: NDArray[np.uint8], taking: bool
) -> Bits:
    """Mask of a look, now that it is known what the others see.

    Parameters
    ----------
    seen : Seen
        Of the look.
    number : int
        Of the look.
    others : mapping of int to ndarray (azimuth, range) bool
        Where the other looks with images of the entry see the ground of its pixels.
    directions : ndarray of uint8 (2 ** looks,)
        Directions of every set of looks, by bits.
    taking : bool
        Whether the look has images of the entry itself.

    Returns
    -------
    ndarray of uint8 (azimuth, range)
        ``UNRESOLVED`` where the looks contradict each other, and where rock is new and not seen from two
        sides; ``NODATA`` where no image of the entry shows the ground.
    """
    mask = seen.mask.copy()
    bits = np.zeros(mask.shape, np.int64)
    if taking:
        bits |= np.where((mask & UNSEEN) == 0, 1 << number, 0)
    for k, where in others.items():
        bits |= np.where(where, 1 << k, 0)
    if not taking:
        mask[bits == 0] |= np.uint8(Flag.NODATA)
    new = (seen.kept < 0.5) & (directions[bits] < 2)
    mask[new | seen.lost] |= np.uint8(Flag.UNRESOLVED)
    return mask
