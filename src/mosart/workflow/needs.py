"""What each step of a run depends on, declared in this one place."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

import mosart
from mosart.areas import Areas
from mosart.geometry import LookFrame
from mosart.inversion import Entry
from mosart.io.digest import digest_array, digest_data, digest_file
from mosart.stack import ATTRIBUTES

from .config import Config
from .provenance import software_version
from .steps import Step

if TYPE_CHECKING:
    from .check import Plan

#: Keys of the config that may be why a need that begins so has changed.
CAUSES = {
    "the image of": ("crop", "water", "geometry"),
    "the DEM": ("crop",),
    "the positions": ("crop",),
    "the geometry of the look": ("geometry", "crop"),
    "the weights": ("weights", "stable", "crop"),
    "the stable ground": ("stable", "crop"),
    "the areas": ("areas", "points", "crop"),
    "the result of": ("crop", "method", "reference", "water", "geometry", "despeckle", "weights", "stable"),
    "the map of": ("grid", "crop", "method", "reference", "despeckle", "weights", "stable"),
}
#: What a product tells of its stack; a copy elsewhere is no other stack.
_TOLD = tuple(name for name in ATTRIBUTES if name != "source")


@cache
def software() -> str:
    """Fingerprint the software: its version and, for a version under development, its text."""
    folder = Path(mosart.__file__).parent
    parts = {p.relative_to(folder).as_posix(): digest_file(p) for p in sorted(folder.rglob("*.py"))}
    return f"{software_version()} {digest_data(parts)}"


def keys_of(config: Config) -> dict[str, str]:
    """Write every key of a config as a text."""
    return {name: json.dumps(value, sort_keys=True) for name, value in config.model_dump(mode="json").items()}


class Needs:
    """The steps of a plan.

    Parameters
    ----------
    plan : Plan
        What the run will do.
    stack_name : str
        Tells the stacks of a run apart; empty where there is one.
    """

    def __init__(self, plan: Plan, stack_name: str = "") -> None:
        config, found = plan.config, plan.found
        self.plan = plan
        self._suffix = f" of {stack_name}" if stack_name else ""
        self._config = keys_of(config)
        self._look = _digest_frame(plan.frame)
        planes = {
            name: value for name, value in found.planes.items() if name not in ("longitude", "latitude")
        }
        self._shared = {
            "MoSARt": software(),
            "`method`": plan.method,
            "`despeckle`": config.despeckle,
            "the geometry of the look": self._look,
            "the DEM": planes.pop("height"),
            "the weights": plan.weights if isinstance(plan.weights, str) else digest_array(plan.weights),
            "the stable ground": "" if plan.stable is None else digest_array(plan.stable),
            "the description of the stack": self._told(),
            **{f"`{name}` of the stack": value for name, value in planes.items()},
        }
        self._places = digest_data([found.planes.get("longitude"), found.planes.get("latitude")])
        if plan.method == "synthesis":
            self._shared["the positions"] = self._places
        self._entries = {entry.date: entry for entry in plan.entries}

    def _told(self) -> str:
        attrs = self.plan.stack.dataset.attrs
        return digest_data({name: str(attrs.get(name)) for name in _TOLD})

    def inversion(self, date: dt.date) -> Step:
        """Invert one entry."""
        entry: Entry = self._entries[date]
        names = [f"{d:%Y%m%d}" for d in entry.reference]
        needs = dict(self._shared) | {"`reference`": ",".join(names)}
        for image in (*entry.images, *entry.reference):
            needs[f"the image of {image:%Y%m%d}"] = self.plan.found.images[image]
        return Step(f"inversion {date:%Y%m%d}{self._suffix}", needs, r"pieces/.*")

    def radar(self) -> Step:
        """Write the file of all results on the radar grid."""
        needs = {
            **self._results(),
            "the positions": self._places,
            "`reference`": ",".join(f"{d:%Y%m%d}" for d in self.plan.reference),
        }
        return Step(f"radar.nc{self._suffix}", needs, r"radar.*\.nc")

    def layer(self, date: dt.date) -> Step:
        """Bring one entry to the map."""
        needs = {
            f"the result of {date:%Y%m%d}": self.inversion(date).key,
            "the positions": self._places,
            "`grid`": self._config["grid"],
        }
        return Step(f"map {date:%Y%m%d}", needs, r"pieces/.*")

    def map(self) -> Step:
        """Write the file of all maps."""
        return Step("elevation_change.nc", self._maps(), r"elevation_change\.nc")

    def geotiff(self, date: dt.date) -> Step:
        """Write the GeoTIFFs of one entry."""
        needs = {
            f"the map of {date:%Y%m%d}": self.layer(date).key,
            "`reference`": ",".join(f"{d:%Y%m%d}" for d in self.plan.reference),
        }
        return Step(f"GeoTIFF {date:%Y%m%d}", needs, rf"geotiff/.*_{date:%Y%m%d}\.tif")

    def tables(self) -> Step:
        """Write time series, volumes, and the areas that they are of."""
        needs = {
            **self._results(),
            "the positions": self._places,
            "the areas": digest_areas(self.plan.areas),
            "which of them have a volume": digest_areas(self.plan.polygons),
        }
        return Step("tables", needs)

    def figures(self) -> Step:
        """Draw the figures."""
        return Step("figures", {**self._shown(), "`activity`": self._config["activity"]})

    def mintpy(self) -> Step:
        """Write the files for MintPy."""
        return Step("mintpy", {**self._results(), **self._maps()})

    def gis(self) -> Step:
        """Write the files for QGIS and bowser, which show the GeoTIFFs."""
        return Step("qgis", self._maps())

    def page(self, told: Mapping[str, str]) -> Step:
        """Make the page.

        Parameters
        ----------
        told : mapping of str to str
            What else it shows: the config as used and the run's warnings.
        """
        return Step("report.html", {**self._shown(), "`activity`": self._config["activity"], **told})

    def _results(self) -> dict[str, str]:
        return {f"the result of {date:%Y%m%d}": self.inversion(date).key for date in self._entries}

    def _maps(self) -> dict[str, str]:
        if not self.plan.mapped:
            return {}
        reference = {"`reference`": ",".join(f"{d:%Y%m%d}" for d in self.plan.reference)}
        return reference | {f"the map of {date:%Y%m%d}": self.layer(date).key for date in self._entries}

    def _shown(self) -> dict[str, str]:
        """List what figures and page show: results, maps, areas and the image of the reference."""
        first = self.plan.reference[0]
        return {
            **self._results(),
            **self._maps(),
            "the positions": self._places,
            f"the image of {first:%Y%m%d}": self.plan.found.images[first],
            "the areas": digest_areas(self.plan.areas),
            "which of them have a volume": digest_areas(self.plan.polygons),
        }


def _digest_frame(frame: LookFrame | None) -> str:
    if frame is None:
        return "unknown"
    numbers = (frame.range_spacing, frame.azimuth_spacing, frame.heading, frame.reference_height)
    return digest_data(
        [digest_array(frame.incidence_angle), [repr(n) for n in numbers], frame.look_direction]
    )


def digest_areas(areas: Areas | None) -> str:
    """Fingerprint areas: their names, in their order, and their shapes."""
    if areas is None:
        return ""
    told: list[Any] = [
        [
            area.name,
            area.kind,
            shapely.to_wkb(list(area.parts), hex=True),
            area.pixels,
            area.degrees_or_pixels,
        ]
        for area in areas.areas
    ]
    return digest_data(told)
