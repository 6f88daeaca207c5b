"""Chunks packed as gzip does it, side by side, and quickly on noise.

Radar amplitudes and what is made of them are noise in their low bits: the library spends seconds on
every 100 MB to find that nothing can be saved there, one thread at a time. Here each thread packs its
own chunks, bytes of like significance together (shuffle), and those that are noise go in as they are.
Any reader of HDF5 unpacks the result.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What a dataset must be created with for :class:`ChunkWriter`.
FILTERS: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}

_SAMPLE = 2048


def pack(chunk: NDArray[Any]) -> bytes:
    """Shuffle and deflate a chunk (RFC 1950, 1951).

    Parameters
    ----------
    chunk : ndarray
        Numbers of any type, the whole chunk.

    Returns
    -------
    bytes
        A zlib stream.
    """
    planes = np.ascontiguousarray(chunk).view(np.uint8).reshape(-1, chunk.dtype.itemsize).T
    out = [b"\x78\x01"]
    check = 1
    for index, plane in enumerate(planes):
        data = plane.tobytes()
        check = zlib.adler32(data, check)
        level = 0 if len(_deflated(data[:_SAMPLE], 1)) > 0.97 * min(len(data), _SAMPLE) else 1
        out.append(_deflated(data, level, last=index == len(planes) - 1))
    out.append(check.to_bytes(4, "big"))
    return b"".join(out)


def _deflated(data: bytes, level: int, *, last: bool = False) -> bytes:
    # Repeats of a byte are all there is to find in a plane; longer matches cost much and save less.
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


class ChunkWriter:
    """A dataset being written by blocks, from any thread.

    Blocks may end anywhere: a chunk waits in memory until all of it is there.

    Parameters
    ----------
    dataset : h5py.Dataset
        New, chunked, created with :data:`FILTERS`.
    check : callable
        Called after each write; raises what went wrong.
    lock : threading.Lock
        Held while the library works; one for all datasets of a file.
    """

    def __init__(self, dataset: Any, check: Callable[[], None], lock: threading.Lock) -> None:
        self._dataset, self._check, self._lock = dataset, check, lock
        self._waiting: dict[tuple[int, ...], tuple[NDArray[Any], int]] = {}
        self._shape, self._chunks = tuple(dataset.shape), tuple(dataset.chunks)
        self._dtype, self._fill = dataset.dtype, dataset.fillvalue

    def __setitem__(self, key: tuple[slice, ...], block: NDArray[Any]) -> None:
        spans = [range(*part.indices(n)) for part, n in zip(key, self._shape)]
        if not all(len(span) for span in spans):
            return
        touched = [range(s.start // c, (s.stop - 1) // c + 1) for s, c in zip(spans, self._chunks)]
        for index in product(*touched):
            offset = tuple(i * c for i, c in zip(index, self._chunks))
            low = [max(o, s.start) for o, s in zip(offset, spans)]
            high = [min(o + c, s.stop) for o, c, s in zip(offset, self._chunks, spans)]
            part = block[tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, spans))]
            inner = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, offset))
            chunk = self._collect(offset, inner, part)
            if chunk is not None:
                self._write(offset, pack(chunk))

    def _collect(
        self, offset: tuple[int, ...], inner: tuple[slice, ...], part: NDArray[Any]
    ) -> NDArray[Any] | None:
        """Add a part to its chunk, and give the chunk when it is whole."""
        wanted = int(np.prod([min(c, n - o) for c, n, o in zip(self._chunks, self._shape, offset)]))
        if part.size == wanted == int(np.prod(self._chunks)):
            return np.asarray(part, dtype=self._dtype)
        with self._lock:
            chunk, have = self._waiting.pop(offset, (None, 0))
            if chunk is None:
                chunk = np.full(self._chunks, self._fill, self._dtype)
            chunk[inner] = part
            if have + part.size < wanted:
                self._waiting[offset] = chunk, have + part.size
                return None
        return chunk

    def _write(self, offset: tuple[int, ...], packed: bytes) -> None:
        with self._lock:
            self._dataset.id.write_direct_chunk(offset, packed)
            self._check()

    def close(self) -> None:
        """Write the chunks of which a part never came."""
        for offset, (chunk, _) in self._waiting.items():
            self._write(offset, pack(chunk))
        self._waiting.clear()
