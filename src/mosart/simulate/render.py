"""Terrains through the kernels: intensity, coded DEM, what is hidden."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError

from .radar import Array, Lattice, Swath, code, deposit, hide, lattice, sample
from .terrain import Field, Terrain

ALL = slice(None)


def render(
    terrain: Terrain, swath: Swath, reflectivity: Field = 1.0, *, law: float = 1.0, rows: slice = slice(None)
) -> Array:
    """Render the noise-free intensity of a terrain.

    Parameters
    ----------
    terrain : Terrain
        Surface to be seen.
    swath : Swath
        Where the image lies.
    reflectivity : float, array or callable
        ρ on the terrain's grid.
    law : float
        m of the scattering law.
    rows : slice
        Rows to render.

    Returns
    -------
    ndarray
        Beta nought, (rows, range) float64.
    """
    rho = (
        np.full((1, 1), float(reflectivity))
        if isinstance(reflectivity, int | float)
        else terrain.evaluate(reflectivity, "reflectivity")
    )
    if not (rho >= 0).all():
        raise InputError(
            "reflectivity", expected="no negative numbers: linear power, not dB", got=f"{rho.min()}"
        )
    positions = swath.row_positions[rows]
    out = np.zeros((positions.size, swath.columns))
    deposit(terrain.heights, rho, _lattice(terrain, swath), positions, float(law), out)
    return out


def code_dem(dem: Terrain, swath: Swath) -> tuple[Array, Array]:
    """Find ground range and height of every pixel, from a DEM.

    Parameters
    ----------
    dem : Terrain
        The DEM.
    swath : Swath
        Where the image lies.

    Returns
    -------
    ground_range, height : ndarray
        (azimuth, range) metres: the nearest lit intersection of the surface with the middle of the bin,
        the nearest at all where none is lit.
    """
    ground_range = np.empty((swath.rows, swath.columns))
    height = np.empty_like(ground_range)
    code(dem.heights, _lattice(dem, swath), swath.row_positions, ground_range, height)
    return ground_range, height


def hidden(terrain: Terrain, swath: Swath, ground_range: Array, rows: slice = ALL) -> NDArray[np.bool_]:
    """Tell which ground a surface hides from the radar.

    Parameters
    ----------
    terrain : Terrain
        The surface.
    swath : Swath
        Where the image lies.
    ground_range : ndarray
        (rows, columns) metres: the points.
    rows : slice
        Rows that they lie on.

    Returns
    -------
    ndarray of bool
        In layover or shadow, or outside the swath's bins.
    """
    out = np.zeros(ground_range.shape, dtype=np.bool_)
    hide(terrain.heights, _lattice(terrain, swath), swath.row_positions[rows], ground_range, out)
    return out


def at_ground(terrain: Terrain, field: Array, swath: Swath, ground_range: Array, rows: slice = ALL) -> Array:
    """Read a field on the terrain's grid at ground ranges, as the radar reads its heights.

    Parameters
    ----------
    terrain : Terrain
        Gives the grid.
    field : ndarray
        (y, x), on the grid.
    swath : Swath
        Where the image lies.
    ground_range : ndarray
        (rows, columns) metres: the points.
    rows : slice
        Rows that they lie on.

    Returns
    -------
    ndarray
        (rows, columns) float64.
    """
    out = np.empty(ground_range.shape)
    sample(field, _lattice(terrain, swath), swath.row_positions[rows], ground_range, out)
    return out


def _lattice(terrain: Terrain, swath: Swath) -> Lattice:
    return lattice(swath, terrain, float(terrain.heights.min()), float(terrain.heights.max()))


def rows_touched(terrain: Terrain, swath: Swath, touched: NDArray[np.bool_]) -> slice:
    """Find the rows of the image that ground which changes can reach.

    Parameters
    ----------
    terrain : Terrain
        Gives the grid.
    swath : Swath
        Where the image lies.
    touched : ndarray of bool
        (y, x) cells whose height or reflectivity differs.

    Returns
    -------
    slice
        Of rows; empty where there are none.
    """
    if not touched.any():
        return slice(0, 0)
    # The terrain's edge goes on outside: a change there may reach any row.
    if touched[0].any() or touched[-1].any() or touched[:, 0].any() or touched[:, -1].any():
        return slice(0, swath.rows)
    j, i = np.nonzero(touched.any(axis=1))[0], np.nonzero(touched.any(axis=0))[0]
    reach = 3 * terrain.spacing
    x = np.array([terrain.x[i[0]] - reach, terrain.x[i[-1]] + reach])
    y = np.array([terrain.y[j[0]] - reach, terrain.y[j[-1]] + reach])
    v = x[:, None] * swath.flight[0] + y[None, :] * swath.flight[1]
    first = math.floor((v.min() - swath.first_azimuth) / swath.azimuth_spacing)
    last = math.ceil((v.max() - swath.first_azimuth) / swath.azimuth_spacing)
    return slice(min(max(first, 0), swath.rows), min(max(last + 1, 0), swath.rows))
