"""Measure what `synthesis` costs: seconds a million pixels, how they grow with the image, peak memory.

python benchmarks/cost.py                    images of 0.1 to 1.3 million pixels
python benchmarks/cost.py --most 10          up to ten million
python benchmarks/cost.py --search           the search for large changes everywhere, too

One epoch against a reference, two dates each, uncertainty included; the change fills less than 5 % of the
image. Each size runs in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))

import mosart
from accuracy.scenes import Case, simulate_case
from mosart.inversion.synthesis.epoch import make_matching
from mosart.inversion.synthesis.hypotheses import LARGEST_CHANGE
from mosart.inversion.synthesis.matching import crop
from mosart.inversion.synthesis.part import part_reference, read_part
from mosart.inversion.synthesis.reference import read_epoch
from mosart.inversion.synthesis.search import find_start
from mosart.workflow.cores import available_cores, working_threads
from mosart.workflow.memory import estimate

#: Rows and pixels of the smallest image; each next one is twice as long in both.
SMALLEST = (160, 640)


def peak_megabytes() -> float:
    """Peak resident memory of this process."""
    return float(getattr(psutil.Process().memory_info(), "peak_wset", 0) or _peak()) / 2**20


def _peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(rows: int, pixels: int, workers: int, *, search: bool) -> dict[str, float]:
    """Invert one image; the kernels are compiled and the image is simulated beforehand."""
    case = Case("cost", size=8.0, rows=rows, pixels=pixels)
    simulation = simulate_case(case, 100)
    stack = simulation.stack
    before, after = case.dates_before, case.dates_after
    warm = stack.crop(pixels=(0, 256, 0, 64))
    result: dict[str, float] = {"megapixels": rows * pixels / 1e6}
    with working_threads(workers):
        mosart.invert(
            warm,
            method="synthesis",
            reference=before,
            epochs=[after],
            frame=simulation.frame.crop(slice(0, 256)),
        )
        base = psutil.Process().memory_info().rss / 2**20
        begin, spent = time.perf_counter(), time.process_time()
        change = mosart.invert(
            stack, method="synthesis", reference=before, epochs=[after], frame=simulation.frame
        )
        result |= {"seconds": time.perf_counter() - begin, "core seconds": time.process_time() - spent}
        result |= {"peak": peak_megabytes(), "base": base}
        truth = np.asarray(simulation.truth["elevation_change"].values[-1])
        found = np.asarray(change.dataset["elevation_change"].values[0])
        result["changed share"] = float((np.abs(truth) > 0.8).mean())
        result["error"] = float(np.sqrt(np.nanmean((found - truth)[np.abs(truth) > 0.8] ** 2)))
        if search:
            part = read_part(stack, slice(0, rows), slice(0, pixels), simulation.frame)
            reference = part_reference(part, tuple(before), None)
            epoch = read_epoch([part.intensity[date] for date in after], reference)
            matching = make_matching(reference, epoch)
            held = np.zeros(matching.shape)
            small = crop(matching, slice(0, 4), slice(0, 16))
            find_start(small, -LARGEST_CHANGE, LARGEST_CHANGE, held[:4, :16])  # compiles
            spent = time.process_time()
            find_start(matching, -LARGEST_CHANGE, LARGEST_CHANGE, held)
            result["search"] = time.process_time() - spent
    return result


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=float, default=1.7, help="million pixels of the largest image")
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument(
        "--search", action="store_true", help="time the search everywhere, on the smallest image"
    )
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one, args.workers, search=args.search)))
        return
    print(f"{args.workers} workers on {available_cores()} cores, load {os.getloadavg()[0]:.1f} before")
    found = []
    rows, pixels = SMALLEST
    while rows * pixels <= 1e6 * args.most:
        command = [sys.executable, __file__, "--one", str(rows), str(pixels), "--workers", str(args.workers)]
        command += ["--search"] if args.search and not found else []
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        one = json.loads(out.splitlines()[-1])
        found.append(one)
        size = one["megapixels"]
        told = estimate((4, rows, pixels), 4, 1, args.workers, mapped=True, synthesis=True)
        wall, spent = one["seconds"] / size, one["core seconds"] / size
        print(
            f"{size:7.2f} Mpx | {wall:6.1f} s, {spent:6.1f} core s a Mpx"
            f" | peak {one['peak']:.0f} MiB, {one['base']:.0f} before | {one['changed share']:.1%} changed,"
            f" error there {one['error']:.2f} m | told {told.seconds / size:.1f} core s a Mpx,"
            f" {told.peak / 2**20:.0f} MiB",
            flush=True,
        )
        if "search" in one:
            print(f"        search everywhere: {one['search'] / size:.0f} core s a Mpx")
        rows, pixels = 2 * rows, 2 * pixels
    if len(found) > 1:
        sizes, cores = ([f[k] for f in found] for k in ("megapixels", "core seconds"))
        print(
            f"core seconds grow as pixels to the power {np.polyfit(np.log(sizes), np.log(cores), 1)[0]:.2f}"
        )


if __name__ == "__main__":
    main()
