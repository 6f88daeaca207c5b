"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("mosart", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("mosart")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real data; without it the test is skipped, or fails where CI is set."""
    folder = Path(os.environ.get("MOSART_DATA") or PROJECT.parent / "shared" / "data")
    if folder.is_dir():
        return folder
    message = f"no real data: {folder} does not exist (set MOSART_DATA)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
