"""Solve the normal equations of a Gauss–Newton step and draw from the posterior.

Two solvers behind one interface: banded Cholesky for areas of up to some hundred nodes across, and
conjugate gradients on the whitened system, with the prior inverted by discrete cosine transforms, for
larger ones. From the same random numbers both draw the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, get_blas_funcs, get_lapack_funcs

from .band import Ordering, Room, add_prior, add_products, substitute
from .prior import Prior

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Numbers in the band of the factor up to which it is made: 250 megabytes, within seconds.
LARGEST_BAND = 3.2e7

#: Most corrections of a solution from a factor of single precision, and the share of the right-hand side that
#: may be left, beyond which it is made in double precision.
CORRECTIONS, UNCORRECTED = 6, 1e-5

#: Right-hand sides from which they are solved together.
FEWEST_TOGETHER = 4

#: Relative residual at which conjugate gradients stop, of a step and of a posterior sample: so small that
#: both solvers take the same number of steps.
TOLERANCE, SAMPLE_TOLERANCE = 1e-6, 1e-5
MOST_ITERATIONS = 2000


class Solver(Protocol):
    """Posterior of a linear Gaussian problem with precision ``JᵀWJ + Σ (K A⁻¹)ᵀ(K A⁻¹)``."""

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side (unknowns,)."""
        ...

    def samples(self, number: int, rng: np.random.Generator) -> tuple[Float, Float]:
        """Draw from the zero-mean posterior, and the prior's white noise of each draw: (number, unknowns)."""
        ...

    def log_determinant(self) -> float | None:
        """Of the precision; None where it is not known."""
        ...


def _draw(data: int, unknowns: int, number: int, rng: np.random.Generator) -> tuple[Float, Float]:
    """White noise of the data and of the prior, (data, number) and (unknowns, number)."""
    return rng.standard_normal((data, number)), rng.standard_normal((unknowns, number))


class Direct:
    """Banded Cholesky factorisation (LAPACK).

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns, in order.
    ordering : Ordering, optional
        Of the unknowns.
    single : bool
        Factorise in single precision, in half of the time. What is solved for is corrected to the precision
        of the other; the samples, whose own scatter is larger by far, and the determinant are not.
    room : Room, optional
        Memory of the band.

    Raises
    ------
    scipy.linalg.LinAlgError
        If the numbers are not finite.

    Notes
    -----
    Rows of the Jacobian that reach beyond the band are few and come in afterwards: with the others' precision
    ``P`` and these rows ``V``, ``(P + VᵀV)⁻¹ = P⁻¹ - P⁻¹Vᵀ (I + V P⁻¹Vᵀ)⁻¹ V P⁻¹`` (Woodbury).
    """

    def __init__(
        self,
        weighted: sp.csr_array,
        priors: Sequence[Prior],
        ordering: Ordering | None = None,
        *,
        single: bool = False,
        room: Room | None = None,
    ) -> None:
        self._weighted, self._priors, self._single = weighted, list(priors), single
        order = self._order = Ordering(weighted, priors) if ordering is None else ordering
        self._place = order.place
        band = (room or Room()).band(order.width + 1, len(order.place), np.float32 if single else np.float64)
        offset = 0
        for prior in priors:
            stencil, n = prior.field.precision, prior.envelope.size
            add_prior(
                stencil.row, stencil.col, stencil.data, 1 / prior.envelope.ravel(),
                order.place[offset : offset + n], band,
            )  # fmt: skip
            offset += n
        value = weighted.data
        if len(order.beside):
            value = value.copy()
            for row in order.beside:
                value[weighted.indptr[row] : weighted.indptr[row + 1]] = 0.0
        add_products(
            weighted.indptr.astype(np.int64), weighted.indices.astype(np.int64), value, order.place, band
        )
        factorise: Any = get_lapack_funcs("pbtrf", (band,))
        self._one: Any = get_lapack_funcs("pbtrs", (band,))
        self._triangle: Any = get_blas_funcs("trsm", (band,))
        self._cholesky, info = factorise(band, lower=1, overwrite_ab=1)
        if info != 0:
            raise LinAlgError("the normal equations are not positive definite")
        self._beside = np.asarray(weighted[order.beside].toarray())
        if len(order.beside):
            self._reply = self._within(self._beside.T)
            self._schur = cho_factor(np.eye(len(order.beside)) + self._beside @ self._reply, lower=True)

    def _within(self, right: Float) -> Float:
        """Solve with the band alone."""
        ordered = np.empty(right.shape, self._cholesky.dtype, order="C")
        ordered[self._place] = right
        if right.shape[1] < FEWEST_TOGETHER or len(self._cholesky) == 1:
            return np.asarray(self._one(self._cholesky, ordered, lower=1)[0][self._place], dtype=np.float64)
        substitute(self._cholesky, ordered, self._triangle)
        return np.asarray(ordered[self._place], dtype=np.float64)

    def _solve(self, right: Float) -> Float:
        found = self._within(right)
        if len(self._beside):
            found -= self._reply @ cho_solve(self._schur, self._beside @ found)
        return found

    def _apply(self, x: Float) -> Float:
        """Multiply with the precision."""
        out = np.asarray(self._weighted.T @ (self._weighted @ x))
        offset = 0
        for p in self._priors:
            n = p.envelope.size
            inverse, factor = 1 / p.envelope.ravel(), p.field.factor
            out[offset : offset + n] += inverse * (factor.T @ (factor @ (inverse * x[offset : offset + n])))
            offset += n
        return out

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side."""
        found = self._solve(right[:, None])[:, 0]
        if not self._single:
            return found
        scale = float(np.linalg.norm(right))
        for _ in range(CORRECTIONS):
            left = right - self._apply(found)
            if float(np.linalg.norm(left)) <= TOLERANCE * scale:
                return found
            found = found + self._solve(left[:, None])[:, 0]
        if float(np.linalg.norm(right - self._apply(found))) <= UNCORRECTED * scale:
            return found
        return Direct(self._weighted, self._priors, self._order).solve(right)

    def samples(self, number: int, rng: np.random.Generator) -> tuple[Float, Float]:
        """Perturb and solve: the right-hand side is a draw with the precision as its covariance."""
        data, prior = _draw(*self._weighted.shape, number, rng)
        right = np.asarray(self._weighted.T @ data)
        offset = 0
        for p in self._priors:
            n = p.envelope.size
            right[offset : offset + n] += p.perturbation(prior[offset : offset + n])
            offset += n
        return np.ascontiguousarray(self._solve(right).T), np.ascontiguousarray(prior.T)

    def log_determinant(self) -> float | None:
        """Of the precision."""
        beside = 2 * np.log(np.diag(self._schur[0])).sum() if len(self._beside) else 0.0
        return float(2 * np.log(self._cholesky[0].astype(np.float64)).sum() + beside)


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
        """``B w`` of every column."""
        out = np.empty_like(white)
        for p, a, b in zip(self._priors, self._ends, self._ends[1:]):
            out[a:b] = p.envelope.ravel()[:, None] * p.field.colour_columns(white[a:b])
        return out

    def _whiten_right(self, right: Float) -> Float:
        """``Bᵀ g`` of every column."""
        out = np.empty_like(right)
        for p, a, b in zip(self._priors, self._ends, self._ends[1:]):
            out[a:b] = p.field.colour_columns(p.envelope.ravel()[:, None] * right[a:b])
        return out

    def _cg(self, b: Float, tolerance: float) -> Float:
        """Conjugate gradients of every column, each with its own steps."""
        w = np.zeros_like(b)
        r = b.copy()
        p = r.copy()
        rr = np.einsum("ij,ij->j", r, r)
        stop = tolerance**2 * rr
        for _ in range(MOST_ITERATIONS):
            if (rr <= stop).all():
                break
            q = p + self._whiten_right(self._transposed @ (self._weighted @ self._unwhiten(p)))
            step = rr / np.maximum(np.einsum("ij,ij->j", p, q), 1e-300)
            w += step * p
            r -= step * q
            new = np.einsum("ij,ij->j", r, r)
            p = r + (new / np.maximum(rr, 1e-300)) * p
            rr = new
        return w

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side."""
        return self._unwhiten(self._cg(self._whiten_right(right[:, None]), TOLERANCE))[:, 0]

    def samples(self, number: int, rng: np.random.Generator) -> tuple[Float, Float]:
        """Perturb and solve, in the whitened unknowns."""
        data, prior = _draw(*self._weighted.shape, number, rng)
        noise = self._whiten_right(self._transposed @ data) + prior
        found = self._unwhiten(self._cg(noise, SAMPLE_TOLERANCE))
        return np.ascontiguousarray(found.T), np.ascontiguousarray(prior.T)

    def log_determinant(self) -> float | None:
        """Not known."""
        return None


def make_solver(
    weighted: sp.csr_array,
    priors: Sequence[Prior],
    kind: str = "auto",
    *,
    single: bool = False,
    room: Room | None = None,
) -> Solver:
    """Choose a solver.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns.
    kind : {"auto", "direct", "iterative"}
        ``auto``: by the size of the band.
    single : bool
        Whether single precision is enough for samples.
    room : Room, optional
        Memory that no other solver uses any more.

    Returns
    -------
    Solver
        Ready to solve.
    """
    if kind == "iterative":
        return Iterative(weighted, priors)
    ordering = Ordering(weighted, priors)
    if kind == "direct" or ordering.band <= LARGEST_BAND:
        if single:
            try:
                return Direct(weighted, priors, ordering, single=True, room=room)
            except LinAlgError:  # for want of digits; what is not finite fails again
                pass
        return Direct(weighted, priors, ordering, room=room)
    return Iterative(weighted, priors)
