"""Compressed chunks of HDF5, decompressed outside of the library's lock and never twice.

The library unpacks one chunk at a time, whatever the number of threads, and a chunk that holds a whole
image once more for every tile of rows that is read from it. Here threads unpack side by side, and the
unpacked large chunks wait in a temporary file.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import weakref
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

#: Filters that are undone here; with any other the library reads.
_PIPELINES = ((h5py.h5z.FILTER_DEFLATE,), (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE))


def pipeline(dataset: Any) -> tuple[int, ...] | None:
    """List the filters of a chunked dataset that this module undoes itself.

    Parameters
    ----------
    dataset : h5py.Dataset
        Any dataset.

    Returns
    -------
    tuple of int or None
        Codes of the filters, the first applied first; None where the library must read.
    """
    if dataset.chunks is None or dataset.dtype.hasobject or dataset.is_virtual:
        return None
    plist = dataset.id.get_create_plist()
    codes = tuple(int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters()))
    return codes if codes in _PIPELINES else None


def unpack(raw: bytes, codes: Sequence[int], skipped: int, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    """Undo the filters of a chunk.

    Parameters
    ----------
    raw : bytes
        As stored.
    codes : sequence of int
        Filters, the first applied first.
    skipped : int
        Bit i is set where filter i was left out for this chunk.
    dtype : numpy.dtype
        Type of the numbers.
    size : int
        How many there are.

    Returns
    -------
    ndarray
        One dimension.

    Raises
    ------
    ValueError
        If it is not `size` numbers.
    zlib.error
        If the stream is damaged.
    """
    expected = size * dtype.itemsize
    for index in reversed(range(len(codes))):
        if skipped >> index & 1:
            continue
        if codes[index] == h5py.h5z.FILTER_DEFLATE:
            raw = zlib.decompressobj().decompress(raw, expected + 1)  # no more, whatever the stream says
        elif dtype.itemsize > 1 and len(raw) == expected:
            raw = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, size).T.tobytes()
    if len(raw) != expected:
        raise ValueError(f"a chunk holds {len(raw)} bytes in place of {expected}")
    return np.frombuffer(raw, dtype)


def read_chunked(
    dataset: Any, key: Sequence[slice], codes: Sequence[int], spool: Spool | None = None
) -> NDArray[Any]:
    """Read a block of a chunked dataset.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of an open file.
    key : sequence of slice
        One a dimension, of step 1.
    codes : sequence of int
        From :func:`pipeline`.
    spool : Spool, optional
        Where unpacked chunks are kept.

    Returns
    -------
    ndarray
        As stored; the fill value where no chunk was written.

    Raises
    ------
    ValueError, zlib.error, OSError
        If a chunk is damaged.
    """
    spans = [range(*part.indices(n)) for part, n in zip(key, dataset.shape)]
    out = np.full([len(span) for span in spans], dataset.fillvalue, dataset.dtype)
    if out.size == 0:
        return out
    chunks = dataset.chunks
    size = int(np.prod(chunks))
    touched = [range(span.start // c, (span.stop - 1) // c + 1) for span, c in zip(spans, chunks)]
    for index in product(*touched):
        offset = tuple(i * c for i, c in zip(index, chunks))
        inner = [
            slice(max(span.start - o, 0), min(span.stop - o, c)) for span, o, c in zip(spans, offset, chunks)
        ]
        outer = tuple(
            slice(o + part.start - span.start, o + part.stop - span.start)
            for span, o, part in zip(spans, offset, inner)
        )
        with nullcontext() if spool is None else spool.lock:  # one thread unpacks, the others wait
            part = None if spool is None else spool.get(offset, inner)
            if part is None:
                info = dataset.id.get_chunk_info_by_coord(offset)
                if info.byte_offset is None:
                    continue
                skipped, raw = dataset.id.read_direct_chunk(offset)
                chunk = unpack(raw, codes, skipped, dataset.dtype, size).reshape(chunks)
                if spool is not None:
                    spool.put(offset, chunk)
                part = chunk[tuple(inner)]
        out[outer] = part
    return out


class Spool:
    """Unpacked chunks in a temporary file that has no name, or loses it with this object.

    Parameters
    ----------
    shape, chunks : sequence of int
        Of the dataset; the chunk has one layer along all but the last two dimensions.
    dtype : numpy.dtype
        Type of the numbers.
    """

    def __init__(self, shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.shape, self.chunks, self.dtype = tuple(shape), tuple(chunks), dtype
        self.lock = threading.RLock()
        self._slots: dict[tuple[int, ...], int] = {}
        self._file: int | None = None
        self._usable = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own."""
        return type(self), (self.shape, self.chunks, self.dtype)

    @property
    def _chunk_bytes(self) -> int:
        return int(np.prod(self.chunks)) * self.dtype.itemsize

    def get(self, offset: tuple[int, ...], inner: Sequence[slice]) -> NDArray[Any] | None:
        """Part of a chunk, if it is here.

        Parameters
        ----------
        offset : tuple of int
            Which chunk.
        inner : sequence of slice
            Part of it.

        Returns
        -------
        ndarray or None
        """
        rows, width = inner[-2], self.chunks[-1]
        line = width * self.dtype.itemsize
        with self.lock:
            if offset not in self._slots or self._file is None:
                return None
            os.lseek(self._file, self._slots[offset] * self._chunk_bytes + rows.start * line, os.SEEK_SET)
            buffer = _read_all(self._file, (rows.stop - rows.start) * line)
        block = np.frombuffer(buffer, self.dtype).reshape(*(1 for _ in inner[:-2]), -1, width)
        return block[..., inner[-1]]

    def put(self, offset: tuple[int, ...], chunk: NDArray[Any]) -> None:
        """Keep a chunk; where the disk has no room for it, it is unpacked again the next time.

        Parameters
        ----------
        offset : tuple of int
            Which chunk.
        chunk : ndarray
            Unpacked.
        """
        with self.lock:
            if not self._usable or offset in self._slots:
                return
            try:
                if self._file is None:
                    self._open()
                assert self._file is not None
                os.lseek(self._file, len(self._slots) * self._chunk_bytes, os.SEEK_SET)
                _write_all(self._file, chunk.tobytes())
            except OSError as error:
                self._usable = False
                log.warning("no room for unpacked images, reading will be slow: %s", error)
                return
            self._slots[offset] = len(self._slots)

    def _open(self) -> None:
        folder = tempfile.gettempdir()
        needed = int(np.prod(self.shape)) * self.dtype.itemsize
        if shutil.disk_usage(folder).free < 2 * needed:
            raise OSError(f"{folder} has less than {2 * needed / 1e9:.1f} GB free")
        handle, name = tempfile.mkstemp(prefix="mosart-", suffix=".spool")
        if os.name != "nt":  # elsewhere an open file can lose its name at once: nothing stays after a kill
            Path(name).unlink()
        self._file = handle
        weakref.finalize(self, _discard, handle, name)
        log.info("an image is stored as one compressed chunk: unpacked once into %s", folder)


def _discard(handle: int, name: str) -> None:
    os.close(handle)
    Path(name).unlink(missing_ok=True)


def _read_all(handle: int, size: int) -> bytearray:
    out = bytearray()
    while len(out) < size:
        piece = os.read(handle, size - len(out))
        if not piece:
            raise OSError("the temporary file is cut short")
        out += piece
    return out


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
