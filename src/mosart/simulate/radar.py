"""From ground to slant range: facets, light, layover and shadow.

Flat Earth, parallel rays: with u the ground range, h the height and θ the incidence angle,
``r = u·sin θ − h·cos θ`` says when an echo arrives and ``p = u·cos θ + h·sin θ`` what the beam lights up.
Each row is one line across the ground, cut into facets finer than a range bin; heights are sampled from
the ground grid by cubic convolution (Keys, 1981, a = −1/2: local, exact on quadratic surfaces),
reflectivity bilinearly at a facet's middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled
from mosart.errors import InputError

from .terrain import Terrain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Swath:
    """Where the rows and range bins of an image lie over a terrain.

    Parameters
    ----------
    incidence_angle : float
        Degrees from the vertical.
    range_spacing, azimuth_spacing : float
        Metres: slant range of a bin, ground distance of rows.
    heading : float
        Flight direction, degrees clockwise from north; rows follow each other along it.
    look_direction : str
        ``"right"`` or ``"left"`` of the flight.
    first_range : float
        Slant range, metres, of the near edge of the first bin; 0 is the terrain's anchor at height 0.
    first_azimuth : float
        Metres along the flight from the anchor to the first row.
    rows, columns : int
        Size of the image.
    facet : float
        Length of a facet on the ground, metres.

    Raises
    ------
    InputError
        If the look direction is none, or the image has no pixel.
    """

    incidence_angle: float
    range_spacing: float
    azimuth_spacing: float
    heading: float
    look_direction: str
    first_range: float
    first_azimuth: float
    rows: int
    columns: int
    facet: float

    def __post_init__(self) -> None:
        if self.look_direction not in ("right", "left"):
            raise InputError("look_direction", expected="right or left", got=str(self.look_direction))
        if self.rows < 1 or self.columns < 1:
            raise InputError(
                "shape of the image",
                expected="at least one row and one pixel",
                got=f"{self.rows} × {self.columns}",
            )

    @property
    def flight(self) -> tuple[float, float]:
        """Unit vector of the flight, (east, north)."""
        return math.sin(math.radians(self.heading)), math.cos(math.radians(self.heading))

    @property
    def look(self) -> tuple[float, float]:
        """Unit vector of growing ground range, (east, north)."""
        east, north = self.flight
        return (north, -east) if self.look_direction == "right" else (-north, east)

    @property
    def row_positions(self) -> Array:
        """Metres along the flight of each row."""
        return np.asarray(self.first_azimuth + np.arange(self.rows) * self.azimuth_spacing, dtype=np.float64)

    def to_ground(self, ground_range: Array, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Metres east and north of the anchor of ground ranges (rows, …)."""
        v = self.row_positions[rows, None]
        (lx, ly), (fx, fy) = self.look, self.flight
        return ground_range * lx + v * fx, ground_range * ly + v * fy


class Lattice(NamedTuple):
    """What the kernels need of a swath and a terrain, in numbers."""

    sine: float
    cosine: float
    look_x: float
    look_y: float
    flight_x: float
    flight_y: float
    grid_x: float  # position of the ground grid's first cell
    grid_y: float
    grid_spacing: float
    start: float  # ground range of the first facet's near edge
    facet: float
    facets: int
    first_range: float
    range_spacing: float
    bins: int


def lattice(swath: Swath, terrain: Terrain, lowest: float, highest: float) -> Lattice:
    """Facets that can send an echo into the swath, or throw a shadow on one that does.

    Parameters
    ----------
    swath : Swath
        Rows and bins.
    terrain : Terrain
        The ground's grid.
    lowest, highest : float
        Bounds of all heights, metres.

    Returns
    -------
    Lattice
        Numbers for the kernels.
    """
    theta = math.radians(swath.incidence_angle)
    s, c = math.sin(theta), math.cos(theta)
    # Cubic convolution overshoots a step by 7 % of it in each direction.
    slack = 0.15 * (highest - lowest) + 1e-6
    lowest, highest = lowest - slack, highest + slack
    far_edge = swath.first_range + swath.columns * swath.range_spacing
    # What lies h above the lowest ground reaches h·tan θ with its shadow.
    start = (swath.first_range + lowest * c) / s - (highest - lowest) * s / c - 2 * swath.facet
    stop = (far_edge + highest * c) / s + 2 * swath.facet
    start = math.floor(start / swath.facet) * swath.facet
    return Lattice(
        s, c, *swath.look, *swath.flight, float(terrain.x[0]), float(terrain.y[0]), terrain.spacing,
        start, swath.facet, math.ceil((stop - start) / swath.facet),
        swath.first_range, swath.range_spacing, swath.columns,
    )  # fmt: skip


@compiled
def _keys(t: float) -> tuple[float, float, float, float]:
    """Weights of cubic convolution at the fraction t between the second and third of four neighbours."""
    t2 = t * t
    t3 = t2 * t
    return (
        -0.5 * t3 + t2 - 0.5 * t,
        1.5 * t3 - 2.5 * t2 + 1.0,
        -1.5 * t3 + 2.0 * t2 + 0.5 * t,
        0.5 * t3 - 0.5 * t2,
    )


@compiled
def _cubic(grid: Array, x: float, y: float) -> float:
    """Cubic convolution at fractional column x and row y; the nearest edge goes on outside."""
    ny, nx = grid.shape
    x = min(max(x, 0.0), nx - 1.0)
    y = min(max(y, 0.0), ny - 1.0)
    i = int(x)
    j = int(y)
    wx = _keys(x - i)
    wy = _keys(y - j)
    total: float = 0.0
    for b in range(4):
        row = min(max(j - 1 + b, 0), ny - 1)
        line = 0.0
        for a in range(4):
            line += wx[a] * grid[row, min(max(i - 1 + a, 0), nx - 1)]
        total += wy[b] * line
    return total


@compiled
def _linear(grid: Array, x: float, y: float) -> float:
    """Bilinear interpolation at fractional column x and row y; the nearest edge goes on outside."""
    ny, nx = grid.shape
    x = min(max(x, 0.0), nx - 1.0)
    y = min(max(y, 0.0), ny - 1.0)
    i = min(int(x), max(nx - 2, 0))
    j = min(int(y), max(ny - 2, 0))
    fx = x - i
    fy = y - j
    i1 = min(i + 1, nx - 1)
    j1 = min(j + 1, ny - 1)
    low = grid[j, i] + fx * (grid[j, i1] - grid[j, i])
    high = grid[j1, i] + fx * (grid[j1, i1] - grid[j1, i])
    return float(low + fy * (high - low))


@compiled
def _profile(grid: Array, g: Lattice, v: float, out: Array) -> None:
    """Heights at the facets' ends along the row at v."""
    for i in range(g.facets + 1):
        u = g.start + i * g.facet
        x = (u * g.look_x + v * g.flight_x - g.grid_x) / g.grid_spacing
        y = (u * g.look_y + v * g.flight_y - g.grid_y) / g.grid_spacing
        out[i] = _cubic(grid, x, y)


@compiled
def sample(grid: Array, g: Lattice, rows: Array, ground_range: Array, out: Array) -> None:
    """Values of a ground grid (cubic) at ground ranges (rows, columns) of rows at the positions ``rows``."""
    for j in range(ground_range.shape[0]):
        for k in range(ground_range.shape[1]):
            u = ground_range[j, k]
            x = (u * g.look_x + rows[j] * g.flight_x - g.grid_x) / g.grid_spacing
            y = (u * g.look_y + rows[j] * g.flight_y - g.grid_y) / g.grid_spacing
            out[j, k] = _cubic(grid, x, y)


@compiled
def deposit(  # noqa: PLR0917 - a kernel
    heights: Array, reflectivity: Array, g: Lattice, rows: Array, law: float, out: Array
) -> None:
    """Add the echo of every visible facet to the bins that its slant interval covers.

    ``E = ρ·Δp^m·ds^(1−m)`` with ``ds² = Δp² + Δr² + (∂h/∂v·Δu)²``: per unit of surface an echo ∝ cosᵐ of
    the local incidence angle. A partly lit facet gives its lit part; layover adds; shadow gives nothing.
    ``out`` (rows, bins) receives energy over bin length, for m = 1 and ρ = γ the intensity γ·dp/dr.
    """
    profile = np.empty(g.facets + 1)
    for j in range(rows.size):
        v = rows[j]
        _profile(heights, g, v, profile)
        lit_to = g.start * g.cosine + profile[0] * g.sine
        for i in range(g.facets):
            near = g.start + i * g.facet
            far = g.start + (i + 1) * g.facet  # the next near edge to the last bit: no crack
            p0 = near * g.cosine + profile[i] * g.sine
            p1 = far * g.cosine + profile[i + 1] * g.sine
            if p1 <= lit_to:
                continue
            hidden = max(0.0, (lit_to - p0) / (p1 - p0))
            lit_to = p1
            r0 = near * g.sine - profile[i] * g.cosine
            r1 = far * g.sine - profile[i + 1] * g.cosine
            dp = p1 - p0
            dr = r1 - r0
            a = (min(r0 + hidden * dr, r1) - g.first_range) / g.range_spacing
            b = (max(r0 + hidden * dr, r1) - g.first_range) / g.range_spacing
            if b < 0.0 or a >= g.bins:
                continue
            u = near + 0.5 * g.facet
            x = (u * g.look_x + v * g.flight_x - g.grid_x) / g.grid_spacing
            y = (u * g.look_y + v * g.flight_y - g.grid_y) / g.grid_spacing
            energy = _linear(reflectivity, x, y) * (1.0 - hidden) / g.range_spacing
            if law == 1.0:
                energy *= dp
            else:
                # Central difference over one cell along the flight: exact on quadratic surfaces.
                ex = 0.5 * g.flight_x
                ey = 0.5 * g.flight_y
                slope = (_cubic(heights, x + ex, y + ey) - _cubic(heights, x - ex, y - ey)) / g.grid_spacing
                ds = math.sqrt(dp * dp + dr * dr + (slope * g.facet) ** 2)
                energy *= ds * (dp / ds) ** law
            k0 = math.floor(a)
            k1 = math.floor(b)
            if k0 == k1:
                out[j, k0] += energy
                continue
            for k in range(max(k0, 0), min(k1, g.bins - 1) + 1):
                out[j, k] += energy * (min(b, k + 1.0) - max(a, float(k))) / (b - a)


@compiled
def code(heights: Array, g: Lattice, rows: Array, ground_range: Array, height: Array) -> None:
    """Ground range and height where the surface meets the middle of each bin.

    The first lit intersection from the near side; where none is lit, the first. ``ground_range`` and
    ``height`` (rows, bins) are written.
    """
    profile = np.empty(g.facets + 1)
    lit = np.empty(g.bins, dtype=np.bool_)
    for j in range(rows.size):
        _profile(heights, g, rows[j], profile)
        lit[:] = False
        ground_range[j] = np.nan
        lit_to = -np.inf
        for i in range(g.facets):
            near = g.start + i * g.facet
            far = g.start + (i + 1) * g.facet  # the next near edge to the last bit: no crack
            p0 = near * g.cosine + profile[i] * g.sine
            p1 = far * g.cosine + profile[i + 1] * g.sine
            a = (near * g.sine - profile[i] * g.cosine - g.first_range) / g.range_spacing - 0.5
            b = (far * g.sine - profile[i + 1] * g.cosine - g.first_range) / g.range_spacing - 0.5
            for k in range(max(math.ceil(min(a, b)), 0), min(math.floor(max(a, b)), g.bins - 1) + 1):
                t = (k - a) / (b - a) if b != a else 0.0
                here = p0 + t * (p1 - p0) >= lit_to and p1 > p0
                if np.isnan(ground_range[j, k]) or (here and not lit[k]):
                    ground_range[j, k] = near + t * g.facet
                    height[j, k] = profile[i] + t * (profile[i + 1] - profile[i])
                    lit[k] = here
            lit_to = max(lit_to, p0, p1)


@compiled
def hide(heights: Array, g: Lattice, rows: Array, ground_range: Array, out: NDArray[np.bool_]) -> None:
    """Mark ground that the surface hides: in shadow, in layover, or outside the swath.

    A point at the given ground range (rows, columns) is in layover where another lit stretch of its row,
    folded over it, comes within half a bin of its slant range. ``out`` is only ever set, never cleared.
    """
    n = g.facets + 1
    profile = np.empty(n)
    lit_to = np.empty(n)  # the largest p up to a node
    near_fold = np.empty(n)  # the largest r of a folded lit node up to here
    far_fold = np.empty(n)  # the smallest r of a folded lit node from here on
    last = g.first_range + g.bins * g.range_spacing
    for j in range(rows.size):
        _profile(heights, g, rows[j], profile)
        top = -np.inf
        for i in range(n):
            top = max(top, (g.start + i * g.facet) * g.cosine + profile[i] * g.sine)
            lit_to[i] = top
        forward = -np.inf
        for i in range(n):
            u = g.start + i * g.facet
            r = u * g.sine - profile[i] * g.cosine
            far_fold[i] = np.inf
            if u * g.cosine + profile[i] * g.sine >= lit_to[i]:
                if r < forward:
                    far_fold[i] = r
                forward = max(forward, r)
        backward = np.inf
        for i in range(n - 1, -1, -1):
            u = g.start + i * g.facet
            r = u * g.sine - profile[i] * g.cosine
            near_fold[i] = -np.inf
            if u * g.cosine + profile[i] * g.sine >= lit_to[i]:
                if r > backward:
                    near_fold[i] = r
                backward = min(backward, r)
            if i < n - 1:
                far_fold[i] = min(far_fold[i], far_fold[i + 1])
        for i in range(1, n):
            near_fold[i] = max(near_fold[i], near_fold[i - 1])
        for k in range(ground_range.shape[1]):
            u = ground_range[j, k]
            f = (u - g.start) / g.facet
            i = min(max(int(f), 0), n - 2)
            h = profile[i] + (f - i) * (profile[i + 1] - profile[i])
            r = u * g.sine - h * g.cosine
            p = u * g.cosine + h * g.sine
            half = 0.5 * g.range_spacing
            if (
                p < lit_to[i] - 1e-9
                or r < near_fold[i] + half
                or r > far_fold[i + 1] - half
                or r < g.first_range
                or r >= last
            ):
                out[j, k] = True
