"""The original's other calls against the original's own, and against the truth where it fails."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
import rasterio

from mosart import sfs
from mosart.errors import InputError


def write_stack(path: Path, shape: tuple[int, int] = (60, 90), dates: int = 3, **extra: np.ndarray) -> dict:
    """A coregistered file on a turned radar grid."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[: shape[0], : shape[1]].astype(float)
    arrays = {
        "dem": 100.0 + 30.0 * np.sin(column / 11.0) * np.cos(row / 17.0),
        "lon": -163.98 + 1.1e-4 * column + 2.3e-5 * row,
        "lat": 54.75 + 9.0e-5 * row - 1.9e-5 * column,
    }
    for k in range(dates):
        arrays[f"201901{15 + k}"] = 60.0 * np.sqrt(rng.gamma(2.0, 0.5, shape))
    arrays.update(extra)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return arrays


def read(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize(
    "box",
    [
        {"xs": [20, 70], "ys": [10, 45]},
        {"xs": [0, 90], "ys": [0, 60]},
        {"lons": [-163.977, -163.972], "lats": [54.7505, 54.7535]},
    ],
)
def test_preprocessing(original_sfs: ModuleType, tmp_path: Path, box: dict, gaussian: bool) -> None:
    source = tmp_path / "projections.h5"
    write_stack(source)
    options = {"projections": str(source), "sigma_amp": 20, "gaussian": gaussian, **box}
    original_sfs.preprocessing(output=str(tmp_path / "theirs.h5"), **options)
    sfs.preprocessing(output=str(tmp_path / "ours.h5"), **options)
    ours, theirs = read(tmp_path / "ours.h5"), read(tmp_path / "theirs.h5")
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-9)


def test_whole_image_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arrays = write_stack(Path("projections.h5"))
    sfs.preprocessing()
    sfs.preprocessing(path="A")
    sfs.preprocessing(path="D", sigma_amp=30)
    sfs.preprocessing(path="D", output="wins.h5")
    names = ("preprocessed.h5", "ascending.h5", "descending.h5", "wins.h5")
    whole = [read(Path(name)) for name in names]
    for file in whole:
        assert file["20190115"].shape == arrays["dem"].shape
        np.testing.assert_array_equal(file["20190115"], whole[0]["20190115"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*names, "projections.h5"))


def test_gradient_comes_before_the_crop(tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "projections.h5")
    sfs.preprocessing(
        xs=[20, 40], ys=[5, 30], projections=tmp_path / "projections.h5", output=tmp_path / "o.h5",
        patch_kw={"patch_size": 1, "patch_distance": 0},
    )  # fmt: skip
    expected = np.gradient(arrays["dem"], axis=1)[5:30, 20:40]
    np.testing.assert_allclose(read(tmp_path / "o.h5")["grad"], expected, atol=1e-12)


def test_gaps_stay_gaps(tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "projections.h5")
    gappy, dem = arrays["20190116"].copy(), arrays["dem"].copy()
    gappy[20:25, 30:33] = np.nan
    gappy[40] = np.nan
    dem[3, 7] = np.nan
    source = tmp_path / "gappy.h5"
    write_stack(source, **{"20190116": gappy, "dem": dem, "20190117": np.full(dem.shape, np.nan)})
    sfs.preprocessing(projections=source, output=tmp_path / "o.h5")
    result = read(tmp_path / "o.h5")
    np.testing.assert_array_equal(np.isnan(result["20190116"]), np.isnan(gappy))
    np.testing.assert_array_equal(np.argwhere(np.isnan(result["grad"])), [[3, 7]])
    assert np.isnan(result["20190117"]).all()


@pytest.mark.parametrize(
    "box",
    [
        {"xs": [1, 9], "ys": [1, 9], "lons": [0, 1], "lats": [0, 1]},
        {"xs": [1, 9]},
        {"lons": [0, 1]},
        {"xs": [9, 9], "ys": [0, 5]},
        {"xs": [90, 99], "ys": [0, 5]},
    ],
)
def test_unclear_boxes_are_refused(tmp_path: Path, box: dict) -> None:
    write_stack(tmp_path / "projections.h5")
    with pytest.raises(InputError, match="box"):
        sfs.preprocessing(projections=tmp_path / "projections.h5", output=tmp_path / "o.h5", **box)
    assert not (tmp_path / "o.h5").exists()


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    write_stack(tmp_path / "projections.h5", **{"20190117": np.ones((5, 5))})
    (tmp_path / "o.h5").write_text("old")
    with pytest.raises(InputError, match="another shape"):
        sfs.preprocessing(projections=tmp_path / "projections.h5", output=tmp_path / "o.h5")
    assert (tmp_path / "o.h5").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(InputError, match="path"):
        sfs.preprocessing(projections=tmp_path / "projections.h5", path="X")


def test_boxes(original_sfs: ModuleType, tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "projections.h5")
    lon, lat = arrays["lon"], arrays["lat"]
    lons, lats = [-163.977, -163.972], [54.7505, 54.7535]
    assert sfs.get_box(lon, lat, lons, lats) == original_sfs.get_box(lon, lat, lons, lats)
    np.testing.assert_array_equal(
        sfs.ll2rc(lon, lat, -163.975, 54.752), original_sfs.ll2rc(lon, lat, -163.975, 54.752)
    )
    x0, y0, width, height = sfs.get_box2(lon, lat, lons, lats)
    inside = (lon >= lons[0]) & (lon <= lons[1]) & (lat >= lats[0]) & (lat <= lats[1])
    covered = np.zeros(lon.shape, dtype=bool)
    covered[y0 : y0 + height, x0 : x0 + width] = True
    assert inside.any()
    assert covered[inside].all()
    assert sfs.get_box2(lon, lat, lons[::-1], lats[::-1]) == (x0, y0, width, height)
    shifted = (lon + 163.975 + 180.0 + 180.0) % 360.0 - 180.0  # the same place on the antimeridian
    moved = [value + 163.975 + 180.0 for value in lons]
    assert sfs.get_box2(shifted, lat, moved, lats) == (x0, y0, width, height)
    with pytest.raises(InputError, match="finite"):
        sfs.get_box2(lon * np.nan, lat, lons, lats)


def test_georeference(original_sfs: ModuleType, tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "stack.h5", (30, 40))
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 5.0, (2, 30, 40))
    values[:, 5:9, 10:12] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of empty cells
        theirs, _ = original_sfs.georeference(str(tmp_path / "stack.h5"), values, 0.0002)
    ours, extent = sfs.georeference(tmp_path / "stack.h5", values, 0.0002, output=tmp_path / "map.tif")
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    # The extent fits the grid: its cells are of the given size, and the pixels lie within.
    np.testing.assert_allclose((extent[1] - extent[0]) / ours.shape[2], 0.0002, rtol=1e-9)
    np.testing.assert_allclose((extent[3] - extent[2]) / ours.shape[1], 0.0002, rtol=1e-9)
    assert extent[0] < arrays["lon"].min() < arrays["lon"].max() < extent[1]
    with rasterio.open(tmp_path / "map.tif") as raster:
        np.testing.assert_allclose(raster.bounds, [extent[0], extent[2], extent[1], extent[3]])
        assert raster.crs.to_epsg() == 4326
        np.testing.assert_array_equal(raster.read(), ours)


def test_georeference_puts_values_where_they_are(tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "stack.h5", (30, 40))
    values = np.stack([arrays["lon"], arrays["lat"]])
    values[1, :, :20] = np.nan
    values[0, :, 35:] = np.nan  # valid on the later date alone
    result, extent = sfs.georeference(tmp_path / "stack.h5", values, 0.0002)
    east = extent[0] + 0.0002 * (np.arange(result.shape[2]) + 0.5)
    north = extent[3] - 0.0002 * (np.arange(result.shape[1]) + 0.5)
    assert np.nanmax(np.abs(result[0] - east)) < 0.0002
    assert np.nanmax(np.abs(result[1] - north[:, None])) < 0.0002
    assert np.isfinite(result[1][:, east > arrays["lon"][:, 36].max()]).any()


def test_georeference_across_the_antimeridian(tmp_path: Path) -> None:
    arrays = write_stack(tmp_path / "one.h5", (20, 30))
    lon = arrays["lon"] - arrays["lon"].mean()
    values = np.random.default_rng(2).normal(size=(1, 20, 30))
    results = []
    for name, shift in (("a.h5", 180.0), ("b.h5", 0.0)):
        wrapped = (lon + shift + 180.0) % 360.0 - 180.0
        write_stack(tmp_path / name, (20, 30), lon=wrapped)
        results.append(sfs.georeference(tmp_path / name, values, 0.0002)[0])
    assert abs(results[0].shape[2] - results[1].shape[2]) <= 1
    assert results[0].size < 5000


def test_georeference_refuses(tmp_path: Path) -> None:
    write_stack(tmp_path / "stack.h5", (20, 30))
    for array, size in (
        (np.zeros((20, 30)), 1e-4),
        (np.zeros((1, 9, 9)), 1e-4),
        (np.full((1, 20, 30), np.nan), 1e-4),
        (np.zeros((1, 20, 30)), 0.0),
    ):
        with pytest.raises(InputError):
            sfs.georeference(tmp_path / "stack.h5", array, size)


def test_standard_deviation(
    original_sfs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(3).gamma(2.0, 20.0, (4, 20, 30))
    images[1, 3, 4] = np.nan
    with h5py.File("grouped.h5", "w") as file:
        for k, image in enumerate(images):
            file[f"2019011{k}/amps"] = image
    original_sfs.calc_std("grouped.h5")
    theirs = np.load("stdamps.npy")
    sfs.calc_std("grouped.h5")
    np.testing.assert_allclose(np.load("stdamps.npy"), theirs, rtol=1e-12)

    with h5py.File("pairs.h5", "w") as file:
        for k in (1, 2, 3):
            file[f"20190110_2019011{k}/amps"] = images[0]
            file[f"20190110_2019011{k}/amps1"] = images[k]
    sfs.calc_std("pairs.h5")
    np.testing.assert_allclose(np.load("stdamps.npy"), theirs, rtol=1e-12)

    write_stack(Path("projections.h5"))
    sfs.preprocessing(path="D")
    sfs.calc_std()
    flat = read(Path("descending.h5"))
    expected = np.std([flat[name] for name in ("20190115", "20190116", "20190117")], axis=0)
    np.testing.assert_allclose(np.load("stdamps.npy"), expected, rtol=1e-10)
    with h5py.File("empty.h5", "w") as file:
        file["dem"] = np.zeros((2, 2))
    with pytest.raises(InputError, match="no amplitudes"):
        sfs.calc_std("empty.h5")


def test_rasters(tmp_path: Path) -> None:
    data = np.array([[0.0, 1.5, -99.0]], dtype=np.float32)
    complex_data = np.array([[0, 3 + 4j, -1j]], dtype=np.complex64)
    for name, array in (("a.tif", data), ("c.tif", complex_data), ("i.tif", data.astype(np.int16))):
        profile = {"driver": "GTiff", "count": 1, "height": 1, "width": 3, "dtype": array.dtype}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(tmp_path / name, "w", **profile) as raster:
                raster.write(array, 1)
    np.testing.assert_array_equal(sfs.readdata(tmp_path / "a.tif"), [[np.nan, 1.5, -99.0]])
    np.testing.assert_array_equal(sfs.readdata(tmp_path / "a.tif", background=0), data)
    np.testing.assert_array_equal(sfs.readdata(str(tmp_path / "a.tif"), nodata=-99), [[np.nan, 1.5, np.nan]])
    np.testing.assert_array_equal(sfs.readdata(tmp_path / "i.tif"), [[0, 1, -99]])
    modulus, angle = sfs.readcomplexdata(tmp_path / "c.tif")
    np.testing.assert_allclose(modulus, [[np.nan, 5.0, 1.0]])
    np.testing.assert_allclose(angle, [[np.nan, np.arctan2(4, 3), -np.pi / 2]], rtol=1e-6)
    with pytest.raises(InputError, match="cannot be read"):
        sfs.readdata(tmp_path / "missing.tif")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("coregistration_alos", ("list.txt",)),
        ("coreg_alos", ("a", "b")),
        ("coreg_tops_burst", ("a", "b")),
        ("get_product_file", (None, "IMG-")),
        ("insar", ("a", "b")),
    ],
)
def test_calls_of_isce_say_what_to_use(
    original_sfs: ModuleType, name: str, arguments: tuple[object, ...]
) -> None:
    import inspect

    with pytest.raises(InputError, match=rf"{name} is not here[\s\S]*mosart (coregister|run)"):
        getattr(sfs, name)(*arguments)
    ours, theirs = (inspect.signature(getattr(module, name)) for module in (sfs, original_sfs))
    assert list(ours.parameters) == list(theirs.parameters)
    for mine, their in zip(ours.parameters.values(), theirs.parameters.values(), strict=True):
        assert mine.default == their.default


def test_signatures_are_the_originals(original_sfs: ModuleType, original_lsquares: ModuleType) -> None:
    import inspect

    from mosart import lsquares

    pairs = [
        (sfs, original_sfs, n) for n in ("preprocessing", "get_box", "georeference", "calc_std", "readdata")
    ]
    pairs += [(sfs, original_sfs, n) for n in ("readcomplexdata", "ll2rc")]
    pairs += [(sfs, original_sfs, n) for n in ("coregistration", "coregistration_bursts")]
    pairs += [(lsquares, original_lsquares, n) for n in ("getdem", "getgrad", "getabc_reg")]
    for ours, theirs, name in pairs:
        mine = list(inspect.signature(getattr(ours, name)).parameters)
        their = list(inspect.signature(getattr(theirs, name)).parameters)
        assert mine[: len(their)] == their
