"""Errors drawn from what is known of them: the standard error of sums where a method tells it itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Variable of a change on a map that holds them, and its dimensions: the draws lie on lines of cells of
#: their own, for they are smooth; the convention wants all but time and place left of the date.
VARIABLE, DIMS = "error_draws", ("draw", "draw_y", "draw_x", "date")
#: Part of the standard error that is one unknown number for the whole map.
SHARED = "growth_effect"


@dataclass(frozen=True)
class DrawnErrors:
    """Errors of one entry.

    Parameters
    ----------
    draws : ndarray (draw, lines, lines)
        Metres.
    rows, columns : ndarray (lines,)
        Cells of the map that the lines lie on.
    shared : ndarray (rows, columns)
        Metres; one error for all cells in proportion to it.
    """

    draws: Floats
    rows: Floats
    columns: Floats
    shared: Floats

    @classmethod
    def of(cls, data: xr.Dataset, index: int) -> DrawnErrors | None:
        """Read the errors of an entry; None where the method does not tell them.

        Parameters
        ----------
        data : xarray.Dataset
            Of an :class:`~mosart.change.ElevationChange`.
        index : int
            Number of the entry.

        Returns
        -------
        DrawnErrors or None
        """
        if VARIABLE not in data:
            return None
        lines = []
        for axis in ("y", "x"):
            cells = data[axis].values.astype(np.float64)
            step = cells[1] - cells[0] if cells.size > 1 else 1.0
            lines.append((data[f"draw_{axis}"].values.astype(np.float64) - cells[0]) / step)
        draws = data[VARIABLE].isel(date=index).transpose(*(d for d in DIMS if d != "date"))
        shared = data[SHARED].isel(date=index).values if SHARED in data else np.zeros((1, 1))
        return cls(
            np.nan_to_num(draws.values.astype(np.float64)),
            lines[0],
            lines[1],
            np.nan_to_num(np.asarray(shared, np.float64)),
        )

    def variance(self, box: tuple[slice, slice], weights: Floats) -> float:
        """Variance of a weighted sum of errors.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns of the weights in the map.
        weights : ndarray (rows, columns)
            0 where a cell is not in the sum.

        Returns
        -------
        float
            In squared units of the weights times metres.
        """
        rows, columns = _between(box[0], self.rows), _between(box[1], self.columns)
        on_lines = rows.T @ weights @ columns
        sums = np.tensordot(self.draws, on_lines, axes=2)
        shared = self.shared[box] if self.shared.size > 1 else self.shared
        return float(np.mean(sums**2) + np.sum(weights * shared) ** 2)


def _between(cells: slice, lines: Floats) -> Floats:
    """Linear interpolation from lines to cells, (cells, lines); beyond the last line its value."""
    at = np.arange(cells.start, cells.stop, dtype=np.float64)
    if lines.size == 1:
        return np.ones((at.size, 1))
    left = np.clip(np.searchsorted(lines, at, side="right") - 1, 0, lines.size - 2)
    share = np.clip((at - lines[left]) / (lines[left + 1] - lines[left]), 0.0, 1.0)
    matrix = np.zeros((at.size, lines.size))
    index = np.arange(at.size)
    matrix[index, left] += 1 - share
    matrix[index, left + 1] += share
    return matrix
