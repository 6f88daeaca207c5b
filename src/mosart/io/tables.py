"""Tables of time series and volumes as CSV."""

from __future__ import annotations

import os

import pandas as pd

from .atomic import atomic_path


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    table : pandas.DataFrame
        Units are in the names of its columns. Dates are written as 2019-01-15, numbers with seven
        significant digits, what is missing as an empty field.
    path : path-like
        The file; UTF-8, lines end in a line feed.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    with atomic_path(path) as temporary:
        table.to_csv(
            temporary,
            index=False,
            float_format="%.7g",
            date_format="%Y-%m-%d",
            encoding="utf-8",
            lineterminator="\n",
        )
