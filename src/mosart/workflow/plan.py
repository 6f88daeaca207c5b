"""The plan of a run: what it will do, with every input open and fit for use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mosart.areas import Areas
from mosart.geometry import LookFrame
from mosart.inversion import Entry
from mosart.io.survey import Survey
from mosart.stack import Stack

from .accuracy import expected_error
from .config import Config
from .memory import Estimate


@dataclass(frozen=True)
class Look:
    """One stack of a run: what one radar saw from one side.

    Parameters
    ----------
    name : str
        Its file's stem: what it is called in products and messages where there are several.
    source : Path
        The stack file.
    stack : Stack
        Cropped, with its layover, shadow and water flagged, without its empty images.
    frame : LookFrame or None
        The look of the cropped grid; None where it cannot be known.
    geometry_fault : str
        Why it cannot be known.
    found : Survey
        What the pixels hold.
    """

    name: str
    source: Path
    stack: Stack
    frame: LookFrame | None
    geometry_fault: str
    found: Survey

    @property
    def geometry(self) -> str:
        """Describe the geometry in one line."""
        return geometry_text(self.frame, self.geometry_fault)

    @property
    def bearing(self) -> float | None:
        """Bearing that the radar looks to, degrees clockwise from north."""
        if self.frame is None or self.frame.look_direction == "unknown":
            return None
        look = (self.frame.heading + (90.0 if self.frame.look_direction == "right" else -90.0)) % 360.0
        return None if np.isnan(look) else look

    @property
    def attributes(self) -> dict[str, str]:
        """What a product tells of the look, where it is known."""
        if self.frame is None or self.frame.look_direction == "unknown":
            return {}
        told = {"look_direction": self.frame.look_direction}
        if np.isfinite(self.frame.heading):
            told["heading"] = f"{self.frame.heading:.6g}"
        return told

    def dates_of(self, dates: Sequence[dt.date]) -> tuple[dt.date, ...]:
        """Those of some dates that the stack has an image of."""
        return tuple(date for date in dates if date in self.stack.dates)


@dataclass(frozen=True)
class Plan:
    """What a run will do; every input it needs is open and fit for use.

    Parameters
    ----------
    config : Config
        As used: what was left at a default that depends on the stack is filled in.
    looks : tuple of Look
        The stacks; several are joined to one result on the map.
    reference : tuple of date
        Dates the change counts from, of any of the looks.
    entries : tuple of Entry
        What the result will hold.
    areas : Areas or None
        Areas and points of interest.
    polygons : Areas or None
        Those that a volume is asked of.
    stable : ndarray of bool, (azimuth, range), or None
        Ground that the user says did not change.
    weights : str or ndarray
        As :func:`mosart.inversion.invert` takes them.
    memory : Estimate
        What the run will need.
    workers : int
        Threads.
    inputs : tuple of Path
        Files of the user's that the run reads.
    hashes : mapping of Path to str
        SHA-256 of those that are known already.
    overlap : tuple of str
        Of several looks, how much ground each sees, and how much of it others see too.
    """

    config: Config
    looks: tuple[Look, ...]
    reference: tuple[dt.date, ...]
    entries: tuple[Entry, ...]
    areas: Areas | None
    polygons: Areas | None
    stable: NDArray[np.bool_] | None
    weights: str | NDArray[np.float64]
    memory: Estimate
    workers: int
    inputs: tuple[Path, ...] = field(default=())
    hashes: Mapping[Path, str] = field(default_factory=dict)
    overlap: tuple[str, ...] = field(default=())

    @property
    def joint(self) -> bool:
        """Whether several looks are joined."""
        return len(self.looks) > 1

    @property
    def look(self) -> Look:
        """The one look, of several the first."""
        return self.looks[0]

    @property
    def stack(self) -> Stack:
        """Its stack."""
        return self.look.stack

    @property
    def frame(self) -> LookFrame | None:
        """Its geometry."""
        return self.look.frame

    @property
    def radar_files(self) -> dict[str, Look]:
        """The looks by the files that hold their results on the radar grids."""
        if not self.joint:
            return {"radar.nc": self.look}
        return {f"radar_{look.name}.nc": look for look in self.looks}

    @property
    def method(self) -> str:
        """Name of the method: the config's, which is filled in."""
        return str(self.config.method)

    @property
    def mapped(self) -> bool:
        """Whether the products go on a map grid: with lon/lat and a known look."""
        return self.stack.has_lonlat and self.frame is not None

    def text(self) -> str:
        """Tell a user what the run will do."""
        told: list[tuple[str, str]] = []
        for index, look in enumerate(self.looks):
            told += self._look_text(look, self.overlap[index] if self.joint else "")
        told += [
            ("method", self.method),
            ("options", self._options_text()),
            ("reference", names(self.reference)),
            ("entries", names([entry.date for entry in self.entries])),
            ("areas", ", ".join(self.areas.names) if self.areas else "none named"),
            ("products", f"{self.config.out}{'' if self.mapped else ' (radar grid only, no map)'}"),
            ("memory", f"about {self.memory.peak / 2**30:.2f} GiB with {self.workers} workers"),
            ("disk", f"about {self.memory.disk / 2**30:.2f} GiB"),
        ]
        if self.memory.seconds:
            told.append(("time", f"about {_duration(self.memory.seconds)} for the inversion on one core"))
        told.append(("error", expected_error(self.method, looks=len(self.looks))))
        return "\n".join(f"{name:<10} {text}" for name, text in told)

    def _look_text(self, look: Look, overlap: str) -> list[tuple[str, str]]:
        dates, rows, columns = look.stack.shape
        lines = [
            ("stack", f"{look.source}"),
            ("size", f"{dates} dates, {rows} azimuth rows x {columns} range pixels"),
            ("dates", names(look.stack.dates)),
            ("heights", f"{look.found.heights[0]:.0f} to {look.found.heights[1]:.0f} m"),
            ("geometry", look.geometry),
        ]
        if not self.joint:
            return lines
        taken = [f"reference {names(look.dates_of(self.reference))}"]
        for entry in self.entries:
            own = look.dates_of(entry.images)
            taken.append(f"epoch {entry.date:%Y%m%d}: {names(own) or 'no image'}")
        lines[0] = ("look", f"{look.name}: {look.source}")
        return [*lines, ("takes", "; ".join(taken)), ("sees", overlap)]

    def _options_text(self) -> str:
        if self.method == "synthesis":
            return "none: despeckling and weights are for the row-wise methods"
        return f"despeckle {self.config.despeckle}, weights {self.config.weights}"


def geometry_text(frame: LookFrame | None, fault: str) -> str:
    """Describe a look in one line."""
    if frame is None:
        return f"unknown: {fault}"
    theta = frame.incidence_angle
    angle = f"{theta[0]:.2f}" if np.ptp(theta) < 0.005 else f"{theta.min():.2f} to {theta.max():.2f}"
    error = f" +- {frame.incidence_std_error:.2f}" if frame.incidence_std_error > 0 else ""
    heading = "unknown" if np.isnan(frame.heading) else f"{frame.heading:.1f} deg"
    return (
        f"incidence {angle}{error} deg, range spacing {frame.range_spacing:.3f} m (slant), azimuth spacing "
        f"{frame.azimuth_spacing:.3f} m, {frame.look_direction}-looking, heading {heading}; {frame.source}"
    )


def names(dates: Sequence[dt.date]) -> str:
    """Write dates as the config takes them."""
    return ", ".join(f"{date:%Y%m%d}" for date in dates)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
