"""The original's notebook, unchanged, on a simulated island in a flat sea."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import h5py
import nbclient
import nbformat
import numpy as np
import pytest

from mosart.simulate import island

SHAPE = (1100, 4700)
ROWS, COLUMNS = slice(990, 1100), slice(4200, 4600)


def write_island(path: Path) -> np.ndarray:
    """An island simulated at the notebook's area of interest, in a sea of speckle; its land."""
    scene = island(shape=(110, 400), box=(0, 400, 0, 110)).stack.dataset
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    with h5py.File(path, "w") as file:
        height = np.zeros(SHAPE)
        height[ROWS, COLUMNS] = scene["height"].values
        file["dem"] = height
        for name, key in (("lon", "longitude"), ("lat", "latitude")):
            here = scene[key].values  # over sea linear in row and column
            steps = [(here[-1, 0] - here[0, 0]) / (here.shape[0] - 1), here[0, 1] - here[0, 0]]
            grid = here[0, 0] + steps[0] * (row - ROWS.start) + steps[1] * (column - COLUMNS.start)
            grid[ROWS, COLUMNS] = here
            file[name] = grid
        sea = np.sqrt(np.random.default_rng(0).exponential(size=SHAPE)).astype(np.float32)
        for k, date in enumerate(scene["date"].values):
            here = scene["amplitude"].values[k]
            image = np.roll(sea, 97 * k, axis=1) * np.sqrt(np.mean(here[:, 360:] ** 2))
            image[ROWS, COLUMNS] = here
            file[str(date)[:10].replace("-", "")] = image.astype(np.float32)
    return height[ROWS, COLUMNS] > 1.0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the notebook's own Pool needs fork")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the notebook's own Pool needs fork")
@pytest.mark.filterwarnings("ignore")  # of the notebook machinery, not of ours
def test_notebook_runs_unchanged(data_folder: Path, tmp_path: Path) -> None:
    land = write_island(tmp_path / "projections.h5")
    notebook = nbformat.read(data_folder.parent / "seed" / "elevation_changes.ipynb", as_version=4)
    # One cell more, after all of its own, to see the result.
    notebook.cells.append(
        nbformat.v4.new_code_cell(
            "import mosart\nnp.save('changes.npy', changes)\n"
            "np.save('demdefs.npy', demdefs)\nprint(mosart.__file__)"
        )
    )
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    start = time.monotonic()
    client.execute()
    assert time.monotonic() - start < 120.0

    imported = Path(notebook.cells[-1].outputs[0].text.strip())
    assert imported.parent.samefile(Path(sys.modules["mosart"].__file__ or "").parent)
    changes = np.load(tmp_path / "changes.npy")
    assert changes.shape == (15, 110, 400)
    assert land.sum() > 1000
    assert np.isfinite(changes[:, land]).all()
    assert (changes[0] == 0.0).all()
    assert np.abs(changes[1:, land]).max() > 0.1
    height = np.load(tmp_path / "demdefs.npy")
    assert np.abs(np.median(height[:, land])) < 100.0
