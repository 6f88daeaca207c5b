"""The figures over all scenes, from the lines that the scenes left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from .run import Row

#: What a group of classes must come to: error over 40-200 m (share of the change), at 10 m (metres).
GROUPS = {
    "new rock, opposite looks": (("new ",), 0.07, 0.8),
    "texture kept": (("kept ",), 0.04, 0.7),
    "35° and 45°": (("35°",), 0.10, None),
    "brighter by 10 % in one look": (("brighter",), 0.10, None),
    "growing": (("growing",), 0.10, None),
    "law 1.6": (("law",), 0.10, None),
    "crossing": (("crossing",), 0.10, None),
    "same side": (("same side",), 0.10, None),
    "sharp, new rock": (("flow new", "terrace new", "slide new", "pit new"), 0.15, None),
    "sharp, kept": (("flow kept", "terrace kept", "slide kept", "pit kept"), 0.10, None),
}


def relative(row: Row) -> float:
    """Error over the rms of the change."""
    zone = row["zone"]
    return float(zone.get("rms", np.nan) / zone["truth"])


def _geometric(values: Iterable[float]) -> float:
    good = np.array([v for v in values if np.isfinite(v) and v > 0])
    return float(np.exp(np.log(good).mean())) if good.size else float("nan")


def pooled(rows: Iterable[Row], zone: str, key: str) -> float:
    """Mean of a share over the pixels that have a number."""
    total = weight = 0.0
    for row in rows:
        found = row[zone]
        pixels = found["pixels"] * (1 - found["flagged"])
        if key in found and pixels > 0:
            total, weight = total + found[key] * pixels, weight + pixels
    return total / weight if weight else float("nan")


def _rms(rows: Iterable[Row], zone: str) -> float:
    found = [r[zone] for r in rows if "rms" in r[zone]]
    pixels = [f["pixels"] * (1 - f["flagged"]) for f in found]
    return (
        float(np.sqrt(np.average([f["rms"] ** 2 for f in found], weights=pixels))) if found else float("nan")
    )


def _other(row: Row, name: str) -> tuple[float, float]:
    """Relative error of the better look of another method, and ours over it, on the same pixels."""
    answers = [a for look in row.get(name, []) for a in look if "rms" in a]
    if not answers:
        return float("nan"), float("nan")
    best = min(answers, key=lambda a: a["rms"] / a["truth"])
    return best["rms"] / best["truth"], best["joint"] / best["rms"]


def _name(row: Row) -> str:
    return str(row["case"])


def line(row: Row) -> str:
    """One scene in one line."""
    zone = row["zone"]
    text = f"{row['case']:26s} {row['seed']} | {zone.get('rms', np.nan):6.2f} of {zone['truth']:6.2f} m"
    text += f" {100 * relative(row):5.1f} % | bars {zone.get('bars90', np.nan):.2f}"
    text += f" >4σ {zone.get('beyond4', np.nan):.3f} flagged {zone['flagged']:.2f}"
    text += f" | still {row['still'].get('rms', np.nan):.2f}/{row['far'].get('rms', np.nan):.2f}"
    text += f" in3 {row['still'].get('in3', np.nan):.3f} given {min(row['given']):.2f}"
    text += " | volume " + " ".join(f"{e / t:+.3f} ({e / max(s, 1e-9):+.1f}σ)" for e, s, t in row["volume"])
    for other in ("alone", "original"):
        if other in row:
            text += f" | {other} {100 * _other(row, other)[0]:.1f} % (x{_other(row, other)[1]:.2f})"
    return text + f" | range {row['range']:.0f} | {row['cpu']:.0f} s"


def report(rows: list[Row]) -> str:
    """Write all figures.

    Parameters
    ----------
    rows : list of dict
        Of :func:`two_looks.run.run_scene`.

    Returns
    -------
    str
        Markdown.
    """
    return "\n".join([*_classes(rows), "", *_groups(rows), "", *_overall(rows)])


def _classes(rows: list[Row]) -> Iterator[str]:
    yield "| class | error (m) | of the change | 90 % bars | > 4 σ | flagged | volume | still, far (m) "
    yield "| one look, better | original, better | s |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for name, group in groupby(sorted(rows, key=_name), key=_name):
        some = list(group)
        volumes = [abs(v[0] / v[2]) for r in some for v in r["volume"]]
        others = [_geometric(_other(r, m)[0] for r in some) for m in ("alone", "original")]
        cells = [
            name,
            f"{_geometric(r['zone'].get('rms', np.nan) for r in some):.2f}",
            f"{_geometric(relative(r) for r in some):.1%}",
            f"{pooled(some, 'zone', 'bars90'):.2f}",
            f"{pooled(some, 'zone', 'beyond4'):.3f}",
            f"{np.mean([r['zone']['flagged'] for r in some]):.2f}",
            f"{np.mean(volumes):.1%}" if volumes else "",
            f"{_rms(some, 'still'):.2f}, {_rms(some, 'far'):.2f}",
            *(f"{o:.0%}" if np.isfinite(o) else "" for o in others),
            f"{np.mean([r['cpu'] for r in some]):.0f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def _groups(rows: list[Row]) -> Iterator[str]:
    yield "| group | error, 40 m and more | worst | bound | at 10 m (m) | bound | bars | > 4 σ |"
    yield "|---|---|---|---|---|---|---|---|"
    for title, (starts, most, least) in GROUPS.items():
        some = [r for r in rows if _in_group(r, starts)]
        large = [relative(r) for r in some if abs(r["class"]["size"]) >= 40]
        small = [r["zone"].get("rms", np.nan) for r in some if abs(r["class"]["size"]) < 40]
        if not some:
            continue
        yield (
            f"| {title} | {_geometric(large):.1%} | {max(large, default=float('nan')):.1%} | {most:.0%} "
            f"| {_geometric(small):.2f} | {least or ''} | {pooled(some, 'zone', 'bars90'):.2f} "
            f"| {pooled(some, 'zone', 'beyond4'):.3f} |"
        )


def _in_group(row: Row, starts: tuple[str, ...]) -> bool:
    words = row["case"].split()
    short = f"{words[0]} {words[-1]}"
    return any(row["case"].startswith(s) or short == s for s in starts)


def _overall(rows: list[Row]) -> Iterator[str]:
    bound = [r for r in rows if r["class"]["sensor"] == "dome"]
    changed = [r for r in bound if r["class"]["shape"] != "none"]
    volumes = [v for r in changed for v in r["volume"] if np.isfinite(v).all() and v[1] > 0]
    bars = {
        name: pooled(list(g), "zone", "bars90") for name, g in groupby(sorted(changed, key=_name), key=_name)
    }
    low = [f"{name} {share:.2f}" for name, share in bars.items() if share < 0.75]
    yield f"- 90 % bars hold {pooled(changed, 'zone', 'bars90'):.3f}; below 0.75: {', '.join(low) or 'none'}"
    yield f"- beyond 4 σ: {pooled(changed, 'zone', 'beyond4'):.4f}"
    yield f"- still ground {_rms(changed, 'still'):.2f} m, more than 100 m away {_rms(changed, 'far'):.2f} m"
    if changed:
        yield f"- flagged, most of a scene: {max(r['zone']['flagged'] for r in changed):.2f}"
        yield f"- given of what any look sees, least: {min(min(r['given']) for r in changed):.2f}"
    if volumes:
        close = [abs(e / t) < 0.05 for e, _, t in volumes]
        sure = [abs(e) < 2 * s for e, s, _ in volumes]
        yield f"- volume within 5 % in {np.mean(close):.0%}, within 2 σ in {np.mean(sure):.0%}"
    worse = [f"{r['case']} {x:.2f}" for r in changed if (x := _other(r, "alone")[1]) > 1.15]
    yield f"- worse than the better look alone by more than 15 %: {', '.join(worse) or 'none'}"
    none = [r for r in bound if r["class"]["shape"] == "none"]
    if none:
        yield (
            f"- unchanged: within 3 σ {pooled(none, 'still', 'in3'):.4f}, "
            f"called new {np.mean([r['new found'] for r in none]):.3f}"
        )
    cpu = [r["cpu"] for r in rows]
    yield f"- one core: {np.median(cpu):.0f} s (median), at most {max(cpu):.0f} s"
