"""Solve the normal equations of a Gauss–Newton step and draw from the posterior.

Two solvers behind one interface: a sparse factorisation for small areas, and conjugate gradients on
the whitened system, with the prior inverted by discrete cosine transforms, for large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from .prior import Prior

Float = NDArray[np.float64]

#: Unknowns up to which a factorisation is faster than conjugate gradients: measured, at 10⁴ it takes
#: more than twice as long, samples included.
DIRECT_UNKNOWNS = 3_000

#: Relative residual at which conjugate gradients stop: a tenth of a per cent of the step, far below σ.
TOLERANCE = 1e-4
SAMPLE_TOLERANCE = 1e-2  # of a posterior sample, whose own scatter is a hundred per cent
MOST_ITERATIONS = 400


class Solver(Protocol):
    """Posterior of a linear Gaussian problem with precision ``JᵀWJ + Σ (K A⁻¹)ᵀ(K A⁻¹)``."""

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side (unknowns,)."""
        ...

    def samples(self, number: int, rng: np.random.Generator) -> Float:
        """Draw from the zero-mean posterior: (number, unknowns)."""
        ...

    def log_determinant(self) -> float | None:
        """Of the precision; None where it is not known."""
        ...


class Direct:
    """Sparse factorisation (SuperLU, symmetric mode).

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns, in order.
    """

    def __init__(self, weighted: sp.csr_array, priors: Sequence[Prior]) -> None:
        self._weighted = weighted
        self._factor = sp.block_diag([p.factor for p in priors], format="csr")
        precision = (weighted.T @ weighted + self._factor.T @ self._factor).tocsc()
        self._lu = splu(
            precision, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side."""
        return np.asarray(self._lu.solve(right))

    def samples(self, number: int, rng: np.random.Generator) -> Float:
        """Perturb and solve: the right-hand side is a draw with the precision as its covariance."""
        right = self._weighted.T @ rng.standard_normal((self._weighted.shape[0], number))
        right += self._factor.T @ rng.standard_normal((self._factor.shape[0], number))
        return np.ascontiguousarray(self._lu.solve(np.asarray(right)).T)

    def log_determinant(self) -> float | None:
        """Of the precision."""
        return float(np.log(np.abs(self._lu.U.diagonal())).sum())


class Iterative:
    """Conjugate gradients on ``(I + B Jᵀ W J Bᵀ) w = B g`` with ``d = Bᵀ w``, ``B = K⁻¹ A``.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns.

    Notes
    -----
    Whitened by the prior, the spectrum is one plus a few directions that the data tell: the envelope
    makes them few.
    """

    def __init__(self, weighted: sp.csr_array, priors: Sequence[Prior]) -> None:
        self._weighted = weighted
        self._transposed = sp.csr_array(weighted.T)
        self._priors = list(priors)
        self._ends = np.cumsum([0] + [p.envelope.size for p in self._priors])

    def _unwhiten(self, white: Float) -> Float:
        out = np.empty_like(white)
        for p, a, b in zip(self._priors, self._ends, self._ends[1:]):
            out[a:b] = (p.envelope * p.field.colour(white[a:b].reshape(p.envelope.shape))).ravel()
        return out

    def _whiten_right(self, right: Float) -> Float:
        out = np.empty_like(right)
        for p, a, b in zip(self._priors, self._ends, self._ends[1:]):
            out[a:b] = p.field.colour(p.envelope * right[a:b].reshape(p.envelope.shape)).ravel()
        return out

    def _cg(self, b: Float, tolerance: float) -> Float:
        w = np.zeros_like(b)
        r = b.copy()
        p = r.copy()
        rr = float(r @ r)
        stop = tolerance**2 * rr
        for _ in range(MOST_ITERATIONS):
            if rr <= stop:
                break
            q = p + self._whiten_right(self._transposed @ (self._weighted @ self._unwhiten(p)))
            step = rr / float(p @ q)
            w += step * p
            r -= step * q
            new = float(r @ r)
            p = r + (new / rr) * p
            rr = new
        return w

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side."""
        return self._unwhiten(self._cg(self._whiten_right(right), TOLERANCE))

    def samples(self, number: int, rng: np.random.Generator) -> Float:
        """Perturb and solve, in the whitened unknowns."""
        out = np.empty((number, int(self._ends[-1])))
        for k in range(number):
            noise = self._whiten_right(self._transposed @ rng.standard_normal(self._weighted.shape[0]))
            noise += rng.standard_normal(len(noise))
            out[k] = self._unwhiten(self._cg(noise, SAMPLE_TOLERANCE))
        return out

    def log_determinant(self) -> float | None:
        """Not known."""
        return None


def make_solver(weighted: sp.csr_array, priors: Sequence[Prior], kind: str = "auto") -> Solver:
    """Choose a solver.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns.
    kind : {"auto", "direct", "iterative"}
        ``auto``: by the number of unknowns.

    Returns
    -------
    Solver
        Ready to solve.
    """
    if kind == "direct" or (kind == "auto" and weighted.shape[1] <= DIRECT_UNKNOWNS):
        return Direct(weighted, priors)
    return Iterative(weighted, priors)
