"""Run by the Python of MintPy's own environment: open a run's files with MintPy and compare the numbers.

ENV/bin/python clients/check_mintpy.py OUT/mintpy
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

PROGRAMS = Path(sys.executable).parent


def call(folder: Path, *command: str) -> list[str]:
    """Run one of MintPy's programs."""
    result = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "Agg", "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{'ok  ' if result.returncode == 0 else 'FAIL'} {' '.join(command)}")
    return [] if result.returncode == 0 else [f"{command[0]}: {(result.stdout + result.stderr)[-500:]}"]


def series(folder: Path, name: str, work: Path) -> list[str]:
    """Compare what MintPy shows of a series with what the file holds."""
    path = folder / name
    with h5py.File(path) as file:
        cube = file["timeseries"][...]
        dates = [date.decode() for date in file["date"][...]]
        attributes = dict(file.attrs)
    faults = call(work, "info.py", str(path))
    faults += call(work, "view.py", str(path), "--nodisplay", "--save", "-o", f"{name}.png")
    shown = np.isfinite(cube).all(axis=0)
    if not shown.any():
        return faults
    row, column = np.argwhere(shown)[shown.sum() // 2]
    if len(dates) < 3:
        print(f"left out: tsview.py on {name}, it fits a velocity and needs three dates")
        return faults
    faults += call(work, "tsview.py", str(path), "--yx", str(row), str(column), "--nodisplay", "--save")
    text = work / f"y{row}x{column}_ts.txt"
    if not text.is_file():
        return [*faults, f"{name}: tsview.py wrote no series"]
    lines = text.read_text().splitlines()
    read = dict(line.split() for line in lines if not line.startswith("#"))
    wrong = [d for d, v in zip(dates, cube[:, row, column]) if abs(float(read[d]) / 100 - v) > 1e-4]
    if wrong:
        faults.append(f"{name}: tsview.py shows other numbers on {', '.join(wrong)}")
    if "X_FIRST" in attributes:
        place = next(line for line in lines if "lat/lon" in line).split("lat/lon = ")[1].split(",")
        y = float(attributes["Y_FIRST"]) + (row + 0.5) * float(attributes["Y_STEP"])
        x = float(attributes["X_FIRST"]) + (column + 0.5) * float(attributes["X_STEP"])
        steps = float(attributes["Y_STEP"]), float(attributes["X_STEP"])
        if any(abs((float(a) - b) / s) > 1e-3 for a, b, s in zip(place, (y, x), steps)):
            faults.append(f"{name}: MintPy places the pixel at {place}, its centre is {y}, {x}")
    text.unlink()
    return faults


def main(folder: Path) -> int:
    """Open all files, and return 1 if anything is wrong."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as work:
        for path in sorted(folder.glob("timeseries*.h5")):
            faults += series(folder.absolute(), path.name, Path(work))
        for path in sorted(folder.glob("geometry*.h5")):
            faults += call(Path(work), "info.py", str(path.absolute()))
            faults += call(
                Path(work), "view.py", str(path.absolute()), "--nodisplay", "-o", f"{path.stem}.png"
            )
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
