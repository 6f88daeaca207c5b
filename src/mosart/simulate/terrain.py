"""The ground that a simulated radar sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from mosart.errors import InputError

Array = NDArray[np.float64]
#: Something on the ground: an array on the terrain's grid, or a function of its x and y in metres.
Field = ArrayLike | Callable[[Array, Array], ArrayLike]


@dataclass(frozen=True)
class Terrain:
    """Heights on a regular ground grid, metres east (x) and north (y) of an anchor.

    Parameters
    ----------
    heights : ndarray
        (y, x) metres, positive up; row 0 is the southernmost. Beyond the grid the nearest edge goes on.
    spacing : float
        Metres between neighbours, the same in x and y.
    longitude, latitude : float
        Degrees, of the grid's middle, where x = y = 0.
    sea_level : float, optional
        Height of a sea, metres; ground exactly at it is water, which a DEM shows flat.

    Raises
    ------
    InputError
        If the heights are not a finite two-dimensional array, or the anchor is no place on Earth.

    Notes
    -----
    x and y belong to a transverse Mercator projection of WGS 84 with its origin at the anchor, so that
    lon/lat is exact at any distance and a scene may lie across 180°. The Earth is flat otherwise.
    """

    heights: Array
    spacing: float
    longitude: float = -163.97
    latitude: float = 54.755
    sea_level: float | None = None

    def __post_init__(self) -> None:
        heights = np.ascontiguousarray(self.heights, dtype=np.float64)
        if heights.ndim != 2 or heights.size == 0:
            raise InputError(
                "terrain heights", expected="a two-dimensional array", got=f"shape {heights.shape}"
            )
        if not np.isfinite(heights).all():
            raise InputError(
                "terrain heights",
                expected="finite everywhere",
                got=f"{int((~np.isfinite(heights)).sum())} cells without a height",
                hint="fill the gaps first, or pass fill= when reading a file",
            )
        if not self.spacing > 0:
            raise InputError("terrain spacing", expected="a positive number of metres", got=str(self.spacing))
        if not (abs(self.latitude) < 90 and abs(self.longitude) <= 360):
            raise InputError(
                "terrain anchor",
                expected="a longitude and latitude in degrees",
                got=f"{self.longitude}, {self.latitude}",
            )
        object.__setattr__(self, "heights", heights)

    @classmethod
    def flat(
        cls,
        width: float,
        length: float,
        spacing: float = 1.0,
        *,
        height: float = 0.0,
        longitude: float = -163.97,
        latitude: float = 54.755,
    ) -> Terrain:
        """Lay a plain to build on.

        Parameters
        ----------
        width, length : float
            Extent in x and y, metres.
        spacing : float
            Metres.
        height : float
            Metres.
        longitude, latitude : float
            Of the middle, degrees.

        Returns
        -------
        Terrain
            The plain.
        """
        shape = (max(1, round(length / spacing)), max(1, round(width / spacing)))
        return cls(np.full(shape, float(height)), spacing, longitude, latitude)

    @classmethod
    def from_geotiff(
        cls,
        path: str | Path,
        spacing: float | None = None,
        *,
        fill: float | None = None,
        sea_level: float | None = None,
    ) -> Terrain:
        """Read a raster of heights, resampled (cubic) to a metric grid around its middle.

        Parameters
        ----------
        path : str or Path
            Raster with a coordinate reference system; band 1 in metres. Its vertical datum is taken as it is.
        spacing : float, optional
            Metres; the raster's own pixel size, in metres at its middle, if not given.
        fill : float, optional
            Height for cells without one, among them the corners a turned raster leaves empty.
        sea_level : float, optional
            Heights below it become it.

        Returns
        -------
        Terrain
            Anchored at the middle of the raster.

        Raises
        ------
        InputError
            If the file cannot be read, has no coordinate reference system, or has gaps and no ``fill``.
        """
        import rasterio
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioIOError
        from rasterio.warp import reproject

        try:
            source = rasterio.open(path)
        except RasterioIOError as error:
            raise InputError(
                f"{path}: cannot be read as a raster", expected="a GeoTIFF of heights", got=str(error)
            ) from error
        with source:
            if source.crs is None:
                raise InputError(
                    f"{path}: no coordinate reference system", expected="a georeferenced raster", got="none"
                )
            column, row, a = source.width / 2, source.height / 2, source.transform
            middle = a.c + a.a * column + a.b * row, a.f + a.d * column + a.e * row
            to_geographic = Transformer.from_crs(source.crs, "EPSG:4326", always_xy=True)
            longitude, latitude = (float(v) for v in to_geographic.transform(*middle))
            local = local_crs(longitude, latitude)
            to_local = Transformer.from_crs(source.crs, local, always_xy=True)
            # The raster's edges are bent here: the grid stays within all of them.
            along, full = np.linspace(0, 1, 101), np.ones(101)
            sides = [(k * full * source.width, along * source.height) for k in (0, 1)]
            ends = [(along * source.width, k * full * source.height) for k in (0, 1)]
            reach = []
            for axis, edges in enumerate((sides, ends)):
                points = [
                    to_local.transform(a.c + a.a * c + a.b * r, a.f + a.d * c + a.e * r) for c, r in edges
                ]
                reach.append(min(float(np.abs(point[axis]).min()) for point in points))
            if spacing is None:
                spacing = max(2 * reach[0] / source.width, 2 * reach[1] / source.height)
            half_x, half_y = (int(r / spacing - 0.5) for r in reach)
            heights = np.full((2 * half_y + 1, 2 * half_x + 1), np.nan)
            # Row 0 in the north; made directly, since rasterio's helpers warn with some releases of affine.
            grid = rasterio.Affine(
                spacing, 0.0, -(half_x + 0.5) * spacing, 0.0, -spacing, (half_y + 0.5) * spacing
            )
            reproject(
                rasterio.band(source, 1),
                heights,
                dst_transform=grid,
                dst_crs=local,
                dst_nodata=np.nan,
                resampling=Resampling.cubic,
            )
        heights = heights[::-1]
        if fill is not None:
            heights = np.where(np.isfinite(heights), heights, fill)
        terrain = cls(heights, spacing, longitude, latitude)
        return terrain if sea_level is None else terrain.flooded(sea_level)

    @property
    def x(self) -> Array:
        """Metres east of the anchor, per column."""
        n = self.heights.shape[1]
        return np.asarray((np.arange(n) - (n - 1) / 2) * self.spacing)

    @property
    def y(self) -> Array:
        """Metres north of the anchor, per row."""
        n = self.heights.shape[0]
        return np.asarray((np.arange(n) - (n - 1) / 2) * self.spacing)

    @property
    def sea(self) -> NDArray[np.bool_]:
        """Cells of the sea, (y, x)."""
        if self.sea_level is None:
            return np.zeros(self.heights.shape, dtype=bool)
        return np.asarray(self.heights == self.sea_level)

    def evaluate(self, field: Field, what: str = "a field on the terrain") -> Array:
        """Make an array on the grid, from an array or from a function of x and y.

        Parameters
        ----------
        field : array_like or callable
            (y, x), a number, or ``field(x, y)`` of two broadcast arrays in metres.
        what : str
            What it is, for the error.

        Returns
        -------
        ndarray
            (y, x) float64.

        Raises
        ------
        InputError
            If it has another shape or is not finite.
        """
        values = field(self.x[None, :], self.y[:, None]) if callable(field) else field
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 0 or (callable(field) and array.shape != self.heights.shape):
            array = np.broadcast_to(array, self.heights.shape)
        if array.shape != self.heights.shape:
            raise InputError(what, expected=f"the terrain's shape {self.heights.shape}", got=f"{array.shape}")
        if not np.isfinite(array).all():
            raise InputError(what, expected="finite everywhere", got="NaN or infinity")
        return np.ascontiguousarray(array)

    def plus(self, field: Field) -> Terrain:
        """Raise the same terrain: something added to its heights.

        Parameters
        ----------
        field : array_like or callable
            Metres, as for :meth:`evaluate`.

        Returns
        -------
        Terrain
            The sum.
        """
        return replace(self, heights=self.heights + self.evaluate(field, "relief to add"))

    def flooded(self, sea_level: float = 0.0) -> Terrain:
        """Flood the same terrain with a sea: what lies lower becomes the sea's surface.

        Parameters
        ----------
        sea_level : float
            Metres.

        Returns
        -------
        Terrain
            With ``sea_level`` set.
        """
        return replace(self, heights=np.maximum(self.heights, sea_level), sea_level=float(sea_level))

    def to_lonlat(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Longitude and latitude of ground positions.

        Parameters
        ----------
        x, y : array_like
            Metres east and north of the anchor.

        Returns
        -------
        longitude, latitude : ndarray
            Degrees, longitude within −180…180.
        """
        lon, lat = _projection(self.longitude, self.latitude).transform(
            np.asarray(x, float), np.asarray(y, float)
        )
        return np.asarray(lon), np.asarray(lat)

    def from_lonlat(self, longitude: ArrayLike, latitude: ArrayLike) -> tuple[Array, Array]:
        """Ground positions of longitudes and latitudes, the inverse of :meth:`to_lonlat`.

        Parameters
        ----------
        longitude, latitude : array_like
            Degrees.

        Returns
        -------
        x, y : ndarray
            Metres east and north of the anchor.
        """
        x, y = _projection(self.longitude, self.latitude).transform(
            np.asarray(longitude, float), np.asarray(latitude, float), direction="INVERSE"
        )
        return np.asarray(x), np.asarray(y)


def local_crs(longitude: float, latitude: float) -> str:
    """Name the metric projection around an anchor, as a PROJ string.

    Parameters
    ----------
    longitude, latitude : float
        Of its origin, degrees.

    Returns
    -------
    str
        Transverse Mercator of WGS 84 with scale 1 at the anchor.
    """
    origin = f"+lat_0={latitude!r} +lon_0={longitude!r} +k=1 +x_0=0 +y_0=0"
    return f"+proj=tmerc {origin} +datum=WGS84 +units=m +no_defs"


def _projection(longitude: float, latitude: float) -> Transformer:
    return Transformer.from_crs(local_crs(longitude, latitude), "EPSG:4326", always_xy=True)
