"""Scenes whose truth is known in closed form, in the look frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from mosart.geometry.frame import LookFrame
from mosart.stack import Stack

Profile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scene:
    stack: Stack
    frame: LookFrame
    #: Change at the fixed ground position of every pixel, and at the fixed slant-range pixel; (range,).
    truth: np.ndarray
    slant: np.ndarray


def make_stack(amplitude: np.ndarray, height: np.ndarray, mask: np.ndarray | None = None) -> Stack:
    """A stack in memory, its dates a month apart from 2020-01-01."""
    months = np.arange("2020-01", "2021-01", dtype="datetime64[M]")[: amplitude.shape[0]]
    grid = ("date", "azimuth", "range")
    data = xr.Dataset(
        {
            "amplitude": (grid, amplitude.astype(np.float32)),
            "height": (grid[1:], height.astype(np.float64)),
            "mask": (grid, np.zeros(amplitude.shape, np.uint8) if mask is None else mask),
        },
        coords={
            "date": months.astype("datetime64[ns]"),
            "azimuth": np.arange(amplitude.shape[1]),
            "range": np.arange(amplitude.shape[2]),
        },
    )
    return Stack(data)


def make_scene(
    rows: int = 12, columns: int = 500, rise: float = 20.0, gains: tuple[float, ...] = (60.0, 63.0)
) -> Scene:
    """Constant gamma nought, m = 1: a hill that grows by `rise` on all dates but the first.

    Heights, positions and intensities come from the surface on a fine ground grid: r = x sin - h cos,
    p = x cos + h sin, and the intensity of a bin is the p it holds.
    """
    theta, spacing = np.radians(38.0), 1.0
    x = np.arange(0.0, 1.9 * columns * spacing / np.sin(theta), 0.02)
    u = x - 0.45 * x[-1]
    base = 60.0 * np.exp(-((u / 185.0) ** 2)) + 8.0 * np.sin(x / 37.0)
    bump = rise * np.cos(0.5 * np.pi * np.clip((u + 77.0) / 154.0, -1.0, 1.0)) ** 2
    edges = np.quantile(x * np.sin(theta) - base * np.cos(theta), 0.1) + spacing * np.arange(columns + 1)
    centres = 0.5 * (edges[1:] + edges[:-1])
    surfaces = []
    for height in (base, base + bump):
        r = x * np.sin(theta) - height * np.cos(theta)
        assert np.all(np.diff(r) > 0.0), "layover"
        p = np.interp(edges, r, x * np.cos(theta) + height * np.sin(theta))
        surfaces.append((np.diff(p), np.interp(centres, r, height), np.interp(centres, r, x)))
    amplitude = [gain * np.sqrt(surfaces[min(k, 1)][0] / spacing) for k, gain in enumerate(gains)]
    frame = LookFrame(np.full(columns, 38.0), spacing, 2.0, "right", 10.0, 0.0, "given")
    stack = make_stack(
        np.repeat(np.stack(amplitude)[:, None], rows, axis=1), np.tile(surfaces[0][1], (rows, 1))
    )
    truth = np.interp(surfaces[0][2], x, bump)
    return Scene(stack, frame, truth, surfaces[1][1] - surfaces[0][1])


@pytest.fixture(scope="session")
def scene() -> Callable[..., Scene]:
    return make_scene


@pytest.fixture(scope="session")
def stack_of() -> Callable[..., Stack]:
    return make_stack
