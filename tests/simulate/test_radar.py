"""The kernels against closed forms and a slow reference written here."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosart.errors import InputError
from mosart.simulate import Swath, Terrain
from mosart.simulate.render import code_dem, hidden, render

LOOKS = [("right", 0.0), ("right", 77.0), ("right", 191.0), ("right", 349.3)]
LOOKS += [("left", heading) for _, heading in LOOKS]


def swath_over(heading=0.0, look="right", *, theta=40.0, rows=5, columns=200, spacing=0.8, facet=0.4):
    return Swath(
        theta, spacing, 1.0, heading, look, -columns * spacing / 2, -(rows - 1) / 2, rows, columns, facet
    )


def reference(profile, rho, start, facet, swath, *, law=1.0):
    """Energy per bin and per facet of one row, by whole arrays: the cumulative way."""
    s, c = math.sin(math.radians(swath.incidence_angle)), math.cos(math.radians(swath.incidence_angle))
    u = start + facet * np.arange(profile.size)
    r, p = u * s - profile * c, u * c + profile * s
    top = np.maximum.accumulate(p)
    lit = np.diff(top)  # the length across the beam that a facet adds to what was lit before it
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(lit > 0, lit / np.diff(p), 0.0)
    ds = np.hypot(np.diff(p), np.diff(r))
    energy = rho * share * np.where(lit > 0, np.abs(np.diff(p)), 0.0) ** law * ds ** (1 - law)
    energy = np.where(lit > 0, energy, 0.0)
    begin = r[1:] - share * np.diff(r)
    low, high = np.minimum(begin, r[1:]), np.maximum(begin, r[1:])
    edges = swath.first_range + swath.range_spacing * np.arange(swath.columns + 1)
    # The part of a facet that lies below an edge; differences between edges are what a bin gets.
    below = np.clip((edges[:, None] - low) / np.maximum(high - low, 1e-300), 0.0, 1.0)
    return (np.diff(below, axis=0) * energy).sum(axis=1), (np.diff(below, axis=0).sum(axis=0) * energy).sum()


@pytest.mark.parametrize("law", [0.0, 0.7, 1.0, 2.0])
def test_energy_is_conserved_bin_by_bin(law):
    # Facet ends fall on the nodes of the ground grid, so that no interpolation takes part.
    rng = np.random.default_rng(3)
    steps = rng.normal(size=401) * 0.9
    line = np.cumsum(steps - steps.mean())
    terrain = Terrain(np.tile(line, (9, 1)), 1.0)
    swath = Swath(35.0, 1.3, 1.0, 0.0, "right", -60.0, -2.0, 5, 90, 1.0)
    rho = 1.0 + rng.random(401)
    got = render(terrain, swath, np.tile(rho, (9, 1)), law=law) * swath.range_spacing
    assert got.min() == 0.0, "no shadow: the test does not test it"
    middle = (rho[1:] + rho[:-1]) / 2
    expected, total = reference(line, middle, terrain.x[0], 1.0, swath, law=law)
    np.testing.assert_allclose(got, np.tile(expected, (5, 1)), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), total, rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(20.0, 60.0), st.floats(0.1, 3.0))
def test_energy_is_conserved_for_any_relief(seed, theta, roughness):
    line = np.random.default_rng(seed).normal(size=121) * roughness
    line[:20] = line[-20:] = 0.0
    terrain = Terrain(np.tile(line, (5, 1)), 1.0)
    swath = Swath(theta, 0.7, 1.0, 0.0, "right", -20.0, 0.0, 1, 57, 1.0)
    got = render(terrain, swath)[0] * swath.range_spacing
    long = np.concatenate([np.zeros(200), line, np.zeros(200)])
    expected, total = reference(long, 1.0, -260.0, 1.0, swath)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
    assert got.sum() == pytest.approx(total)


def test_one_facet_is_split_by_hand():
    # 30 degrees: a facet of 5 m is 2.5 m of slant range and 4.330 m across the beam.
    terrain = Terrain(np.zeros((3, 10)), 5.0)
    rho = np.zeros((3, 10))
    rho[:, 5] = 2.0  # its middle at u = 2.5 m: the facet from 0 to 5 m, slant range 0 to 2.5 m
    swath = Swath(30.0, 1.0, 1.0, 0.0, "right", -2.7, 0.0, 1, 6, 5.0)
    got = render(terrain, swath, rho)[0]
    # Bins begin at −2.7, −1.7, …; the facet's 2.5 m fall 0.3, 1, 1 and 0.2 m into the bins 2 to 5.
    energy = 2.0 * 5.0 * math.cos(math.radians(30.0))
    np.testing.assert_allclose(got, energy * np.array([0, 0, 0.3, 1, 1, 0.2]) / 2.5, atol=1e-12)


@pytest.mark.parametrize("law", [0.0, 1.0, 1.6, 2.0])
@pytest.mark.parametrize(("look", "heading"), LOOKS)
def test_laws_on_a_tilted_plane(law, look, heading):
    east, north = 0.2, -0.15
    terrain = Terrain.flat(700.0, 700.0, 2.0).plus(lambda x, y: east * x + north * y)
    swath = swath_over(heading, look)
    along = east * swath.look[0] + north * swath.look[1]
    across = east * swath.flight[0] + north * swath.flight[1]
    t = math.radians(40.0)
    dp, dr = math.cos(t) + along * math.sin(t), math.sin(t) - along * math.cos(t)
    # An element of surface, and the cosine of the angle between its normal and the beam.
    area = math.sqrt(1 + along**2 + across**2)
    cosine = dp / area
    got = render(terrain, swath, 0.3, law=law)
    np.testing.assert_allclose(got, 0.3 * area * cosine**law / dr, rtol=1e-9)


@pytest.mark.parametrize(("look", "heading"), LOOKS)
def test_cumulative_intensity_gives_the_surface_back(look, heading):
    def ground(x, y):
        return 25.0 * np.exp(-((x - 10) ** 2 + (y + 5) ** 2) / 3000.0) - 6.0 * np.exp(
            -((x + 40) ** 2 + y**2) / 800.0
        )

    gamma = 0.17
    terrain = Terrain.flat(700.0, 700.0, 1.0).plus(ground)
    swath = swath_over(heading, look, rows=9, columns=320)
    at, height = code_dem(terrain, swath)
    assert not hidden(terrain, swath, at).any()
    intensity = render(terrain, swath, gamma)
    t = math.radians(swath.incidence_angle)
    # From the middle of the first bin to the middle of each other one.
    steps = (intensity[:, 1:] + intensity[:, :-1]) / 2 * swath.range_spacing / gamma
    p = (at[:, :1] * math.cos(t) + height[:, :1] * math.sin(t)) + np.cumsum(steps, axis=1)
    r = swath.first_range + (np.arange(1, swath.columns) + 0.5) * swath.range_spacing
    u, h = r * math.sin(t) + p * math.cos(t), p * math.sin(t) - r * math.cos(t)
    x, y = swath.to_ground(u)
    assert np.abs(h - ground(x, y)).max() < 0.02
    assert np.ptp(h) > 20


def test_cumulative_intensity_passes_a_shadow():
    def ground(x, y):
        return 40.0 * np.exp(-(x**2) / 2000.0) + 0 * y

    terrain = Terrain.flat(900.0, 60.0, 1.0).plus(ground)
    swath = Swath(65.0, 0.8, 1.0, 0.0, "right", -120.0, 0.0, 1, 360, 0.4)
    at, height = code_dem(terrain, swath)
    hides = hidden(terrain, swath, at)[0]
    assert 10 < hides.sum() < 200
    intensity = render(terrain, swath)[0]
    t = math.radians(65.0)
    p = at[0, 0] * math.cos(t) + height[0, 0] * math.sin(t)
    p = p + np.cumsum((intensity[1:] + intensity[:-1]) / 2) * swath.range_spacing
    r = swath.first_range + (np.arange(1, swath.columns) + 0.5) * swath.range_spacing
    u, h = r * math.sin(t) + p * math.cos(t), p * math.sin(t) - r * math.cos(t)
    seen = ~hides[1:]
    assert np.abs(h - ground(u, 0.0))[seen].max() < 0.05
    # In the shadow the ray stays above the ground.
    assert (h - ground(u, 0.0))[~seen].max() > 5


def test_wedge_in_closed_form():
    # A ridge 20 m high, both sides at 60 degrees, seen at 45: the front in layover, the back in shadow.
    top = 20.0 / math.tan(math.radians(60.0))
    terrain = Terrain.flat(300.0, 6.0, 0.05).plus(
        lambda x, y: np.clip(20.0 * (1.0 - np.abs(x - top) / top), 0.0, None) + 0 * y
    )
    swath = Swath(45.0, 0.25, 1.0, 0.0, "right", -20.0, 0.0, 1, 240, 0.05)
    s = math.sqrt(0.5)
    fold = top * s - 20.0 * s  # slant range of the top; the foot's is 0
    end = top * s + 20.0 * s  # p of the top: flat ground is lit again from x = end / s
    r = swath.first_range + (np.arange(swath.columns) + 0.5) * swath.range_spacing
    intensity = render(terrain, swath)[0]
    inside = 0.5
    np.testing.assert_allclose(intensity[r < fold - inside], 1.0, rtol=1e-6)
    folded = (r > fold + inside) & (r < -inside)
    np.testing.assert_allclose(intensity[folded], 1.0 + end / -fold, rtol=1e-3)
    assert (intensity[(r > inside) & (r < end - inside)] == 0).all()
    np.testing.assert_allclose(intensity[r > end + inside], 1.0, rtol=1e-6)

    u = np.arange(-25.0, 55.0, 0.13)[None]
    got = hidden(terrain, swath, u)[0]
    ground = u[0]
    # Layover from where flat ground is as far as the top to the top; shadow from there to where it ends.
    expected = (ground > fold / s) & (ground < end / s)
    near = (np.abs(ground - fold / s) < 0.5) | (np.abs(ground - end / s) < 0.5) | (np.abs(ground - top) < 0.2)
    assert (got == expected)[~near].all()


def test_the_dem_is_coded_where_it_is_lit():
    # Behind the ridge: the nearest lit intersection; all of them at the bin's slant range.
    terrain = Terrain.flat(300.0, 6.0, 0.5).plus(lambda x, y: 15.0 * np.exp(-(x**2) / 60.0) + 0 * y)
    swath = Swath(45.0, 0.5, 1.0, 0.0, "right", -30.0, 0.0, 1, 120, 0.25)
    at, height = code_dem(terrain, swath)
    s = math.sqrt(0.5)
    r = swath.first_range + (np.arange(swath.columns) + 0.5) * swath.range_spacing
    np.testing.assert_allclose(at[0] * s - height[0] * s, r, atol=1e-9)
    np.testing.assert_allclose(height[0], 15.0 * np.exp(-(at[0] ** 2) / 60.0), atol=0.05)
    assert np.isfinite(at).all()
    assert hidden(terrain, swath, at).any()


@pytest.mark.parametrize("first_range", [-386.495, -1590.0, 12.3456])
def test_no_bin_falls_between_two_facets(first_range):
    # Half a bin is one facet here: bin middles and facet ends coincide but for rounding.
    swath = replace(
        swath_over(349.3, columns=4000), first_range=first_range, incidence_angle=38.0, range_spacing=0.9094
    )
    swath = replace(swath, facet=0.9094 / 2 / math.sin(math.radians(38.0)))
    at, height = code_dem(Terrain.flat(20, 20), swath)
    assert np.isfinite(at).all()
    assert (height == 0).all()


def test_opposite_flights_that_look_the_same_way_see_the_same():
    rng = np.random.default_rng(0)
    terrain = Terrain(rng.normal(size=(80, 80)).cumsum(axis=0) * 0.3, 2.0)
    there = swath_over(30.0, "right", rows=7, columns=60)
    back = replace(there, heading=210.0, look_direction="left")
    np.testing.assert_allclose(render(terrain, there), render(terrain, back)[::-1], rtol=1e-9, atol=1e-12)


def test_finer_facets_change_little():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 6 * np.pi, 300)
    terrain = Terrain(4 * np.sin(x)[None] + 3 * np.cos(x)[:, None] + rng.normal(), 1.0)
    coarse, fine = swath_over(20.0), swath_over(20.0, facet=0.1)
    a, b = render(terrain, coarse), render(terrain, fine)
    assert np.sqrt(np.mean((a - b) ** 2)) < 0.02 * b.mean()


def test_refusals():
    with pytest.raises(InputError, match="look_direction"):
        swath_over(look="up")
    with pytest.raises(InputError, match="at least one row"):
        swath_over(rows=0)
    with pytest.raises(InputError, match="dB"):
        render(Terrain.flat(10, 10), swath_over(), -8.0)
