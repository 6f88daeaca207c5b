"""Where a product comes from: the software's version and the hashes of what it read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `mosart --help` must not wait for the libraries behind it
    from .log import Talk

CITATION = (
    "Angarita, M., Grapenthin, R., Plank, S., Meyer, F. J., Dietterich, H. (2022), Quantifying Large-Scale "
    "Surface Change Using SAR Amplitude Images, JGR Solid Earth 127, e2022JB024344, doi:10.1029/2022JB024344"
)
_BLOCK = 1 << 22


def software_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("mosart")
    except PackageNotFoundError:  # a source tree on the path, never installed
        return "unknown"


def sha256(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    """Hash a file, or a folder (Zarr) by the names and contents of its files.

    Parameters
    ----------
    path : Path
        File or folder.
    advance : callable
        Told the bytes read each time.

    Returns
    -------
    str
        Hexadecimal SHA-256; for a file what ``sha256sum`` prints.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{part.relative_to(path).as_posix()}\0{sha256(part, advance)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def hash_files(paths: Sequence[Path], talk: Talk, known: Mapping[Path, str] | None = None) -> dict[Path, str]:
    """Hash files and folders, with a progress bar.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    talk : Talk
        The terminal.
    known : mapping of Path to str, optional
        Hashes that need not be taken again.

    Returns
    -------
    dict of Path to str
        In the order of `paths`.
    """
    hashes = dict(known or {})
    wanted = [path for path in paths if path not in hashes]
    total, done = total_bytes(wanted), 0
    with talk.progress("hashing the input") as advance:

        def count(read: int) -> None:
            nonlocal done
            done += read
            advance(done, total)

        for path in wanted:
            hashes[path] = sha256(path, count)
    return {path: hashes[path] for path in paths}


def total_bytes(paths: Iterable[Path]) -> int:
    """Count the bytes that :func:`sha256` reads of files and folders."""
    return sum(
        part.stat().st_size
        for path in paths
        for part in (path.rglob("*") if path.is_dir() else (path,))
        if part.is_file()
    )
