"""One scene: every method, scored on the pixels that ours gives."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .methods import Map, run_original, run_ours
from .scenes import Case, simulate_case
from .score import score, zones

Row = dict[str, Any]
#: Change above which a pixel of a scene with new rock counts as replaced, metres: the scenes replace all of
#: it there.
REPLACED = 1.4


def run_scene(case: Case, seed: int, methods: tuple[str, ...], original: Path | None, *, single: bool) -> Row:
    """Score every method on one scene.

    Parameters
    ----------
    case : Case
        The class.
    seed : int
        Of everything random.
    methods : tuple of str
        Ours; the first is scored fully, and its pixels are those that all are scored on.
    original : pathlib.Path or None
        Folder of the published software; None: without it.
    single : bool
        The last date against the first, instead of mean against mean.

    Returns
    -------
    dict
        Plain values, one line of the results.
    """
    simulation = simulate_case(case, seed)
    truth = np.asarray(simulation.truth["elevation_change"].values[-1], dtype=float)
    seen = ~np.asarray(simulation.truth["hidden"].values).any(axis=0)
    spacing = case.radar.azimuth_spacing, case.pixel
    where = zones(truth, seen, spacing)
    row: Row = {"case": case.name, "class": asdict(case), "seed": seed, "single": single}
    maps: dict[str, list[Map]] = {}
    for method in methods:
        begin = time.perf_counter(), time.process_time()
        maps[method] = [run_ours(simulation, case, method, where["zone"] | where["rim"], single=single)]
        row[f"{method} seconds"] = time.perf_counter() - begin[0]
        row[f"{method} cpu"] = time.process_time() - begin[1]
    if original is not None:
        begin = time.perf_counter(), time.process_time()
        maps["original"] = run_original(simulation, case, original, single=single)
        row["original seconds"] = time.perf_counter() - begin[0]
    given = np.isfinite(maps[methods[0]][0].change)
    for method, answers in maps.items():
        for name, zone in where.items():
            results = []
            for answer in answers:
                change = answer.change if method == methods[0] else np.where(given, answer.change, np.nan)
                results.append(score(change, truth, zone, answer.std if method == methods[0] else None))
            row[f"{method} {name}"] = min(results, key=lambda r: r.get("rms", np.inf))
        unresolved = answers[0].unresolved
        if unresolved is not None:
            row[f"{method} unresolved"] = float(unresolved[seen].mean())
        if answers[0].volume is not None:
            row[f"{method} volume"] = list(answers[0].volume)
    if case.new:
        replaced = seen & (np.abs(truth) > REPLACED)
        row["replaced withheld"] = float((~given)[replaced].mean()) if replaced.any() else np.nan
    row["pixels"] = int(truth.size)
    row["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row
