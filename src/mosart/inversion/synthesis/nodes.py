"""Where the unknown fields are told: nodes on the ground, and their way to the rows of a look."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

Float = NDArray[np.float64]


@dataclass(frozen=True)
class RowNodes:
    """Nodes along the rows of a look: its knots.

    Parameters
    ----------
    x : ndarray (node,)
        Ground range, metres.
    rows_block : int
        Pixel rows from one row of nodes to the next; the first lies in the middle of the first block.
    blocks : int
        Rows of nodes.
    """

    x: Float
    rows_block: int
    blocks: int

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes in azimuth and range."""
        return self.blocks, len(self.x)

    @property
    def row_centres(self) -> Float:
        """Rows of the nodes, in pixels from the image's edge."""
        return np.asarray((np.arange(self.blocks) + 0.5) * self.rows_block, dtype=np.float64)

    def resample(self, values: Float, to: RowNodes) -> Float:
        """Values of these nodes at those of another grid over the same rows, linearly.

        Parameters
        ----------
        values : ndarray (blocks, node)
            Any field.
        to : RowNodes
            The other grid.

        Returns
        -------
        ndarray
            Beyond the edge the edge's value.
        """
        along = np.array([np.interp(to.x, self.x, row) for row in values])
        return np.array([np.interp(to.row_centres, self.row_centres, column) for column in along.T]).T


@dataclass(frozen=True)
class MapNodes:
    """Nodes of a regular grid on the ground that any look may share.

    Parameters
    ----------
    shape : tuple of int
        Nodes in y and x.
    spacing : tuple of float
        Metres in y and x.
    origin : tuple of float
        Position (y, x) of the first node, metres.
    angle : float
        Radians by which the grid's x axis is turned from the look's ground range towards its azimuth.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    origin: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0

    @classmethod
    def covering(
        cls,
        width: float,
        length: float,
        spacing: tuple[float, float],
        angle: float,
        start: tuple[float, float],
    ) -> MapNodes:
        """Nodes that cover a look's ground.

        Parameters
        ----------
        width, length : float
            Of the ground, along range and azimuth, metres.
        spacing : tuple of float
            Metres in y and x.
        angle : float
            Radians.
        start : tuple of float
            Azimuth and ground range of the ground's corner, metres.

        Returns
        -------
        MapNodes
            The smallest such grid.
        """
        a = start[0] + np.array([0, 0, length, length])
        g = start[1] + np.array([0, width, 0, width])
        x = g * np.cos(angle) + a * np.sin(angle)
        y = -g * np.sin(angle) + a * np.cos(angle)
        shape = (
            int(np.ceil((y.max() - y.min()) / spacing[0])) + 2,
            int(np.ceil((x.max() - x.min()) / spacing[1])) + 2,
        )
        return cls(
            shape, spacing, (float(y.min()) - 0.5 * spacing[0], float(x.min()) - 0.5 * spacing[1]), angle
        )

    def interpolation(self, azimuth: Float, ground_range: Float) -> sp.csr_array:
        """Bilinear interpolation from these nodes to positions of a look.

        Parameters
        ----------
        azimuth, ground_range : ndarray
            Positions in the look's own axes, metres, any shape.

        Returns
        -------
        scipy.sparse.csr_array
            (positions, nodes); positions outside take the edge's value.
        """
        a, g = np.ravel(azimuth), np.ravel(ground_range)
        x = (g * np.cos(self.angle) + a * np.sin(self.angle) - self.origin[1]) / self.spacing[1]
        y = (-g * np.sin(self.angle) + a * np.cos(self.angle) - self.origin[0]) / self.spacing[0]
        ny, nx = self.shape
        x, y = np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1)
        i, j = np.minimum(x.astype(int), max(nx - 2, 0)), np.minimum(y.astype(int), max(ny - 2, 0))
        u, v = x - i, y - j
        i1, j1 = np.minimum(i + 1, nx - 1), np.minimum(j + 1, ny - 1)
        weight = np.concatenate([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])
        column = np.concatenate([j * nx + i, j * nx + i1, j1 * nx + i, j1 * nx + i1])
        row = np.tile(np.arange(a.size), 4)
        return sp.csr_array((weight, (row, column)), shape=(a.size, ny * nx))

    def coarsened(self, by: int) -> tuple[MapNodes, sp.csr_array]:
        """Keep every `by`-th node.

        Parameters
        ----------
        by : int
            Spacings that become one, in y and x.

        Returns
        -------
        nodes : MapNodes
            The coarse ones; the last may lie beyond these.
        interpolation : scipy.sparse.csr_array
            Bilinear, (nodes, coarse nodes).
        """
        shape = tuple(int(np.ceil((n - 1) / by)) + 1 for n in self.shape)
        coarse = replace(
            self, shape=(shape[0], shape[1]), spacing=(by * self.spacing[0], by * self.spacing[1])
        )
        y, x = np.meshgrid(
            self.origin[0] + np.arange(self.shape[0]) * self.spacing[0],
            self.origin[1] + np.arange(self.shape[1]) * self.spacing[1],
            indexing="ij",
        )
        return coarse, replace(coarse, angle=0.0).interpolation(y, x)


def widened(nodes: NDArray[np.bool_], reach: tuple[int, int]) -> NDArray[np.bool_]:
    """Take in all nodes that are so near in both directions.

    Parameters
    ----------
    nodes : ndarray (y, x) bool
        Of any field.
    reach : tuple of int
        Nodes in y and x.

    Returns
    -------
    ndarray (y, x) bool
    """
    for axis, steps in enumerate(reach):
        size = [1, 1]
        size[axis] = 2 * steps + 1
        nodes = np.asarray(binary_dilation(nodes, np.ones(size, bool)))
    return nodes
