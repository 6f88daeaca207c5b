"""Dates and the reference grid: which products belong together, and which burst each line comes from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mosart.errors import InputError
from mosart.geometry.orbit import Dem, RadarGrid, geo2rdr
from mosart.geometry.orbit.ellipsoid import to_ecef

from .product import Product, Segment

#: Longitude and latitude box: west, south, east, north.
LonLat = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """The radar grid of a stack, and the burst that each of its lines belongs to.

    Parameters
    ----------
    grid : RadarGrid
        Zero or native Doppler, as its product's.
    owners : tuple of (int, int, str)
        First and last line (half-open) and the segment's name, in order, without gaps.
    """

    grid: RadarGrid
    owners: tuple[tuple[int, int, str], ...]

    def crop(self, row0: int, row1: int, column0: int, column1: int) -> Scene:
        """Cut to a box of pixels, half-open."""
        owners = tuple(
            (max(a, row0) - row0, min(b, row1) - row0, name)
            for a, b, name in self.owners
            if max(a, row0) < min(b, row1)
        )
        return Scene(self.grid.crop(row0, row1, column0, column1), owners)


def merge_dates(products: Sequence[Product]) -> list[Product]:
    """One product a date, ascending; bursts and slices of one pass become one product.

    Parameters
    ----------
    products : sequence of Product
        In any order.

    Returns
    -------
    list of Product

    Raises
    ------
    InputError
        If products of one date do not belong to one pass, or a burst comes twice.
    """
    by_date: dict[dt.date, list[Product]] = {}
    for product in products:
        by_date.setdefault(product.date, []).append(product)
    merged = []
    for date, group in sorted(by_date.items()):
        first = min(group, key=lambda p: (p.segments[0].grid.start, str(p.paths[0])))
        if len(group) == 1:
            merged.append(first)
            continue
        names = ", ".join(sorted(str(p.paths[0]) for p in group))
        segments = [s for p in group for s in p.segments]
        keys = [s.name for s in segments]
        if not all(p.single_bursts for p in group) or len(set(keys)) != len(keys):
            raise InputError(
                f"{date:%Y-%m-%d} comes twice",
                expected="one product a date (different bursts of one pass are merged)",
                got=names,
            )
        check_alike(group)
        if len({p.orbit_source for p in group}) > 1:
            raise InputError(f"{date:%Y-%m-%d}: its parts have different orbits", got=names)
        # One zero of time for all, that of the earliest.
        base = first.segments[0].grid.orbit
        moved = []
        for segment in segments:
            shift = (segment.grid.orbit.epoch - base.epoch).total_seconds()
            grid = replace(segment.grid, orbit=base, first_time=segment.grid.first_time + shift)
            carrier = replace(segment.carrier, time=segment.carrier.time + shift)
            moved.append(replace(segment, grid=grid, carrier=carrier))
        moved.sort(key=lambda s: s.grid.first_time)
        last = max(s.grid.first_time + s.grid.rows * s.grid.time_step for s in moved)
        whole = max((p.segments[0].grid.orbit for p in group), key=lambda o: o.times.size)
        if not whole.moved(base.epoch).covers(moved[0].grid.first_time, last):
            raise InputError(f"{date:%Y-%m-%d}: no part's orbit covers the others", got=names)
        orbit = whole.moved(base.epoch)
        moved = [replace(s, grid=replace(s.grid, orbit=orbit)) for s in moved]
        paths = tuple(sorted(q for p in group for q in p.paths))
        merged.append(replace(first, paths=paths, segments=tuple(moved)))
    return merged


def check_alike(products: Sequence[Product]) -> None:
    """Refuse products that cannot form one stack, naming the first that differs.

    Raises
    ------
    InputError
        If sensor, polarisation, track, side or wavelength differ.
    """
    first = products[0]
    for other in products[1:]:
        for what, a, b in (
            ("sensor", first.sensor, other.sensor),
            ("polarisation", first.polarization, other.polarization),
            ("track", first.track, other.track),
            ("look direction", first.segments[0].grid.side, other.segments[0].grid.side),
        ):
            if a != b:
                raise InputError(f"{other.name} does not fit {first.name}: another {what}", expected=a, got=b)
        a_wave, b_wave = first.segments[0].grid.wavelength, other.segments[0].grid.wavelength
        # Modes of one radar differ by some parts in a hundred, which amplitudes do not mind; bands far more.
        if abs(a_wave - b_wave) > 0.05 * a_wave:
            raise InputError(
                f"{other.name} does not fit {first.name}: another wavelength",
                expected=f"{a_wave:.5f} m",
                got=f"{b_wave:.5f} m",
            )
        mine = {s.name for s in first.segments}
        theirs = {s.name for s in other.segments}
        if first.date != other.date and not mine & theirs:
            raise InputError(
                f"{other.name} does not fit {first.name}: other bursts",
                expected=", ".join(sorted(mine)),
                got=", ".join(sorted(theirs)),
            )


def build_scene(product: Product) -> Scene:
    """Return the grid over all segments of a product, cut between bursts in the middle of their overlap.

    Parameters
    ----------
    product : Product
        Of the grid's date.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If there is a gap between its bursts.
    """
    segments = sorted(product.segments, key=lambda s: s.grid.first_time)
    first = segments[0].grid
    step = first.time_step
    starts, stops = [], []
    for segment in segments:
        offset = (segment.grid.first_time - first.first_time) / step
        starts.append(round(offset + segment.valid[0]))
        stops.append(round(offset + segment.valid[1]))
    for k in range(len(segments) - 1):
        if starts[k + 1] > stops[k]:
            raise InputError(
                f"{product.name}: a burst is missing between {segments[k].name} and {segments[k + 1].name}",
                hint="give bursts that follow each other",
            )
    column0 = min(s.valid[2] for s in segments)
    column1 = max(s.valid[3] for s in segments)
    origin = starts[0]
    rows = stops[-1] - origin
    cuts = [0]
    cuts += [(stops[k] + starts[k + 1]) // 2 - origin for k in range(len(segments) - 1)]
    cuts.append(rows)
    grid = replace(
        first,
        first_time=first.first_time + origin * step,
        first_range=first.first_range + column0 * first.range_step,
        rows=rows,
        columns=column1 - column0,
    )
    owners = tuple((cuts[k], cuts[k + 1], segments[k].name) for k in range(len(segments)))
    return Scene(grid, owners)


def lonlat_lattice(box: LonLat, count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes (count, count) over a box; across the antimeridian west may exceed east."""
    west, south, east, north = box
    if not (-90 <= south < north <= 90):
        raise InputError(f"the crop {box} has no height", expected="west, south, east, north in degrees")
    if east <= west:
        east += 360.0
    if not 0 < east - west < 180:
        raise InputError(
            f"the crop {box} has no plausible width", expected="west, south, east, north in degrees"
        )
    lat, lon = np.meshgrid(np.linspace(south, north, count), np.linspace(west, east, count), indexing="ij")
    return lon, lat


def crop_scene(scene: Scene, box: LonLat, dem: Dem | None, margin: int = 2) -> Scene:
    """Cut a scene to a lon/lat box on the terrain.

    Parameters
    ----------
    scene : Scene
        Whole.
    box : LonLat
        Degrees.
    dem : Dem or None
        Terrain; without one, room is left for heights from −450 to 9000 m.
    margin : int
        Pixels to leave around.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If the box lies outside the scene.
    """
    lon, lat = lonlat_lattice(box)
    heights = [dem.sample(lon, lat)] if dem is not None else [np.full(lon.shape, h) for h in (-450.0, 9000.0)]
    rows, columns = [], []
    for height in heights:
        row, column = geo2rdr(scene.grid, to_ecef(lon, lat, height))
        good = np.isfinite(row)
        if not good.any():
            raise InputError(f"the DEM has no heights inside the crop {box}")
        rows.append(row[good])
        columns.append(column[good])
    row, column = np.concatenate(rows), np.concatenate(columns)
    row0 = max(int(np.floor(row.min())) - margin, 0)
    row1 = min(int(np.ceil(row.max())) + margin + 1, scene.grid.rows)
    column0 = max(int(np.floor(column.min())) - margin, 0)
    column1 = min(int(np.ceil(column.max())) + margin + 1, scene.grid.columns)
    if row0 >= row1 or column0 >= column1:
        raise InputError(
            f"the crop {box} lies outside the scene",
            got=f"lines {row.min():.0f} to {row.max():.0f} of {scene.grid.rows}, "
            f"samples {column.min():.0f} to {column.max():.0f} of {scene.grid.columns}",
        )
    return scene.crop(row0, row1, column0, column1)


def find_segment(product: Product, name: str) -> list[Segment]:
    """Segments of a product, the one of a given name first, then those nearest to it in time."""
    order = list(product.segments)
    place = next((k for k, s in enumerate(order) if s.name == name), None)
    if place is None:
        return order
    return sorted(order, key=lambda s: abs(order.index(s) - place))
