"""What all epochs share: everything that the reference dates say, and they alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from mosart.geometry.frame import LookFrame
from mosart.geometry.section import Section

from .agreement import Agreement, compare
from .disturb import reshaping
from .gains import date_gain
from .ground import Ground, lay_ground
from .law import Law, estimate_law
from .layover import coded_layover
from .noise import effective_looks
from .reflectivity import choose_kernel, kernel_area, onto_facets, predict, smooth
from .registration import Registration, detail, register
from .render import Rendered, Scene, azimuth_slope_term, block_sums

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

#: Block on which gains, law and looks are read: rows and pixels; large enough that a block's speckle is
#: nearly Gaussian, small enough that a scene has hundreds.
READING_BLOCK = (4, 8)
#: A block is as large as the texture that the reference resolves: this many of the kernel's σ; smaller
#: ones share their reference noise, larger ones lose the texture that tells displacement.
BLOCK_SIGMAS = 3.5
LARGEST_BLOCK = (4, 8)
#: The same on traced ground. What it explains of folds lets the kernel be wider; blocks as wide as the nodes
#: are apart then lose more of the texture's place than they gain in looks.
LARGEST_TRACED = (4, 5)
#: Pixels on flat ground between two nodes of the search; and between those of the refinement: two blocks,
#: at most eight pixels.
SEARCH_PIXELS = 4
NODE_BLOCKS, NODE_PIXELS = 2, 8
#: Share of the median below which the reference does not light the ground.
UNLIT = 0.1
#: Pixels at a shadow's edge that the DEM may have wrong, and fewest pixels that tell the noise floor.
SHADOW_EDGE, FEWEST_SHADOW = 2, 60
#: Share of an intensity that is signal at least, when the noise floor is taken off.
LEAST_SIGNAL = 0.05
#: Share of a pixel's energy from doubted ground beyond which it is not compared with the DEM.
DOUBTED = 0.5
#: Fewest looks of a block that are believed.
LEAST_LOOKS = 1.0


@dataclass(frozen=True)
class Reference:
    """Ground, scattering and noise of the reference.

    Parameters
    ----------
    scene : Scene
        What is rendered, on the blocks of the refinement.
    search_ground : Ground
        Profiles with the nodes of the search.
    search_reflectivity : ndarray (azimuth, facet) float32
        On them, shading of the old surface included.
    search_texture : ndarray (azimuth, facet) float32
        The same without the shading.
    unlit : ndarray (azimuth, facet) bool
        Ground that the reference does not light, or that is not known to be ground.
    x : ndarray (azimuth, range)
        Ground range of every pixel, metres; NaN where its height is.
    sums : ndarray (block row, block)
        Reading blocks of the mean.
    law : Law
        The scattering law.
    kernel : tuple of float
        Of the reflectivity, σ in rows and pixels.
    pixel_looks : float
        Effective looks of a pixel of one date, inside a block; NaN until an epoch tells.
    dates : float
        Reference dates that show a pixel, on average.
    mean : ndarray (azimuth, range)
        Mean intensity, gains removed.
    floor : float
        Intensity that the receiver's noise adds.
    registration : Registration
        Of the image against the DEM; taken out where it is believed.
    agreement : Agreement
        What the image says of the DEM.
    dem_ground : Ground
        The ground of ``scene`` on the rows of the DEM, which are the result's.
    covered : ndarray (azimuth, range) bool
        Pixels that show ground which the DEM knows; the others are not compared.
    overlaid : ndarray (azimuth, range) bool
        Pixels in layover that a radar-coded DEM leaves out.
    traced : bool
        Whether layover and shadow of the DEM are known already, from a raster.
    largest : tuple of int
        Rows and pixels of a block of comparison at most.
    """

    scene: Scene
    search_ground: Ground
    search_reflectivity: NDArray[np.float32]
    search_texture: NDArray[np.float32]
    unlit: NDArray[np.bool_]
    x: Float
    sums: Float
    law: Law
    kernel: tuple[float, float]
    pixel_looks: float
    dates: float
    mean: Float
    floor: float
    registration: Registration
    agreement: Agreement
    dem_ground: Ground
    covered: NDArray[np.bool_]
    overlaid: NDArray[np.bool_]
    traced: bool = False
    largest: tuple[int, int] = LARGEST_BLOCK

    @property
    def position_std(self) -> tuple[float, float]:
        """By how much the DEM misplaces pixels on the ground, metres along azimuth and range."""
        g, seen = self.scene.ground, self.registration
        sine, cosine = float(np.median(g.sine)), float(np.median(g.cosine))
        heights = self.agreement.height_noise if np.isfinite(self.agreement.height_noise) else 0.0
        along = seen.range_std * g.range_spacing / sine if seen.believed else 0.0
        rows = seen.row_std * g.azimuth_spacing if seen.rows_believed else 0.0
        return rows, float(np.hypot(heights * cosine / sine, along))

    @property
    def scattering(self) -> Scattering:
        """What a larger image would take over."""
        return Scattering(self.law, self.kernel, self.floor, self.registration, self.largest)

    def looks(self, pixel_looks: float, block: tuple[int, int]) -> float:
        """Effective looks of the smoothed reference over a block."""
        return max(self.dates * pixel_looks * kernel_area(self.kernel, block), LEAST_LOOKS)


def mean_intensity(images: Sequence[Float], gains: Sequence[Float]) -> Float:
    """Mean of images divided by their gains; a gap of some is filled by the others.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        Intensities, NaN in gaps.
    gains : sequence of ndarray (block row,)
        Logarithms, one a reading block.

    Returns
    -------
    ndarray (azimuth, range)
        NaN where all have a gap.
    """
    total = np.zeros(images[0].shape)
    count = np.zeros(images[0].shape)
    for image, gain in zip(images, gains):
        row = np.repeat(np.exp(-gain), READING_BLOCK[0])[: len(image), None]
        good = np.isfinite(image)
        total += np.where(good, image, 0.0) * row
        count += good
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def dates_shown(images: Sequence[Float]) -> float:
    """Count the dates that show a pixel.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        NaN in gaps.

    Returns
    -------
    float
        Mean over the pixels that any date shows; 1 where none shows any.
    """
    count = np.zeros(images[0].shape)
    for image in images:
        count += np.isfinite(image)
    return float(count[count > 0].mean()) if count.any() else 1.0


def full_sums(image: Float, block: tuple[int, int]) -> tuple[Float, Float]:
    """Block sums scaled up for missing pixels, and the share of pixels that are there.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        NaN in gaps.
    block : tuple of int
        Rows and pixels.

    Returns
    -------
    sums, share : ndarray (block row, block)
        The sum is zero where nothing is there; the share counts a block at the image's edge as full.
    """
    good = block_sums(np.isfinite(image).astype(np.float64), block)
    size = block_sums(np.ones(image.shape), block)
    share = good / size
    return block_sums(image, block) / np.maximum(share, 1e-9) * (share > 0), share


@dataclass(frozen=True)
class Gained:
    """What is known of dates beforehand.

    Parameters
    ----------
    gains : tuple of ndarray (block row,)
        Logarithms, one array a date, one number a row of reading blocks.
    pixel_looks : float
        Effective looks of a pixel of one date; NaN where not known.
    """

    gains: tuple[Float, ...]
    pixel_looks: float


def reading_sums(image: Float) -> Float:
    """Sum reading blocks.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Intensity, NaN in gaps.

    Returns
    -------
    ndarray (block row, block)
        NaN where less than half of a block is there.
    """
    sums, share = full_sums(image, READING_BLOCK)
    return np.where(share > 0.5, sums, np.nan)


def read_gains(reading: Sequence[Float]) -> Gained:
    """Gains of the reference dates against the first that shows most, and their looks.

    Parameters
    ----------
    reading : sequence of ndarray (block row, block)
        Sums of reading blocks.

    Returns
    -------
    Gained
        Looks NaN for a single date.
    """
    looks = effective_looks(reading) if len(reading) > 1 else float("nan")
    known = 32.0 if np.isnan(looks) else looks
    base = max(reading, key=lambda sums: int(np.isfinite(sums).sum()))  # the first that shows most
    gains = tuple(date_gain(s, base, READING_BLOCK[0], known) for s in reading)
    return Gained(gains, looks / (READING_BLOCK[0] * READING_BLOCK[1]))


def read_epoch_gains(reading: Sequence[Float], reference: Float, pixel_looks: float) -> Gained:
    """Gains of an epoch's dates against the reference, and their looks.

    Parameters
    ----------
    reading : sequence of ndarray (block row, block)
        Sums of reading blocks.
    reference : ndarray (block row, block)
        The same of the reference's mean; NaN where there is none.
    pixel_looks : float
        Effective looks of a pixel of one reference date; NaN where not known.

    Returns
    -------
    Gained
        With looks.
    """
    size = READING_BLOCK[0] * READING_BLOCK[1]
    found = [pixel_looks * size]
    if len(reading) > 1:
        found.append(effective_looks(reading))
    known = [v for v in found if np.isfinite(v)]
    if known:
        looks = float(np.median(known))
    else:  # one date each: their ratio, change and all, robustly
        looks = effective_looks([reference, reading[0]])
        looks = looks if np.isfinite(looks) else LEAST_LOOKS
    gains = tuple(date_gain(s, reference, READING_BLOCK[0], looks) for s in reading)
    return Gained(gains, max(looks / size, 1e-3))


@dataclass(frozen=True)
class Scattering:
    """What is known of ground and scattering beforehand.

    Parameters
    ----------
    law : Law
        The scattering law.
    kernel : tuple of float
        Of the reflectivity, σ in rows and pixels.
    floor : float
        Intensity that the receiver's noise adds.
    registration : Registration
        Of the image against the DEM, of this part (:meth:`Registration.part`).
    largest : tuple of int
        Rows and pixels of a block at most.
    """

    law: Law
    kernel: tuple[float, float]
    floor: float
    registration: Registration
    largest: tuple[int, int] = LARGEST_BLOCK

    @property
    def block(self) -> tuple[int, int]:
        """Rows and pixels of a block of comparison."""
        return (
            int(np.clip(round(BLOCK_SIGMAS * self.kernel[0]), 2, self.largest[0])),
            int(np.clip(round(BLOCK_SIGMAS * self.kernel[1]), 2, self.largest[1])),
        )


def learn_reference(
    images: Sequence[Float],
    height: Float,
    frame: LookFrame,
    water: NDArray[np.bool_] | None = None,
    *,
    section: Section | None = None,
    layover: NDArray[np.bool_] | None = None,
    traced: bool = False,
    gained: Gained | None = None,
    scattering: Scattering | None = None,
) -> Reference:
    """Learn ground, law, reflectivity and noise from the reference dates.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        Intensities of the reference dates, NaN where there are none.
    height : ndarray (azimuth, range)
        DEM, metres; NaN in gaps.
    frame : LookFrame
        Geometry of the look.
    water : ndarray of bool, optional
        Pixels whose ground is not ground.
    section : Section, optional
        The ground along the rows, folds and all; the DEM's pixels if not given.
    layover : ndarray of bool, optional
        Pixels in layover that the DEM's pixels do not show; found by their light if not given.
    traced : bool
        Whether layover and shadow of the DEM are known already, from a raster.
    gained : Gained, optional
        Gains and looks of the dates; measured here if not given.
    scattering : Scattering, optional
        Of a larger image that this one is a part of; measured here if not given.

    Returns
    -------
    Reference
        All that the epochs share.
    """
    x = frame.ground_range(height)
    largest = LARGEST_BLOCK if section is None else LARGEST_TRACED
    if section is not None:  # it has its folds
        layover = np.zeros(height.shape, bool)
    section = Section.coded(height) if section is None else section
    ground = lay_ground(section, frame, knot_pixels=NODE_PIXELS)
    if gained is None:
        gained = read_gains([reading_sums(image) for image in images])
    balanced = [mean_intensity([i], [g]) for i, g in zip(images, gained.gains)]
    mean = mean_intensity(images, gained.gains)
    if scattering is None:
        # the light of a hidden wall lies before its jump: it would shift the image against the DEM
        alone = np.where(_overlaid(mean, ground, water) if layover is None else layover, np.nan, mean)
        registration = _registration(alone, ground, water)
    else:
        registration = scattering.registration
    ground = registration.move(ground)
    covered = ground.covers()
    mean = np.where(covered, mean, np.nan)
    overlaid = _overlaid(mean, ground, water) if layover is None else layover
    covered &= ~overlaid
    mean = np.where(covered, mean, np.nan)
    law = estimate_law(mean, ground, READING_BLOCK) if scattering is None else scattering.law
    doubt = _doubt(ground, mean, water)
    one = np.ones(doubt.shape, np.float32)
    cross = azimuth_slope_term(ground)
    pixels = Scene(ground, one, law.exponent, (1, 1), cross, doubt)
    rendered = pixels.render(np.zeros(pixels.knots), derivatives=False)
    unit = rendered.energy / frame.range_spacing
    agreement = _agreement(mean, unit, rendered.doubtful, ground)
    if scattering is None:
        floor = noise_floor(mean, unit)
        kernel = choose_kernel([np.maximum(i - floor, LEAST_SIGNAL * i) for i in balanced], unit)
        scattering = Scattering(law, kernel, floor, registration, largest)
    floor, kernel, block = scattering.floor, scattering.kernel, scattering.block
    rho = predict(np.maximum(mean - floor, LEAST_SIGNAL * mean), unit, kernel)
    nodes = int(np.clip(NODE_BLOCKS * block[1], SEARCH_PIXELS, NODE_PIXELS))
    if nodes != NODE_PIXELS:
        ground = registration.move(lay_ground(section, frame, knot_pixels=nodes))
        doubt, cross = _doubt(ground, mean, water), azimuth_slope_term(ground)
    scene = Scene(ground, onto_facets(rho, ground), law.exponent, block, cross, doubt)
    search = registration.move(lay_ground(section, frame, knot_pixels=SEARCH_PIXELS, facets_per_pixel=1))
    dem_ground = ground
    if registration.rows_believed:
        dem_ground = registration.move(lay_ground(section, frame, knot_pixels=nodes), along_azimuth=False)
    smoothed = np.nan_to_num(smooth(mean, kernel))
    unlit = smoothed < UNLIT * float(np.median(smoothed[smoothed > 0]))
    # the search knows constant gamma nought only: the reflectivity takes up the law on the old surface
    on_search = onto_facets(rho, search)
    reshape = reshaping(search, azimuth_slope_term(search), law.exponent - 1)
    return Reference(
        scene,
        search,
        (on_search * reshape).astype(np.float32),
        on_search,
        (onto_facets(unlit.astype(np.float64), search) > 0.5) | (_doubt(search, mean, water) > 0.5),
        x,
        full_sums(mean, READING_BLOCK)[0],
        law,
        kernel,
        gained.pixel_looks,
        dates_shown(images),
        mean,
        floor,
        registration,
        agreement,
        dem_ground,
        covered,
        overlaid,
        traced,
        scattering.largest,
    )


def _doubt(ground: Ground, mean: Float, water: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Facets that are not known to be ground with a reflectivity: DEM gaps, water, gaps of the image."""
    doubt = ~(ground.known[:, 1:] & ground.known[:, :-1])
    if water is not None and water.any():
        doubt |= onto_facets(water.astype(np.float64), ground) > 0.25
    if np.isnan(mean).any():
        doubt |= onto_facets(np.isnan(mean).astype(np.float64), ground) > 0.5
    return doubt.astype(np.float32)


def _rendered(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> Rendered:
    """Render the ground, pixel by pixel, with unit reflectivity and constant gamma nought."""
    one = np.ones((ground.height.shape[0], ground.height.shape[1] - 1), np.float32)
    pixels = Scene(ground, one, 1.0, (1, 1), azimuth_slope_term(ground), _doubt(ground, mean, water))
    return pixels.render(np.zeros(pixels.knots), derivatives=False)


def _overlaid(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Find the layover that a radar-coded DEM leaves out."""
    out = _rendered(mean, ground, water)
    return coded_layover(mean, out.energy * (1 - out.doubtful) / ground.range_spacing, ground)


def _registration(mean: Float, ground: Ground, water: NDArray[np.bool_] | None) -> Registration:
    """Measure where the image lies against the DEM."""
    out = _rendered(mean, ground, water)
    valid = np.isfinite(mean) & (out.doubtful < DOUBTED)
    return register(detail(mean, valid), detail(out.energy, valid), valid)


def _agreement(mean: Float, unit: Float, doubtful: Float, ground: Ground) -> Agreement:
    """Compare the shading of the image with that of the DEM where it lies now."""
    valid = np.isfinite(mean) & (doubtful < DOUBTED)
    sine, cosine = float(np.median(ground.sine)), float(np.median(ground.cosine))
    pixel = ground.range_spacing / sine
    # log brightness dp/dr answers to a slope by s/c + c/s
    per_log = pixel / (sine / cosine + cosine / sine)
    return compare(detail(mean, valid), detail(unit, valid), valid, per_log)


def noise_floor(mean: Float, unit: Float) -> float:
    """Noise of the receiver, read in the shadow of the DEM.

    Parameters
    ----------
    mean : ndarray (azimuth, range)
        Mean intensity of the reference.
    unit : ndarray (azimuth, range)
        Simulated intensity of unit reflectivity: zero in shadow.

    Returns
    -------
    float
        Intensity; 0 where there is too little shadow to tell, which then does not matter.
    """
    inside = unit < 1e-3 * float(np.median(unit))
    inside = binary_erosion(inside & np.isfinite(mean), iterations=SHADOW_EDGE)
    inside[:, : 2 * SHADOW_EDGE] = inside[:, -2 * SHADOW_EDGE :] = False  # ground beyond the image
    if inside.sum() < FEWEST_SHADOW:
        return 0.0
    return float(min(np.median(mean[inside]), 0.5 * np.nanmedian(mean)))


@dataclass(frozen=True)
class Epoch:
    """A new epoch: its mean, gains removed, and its looks.

    Parameters
    ----------
    mean : ndarray (azimuth, range)
        Intensity; NaN where no date has any.
    pixel_looks : float
        Effective looks of a pixel of one date.
    dates : float
        Dates that show a pixel, on average.
    """

    mean: Float
    pixel_looks: float
    dates: float


def read_epoch(images: Sequence[Float], reference: Reference, gained: Gained | None = None) -> Epoch:
    """Take the gains out of an epoch's dates and measure its looks.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        Intensities, NaN in gaps.
    reference : Reference
        What it is compared with.
    gained : Gained, optional
        Gains and looks; measured here if not given.

    Returns
    -------
    Epoch
        The mean.
    """
    if gained is None:
        base = np.where(reference.sums > 0, reference.sums, np.nan)
        gained = read_epoch_gains([reading_sums(image) for image in images], base, reference.pixel_looks)
    mean = np.where(reference.covered, mean_intensity(images, gained.gains), np.nan)
    return Epoch(mean, gained.pixel_looks, dates_shown(images))
