from __future__ import annotations

import json

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mosart import areas as module
from mosart.areas import read_areas
from mosart.errors import InputError
from mosart.stack import Stack

PLACE = (-163.97, 54.75)
FORMS = ("beyond", "wrapped", "cut", "utm")


def distances(stack, place):
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    _, _, d = pyproj.Geod(ellps="WGS84").inv(
        np.full(lon.shape, place[0]), np.full(lon.shape, place[1]), lon, lat
    )
    return d


def disc(place, radius=95.0, crs=4326):
    """A circle on the ground, in degrees around a place, not wrapped."""
    lon, lat, _ = pyproj.Geod(ellps="WGS84").fwd(
        np.full(181, place[0]), np.full(181, place[1]), np.linspace(0, 360, 181), np.full(181, radius)
    )
    ring = shapely.Polygon(np.column_stack([np.unwrap(lon, period=360), lat]))
    frame = geopandas.GeoDataFrame({"name": ["disc"]}, geometry=[ring], crs=4326)
    return frame if crs == 4326 else frame.to_crs(crs)


@pytest.mark.parametrize(
    ("suffix", "crs"),
    [(".geojson", 4326), *((suffix, crs) for suffix in (".gpkg", ".shp") for crs in (4326, 32603, 3338))],
)
@pytest.mark.parametrize("turn", [0.0, 70.0, 190.0])
def test_polygons_of_files_in_any_system(tmp_path, make_stack, *, suffix, crs, turn):
    path = tmp_path / f"crater{suffix}"
    disc(PLACE, crs=crs).to_file(path)
    stack = make_stack(PLACE, turn=turn)
    areas = read_areas(path)
    assert areas.names == ("disc",)
    assert areas.kind == "polygon"
    d = distances(stack, PLACE)
    mask = areas.mask(stack, "disc")
    clear = np.abs(d - 95) > 0.1  # the ring has corners
    assert_array_equal(mask[clear], (d < 95)[clear])
    assert mask.dtype == bool


@pytest.mark.parametrize(
    ("place", "form"),
    [
        *((place, form) for place in ((180.0, 51.0), (-179.9999, -16.0), (0.0, 0.0)) for form in FORMS),
        *(((100.0, 88.0), form) for form in FORMS[:3]),  # UTM ends before
    ],
)
@pytest.mark.parametrize("full_turn", [False, True])
def test_polygons_across_the_antimeridian(make_stack, place, full_turn, form):
    stack = make_stack(place, full_turn=full_turn)
    frame = disc(place)
    ring = frame.geometry.iloc[0]
    if form == "wrapped":  # vertices on both sides, −180…180
        xy = shapely.get_coordinates(ring)
        xy[:, 0] = (xy[:, 0] + 180) % 360 - 180
        frame = frame.set_geometry([shapely.Polygon(xy)], crs=4326)
    elif form == "cut":  # as RFC 7946 wants it
        west = ring.intersection(shapely.box(-540, -90, 180, 90))
        east = shapely.transform(ring.intersection(shapely.box(180, -90, 540, 90)), lambda c: c - [360, 0])
        frame = frame.set_geometry(
            [shapely.MultiPolygon([p for p in (west, east) if not p.is_empty])], crs=4326
        )
    elif form == "utm":
        frame = frame.to_crs(32601 if place[0] < 0 or place[0] == 180 else 32631)
    d = distances(stack, place)
    mask = read_areas(frame).mask(stack, "disc")
    clear = np.abs(d - 95) > 0.2
    assert_array_equal(mask[clear], (d < 95)[clear])


def test_holes_several_parts_and_names(tmp_path, make_stack):
    stack = make_stack()
    outer, inner = disc(PLACE, 150).geometry.iloc[0], disc(PLACE, 60).geometry.iloc[0]
    ring = outer.difference(inner)
    lon = PLACE[0] + 0.003
    two = shapely.MultiPolygon([inner, disc((lon, PLACE[1]), 40).geometry.iloc[0]])
    frame = geopandas.GeoDataFrame({"name": ["rim", "rim", None]}, geometry=[ring, two, inner], crs=4326)
    path = tmp_path / "many.gpkg"
    frame.to_file(path)
    areas = read_areas(path)
    assert areas.names == ("rim", "rim 2", "many 3")
    d, d2 = distances(stack, PLACE), distances(stack, (lon, PLACE[1]))
    masks = areas.masks(stack)
    clear = (np.abs(d - 150) > 0.2) & (np.abs(d - 60) > 0.2) & (np.abs(d2 - 40) > 0.2)
    assert_array_equal(masks["rim"][clear], ((d < 150) & (d > 60))[clear])
    assert_array_equal(masks["rim 2"][clear], ((d < 60) | (d2 < 40))[clear])
    assert_array_equal(areas.union(stack)[clear], (masks["rim"] | masks["rim 2"])[clear])


def test_a_polygon_that_crosses_itself_is_mended(make_stack):
    x, y = PLACE
    bow = shapely.Polygon(
        [(x - 0.002, y - 0.001), (x + 0.002, y + 0.001), (x + 0.002, y - 0.001), (x - 0.002, y + 0.001)]
    )
    frame = geopandas.GeoDataFrame(geometry=[bow], crs=4326)
    areas = read_areas(frame)
    assert areas.mask(make_stack(), areas.names[0]).sum() > 10


@given(
    place=st.sampled_from([(-163.97, 54.75), (179.9999, 51.0), (-60.0, -62.0)]),
    west=st.floats(-0.004, 0.0), east=st.floats(0.0005, 0.004),
    south=st.floats(-0.003, 0.0), north=st.floats(0.0002, 0.003), turns=st.sampled_from([0, 360]),
)  # fmt: skip
def test_boxes_hold_what_lies_between_their_edges(*, place, west, east, south, north, turns):
    lon = place[0] + np.linspace(-0.005, 0.005, 41)[None, :] + np.zeros((31, 1))
    lat = place[1] + np.linspace(-0.004, 0.004, 31)[:, None] + np.zeros((1, 41))
    dims = ("azimuth", "range")
    stack = xr.Dataset({"longitude": (dims, (lon + 180) % 360 - 180 + turns), "latitude": (dims, lat)})
    w, e = place[0] + west, place[0] + east
    truth = (lon >= w) & (lon <= e) & (lat >= place[1] + south) & (lat <= place[1] + north)
    edge = np.min(
        [np.abs(lon - w), np.abs(lon - e), np.abs(lat - place[1] - south), np.abs(lat - place[1] - north)], 0
    )
    for a, b in ((w, e), ((w + 180) % 360 - 180, (e + 180) % 360 - 180)):
        areas = read_areas((a, place[1] + south, b, place[1] + north))
        found = areas.masks(stack)[areas.names[0]]
        assert_array_equal(found[edge > 1e-8], truth[edge > 1e-8])


def test_forms_of_boxes_and_points(make_stack):
    areas = read_areas(
        ["lonlat=-163.98,54.74,-163.96,54.76", (-163.98, 54.74, -163.96, 54.76), "pixels=3,5,10,20",
         {"pixels": (0, 2, 0, 2), "name": "corner"}, "-163.97,54.75", {"point": (-163.97, 54.75)}]
    )  # fmt: skip
    stack = make_stack()
    assert list(areas.kinds.values()) == ["box", "box", "pixels", "pixels", "point", "point"]
    assert len(set(areas.names)) == 6
    assert areas.kind == "mixed"
    masks = areas.masks(stack)
    sizes = [int(mask.sum()) for mask in masks.values()]
    assert sizes == [2400, 2400, 20, 4, 1, 1]
    assert masks["pixels 3,5,10,20"][10:20, 3:5].all()
    assert masks["corner"][:2, :2].all()


def test_pixels_count_in_the_file_after_a_crop(make_stack):
    stack = make_stack()
    part = Stack(stack.dataset.isel(azimuth=slice(5, 30), range=slice(8, 50)))
    areas = read_areas(["pixels=10,14,6,9", "pixels=0,3,0,3"])
    mask = areas.mask(part, areas.names[0])
    assert_array_equal(np.argwhere(mask)[[0, -1]], [[1, 2], [3, 5]])
    with pytest.raises(InputError, match="pixels 0,3,0,3 holds no pixel"):
        areas.mask(part, areas.names[1])
    assert areas.union(part).sum() == 12


@pytest.mark.parametrize("place", [(-163.97, 54.75), (180.0, 51.0)])
def test_a_point_is_the_pixel_that_holds_it(make_stack, place):
    stack = make_stack(place, turn=30.0)
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    rng = np.random.default_rng(0)
    for row, column in rng.integers(1, 38, (10, 2)):
        x, y = lon[row, column] + rng.uniform(-3e-5, 3e-5), lat[row, column] + rng.uniform(-3e-5, 3e-5)
        areas = read_areas([(float(x), float(y))])
        assert_array_equal(np.argwhere(areas.mask(stack, areas.names[0])), [[row, column]])
    frame = geopandas.GeoDataFrame(
        {"name": ["vent", "far"]},
        geometry=[shapely.Point(lon[4, 7], lat[4, 7]), shapely.Point(10, 10)],
        crs=4326,
    )
    areas = read_areas(frame)
    assert_array_equal(np.argwhere(areas.mask(stack, "vent")), [[4, 7]])
    with pytest.raises(InputError, match="far holds no pixel"):
        areas.mask(stack, "far")


def test_a_point_off_the_image_is_in_no_pixel(make_stack):
    stack = make_stack()
    lon, lat = (stack.dataset[n].values for n in ("longitude", "latitude"))
    step = lon[0, 1] - lon[0, 0]
    inside = read_areas([(float(lon[0, 0] - 0.4 * step), float(lat[0, 0]))])
    assert inside.mask(stack, inside.names[0]).sum() == 1
    outside = read_areas([(float(lon[0, 0] - 3 * step), float(lat[0, 0]))])
    with pytest.raises(InputError, match="holds no pixel"):
        outside.mask(stack, outside.names[0])


def test_without_positions_points_are_pixels_and_degrees_are_refused(make_stack):
    stack = make_stack(lonlat=False)
    point = read_areas("12,34")
    assert_array_equal(np.argwhere(point.mask(stack, point.names[0])), [[34, 12]])
    box = read_areas("lonlat=-164,54,-163,55")
    with pytest.raises(InputError, match="no longitude and latitude"):
        box.mask(stack, box.names[0])


def test_map_grids(make_stack):
    """The same disc on a UTM map: its area is the disc's."""
    crs = pyproj.CRS.from_epsg(32603)
    x0, y0 = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(*PLACE)
    x, y = x0 + np.arange(-300, 300, 5.0), y0 + np.arange(300, -300, -5.0)
    data = xr.Dataset(
        {"change": (("y", "x"), np.zeros((y.size, x.size)), {"grid_mapping": "spatial_ref"})},
        coords={"x": x, "y": y, "spatial_ref": ((), 0, {"crs_wkt": crs.to_wkt()})},
    )
    mask = read_areas(disc(PLACE)).mask(data, "disc")
    truth = np.hypot(x - x0, y[:, None] - y0)
    clear = np.abs(truth - 95) > 0.5
    assert_array_equal(mask[clear], (truth < 95)[clear])
    with pytest.raises(InputError, match="means nothing on a map"):
        read_areas("pixels=0,2,0,2").union(data)
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_areas(disc(PLACE)).mask(data.drop_vars("spatial_ref"), "disc")


def test_pixels_without_a_position_are_in_no_area(make_stack):
    stack = make_stack()
    lon = stack.dataset["longitude"].values
    lon[10:20] = np.nan
    stack = Stack(stack.dataset.assign(longitude=(("azimuth", "range"), lon)))
    areas = read_areas(["lonlat=-164,54,-163,55", (*PLACE,)])
    assert not areas.mask(stack, areas.names[0])[10:20].any()
    assert areas.mask(stack, areas.names[0]).sum() == 30 * 60


def test_memory_is_bounded_by_blocks_of_rows(make_stack, monkeypatch):
    stack = make_stack()
    whole = read_areas(disc(PLACE)).mask(stack, "disc")
    sizes = []

    class Part(np.ndarray):
        pass

    def block(part):
        sizes.append(part.shape[0])
        return part

    lon = stack.dataset["longitude"].data.map_blocks(block, dtype=float, meta=np.empty((0, 0)))
    monkeypatch.setattr(module.grid, "BLOCK", 60 * 8)
    dataset = stack.dataset.assign(longitude=(("azimuth", "range"), lon))
    assert_array_equal(read_areas(disc(PLACE)).mask(dataset, "disc"), whole)
    assert max(sizes) == 7
    assert sum(sizes) == 40  # none read twice


def write(path, text):
    path.write_text(text)
    return path


def polygon(coordinates):
    geometry = {"type": "Polygon", "coordinates": [coordinates]}
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": geometry}],
        }
    )


def test_bad_files_are_refused_by_name(tmp_path):
    far = [[599000, 6e6], [599100, 6e6], [599100, 6000100], [599000, 6e6]]
    line = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
    }
    cases = {
        "absent.geojson": (None, "does not exist"),
        "text.geojson": ("no json", "cannot be read"),
        "empty.geojson": ("", "cannot be read"),
        "cut.geojson": (polygon(far)[:60], "cannot be read"),
        "metres.geojson": (polygon(far), "no longitudes and latitudes"),
        "line.geojson": (json.dumps(line), "LineString"),
        "none.geojson": (json.dumps({"type": "FeatureCollection", "features": []}), "holds no area"),
        "pole.geojson": (polygon([[0, 80], [90, 80], [180, 80], [270, 80], [360, 80]]), "pole"),
    }
    for name, (text, message) in cases.items():
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            read_areas(path)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_areas(tmp_path)


def test_a_missing_reference_system_is_refused(tmp_path):
    path = tmp_path / "bare.gpkg"
    bare = geopandas.GeoDataFrame(geometry=disc(PLACE).geometry.values, crs=None).set_crs(
        None, allow_override=True
    )
    with pytest.warns(UserWarning, match="crs"):
        bare.to_file(path)
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_areas(path)


def test_every_layer_of_a_geopackage_is_read(tmp_path):
    path = tmp_path / "layers.gpkg"
    disc(PLACE).drop(columns="name").to_file(path, layer="crater")
    disc(PLACE, 30).drop(columns="name").to_file(path, layer="dome", mode="a")
    assert read_areas(path).names == ("layers crater", "layers dome")


@pytest.mark.parametrize(
    "spec",
    ["lonlat=1,2,3", "lonlat=1,2,3,x", "lonlat=1,5,2,4", "lonlat=3,4,1,5", "pixels=5,3,0,2",
     "pixels=0,1.5,0,2", (1.0, 2.0, 3.0), (1.0, 95.0, 2.0, 96.0), {"lonlat": "a"}, {"box": 1},
     {"pixels": (0, 1, 0, 1), "x": 2}, [], None, 3, "", (float("nan"), 1.0), "lonlat=700,1,701,2"],
)  # fmt: skip
def test_boxes_that_are_none_are_refused(spec):
    with pytest.raises(InputError):
        read_areas(spec)


@given(st.binary(max_size=300), st.sampled_from([".geojson", ".gpkg", ".shp", ".kml"]))
def test_any_bytes_give_our_own_error_or_areas(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_areas(path)
