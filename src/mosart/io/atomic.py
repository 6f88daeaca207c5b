"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mosart.errors import InputError, MosartError

#: A disk is full when it has less room than this, bytes: libraries write in pieces of this size at most.
LEAST_ROOM = 1 << 16


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside a file or folder, and rename it when the block ends well.

    Parameters
    ----------
    path : path-like
        Final name of a file or folder (Zarr). What is there already is replaced, and stays as it is
        when the block fails. Leftovers of processes that were killed while they wrote this name are
        removed.

    Yields
    ------
    Path
        Name to write to, in the same folder and with the same suffix; nothing is there yet.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to, or the disk is full.
    """
    final = Path(os.path.realpath(path))
    _check_folder(final)
    _remove_leftovers(final)
    token = secrets.token_hex(4)
    temporary = final.with_name(f"{_prefix(final)}{_process(os.getpid())}-{token}.part{final.suffix}")
    try:
        yield temporary
        if not temporary.exists():
            raise MosartError(f"nothing was written for {final}")
        _sync_tree(temporary)
        _replace(temporary, final)
        _sync_folder(final.parent)
    except BaseException as error:
        cause = _full_disk(error, final.parent) or _operating_system_error(error)
        _remove(temporary)
        if cause is None:
            raise
        raise InputError(
            f"{final} could not be written",
            got=os.strerror(cause.errno) if cause.errno else str(cause),
            hint="free space on the disk or name another place; what was there before is untouched",
        ) from cause


def _full_disk(error: BaseException, folder: Path) -> OSError | None:
    """Tell whether the disk has no room, of which GDAL's errors say nothing; before anything is removed."""
    ours = isinstance(error, MosartError) or not isinstance(error, Exception)
    if ours or getattr(error, "errno", None) or shutil.disk_usage(folder).free >= LEAST_ROOM:
        return None
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _operating_system_error(error: BaseException) -> OSError | None:
    """Find the failed write behind an error: HDF5 reports a full disk as another error while it closes."""
    seen: BaseException | None = error
    while seen is not None:
        # Stopped by the user, whatever was looked for in vain just then: also where a library has made
        # another error of it.
        if isinstance(seen, MosartError) or not isinstance(seen, Exception):
            return None
        if isinstance(seen, OSError):
            return seen
        if isinstance(seen, RuntimeError) and "write" in str(seen).lower():
            return OSError(str(seen))
        seen = seen.__context__
    return None


def _prefix(final: Path) -> str:
    host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
    return f".{final.name}.{host}-"


def _process(number: int) -> str:
    """Name a process by number and start, as numbers are given again; one that has ended by nothing."""
    try:
        return f"{number}+{psutil.Process(number).create_time():.0f}"
    except psutil.Error:
        return ""


def _check_folder(final: Path) -> None:
    folder = final.parent
    if not folder.is_dir():
        raise InputError(
            f"the folder {folder} does not exist", expected="a folder to write to", hint="make it first"
        )
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"the folder {folder} cannot be written to",
            expected="a folder with permission to write",
            hint="name another folder, or change its permissions",
        )


def _remove_leftovers(final: Path) -> None:
    prefix = _prefix(final)
    for entry in final.parent.iterdir():
        if not entry.name.startswith(prefix):
            continue
        owner = entry.name[len(prefix) :].split("-", 1)[0]
        number = owner.split("+")[0]
        if number.isdecimal() and _process(int(number)) != owner:
            with suppress(OSError):
                _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _replace(temporary: Path, final: Path) -> None:
    if not final.is_dir():
        temporary.replace(final)
        return
    if not temporary.is_dir():
        raise InputError(
            f"{final} is a folder", expected="the name of a file", hint="remove the folder or name a file"
        )
    # A folder that holds something cannot be replaced in one step: the old one goes aside first.
    aside = temporary.with_name(temporary.name + ".old")
    final.replace(aside)
    try:
        temporary.replace(final)
    except OSError:
        aside.replace(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync_tree(path: Path) -> None:
    if not path.is_dir():
        _sync_file(path)
        return
    for folder, _, files in os.walk(path):
        for name in files:
            _sync_file(Path(folder) / name)
        _sync_folder(Path(folder))


def _sync_file(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows has no handle of a folder to sync
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
