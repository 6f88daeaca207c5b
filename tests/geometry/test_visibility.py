from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import binary_dilation

from mosart.errors import InputError
from mosart.geometry import LookFrame, flag_visibility, layover_shadow, local_incidence_angle
from mosart.masks import Flag
from mosart.stack import Stack

SPACING = 1.5
GROUND = np.arange(0.0, 3000.0, 0.5)
SHAPES = {
    "hill": 250 * np.exp(-(((GROUND - 1500) / 180) ** 2)),
    "cone of 40 degrees": np.maximum(0, np.tan(np.radians(40)) * (400 - abs(GROUND - 1500))),
    "spire of 60 degrees": np.maximum(0, np.tan(np.radians(60)) * (150 - abs(GROUND - 1500))),
    "crater": 200 * np.exp(-(((GROUND - 1500) / 500) ** 2)) - 150 * np.exp(-(((GROUND - 1500) / 80) ** 4)),
    "gentle cone": np.maximum(0, np.tan(np.radians(22)) * (400 - abs(GROUND - 1500))),
}


def make_frame(theta, size, spacing=SPACING, azimuth=10.0):
    angle = np.broadcast_to(np.asarray(theta, float), (size,))
    return LookFrame(angle, spacing, azimuth, "right", 350.0, 0.0, "test")


def cast_rays(height, theta, distance=None):
    """Slant range, whether each ground point is hidden; from a satellite at a distance or a plane wave."""
    t = np.radians(theta)
    if distance is None:
        r, look = GROUND * np.sin(t) - height * np.cos(t), GROUND * np.cos(t) + height * np.sin(t)
    else:
        across, down = GROUND + distance * np.sin(t), distance * np.cos(t) - height
        r, look = np.hypot(across, down) - distance, np.arctan2(across, down)
    hidden = np.zeros(height.size, bool)
    for i in range(1, height.size):  # one ray a point: does any point before it rise above the ray?
        hidden[i] = look[:i].max() > look[i]
    return r, hidden


def code(height, theta, branch, distance=None, seed=0):
    """Code ground to slant range: the height kept in each bin, and the truth: folded, hidden."""
    rng = np.random.default_rng(seed)
    r, hidden = cast_rays(height, theta, distance)
    bins = np.arange(r.min() + SPACING, r.max() - SPACING, SPACING)
    kept, folded, shadow = np.full(bins.size, np.nan), np.zeros(bins.size, bool), np.zeros(bins.size, bool)
    for k, at in enumerate(bins):
        j = np.flatnonzero((r[:-1] <= at) != (r[1:] <= at))
        h = height[j] + (at - r[j]) / (r[j + 1] - r[j]) * (height[j + 1] - height[j])
        choice = {"near": 0, "far": -1, "high": int(np.argmax(h)), "any": int(rng.integers(j.size))}[branch]
        kept[k], folded[k], shadow[k] = h[choice], j.size > 1, hidden[j[choice]]
    return kept, folded, shadow


@pytest.mark.parametrize("branch", ["near", "far", "high", "any"])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("theta", [25.0, 35.0, 45.0])
def test_against_rays_cast_one_by_one(theta, name, branch):
    kept, folded, hidden = code(SHAPES[name], theta, branch)
    layover, shadow = (m[0] for m in layover_shadow(kept[None], make_frame(theta, kept.size)))
    # What is kept of a shadow is exact but for its ends.
    assert not (shadow & ~binary_dilation(hidden)).any()
    assert (shadow & hidden).sum() >= 0.9 * hidden.sum() - 6
    # A fold is found, and nothing is flagged far from one; its ends are a guess (see the function's notes).
    if folded.sum() > 4:
        assert (layover & folded).sum() >= 0.25 * folded.sum()
        if name not in ("spire of 60 degrees", "crater"):
            assert (layover & folded).sum() >= 0.75 * folded.sum()
        rise = np.ptp(SHAPES[name]) * np.cos(np.radians(theta)) / SPACING
        assert not (layover & ~binary_dilation(folded, iterations=int(rise))).any()
    else:
        assert layover.sum() <= 0.1 * layover.size


@pytest.mark.parametrize("theta", [25.0, 35.0, 45.0])
def test_kept_places_in_random_order_show_the_whole_fold(theta):
    kept, folded, _ = code(SHAPES["hill"], theta, "any")
    layover, _ = layover_shadow(kept[None], make_frame(theta, kept.size))
    assert (layover[0] & folded).sum() == folded.sum()


def test_shadow_from_a_near_radar_follows_the_look_angle():
    """5 km away the incidence grows by 17 degrees over the row: a plane wave's shadow would be wrong."""
    distance, theta = 5000.0, 45.0
    kept, _, hidden = code(SHAPES["spire of 60 degrees"], theta, "far", distance)
    slant = (
        distance
        + SPACING * (np.arange(kept.size) + 1.0)
        + cast_rays(np.zeros(GROUND.size), theta, distance)[0].min()
    )
    angles = np.degrees(np.arccos(distance * np.cos(np.radians(theta)) / slant))
    assert np.ptp(angles) > 10
    _, shadow = layover_shadow(kept[None], make_frame(angles, kept.size))
    _, plane = layover_shadow(kept[None], make_frame(angles.mean(), kept.size))
    assert (shadow[0] != hidden).sum() < 0.1 * hidden.sum()
    assert (plane[0] != hidden).sum() > (shadow[0] != hidden).sum()


@given(theta=st.floats(20, 60), slope=st.floats(-0.9, 0.9))
def test_even_slopes_are_seen_between_the_limits(theta, slope):
    """Ground sloping less than theta towards and 90 - theta away from the radar is seen, all of it."""
    steepest = np.radians(theta if slope > 0 else 90 - theta)
    tangent = np.tan(0.9 * slope * steepest / 0.9)
    x = np.arange(200.0) * SPACING / (np.sin(np.radians(theta)) - tangent * np.cos(np.radians(theta)))
    layover, shadow = layover_shadow((tangent * x)[None], make_frame(theta, 200))
    assert not layover.any()
    assert not shadow.any()


@pytest.mark.parametrize("look", ["right", "left"])
def test_rows_are_alone_and_the_side_does_not_matter(look):
    kept, _, _ = code(SHAPES["crater"], 40.0, "far")
    frame = make_frame(40.0, kept.size)
    one = layover_shadow(kept[None], LookFrame(**{**frame.__dict__, "look_direction": look}))
    two = layover_shadow(np.stack([np.zeros(kept.size), kept, np.full(kept.size, np.nan)]), frame)
    for alone, among in zip(one, two, strict=True):
        assert_array_equal(among[1], alone[0])
        assert not among[[0, 2]].any()


def test_gaps_neither_hide_nor_are_hidden():
    kept, _, _ = code(SHAPES["spire of 60 degrees"], 45.0, "far")
    frame = make_frame(45.0, kept.size)
    whole = layover_shadow(kept[None], frame)[1][0]
    gappy = kept.copy()
    gap = np.flatnonzero(whole)[20:40]
    gappy[gap] = np.nan
    layover, shadow = (m[0] for m in layover_shadow(gappy[None], frame))
    assert not shadow[gap].any()
    assert not layover[gap].any()
    rest = np.setdiff1d(np.arange(kept.size), gap)
    assert_array_equal(shadow[rest], whole[rest])


@pytest.mark.parametrize("spacing", [2.3, 9.4, 37.0])
def test_noise_of_a_metre_is_neither_layover_nor_shadow(spacing):
    noise = np.random.default_rng(0).normal(0, 1.0, (20, 1000))
    layover, shadow = layover_shadow(noise, make_frame(39.0, 1000, spacing))
    assert layover.mean() < 1e-3
    assert shadow.mean() < 1e-3


def plane(theta, slope_range, slope_azimuth, *, shape=(12, 30), spacing=3.0, azimuth=7.0):
    """Heights of a plane on the radar grid: h = a x + b y with r = x sin - h cos."""
    s, c = np.sin(np.radians(theta)), np.cos(np.radians(theta))
    y = np.arange(shape[0])[:, None] * azimuth
    x = (np.arange(shape[1]) * spacing + slope_azimuth * y * c) / (s - slope_range * c)
    return slope_range * x + slope_azimuth * y, make_frame(theta, shape[1], spacing, azimuth)


@given(theta=st.floats(20, 60), a=st.floats(-0.3, 0.3), b=st.floats(-1, 1))
def test_local_incidence_of_a_plane_in_closed_form(theta, a, b):
    height, frame = plane(theta, a, b)
    t = np.radians(theta)
    truth = np.degrees(np.arccos((np.cos(t) + a * np.sin(t)) / np.sqrt(1 + a * a + b * b)))
    assert_allclose(local_incidence_angle(height, frame), truth, atol=1e-6)


def test_local_incidence_with_gaps_and_single_rows():
    height, frame = plane(35.0, 0.2, 0.4)
    truth = local_incidence_angle(height, frame)
    height[4, 5] = height[0, 0] = np.nan
    height[7:9, 20:24] = np.nan
    angle = local_incidence_angle(height, frame)
    assert_array_equal(np.isnan(angle), np.isnan(height))
    assert_allclose(angle[np.isfinite(angle)], truth[np.isfinite(angle)], atol=1e-6)
    t = np.radians(35.0)
    single = np.degrees(np.arccos((np.cos(t) + 0.2 * np.sin(t)) / np.sqrt(1 + 0.2**2)))
    assert_allclose(local_incidence_angle(height[2:3], frame), single, atol=1e-6)


def test_ground_that_faces_away_is_beyond_ninety_degrees():
    height = -np.cumsum(np.full((1, 20), 2.0))[None]
    assert (local_incidence_angle(height, make_frame(50.0, 20)) > 90).all()


def test_local_incidence_against_published_geometry(data_folder):
    folder = data_folder / "isce_golden" / "topo_winnipeg"
    h = np.fromfile(folder / "z.rdr", "f8").reshape(250, 250)
    incidence, local = (np.fromfile(folder / f"{n}.rdr", "f4").reshape(250, 250) for n in ("inc", "localInc"))
    frame = LookFrame(incidence.mean(axis=0), 6.245676208, 6.005856, "left", 314.0, 0.0, "product")
    found = local_incidence_angle(h, frame)
    inside = (slice(3, -3), slice(3, -3))
    tilt, truth = (found - incidence)[inside], (local - incidence)[inside]
    assert np.corrcoef(tilt.ravel(), truth.ravel())[0, 1] > 0.94
    # Theirs comes from the slope of the DEM on its own grid, ours from its radar coding.
    assert np.median(np.abs(tilt - truth)) < 0.5
    assert abs(np.mean(tilt - truth)) < 0.1


def test_flags_are_set_lazily_and_by_tiles_as_in_one_piece(as_stack):
    kept, _, _ = code(SHAPES["spire of 60 degrees"], 40.0, "far")
    heights = np.stack([np.roll(kept, 3 * k) for k in range(23)])
    frame = make_frame(40.0, kept.size)
    layover, shadow = layover_shadow(heights, frame)
    assert layover.any()
    assert shadow.any()
    old = np.full((2, *heights.shape), np.uint8(Flag.WATER))
    stack = as_stack(None, height=heights)
    calls = []

    def seen(block):
        calls.append(block.shape)
        return block

    lazy = da.from_array(heights, chunks=(10, 100)).map_blocks(seen, dtype=float, meta=np.empty((0, 0)))
    dataset = stack.dataset.assign(
        mask=(("date", "azimuth", "range"), da.from_array(old, chunks=(1, 7, -1))),
        height=(("azimuth", "range"), lazy),
    )
    flagged = flag_visibility(Stack(dataset), frame).dataset["mask"]
    assert not calls
    assert isinstance(flagged.data, da.Array)
    expected = layover * int(Flag.LAYOVER) | shadow * int(Flag.SHADOW) | int(Flag.WATER)
    assert flagged.dtype == np.uint8
    assert_array_equal(flagged.values, np.broadcast_to(expected, old.shape))
    assert_array_equal(
        flag_visibility(stack, frame).dataset["mask"].values, np.broadcast_to(expected & ~4, old.shape)
    )


def test_wrong_shapes_are_refused(as_stack):
    frame = make_frame(40.0, 10)
    with pytest.raises(InputError, match="another radar grid"):
        flag_visibility(as_stack(None, height=np.zeros((3, 11))), frame)
    for function in (layover_shadow, local_incidence_angle):
        with pytest.raises(InputError, match="heights"):
            function(np.zeros(10), frame)
