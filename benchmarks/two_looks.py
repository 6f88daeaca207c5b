"""Invert two looks together on every class of scenes, beside one look and the original, and write the table.

python benchmarks/two_looks.py                      development seeds, one a class
python benchmarks/two_looks.py --final              the final seeds: once, for the docs
python benchmarks/two_looks.py --only "new 40 m" --seeds 2 --without-original --without-alone
python benchmarks/two_looks.py --report two_looks.jsonl            the figures of scenes that have been run
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

# One thread a process, set before numpy starts its own: processes, not threads, share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

from accuracy.methods import original_module
from two_looks.run import run_scene
from two_looks.scenes import DEVELOPMENT_SEEDS, FINAL_SEEDS, cases
from two_looks.summary import line, report


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--final", action="store_true", help="the final seeds instead of the development ones"
    )
    parser.add_argument("--only", default="", help="classes whose name contains one of these (a,b,…)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds a class")
    parser.add_argument(
        "--original", type=Path, default=Path(".cache/original"), help="where mosart 1.0.2 is or goes"
    )
    parser.add_argument("--without-original", action="store_true")
    parser.add_argument("--without-alone", action="store_true", help="do not invert each look alone")
    parser.add_argument("--out", type=Path, default=Path("two_looks.jsonl"))
    parser.add_argument("--workers", type=int, default=1, help="scenes side by side, a process each")
    parser.add_argument("--report", type=Path, help="only write the figures of this file's scenes")
    args = parser.parse_args()
    if args.report:
        print(report([json.loads(text) for text in args.report.read_text().splitlines()]))
        return
    seeds = (FINAL_SEEDS if args.final else DEVELOPMENT_SEEDS)[: args.seeds]
    original = None if args.without_original else args.original
    if original is not None:
        original_module(original)  # installed once, before several processes ask for it
    wanted = [c for c in cases() if any(name in c.name for name in args.only.split(","))]
    rows = []
    # fresh processes: one that was forked from threads may hang
    pool = ProcessPoolExecutor(args.workers, mp_context=multiprocessing.get_context("spawn"))
    with args.out.open("a") as file, pool:
        running = [
            pool.submit(run_scene, case, seed, original, alone=not args.without_alone)
            for case in wanted
            for seed in seeds
        ]
        for done in as_completed(running):
            row = done.result()
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(line(row), flush=True)
    print(report(rows))


if __name__ == "__main__":
    main()
