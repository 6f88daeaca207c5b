"""Prior of a field on the nodes: smooth, and as large as its envelope allows.

A Matérn field with smoothness 1 solves ``(κ² - ∇²) u = white noise`` (Lindgren, Rue, Lindström 2011,
doi:10.1111/j.1467-9868.2011.00777.x); times an envelope, its standard deviation at each place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

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

    def whiten_columns(self, fields: Float) -> Float:
        """``K`` times every column; symmetric."""
        return np.asarray(self.factor @ fields)

    @property
    def log_determinant(self) -> float:
        """Of the precision ``Kᵀ K``."""
        return float(2 * np.log(self.eigenvalues).sum())


class Field(Protocol):
    """A field of zero mean on the nodes, stationary but for its edges."""

    @property
    def spacing(self) -> tuple[float, float]:
        """Metres in y and x."""
        ...

    @property
    def factor(self) -> sp.csr_array:
        """``F``: the precision is ``Fᵀ F``."""
        ...

    @property
    def precision(self) -> sp.coo_array:
        """Its inverse covariance."""
        ...

    def colour_columns(self, white: Float) -> Float:
        """Symmetric root of the covariance times every column, (nodes, number)."""
        ...

    def whiten_columns(self, fields: Float) -> Float:
        """Symmetric root of the precision times every column, (nodes, number)."""
        ...

    @property
    def log_determinant(self) -> float:
        """Of the precision."""
        ...


@dataclass(frozen=True)
class Prior:
    """A field times its envelope.

    Parameters
    ----------
    field : Field
        The correlation.
    envelope : ndarray (y, x)
        Standard deviation at every node, in the field's unit.
    """

    field: Field
    envelope: Float

    @property
    def factor(self) -> sp.csr_array:
        """``K A⁻¹``: the precision is its transpose times itself."""
        return sp.csr_array(self.field.factor @ sp.diags_array(1 / self.envelope.ravel()))

    def perturbation(self, white: Float) -> Float:
        """Draws whose covariance is the precision, from white noise (nodes, number)."""
        return np.asarray(self.field.whiten_columns(white) / self.envelope.ravel()[:, None])

    @property
    def log_determinant(self) -> float:
        """Of the precision."""
        return self.field.log_determinant - 2 * float(np.log(self.envelope).sum())


#: Nodes (σ of a Gaussian) over which the envelope is learned: fewer follow the noise of single nodes,
#: more lend the freedom of a change to the still ground beside it. Where the image asks for a change that is
#: narrower, the window is.
WINDOW, NARROW_WINDOW = 4.0, 2.0
#: No place's variance is less than this share of the square of the change that is found there, its mean
#: over so many nodes: half of it is about the median of a square over its expectation. It keeps a prior
#: that is likely, but of a change that it holds to be an accident, from shrinking it.
FOUND_SHARE, FOUND_WINDOW = 0.5, 2.0
#: Degrees of freedom a node that a place needs to leave the least envelope.
PRIOR_SHARE = 0.02
#: Largest factor of the variance in a step.
LARGEST_STEP = 4.0


def _nodes(window: float, field: Field) -> tuple[float, float]:
    """Nodes in y and x of a window that is as long in metres both ways."""
    dy, dx = field.spacing
    return window * dx / dy, window


def learn_envelope(
    prior: Prior,
    mean: Float,
    samples: Float,
    white: Float,
    *,
    floor: float,
    ceiling: float,
    least: float,
    uniform: bool = False,
    narrow: Float | None = None,
) -> Float:
    """One step of expectation-maximisation on the envelope (sparse Bayesian learning).

    Parameters
    ----------
    prior : Prior
        With the present envelope.
    mean : ndarray (y, x)
        Of the posterior.
    samples, white : ndarray (number, node)
        Draws from the zero-mean posterior, and the prior's white noise that each was drawn with.
    floor, ceiling : float
        Bounds of the envelope.
    least : float
        Standard deviation that a place without evidence shrinks to.
    uniform : bool
        One number for all places.
    narrow : ndarray (y, x), optional
        Probability of a change that is narrower than the window: as much counts what is learned in narrow
        windows, if it opens the envelope further.

    Returns
    -------
    ndarray (y, x)
        The next envelope.

    Notes
    -----
    What the prior calls likely is the *whitened* field ``w = K A⁻¹ d``: its variance is one where the
    envelope is right, whatever the correlation. With ``γ = 1 - var w`` degrees of freedom that the data
    tell, the evidence is stationary where ``w² = γ`` (MacKay 1992, Tipping 2001). For one unknown the ratio
    ``w² / γ`` goes as the variance to the power ``-γ``: down, a step by its power ``2 / (1 + γ)`` does not
    overshoot, and needs half as many where the data tell little. Up, where it is unstable, it is the ratio's
    geometric mean with the step of expectation-maximisation ``w² + 1 - γ``. Of a draw that was perturbed by
    the white noise ``z``, ``z (z - w)`` is γ with little scatter where the data tell little.
    """
    shape = prior.envelope.shape
    factor = prior.factor
    w2 = np.asarray((factor @ mean.ravel()) ** 2).reshape(shape)
    told = np.mean(white * (white - (factor @ samples.T).T), axis=0).reshape(shape)
    rest = PRIOR_SHARE * np.minimum((least / prior.envelope) ** 2, 1.0)
    if uniform:
        ratio = _step(np.full(shape, w2.mean()), np.full(shape, told.mean()), rest)
    else:

        def learned(window: float) -> Float:
            sigma = _nodes(window, prior.field)
            return _step(gaussian_filter(w2, sigma), gaussian_filter(told, sigma), rest)

        ratio = learned(WINDOW)
        if narrow is not None and narrow.any():
            ratio = ratio + narrow * np.maximum(learned(NARROW_WINDOW) - ratio, 0.0)
    ratio = np.clip(ratio, 1 / LARGEST_STEP, LARGEST_STEP)
    variance = prior.envelope**2 * ratio
    if not uniform:
        near = _nodes(FOUND_WINDOW, prior.field)
        variance = np.maximum(variance, FOUND_SHARE * gaussian_filter(mean**2, near))
    return np.asarray(np.clip(np.sqrt(variance), floor, ceiling))


def _step(w2: Float, told: Float, rest: Float) -> Float:
    """Factor of the variance; `rest` is what the prior's own freedom adds to the square."""
    told = np.clip(told, 0.0, 1.0)
    ratio = (w2 + rest) / (told + PRIOR_SHARE)
    up = np.sqrt(ratio * np.maximum(w2 + 1 - told, 1.0))
    return np.asarray(np.where(ratio < 1, ratio ** (2 / (1 + told)), up))
