"""Fields on the nodes and a few numbers that touch all of them, solved together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .prior import Prior
from .solver import make_solver

Float = NDArray[np.float64]


class Bordered:
    """Posterior of fields and numbers: the numbers by their Schur complement.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J`` of the fields.
    own : ndarray (data, number)
        The same of the numbers.
    priors : sequence of Prior
        One for each field.
    precision : ndarray (number,)
        Of each number, before the data.
    kind : {"auto", "direct", "iterative"}
        Of solver; see :func:`mosart.inversion.synthesis.solver.make_solver`.
    """

    def __init__(
        self,
        weighted: sp.csr_array,
        own: Float,
        priors: Sequence[Prior],
        precision: Float,
        kind: str = "auto",
    ) -> None:
        self._weighted, self._own = weighted, own
        self._fields = make_solver(weighted, priors, kind)
        self._cross = np.asarray(weighted.T @ own)
        self._ways = np.stack([self._fields.solve(c) for c in self._cross.T], axis=1)
        self._schur = own.T @ own + np.diag(precision) - self._cross.T @ self._ways

    def solve(self, right: Float) -> tuple[Float, Float]:
        """Solve for data (data,): the fields, flat, and the numbers."""
        fields = self._fields.solve(self._weighted.T @ right)
        numbers = np.linalg.solve(self._schur, self._own.T @ right - self._cross.T @ fields)
        return np.asarray(fields - self._ways @ numbers), np.asarray(numbers, dtype=np.float64)

    def samples(self, number: int, rng: np.random.Generator) -> tuple[Float, Float]:
        """Draw fields from the zero-mean posterior, and the prior's noise of each: (number, unknowns)."""
        fields, white = self._fields.samples(number, rng)
        root = np.linalg.cholesky(np.linalg.inv(self._schur))
        numbers = root @ rng.standard_normal((len(root), number))
        return np.asarray(fields - (self._ways @ numbers).T, dtype=np.float64), white

    def log_determinant(self) -> float | None:
        """Of the precision; None where it is not known."""
        fields = self._fields.log_determinant()
        return None if fields is None else fields + float(np.linalg.slogdet(self._schur)[1])

    def number_std(self) -> Float:
        """Posterior standard deviation of the numbers."""
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(self._schur))))
