"""Reading HDF5 with care: what cannot be read is an error by name, never zeros."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError, MosartError

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
class Plane:
    """A two-dimensional dataset of an HDF5 file, read by blocks.

    The file is opened for each block and closed after it: nothing is left open, threads do not
    share a handle, and the object can be sent to another process.

    Parameters
    ----------
    path : str
        File.
    name : str
        Dataset in the file.
    shape : tuple of int
        Rows (azimuth) and columns (range).
    dtype : numpy.dtype
        As stored.
    chunks : tuple of int or None
        As stored; None where contiguous.
    fingerprint : Fingerprint
        Of the file when it was opened.
    leading : int or None
        Index along the first axis, where the dataset is a cube of which this is one layer.
    """

    path: str
    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    chunks: tuple[int, int] | None
    fingerprint: Fingerprint
    leading: int | None = None

    @property
    def label(self) -> str:
        """Name for messages."""
        return self.name if self.leading is None else f"{self.name}[{self.leading}]"

    def read(self, rows: slice, columns: slice = slice(None)) -> NDArray[Any]:
        """Read a block as it is stored.

        Parameters
        ----------
        rows, columns : slice
            Part of the plane.

        Returns
        -------
        ndarray
            Stored type, byte order of the machine left to numpy.

        Raises
        ------
        InputError
            If the block cannot be read, or the file was changed since it was opened.
        """
        if Fingerprint.of(self.path) != self.fingerprint:
            raise InputError(
                f"{self.path} was changed while it was read",
                expected="the file as it was when it was opened",
                hint="open it again",
            )
        with reading(self.path, self.label), h5py.File(self.path, "r", locking="best-effort") as file:
            dataset = file[self.name]
            key = (rows, columns) if self.leading is None else (self.leading, rows, columns)
            return np.asarray(dataset[key])


def plane(file: Any, name: str, leading: int | None = None) -> Plane:
    """Describe a dataset of an open file, and refuse it where reading it could go wrong.

    Parameters
    ----------
    file : h5py.File
        Open file.
    name : str
        Dataset with two dimensions, or three with ``leading``.
    leading : int, optional
        Layer of a cube.

    Returns
    -------
    Plane

    Raises
    ------
    InputError
        If there is no such dataset, its shape or type is not that of an image, a filter is not
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
    dimensions = 2 if leading is None else 3
    if dataset.shape is None or len(dataset.shape) != dimensions:
        raise InputError(
            f"{name} in {path} is not an image",
            expected="two dimensions, azimuth and range",
            got=f"shape {dataset.shape}",
        )
    shape = tuple(int(n) for n in dataset.shape[-2:])
    if 0 in shape or max(shape) > LONGEST_AXIS:
        raise InputError(f"{name} in {path} has an impossible shape", expected="an image", got=f"{shape}")
    check_storage(file, dataset)
    chunks = dataset.chunks
    return Plane(
        path=str(path),
        name=name,
        shape=(shape[0], shape[1]),
        dtype=dtype,
        chunks=None if chunks is None else (int(chunks[-2]), int(chunks[-1])),
        fingerprint=Fingerprint.of(path),
        leading=leading,
    )


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
            _, last = source.src_space.get_select_bounds()
            if len(last) != len(target.shape) or any(i >= n for i, n in zip(last, target.shape)):
                raise InputError(
                    f"{wanted} is too small",
                    expected=f"at least {tuple(int(i) + 1 for i in last)}",
                    got=f"{target.shape}",
                )
            if target.is_virtual and depth < 8:
                _check_virtual(found, target, depth + 1)
