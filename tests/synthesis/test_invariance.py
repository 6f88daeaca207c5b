"""The answer does not depend on how the equations are solved or where the fields are told."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from mosart.inversion.synthesis.epoch import FIRST_RANGE, measure
from mosart.inversion.synthesis.look import Look
from mosart.inversion.synthesis.newton import refine
from mosart.inversion.synthesis.nodes import MapNodes
from mosart.inversion.synthesis.part import part_reference, read_part
from mosart.inversion.synthesis.prior import Matern
from mosart.inversion.synthesis.problem import Problem
from mosart.inversion.synthesis.reference import read_epoch
from mosart.simulate import Radiometry, Sensor, Terrain, simulate
from mosart.simulate.relief import fractal, texture

SENSOR = Sensor("test", 38.0, 1.8, 4.0, 1.0, -22.0, 0.031, 349.0, "for the tests")
DATES = [dt.date(2019, 1, 1) + k * dt.timedelta(days=11) for k in range(6)]
BEFORE, AFTER = tuple(DATES[:3]), tuple(DATES[3:])


@pytest.fixture(scope="module")
def learned():
    terrain = Terrain.flat(950.0, 950.0, 1.5)
    r = np.hypot(terrain.x[None, :], terrain.y[:, None])
    height = 150 + 40 * np.exp(-((r / 200) ** 2)) - 15 * np.exp(-((r / 70) ** 2))
    height = height + fractal(terrain.heights.shape, 1.5, 2.0, 3.5, longest=300.0, seed=0)
    change = 9.0 * np.exp(-((r / 55) ** 4))
    simulation = simulate(
        terrain.plus(height),
        {d: change if d in AFTER else None for d in DATES},
        SENSOR,
        shape=(72, 200),
        reflectivity=texture(terrain.heights.shape, 1.5, seed=1),
        radiometry=Radiometry(gain=0.4),
        seed=0,
    )
    part = read_part(simulation.stack, slice(0, 72), slice(0, 200), simulation.frame)
    reference = part_reference(part, BEFORE, None)
    return reference, read_epoch([part.intensity[date] for date in AFTER], reference)


def test_direct_and_iterative_solvers_give_the_same_change(learned):
    scene = learned[0].scene
    spacing = (scene.block[0] * scene.ground.azimuth_spacing, scene.ground.spacing * scene.ground.facets)
    look = Look(scene, measure(*learned))
    found = []
    for kind in ("direct", "iterative"):
        problem = Problem([look], Matern(scene.knots, spacing, FIRST_RANGE * spacing[1]), seed=1, solver=kind)
        found.append(refine(problem, problem.start()))
    assert np.abs(found[0].change).max() > 4.0
    assert np.sqrt(np.mean((found[0].change - found[1].change) ** 2)) < 0.05
    assert np.median(found[0].std / found[1].std) == pytest.approx(1.0, abs=0.02)


def test_nodes_of_a_map_that_is_turned_against_the_rows_give_the_same_change(learned):
    scene = learned[0].scene
    ground = scene.ground
    spacing = (scene.block[0] * ground.azimuth_spacing, ground.spacing * ground.facets)
    measured = measure(*learned)
    azimuth, along = np.meshgrid(
        scene.nodes.row_centres * ground.azimuth_spacing, ground.knot_x, indexing="ij"
    )
    turned = MapNodes.covering(
        float(np.ptp(along)), float(np.ptp(azimuth)), spacing, np.deg2rad(12.0),
        (float(azimuth.min()), float(along.min())),
    )  # fmt: skip
    onto = turned.interpolation(azimuth, along)
    assert np.ptp(np.asarray(onto.sum(axis=1))) < 1e-9
    found, std = [], []
    for look, shape in ((Look(scene, measured), scene.knots), (Look(scene, measured, onto), turned.shape)):
        problem = Problem([look], Matern(shape, spacing, FIRST_RANGE * spacing[1]), seed=1)
        solution = refine(problem, problem.start())
        found.append(look.on_knots(solution.change))
        std.append(look.on_knots(solution.std))
    assert np.abs(found[0]).max() > 4.0
    relative = (found[0] - found[1]) / np.fmax(*std)
    assert np.sqrt(np.mean(relative**2)) < 1 / 3
