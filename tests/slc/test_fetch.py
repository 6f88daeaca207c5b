"""Fetching up to the network's edge: the libraries' own objects, no connection."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from mosart.errors import InputError
from mosart.geometry.orbit import load_dem
from mosart.slc import fetch

asf_search = pytest.importorskip("asf_search")

BOX = (179.5, 51.8, -179.9, 52.1)


def burst(name: str, when: str, *, track: int = 81, swath: str = "IW2") -> Any:
    """A product of asf_search, from the record that the archive would send."""
    from asf_search.Products import S1BurstProduct

    attributes = {
        "BURST_ID_FULL": f"{track:03d}_1_{swath}",
        "BURST_ID_RELATIVE": "1",
        "BURST_ID_ABSOLUTE": "1",
        "BURST_INDEX": "3",
        "SUBSWATH_NAME": swath,
        "SAMPLES_PER_BURST": "25000",
        "AZIMUTH_TIME": when,
        "ASCENDING_DESCENDING": "ASCENDING",
        "PATH_NUMBER": str(track),
        "POLARIZATION": "VV",
    }
    umm = {
        "GranuleUR": name,
        "AdditionalAttributes": [{"Name": k, "Values": [v]} for k, v in attributes.items()],
        "TemporalExtent": {"RangeDateTime": {"BeginningDateTime": when, "EndingDateTime": when}},
        "Platforms": [{"ShortName": "SENTINEL-1A", "Instruments": [{"ShortName": "SAR"}]}],
        "RelatedUrls": [
            {"Type": "USE SERVICE API", "URL": f"https://example.invalid/{name}.tiff"},
            {"Type": "USE SERVICE API", "URL": f"https://example.invalid/{name}.xml"},
        ],
        "SpatialExtent": {
            "HorizontalSpatialDomain": {
                "Geometry": {
                    "GPolygons": [
                        {
                            "Boundary": {
                                "Points": [
                                    {"Longitude": x, "Latitude": y}
                                    for x, y in ((0, 0), (1, 0), (1, 1), (0, 0))
                                ]
                            }
                        }
                    ]
                }
            }
        },
    }
    return S1BurstProduct({"umm": umm, "meta": {"concept-id": name}})


def test_polygon_across_the_antimeridian() -> None:
    import shapely

    shape = shapely.from_wkt(fetch.polygon(BOX))
    assert shape.is_valid
    assert shape.area == pytest.approx(0.6 * 0.3)
    assert shapely.from_wkt(fetch.polygon((179.5, 51.8, 180.1, 52.1))).area == pytest.approx(0.6 * 0.3)
    with pytest.raises(InputError, match="height"):
        fetch.polygon((0, 3, 1, 2))


def test_find_takes_one_track(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked: dict[str, Any] = {}

    def search(**options: Any) -> list[Any]:
        asked.update(options)
        return [
            burst("b", "2023-02-13T10:00:00.000000Z"),
            burst("a", "2023-02-01T10:00:00.000000Z"),
            burst("c", "2023-02-05T10:00:00.000000Z", track=9),
        ]

    found = fetch.find_bursts(BOX, dt.date(2023, 2, 1), dt.date(2023, 2, 20), search=search)
    assert [p.properties["sceneName"] for p in found] == ["a", "b"]
    assert asked["dataset"] == asf_search.DATASET.SLC_BURST
    assert asked["polarization"] == "VV"
    assert "track 9" in caplog.text
    with pytest.raises(InputError, match="no bursts"):
        fetch.find_bursts(BOX, dt.date(2023, 2, 1), dt.date(2023, 2, 20), search=lambda **_: [])


def test_offline() -> None:
    def search(**_: Any) -> list[Any]:
        raise asf_search.ASFSearchError("Connection Error")

    with pytest.raises(InputError, match="search at ASF failed") as caught:
        fetch.find_bursts(BOX, dt.date(2023, 2, 1), dt.date(2023, 2, 20), search=search)
    assert "network" in caught.value.hint


def test_download_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product = burst("S1_1_IW2_20230201T100000_VV_ABCD-BURST", "2023-02-01T10:00:00.000000Z")
    calls: list[str] = []

    def fails(path: str, **_: Any) -> None:
        (Path(path) / "part.tiff").write_bytes(b"half")
        raise ConnectionError("password=secret")

    def works(path: str, **_: Any) -> None:
        calls.append(path)
        (Path(path) / "1.tiff").write_bytes(b"image")
        (Path(path) / "1.xml").write_bytes(b"text")

    monkeypatch.setattr(product, "download", fails)
    with pytest.raises(InputError, match="download of S1_1") as caught:
        fetch.download_bursts([product], tmp_path, session=object())
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(product, "download", works)
    for _ in range(2):
        (path,) = fetch.download_bursts([product], tmp_path, session=object())
        assert path.read_bytes() == b"image"
        assert path.with_suffix(".xml").read_bytes() == b"text"
    assert len(calls) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_credentials_only_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    with pytest.raises(InputError, match="does not exist"):
        fetch.check_credentials()
    path.write_text("machine example.invalid login a password b\n")
    path.chmod(0o600)
    with pytest.raises(InputError, match="no login"):
        fetch.check_credentials()
    path.write_text(f"machine {fetch.EARTHDATA} login a password secret nonsense\n")
    with pytest.raises(InputError) as caught:
        fetch.check_credentials()
    assert "secret" not in str(caught.value)
    path.write_text(f"machine {fetch.EARTHDATA} login a password secret\n")
    fetch.check_credentials()


def test_orbits_fall_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    def get(**options: Any) -> list[str]:
        asked.append(options["orbit_type"])
        if options["orbit_type"] == "precise":
            raise ValueError("none yet")
        return [str(tmp_path / "r.EOF")]

    moment = dt.datetime(2023, 2, 1, 10)
    assert fetch.download_orbits([("S1A", moment)], tmp_path, fetch=get) == [tmp_path / "r.EOF"]
    assert asked == ["precise", "restituted"]
    assert fetch.download_orbits([("S1A", moment)], tmp_path, fetch=lambda **_: []) == []
    assert "annotation" in caplog.text


def test_dem_says_that_it_is_ellipsoidal(tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def stitch(bounds: list[float], **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        asked.update(options, bounds=bounds)
        return np.full((30, 60), 321.0, np.float32), {"transform": Affine(0.01, 0, 179.5, 0, -0.01, 52.1)}

    path = fetch.download_dem(BOX, tmp_path / "dem.tif", stitch=stitch)
    assert asked["dst_ellipsoidal_height"] is True
    assert asked["bounds"] == pytest.approx([179.5, 51.8, 180.1, 52.1])
    dem = load_dem(path)
    assert dem.datum == "ellipsoidal, as the file says"
    assert dem.sample(np.array([-179.95]), np.array([52.0]))[0] == pytest.approx(321.0)
