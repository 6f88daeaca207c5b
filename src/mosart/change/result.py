"""Elevation change: what every inversion method returns, with its time series and volumes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.ground import known_number, pixel_area, pixel_area_from_look
from mosart.stack import Stack

from .correlation import FULLY_CORRELATED, Correlation
from .drawn import DrawnErrors
from .layer import Layer
from .pieces import AreaMasks, Piece, area_boxes, cell_areas
from .rowmodel import RowModel

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

RADAR_DIMS = ("azimuth", "range")
MAP_DIMS = ("y", "x")


@dataclass(frozen=True)
class ElevationChange:
    """Elevation change of each entry against the reference, on one grid.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions ``(date, azimuth, range)`` or ``(date, y, x)``, lazily loaded. Coordinates: ``date``
        (datetime64, ascending; an epoch's last date). Variables:

        - ``elevation_change`` (date, …) float32, metres, positive where the surface rose, at the fixed
          ground position of the pixel; absent where no geometry is known;
        - ``elevation_change_slant`` (date, azimuth, range) float32, metres, at the fixed slant-range
          pixel; one of the two is there;
        - ``elevation_change_std``: metres, standard error; dimensions ``(date,)`` for methods that have
          one number a date, else those of the change;
        - ``mask`` (date, …) uint8, bits of :class:`mosart.masks.Flag`; products are NaN where any bit
          but ``CLIPPED`` is set;
        - ``averaged_dates`` (date,) text, ``"YYYYMMDD,YYYYMMDD"``: the images of each entry;
        - where known ``height``, ``longitude``, ``latitude`` (azimuth, range), ``elevation``
          (date, azimuth, range), ``stable`` bool: the stable ground that the standard errors were
          measured on, (azimuth, range) where it was given, (date, azimuth, range) where it was found.

        Attributes: ``method``, ``reference_dates`` (``"YYYYMMDD,…"``), and where known ``stable_area``,
        ``azimuth_spacing`` and those of the stack.
    looks : mapping of str to ElevationChange
        The same on the radar grid of each look, where several looks were solved together.

    Raises
    ------
    InputError
        If a variable, dimension or attribute is missing or of the wrong kind.
    """

    dataset: xr.Dataset
    looks: Mapping[str, ElevationChange] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        validate(self.dataset)

    def on_radar(self, name: str) -> ElevationChange:
        """Give a result of several looks on the radar grid of one of them.

        Parameters
        ----------
        name : str
            Of the look.

        Returns
        -------
        ElevationChange
            The joint change at the ground of the look's pixels, with what the look measured.

        Raises
        ------
        InputError
            If there is no such look, or the result is of one look alone.
        """
        if name not in self.looks:
            raise InputError(
                f"there is no look {name!r} in the result",
                expected=" or ".join(self.looks) or "a result of several stacks, from `mosart.invert`",
            )
        return self.looks[name]

    @property
    def is_map(self) -> bool:
        """Whether the grid is a map's."""
        return self.dims == MAP_DIMS

    @property
    def dates(self) -> tuple[dt.date, ...]:
        """Dates of the entries, ascending."""
        return tuple(d.item() for d in self.dataset["date"].values.astype("datetime64[D]"))

    @property
    def reference_dates(self) -> tuple[dt.date, ...]:
        """Dates that the change is measured against."""
        return _read_dates(str(self.dataset.attrs["reference_dates"]))

    @property
    def quantity(self) -> str:
        """``elevation_change``, or ``elevation_change_slant`` where no geometry is known."""
        return "elevation_change" if "elevation_change" in self.dataset else "elevation_change_slant"

    @property
    def dims(self) -> tuple[str, str]:
        """The two dimensions of the grid."""
        return MAP_DIMS if "y" in self.dataset[self.quantity].dims else RADAR_DIMS

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of entries, rows and columns."""
        sizes = self.dataset.sizes
        return sizes["date"], sizes[self.dims[0]], sizes[self.dims[1]]

    @property
    def has_lonlat(self) -> bool:
        """Whether longitude and latitude are known."""
        return "longitude" in self.dataset

    def time_series(self, areas: AreaMasks) -> pd.DataFrame:
        """Mean change of points and areas on every date.

        Parameters
        ----------
        areas : Areas
            Points and polygons; a point is the pixel that holds it.

        Returns
        -------
        pandas.DataFrame
            One row an area and date: ``name``, ``date``, the change (``elevation_change_m``, or
            ``elevation_change_slant_m`` where no geometry is known) and its standard error
            (``…_std_m``), ``pixels`` (with a value), ``unseen_share`` (of the pixels, without a value)
            and ``flags`` (names of the reasons met, ``clipped`` included). The mean is weighted by the
            ground area of the pixels where it is known. NaN where no pixel has a value.

        Raises
        ------
        InputError
            If an area holds no pixel.

        Notes
        -----
        The standard error of a mean accounts for the spatial correlation of the errors, see
        :mod:`mosart.change.correlation`, and, for the row-wise methods, for what they leave uncertain of
        ground that changed, see :mod:`mosart.change.rowmodel`; that of a point is the pixel's alone. A
        method that draws its errors (several looks) has it from those, see :mod:`mosart.change.drawn`.
        """
        rows: list[dict[str, object]] = []
        for piece in self._pieces(areas, equal_areas=True):
            seen = piece.seen
            total = piece.area[seen].sum()
            rows.append(
                {
                    "name": piece.name,
                    "date": piece.date,
                    f"{self.quantity}_m": piece.sum() / total if seen.any() else np.nan,
                    f"{self.quantity}_std_m": piece.sum_std(seen) / total if seen.any() else np.nan,
                    "pixels": int(seen.sum()),
                    "unseen_share": 1.0 - seen.sum() / piece.inside.sum(),
                    "flags": piece.flags(),
                }
            )
        return _table(rows, areas)

    def volume(self, areas: AreaMasks, *, intervals: bool = False) -> pd.DataFrame:
        """Volume gained and lost in each area on every date, against the reference.

        Parameters
        ----------
        areas : Areas
            Polygons.
        intervals : bool
            Also from each date to the next.

        Returns
        -------
        pandas.DataFrame
            One row an area and date: ``name``, ``kind`` (``reference``: against it; ``interval``: against
            the date before), ``since`` (of several reference dates the last) and ``date``, ``gained_m3``
            (sum over the pixels that rose), ``lost_m3`` (negative), ``net_m3``, ``rate_m3_s`` (net over the
            time between the two dates), each with ``…_std_m3`` or ``…_std_m3_s``, ``area_m2`` (horizontal,
            seen or not), ``unseen_share`` of it (nothing is filled in there), ``kept_share``
            (:mod:`mosart.change.rowmodel`, for the row-wise methods), ``pixels`` and ``flags``. Volumes are
            NaN where nothing is seen.

        Raises
        ------
        InputError
            If an area holds no pixel, or the ground area of a pixel is not known.

        Notes
        -----
        The standard error of a sum accounts for the spatial correlation of the errors (Rolstad et al.
        2009), see :mod:`mosart.change.correlation`, and, for the row-wise methods, for what they leave
        uncertain of ground that changed, see :mod:`mosart.change.rowmodel`. Gain and loss each take the
        noise of one sign; the net does not. The errors of an interval are measured on the difference of its
        two dates, so what both owe to the reference is not in them. A method that draws its errors (several
        looks) has them from those, :mod:`mosart.change.drawn`, of an interval those of both dates.
        """
        rows: list[dict[str, object]] = []
        for piece in self._pieces(areas, equal_areas=False, intervals=intervals):
            seen = piece.seen
            row: dict[str, object] = {
                "name": piece.name,
                "kind": piece.kind,
                "since": piece.since,
                "date": piece.date,
            }
            parts = {"gained": seen & (piece.change > 0), "lost": seen & (piece.change < 0), "net": seen}
            net, error = np.nan, np.nan
            for part, pixels in parts.items():
                net, error = (piece.sum(pixels), piece.sum_std(pixels)) if seen.any() else (np.nan, np.nan)
                row |= {f"{part}_m3": net, f"{part}_std_m3": error}
            seconds = np.nan if piece.since is None else (piece.date - piece.since).total_seconds()
            area = np.nansum(piece.signed_area[piece.inside])
            seen_area = piece.area[seen].sum()
            row |= {
                "rate_m3_s": net / seconds if seconds else np.nan,
                "rate_std_m3_s": error / abs(seconds) if seconds else np.nan,
                "area_m2": area,
                "unseen_share": max(0.0, 1.0 - seen_area / area) if area > 0 else np.nan,
                "kept_share": piece.model.kept if piece.model is not None else np.nan,
                "pixels": int(seen.sum()),
                "flags": piece.flags(),
            }
            rows.append(row)
        return _table(rows, areas)

    def correlation(self, date: dt.date, exclude: Booleans | None = None) -> Correlation:
        """Spatial correlation of the errors of one entry, measured on stable ground.

        Parameters
        ----------
        date : datetime.date
            An entry's date.
        exclude : ndarray of bool, optional
            Pixels that are not stable, used where the dataset does not name its stable ground.

        Returns
        -------
        Correlation
            Of the change divided by its standard error. Without a variable ``stable``, ground is taken
            as stable where the change is within three standard errors and not excluded.
        """
        return self._layer(self.dates.index(date)).correlation(exclude)

    def _layer(self, index: int) -> Layer:
        """Load one entry."""
        wanted = {"change": self.quantity, "std": "elevation_change_std", "mask": "mask"}
        loaded = self.dataset[list(wanted.values())].isel(date=index).load()
        arrays = {key: loaded[name].values for key, name in wanted.items()}
        stable = self.dataset.get("stable")
        if stable is not None:
            stable = stable.isel(date=index) if "date" in stable.dims else stable
        ground = None if stable is None else stable.values.astype(bool)
        return Layer(self.dates[index], self._since(index), index, **arrays, stable=ground)

    def _since(self, index: int) -> dt.date | None:
        """Give the reference date of an entry; of several the last; None for the reference itself."""
        own = {self.dates[index]}
        if "averaged_dates" in self.dataset:
            own = set(_read_dates(str(self.dataset["averaged_dates"].values[index])))
        others = [date for date in self.reference_dates if date not in own]
        return max(others) if others else None

    def _pieces(self, areas: AreaMasks, *, equal_areas: bool, intervals: bool = False) -> Iterator[Piece]:
        """Every area on every date, two dates in memory at a time."""
        boxes = area_boxes(self.dataset, areas, self.dims)
        sizes = {name: self._areas_of_pixels(box, equal_areas) for name, (box, _) in boxes.items()}
        exclude = np.zeros(self.shape[1:], bool)
        for box, inside in boxes.values():
            exclude[box] |= inside
        extended = any(inside.sum() > 1 for _, inside in boxes.values())
        compared = [index for index in range(len(self.dates)) if self._since(index) is not None]
        model = RowModel.of(self.dataset, compared[-1]) if extended and compared else None
        before: Layer | None = None
        for index in range(len(self.dates)):
            layer = self._layer(index)
            layers = {"reference": layer}
            if intervals and before is not None:
                layers["interval"] = layer.since_then(before, exclude)
            for kind, one in layers.items():
                numbers = [index] if kind == "reference" else [index - 1, index]
                drawn = [DrawnErrors.of(self.dataset, number) for number in numbers]
                known = tuple(errors for errors in drawn if errors is not None)
                measure = extended and not known
                correlation = one.correlation(exclude) if measure else FULLY_CORRELATED
                for name, (box, inside) in boxes.items():
                    std = one.std[box] if one.std.ndim else np.full(inside.shape, one.std)
                    piece = Piece(
                        name=name,
                        kind=kind,
                        since=one.since,
                        date=one.date,
                        inside=inside,
                        change=one.change[box].astype(np.float64),
                        std=std.astype(np.float64),
                        mask=one.mask[box].astype(np.uint8),
                        signed_area=sizes[name],
                        correlation=correlation,
                        box=box,
                        drawn=known,
                    )
                    if model is not None and inside.sum() > 1 and layer.since is not None:
                        piece = replace(piece, model=model.error(index, box, piece.seen, piece.area))
                    yield piece
            before = layer

    def _areas_of_pixels(self, box: tuple[slice, slice], equal_areas: bool) -> Floats:
        """Ground area of the pixels of a box, signed; ones where unknown and not needed."""
        data = self.dataset
        shape = tuple(side.stop - side.start for side in box)
        if self.dims == MAP_DIMS:
            return np.full(shape, 1.0) if equal_areas else cell_areas(data, box)
        # a margin of one pixel, so that a box's border has its central differences
        wide = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        inner = tuple(
            slice(side.start - w.start, side.stop - w.start) for side, w in zip(box, wide, strict=True)
        )
        angle, slant, spacing = (
            known_number(data.attrs.get(name))
            for name in ("incidence_angle", "range_spacing", "azimuth_spacing")
        )
        area = np.full(shape, np.nan)
        if self.has_lonlat:
            lonlat = [data[name][wide].values.astype(np.float64) for name in ("longitude", "latitude")]
            area = pixel_area(lonlat[0], lonlat[1], spacing)[inner]
        elif "height" in data:
            height = data["height"][wide].values.astype(np.float64)
            area = pixel_area_from_look(height, angle, slant, spacing)[inner]
        if np.isfinite(area).any():
            return area
        if equal_areas:
            return np.ones(shape)
        raise InputError(
            "the ground area of the pixels is not known, so there is no volume",
            expected="longitude and latitude for every pixel, or incidence angle, range and azimuth spacing",
            hint="give the geometry of the look, or a stack with longitude and latitude",
        )


def _table(rows: list[dict[str, object]], areas: AreaMasks) -> pd.DataFrame:
    """Rows grouped by area, in the order of the areas."""
    table = pd.DataFrame(rows)
    for name in {"since", "date"} & set(table):
        table[name] = pd.to_datetime(table[name])
    order = {name: number for number, name in enumerate(areas.names)}
    return table.sort_values("name", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def validate(data: xr.Dataset) -> None:
    """Check that a dataset is an elevation change.

    Parameters
    ----------
    data : xarray.Dataset
        See :class:`ElevationChange`. Nothing is loaded.

    Raises
    ------
    InputError
        If a variable, dimension or attribute is missing or of the wrong kind.
    """
    what = "the dataset is not an elevation change"
    names = [name for name in ("elevation_change", "elevation_change_slant") if name in data]
    if not names:
        raise InputError(
            f"{what}: it has no change",
            expected="a variable elevation_change or elevation_change_slant",
            got=", ".join(map(str, data.data_vars)) or "no variables",
        )
    dims = data[names[0]].dims
    if dims not in {("date", *RADAR_DIMS), ("date", *MAP_DIMS)}:
        raise InputError(
            f"{what}: the dimensions of {names[0]} are wrong",
            expected="(date, azimuth, range) or (date, y, x)",
            got=str(dims),
        )
    for name in [*names, "mask"]:
        if name not in data or data[name].dims != dims:
            raise InputError(
                f"{what}: {name} is missing or has other dimensions than {names[0]}",
                expected=str(dims),
                got=str(data[name].dims) if name in data else "nothing",
            )
    if data["mask"].dtype != np.uint8:
        raise InputError(f"{what}: the mask is not bits", expected="uint8", got=str(data["mask"].dtype))
    std = data.get("elevation_change_std")
    if std is None or std.dims not in {("date",), dims}:
        raise InputError(
            f"{what}: elevation_change_std is missing or has wrong dimensions",
            expected=f"('date',) or {dims}",
            got=str(std.dims) if std is not None else "nothing",
        )
    dates = data["date"].values if "date" in data.coords else np.zeros(0)
    if dates.size == 0 or dates.dtype.kind != "M" or np.any(np.diff(dates) <= np.timedelta64(0)):
        raise InputError(
            f"{what}: its dates are wrong",
            expected="at least one date, datetime64, ascending, none twice",
            got=", ".join(map(str, dates)) or "none",
        )
    if ("longitude" in data) != ("latitude" in data):
        raise InputError(f"{what}: only one of longitude and latitude is there", expected="both or neither")
    for name in ("method", "reference_dates"):
        if not data.attrs.get(name):
            raise InputError(f"{what}: the attribute {name} is missing", expected="text")
    try:
        _read_dates(str(data.attrs["reference_dates"]))
    except ValueError as error:
        raise InputError(
            f"{what}: reference_dates are no dates",
            expected="YYYYMMDD,YYYYMMDD",
            got=str(data.attrs["reference_dates"]),
        ) from error


def _read_dates(text: str) -> tuple[dt.date, ...]:
    return tuple(dt.datetime.strptime(name.strip(), "%Y%m%d").date() for name in text.split(","))


def temporal_std(stack: Stack) -> xr.DataArray:
    """Compute the standard deviation of the amplitudes over the dates.

    Parameters
    ----------
    stack : Stack
        With any number of dates.

    Returns
    -------
    xarray.DataArray, (azimuth, range)
        In the units of the amplitude, divided by the number of finite dates (as ``calc_std`` of the
        original), lazily computed in float64; NaN where no date is finite, 0 where one is.
    """
    amplitude = stack.dataset["amplitude"].astype(np.float64)
    count = amplitude.notnull().sum("date")
    some = count.where(count > 0)
    mean = amplitude.sum("date", skipna=True) / some
    variance = ((amplitude - mean) ** 2).sum("date", skipna=True) / some
    result: xr.DataArray = (variance**0.5).rename("amplitude_std")
    result.attrs = {
        "long_name": "standard deviation of the amplitude over the dates",
        "units": str(stack.dataset["amplitude"].attrs.get("units", "1")),
    }
    return result
