"""Prior of a field on the nodes: smooth, and as large as its envelope allows.

A Matérn field with smoothness 1 solves ``(κ² - ∇²) u = white noise`` (Lindgren, Rue, Lindström 2011,
doi:10.1111/j.1467-9868.2011.00777.x); times an envelope, its standard deviation at each place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Float = NDArray[np.float64]

#: ``κ · range`` of a Matérn field of smoothness 1: the correlation is about 0.14 at the range.
RANGE_FACTOR = 2.83


def _second_difference(n: int, spacing: float) -> sp.csr_array:
    """``-∂²`` with reflecting ends."""
    if n == 1:
        return sp.csr_array((1, 1))
    step = sp.csr_array((sp.eye_array(n - 1, n, k=1) - sp.eye_array(n - 1, n)) / spacing)
    return sp.csr_array(step.T @ step)


@dataclass(frozen=True)
class Matern:
    """Unit-variance Matérn field of smoothness 1 on a regular grid of nodes.

    Parameters
    ----------
    shape : tuple of int
        Nodes in y and x.
    spacing : tuple of float
        Metres in y and x.
    range : float
        Correlation range, metres.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    range: float

    @property
    def _kappa2(self) -> float:
        return float((RANGE_FACTOR / self.range) ** 2)

    @property
    def _scale(self) -> float:
        # variance of the field on nodes: 1 / (4 π κ²) per unit white noise; a line has 1 / (4 κ³)
        dy, dx = self.spacing
        if 1 in self.shape:
            step = dx if self.shape[0] == 1 else dy
            return float(np.sqrt(step / (4 * self._kappa2**1.5)))
        return float(np.sqrt(dy * dx / (4 * np.pi * self._kappa2)))

    @cached_property
    def factor(self) -> sp.csr_array:
        """``K``: the field's precision is ``Kᵀ K`` (nodes in C order)."""
        ny, nx = self.shape
        laplacian = sp.kron(_second_difference(ny, self.spacing[0]), sp.eye_array(nx)) + sp.kron(
            sp.eye_array(ny), _second_difference(nx, self.spacing[1])
        )
        return sp.csr_array(self._scale * (self._kappa2 * sp.eye_array(ny * nx) + laplacian))

    @cached_property
    def precision(self) -> sp.coo_array:
        """``KᵀK``."""
        return sp.coo_array(self.factor.T @ self.factor)

    @cached_property
    def eigenvalues(self) -> Float:
        """Eigenvalues of ``K`` in the basis of the discrete cosine transform, (y, x)."""
        ny, nx = self.shape
        wave_y = (2 - 2 * np.cos(np.pi * np.arange(ny) / ny)) / self.spacing[0] ** 2
        wave_x = (2 - 2 * np.cos(np.pi * np.arange(nx) / nx)) / self.spacing[1] ** 2
        return np.asarray(self._scale * (self._kappa2 + wave_y[:, None] + wave_x[None]))

    def colour(self, white: Float) -> Float:
        """``K⁻¹`` times white noise of the field's shape; symmetric."""
        return np.asarray(
            scipy.fft.idctn(scipy.fft.dctn(white, norm="ortho") / self.eigenvalues, norm="ortho")
        )

    def colour_columns(self, white: Float) -> Float:
        """``K⁻¹`` times every column, (nodes, number)."""
        cube = white.reshape(*self.shape, -1)
        waves = scipy.fft.dctn(cube, norm="ortho", axes=(0, 1)) / self.eigenvalues[..., None]
        return np.asarray(
            scipy.fft.idctn(waves, norm="ortho", axes=(0, 1), overwrite_x=True).reshape(white.shape)
        )

    @property
    def log_determinant(self) -> float:
        """Of the precision ``Kᵀ K``."""
        return float(2 * np.log(self.eigenvalues).sum())


@dataclass(frozen=True)
class Prior:
    """A Matérn field times its envelope.

    Parameters
    ----------
    field : Matern
        The correlation.
    envelope : ndarray (y, x)
        Standard deviation at every node, in the field's unit.
    """

    field: Matern
    envelope: Float

    @property
    def factor(self) -> sp.csr_array:
        """``K A⁻¹``: the precision is its transpose times itself."""
        return sp.csr_array(self.field.factor @ sp.diags_array(1 / self.envelope.ravel()))

    @property
    def log_determinant(self) -> float:
        """Of the precision."""
        return self.field.log_determinant - 2 * float(np.log(self.envelope).sum())


#: Share of the correlation range over which the envelope is learned: shorter follows the field's own
#: zero crossings, longer lets a change spill its freedom over the still ground beside it.
ENVELOPE_SHARE = 0.35


def learn_envelope(
    mean: Float,
    variance: Float,
    envelope: Float,
    field: Matern,
    *,
    floor: float,
    ceiling: float,
    least: float,
) -> Float:
    """One step of expectation-maximisation on the envelope (sparse Bayesian learning).

    Parameters
    ----------
    mean, variance : ndarray (y, x)
        Of the posterior under the present envelope.
    envelope : ndarray (y, x)
        The present envelope.
    field : Matern
        The correlation.
    floor, ceiling : float
        Bounds of the envelope.
    least : float
        Standard deviation that a place without evidence shrinks to.

    Returns
    -------
    ndarray (y, x)
        The next envelope.

    Notes
    -----
    Geometric mean of the EM update ``E[d²]`` (Tipping 2001) and of MacKay's fixed point
    ``d² / (1 - var / a²)``: the first is slow where the data say nothing, the second unstable.
    """
    sigma = (
        ENVELOPE_SHARE * field.range / field.spacing[0],
        ENVELOPE_SHARE * field.range / field.spacing[1],
    )
    square = gaussian_filter(mean**2, sigma)
    told = np.clip(1 - gaussian_filter(variance / envelope**2, 1.0), 0.0, 1.0)
    prior_share = 0.05  # of one well-told node: how much evidence a place needs to leave `least`
    mackay = (square + prior_share * least**2) / (gaussian_filter(told, sigma) + prior_share)
    em = square + gaussian_filter(gaussian_filter(variance, 1.0), sigma)
    return np.asarray(np.clip(np.sqrt(np.sqrt(mackay * em)), floor, ceiling))
