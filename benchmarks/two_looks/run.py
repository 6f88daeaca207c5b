"""One scene: all looks together, beside each look alone and the original, scored on the looks' own grids."""

from __future__ import annotations

import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

import mosart
from accuracy.methods import run_original
from accuracy.score import score, zones
from mosart.inversion.synthesis.joint import Joint, solve_jointly
from mosart.inversion.synthesis.nodes import MapNodes
from mosart.inversion.synthesis.reference import learn_reference, read_epoch
from mosart.inversion.synthesis.sharedground import LocalFrame
from mosart.inversion.synthesis.together import map_looks
from mosart.simulate import Simulation

from .scenes import GROWTH, Looks, simulate_looks

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
Row = dict[str, Any]

#: Distance from the change at which still ground counts as far from it, metres.
FAR = 100.0
ZONES = ("zone", "still", "far")


@dataclass(frozen=True)
class Seen:
    """A look's pixels: where they are, the truth there, and which looks see it."""

    east: Array
    north: Array
    truth: Array
    by_all: Bool
    by_any: Bool
    area: Array

    def zones(self, spacing: tuple[float, float]) -> dict[str, Bool]:
        """Find changed and still ground that all looks see; `far`: more than 100 m from the change."""
        found = zones(self.truth, self.by_all, spacing)
        size = np.abs(self.truth)
        if size.max() > 0:
            away = distance_transform_edt(size <= 0.01 * size.max(), sampling=spacing) > FAR
            found["far"] = found["still"] & away
        return found


def seen(simulations: list[Simulation], case: Looks, frame: LocalFrame) -> list[Seen]:
    """Read truth and visibility at the pixels of every look.

    Parameters
    ----------
    simulations : list of Simulation
        The looks.
    case : Looks
        Their class.
    frame : LocalFrame
        Of the positions.

    Returns
    -------
    list of Seen
        One a look. Where the ground grows between the looks, the truth is its mean over them.
    """
    grown = [1 + GROWTH * case.days(view) if case.grows else 1.0 for view in case.views]
    positions, hidden = [], []
    for s in simulations:
        data = s.stack.dataset
        positions.append(
            frame.metres(np.asarray(data["longitude"].values), np.asarray(data["latitude"].values))
        )
        hidden.append(np.asarray(s.truth["hidden"].values).any(axis=0))
    trees = [cKDTree(np.stack([e.ravel(), n.ravel()], axis=1)) for e, n in positions]
    out = []
    for k, s in enumerate(simulations):
        east, north = positions[k]
        there = np.stack([east.ravel(), north.ravel()], axis=1)
        visible = []
        for j, tree in enumerate(trees):
            away, nearest = tree.query(there)
            inside = away < 2 * max(case.pixel, case.radar.azimuth_spacing)
            visible.append((inside & ~hidden[j].ravel()[nearest]).reshape(east.shape))
        truth = np.asarray(s.truth["elevation_change"].values[-1], dtype=float)
        x = s.frame.ground_range(np.asarray(s.stack.dataset["height"].values, dtype=float))
        area = np.abs(np.gradient(x, axis=1)) * case.radar.azimuth_spacing
        out.append(
            Seen(
                east,
                north,
                truth * float(np.mean(grown)) / grown[k],
                np.logical_and.reduce(visible),
                np.logical_or.reduce(visible),
                area,
            )
        )
    return out


def solve(simulations: list[Simulation], dates: int) -> tuple[Joint, MapNodes, LocalFrame]:
    """Invert all looks together."""
    references, epochs, lonlats = [], [], []
    for s in simulations:
        data = s.stack.dataset
        images = np.asarray(data["amplitude"].values, dtype=float) ** 2
        height = np.asarray(data["height"].values, dtype=float)
        references.append(learn_reference(list(images[:dates]), height, s.frame))
        epochs.append(read_epoch(list(images[dates:]), references[-1]))
        lonlats.append((np.asarray(data["longitude"].values), np.asarray(data["latitude"].values)))
    looks, nodes, frame = map_looks(references, epochs, lonlats)
    return solve_jointly(looks, nodes), nodes, frame


def run_scene(case: Looks, seed: int, original: Path | None, *, alone: bool) -> Row:
    """Score one scene.

    Parameters
    ----------
    case : Looks
        The class.
    seed : int
        Of everything random.
    original : pathlib.Path or None
        Folder of the published software; None: without it.
    alone : bool
        Whether each look is inverted alone too.

    Returns
    -------
    dict
        Plain values, one line of the results.
    """
    simulations = simulate_looks(case, seed)
    begin = time.perf_counter(), time.process_time()
    joint, nodes, frame = solve(simulations, case.dates)
    row: Row = {
        "case": case.name,
        "class": asdict(case),
        "seed": seed,
        "seconds": time.perf_counter() - begin[0],
        "cpu": time.process_time() - begin[1],
        "range": joint.correlation_range,
        "ratio": list(joint.ratio),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    looks = seen(simulations, case, frame)
    spacing = case.radar.azimuth_spacing, case.pixel
    masks = [look.zones(spacing) for look in looks]
    ways = [nodes.interpolation(look.north, look.east) for look in looks]

    def on(k: int, values: Array) -> Array:
        return np.asarray(ways[k] @ values.ravel()).reshape(looks[k].truth.shape)

    given = [on(k, joint.unresolved.astype(float)) < 0.5 for k in range(len(looks))]
    change = [np.where(given[k], on(k, joint.change), np.nan) for k in range(len(looks))]
    std = [on(k, joint.std) for k in range(len(looks))]
    for zone in ZONES:
        row[zone] = score(
            *(np.concatenate([a.ravel() for a in arrays]) for arrays in (
                change, [look.truth for look in looks], [m[zone] for m in masks], std
            ))
        )  # fmt: skip
    row["new found"] = [
        float(np.mean(on(k, 1 - joint.kept)[m["zone" if m["zone"].any() else "still"]]))
        for k, m in enumerate(masks)
    ]
    row["given"] = [float(np.mean(g[look.by_any])) for g, look in zip(given, looks)]
    row["volume"] = [
        _volume(change[k], looks[k], masks[k]["zone"], [on(k, d) for d in joint.draws])
        for k in range(len(looks))
        if (masks[k]["zone"] & np.isfinite(change[k])).any()  # nothing given has no volume
    ]
    for name, maps in _others(simulations, case, original, alone).items():
        row[name] = [
            [_against(answer, change[k], looks[k].truth, masks[k]["zone"]) for answer in maps[k]]
            for k in range(len(looks))
        ]
    return row


def _volume(change: Array, look: Seen, zone: Bool, draws: list[Array]) -> tuple[float, float, float]:
    """Error, standard error and truth of the volume of the changed ground that is given, m³."""
    use = zone & np.isfinite(change)
    area = look.area[use]
    error = float(np.sum(area * (change - look.truth)[use]))
    sums = [float(np.sum(area * d[use])) for d in draws]
    return error, float(np.sqrt(np.mean(np.square(sums)))), float(np.sum(area * look.truth[use]))


def _others(
    simulations: list[Simulation], case: Looks, original: Path | None, alone: bool
) -> dict[str, list[list[Array]]]:
    """Invert each look alone, and by the original: maps of (method, look, answer)."""
    out = {}
    if alone:
        out["alone"] = [
            [
                np.asarray(
                    mosart.invert(s.stack, reference=case.before(view), epochs=[case.after(view)])
                    .dataset["elevation_change"]
                    .values[0],
                    dtype=float,
                )
            ]
            for s, view in zip(simulations, case.views)
        ]
    if original is not None:
        out["original"] = [
            [m.change for m in run_original(s, case, original)]
            for s in simulations  # type: ignore[arg-type]
        ]
    return out


def _against(other: Array, joint: Array, truth: Array, zone: Bool) -> dict[str, float]:
    """Errors of another answer and of ours where both are given."""
    use = zone & np.isfinite(other) & np.isfinite(joint)
    if not use.any():
        return {"given": 0.0}
    rms = [float(np.sqrt(np.mean((m - truth)[use] ** 2))) for m in (other, joint, 0 * truth)]
    return {"given": float(use.sum() / zone.sum()), "rms": rms[0], "joint": rms[1], "truth": rms[2]}
