"""How a file is stored must not matter: not for the values, and little for the time."""

from __future__ import annotations

import logging
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mosart.io import chunks, hdf5, open_stack
from mosart.io.hdf5 import tile_rows

FlatFile = Callable[..., Path]
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"chunks": (5, 7)},
    {"chunks": (5, 7), "compression": "gzip"},
    {"chunks": (5, 7), "compression": "gzip", "shuffle": True},
    {"chunks": (5, 7), "compression": "gzip", "shuffle": True, "fletcher32": True},
    {"chunks": (5, 7), "compression": "lzf"},
    {"chunks": (12, 20), "compression": "gzip"},
    {"chunks": (16, 32), "compression": "gzip", "maxshape": (None, None)},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "c8"])
def test_any_layout_gives_the_same_values(flat_file: FlatFile, layout: dict[str, Any], dtype: str) -> None:
    values = np.random.default_rng(3).integers(1, 200, (12, 20))
    stack = open_stack(flat_file({"20190206": values.astype(dtype)}, **layout))
    np.testing.assert_array_equal(stack.dataset["amplitude"][1], values)
    np.testing.assert_array_equal(stack.dataset["amplitude"][1, 3:9, 2:17:3], values[3:9, 2:17:3])
    np.testing.assert_array_equal(stack.dataset["amplitude"][1, 4, [3, 9, 1]], values[4, [3, 9, 1]])


def test_chunks_that_were_never_written(flat_file: FlatFile) -> None:
    path = flat_file()
    with h5py.File(path, "r+") as file:
        image = file.create_dataset("20190301", (12, 20), "f4", chunks=(4, 5), compression="gzip")
        image[:4] = 2
    data = open_stack(path).dataset["amplitude"][2].values
    assert (data[:4] == 2).all()
    assert np.isnan(data[4:]).all()


@pytest.mark.parametrize(
    ("shape", "chunk_rows", "rows"),
    [
        ((1510, 24505), [], 160),
        ((1510, 24505), [32, 64], 128),
        ((1510, 24505), [256], 256),
        ((1510, 24505), [1510], 163),
        ((1000, 4000), [1000], 1000),
        ((10, 20), [256], 10),
        ((5, 10_000_000), [], 1),
    ],
)
def test_tiles_follow_the_chunks(shape: tuple[int, int], chunk_rows: list[int], rows: int) -> None:
    assert tile_rows(shape, chunk_rows) == rows


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the chunks that were unpacked, where tiles have four rows of 20 pixels."""
    sizes: list[int] = []
    original = chunks.unpack

    def count(*args: Any) -> Any:
        sizes.append(args[-1])
        return original(*args)

    monkeypatch.setattr(chunks, "unpack", count)
    monkeypatch.setattr(hdf5, "BLOCK_BYTES", 4 * 20 * 4)
    monkeypatch.setattr(hdf5, "LARGEST_BLOCK_BYTES", 6 * 20 * 4)
    return sizes


def test_every_chunk_is_unpacked_once(flat_file: FlatFile, unpacked: list[int]) -> None:
    for rows in (1, 2, 3, 4, 5):  # five: a tile of one chunk, larger than wanted
        amplitude = open_stack(flat_file(chunks=(rows, 7), compression="gzip")).dataset["amplitude"].data
        assert amplitude.numblocks[1] > 1
        unpacked.clear()
        for tile in range(amplitude.numblocks[1]):
            amplitude.blocks[:, tile].compute()
        assert len(unpacked) == 2 * -(-12 // rows) * 3


def test_one_chunk_a_date_is_unpacked_once(
    flat_file: FlatFile, content: dict[str, Any], unpacked: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    path = flat_file(chunks=(12, 20), compression="gzip", shuffle=True)
    with caplog.at_level(logging.INFO):
        stack = open_stack(path)
        amplitude = stack.dataset["amplitude"]
        assert amplitude.data.numblocks[1] == 3
        for tile in range(3):
            amplitude.data.blocks[:, tile].compute()
        np.testing.assert_array_equal(amplitude[1], content["20190206"])
        np.testing.assert_array_equal(amplitude[1, 7:9, 5:9], content["20190206"][7:9, 5:9])
    assert len(unpacked) == 2 + 3  # images; samples of dem, lon, lat
    assert "unpacked once" in caplog.text
    again = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(again.dataset["amplitude"][1, -3:], content["20190206"][-3:])


def test_without_room_on_the_disk_it_still_reads(
    flat_file: FlatFile,
    content: dict[str, Any],
    unpacked: list[int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(chunks.Spool, "_open", full)
    stack = open_stack(flat_file(chunks=(12, 20), compression="gzip"))
    np.testing.assert_array_equal(stack.dataset["amplitude"][1], content["20190206"])
    assert "disk full" in caplog.text


def test_a_stream_that_never_ends_is_cut(flat_file: FlatFile) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    with pytest.raises(ValueError, match="in place of"):
        chunks.unpack(bomb, (h5py.h5z.FILTER_DEFLATE,), 0, np.dtype("f4"), 10)
