"""Solve the normal equations of a Gauss–Newton step and draw from the posterior.

Two solvers behind one interface: banded Cholesky for areas of up to some hundred nodes across, and
conjugate gradients on the whitened system, with the prior inverted by discrete cosine transforms, for
larger ones. From the same random numbers both draw the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpbtrf, dpbtrs

from mosart.compiled import compiled

from .prior import Prior

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Numbers in the band of the factor up to which it is made: 250 megabytes, within seconds.
LARGEST_BAND = 3.2e7

#: Right-hand sides from which they are solved together, and columns of the band taken at a time then.
FEWEST_TOGETHER, PANEL = 4, 64

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


@compiled
def _add_products(pointer: Int, index: Int, value: Float, place: Int, band: Float) -> None:
    """Add ``JᵀJ`` of a sparse ``J`` to the lower band of a matrix whose unknowns are reordered."""
    for r in range(len(pointer) - 1):
        for p in range(pointer[r], pointer[r + 1]):
            i = place[index[p]]
            for q in range(pointer[r], pointer[r + 1]):
                j = place[index[q]]
                if j <= i and value[p] != 0.0 and value[q] != 0.0:  # a stored zero may lie beyond the band
                    band[i - j, j] += value[p] * value[q]


@compiled
def _add_prior(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - a kernel
    row, column, value, inverse, place, band,
):  # fmt: skip
    """Add a prior's precision, given by its entries, with the inverse envelope on both sides."""
    for q in range(len(value)):
        i, j = place[row[q]], place[column[q]]
        if j <= i:
            band[i - j, j] += value[q] * inverse[row[q]] * inverse[column[q]]


@compiled
def _bandwidth(pointer: Int, index: Int, value: Float, place: Int) -> int:
    """Furthest two unknowns of a row of ``J``, in their new order."""
    widest = 0
    for r in range(len(pointer) - 1):
        low, high = len(place), -1
        for p in range(pointer[r], pointer[r + 1]):
            if value[p] != 0.0:
                low, high = min(low, place[index[p]]), max(high, place[index[p]])
        widest = max(widest, high - low)
    return widest


class Ordering:
    """The unknowns of a node side by side, nodes along the axis that makes the band narrow.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns, all on the same nodes.
    """

    def __init__(self, weighted: sp.csr_array, priors: Sequence[Prior]) -> None:
        ny, nx = priors[0].envelope.shape
        fields, node = len(priors), np.arange(ny * nx)
        reach = [2 * fields * n for n in (nx, ny)]  # of KᵀK
        found = []
        for at, prior_reach in zip((node, (node % nx) * ny + node // nx), reach):
            place = (at[None] * fields + np.arange(fields)[:, None]).ravel()
            data_reach = _bandwidth(
                weighted.indptr.astype(np.int64), weighted.indices.astype(np.int64), weighted.data, place
            )
            found.append((max(prior_reach, data_reach), place))
        width, self.place = min(found, key=lambda f: f[0])
        self.width: int = min(width, len(self.place) - 1)

    @property
    def band(self) -> int:
        """Numbers in the band."""
        return (self.width + 1) * len(self.place)


def _substitute(band: Float, right: Float) -> None:
    """Solve ``L Lᵀ x = b`` in place for many right-hand sides (unknown, number), some columns at a time.

    LAPACK's own routine takes one right-hand side after the other and waits for the memory each time.
    """
    width, n = len(band) - 1, band.shape[1]
    # column j of the band begins at the diagonal: seen with one row less it is the matrix itself
    matrix = np.lib.stride_tricks.as_strided(
        band, (n, n), (band.itemsize, width * band.itemsize), writeable=False
    )
    wide = min(PANEL, width)
    panels = []
    for k in range(0, n, wide):
        here, full = slice(k, min(k + wide, n)), min(k + width, n)
        # below the square on the diagonal: rows that all columns reach, and those that only the last ones do
        panels.append((here, slice(here.stop, max(full, here.stop)), slice(full, min(full + wide, n))))
    for here, whole, corner in panels:
        x = right[here]
        dtrsm(1.0, matrix[here, here], x.T, side=1, lower=1, trans_a=1, overwrite_b=1)
        right[whole] -= matrix[whole, here] @ x
        if corner.stop > corner.start:
            right[corner] -= np.triu(matrix[corner, here]) @ x
    for here, whole, corner in reversed(panels):
        x = right[here]
        x -= matrix[whole, here].T @ right[whole]
        if corner.stop > corner.start:
            x -= np.triu(matrix[corner, here]).T @ right[corner]
        dtrsm(1.0, matrix[here, here], x.T, side=1, lower=1, overwrite_b=1)


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

    Raises
    ------
    scipy.linalg.LinAlgError
        If the numbers are not finite.
    """

    def __init__(
        self, weighted: sp.csr_array, priors: Sequence[Prior], ordering: Ordering | None = None
    ) -> None:
        self._weighted, self._priors = weighted, list(priors)
        order = Ordering(weighted, priors) if ordering is None else ordering
        self._place = order.place
        band = np.zeros((order.width + 1, len(order.place)), order="F")
        offset = 0
        for prior in priors:
            stencil, n = prior.field.precision, prior.envelope.size
            _add_prior(
                stencil.row, stencil.col, stencil.data, 1 / prior.envelope.ravel(),
                order.place[offset : offset + n], band,
            )  # fmt: skip
            offset += n
        _add_products(
            weighted.indptr.astype(np.int64),
            weighted.indices.astype(np.int64),
            weighted.data,
            order.place,
            band,
        )
        self._cholesky, info = dpbtrf(band, lower=1, overwrite_ab=1)
        if info != 0:
            raise LinAlgError("the normal equations are not positive definite")

    def _solve(self, right: Float) -> Float:
        ordered = np.empty_like(right, order="C")
        ordered[self._place] = right
        if right.shape[1] < FEWEST_TOGETHER or len(self._cholesky) == 1:
            return np.asarray(dpbtrs(self._cholesky, ordered, lower=1)[0][self._place])
        _substitute(self._cholesky, ordered)
        return np.asarray(ordered[self._place])

    def solve(self, right: Float) -> Float:
        """Solve for one right-hand side."""
        return self._solve(right[:, None])[:, 0]

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
        return float(2 * np.log(self._cholesky[0]).sum())


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


def make_solver(weighted: sp.csr_array, priors: Sequence[Prior], kind: str = "auto") -> Solver:
    """Choose a solver.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns.
    kind : {"auto", "direct", "iterative"}
        ``auto``: by the size of the band.

    Returns
    -------
    Solver
        Ready to solve.
    """
    if kind == "iterative":
        return Iterative(weighted, priors)
    ordering = Ordering(weighted, priors)
    if kind == "direct" or ordering.band <= LARGEST_BAND:
        return Direct(weighted, priors, ordering)
    return Iterative(weighted, priors)
