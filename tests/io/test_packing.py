from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mosart.io.newfile import GuardedFile
from mosart.io.packing import FILTERS, ChunkWriter, pack

arrays = hnp.arrays(
    st.sampled_from(["<f4", "<f8", "u1", ">i2", "?"]),
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=40),
    elements=None,
)


@given(chunk=arrays)
def test_a_packed_chunk_is_plain_zlib(chunk: Any) -> None:
    raw = zlib.decompress(pack(chunk))
    planes = np.frombuffer(raw, np.uint8).reshape(chunk.dtype.itemsize, chunk.size)
    assert planes.T.tobytes() == chunk.tobytes()


def test_noise_and_order_are_packed_no_worse_than_by_the_library() -> None:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(32, 1024)) * 0.01, axis=1).astype("f4")
    for chunk in (rng.normal(size=(32, 1024)).astype("f4"), smooth, np.zeros((32, 1024), "f4")):
        shuffled = chunk.view("u1").reshape(-1, 4).T.tobytes()
        assert len(pack(chunk)) < 1.02 * len(zlib.compress(shuffled, 1)) + 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 23), st.integers(1, 17)),
    chunks=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    cuts=st.sets(st.integers(1, 22)),
    columns=st.integers(1, 17),
    order=st.randoms(use_true_random=False),
)
def test_blocks_of_any_size_in_any_order(
    tmp_path: Path, *, shape: Any, chunks: Any, cuts: Any, columns: int, order: Any
) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype("f4")
    edges = [0, *sorted(c for c in cuts if c < shape[1]), shape[1]]
    blocks = [
        (slice(d, d + 1), slice(a, b), slice(c, min(c + columns, shape[2])))
        for d in range(shape[0])
        for a, b in pairwise(edges)
        for c in range(0, shape[2], columns)
    ]
    order.shuffle(blocks)
    stored = (1, min(chunks[0], shape[1]), min(chunks[1], shape[2]))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", shape, "f4", chunks=stored, fillvalue=np.nan, **FILTERS)
        writer = ChunkWriter(dataset, lambda: None, threading.Lock())
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda key: writer.__setitem__(key, values[key]), blocks))
        writer.close()
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["x"], values)


def test_what_never_came_is_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", (10, 10), "f4", chunks=(4, 4), fillvalue=np.nan, **FILTERS)
        writer = ChunkWriter(dataset, lambda: None, threading.Lock())
        writer[2:3, 2:3] = np.ones((1, 1), "f4")
        writer.close()
        assert np.isfinite(dataset[:]).sum() == 1


def test_guarded_file_is_a_file(tmp_path: Path) -> None:
    with GuardedFile(tmp_path / "x") as raw:
        assert raw.write(b"hello") == 5
        raw.seek(1)
        assert raw.read(3) == b"ell"
        assert raw.seek(0, 2) == 5
        raw.truncate(3)
        raw.check()
    assert (tmp_path / "x").read_bytes() == b"hel"
    with pytest.raises(FileExistsError):
        GuardedFile(tmp_path / "x")
