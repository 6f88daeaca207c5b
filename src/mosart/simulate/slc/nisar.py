"""RSLC products in the layout of NISAR."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from mosart.geometry.orbit import RadarGrid
from mosart.geometry.orbit.grid import LIGHT_SPEED

_HALF = np.dtype([("r", "<f2"), ("i", "<f2")])


def write_rslc(
    path: Path,
    grid: RadarGrid,
    pixels: NDArray[np.complex64],
    *,
    bandwidth: tuple[float, float] = (0.8, 0.85),
    polarization: str = "HH",
    group: str = "RSLC",
    half: bool = False,
    doppler: float = 0.0,
) -> Path:
    """Write an RSLC file.

    Parameters
    ----------
    path : Path
        To write.
    grid : RadarGrid
        Zero-Doppler grid, either side.
    pixels : ndarray (rows, columns)
        Complex, around the Doppler centroid.
    bandwidth : tuple of float
        Processed over sampled band in azimuth and range.
    polarization, group : str
        As "HH"; "RSLC" or "SLC" (older files).
    half : bool
        Pixels in half precision, as NISAR has them.
    doppler : float
        Centroid of the pixels' spectrum, Hz.

    Returns
    -------
    Path
    """
    units = f"seconds since {grid.orbit.epoch:%Y-%m-%d %H:%M:%S}"
    times = grid.times
    ranges = grid.first_range + grid.range_step * np.arange(grid.columns)
    with h5py.File(path, "w") as file:
        band = file.create_group("science/LSAR")
        top = band.create_group(group)

        def put(name: str, value: object, unit: str = "") -> None:
            dataset = top.create_dataset(name, data=value)
            if unit:
                dataset.attrs["units"] = np.bytes_(unit)

        put("metadata/orbit/time", grid.orbit.times, units)
        put("metadata/orbit/position", grid.orbit.position, "meters")
        put("metadata/orbit/velocity", grid.orbit.velocity, "meters per second")
        put("swaths/zeroDopplerTime", times, units)
        put("swaths/zeroDopplerTimeSpacing", grid.time_step, "seconds")
        swath = "swaths/frequencyA"
        put(f"{swath}/slantRange", ranges, "meters")
        put(f"{swath}/slantRangeSpacing", grid.range_step, "meters")
        put(f"{swath}/processedCenterFrequency", LIGHT_SPEED / grid.wavelength, "Hz")
        put(f"{swath}/processedAzimuthBandwidth", bandwidth[0] / grid.time_step, "Hz")
        put(f"{swath}/processedRangeBandwidth", bandwidth[1] * LIGHT_SPEED / 2 / grid.range_step, "Hz")
        if half:
            raw = np.empty(pixels.shape, dtype=_HALF)
            raw["r"], raw["i"] = pixels.real, pixels.imag
            put(f"{swath}/{polarization}", raw)
        else:
            put(f"{swath}/{polarization}", pixels)
        parameters = "metadata/processingInformation/parameters"
        put(f"{parameters}/zeroDopplerTime", times[[0, -1]], units)
        put(f"{parameters}/slantRange", ranges[[0, -1]], "meters")
        put(f"{parameters}/frequencyA/dopplerCentroid", np.full((2, 2), doppler), "Hz")
        for name, value in (
            ("lookDirection", grid.side),
            ("missionId", "simulated"),
            ("trackNumber", "1"),
            ("orbitPassDirection", "ascending"),
            # Left wrong on purpose: times come from the axes.
            ("zeroDopplerStartTime", "1999-01-01T00:00:00"),
        ):
            band.create_dataset(f"identification/{name}", data=np.bytes_(value))
    return path
