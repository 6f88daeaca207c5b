"""Reading HDF5 with care: what cannot be read is an error by name, never zeros."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError, MosartError

from .chunks import Spool, pipeline, read_chunked

#: Bytes of one block of amplitude.
BLOCK_BYTES = 16_000_000
#: A stored chunk that holds many rows is taken as one block up to this size.
LARGEST_BLOCK_BYTES = 64_000_000
#: More pixels than any radar image has along an axis: a damaged header.
LONGEST_AXIS = 2**24


@contextmanager
def reading(path: str | os.PathLike[str], what: str = "") -> Iterator[None]:
    """Turn whatever a library raises on damaged input into an :class:`InputError`.

    Parameters
    ----------
    path : path-like
        File that is read.
    what : str, optional
        Dataset that is read.

    Raises
    ------
    InputError
        If anything but MoSARt's own error is raised in the block.
    """
    try:
        yield
    except MosartError:
        raise
    except Exception as error:  # the libraries raise nearly every kind on damaged files
        subject = f"{what} in {path}" if what else f"{path}"
        reason = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"{subject} cannot be read",
            expected="a complete file of a format that MoSARt reads",
            got=f"{reason or type(error).__name__}",
            hint="the file may be cut short, damaged, or open for writing elsewhere: copy or make it again",
        ) from error


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an HDF5 file for reading, and close it when the block ends.

    Parameters
    ----------
    path : path-like
        File.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        If the file, or what the block reads from it, cannot be read.
    """
    with reading(path), h5py.File(path, "r", locking="best-effort") as file:
        yield file


@dataclass(frozen=True)
class Fingerprint:
    """Size and time of a file, by which a change under our feet is noticed."""

    size: int
    modified: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Fingerprint:
        """Fingerprint of a file as it is now."""
        with reading(path):
            status = Path(path).stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Cube:
    """A dataset of an HDF5 file, read by blocks.

    The file is opened for each block and closed after it: nothing is left open, threads do not
    share a handle, and the object can be sent to another process. Indexing with slices gives the
    numbers as they are stored, which is what dask asks of it.

    Parameters
    ----------
    path : str
        File.
    name : str
        Dataset in the file.
    shape : tuple of int
        Of the dataset.
    dtype : numpy.dtype
        As stored.
    chunks : tuple of int or None
        As stored; None where contiguous.
    fingerprint : Fingerprint
        Of the file when it was opened.
    spool : Spool or None
        Keeps unpacked chunks that are too large to be one block each.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None
    fingerprint: Fingerprint
    spool: Spool | None = field(default=None, compare=False, repr=False)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        if Fingerprint.of(self.path) != self.fingerprint:
            raise InputError(
                f"{self.path} was changed while it was read",
                expected="the file as it was when it was opened",
                hint="open it again",
            )
        with reading(self.path, self.name), h5py.File(self.path, "r", locking="best-effort") as file:
            dataset = file[self.name]
            if dataset.is_virtual or dataset.external:
                check_storage(file, dataset)  # other files may have gone since
            codes = pipeline(dataset)
            if codes is None or any(part.step not in (None, 1) for part in key):
                return np.asarray(dataset[key])
            return read_chunked(dataset, key, codes, self.spool)


def cube(file: Any, name: str) -> Cube:
    """Describe a dataset of an open file, and refuse it where reading it could go wrong.

    Parameters
    ----------
    file : h5py.File
        Open file.
    name : str
        Dataset.

    Returns
    -------
    Cube

    Raises
    ------
    InputError
        If there is no such dataset, its type is unknown, an axis is impossibly long, a filter is not
        installed, or the file of an external or virtual source is missing.
    """
    path = file.filename
    dataset = get(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{name} in {path} is a group", expected="a dataset")
    try:
        dtype = np.dtype(dataset.dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} in {path} is of an unknown type", expected="numbers") from error
    shape = tuple(int(n) for n in dataset.shape or ())
    if dataset.shape is None or 0 in shape or max(shape, default=0) > LONGEST_AXIS:
        raise InputError(f"{name} in {path} has an impossible shape", got=f"{dataset.shape}")
    check_storage(file, dataset)
    chunks = None if dataset.chunks is None else tuple(int(n) for n in dataset.chunks)
    spool = None
    if chunks is not None and len(shape) >= 2 and pipeline(dataset) and set(chunks[:-2]) <= {1}:
        rows = tile_rows((shape[-2], shape[-1]), [chunks[-2]])
        # Tiles that are cut from a taller chunk would unpack it again and again.
        spool = Spool(shape, chunks, dtype) if chunks[-2] > rows else None
    return Cube(str(path), name, shape, dtype, chunks, Fingerprint.of(path), spool)


@dataclass(frozen=True)
class Plane:
    """An image in an HDF5 file: a dataset of two dimensions, azimuth rows and range columns."""

    source: Cube

    @property
    def path(self) -> str:
        """File."""
        return self.source.path

    @property
    def label(self) -> str:
        """Name in the file."""
        return self.source.name

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.source.shape[0], self.source.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type as stored."""
        return self.source.dtype

    @property
    def chunk_rows(self) -> int | None:
        """Rows of a chunk; None where contiguous."""
        return None if self.source.chunks is None else self.source.chunks[0]

    def read(self, rows: slice, columns: slice = slice(None)) -> NDArray[Any]:
        """Read a block as it is stored.

        Parameters
        ----------
        rows, columns : slice
            Part of the plane.

        Returns
        -------
        ndarray
            Of the stored type.

        Raises
        ------
        InputError
            If the block cannot be read, or the file was changed since it was opened.
        """
        return self.source[rows, columns]


def plane(file: Any, name: str) -> Plane:
    """Describe an image of an open file, and refuse it where reading it could go wrong.

    Parameters
    ----------
    file : h5py.File
        Open file.
    name : str
        Dataset.

    Returns
    -------
    Plane

    Raises
    ------
    InputError
        As :func:`cube`; and if it has not two dimensions.
    """
    found = cube(file, name)
    if found.ndim != 2:
        raise InputError(
            f"{name} in {found.path} is not an image",
            expected="two dimensions, azimuth and range",
            got=f"shape {found.shape}",
        )
    return Plane(found)


def tile_rows(shape: tuple[int, int], chunk_rows: Sequence[int] = ()) -> int:
    """Rows of a tile: about 16 MB of float32, and whole chunks of the file where that can be.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image.
    chunk_rows : sequence of int
        Rows of the chunks that the file's datasets are stored in.

    Returns
    -------
    int
        At least 1, at most the rows there are.
    """
    rows, columns = shape
    wanted = max(1, BLOCK_BYTES // (4 * columns))
    tallest = max(chunk_rows, default=1)
    if tallest <= wanted:
        # Ours are written in chunks of 32 rows: where the source leaves a choice, tiles end with them.
        step = 32 if 32 % tallest == 0 and wanted >= 32 else tallest
        wanted -= wanted % step
    elif 4 * tallest * columns <= LARGEST_BLOCK_BYTES:
        wanted = tallest
    return min(rows, wanted)


def get(file: Any, name: str) -> Any:
    """Member of a file or group; a link that leads nowhere is an error by name.

    Parameters
    ----------
    file : h5py.File or h5py.Group
        Where to look.
    name : str
        Path of the member.

    Returns
    -------
    h5py.Dataset or h5py.Group

    Raises
    ------
    InputError
        If there is none, or it is a link whose target is missing.
    """
    try:
        return file[name]
    except (KeyError, OSError, RuntimeError) as error:
        link = None
        with suppress(KeyError, RuntimeError):
            link = file.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            got = f"a link to {link.path} in {link.filename}, which cannot be opened"
        elif isinstance(link, h5py.SoftLink):
            got = f"a link to {link.path}, which is not there"
        else:
            got = "none, or a damaged one"
        raise InputError(
            f"{name} in {file.file.filename} cannot be opened", expected="a dataset or group", got=got
        ) from error


def check_storage(file: Any, dataset: Any) -> None:
    """Refuse a dataset whose bytes are somewhere else, cut short or packed by an unknown filter.

    Parameters
    ----------
    file : h5py.File
        Open file.
    dataset : h5py.Dataset
        Dataset in it.

    Raises
    ------
    InputError
        If the file of an external or virtual source is missing or too short, a filter is not
        installed, or a contiguous dataset reaches beyond the end of the file.
    """
    path, name = Path(file.filename), dataset.name
    plist = dataset.id.get_create_plist()
    for index in range(plist.get_nfilters()):
        code, _, _, text = plist.get_filter(index)
        if not h5py.h5z.filter_avail(code):
            label = text.decode("utf-8", "replace") or str(code)
            raise InputError(
                f"{name} in {path} is compressed by a filter that is not installed",
                expected="gzip, or a filter of an installed plugin",
                got=f"filter {code} ({label})",
                hint="install the plugin (often `pip install hdf5plugin`) or write the file with gzip",
            )
    for source, offset, size in dataset.external or ():
        _check_external(path, name, Path(source), int(offset), int(size))
    if dataset.is_virtual:
        _check_virtual(path, dataset)
        return
    start = None if dataset.external else dataset.id.get_offset()
    if start is not None and start + dataset.id.get_storage_size() > path.stat().st_size:
        raise InputError(
            f"{path} is cut short", expected=f"all of {name}", hint="copy the file again, completely"
        )


def _check_external(path: Path, name: str, source: Path, offset: int, size: int) -> None:
    found = source if source.is_absolute() else path.parent / source
    if not found.is_file():
        raise InputError(
            f"{name} in {path} keeps its numbers in another file that is missing",
            expected=f"the file {found}",
            hint="put the file back beside this one",
        )
    needed = offset + (size if size < 2**62 else 0)
    if found.stat().st_size < needed:
        raise InputError(
            f"{found}, which holds {name} of {path}, is cut short",
            expected=f"{needed} bytes",
            got=f"{found.stat().st_size} bytes",
        )


def _check_virtual(path: Path, dataset: Any, depth: int = 0) -> None:
    # HDF5 fills what it does not find with zeros and says nothing: every source is opened here.
    for source in dataset.virtual_sources():
        if "%" in source.file_name.replace("%%", ""):
            raise InputError(
                f"{dataset.name} in {path} is a virtual dataset over a numbered series of files",
                expected="a virtual dataset whose files are named",
                hint="copy it into one dataset",
            )
        file_name = source.file_name.replace("%%", "%")
        found = path if file_name == "." else Path(file_name)
        if not found.is_absolute():
            found = path.parent / found
        wanted = f"{source.dset_name} in {found}, a source of the virtual dataset {dataset.name} of {path},"
        if not found.is_file():
            raise InputError(
                f"{wanted} is missing",
                expected="every file of a virtual dataset",
                hint="put the file back where it was, or make the virtual dataset again",
            )
        with open_file(found) as file:
            target = get(file, source.dset_name)
            if not isinstance(target, h5py.Dataset):
                raise InputError(f"{wanted} is not a dataset")
            if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
                too_small = target.size < source.vspace.get_select_npoints()
            else:
                _, last = source.src_space.get_select_bounds()
                too_small = len(last) != target.ndim or any(i >= n for i, n in zip(last, target.shape))
            if too_small:
                raise InputError(
                    f"{wanted} is too small",
                    expected="all that the virtual dataset takes from it",
                    got=f"shape {target.shape}",
                )
            if target.is_virtual and depth < 8:
                _check_virtual(found, target, depth + 1)
