"""Ground along the rows from traced sections: folds and shadow that a radar-coded DEM cannot hold."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import xarray as xr

import mosart
from mosart.errors import InputError
from mosart.geometry import flag_visibility
from mosart.geometry.frame import LookFrame
from mosart.geometry.section import Section
from mosart.inversion.entries import Entry
from mosart.inversion.method import Options
from mosart.inversion.synthesis.ground import lay_ground, newly_hidden, visibility
from mosart.inversion.synthesis.invert import invert_synthesis
from mosart.inversion.synthesis.part import part_reference, read_part
from mosart.inversion.synthesis.reference import LARGEST_TRACED
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term, block_sums
from mosart.inversion.synthesis.terrain import with_terrain
from mosart.masks import TRACED, VISIBILITY, Flag
from mosart.simulate import Sensor, Terrain, simulate
from mosart.simulate.relief import fractal
from mosart.simulate.render import at_ground
from mosart.stack import Stack

THETA, SPACING, PIXELS = 35.0, 2.0, 240
SINE, COSINE = np.sin(np.radians(THETA)), np.cos(np.radians(THETA))
FRAME = LookFrame(np.full(PIXELS, THETA), SPACING, 4.0, "right", 350.0, 0.0, "test")


def ridge(x, up=1.1, down=0.3, foot=300.0, top=360.0):
    """Level ground with a ridge whose foreslope is steeper than the look."""
    height = np.where(x < top, up * (x - foot), up * (top - foot) - down * (x - top))
    return np.where(x < foot, 0.0, np.maximum(height, 0.0))


def section(height_of=ridge, rows=1):
    x = np.arange(-150.0, 1200.0, SPACING / SINE)
    h = height_of(x)
    return Section(np.tile(h, (rows, 1)), np.tile((x * SINE - h * COSINE) / SPACING, (rows, 1)))


def energy(ground):
    facets = np.ones((ground.height.shape[0], ground.height.shape[1] - 1), np.float32)
    scene = Scene(ground, facets, 1.0, (1, 1), azimuth_slope_term(ground), 0 * facets)
    return scene.render(np.zeros(scene.knots), derivatives=False).energy


def test_a_coded_dem_keeps_its_ground_ranges():
    height = np.random.default_rng(1).normal(size=(3, PIXELS))
    height[1, 20:30] = np.nan
    np.testing.assert_allclose(Section.coded(height).ground_range(FRAME), FRAME.ground_range(height))


def test_a_plane_is_level_however_far_it_reaches():
    ground = lay_ground(section(lambda x: 0 * x + 20.0), FRAME, knot_pixels=8)
    np.testing.assert_allclose(ground.height, 20.0)
    slant, _ = ground.slant_and_across()
    np.testing.assert_allclose(slant[0] - 0.5 * SPACING, ground.x * SINE - 20.0 * COSINE, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_branches_of_a_fold_add_up_as_the_closed_form_says(rows):
    ground = lay_ground(section(rows=rows), FRAME, knot_pixels=8)
    found = energy(ground)
    r = (np.arange(PIXELS) + 0.0) * SPACING

    def density(slope):
        return (COSINE + slope * SINE) / abs(SINE - slope * COSINE)

    top = 1.1 * 60.0
    foot_r, top_r = 300 * SINE, 360 * SINE - top * COSINE
    end_r = (360 + top / 0.3) * SINE
    expected = np.where(r < foot_r, density(0.0), 0.0)
    expected += np.where((r > top_r) & (r < foot_r), density(1.1), 0.0)
    expected += np.where((r > top_r) & (r < end_r), density(-0.3), 0.0)
    expected += np.where(r > end_r, density(0.0), 0.0)
    away = np.min([np.abs(r - e) for e in (foot_r, top_r, end_r)], axis=0) > 1.5 * SPACING
    for row in found:
        np.testing.assert_allclose(row[away] / SPACING, expected[away], rtol=0.02)
        # energy is kept: all that the ground sends out arrives
        inside = slice(20, 220)
        assert row[inside].sum() / SPACING == pytest.approx(expected[inside].sum(), rel=0.02)
    seen = visibility(ground)
    fold = (ground.x > 300) & (ground.x < 360)
    assert seen.layover[0][fold].all()
    # what the pixels' own heights hold of the same ground is not the fold
    x = ground.x
    slant = x * SINE - ridge(x) * COSINE
    first = [np.interp(v, np.maximum.accumulate(slant), ridge(x)) for v in r]
    coded = lay_ground(Section.coded(np.array([first])), FRAME, knot_pixels=8)
    assert not visibility(coded).layover[0][(coded.x > 310) & (coded.x < 350)].all()


def test_ground_in_shadow_is_known():
    ground = lay_ground(section(lambda x: ridge(x, up=0.7, down=2.5)), FRAME, knot_pixels=8)
    seen = visibility(ground)
    dark = seen.shadow[0]
    assert dark.sum() > 10
    assert ground.known[0][dark].all()


def test_a_hole_of_the_dem_is_bridged_and_doubted():
    whole = section(lambda x: 0.1 * x)
    height = np.where((whole.pixel > 100) & (whole.pixel < 130), np.nan, whole.height)
    ground = lay_ground(
        Section(height, np.where(np.isnan(height), np.nan, whole.pixel)), FRAME, knot_pixels=8
    )
    reference = lay_ground(whole, FRAME, knot_pixels=8)
    np.testing.assert_allclose(
        np.interp(reference.x, ground.x, ground.height[0])[10:-10], reference.height[0, 10:-10], atol=1e-3
    )
    slant, _ = ground.slant_and_across()
    inside = (slant[0] > 102 * SPACING) & (slant[0] < 128 * SPACING)
    assert not ground.known[0][inside].any()
    assert ground.known[0][(slant[0] > 10) & (slant[0] < 95 * SPACING)].all()


def test_a_part_of_a_stack_has_the_same_ground():
    whole = section(rows=2)
    along = ("azimuth", "section")
    data = xr.Dataset(
        {"section_height": (along, whole.height), "section_range": (along, whole.pixel)},
        coords={"range": np.arange(PIXELS)},
    )
    read = Section.traced(data)
    assert read is not None
    assert read.pixel.min() > -40  # what does not return into the image is left out
    cut = slice(60, 200)
    part = Section.traced(data.isel(range=cut))
    assert part is not None
    ours, theirs = read.ground_range(FRAME), part.ground_range(FRAME.crop(cut))
    moved = theirs + 60 * SPACING / SINE
    for row in range(2):
        assert np.isin(np.round(moved[row], 5), np.round(ours[row], 5)).all()
    assert Section.traced(data.drop_vars("section_range")) is None


def test_only_what_a_change_hides_is_newly_hidden():
    ground = lay_ground(section(), FRAME, knot_pixels=8)
    before = visibility(ground)
    assert not newly_hidden(before, visibility(ground, np.zeros(ground.height.shape))).layover.any()
    bump = np.broadcast_to(60.0 * np.exp(-(((ground.x - 700) / 20) ** 2)), ground.height.shape)
    after = newly_hidden(before, visibility(ground, np.asarray(bump, dtype=np.float64)))
    assert after.layover[0][np.abs(ground.x - 690) < 10].all()
    assert not after.layover[0][(ground.x > 310) & (ground.x < 350)].any()


SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(4)]
BEFORE, AFTER = tuple(DATES[:2]), tuple(DATES[2:])


def cone(look):
    """A cone whose foreslope folds, in an image of 0.97 (right) or 0.98 (left) seen ground."""
    side = 1 if look == "right" else -1
    terrain = Terrain.flat(1000.0, 1000.0, 1.5)
    x, y = terrain.x[None, :], terrain.y[:, None]
    height = 150 + 150 * np.exp(-(((x + 60 * side) ** 2 + y**2) / 110**2))
    height = height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=5)
    terrain = terrain.plus(height)
    simulation = simulate(
        terrain,
        dict.fromkeys(DATES),
        SENSOR,
        shape=(72, 240),
        look_direction=look,
        seed=5,
    )
    swath = simulation.swath
    sine, cosine = np.sin(np.radians(38.0)), np.cos(np.radians(38.0))
    near, far = (swath.first_range + k * 1.8 * swath.columns for k in (0, 1))
    x = np.arange((near + 130 * cosine) / sine, (far + 320 * cosine) / sine, 1.8 / sine)
    x = np.tile(x, (swath.rows, 1))
    h = at_ground(terrain, terrain.heights, swath, x)
    along = ("azimuth", "section")
    hidden = simulation.truth["hidden"].values[0]
    data = simulation.stack.dataset.assign(
        section_height=(along, h.astype(np.float32)),
        section_range=(along, ((x * sine - h * cosine - near) / 1.8 - 0.5).astype(np.float32)),
        mask=simulation.stack.dataset["mask"] | np.where(hidden, np.uint8(Flag.LAYOVER), np.uint8(0)),
    )
    return simulation, Stack(data.assign_attrs({VISIBILITY: TRACED}))


@pytest.mark.parametrize("look", ["right", "left"])
def test_hidden_ground_is_rendered_as_the_radar_saw_it_and_flagged_as_it_was_traced(look):
    simulation, stack = cone(look)
    whole = slice(None)
    part = read_part(stack, whole, whole, simulation.frame)
    reference = part_reference(part, BEFORE, None)
    coded = read_part(with_terrain(stack, "coded"), whole, whole, simulation.frame)
    assert (
        visibility(reference.dem_ground).layover.sum()
        > visibility(part_reference(coded, BEFORE, None).dem_ground).layover.sum()
    )  # what was traced is rendered, not what the pixels' heights hold of it
    assert reference.scattering.block <= LARGEST_TRACED
    data = stack.dataset.load()
    mean = (data["amplitude"].values.astype(float) ** 2).mean(axis=0)
    hidden = simulation.truth["hidden"].values[0]
    pixel = data["section_range"].values
    folds = np.zeros(hidden.shape)
    for row, column in zip(*np.nonzero((np.diff(pixel, axis=1) < 0) & (pixel[:, 1:] > 0)), strict=True):
        folds[row, int(pixel[row, column + 1])] = 1.0
    folded = block_sums(folds, (4, 8)) > 2
    assert folded.sum() > 8
    off = {}
    for name, of in (("coded", Section.coded(data["height"].values)), ("traced", Section.traced(data))):
        ground = lay_ground(of, simulation.frame, knot_pixels=8)
        ratio = np.log(block_sums(mean, (4, 8)) / np.maximum(block_sums(energy(ground), (4, 8)), 1e-3))
        off[name] = np.median(np.abs(ratio - np.median(ratio))[folded])
    assert off["traced"] < 0.7 * off["coded"]
    entry = Entry(AFTER[-1], AFTER, BEFORE)
    assert flag_visibility(stack, simulation.frame) is stack
    untold = Stack(data.assign_attrs({VISIBILITY: "unknown"}))

    def inverted(of, terrain="coded"):
        options = Options(frame=simulation.frame, terrain=terrain)
        return invert_synthesis(of, BEFORE, (entry,), options).dataset.isel(date=-1)

    def hides(result):
        return (result["mask"].values & int(Flag.LAYOVER | Flag.SHADOW)) != 0

    # beyond the raster's trace only folds of the new surface are flagged, none that the pixels guess
    result = inverted(stack)
    flagged, guessed = hides(result), hides(inverted(untold))
    assert (flagged & ~hidden).sum() < (guessed & ~hidden).sum()
    assert (flagged & ~hidden & ~guessed).mean() < 0.005  # the surfaces found differ a little
    assert flagged[hidden].all()
    traced = inverted(stack, "traced")
    for still in (result, traced):
        seen = np.isfinite(still["elevation_change"].values)
        z = still["elevation_change"].values / still["elevation_change_std"].values
        assert np.mean(np.abs(z[seen]) < 3) > 0.98
    assert not np.array_equal(traced["estimate"].values, result["estimate"].values)


def test_a_terrain_that_the_stack_has_not_is_refused():
    simulation, stack = cone("right")
    assert "section_height" not in with_terrain(stack, "coded").dataset
    assert with_terrain(stack, "traced") is stack
    with pytest.raises(InputError, match="no traced terrain") as refused:
        with_terrain(simulation.stack, "traced")
    assert "SLC products" in str(refused.value)
    with pytest.raises(InputError, match="coded or traced"):
        with_terrain(stack, "tracked")
    with pytest.raises(InputError, match="no terrain is rendered"):
        mosart.invert(stack, "rowwise-intensity", terrain="traced")
