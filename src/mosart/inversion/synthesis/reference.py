"""What all epochs share: everything that the reference dates say, and they alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.frame import LookFrame
from mosart.geometry.section import Section

from .againstdem import doubt_of, find_overlaid, measure_agreement, measure_registration, noise_floor
from .agreement import Agreement
from .disturb import reshaping
from .ground import Ground, lay_ground
from .law import Law, estimate_law
from .reading import (
    LEAST_LOOKS,
    READING_BLOCK,
    Gained,
    dates_shown,
    full_sums,
    mean_intensity,
    read_epoch_gains,
    read_gains,
    reading_sums,
)
from .reflectivity import choose_kernel, kernel_area, onto_facets, predict, smooth
from .registration import Registration
from .render import Scene, azimuth_slope_term

Float = NDArray[np.float64]

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
#: Share of an intensity that is signal at least, when the noise floor is taken off.
LEAST_SIGNAL = 0.05


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
        alone = np.where(find_overlaid(mean, ground, water) if layover is None else layover, np.nan, mean)
        registration = measure_registration(alone, ground, water)
    else:
        registration = scattering.registration
    ground = registration.move(ground)
    covered = ground.covers()
    mean = np.where(covered, mean, np.nan)
    overlaid = find_overlaid(mean, ground, water) if layover is None else layover
    covered &= ~overlaid
    mean = np.where(covered, mean, np.nan)
    law = estimate_law(mean, ground, READING_BLOCK) if scattering is None else scattering.law
    doubt = doubt_of(ground, mean, water)
    one = np.ones(doubt.shape, np.float32)
    cross = azimuth_slope_term(ground)
    pixels = Scene(ground, one, law.exponent, (1, 1), cross, doubt)
    rendered = pixels.render(np.zeros(pixels.knots), derivatives=False)
    unit = rendered.energy / frame.range_spacing
    agreement = measure_agreement(mean, unit, rendered.doubtful, ground)
    if scattering is None:
        floor = noise_floor(mean, unit)
        kernel = choose_kernel([np.maximum(i - floor, LEAST_SIGNAL * i) for i in balanced], unit)
        scattering = Scattering(law, kernel, floor, registration, largest)
    floor, kernel, block = scattering.floor, scattering.kernel, scattering.block
    rho = predict(np.maximum(mean - floor, LEAST_SIGNAL * mean), unit, kernel)
    nodes = int(np.clip(NODE_BLOCKS * block[1], SEARCH_PIXELS, NODE_PIXELS))
    if nodes != NODE_PIXELS:
        ground = registration.move(lay_ground(section, frame, knot_pixels=nodes))
        doubt, cross = doubt_of(ground, mean, water), azimuth_slope_term(ground)
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
        (onto_facets(unlit.astype(np.float64), search) > 0.5) | (doubt_of(search, mean, water) > 0.5),
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
