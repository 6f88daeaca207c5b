"""Orbit files of Sentinel-1 (POEORB, RESORB): the best one that covers an acquisition."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mosart.errors import InputError
from mosart.geometry.orbit import Orbit

from . import xml

logger = logging.getLogger(__name__)

#: Seconds of vectors that are kept to either side of an acquisition.
_MARGIN = 120.0


def read_eof(path: Path, first: dt.datetime, last: dt.datetime, epoch: dt.datetime) -> tuple[str, Orbit]:
    """Platform and orbit of an EOF file around an acquisition.

    Parameters
    ----------
    path : Path
        Orbit file.
    first, last : datetime
        Acquisition, naive UTC.
    epoch : datetime
        Zero of the orbit's times.

    Returns
    -------
    platform : str
        As "S1A".
    orbit : Orbit
        Its vectors may end before the acquisition does: see :meth:`Orbit.covers`.

    Raises
    ------
    InputError
        If the file is damaged or none of its vectors is near the acquisition.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the orbit file cannot be read", got=str(error)) from None
    root = xml.parse(content, str(path), "orbit file")
    with xml.reading(str(path), "orbit file"):
        mission = next(e.text or "" for e in root.iter() if e.tag.endswith("Mission"))
        platform = "S1" + re.sub(r"[^A-Z]", "", mission.upper())[-1:]
        kind = next((e.text or "" for e in root.iter() if e.tag.endswith("File_Type")), "")
        times, position, velocity = [], [], []
        for vector in root.iter("OSV"):
            when = xml.moment(xml.text(vector, "UTC"))
            margin = dt.timedelta(seconds=_MARGIN)
            if not first - margin <= when <= last + margin:
                continue
            times.append((when - epoch).total_seconds())
            position.append([float(xml.text(vector, k)) for k in ("X", "Y", "Z")])
            velocity.append([float(xml.text(vector, k)) for k in ("VX", "VY", "VZ")])
    if len(times) < 4:
        raise InputError(f"{path}: no state vectors around {first:%Y-%m-%d %H:%M:%S}")
    source = f"{'POEORB' if 'POE' in kind else 'RESORB' if 'RES' in kind else 'orbit file'} {path.name}"
    return platform, Orbit(epoch, np.array(times), np.array(position), np.array(velocity), source)


def find_orbits(paths: Sequence[str | Path]) -> tuple[Path, ...]:
    """Orbit files among files and folders, sorted by name."""
    found: set[Path] = set()
    for item in paths:
        path = Path(item)
        if path.is_dir():
            found.update(p for p in path.iterdir() if p.suffix.upper() == ".EOF")
        elif path.exists():
            found.add(path)
        else:
            raise InputError(f"orbit file {path} does not exist")
    return tuple(sorted(found))


def _validity(path: Path) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the validity that a file's name states, to open no more files than needed, or None."""
    match = re.search(r"_V(\d{8}T\d{6})_(\d{8}T\d{6})", path.name)
    if not match:
        return None
    try:
        return tuple(dt.datetime.strptime(g, "%Y%m%dT%H%M%S") for g in match.groups())  # type: ignore[return-value]
    except ValueError:
        return None


def choose_orbit(  # noqa: PLR0917
    annotation: Orbit, files: Sequence[Path], platform: str, first: dt.datetime, last: dt.datetime, what: str
) -> Orbit:
    """Return the orbit to use for an acquisition: precise, else restituted, else the annotation's.

    An orbit is never extrapolated: a file of another satellite, another day, or one that ends before the
    acquisition does is passed over, and the annotation is used with a warning.

    Parameters
    ----------
    annotation : Orbit
        From the product itself.
    files : sequence of Path
        Orbit files, of any dates and satellites.
    platform : str
        As "S1A".
    first, last : datetime
        Acquisition.
    what : str
        Name of the product.

    Returns
    -------
    Orbit
        With ``source`` saying which it is.

    Raises
    ------
    InputError
        If the annotation's own vectors do not cover the acquisition either.
    """
    found: list[tuple[int, str, Orbit]] = []
    reasons: list[str] = []
    start, stop = annotation.seconds(first), annotation.seconds(last)
    for path in files:
        validity = _validity(path)
        if validity and not (validity[0] <= first and last <= validity[1]):
            reasons.append(f"{path.name} is of another time")
            continue
        try:
            owner, orbit = read_eof(path, first, last, annotation.epoch)
        except InputError as error:
            reasons.append(f"{path.name}: {error.what}")
            continue
        if owner != platform:
            reasons.append(f"{path.name} is of {owner}")
        elif not orbit.covers(start, stop):
            reasons.append(f"{path.name} ends before the acquisition does")
        else:
            found.append((0 if orbit.source.startswith("POEORB") else 1, path.name, orbit))
    if found:
        return min(found, key=lambda item: (item[0], item[1]))[2]
    if not annotation.covers(start, stop):
        raise InputError(
            f"{what}: the state vectors do not reach over the acquisition",
            expected=f"vectors from {first} to {last}",
            got=f"{annotation.epoch + dt.timedelta(seconds=float(annotation.times[0]))} to "
            f"{annotation.epoch + dt.timedelta(seconds=float(annotation.times[-1]))}",
        )
    if files:
        logger.warning(
            "%s: none of the orbit files fits (%s); the annotation's orbit is used", what, "; ".join(reasons)
        )
    return annotation
