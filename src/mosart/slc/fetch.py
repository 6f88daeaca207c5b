"""Finding and getting Sentinel-1 bursts, orbits and a DEM (the extra ``mosart[download]``).

Credentials come from ``.netrc`` alone (machine urs.earthdata.nasa.gov); they are never asked for, kept in
a config, or logged.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import netrc
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from mosart.errors import InputError

logger = logging.getLogger(__name__)

EARTHDATA = "urs.earthdata.nasa.gov"
LonLat = tuple[float, float, float, float]


def require_extra() -> None:
    """Refuse to fetch where the extra is not installed, saying how to get it."""
    missing = [n for n in ("asf_search", "eof", "dem_stitcher") if importlib.util.find_spec(n) is None]
    if missing:
        raise InputError(
            "fetching needs the extra “download”",
            got=f"not installed: {', '.join(missing)}",
            hint="pip install 'mosart[download]'",
        )


def check_credentials() -> None:
    """Refuse to download without an Earthdata login in ``.netrc``."""
    path = Path(os.environ.get("NETRC") or Path.home() / (".netrc" if os.name != "nt" else "_netrc"))
    hint = (
        f"register at https://{EARTHDATA} and put `machine {EARTHDATA} login NAME password PASSWORD` "
        f"into {path} (chmod 600)"
    )
    try:
        entry = netrc.netrc(path).authenticators(EARTHDATA)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist", expected="a login for Earthdata", hint=hint) from None
    except (netrc.NetrcParseError, OSError) as error:
        # The parser's message may quote the line, and with it a password.
        raise InputError(f"{path} cannot be read", got=type(error).__name__, hint=hint) from None
    if entry is None:
        raise InputError(f"{path} has no login for {EARTHDATA}", hint=hint)


def _offline(what: str, error: Exception) -> InputError:
    return InputError(
        f"{what} failed",
        got=f"{type(error).__name__}",
        expected="a connection to the archive",
        hint="check the network (and a proxy), or get the files on another machine and name them with --slc",
    )


def polygon(box: LonLat) -> str:
    """Return a box as WKT, longitudes from −180 to 180; across the antimeridian as two parts."""
    west, south, east, north = box
    if not (-90 <= south < north <= 90):
        raise InputError(f"the place {box} has no height", expected="west, south, east, north in degrees")
    west, east = (w - 360.0 * np.floor((w + 180.0) / 360.0) for w in (west, east))

    def ring(a: float, b: float) -> str:
        return f"(({a} {south}, {b} {south}, {b} {north}, {a} {north}, {a} {south}))"

    if east > west:
        return f"POLYGON {ring(west, east)}"
    return f"MULTIPOLYGON ({ring(west, 180.0)}, {ring(-180.0, east)})"


def find_bursts(
    box: LonLat,
    start: dt.date,
    end: dt.date,
    *,
    polarization: str = "VV",
    direction: str | None = None,
    track: int | None = None,
    burst: str | None = None,
    search: Callable[..., Any] | None = None,
) -> list[Any]:
    """Find the bursts of a place, one track and one set of bursts for all dates.

    Parameters
    ----------
    box : LonLat
        West, south, east, north, degrees.
    start, end : date
        First and last day.
    polarization : str
        As "VV".
    direction : {"ascending", "descending"}, optional
        Of the orbit.
    track : int, optional
        Relative orbit.
    burst : str, optional
        One burst by its full identifier, as "042_089077_IW2".
    search : callable, optional
        ``asf_search.geo_search`` by default.

    Returns
    -------
    list of asf_search products
        In order of time; those of the track and subswath with most dates where several see the place,
        which is logged.

    Raises
    ------
    InputError
        If there are none, or the archive cannot be reached.
    """
    if end < start:
        raise InputError(f"the last day {end} lies before the first {start}")
    if search is None:
        import asf_search

        search = asf_search.geo_search
    options: dict[str, Any] = {
        "intersectsWith": polygon(box),
        "dataset": "SLC-BURST",
        "start": f"{start.isoformat()}T00:00:00Z",
        "end": f"{end.isoformat()}T23:59:59Z",
        "polarization": polarization,
    }
    if direction:
        options["flightDirection"] = direction.upper()
    if track is not None:
        options["relativeOrbit"] = track
    if burst:
        options["fullBurstID"] = burst
    try:
        found = list(search(**options))
    except Exception as error:  # the library raises its own errors and those of requests
        raise _offline("the search at ASF", error) from None
    if not found:
        raise InputError(
            f"no bursts of {polarization} from {start} to {end} there", hint="widen the place or the dates"
        )
    groups: dict[tuple[Any, str, str], list[Any]] = {}
    for product in found:
        p = product.properties
        key = (p.get("pathNumber"), str(p.get("flightDirection")), str(p["burst"]["subswath"]))
        groups.setdefault(key, []).append(product)

    def dates(key: tuple[Any, str, str]) -> int:
        return len({str(p.properties["startTime"])[:10] for p in groups[key]})

    order = sorted(groups, key=lambda k: (-dates(k), str(k)))
    best = order[0]
    if len(order) > 1:
        others = "; ".join(f"track {k[0]} {k[1].lower()} {k[2]}: {dates(k)} dates" for k in order[1:])
        logger.info("taken: track %s %s %s; also there: %s", best[0], best[1].lower(), best[2], others)
    return sorted(
        groups[best], key=lambda p: (str(p.properties["startTime"]), str(p.properties["sceneName"]))
    )


def _names(product: Any) -> list[str]:
    scene = str(product.properties["sceneName"])
    return [f"{scene}.tiff", f"{scene}.xml"]


def download_bursts(products: Sequence[Any], folder: Path, *, session: Any = None) -> list[Path]:
    """Get bursts, TIFF and metadata; what is there already is not fetched again.

    Parameters
    ----------
    products : sequence of asf_search products
        From :func:`find_bursts`.
    folder : Path
        Where they go; a file is there whole or not at all.
    session : asf_search.ASFSession, optional
        By default one that logs in from ``.netrc``.

    Returns
    -------
    list of Path
        The TIFFs.

    Raises
    ------
    InputError
        If there is no login, or the archive cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / _names(p)[0] for p in products]
    wanted = [p for p in products if not all((folder / n).is_file() for n in _names(p))]
    if not wanted:
        return paths
    if session is None:
        check_credentials()
        import asf_search

        session = asf_search.ASFSession()
    for product in wanted:
        scene = product.properties["sceneName"]
        logger.info("getting %s", scene)
        temporary = Path(tempfile.mkdtemp(prefix=".fetch.", dir=folder))
        try:
            from asf_search.download import FileDownloadType

            product.download(path=str(temporary), session=session, fileType=FileDownloadType.ALL_FILES)
            got = {
                p.suffix.lower().replace(".tif", ".tiff").replace(".tifff", ".tiff"): p
                for p in temporary.iterdir()
            }
            for name in _names(product):
                source = got.get(Path(name).suffix)
                if source is None or source.stat().st_size == 0:
                    raise InputError(f"{scene}: the archive gave no {Path(name).suffix}")
                source.replace(folder / name)
        except InputError:
            raise
        except Exception as error:  # the library raises its own errors and those of requests
            raise _offline(f"the download of {scene}", error) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return paths


def download_orbits(
    moments: Sequence[tuple[str, dt.datetime]], folder: Path, *, fetch: Callable[..., Any] | None = None
) -> list[Path]:
    """Get precise orbits, restituted ones where there are none yet.

    Parameters
    ----------
    moments : sequence of (str, datetime)
        Platform ("S1A") and time of each acquisition.
    folder : Path
        Where they go.
    fetch : callable, optional
        ``eof.download.download_eofs`` by default.

    Returns
    -------
    list of Path
        What was found; acquisitions without an orbit file are logged: their annotation serves.
    """
    if fetch is None:
        from eof.download import download_eofs

        fetch = download_eofs
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    for platform, moment in sorted(set(moments)):
        for kind in ("precise", "restituted"):
            try:
                files = fetch(
                    orbit_dts=[moment],
                    missions=[platform],
                    save_dir=str(folder),
                    orbit_type=kind,
                    force_asf=True,
                )
            except Exception as error:  # no orbit of this kind, or no network: both end in the next kind
                logger.info("no %s orbit of %s at %s (%s)", kind, platform, moment, type(error).__name__)
                continue
            if files:
                found += [Path(f) for f in files]
                break
        else:
            logger.warning("no orbit file of %s at %s: the annotation's orbit will be used", platform, moment)
    return found


def download_dem(
    box: LonLat, path: Path, *, name: str = "glo_30", stitch: Callable[..., Any] | None = None
) -> Path:
    """Get a DEM of ellipsoidal heights as one GeoTIFF that says so.

    Parameters
    ----------
    box : LonLat
        West, south, east, north, degrees; room for relief is added by the caller.
    path : Path
        To write, whole or not at all.
    name : str
        As dem-stitcher names DEMs.
    stitch : callable, optional
        ``dem_stitcher.stitch_dem`` by default.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the archive cannot be reached.
    """
    if stitch is None:
        from dem_stitcher import stitch_dem

        stitch = stitch_dem
    west, south, east, north = box
    if east <= west:
        east += 360.0
    try:
        heights, profile = stitch(
            [west, south, east, north],
            dem_name=name,
            dst_ellipsoidal_height=True,
            dst_area_or_point="Area",
        )
    except Exception as error:  # the library raises those of requests and rasterio
        raise _offline("the download of the DEM", error) from None
    from mosart.io.atomic import atomic_path

    with (
        atomic_path(path) as temporary,
        rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            width=heights.shape[-1],
            height=heights.shape[-2],
            count=1,
            dtype="float32",
            # Three-dimensional: the heights are ellipsoidal, and whoever reads the file is told.
            crs="EPSG:4979",
            transform=profile["transform"],
            nodata=np.nan,
            compress="deflate",
            GEOTIFF_VERSION="1.1",
        ) as out,
    ):
        out.write(np.asarray(heights, np.float32).reshape(1, *heights.shape[-2:]))
    return path


def fetch_place(
    box: LonLat,
    start: dt.date,
    end: dt.date,
    folder: Path,
    *,
    polarization: str = "VV",
    direction: str | None = None,
    track: int | None = None,
) -> tuple[list[Path], list[Path], Path]:
    """Get everything that ``mosart coregister`` needs for a place and dates.

    Parameters
    ----------
    box, start, end, polarization, direction, track
        See :func:`find_bursts`.
    folder : Path
        Gets ``slc/``, ``orbits/`` and ``dem.tif``.

    Returns
    -------
    bursts, orbits : list of Path
    dem : Path
    """
    require_extra()
    check_credentials()
    products = find_bursts(box, start, end, polarization=polarization, direction=direction, track=track)
    bursts = download_bursts(products, folder / "slc")
    moments = [
        (
            "S1" + str(p.properties["platform"])[-1].upper(),
            dt.datetime.fromisoformat(str(p.properties["startTime"]).rstrip("Z")).replace(tzinfo=None),
        )
        for p in products
    ]
    orbits = download_orbits(moments, folder / "orbits")
    # Relief displaces the box's edges by some kilometres in radar geometry.
    room = 0.05
    wide = (box[0] - room, max(box[1] - room, -90.0), box[2] + room, min(box[3] + room, 90.0))
    return bursts, orbits, download_dem(wide, folder / "dem.tif")
