"""The figures over all scenes, from the lines that the scenes left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import numpy as np

from .run import Row

#: Large changes of the real dome, and what a scene must come to.
NEVER_BELOW, MOST_FLAGGED, MOST_FLAGGED_ZONE = 1.5, 0.05, 0.10


def value(row: Row, method: str, zone: str, key: str) -> float:
    """Read a score; NaN where there is none."""
    found = row.get(f"{method} {zone}")
    return float(found.get(key, np.nan)) if isinstance(found, dict) else np.nan


def geometric(values: Iterable[float]) -> float:
    """Geometric mean of what is finite and positive."""
    good = np.array([v for v in values if np.isfinite(v) and v > 0])
    return float(np.exp(np.log(good).mean())) if good.size else float("nan")


def pooled(rows: Iterable[Row], method: str, zone: str, key: str) -> float:
    """Mean of a share over scenes, by the pixels that have a number."""
    total = weight = 0.0
    for row in rows:
        share = value(row, method, zone, key)
        pixels = value(row, method, zone, "pixels") * (1 - value(row, method, zone, "flagged"))
        if np.isfinite(share) and pixels > 0:
            total, weight = total + share * pixels, weight + pixels
    return total / weight if weight else float("nan")


def ratio(row: Row, ours: str, zone: str) -> float:
    """Error of the original over ours."""
    return value(row, "original", zone, "rms") / value(row, ours, zone, "rms")


def _changes(row: Row) -> bool:
    return bool(row["class"]["shape"] != "none")


def _new(row: Row) -> bool:
    return bool(row["class"]["new"])


def report(rows: list[Row], ours: str) -> str:
    """Write all figures.

    Parameters
    ----------
    rows : list of dict
        Of :func:`accuracy.run.run_scene`, mean against mean and one date against one together.
    ours : str
        The method that was scored fully.

    Returns
    -------
    str
        Markdown.
    """
    out: list[str] = []
    for single, title in ((False, "Mean of dates against mean"), (True, "One date against one")):
        some = [r for r in rows if bool(r["single"]) == single]
        if some:
            out += [f"# {title}: {len(some)} scenes", ""]
            for part in (_classes, _overall, _slopes, _coverage, _volumes, _large, _rock, _bright, _worst):
                out += [*part(some, ours), ""]
    out += list(_cost(rows, ours))
    return "\n".join(out)


def _by_class(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    for name, group in groupby(sorted(rows, key=lambda r: str(r["case"])), key=lambda r: str(r["case"])):
        yield name, list(group)


def _classes(rows: list[Row], ours: str) -> Iterator[str]:
    yield "## Classes (geometric means over seeds; bars pooled)"
    yield ""
    yield (
        "| class | error, changed / rim / still (m) | change (m rms) | times better, changed / still "
        "| 90 % bars, changed / still | flagged, changed / still |"
    )
    yield "|---|---|---|---|---|---|"
    for name, group in _by_class(rows):
        error = " / ".join(
            f"{geometric(value(r, ours, z, 'rms') for r in group):.2f}" for z in ("zone", "rim", "still")
        )
        times = " / ".join(f"{geometric(ratio(r, ours, z) for r in group):.1f}" for z in ("zone", "still"))
        bars = " / ".join(f"{pooled(group, ours, z, 'bars90'):.2f}" for z in ("zone", "still"))
        flags = " / ".join(
            f"{np.nanmean([value(r, ours, z, 'flagged') for r in group]):.2f}"
            if _changes(group[0]) or z == "still" else "–" for z in ("zone", "still")
        )  # fmt: skip
        change = geometric(value(r, ours, "zone", "truth") for r in group)
        yield f"| {name} | {error} | {change:.1f} | {times} | {bars} | {flags} |".replace("nan", "–")


def _overall(rows: list[Row], ours: str) -> Iterator[str]:
    kept = [r for r in rows if _changes(r) and not _new(r)]
    if not kept:
        return
    yield "## Against the original (texture kept)"
    for zone, name in (("zone", "changed"), ("still", "still")):
        each = [ratio(r, ours, zone) for r in kept]
        good = [v for v in each if np.isfinite(v)]
        if good:
            below = sum(v < NEVER_BELOW for v in good)
            yield (
                f"- {name} ground: geometric mean {geometric(good):.2f}, least {min(good):.2f}, "
                f"{below} of {len(good)} scenes below {NEVER_BELOW}"
            )
    sharp = [r for r in kept if str(r["case"]).startswith("sharp")]
    if sharp:
        yield f"- sharp shapes: {geometric(ratio(r, ours, 'zone') for r in sharp):.2f}"
    rim = geometric(value(r, ours, "rim", "rms") / value(r, ours, "still", "rms") for r in kept)
    yield f"- rim over still ground: geometric mean {rim:.2f}"
    for zone, name, most in (
        ("all", "visible ground", MOST_FLAGGED),
        ("zone", "visible change zone", MOST_FLAGGED_ZONE),
    ):
        share = np.array([value(r, ours, zone, "flagged") for r in kept])
        yield (
            f"- flagged of the {name}: median {np.nanmedian(share):.3f}, largest {np.nanmax(share):.3f}, "
            f"{int((share > most).sum())} scenes above {most:.0%}"
        )
    large = [
        r for r in rows if value(r, ours, "zone", "pixels") * (1 - value(r, ours, "zone", "flagged")) > 200
    ]
    worse = [f"{r['case']} {r['seed']}" for r in large if ratio(r, ours, "zone") < 1]
    yield f"- scenes whose changed ground is worse than the original's: {', '.join(worse) or 'none'}"
    wild = [
        f"{name} {pooled(group, ours, 'zone', 'beyond4'):.3f}" for name, group in _by_class(rows)
        if pooled(group, ours, "zone", "beyond4") >= 0.03
    ]  # fmt: skip
    yield f"- classes with 3 % or more of changed ground beyond 4 σ: {', '.join(wild) or 'none'}"


def _slopes(rows: list[Row], ours: str) -> Iterator[str]:
    domes = [r for r in rows if r["class"]["shape"] == "dome" and str(r["case"]).endswith(" m")]
    sizes = sorted({float(r["class"]["size"]) for r in domes})
    if not sizes:
        return
    yield "## It measures, it does not shrink (domes)"
    yield ""
    yield "| size (m) | slope, pooled | detected (core beyond 3 σ) | false alarms (still beyond 3 σ) |"
    yield "|---|---|---|---|"
    for size in sizes:
        some = [r for r in domes if r["class"]["size"] == size]
        both = sum(value(r, ours, "zone", "cross") for r in some)
        power = sum(value(r, ours, "zone", "power") for r in some)
        alarm = 1 - pooled(some, ours, "still", "in3")
        detected = pooled(some, ours, "core", "detected")
        yield f"| {size:g} | {both / power:.2f} | {detected:.2f} | {alarm:.4f} |"


def _coverage(rows: list[Row], ours: str) -> Iterator[str]:
    kept = [r for r in rows if not _new(r)]
    yield "## Coverage, pooled"
    for zone in ("zone", "rim", "still"):
        texts = [f"{key} {pooled(kept, ours, zone, key):.3f}" for key in ("bars50", "bars90", "beyond4")]
        yield f"- {zone}: {', '.join(texts)}"
    low = [
        f"{name} ({zone}) {share:.2f}" for name, group in _by_class(kept) for zone in ("zone", "still")
        if (share := pooled(group, ours, zone, "bars90")) < 0.75
    ]  # fmt: skip
    yield f"- classes whose 90 % bars hold less than 75 %: {', '.join(low) or 'none'}"
    none = [r for r in rows if not _changes(r)]
    if none:
        yield f"- unchanged scenes: {pooled(none, ours, 'still', 'in3'):.4f} of the pixels within 3 σ of zero"


def _volumes(rows: list[Row], ours: str) -> Iterator[str]:
    found = [r[f"{ours} volume"] for r in rows if _changes(r) and not _new(r) and r.get(f"{ours} volume")]
    found = [v for v in found if all(np.isfinite(v)) and v[2]]
    if not found:
        return
    error, std, truth = np.array(found).T
    yield "## Net volume (of the pixels that have a number)"
    yield f"- median error {np.median(np.abs(error / truth)):.1%} of the volume"
    yield f"- within 2 σ in {np.mean(np.abs(error) < 2 * std):.0%} of {len(found)} scenes"


def _large(rows: list[Row], ours: str) -> Iterator[str]:
    domes = [r for r in rows if r["class"]["shape"] == "helens" and not _new(r)]
    if not domes:
        return
    yield "## Large changes (the real dome, texture kept)"
    yield ""
    yield "| class | error / change | original | 90 % bars | beyond 4 σ | flagged |"
    yield "|---|---|---|---|---|---|"
    for name, some in _by_class(domes):
        truth = geometric(value(r, ours, "zone", "truth") for r in some)
        cells = [geometric(value(r, m, "zone", "rms") for r in some) / truth for m in (ours, "original")]
        rest = [pooled(some, ours, "zone", key) for key in ("bars90", "beyond4")]
        flagged = np.mean([value(r, ours, "zone", "flagged") for r in some])
        yield f"| {name} | {cells[0]:.1%} | {cells[1]:.0%} | {rest[0]:.2f} | {rest[1]:.3f} | {flagged:.2f} |"


def _rock(rows: list[Row], ours: str) -> Iterator[str]:
    fresh = [r for r in rows if _new(r)]
    old = [r for r in rows if not _new(r)]
    yield "## New rock"
    if fresh:
        withheld = np.array([r["replaced withheld"] for r in fresh], dtype=float)
        yield (
            f"- recognised (95 % of the replaced pixels withheld) in {np.mean(withheld >= 0.95):.0%} of "
            f"{len(fresh)} scenes; least {withheld.min():.2f}, median {np.median(withheld):.2f}"
        )
        far = np.array([[value(r, ours, "far", k) for k in ("flagged", "in3")] for r in fresh])
        yield (
            f"- still ground 50 m away: flagged at most {np.nanmax(far[:, 0]):.3f}; within 3 σ of zero at "
            f"least {np.nanmin(far[:, 1]):.3f}"
        )
    if old:
        false = np.array([float(r.get(f"{ours} unresolved", np.nan)) for r in old])
        share = np.mean(false > 0.01)
        yield f"- falsely (more than 1 % of the ground) in {share:.0%} of {len(old)} scenes without"


def _bright(rows: list[Row], ours: str) -> Iterator[str]:
    deposits = [r for r in rows if abs(r["class"]["decibel"]) == 2 and not _new(r)]
    if deposits:
        times = geometric(ratio(r, ours, "zone") for r in deposits)
        yield "## Brightness is not height (deposits of ±2 dB, old texture)"
        yield f"- {times:.2f} times better; 90 % bars hold {pooled(deposits, ours, 'zone', 'bars90'):.2f}"


def _worst(rows: list[Row], ours: str) -> Iterator[str]:
    kept = [r for r in rows if _changes(r) and not _new(r) and np.isfinite(ratio(r, ours, "zone"))]
    if kept:
        yield "## The worst ten scenes"
        for row in sorted(kept, key=lambda r: ratio(r, ours, "zone"))[:10]:
            times = ratio(row, ours, "zone")
            yield f"- {row['case']}, seed {row['seed']}: {times:.1f} times; {reason(row, ours)}"


def reason(row: Row, ours: str) -> str:
    """Say what a scene's error is made of."""
    error, truth = value(row, ours, "zone", "rms"), value(row, ours, "zone", "truth")
    slope, bias = value(row, ours, "zone", "slope"), value(row, ours, "zone", "bias")
    tests: list[tuple[Callable[[], bool], str]] = [
        (lambda: error < 1.5 * value(row, ours, "still", "rms"), "no worse than still ground: noise"),
        (lambda: slope < 0.85, f"the change is held back (slope {slope:.2f})"),
        (lambda: slope > 1.15, f"the change is overdone (slope {slope:.2f})"),
        (lambda: abs(bias) > 0.5 * error, f"a common offset ({bias:+.2f} m)"),
        (lambda: value(row, ours, "zone", "beyond4") > 0.03, "places that lost lock or sharp edges (> 4 σ)"),
        (lambda: error > 0.2 * truth, "shape errors within the change"),
    ]
    found = [text for test, text in tests if test()]
    return "; ".join(found) or "the original does well here"


def _cost(rows: list[Row], ours: str) -> Iterator[str]:
    cpu = [r[f"{ours} cpu"] / r["pixels"] * 1e6 for r in rows if f"{ours} cpu" in r]
    if cpu:
        yield "# Cost"
        middle = np.median(cpu)
        yield f"- {ours}: {middle:.0f} s of one core a million pixels (median), {max(cpu):.0f} at most"
        yield f"- memory: {max(r['megabytes'] for r in rows)} MB at most, simulator and all methods together"
