"""Run every method and the original on every class of scenes, and write the table.

python benchmarks/accuracy.py                      development seeds, one a class
python benchmarks/accuracy.py --final              the final seeds: once, for the docs
python benchmarks/accuracy.py --only helens --seeds 2
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from accuracy.methods import Map, run_original, run_ours
from accuracy.scenes import DEVELOPMENT_SEEDS, FINAL_SEEDS, Case, cases, simulate_case
from accuracy.score import score, zones

METHODS = ("synthesis", "rowwise-intensity", "regularised")


def run_scene(
    case: Case, seed: int, methods: tuple[str, ...], original: Path | None, *, single: bool
) -> dict[str, object]:
    """Score every method on one scene, all on the pixels that the first of them gives."""
    simulation = simulate_case(case, seed)
    truth = np.asarray(simulation.truth["elevation_change"].values[-1], dtype=float)
    seen = ~np.asarray(simulation.truth["hidden"].values).any(axis=0)
    where = zones(truth, seen)
    row: dict[str, object] = {"case": case.name, "seed": seed, "single": single}
    maps: dict[str, list[Map]] = {}
    for method in methods:
        begin = time.perf_counter()
        maps[method] = [run_ours(simulation, case, method, single=single)]
        row[f"{method} seconds"] = time.perf_counter() - begin
    if original is not None:
        begin = time.perf_counter()
        maps["original"] = run_original(simulation, case, original, single=single)
        row["original seconds"] = time.perf_counter() - begin
    given = np.isfinite(maps[methods[0]][0].change)
    for method, answers in maps.items():
        for name, zone in where.items():
            results = []
            for answer in answers:
                change = answer.change if method == methods[0] else np.where(given, answer.change, np.nan)
                results.append(score(change, truth, zone, answer.std if method == methods[0] else None))
            row[f"{method} {name}"] = min(results, key=lambda r: r.get("rms", np.inf))
        if answers[0].unresolved is not None:
            row[f"{method} unresolved"] = float(answers[0].unresolved[seen].mean())
    if case.new:
        replaced = seen & (np.abs(truth) > 1.4)
        row["replaced withheld"] = float((~given)[replaced].mean()) if replaced.any() else np.nan
    row["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def line(row: dict[str, object], methods: tuple[str, ...]) -> str:
    """One scene in one line."""
    text = f"{row['case']:28s} {row['seed']}"
    ours, orig = methods[0], "original"

    def get(method: str, zone: str, key: str) -> float:
        found = row.get(f"{method} {zone}")
        return float(found.get(key, np.nan)) if isinstance(found, dict) else np.nan

    zone, still = get(ours, "zone", "rms"), get(ours, "still", "rms")
    orig_zone, orig_still = get(orig, "zone", "rms"), get(orig, "still", "rms")
    text += (
        f" | rms {zone:6.2f}/{get(ours, 'rim', 'rms'):5.2f}/{still:5.2f} of {get(ours, 'zone', 'truth'):6.2f}"
    )
    text += (
        f" | orig {orig_zone:6.2f}/{orig_still:5.2f} | x{orig_zone / zone:5.1f} x{orig_still / still:5.1f}"
    )
    text += f" | bars {get(ours, 'zone', 'bars90'):.2f}/{get(ours, 'still', 'bars90'):.2f}"
    text += f" >4 {get(ours, 'zone', 'beyond4'):.3f}/{get(ours, 'still', 'beyond4'):.3f}"
    text += f" flag {get(ours, 'zone', 'flagged'):.2f}/{get(ours, 'still', 'flagged'):.2f}"
    text += f" slope {get(ours, 'zone', 'slope'):.2f} vol {get(ours, 'zone', 'volume'):+.2f}"
    if "replaced withheld" in row:
        text += f" withheld {row['replaced withheld']:.2f}"
    return text + f" | {row[f'{ours} seconds']:.1f} s"


def geometric(values: list[float]) -> float:
    """Geometric mean of what is finite."""
    good = np.array([v for v in values if np.isfinite(v) and v > 0])
    return float(np.exp(np.log(good).mean())) if good.size else float("nan")


def summary(rows: list[dict[str, object]], ours: str) -> str:
    """Figures over all scenes."""

    def get(row: dict[str, object], method: str, zone: str, key: str) -> float:
        found = row.get(f"{method} {zone}")
        return float(found.get(key, np.nan)) if isinstance(found, dict) else np.nan

    kept = [r for r in rows if "replaced withheld" not in r]
    out = []
    for zone in ("zone", "still"):
        ratio = [get(r, "original", zone, "rms") / get(r, ours, zone, "rms") for r in kept]
        ratio = [v for v in ratio if np.isfinite(v)]
        if ratio:
            out.append(
                f"{zone}: original / ours, geometric mean {geometric(ratio):.2f}, least {min(ratio):.2f}"
            )
        for key in ("bars50", "bars90", "beyond4"):
            pairs = [(get(r, ours, zone, key), get(r, ours, zone, "pixels")) for r in kept]
            pairs = [p for p in pairs if np.isfinite(p[0])]
            if pairs:
                out.append(
                    f"  {key} pooled {np.average([p[0] for p in pairs], weights=[p[1] for p in pairs]):.3f}"
                )
    return "\n".join(out)


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
    args = parser.parse_args()
    methods = tuple(args.methods.split(","))
    seeds = (FINAL_SEEDS if args.final else DEVELOPMENT_SEEDS)[: args.seeds]
    rows = []
    with args.out.open("a") as file:
        for case in cases():
            if args.only not in case.name:
                continue
            for seed in seeds:
                row = run_scene(
                    case, seed, methods, None if args.without_original else args.original, single=args.single
                )
                rows.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(line(row, methods), flush=True)
    print(summary(rows, methods[0]))


if __name__ == "__main__":
    main()
