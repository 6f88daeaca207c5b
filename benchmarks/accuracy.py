"""Run every method and the original on every class of scenes, and write the table.

python benchmarks/accuracy.py                      development seeds, one a class
python benchmarks/accuracy.py --final              the final seeds: once, for the docs
python benchmarks/accuracy.py --only helens --seeds 2 --single --workers 2
python benchmarks/accuracy.py --report accuracy.jsonl            the figures of scenes that have been run
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
from accuracy.run import Row, run_scene
from accuracy.scenes import DEVELOPMENT_SEEDS, FINAL_SEEDS, cases
from accuracy.summary import report, value


def line(row: Row, methods: tuple[str, ...]) -> str:
    """One scene in one line."""
    text = f"{row['case']:28s} {row['seed']}"
    ours, orig = methods[0], "original"

    zone, rim, still = (value(row, ours, z, "rms") for z in ("zone", "rim", "still"))
    orig_zone, orig_still = value(row, orig, "zone", "rms"), value(row, orig, "still", "rms")
    truth = value(row, ours, "zone", "truth")
    text += f" | rms {zone:6.2f}/{rim:5.2f}/{still:5.2f} of {truth:6.2f}"
    text += (
        f" | orig {orig_zone:6.2f}/{orig_still:5.2f} | x{orig_zone / zone:5.1f} x{orig_still / still:5.1f}"
    )
    text += f" | bars {value(row, ours, 'zone', 'bars90'):.2f}/{value(row, ours, 'still', 'bars90'):.2f}"
    text += f" >4 {value(row, ours, 'zone', 'beyond4'):.3f}/{value(row, ours, 'still', 'beyond4'):.3f}"
    text += f" flag {value(row, ours, 'zone', 'flagged'):.2f}/{value(row, ours, 'still', 'flagged'):.2f}"
    text += f" slope {value(row, ours, 'zone', 'slope'):.2f} vol {volume(row, ours):+.2f}"
    if "replaced withheld" in row:
        text += f" withheld {row['replaced withheld']:.2f}"
    return text + f" | {row[f'{ours} seconds']:.1f} s"


def volume(row: Row, ours: str) -> float:
    """Relative error of the net volume."""
    found = row.get(f"{ours} volume")
    return found[0] / found[2] if found and found[2] else float("nan")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--final", action="store_true", help="the final seeds instead of the development ones"
    )
    parser.add_argument("--only", default="", help="classes whose name contains this")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds a class")
    parser.add_argument(
        "--methods", default="synthesis,rowwise-intensity", help="names, the first is scored fully"
    )
    parser.add_argument("--single", action="store_true", help="one date against one")
    parser.add_argument(
        "--original", type=Path, default=Path(".cache/original"), help="where mosart 1.0.2 is or goes"
    )
    parser.add_argument("--without-original", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("accuracy.jsonl"))
    parser.add_argument("--workers", type=int, default=1, help="scenes side by side, a process each")
    parser.add_argument("--report", type=Path, help="only write the figures of this file's scenes")
    args = parser.parse_args()
    methods = tuple(args.methods.split(","))
    if args.report:
        print(report([json.loads(text) for text in args.report.read_text().splitlines()], methods[0]))
        return
    seeds = (FINAL_SEEDS if args.final else DEVELOPMENT_SEEDS)[: args.seeds]
    original = None if args.without_original else args.original
    if original is not None:
        original_module(original)  # installed once, before several processes ask for it
    # all classes of a seed before the next seed: what a stopped run leaves tells of every class
    todo = [(case, seed) for seed in seeds for case in cases() if args.only in case.name]
    rows = []
    # fresh processes: one that was forked from threads may hang
    pool = ProcessPoolExecutor(args.workers, mp_context=multiprocessing.get_context("spawn"))
    with args.out.open("a") as file, pool:
        running = [
            pool.submit(run_scene, case, seed, methods, original, single=args.single) for case, seed in todo
        ]
        for done in as_completed(running):
            row = done.result()
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(line(row, methods), flush=True)
    print(report(rows, methods[0]))


if __name__ == "__main__":
    main()
