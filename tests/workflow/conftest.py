"""Small simulated stacks for the workflow's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosart.io.flat import write_flat
from mosart.simulate import Simulation, collapse

Scene = tuple[Path, Simulation]


@pytest.fixture(scope="session", params=["right", "left"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A small crater as the original's flat HDF5, without metadata, in either look direction."""
    simulation = collapse(
        shape=(110, 260), look_direction=request.param, heading=-20.0, before=2, after=2, metadata=False
    )
    path = tmp_path_factory.mktemp(f"scene_{request.param}") / "projections.h5"
    write_flat(simulation.stack, path)
    return path, simulation


@pytest.fixture(scope="session")
def right_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The same in one look direction, smaller."""
    simulation = collapse(shape=(60, 160), before=2, after=2, metadata=False)
    path = tmp_path_factory.mktemp("scene") / "projections.h5"
    write_flat(simulation.stack, path)
    return path, simulation
