"""Small files for the readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

ROWS, COLUMNS = 12, 20


def lattice(rows: int, columns: int, height: NDArray[np.float64]) -> tuple[Any, Any]:
    """Longitude and latitude of a rotated swath whose high points lie nearer to the radar."""
    y, x = np.mgrid[:rows, :columns].astype(float)
    ground = 20 * x + height * 1.2
    east = ground * np.cos(0.2) - 15 * y * np.sin(0.2)
    north = ground * np.sin(0.2) + 15 * y * np.cos(0.2)
    return -163.9 + east / 64000, 54.7 + north / 111000


@pytest.fixture
def content() -> dict[str, Any]:
    """What a flat file holds: dem, lon, lat, two images."""
    rng = np.random.default_rng(1)
    height = rng.uniform(0, 50, (ROWS, COLUMNS))
    lon, lat = lattice(ROWS, COLUMNS, height)
    images = {d: rng.uniform(0.1, 2, (ROWS, COLUMNS)).astype("f4") for d in ("20190115", "20190206")}
    return {"dem": height, "lon": lon, "lat": lat, **images}


@pytest.fixture
def flat_file(tmp_path: Path, content: dict[str, Any]) -> Callable[..., Path]:
    """Write a flat file: the content with changes; None takes a member away."""

    def write(changes: dict[str, Any] | None = None, name: str = "stack.h5", **layout: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, value in (content | (changes or {})).items():
                if value is None:
                    continue
                plain = np.ndim(value) == 2 and np.shape(value) == (ROWS, COLUMNS)
                file.create_dataset(key, data=value, **(layout if plain else {}))
        return path

    return write
