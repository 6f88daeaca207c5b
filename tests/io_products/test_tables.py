"""CSV tables as other software reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mosart.errors import InputError
from mosart.io.tables import write_table


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "name": ["crater, inner", 'the "lake"', "Ölfuss"],
            "date": pd.to_datetime(["2019-01-15", "2019-01-26", "2019-02-06"]),
            "elevation_change_m": [1.23456789, np.nan, -20.0],
            "pixels": [10, 0, 3],
            "flags": ["", "layover shadow", "water"],
        }
    )
    write_table(table, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_bytes()
    assert b"\r" not in text
    assert text.splitlines()[1] == b'"crater, inner",2019-01-15,1.234568,10,'
    again = pd.read_csv(tmp_path / "t.csv", parse_dates=["date"], keep_default_na=True)
    assert list(again["name"]) == list(table["name"])
    assert list(again["date"]) == list(table["date"])
    np.testing.assert_allclose(again["elevation_change_m"], table["elevation_change_m"], rtol=1e-6)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "none" / "t.csv")
