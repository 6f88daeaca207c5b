"""Our own notebook: it runs as it stands, and shows what it says."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "elevation_changes.ipynb"
#: One cell more, after all of its own, to see the numbers.
LAST = """
np.savez(
    "seen.npz",
    truth=truth,
    measured=series["elevation_change_m"],
    bent=bent.time_series(areas)["elevation_change_m"],
    std=series["elevation_change_std_m"],
    rose=float(image.max()),
)
"""


def pictures(notebook: nbformat.NotebookNode) -> list[int]:
    return [
        number
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the notebook machinery, not of ours
def test_the_notebook_runs_and_measures_what_it_says(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = pictures(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert pictures(notebook) == kept  # those in the file are of this code
    assert len(kept) >= 8
    seen = np.load(tmp_path / "seen.npz")
    assert seen["truth"][-1] > 5.0
    # "about two thirds of it, with the crater in the fit about two fifths"
    assert 0.55 < seen["measured"][-1] / seen["truth"][-1] < 0.75
    assert 0.3 < seen["bent"][-1] / seen["truth"][-1] < 0.5
    assert np.all(seen["std"][1:] > 0)
    assert (tmp_path / "change.nc").is_file()


def test_the_file_carries_its_pictures_and_no_error() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kinds = {output.output_type for cell in notebook.cells for output in cell.get("outputs", [])}
    assert kinds <= {"display_data", "stream", "execute_result"}
    assert len(pictures(notebook)) >= 8
    assert NOTEBOOK.stat().st_size < 2_000_000
