"""Time and memory of coregistering one full Sentinel-1 burst (1517 × 25,731 samples).

    python benchmarks/coregistration.py [DATA] [--workers N]

A pair is simulated on the real S1A and S1B annotations over hills; printed are the time of the
geometry, of one date, and the peak memory. Limits: 120 s, 60 s and 4 GiB on two cores. Where other programs
run on the machine, its load says so, and the processor's time is what counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from mosart.geometry.orbit import coverage
from mosart.simulate.slc import Burst, SafeTemplate, write_safe
from mosart.slc.coregister import prepare
from mosart.slc.resampling import reference_geometry, resample
from mosart.slc.residual import measure
from mosart.slc.sensors import open_product

NAMES = (
    "s1b-iw3-slc-vv-20190803t164007-20190803t164032-017424-020c57-006.xml",
    "s1a-iw3-slc-vv-20190809t164050-20190809t164115-028495-033896-006.xml",
)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {options.workers} workers{load}")
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        products = []
        for annotation in NAMES:
            template = SafeTemplate(Path(options.data) / "slc/sentinel1" / annotation, range(4, 5))
            columns = int(template.number("swathTiming/samplesPerBurst"))
            noise = rng.normal(size=(1517, columns, 2)).astype(np.float32) * 60
            pixels = noise[..., 0] + 1j * noise[..., 1]
            products.append(open_product(write_safe(folder, template, {0: Burst(pixels, 0, 0)})))
        # One arc second over the whole burst, 1500 m of relief.
        step = 1 / 3600
        y, x = np.mgrid[41.9:40.4:-step, 18.9:20.7:step]
        hills = 750 + 500 * np.sin(x * 200) * np.cos(y * 170) + 250 * np.sin(x * 900 + y * 700)
        dem = folder / "dem.tif"
        profile = {"driver": "GTiff", "width": hills.shape[1], "height": hills.shape[0], "count": 1}
        with rasterio.open(
            dem,
            "w",
            **profile,
            dtype="float32",
            crs="EPSG:4979",
            transform=Affine(step, 0, 18.9, 0, -step, 41.9),
        ) as out:
            out.write(hills.astype(np.float32), 1)
        del hills, x, y, noise, pixels
        _, base, scene, surface = prepare(products, [dem])
        other = next(p for p in products if p is not base)
        # Compilation is paid once a machine, not once a burst.
        small = scene.crop(700, 710, 5000, 5300)
        layers = reference_geometry(small, surface)
        image = np.empty((10, 300), np.float32)
        resample(other, small, layers, image)
        start, cpu = time.perf_counter(), time.process_time()
        layers = reference_geometry(scene, surface, workers=options.workers)
        seconds = time.perf_counter() - start
        print(f"scene: {scene.grid.rows} × {scene.grid.columns}, covered {coverage(scene.grid, surface):.1%}")
        print(f"geometry: {seconds:.1f} s ({time.process_time() - cpu:.1f} s of processor), limit 120 s")
        image = np.empty((scene.grid.rows, scene.grid.columns), np.float32)
        start, cpu = time.perf_counter(), time.process_time()
        error = resample(other, scene, layers, image, workers=options.workers)
        seconds = time.perf_counter() - start
        print(f"one date: {seconds:.1f} s ({time.process_time() - cpu:.1f} s of processor), limit 60 s")
        start, cpu = time.perf_counter(), time.process_time()
        measure(np.abs(image), image)
        seconds = time.perf_counter() - start
        print(f"residual offset: {seconds:.1f} s ({time.process_time() - cpu:.1f} s of processor)")
        print(f"kernel error (full band, worst shift): {error:.1e}")
        print(f"pixels filled: {np.isfinite(image).mean():.1%}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory: {peak:.2f} GiB, limit 4 GiB")


if __name__ == "__main__":
    main()
