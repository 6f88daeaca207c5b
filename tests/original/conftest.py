"""The original package, installed in a folder of the tests' own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

ORIGINAL = "mosart==1.0.2"


@pytest.fixture(scope="session")
def original_folder(pytestconfig: pytest.Config) -> Path:
    """Folder with the original's modules, from the package index, kept for the next run.

    MOSART_ORIGINAL names a folder that has it already.
    """
    given = os.environ.get("MOSART_ORIGINAL")
    if given:
        return Path(given)
    folder = pytestconfig.cache.mkdir("original") / ORIGINAL
    if not folder.is_dir():
        partial = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        done = subprocess.run(
            [*command, "--no-deps", "--no-compile", "--target", str(partial / "site"), ORIGINAL],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"{ORIGINAL} cannot be installed: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        try:
            (partial / "site").rename(folder)
        except OSError:
            assert folder.is_dir()  # another test process was first
        shutil.rmtree(partial, ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def original_lsquares(original_folder: Path) -> ModuleType:
    """The original's lsquares, loaded by its path: it must not take the place of ours."""
    return _load(original_folder / "mosart" / "lsquares.py", "original_lsquares")


@pytest.fixture(scope="session")
def original_sfs(original_folder: Path) -> ModuleType:
    """The original's sfs, with stand-ins for the two libraries that what is tested does not use."""
    stubs = {"asf_search": ModuleType("asf_search"), "osgeo": ModuleType("osgeo")}
    stubs["asf_search"].ASFProduct = object  # type: ignore[attr-defined]
    stubs["osgeo"].gdal = ModuleType("gdal")  # type: ignore[attr-defined]
    stubs["osgeo"].gdal.UseExceptions = lambda: None
    with mock.patch.dict(sys.modules, stubs):  # while it is loaded: other tests need the libraries themselves
        return _load(original_folder / "mosart" / "sfs.py", "original_sfs")


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module
