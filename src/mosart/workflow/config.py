"""The one typed config: its keys make the YAML file and the options of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mosart.errors import InputError
from mosart.periods import Period

from .places import (
    BOX_FORMS,
    PERIOD_FORMS,
    check_dates,
    is_numbers,
    lonlat_fault,
    parse_box,
    parse_date,
    parse_period,
    period_text,
    pixels_fault,
)

WEIGHTS = ("unit", "stable", "robust")


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _listed(value: object) -> object:
    """One item where a list is expected is a list of one."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | Path) else value


def _dates_text(value: object) -> str:
    """Join dates as YAML or Python gives them to one text."""
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return ",".join(str(item) for item in items)


def _text(value: object) -> object:
    """Take a number as YAML reads it for the text it was."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _day(value: object) -> object:
    """One date, given as a text or a number."""
    return None if value is None else f"{parse_date(str(value)):%Y%m%d}"


def _channel(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _reference(value: object) -> object:
    """Dates of the reference, given as a text, a number, or a list of them, possibly several times."""
    text = _dates_text(_listed(value))
    return (check_dates(text),) if text else ()


def _epochs(value: object) -> object:
    listed = _listed(value)
    return [check_dates(_dates_text(item)) for item in listed] if isinstance(listed, Sequence) else listed


def _place(value: object) -> object:
    """Leave a path as it is and bring a box to its canonical writing."""
    if isinstance(value, Path):
        return str(value)
    looks_like_box = (
        is_numbers(value) or value.startswith(("lonlat=", "pixels="))
        if isinstance(value, str)
        else isinstance(value, Sequence | Mapping)
    )
    if not looks_like_box:
        return value
    return Box.model_validate(value).text()


def _places(value: object) -> object:
    listed = _listed(value)
    if isinstance(listed, Sequence) and len(listed) == 4 and all(isinstance(v, int | float) for v in listed):
        return (_place(listed),)
    return [_place(item) for item in listed] if isinstance(listed, Sequence) else listed


def _point(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return (
        ",".join(str(v) for v in value)
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )


def _points(value: object) -> object:
    listed = _listed(value)
    if isinstance(listed, Sequence) and len(listed) == 2 and all(isinstance(v, int | float) for v in listed):
        return (_point(listed),)
    return [_point(item) for item in listed] if isinstance(listed, Sequence) else listed


def _activity(value: object) -> object:
    """Periods, each a text or start, end and label; brought to their canonical writing."""
    listed = (value,) if isinstance(value, Mapping) else _listed(value)
    if not isinstance(listed, Sequence):
        return listed
    return [period_text(parse_period(item)) for item in listed]


def _without(value: object) -> object:
    listed = _listed(value)
    return (
        [part for item in listed for part in str(item).split(",")] if isinstance(listed, Sequence) else listed
    )


def _box(value: object) -> object:
    """Read a box written as a text or as four numbers."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    return parse_box(value) if isinstance(value, str | Sequence) else value


class Box(Section):
    """A rectangle, in degrees or in pixels."""

    lonlat: tuple[float, float, float, float] | None = Field(
        default=None,
        description="west, south, east, north in degrees; across the antimeridian west > east or east > 180",
    )
    pixels: tuple[int, int, int, int] | None = Field(
        default=None,
        description="range start and stop, azimuth start and stop in pixels, counted from 0, stop excluded",
    )

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return _box(value)

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.lonlat is not None and self.pixels is not None:
            raise InputError(
                "a box is given twice",
                expected="lonlat or pixels",
                got="lonlat and pixels",
                hint="leave one out",
            )
        for kind, box, fault in (
            ("lonlat", self.lonlat, lonlat_fault),
            ("pixels", self.pixels, pixels_fault),
        ):
            wrong = fault(box) if box is not None else None
            if box is not None and wrong:
                raise InputError(
                    f"the {kind} box encloses nothing: {wrong}",
                    expected=BOX_FORMS,
                    got=",".join(map(str, box)),
                )
        return self

    def text(self) -> str:
        """Write the box as one text, ``lonlat=…`` or ``pixels=…``; empty without a box."""
        for kind, box in (("lonlat", self.lonlat), ("pixels", self.pixels)):
            if box is not None:
                return f"{kind}={','.join(f'{number!r}' for number in box)}"
        return ""


Place = Annotated[str, BeforeValidator(_place)]

#: Products that can be left out.
OptionalProduct = Literal["geotiff", "mintpy", "qgis", "figures", "report"]


class Geometry(Section):
    """How the radar looked, where neither the file nor its lon, lat and DEM tell it (or tell it wrongly)."""

    incidence_angle: float | None = Field(
        default=None,
        gt=0,
        lt=90,
        description="degrees from the vertical, at the middle of the (cropped) range",
    )
    range_spacing: float | None = Field(
        default=None, gt=0, description="metres between range pixels, slant (along the beam)"
    )
    azimuth_spacing: float | None = Field(
        default=None, gt=0, description="metres between azimuth rows, on the ground"
    )
    look_direction: Literal["right", "left"] | None = Field(
        default=None, description="side of the flight direction the antenna looks to: right or left"
    )
    heading: float | None = Field(
        default=None, ge=-360, le=360, description="flight direction, degrees clockwise from north"
    )


class Water(Section):
    """Where water is: its pixels do not take part, and their change is withheld."""

    polygons: Path | None = Field(default=None, description="GeoJSON or GeoPackage with polygons of water")
    raster: Path | None = Field(
        default=None,
        description="GeoTIFF (sampled at lon/lat) or .npy on the radar grid; water where it is not 0",
    )
    sea_level: float | None = Field(
        default=None,
        description="height of the sea in the DEM, metres: pixels within `tolerance` of it are water",
    )
    tolerance: float = Field(default=1.0, ge=0, description="metres around `sea_level`")
    strip: Place | None = Field(
        default=None,
        description="a box of open water: pixels near sea level count as water only where their amplitude "
        "lies within the strip's 10th to 90th percentile; " + BOX_FORMS,
    )


class Grid(Section):
    """The map grid of the products."""

    crs: str = Field(
        default="utm",
        description="utm (the zone of the scene), geographic (EPSG:4326), or any CRS as EPSG:CODE",
    )
    pixel_size: float | None = Field(
        default=None,
        gt=0,
        description="in units of the CRS (metres, degrees); by default as fine as the radar's ground pixel",
    )


class Config(Section):
    """What a run does. Every key is an option of the command line too: `--key` or `--section.key`."""

    stack: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="stack file: the original's HDF5 (flat or grouped), MoSARt's netCDF or Zarr, or what "
        "ISCE2 or MintPy coregistered. Several (in a list, or --stack again), one a look of the same ground: "
        "they are joined to one map, each is called by its file's name without the ending, and `epoch` is "
        "needed",
    )
    slc: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="SLC products instead of a stack, in any order: Sentinel-1 SAFE folders, zips (:IW2 "
        "after the path names one subswath) or bursts, TerraSAR-X SSC, NISAR-format RSLC; they are "
        "coregistered first",
    )
    dem: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        default=(), description="DEM for the products, one or several GeoTIFFs in any CRS"
    )
    dem_datum: Annotated[str | None, BeforeValidator(_text)] = Field(
        default=None,
        min_length=1,
        description="what the heights of the DEM are: ellipsoidal, EGM2008, EGM96, EGM84 (above that geoid), "
        "or the metres to add to make them ellipsoidal; by default what the file says",
    )
    polarization: Annotated[Literal["HH", "HV", "VH", "VV"] | None, BeforeValidator(_channel)] = Field(
        default=None, description="channel of the products; by default the co-polarised one"
    )
    grid_date: Annotated[str | None, BeforeValidator(_day)] = Field(
        default=None,
        description="date, as 20190115, whose radar grid the products are brought to (another matter than "
        "`reference`); by default the earliest",
    )
    orbits: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="Sentinel-1 orbit files (POEORB, RESORB) or folders of them; by default the "
        "products' own",
    )
    out: Path | None = Field(
        default=None, description="folder of the products; files in it that no run made are not touched"
    )
    method: Literal["synthesis", "rowwise", "rowwise-intensity", "regularised"] | None = Field(
        default=None,
        description="inversion: synthesis (renders the ground and compares: most accurate, an error for "
        "every pixel), rowwise-intensity (row by row, on intensity), rowwise (on amplitude, equal to mosart "
        "1.0.2) or regularised (smooth in both directions); by default synthesis where the look of the radar "
        "is known, else rowwise-intensity",
    )
    reference: Annotated[tuple[str, ...], BeforeValidator(_reference)] = Field(
        default=(),
        description="date(s) the change counts from: 20190115 or 20190115,20190215 (their mean) or "
        "FIRST..LAST; by default the earliest",
    )
    epoch: Annotated[tuple[str, ...], BeforeValidator(_epochs)] = Field(
        default=(),
        description="dates averaged to one result, written as for `reference`; one entry an epoch, on the "
        "command line --epoch again; by default every date by itself",
    )
    crop: Box = Field(
        default=Box(), description="the part of the image to work on, as a lon/lat or a pixel box"
    )
    areas: Annotated[tuple[str, ...], BeforeValidator(_places)] = Field(
        default=(),
        description="areas of interest for time series and volumes: GeoJSON or GeoPackage files, or boxes; "
        + BOX_FORMS,
    )
    points: Annotated[tuple[str, ...], BeforeValidator(_points)] = Field(
        default=(),
        description="points for time series: GeoJSON or GeoPackage files, or LON,LAT in degrees "
        "(RANGE,AZIMUTH in pixels where the stack has no lon/lat)",
    )
    stable: Place | None = Field(
        default=None,
        description="ground that did not change, as a file or a box: the uncertainty is the spread there, "
        "and `weights: stable` fits on it; by default it is found away from the change",
    )
    water: Water = Field(default=Water(), description="where water is")
    geometry: Geometry = Field(
        default=Geometry(), description="how the radar looked, where it cannot be derived; in every stack"
    )
    geometry_of: dict[str, Geometry] = Field(
        default={},
        description="the same for one of several stacks, by its name: `ascending: {heading: 348}` of "
        "ascending.h5; goes before `geometry`",
    )
    terrain: Literal["coded", "traced"] = Field(
        default="coded",
        description="ground that synthesis renders: coded (the heights of the stack's pixels) or traced "
        "(every line on the DEM raster, folds and all; one stack made of SLC products). Traced renders "
        "hidden slopes as they were seen, but its changes are no better (docs/synthesis.md)",
    )
    despeckle: Literal["none", "nlm"] = Field(
        default="nlm", description="filter before a row-wise inversion: nlm (non-local means) or none"
    )
    weights: Annotated[str, BeforeValidator(str)] = Field(
        default="unit",
        min_length=1,
        description="weights of the row-wise fit: unit (as the original), stable (the stable ground alone), "
        "robust, or the path of a raster (GeoTIFF, or .npy on the radar grid)",
    )
    grid: Grid = Field(default=Grid(), description="the map grid of the products")
    activity: Annotated[tuple[str, ...], BeforeValidator(_activity)] = Field(
        default=(),
        description="periods of activity, shaded in figures and page: " + PERIOD_FORMS,
    )
    without: Annotated[tuple[OptionalProduct, ...], BeforeValidator(_without)] = Field(
        default=(),
        description="products to leave out, which take time and disk on large images: geotiff (and with "
        "them qgis), mintpy, qgis (and bowser), figures, report",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="threads; by default the cores this process may use (affinity, cgroups)",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.stack and self.slc:
            raise InputError(
                "stack and slc: a run starts from one of them",
                expected="`stack`, or `slc` with `dem`",
                got="both",
                hint="leave one out",
            )
        return self

    def periods(self) -> tuple[Period, ...]:
        """Return the periods of activity."""
        return tuple(parse_period(text) for text in self.activity)

    def wants(self, product: OptionalProduct) -> bool:
        """Whether a product that can be left out is to be made."""
        if product == "qgis" and "geotiff" in self.without:
            return False
        return product not in self.without

    def weights_path(self) -> Path | None:
        """Return the raster of the weights, or None where they are named."""
        return None if self.weights in WEIGHTS else Path(self.weights)

    def merged(self, options: Config) -> Config:
        """Put the keys that were set in another config over this one.

        Parameters
        ----------
        options : Config
            Only what was set explicitly counts, also within sections.

        Returns
        -------
        Config
            Validated anew.
        """
        return Config.model_validate(
            _over(self.model_dump(exclude_unset=True), options.model_dump(exclude_unset=True))
        )

    def anchored(self, folder: Path) -> Config:
        """Make the relative paths absolute, taken from a folder.

        Parameters
        ----------
        folder : Path
            Folder that the paths are relative to: the config file's, or the current one for options.

        Returns
        -------
        Config
        """

        def path(value: Path) -> Path:
            value = value.expanduser()
            return value if value.is_absolute() else (folder / value).absolute()

        def place(value: str) -> str:
            return value if "=" in value or is_numbers(value) else str(path(Path(value)))

        data = self.model_dump(exclude_unset=True)
        for key in ("stack", "slc", "dem", "orbits"):
            if key in data:
                data[key] = [path(p) for p in data[key]]
        for key in ("areas", "points"):
            if key in data:
                data[key] = [place(text) for text in data[key]]
        if data.get("stable"):
            data["stable"] = place(data["stable"])
        if data.get("out"):
            data["out"] = path(data["out"])
        if self.weights_path() is not None:
            data["weights"] = str(path(Path(self.weights)))
        water = data.get("water", {})
        for key in ("polygons", "raster"):
            if water.get(key):
                water[key] = path(water[key])
        return Config.model_validate(data)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries: what is above wins. A box is one value: half of each would be two boxes."""
    merged = dict(below)
    for key, value in above.items():
        if key != "crop" and isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _over(merged[key], value)
        else:
            merged[key] = value
    return merged
