"""Room on the disk for files that are mapped into memory."""

from __future__ import annotations

import os


def reserve(handle: int, size: int) -> None:
    """Take room for a file, so that a full disk is an error here.

    A file that is only made long has no blocks yet; where the disk has none left when a mapped page of it is
    written, the system ends the process by a signal (SIGBUS), without a word.

    Parameters
    ----------
    handle : int
        Open file.
    size : int
        Bytes it shall hold.

    Raises
    ------
    OSError
        If the disk has no room for it.
    """
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:  # macOS and Windows
        os.truncate(handle, size)
