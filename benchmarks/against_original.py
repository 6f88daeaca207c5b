"""Time MoSARt against the original package, side by side in one process, and print the ratios.

Run it with ``make benchmarks``. The original (``mosart==1.0.2``) is installed from the package index into a
cache folder, or taken from the folder that MOSART_ORIGINAL names; the two libraries that its ``sfs`` imports
and what is timed here does not use (asf_search and GDAL's bindings) are stubbed. Both sides run after
compilation, on one core, on the same arrays. Preprocessing reads and writes files on both sides.
"""

# ruff: noqa: E402 - the number of threads is set before numpy is loaded

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import contextlib
import importlib.util
import io
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import platformdirs

from mosart import lsquares, sfs
from mosart.geocoding.cellmeans import cell_means

ORIGINAL = "mosart==1.0.2"
SIZES = ((110, 400), (1000, 4000))
DATES = 15
PIXEL_SIZE = 1e-4


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--large-dates",
        type=int,
        default=DATES,
        help="dates that preprocessing is timed on at the larger size (seconds a date and megapixel)",
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # the original's means of empty cells
    folder = original_folder()
    theirs = load(folder / "mosart" / "lsquares.py"), load(folder / "mosart" / "sfs.py")
    print(
        f"{os.cpu_count()} cores ({platform.machine()}), one used; Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )
    print(f"{'':14}{'size':>12}{'dates':>7}{'original':>13}{'ours':>13}{'ratio':>9}")
    per_pixel = []
    for size in SIZES:
        stack = make_stack(size)
        inversion(theirs[0], stack)
        per_pixel.append(georeferencing(theirs[1], stack))
        preprocessing(theirs[1], stack, DATES if size == SIZES[0] else options.large_dates)
    print(
        f"georeferencing, ours: {per_pixel[0] * 1e9:.0f} and {per_pixel[1] * 1e9:.0f} ns a pixel and date at "
        "the two sizes"
    )


def make_stack(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Speckle over rough ground on a turned radar grid, about 2 m pixels."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[: size[0], : size[1]].astype(float)
    arrays = {
        "dem": 300.0 + np.cumsum(rng.normal(0.0, 0.3, size), axis=1),
        "lon": -163.98 + 2.4e-5 * column + 0.5e-5 * row,
        "lat": 54.75 + 1.7e-5 * row - 0.3e-5 * column,
    }
    for k in range(DATES):
        arrays[f"201901{10 + k}"] = 60.0 * np.sqrt(rng.gamma(2.0, 0.5, size))
    return arrays


def dates_of(stack: dict[str, np.ndarray]) -> list[str]:
    """Names of the dates."""
    return [name for name in stack if name.isdigit()]


def inversion(original: ModuleType, stack: dict[str, np.ndarray]) -> None:
    """Fit all rows of all dates."""
    dem = stack["dem"]
    gradient = np.gradient(dem, axis=1)

    def run(module: ModuleType) -> None:
        for date in dates_of(stack):
            module.getabc_reg(stack[date], dem, gradient)

    run(lsquares)
    report("inversion", dem.shape, DATES, best(lambda: run(original), 2), best(lambda: run(lsquares), 3))


def georeferencing(original: ModuleType, stack: dict[str, np.ndarray]) -> float:
    """Bring all dates to a grid; the original at the larger size by a sample of cells."""
    size = stack["dem"].shape
    values = np.stack([stack[date] for date in dates_of(stack)])

    def ours() -> None:
        cell_means(stack["lon"], stack["lat"], values, PIXEL_SIZE)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.h5"
        with h5py.File(path, "w") as file:
            for name in ("lon", "lat"):
                file[name] = stack[name]
        ours()
        took = best(ours, 3)
        if size == SIZES[0]:
            theirs = best(lambda: original.georeference(str(path), values, PIXEL_SIZE), 1)
            note = ""
        else:
            # Its time is that of whole-image comparisons for every cell: a coarse grid is a sample of them.
            span = max(np.ptp(stack["lon"]), np.ptp(stack["lat"]))
            coarse = span / 8
            start = time.perf_counter()
            sample, _ = original.georeference(str(path), values[:1], coarse)
            per_cell = (time.perf_counter() - start) / inner_cells(sample.shape)
            cells = inner_cells(cell_means(stack["lon"], stack["lat"], values[:1], PIXEL_SIZE).values.shape)
            theirs = per_cell * cells * DATES
            note = f"original by a sample of {inner_cells(sample.shape)} of {cells} cells on one date"
    report("georeference", size, DATES, theirs, took, note)
    return took / (values.size)


def inner_cells(shape: tuple[int, ...]) -> int:
    """Cells of a grid that the original fills."""
    return (shape[1] - 2) * (shape[2] - 2)


def preprocessing(original: ModuleType, stack: dict[str, np.ndarray], dates: int) -> None:
    """Filter the amplitudes of some dates, files included."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = (str(Path(folder) / name) for name in ("projections.h5", "preprocessed.h5"))
        with h5py.File(source, "w") as file:
            for name in ("dem", "lon", "lat", *dates_of(stack)[:dates]):
                file[name] = stack[name]
        rows, columns = stack["dem"].shape
        box = {"xs": [0, columns], "ys": [0, rows], "projections": source, "output": target, "sigma_amp": 20}
        sfs.preprocessing(**{**box, "xs": [0, 20], "ys": [0, 20]})
        took = best(lambda: sfs.preprocessing(**box), 1)
        theirs = best(lambda: original.preprocessing(**box), 1)
    report("preprocessing", (rows, columns), dates, theirs, took, "files included")


def best(run: Callable[[], object], times: int) -> float:
    """Shortest of some runs, seconds; what the original prints is swallowed."""
    found = []
    for _ in range(times):
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
    return min(found)


def report(  # noqa: PLR0917
    what: str, size: tuple[int, int], dates: int, theirs: float, ours: float, note: str = ""
) -> None:
    """Print a line of the table."""
    shape = f"{size[0]}x{size[1]}"
    print(
        f"{what:14}{shape:>12}{dates:7d}{theirs:11.3f} s{ours:11.4f} s{theirs / ours:8.1f}x"
        + (f"   {note}" if note else ""),
        flush=True,
    )


def original_folder() -> Path:
    """Folder with the original's modules."""
    given = os.environ.get("MOSART_ORIGINAL")
    if given:
        return Path(given)
    folder = Path(platformdirs.user_cache_dir("mosart")) / "original" / ORIGINAL
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
            target = Path(partial) / "site"
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "-q",
                    "install",
                    "--no-deps",
                    "--target",
                    str(target),
                    ORIGINAL,
                ],
                check=True,
            )
            target.rename(folder)
    return folder


def load(path: Path) -> ModuleType:
    """Load a module of the original by its path, under another name than ours."""
    for name in ("asf_search", "osgeo"):
        sys.modules.setdefault(name, ModuleType(name))
    stub = sys.modules["asf_search"]
    stub.ASFProduct = getattr(stub, "ASFProduct", object)  # type: ignore[attr-defined]
    gdal = ModuleType("gdal")
    gdal.UseExceptions = lambda: None  # type: ignore[attr-defined]
    sys.modules["osgeo"].gdal = gdal  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location(f"original_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
