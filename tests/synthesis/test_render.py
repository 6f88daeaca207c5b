from __future__ import annotations

import numpy as np
import pytest

from mosart.geometry.frame import LookFrame
from mosart.inversion.synthesis.ground import Ground, ground_from_radar
from mosart.inversion.synthesis.render import Scene, azimuth_slope_term


def make_scene(law=1.0, *, rough=1.0, rows=12, points=161, block=(4, 8), seed=1, theta=38.0):
    rng = np.random.default_rng(seed)
    s, c = np.sin(np.deg2rad(theta)), np.cos(np.deg2rad(theta))
    x = np.arange(points) * 1.2
    y = np.arange(rows)[:, None] * 3.0
    height = rough * (4 * np.sin(x / 30) + 3 * np.cos(x / 11 + y / 20)) + 0 * y
    height = height.astype(np.float32)
    ground = Ground(
        height, 3.0 - height[:, 0].astype(float) * c, x, np.full(points, s), np.full(points, c),
        np.ones(height.shape, bool), np.zeros(points), 8, 1.0, 3.0, int(points * 1.2 * s) - 4,
    )  # fmt: skip
    rho = rng.gamma(4, 0.25, (rows, points - 1)).astype(np.float32)
    scene = Scene(ground, rho, law, block, azimuth_slope_term(ground), np.zeros_like(rho))
    d = rough * 0.7 * rng.normal(size=scene.knots)
    b = 0.3 * rng.normal(size=scene.knots)
    return scene, d, b


@pytest.mark.parametrize("law", [0.0, 1.0, 1.6, 2.0])
def test_derivatives_agree_with_finite_differences_where_nothing_is_folded(law):
    scene, d, b = make_scene(law)
    out = scene.render(d, b)
    assert out.folded.max() == 0
    rng = np.random.default_rng(0)
    for matrix, which in ((out.by_change, 0), (out.by_brightness, 1)):
        step = rng.normal(size=d.shape)
        eps = 1e-6
        plus, minus = ((d + e * step, b) if which == 0 else (d, b + e * step) for e in (eps, -eps))
        numeric = (
            scene.render(*plus, derivatives=False).energy - scene.render(*minus, derivatives=False).energy
        ) / (2 * eps)
        analytic = (matrix @ step.ravel()).reshape(numeric.shape)
        # facets whose end lies within eps of a block's edge have no two-sided derivative: none here
        np.testing.assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-5 * np.abs(numeric).max())


def test_derivatives_follow_finite_differences_where_ground_is_folded_and_hidden():
    scene, d, b = make_scene(rough=6.0, points=321)
    out = scene.render(d, b)
    assert out.folded.max() > 0.5
    step = np.random.default_rng(0).normal(size=d.shape)
    eps = 1e-5
    numeric = (
        scene.render(d + eps * step, b, derivatives=False).energy
        - scene.render(d - eps * step, b, derivatives=False).energy
    ) / (2 * eps)
    analytic = (out.by_change @ step.ravel()).reshape(numeric.shape)
    assert np.median(np.abs(analytic - numeric)) < 1e-3 * np.median(np.abs(numeric))
    error = np.linalg.norm(analytic - numeric) / np.linalg.norm(numeric)
    assert error < 0.3


def test_energy_is_conserved_and_constant_gamma_gives_the_width_across_the_beam():
    scene, d, _ = make_scene()
    rho = np.ones_like(scene.reflectivity)
    ground = scene.ground
    wide = Ground(**{**ground.__dict__, "offset": ground.offset + 40.0, "pixels": ground.pixels + 80})
    scene = Scene(wide, rho, 1.0, scene.block, scene.cross, scene.doubt)
    energy = scene.render(d, derivatives=False).energy
    fine = np.repeat(
        d, 4, axis=0
    )  # far from the block rows' middles the change is interpolated: take a constant
    flat = np.broadcast_to(d[:1], d.shape)
    energy = scene.render(flat, derivatives=False).energy
    k = np.arange(len(wide.x)) / wide.facets
    change = np.interp(k, np.arange(d.shape[1]), d[0])
    _, across = wide.slant_and_across(np.broadcast_to(change, wide.height.shape))
    assert fine.shape[0] == len(wide.height)
    np.testing.assert_allclose(energy.sum(), (across[:, -1] - across[:, 0]).sum(), rtol=1e-9)


def test_shadow_is_dark_and_layover_adds():
    points = 400
    x = np.arange(points) * 1.0
    s, c = np.sin(np.deg2rad(38)), np.cos(np.deg2rad(38))
    height = (60 * np.exp(-(((x - 150) / 15) ** 2)))[None].astype(np.float32)
    ground = Ground(
        height, np.array([20.0]), x, np.full(points, s), np.full(points, c), np.ones((1, points), bool),
        np.zeros(points), 8, 1.0,
        1.0, 290,
    )  # fmt: skip
    one = np.ones((1, points - 1), np.float32)
    energy = Scene(ground, one, 1.0, (1, 4), 0 * one, 0 * one).render(np.zeros((1, ground.knots))).energy[0]
    slant, across = ground.slant_and_across()
    top = np.maximum.accumulate(across[0])
    hidden = across[0] < top
    assert hidden.any()
    # the longest hidden run leaves its slant interval without energy
    shadow = slant[0][hidden]
    k = int((shadow.min() + 0.5 * (shadow.max() - shadow.min())) // 4)
    assert energy[k] == 0
    assert energy.max() > 2.5 * np.median(energy)
    np.testing.assert_allclose(energy.sum(), top[-1] - top[0], rtol=1e-9)


def test_profiles_from_a_radar_coded_dem_return_every_pixel_to_its_place():
    rng = np.random.default_rng(2)
    theta = np.linspace(36, 36.5, 300)
    height = np.cumsum(np.cumsum(rng.normal(size=(6, 300)), axis=1), axis=1)
    height *= 30 / np.abs(height).max()
    height[2, 100:120] = np.nan
    height += 200
    frame = LookFrame(theta, 2.0, 5.0, "right", 350.0, 0.0, "test", 150.0)
    ground, x = ground_from_radar(height, frame, knot_pixels=8)
    slant, _ = ground.slant_and_across()
    for j in range(6):
        good = np.isfinite(x[j])
        at = np.interp(x[j, good], ground.x, slant[j])
        np.testing.assert_allclose(
            at, (np.arange(300)[good] + 0.5) * 2.0, atol=0.2
        )  # metres; θ grows ten times faster than over a swath
    inside = (ground.x > x[2, 100 - 1] + 2) & (ground.x < x[2, 120] - 2)
    assert not ground.known[2, inside].any()
    assert ground.known[3, inside].all()
