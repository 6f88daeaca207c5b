"""HDF5 files being written, on a disk that may become full.

When a write fails the HDF5 library cannot close its file any more, and takes the whole process down
when that ends. So the library writes through a Python file that swallows what can no longer be written,
and the error is raised by us.

A stop by the user that arrives inside that Python file would be an error inside the library, which loses
it or, on freeing a dataset, may not even tell: it waits until the library has come back.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import h5py

from .atomic import atomic_path
from .packing import ChunkWriter


class GuardedFile(io.RawIOBase):
    """A file whose first failure is kept, and after which nothing is written any more.

    Parameters
    ----------
    path : path-like
        File to make.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self.waiting: Callable[[], object] | None = None
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        self._position = 0
        self._end = 0

    def check(self) -> None:
        """Act on a stop that waits, and raise the failure, if there was one."""
        self.check_stop()
        if self.failure is not None:
            raise self.failure

    def check_stop(self) -> None:
        """Act on a stop that waits."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting()

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._handle)
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read: the library reads what it wrote."""
        return True

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read and written anywhere."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = base + offset
        return self._position

    def write(self, data: Any) -> int:
        """Write bytes at the position, or seem to, once a write has failed."""
        view = memoryview(data).cast("B")
        try:
            if self.failure is None:
                os.lseek(self._handle, self._position, os.SEEK_SET)
                rest = view
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        except OSError as error:
            self.failure = error
        self._position += len(view)
        self._end = max(self._end, self._position)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read bytes at the position; zeros where they were never written."""
        view = memoryview(buffer).cast("B")
        os.lseek(self._handle, self._position, os.SEEK_SET)
        data = os.read(self._handle, len(view))
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        self._position += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file."""
        size = self._position if size is None else size
        try:
            if self.failure is None:
                os.truncate(self._handle, size)
        except OSError as error:
            self.failure = error
        self._end = size
        return size

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


#: What the library calls, from wherever it happens to be.
_CALLED = frozenset(
    method.__code__
    for method in (
        GuardedFile.tell,
        GuardedFile.seek,
        GuardedFile.write,
        GuardedFile.readinto,
        GuardedFile.truncate,
        GuardedFile.flush,
    )
)


@contextmanager
def _stops_wait(raw: GuardedFile) -> Iterator[None]:
    """Let signals that arrive inside the library's calls wait for the next check, or for the end."""

    def handle(number: int, frame: FrameType | None) -> None:
        inside = frame
        while inside is not None and inside.f_code not in _CALLED:
            inside = inside.f_back
        if inside is None:
            earlier[number](number, frame)
        else:
            raw.waiting = lambda: earlier[number](number, None)

    earlier: dict[int, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():  # only there can signals be handled
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if callable(before):
                earlier[number] = before
                signal.signal(number, handle)
    try:
        yield
    finally:
        for stop, before in earlier.items():
            signal.signal(stop, before)
        raw.check_stop()


class NewFile:
    """An HDF5 file being written.

    Parameters
    ----------
    file : h5py.File
        The file.
    raw : GuardedFile
        What is beneath it.
    """

    def __init__(self, file: Any, raw: GuardedFile) -> None:
        self.file, self._raw = file, raw
        self.lock = threading.Lock()
        self._writers: list[ChunkWriter] = []

    def writer(self, dataset: Any) -> ChunkWriter:
        """Give the writer of a new dataset.

        Parameters
        ----------
        dataset : h5py.Dataset
            Created with :data:`mosart.io.packing.FILTERS`.

        Returns
        -------
        ChunkWriter
        """
        writer = ChunkWriter(dataset, self._raw.check, self.lock)
        self._writers.append(writer)
        return writer

    def finish(self) -> None:
        """Write what waits for its neighbours."""
        for writer in self._writers:
            writer.close()


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[NewFile]:
    """Write an HDF5 file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Final name.

    Yields
    ------
    NewFile
        To be written to.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        raw = GuardedFile(temporary)
        try:
            with _stops_wait(raw), h5py.File(raw, "w", track_order=True) as file:
                new = NewFile(file, raw)
                yield new
                new.finish()
            raw.check()
        finally:
            raw.close()
