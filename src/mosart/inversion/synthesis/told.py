"""What a user is told to judge a result by, in the log and in its variables and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame

from .agreement import WARNED
from .gains import SMOOTHEST
from .registration import Registration

#: Envelope up to which ground counts as still, in heights that move ground by a range pixel: what is held
#: within half a pixel shows the reference's texture in the same pixels.
STILL = 0.5
#: Least share of still ground. The gain of a date, which is also its level, is read on the smoothest blocks,
#: a share :data:`mosart.inversion.synthesis.gains.SMOOTHEST` of all, robustly: it fails where half of them
#: have moved. Two of three must be still, so that it holds where moved blocks are smooth by chance too. (Law
#: and registration are read on the reference alone.)
LEAST_STABLE = 2 / 3 * SMOOTHEST

#: Numbers of an entry, a variable (date) each, by the name of the field of :class:`Told` or its property.
DATED: dict[str, dict[str, Any]] = {
    "looks_pixel": {
        "long_name": "effective looks of a pixel of one image of the entry",
        "units": "1",
        "comment": "measured inside blocks: correlated speckle has fewer, a despeckled image has more",
    },
    "looks_pixel_reference": {
        "long_name": "effective looks of a pixel of one reference image",
        "units": "1",
        "comment": "not known where the reference is a single image",
    },
    "looks_block": {"long_name": "effective looks of a block of the mean of the entry", "units": "1"},
    "looks_block_reference": {
        "long_name": "effective looks of a block of the smoothed reference",
        "units": "1",
    },
    "noise_rescaling": {
        "long_name": "variance of the residuals over that of the effective looks",
        "units": "1",
        "comment": "1: the looks explain the misfit; larger: the standard errors have been widened",
    },
    "correlation_range": {
        "long_name": "correlation range of the change, chosen by evidence",
        "units": "m",
    },
    "steps": {"long_name": "steps of the last refinement", "units": "1"},
    "last_step": {"long_name": "root mean square of the last step of the change", "units": "m"},
    "converged_share": {
        "long_name": "share of the parts of the image whose last step was small enough",
        "units": "1",
        "comment": "of an image that is solved in one part 1 or 0",
    },
    "range_offset_std": {
        "long_name": "elevation change that an epoch off by a tenth of a range pixel would feign",
        "units": "m",
        "comment": "root mean square over the ground that is free to change; the same sign everywhere",
    },
    "stable_share": {
        "long_name": "share of the visible ground whose learned envelope calls it still",
        "units": "1",
    },
    "searched_share": {
        "long_name": "share of the parts of the image in which large changes were searched for",
        "units": "1",
        "comment": "of an image that is solved in one part 1 or 0",
    },
    "dem_height_noise": {
        "long_name": "standard deviation of the DEM's fine errors, by its shading in the reference",
        "units": "m",
        "comment": "not known where the shading does not stand out from the texture",
    },
    "dem_testable_share": {
        "long_name": "share of the image in which the reference could contradict the relief of the DEM",
        "units": "1",
    },
    "dem_contradicted_share": {
        "long_name": "share of the image whose reference shows other ground than the DEM",
        "units": "1",
    },
}


@dataclass(frozen=True)
class Told:
    """How one entry was solved, in numbers to judge it by.

    Parameters
    ----------
    looks_pixel, looks_pixel_reference : float
        Effective looks of a pixel of one image; NaN where not known.
    looks_block, looks_block_reference : float
        Of a block: of the epoch's mean, of the smoothed reference.
    noise_rescaling : float
        Variance of the residuals over the assumed one.
    correlation_range : float
        Metres.
    steps : float
        Number of steps of the last refinement.
    last_step : float
        Metres, root mean square.
    converged_share : float
        1 where the last step was small enough, else 0; of several parts their share.
    range_offset_std : float
        Metres that a tenth of a range pixel feigns.
    ground, still : float
        Pixels of visible ground, and of still ground among them.
    searched_share : float
        1 where large changes were searched for, else 0; of several parts their share.
    dem_height_noise : float
        Metres; NaN where not known.
    dem_testable_share, dem_contradicted_share : float
        Of the image, in which the reference can contradict the DEM, and does.
    """

    looks_pixel: float
    looks_pixel_reference: float
    looks_block: float
    looks_block_reference: float
    noise_rescaling: float
    correlation_range: float
    steps: float
    last_step: float
    converged_share: float
    range_offset_std: float
    ground: float
    still: float
    searched_share: float = 0.0
    dem_height_noise: float = float("nan")
    dem_testable_share: float = float("nan")
    dem_contradicted_share: float = float("nan")

    @property
    def stable_share(self) -> float:
        """Share of the visible ground that is still; NaN where none is visible."""
        return self.still / self.ground if self.ground > 0 else float("nan")


def ground_told(
    envelope: NDArray[Any], unit: float, offset: NDArray[Any], seen: NDArray[Any], resolved: NDArray[Any]
) -> tuple[float, float, float]:
    """Count still ground, and say what a common range offset does to the other.

    Parameters
    ----------
    envelope : ndarray (azimuth, range)
        Standard deviation of the change that was learned, metres; NaN where the ground is not known.
    unit : float
        Height that moves ground by a range pixel, metres.
    offset : ndarray (azimuth, range)
        Change that a tenth of a range pixel feigns, metres.
    seen : ndarray (azimuth, range) bool
        Ground that the radar sees.
    resolved : ndarray (azimuth, range) bool
        Ground whose change is told: what is not has changed.

    Returns
    -------
    range_offset_std : float
        Root mean square over the ground that is free, or over all where none is; NaN without ground.
    ground, still : float
        Pixels.
    """
    seen = seen & np.isfinite(envelope)
    still = seen & resolved & (envelope < STILL * unit)
    free = seen & ~still if (seen & ~still).any() else seen
    size = float(np.sqrt(np.mean(offset[free] ** 2))) if free.any() else float("nan")
    return size, float(seen.sum()), float(still.sum())


def pooled(parts: Sequence[Told]) -> Told:
    """Tell of an image what its parts tell.

    Parameters
    ----------
    parts : sequence of Told
        One or more.

    Returns
    -------
    Told
        Means by their visible ground, of the steps the most and the largest; the offset by the ground that
        is free.
    """
    weight = np.array([p.ground for p in parts])
    free = np.array([p.ground - p.still for p in parts])

    def mean(name: str, by: NDArray[Any] = weight, power: float = 1.0) -> float:
        values = np.array([getattr(p, name) for p in parts]) ** power
        good = np.isfinite(values)
        if not good.any():
            return float("nan")
        by = by if by[good].sum() > 0 else np.ones(len(parts))
        return float(np.average(values[good], weights=by[good]) ** (1 / power))

    return Told(
        looks_pixel=mean("looks_pixel"),
        looks_pixel_reference=mean("looks_pixel_reference"),
        looks_block=mean("looks_block"),
        looks_block_reference=mean("looks_block_reference"),
        noise_rescaling=mean("noise_rescaling"),
        correlation_range=mean("correlation_range"),
        steps=max(p.steps for p in parts),
        last_step=max(p.last_step for p in parts),
        converged_share=float(np.mean([p.converged_share for p in parts])),
        range_offset_std=mean("range_offset_std", free if free.sum() > 0 else weight, 2.0),
        ground=float(weight.sum()),
        still=float(sum(p.still for p in parts)),
        searched_share=float(np.mean([p.searched_share for p in parts])),
        dem_height_noise=mean("dem_height_noise"),
        dem_testable_share=mean("dem_testable_share"),
        dem_contradicted_share=mean("dem_contradicted_share"),
    )


def told_text(told: Told) -> str:
    """Say it in one line of the log.

    Parameters
    ----------
    told : Told
        Of an entry.
    """
    reference = (
        "" if np.isnan(told.looks_pixel_reference) else f" (reference {told.looks_pixel_reference:.2g})"
    )
    parts = [
        f"{told.looks_pixel:.2g} looks a pixel and image{reference}",
        f"{told.looks_block:.3g} a block (reference {told.looks_block_reference:.3g})",
        f"noise {told.noise_rescaling:.2f} of the expected",
        f"correlation range {told.correlation_range:.0f} m",
        f"{told.steps:.0f} steps, the last of {told.last_step:.3f} m ({_converged(told.converged_share)})",
        f"0.1 pixel of range would feign {told.range_offset_std:.2f} m",
        f"{told.stable_share:.0%} of the visible ground is still",
    ]
    if np.isfinite(told.dem_height_noise):
        parts.append(f"fine errors of the DEM {told.dem_height_noise:.1f} m")
    return ", ".join(parts)


def _converged(share: float) -> str:
    if share in (0.0, 1.0):
        return "converged" if share else "not converged"
    return f"{share:.0%} of the parts converged"


def stable_text(told: Told) -> str:
    """Say what follows where too little ground is still; empty where enough is.

    Parameters
    ----------
    told : Told
        Of an entry.
    """
    if not told.stable_share < LEAST_STABLE:
        return ""
    return (
        f"only {told.stable_share:.0%} of the visible ground is still, less than the {LEAST_STABLE:.0%} that "
        "the gain and the level of the image are read on: they are confounded with the change, an offset of "
        "the whole scene cannot be seen, and is not in the standard errors; choose a larger crop"
    )


def single_text(told: Told, images: int, reference: int) -> str:
    """Say what follows where a large change is told by single images; empty where it is not.

    Parameters
    ----------
    told : Told
        Of an entry.
    images, reference : int
        How many images the entry is the mean of, and its reference.
    """
    if min(images, reference) > 1 or not told.searched_share > 0:
        return ""
    return (
        f"{images} against {reference} images: a change of many metres was searched for on little evidence. "
        "From single images much of a change of 80 m and more is withheld, some has been missed with small "
        "errors, and new rock is not always recognised (docs/accuracy.md): average two images or more, "
        "before and after"
    )


def contradicted_text(told: Told) -> str:
    """Say what follows where the reference shows other ground than the DEM; empty where it does not.

    Parameters
    ----------
    told : Told
        Of an entry.
    """
    if not told.dem_contradicted_share >= WARNED:
        return ""
    return (
        "the DEM does not describe the ground at the reference dates over "
        f"{told.dem_contradicted_share:.1%} of the image: is it older than the first image? A later change "
        "there is wrong by more than its standard error may say"
    )


def moved_text(found: Registration, frame: LookFrame) -> str:
    """Say what was taken out between DEM and image; empty where nothing was.

    Parameters
    ----------
    found : Registration
        Of the whole image.
    frame : LookFrame
        Its geometry.

    Returns
    -------
    str
        With standard errors, metres.
    """
    step, cosine = frame.range_spacing, float(np.median(np.cos(frame.theta)))
    parts = []
    if found.believed:
        parts.append(
            f"{found.range_shift * step:.2f} ± {found.range_std * step:.2f} m of slant range beyond where "
            f"the DEM puts it (a DEM that is {found.range_shift * step / cosine:.1f} m too high or shifted)"
        )
        for axis, tilt, std, yes in zip(
            ("azimuth", "range"), found.tilt, found.tilt_std, found.tilted, strict=True
        ):
            if yes:
                parts.append(f"tilted along the {axis}, by {tilt * step:.2f} ± {std * step:.2f} m at its end")
    if found.rows_believed:
        late, std = found.row_shift * frame.azimuth_spacing, found.row_std * frame.azimuth_spacing
        parts.append(f"{late:.1f} ± {std:.1f} m further along the azimuth")
    return "the image lies " + ", ".join(parts) + ": taken out" if parts else ""


def registration_attributes(found: Registration, frame: LookFrame) -> dict[str, float | str]:
    """Attributes of the result: shifts of the image against the DEM in metres, and what was taken out.

    Parameters
    ----------
    found : Registration
        Of the whole image.
    frame : LookFrame
        Its geometry.

    Returns
    -------
    dict
        NaN and infinite standard errors where the image does not tell.
    """
    step, rows = frame.range_spacing, frame.azimuth_spacing
    return {
        "dem_range_shift_m": found.range_shift * step,
        "dem_range_shift_std_m": found.range_std * step,
        "dem_tilt_azimuth_m": found.tilt[0] * step,
        "dem_tilt_azimuth_std_m": found.tilt_std[0] * step,
        "dem_tilt_range_m": found.tilt[1] * step,
        "dem_tilt_range_std_m": found.tilt_std[1] * step,
        "dem_azimuth_shift_m": found.row_shift * rows,
        "dem_azimuth_shift_std_m": found.row_std * rows,
        "dem_moved": moved_text(found, frame) or "no: nothing significant was found",
    }
