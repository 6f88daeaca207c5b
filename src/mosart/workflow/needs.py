"""What each step of a run depends on, declared in this one place."""

from __future__ import annotations

import datetime as dt
import json
import re
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
    from .plan import Look, Plan

#: Keys of the config that may be why a need that begins so has changed.
CAUSES = {
    "the image of": ("crop", "water", "geometry", "geometry_of"),
    "the DEM": ("crop",),
    "the positions": ("crop",),
    "the geometry of the look": ("geometry", "geometry_of", "crop"),
    "the weights": ("weights", "stable", "crop"),
    "the stable ground": ("stable", "crop"),
    "the areas": ("areas", "points", "crop"),
    "the result of": (
        "crop",
        "method",
        "reference",
        "water",
        "geometry",
        "terrain",
        "despeckle",
        "weights",
        "stable",
    ),
    "the map of": ("grid", "crop", "method", "reference", "terrain", "despeckle", "weights", "stable"),
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
    """

    def __init__(self, plan: Plan) -> None:
        config = plan.config
        self.plan = plan
        self._config = keys_of(config)
        self._shared = {"MoSARt": software(), "`method`": plan.method}
        if plan.joint:
            self._shared["`grid`"] = self._config["grid"]
        else:
            self._shared |= {
                "`despeckle`": config.despeckle,
                "`terrain`": config.terrain,
                "the weights": plan.weights if isinstance(plan.weights, str) else digest_array(plan.weights),
                "the stable ground": "" if plan.stable is None else digest_array(plan.stable),
            }
        for look in plan.looks:
            self._shared |= self._of_look(look)
        self._places = digest_data(
            [look.found.planes.get(name) for look in plan.looks for name in ("longitude", "latitude")]
        )
        if plan.method == "synthesis":
            self._shared["the positions"] = self._places
        self._entries = {entry.date: entry for entry in plan.entries}
        self._reference = ",".join(f"{date:%Y%m%d}" for date in plan.reference)

    def _suffix(self, look: Look) -> str:
        return f" of {look.name}" if self.plan.joint else ""

    def _of_look(self, look: Look) -> dict[str, str]:
        """List what all dates of a look share."""
        suffix = self._suffix(look)
        planes = {n: value for n, value in look.found.planes.items() if n not in ("longitude", "latitude")}
        attrs = look.stack.dataset.attrs
        return {
            f"the geometry of the look{suffix}": _digest_frame(look.frame),
            f"the DEM{suffix}": planes.pop("height"),
            f"the description of the stack{suffix}": digest_data({n: str(attrs.get(n)) for n in _TOLD}),
            **{f"`{name}` of the stack{suffix}": value for name, value in planes.items()},
        }

    def inversion(self, date: dt.date, look: Look | None = None) -> Step:
        """Invert one entry.

        Parameters
        ----------
        date : datetime.date
            Of the entry.
        look : Look, optional
            Of several looks: its result on its radar grid instead of the map.

        Returns
        -------
        Step
        """
        entry: Entry = self._entries[date]
        needs = dict(self._shared) | {"`reference`": ",".join(f"{d:%Y%m%d}" for d in entry.reference)}
        for one in self.plan.looks:
            suffix = f" in {one.name}" if self.plan.joint else ""
            for image in one.dates_of((*entry.images, *entry.reference)):
                needs[f"the image of {image:%Y%m%d}{suffix}"] = one.found.images[image]
        if not self.plan.joint:
            return Step(f"inversion {date:%Y%m%d}", needs, r"pieces/.*")
        name = "elevation_change" if look is None else f"radar_{look.name}"
        suffix = "" if look is None else f" on the grid of {look.name}"
        return Step(f"inversion {date:%Y%m%d}{suffix}", needs, rf"pieces/{re.escape(name)}_\d{{8}}\.nc")

    def radar(self, name: str = "radar.nc", look: Look | None = None) -> Step:
        """Write the file of all results on a radar grid.

        Parameters
        ----------
        name : str
            Of the file.
        look : Look, optional
            Of several looks the one.

        Returns
        -------
        Step
        """
        needs = {**self._results(look), "the positions": self._places, "`reference`": self._reference}
        return Step(name, needs, re.escape(name))

    def layer(self, date: dt.date) -> Step:
        """Bring one entry to the map; of several looks it is inverted there."""
        if self.plan.joint:
            return self.inversion(date)
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
        needs = {f"the map of {date:%Y%m%d}": self.layer(date).key, "`reference`": self._reference}
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

    def _results(self, look: Look | None = None) -> dict[str, str]:
        return {f"the result of {date:%Y%m%d}": self.inversion(date, look).key for date in self._entries}

    def _maps(self) -> dict[str, str]:
        if not self.plan.mapped:
            return {}
        maps = {f"the map of {date:%Y%m%d}": self.layer(date).key for date in self._entries}
        return {"`reference`": self._reference} | maps

    def _shown(self) -> dict[str, str]:
        """List what figures and page show: results, maps, areas and each look's image of the reference."""
        firsts = {}
        for look in self.plan.looks:
            first = look.dates_of(self.plan.reference)[0]
            suffix = f" in {look.name}" if self.plan.joint else ""
            firsts[f"the image of {first:%Y%m%d}{suffix}"] = look.found.images[first]
        return {
            **self._results(),
            **self._maps(),
            "the positions": self._places,
            **firsts,
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
