"""Prior of the reflectivity of new rock: equal variance in every octave of scale, as surfaces have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.sparse as sp
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Longest scale of the reflectivity of new rock, metres: beyond it the brightness has one level.
LONGEST = 400.0


def differences(shape: tuple[int, int]) -> tuple[sp.csr_array, sp.csr_array]:
    """Differences of neighbours on a grid of nodes, along x and along y: (pairs, nodes)."""

    def along(n: int) -> sp.csr_array:
        return sp.csr_array(sp.eye_array(n - 1, n, k=1) - sp.eye_array(n - 1, n))

    ny, nx = shape
    pairs = sp.kron(sp.eye_array(ny), along(nx)), sp.kron(along(ny), sp.eye_array(nx))
    return sp.csr_array(pairs[0]), sp.csr_array(pairs[1])


@dataclass(frozen=True)
class Fractal:
    """Field of the power ``1 / k²`` a mode down to a longest scale, on a regular grid of nodes.

    Parameters
    ----------
    shape : tuple of int
        Nodes in y and x.
    spacing : tuple of float
        Metres in y and x.

    Notes
    -----
    Neighbouring nodes of a square grid differ by half of its power in variance, whatever their spacing.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]

    @cached_property
    def factor(self) -> sp.csr_array:
        """``F``: the precision is ``Fᵀ F``; differences of neighbours, then the nodes themselves."""
        own = sp.eye_array(self.shape[0] * self.shape[1]) * (self.spacing[1] / LONGEST)
        return sp.csr_array(sp.vstack([*differences(self.shape), own]))

    @cached_property
    def precision(self) -> sp.coo_array:
        """``FᵀF``."""
        return sp.coo_array(self.factor.T @ self.factor)

    @cached_property
    def _roots(self) -> Float:
        ny, nx = self.shape
        wave_y = 2 - 2 * np.cos(np.pi * np.arange(ny) / ny)
        wave_x = 2 - 2 * np.cos(np.pi * np.arange(nx) / nx)
        return np.asarray(np.sqrt(wave_y[:, None] + wave_x + (self.spacing[1] / LONGEST) ** 2))

    def _scaled(self, columns: Float, by: Float) -> Float:
        cube = columns.reshape(*self.shape, -1)
        waves = scipy.fft.dctn(cube, norm="ortho", axes=(0, 1)) * by[..., None]
        return np.asarray(scipy.fft.idctn(waves, norm="ortho", axes=(0, 1)).reshape(columns.shape))

    def colour_columns(self, white: Float) -> Float:
        """Symmetric root of the covariance times every column, (nodes, number)."""
        return self._scaled(white, 1 / self._roots)

    def whiten_columns(self, fields: Float) -> Float:
        """Symmetric root of the precision times every column, (nodes, number)."""
        return self._scaled(fields, self._roots)

    @property
    def log_determinant(self) -> float:
        """Of the precision."""
        return float(2 * np.log(self._roots).sum())
