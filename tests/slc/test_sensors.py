"""One suite for every sensor: what a product says, how it refuses damage, that only our error escapes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from mosart.errors import InputError
from mosart.geometry.orbit import Orbit, RadarGrid
from mosart.simulate.slc import Burst, SafeTemplate, write_burst, write_rslc, write_safe, write_ssc
from mosart.simulate.slc.safe import zip_safe
from mosart.slc.scene import check_alike, merge_dates
from mosart.slc.sensors import open_product

ROWS, COLUMNS = 60, 80
S1_ANNOTATION = "s1b-iw3-slc-vv-20190803t164007-20190803t164032-017424-020c57-006.xml"


def _pixels(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (200 * (rng.normal(size=(ROWS, COLUMNS)) + 1j * rng.normal(size=(ROWS, COLUMNS)))).astype(
        np.complex64
    )


def _grid(side: str = "left") -> RadarGrid:
    t = np.arange(-60.0, 61.0, 10.0)
    angle = t * 7500 / 7.07e6
    position = 7.07e6 * np.stack([np.cos(angle), np.zeros_like(t), np.sin(angle)], axis=1)
    velocity = 7500 * np.stack([-np.sin(angle), np.zeros_like(t), np.cos(angle)], axis=1)
    # The zero of the axes lies two days before the acquisition.
    orbit = Orbit(dt.datetime(2020, 2, 27), t + 2 * 86400 + 3600, position, velocity)
    return RadarGrid(orbit, 2 * 86400 + 3600.0, 0.002, 8.5e5, 5.0, ROWS, COLUMNS, side, 0.24)


@pytest.fixture(scope="module")
def products(
    tmp_path_factory: pytest.TempPathFactory, data_folder: Path
) -> dict[str, tuple[Path, dt.date, str]]:
    """Path, date and polarisation of a product of each kind."""
    folder = tmp_path_factory.mktemp("products")
    tsx = next((data_folder / "slc" / "terrasarx").glob("*.xml"))
    s1 = data_folder / "slc/sentinel1" / S1_ANNOTATION
    safe = write_safe(folder, SafeTemplate(s1, range(4, 6)), {0: Burst(_pixels(), 300, 9000)}, noise=25.0)
    return {
        "nisar": (write_rslc(folder / "n.h5", _grid(), _pixels()), dt.date(2020, 2, 29), "HH"),
        "nisar-half": (
            write_rslc(folder / "h.h5", _grid("right"), _pixels(), half=True, group="SLC"),
            dt.date(2020, 2, 29),
            "HH",
        ),
        "terrasarx": (
            write_ssc(folder / "v1", tsx, _pixels(), row=40, column=30),
            dt.date(2020, 7, 22),
            "HH",
        ),
        "terrasarx-2": (
            write_ssc(folder / "v2", tsx, _pixels(), start="2020-08-02", version=2),
            dt.date(2020, 8, 2),
            "HH",
        ),
        "safe": (safe, dt.date(2019, 8, 3), "VV"),
        "zip": (
            zip_safe(safe, folder / "x (1).zip", top="a/b.SAFE", folders=False),
            dt.date(2019, 8, 3),
            "VV",
        ),
    }


KINDS = ["nisar", "nisar-half", "terrasarx", "terrasarx-2", "safe", "zip"]


@pytest.mark.parametrize("kind", KINDS)
def test_contract(products: dict, kind: str) -> None:
    path, date, polarization = products[kind]
    product = open_product(path)
    assert product.date == date
    assert product.polarization == polarization
    assert product.orbit_direction in ("ascending", "descending", "unknown")
    assert all(0 < b <= 1 for b in product.bandwidth)
    calibrated = kind not in ("nisar", "nisar-half")
    assert product.radiometric_scale == ("beta nought" if calibrated else "unknown")
    starts = [s.grid.first_time for s in product.segments]
    assert starts == sorted(starts)
    for segment in product.segments:
        grid = segment.grid
        r0, r1, c0, c1 = segment.valid
        assert 0 <= r0 < r1 <= grid.rows
        assert 0 <= c0 < c1 <= grid.columns
        assert grid.orbit.covers(grid.first_time, grid.first_time + grid.rows * grid.time_step)
        assert segment.carrier.coefficients.shape == (3, grid.columns)
        assert grid.start.date() == date
        assert (segment.noise is not None) == calibrated
    first = product.segments[0]
    row, column = (300, 9000) if kind in ("safe", "zip") else (0, 0)
    box = (row, row + ROWS, column, column + COLUMNS)
    read = first.pixels.read(box)
    assert read.dtype == np.complex64
    tolerance = {"nisar": 1e-4, "nisar-half": 0.5, "terrasarx-2": 0.5}.get(kind, 0.71)
    assert np.abs(read - _pixels()).max() <= tolerance
    # Boxes that reach out of the segment are filled with zeros.
    wide = first.pixels.read((row - 5, row + 3, column - 2, column + 4))
    np.testing.assert_array_equal(wide[5:, 2:], read[:3, :4])
    outside = first.pixels.read((first.grid.rows, first.grid.rows + 4, 0, 3))
    assert outside.shape == (4, 3)
    assert not outside.any()


@pytest.mark.parametrize("kind", KINDS)
def test_polarization_is_refused_by_name(products: dict, kind: str) -> None:
    with pytest.raises(InputError, match="polarisation HV"):
        open_product(products[kind][0], polarization="HV")


def _main_files(path: Path) -> list[Path]:
    """Files of a product whose damage must be noticed."""
    if path.is_file():
        return [path]
    return [
        p
        for p in sorted(path.rglob("*"))
        if p.is_file() and p.name != "manifest.safe" and "noise" not in p.name
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_and_empty(products: dict, kind: str, tmp_path: Path) -> None:
    source = products[kind][0]
    for number in range(len(_main_files(source))):
        for part in (0.0, 0.5, 0.97):
            copy = tmp_path / f"{number}-{part}" / source.name
            copy.parent.mkdir()
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
            victim = _main_files(copy)[number]
            content = victim.read_bytes()
            if victim.suffix == ".tiff" and part > 0:
                continue  # sparse: the lines that hold nothing are not in the file
            victim.write_bytes(content[: int(len(content) * part)])
            with pytest.raises(InputError):
                open_product(copy)


@pytest.mark.parametrize("kind", ["nisar", "nisar-half", "terrasarx", "safe", "zip"])
def test_fuzz(products: dict, kind: str, tmp_path: Path) -> None:
    """Bytes flipped and pieces cut: the product opens, or our own error says why not."""
    source = products[kind][0]
    rng = np.random.default_rng(7)
    copy = tmp_path / source.name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    files = [p for p in ([copy] if copy.is_file() else sorted(copy.rglob("*"))) if p.is_file()]
    files = [p for p in files if p.stat().st_size < 5_000_000]
    refused = 0
    for _ in range(40):
        victim = files[int(rng.integers(len(files)))]
        original = victim.read_bytes()
        damaged = bytearray(original)
        for _ in range(int(rng.integers(1, 20))):
            if not damaged:
                break
            place = int(rng.integers(len(damaged)))
            if rng.random() < 0.6:
                damaged[place] = int(rng.integers(256))
            elif rng.random() < 0.5:
                del damaged[place : place + int(rng.integers(1, 200))]
            else:
                damaged[place:place] = bytes(rng.integers(0, 256, 8, dtype=np.uint8))
        victim.write_bytes(bytes(damaged))
        try:
            product = open_product(copy)
            product.segments[0].pixels.read((0, 4, 0, 10))
        except InputError:
            refused += 1
        finally:
            victim.write_bytes(original)
    assert refused > 0


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> dict[str, tuple[Path, Path]]:
    """A burst and an SSC without holes in their images; the file to open and the image's."""
    folder = tmp_path_factory.mktemp("images")
    annotation = data_folder / "slc/sentinel1" / S1_ANNOTATION
    rng = np.random.default_rng(2)
    noise = (60 * (rng.normal(size=(1517, 80)) + 1j * rng.normal(size=(1517, 80)))).astype(np.complex64)
    burst = write_burst(
        folder, SafeTemplate(annotation, range(4, 5), columns=range(9000, 9080)), Burst(noise, 0, 0)
    )
    ssc = write_ssc(folder, next((data_folder / "slc/terrasarx").glob("*.xml")), noise[:300])
    return {"burst": (burst, burst), "ssc": (ssc, next((ssc / "IMAGEDATA").iterdir()))}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("kind", ["burst", "ssc"])
def test_damaged_images(images: dict[str, tuple[Path, Path]], kind: str) -> None:
    """An image that is cut, or lacks a piece, is refused when it is opened; flipped bytes do no harm."""
    product, image = images[kind]
    whole = image.read_bytes()
    rng = np.random.default_rng(11)
    try:
        for _ in range(6):
            image.write_bytes(whole[: int(rng.integers(len(whole)))])
            with pytest.raises(InputError):
                open_product(product)
            start = int(rng.integers(len(whole) - 5000))
            image.write_bytes(whole[:start] + whole[start + int(rng.integers(200, 5000)) :])
            with pytest.raises(InputError):
                open_product(product)
        for place in (0, 4, 8, 16, 64, 200, *(int(p) for p in rng.integers(len(whole), size=6))):
            damaged = bytearray(whole)
            damaged[place : place + 4] = bytes(rng.integers(0, 256, 4, dtype=np.uint8))
            image.write_bytes(damaged)
            with contextlib.suppress(InputError):
                segment = open_product(product).segments[0]
                segment.pixels.read((0, segment.grid.rows, 0, segment.grid.columns))
    finally:
        image.write_bytes(whole)
    assert open_product(product).segments[0].pixels.read((100, 104, 0, 20)).any()


def test_zip_variants(products: dict, tmp_path: Path) -> None:
    safe = products["safe"][0]
    for name, top, folders in (
        ("a.zip", None, True),
        ("S1 slc.zip", "other", False),
        ("x (1).zip", "a/b", True),
    ):
        product = open_product(zip_safe(safe, tmp_path / name, top=top, folders=folders))
        assert product.date == dt.date(2019, 8, 3)
        assert product.processor == "IPF 003.31"
        assert product.segments[0].pixels.read((300, 302, 9000, 9004)).any()


def test_date_is_never_taken_from_a_name(products: dict, tmp_path: Path) -> None:
    copy = (
        tmp_path / "20170101_old" / "S1A_IW_SLC__1SDV_20230106T000000_20230106T000000_000000_000000_0000.SAFE"
    )
    shutil.copytree(products["safe"][0], copy)
    assert open_product(copy).date == dt.date(2019, 8, 3)


def test_unknown_and_missing_tags(products: dict, tmp_path: Path) -> None:
    copy = tmp_path / "p.SAFE"
    shutil.copytree(products["safe"][0], copy)
    annotation = next((copy / "annotation").glob("*.xml"))
    text = annotation.read_text()
    for tag in ("sliceNumber", "sliceList", "dcMethod"):
        start, stop = text.index(f"<{tag}"), text.index(f"</{tag}>") + len(tag) + 3
        text = text[:start] + text[stop:]
    text = text.replace("<adsHeader>", "<adsHeader><brandNew a='1'>7</brandNew>", 1)
    annotation.write_text(text.replace("S1B", "S1D"))
    (copy / "manifest.safe").write_text((copy / "manifest.safe").read_text().replace("003.31", "002.36"))
    product = open_product(copy)
    assert product.platform == "S1D"
    assert product.processor == "IPF 002.36"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_single_bursts_as_asf_serves_them(products: dict, tmp_path: Path, data_folder: Path) -> None:
    whole = open_product(products["safe"][0])
    template = SafeTemplate(data_folder / "slc/sentinel1" / S1_ANNOTATION, range(4, 6))
    paths = []
    for index, segment in enumerate(whole.segments):
        pixels = _pixels() if index == 0 else np.zeros((1, 1), np.complex64)
        path = write_burst(tmp_path, template, Burst(pixels, 300, 9000), index=index, noise=25.0)
        assert path.name.startswith(f"S1_{int(segment.name.split('_')[0]):06d}_IW3_20190803T")
        # Either of the two may be named.
        paths.append(path if index else path.with_suffix(".xml"))
    bursts = [open_product(p) for p in paths[::-1]]
    assert [len(b.segments) for b in bursts] == [1, 1]
    merged = merge_dates(bursts)
    assert len(merged) == 1
    assert [s.name for s in merged[0].segments] == [s.name for s in whole.segments]
    for mine, theirs in zip(merged[0].segments, whole.segments):
        assert mine.grid.first_time == pytest.approx(theirs.grid.first_time, abs=1e-9)
    np.testing.assert_array_equal(
        merged[0].segments[0].pixels.read((300, 310, 9000, 9020)),
        whole.segments[0].pixels.read((300, 310, 9000, 9020)),
    )
    with pytest.raises(InputError, match="comes twice"):
        merge_dates([bursts[0], bursts[0], bursts[1]])


def test_real_zip(data_folder: Path) -> None:
    path = next((data_folder / "slc" / "sentinel1").glob("*.zip"))
    product = open_product(path)
    assert (product.platform, product.mode, product.polarization) == ("S1B", "IW1", "VV")
    assert product.processor == "IPF 003.31"
    assert len(product.segments) == 9
    first = product.segments[0]
    from eos.products.sentinel1.calibration import Sentinel1Calibrator
    from eos.sar.roi import Roi

    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        texts = [
            archive.read(next(n for n in names if f"/{k}-s1b-iw1-slc-vv" in n)).decode()
            for k in ("calibration", "noise")
        ]
    # Our tables against the library's.
    theirs = Sentinel1Calibrator(*texts)
    roi = Roi(3000, 500, 200, 50)
    scale = theirs._get_calibration_array(roi.to_roi(), "betaNought")
    rows, columns = np.arange(500.0, 550.0), np.arange(3000.0, 3200.0)
    np.testing.assert_allclose(1 / first.amplitude_scale.at(rows, columns), scale, rtol=1e-5)
    noise = theirs._get_noise_array(roi.to_roi()) / scale**2
    assert first.noise is not None
    # The azimuth factor changes over tens of lines; ours is kept on a lattice of an eighth of a burst.
    np.testing.assert_allclose(first.noise.at(rows, columns), noise, rtol=0.05)


def test_mixed_products_are_refused(products: dict, tmp_path: Path, data_folder: Path) -> None:
    opened = {k: open_product(products[k][0]) for k in ("nisar", "nisar-half", "terrasarx", "safe")}
    with pytest.raises(InputError, match="another sensor"):
        check_alike([opened["nisar"], opened["safe"]])
    with pytest.raises(InputError, match=r"another (track|look direction)"):
        check_alike([opened["nisar"], opened["nisar-half"]])
    # Modes of one radar have other centre frequencies; another band is refused.
    for factor, fits in ((1.008, True), (1.3, False)):
        (segment,) = opened["terrasarx"].segments
        grid = dataclasses.replace(segment.grid, wavelength=segment.grid.wavelength * factor)
        product = dataclasses.replace(
            opened["terrasarx"], segments=(dataclasses.replace(segment, grid=grid),)
        )
        with contextlib.nullcontext() if fits else pytest.raises(InputError, match="wavelength"):
            check_alike([opened["terrasarx"], product])
    other = SafeTemplate(
        data_folder / "slc/sentinel1/s1a-iw3-slc-vv-20190809t164050-20190809t164115-028495-033896-006.xml",
        range(0, 1),
    )
    with pytest.raises(InputError, match="other bursts"):
        check_alike([opened["safe"], open_product(write_safe(tmp_path, other, {}))])
    with pytest.raises(InputError, match="comes twice"):
        merge_dates([opened["terrasarx"], opened["terrasarx"]])


def test_mismatched_size(products: dict, tmp_path: Path) -> None:
    copy = tmp_path / "n.h5"
    shutil.copy(products["nisar"][0], copy)
    with h5py.File(copy, "r+") as file:
        image = file["science/LSAR/RSLC/swaths/frequencyA/HH"][:50]
        del file["science/LSAR/RSLC/swaths/frequencyA/HH"]
        file["science/LSAR/RSLC/swaths/frequencyA/HH"] = image
    with pytest.raises(InputError, match="does not fit its axes"):
        open_product(copy)
    with h5py.File(copy, "r+") as file:
        del file["science/LSAR/RSLC/swaths/frequencyA/HH"]
        file["science/LSAR/RSLC/swaths/frequencyA/HH"] = np.zeros((ROWS, COLUMNS))
    with pytest.raises(InputError, match="expected: complex"):
        open_product(copy)


def test_no_product(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name in ("text.txt", "empty", "missing.zip"):
        with pytest.raises(InputError, match=name):
            open_product(tmp_path / name)


def test_orbit_files(
    products: dict, tmp_path: Path, data_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """POEORB before the annotation; another day, satellite or a short one falls back, saying so."""
    safe = products["safe"][0]
    plain = open_product(safe)
    assert plain.orbit_source == "annotation"
    wrong = next((data_folder / "slc" / "sentinel1").glob("*.EOF"))
    assert open_product(safe, orbits=[wrong]).orbit_source == "annotation"
    assert "another time" in caplog.text
    orbit = plain.segments[0].grid.orbit

    def eof(name: str, last: int, mission: str = "Sentinel-1B", kind: str = "AUX_POEORB") -> Path:
        lines = []
        for k in range(last):
            when = orbit.epoch + dt.timedelta(seconds=float(orbit.times[k]))
            values = dict(zip(("X", "Y", "Z", "VX", "VY", "VZ"), [*orbit.position[k], *orbit.velocity[k]]))
            inner = "".join(
                f"<{a}>{b!r}</{a}>".replace("np.float64(", "").replace(")", "") for a, b in values.items()
            )
            lines.append(f"<OSV><UTC>UTC={when.isoformat()}</UTC>{inner}</OSV>")
        path = tmp_path / name
        path.write_text(f"<E><Mission>{mission}</Mission><File_Type>{kind}</File_Type>{''.join(lines)}</E>")
        return path

    n = orbit.times.size
    good = eof("good.EOF", n)
    assert "POEORB" in open_product(safe, orbits=[eof("res.EOF", n, kind="AUX_RESORB"), good]).orbit_source
    for bad in (eof("short.EOF", n // 2), eof("other.EOF", n, mission="Sentinel-1A")):
        caplog.clear()
        assert open_product(safe, orbits=[bad]).orbit_source == "annotation"
        assert bad.name in caplog.text


def test_without_the_extra(products: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentinel-1 says how to get the extra; formats that do not need it still open."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "eos" else find(n, *a))
    with pytest.raises(InputError, match=r"mosart\[slc\]"):
        open_product(products["safe"][0])
    assert open_product(products["nisar"][0]).polarization == "HH"
    assert open_product(products["terrasarx"][0]).polarization == "HH"
