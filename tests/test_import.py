"""Importing: public names, no threads, no place for a cache, no display."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import mosart

SOURCE = str(Path(mosart.__file__).parent.parent)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_public_name_is_there() -> None:
    assert set(mosart.__all__) <= set(dir(mosart))
    for name in mosart.__all__:
        assert not isinstance(getattr(mosart, name), types.ModuleType), name
    with pytest.raises(AttributeError, match="no_such_name"):
        mosart.no_such_name  # noqa: B018


def test_no_module_bears_the_name_of_a_public_function() -> None:
    import mosart.geocoding
    import mosart.simulate

    assert isinstance(mosart.geocode, types.FunctionType)
    assert isinstance(mosart.simulate, types.ModuleType)


def test_importing_starts_no_thread_and_leaves_the_environment_alone() -> None:
    # Threads are counted as the system sees them, without those of the BLAS and of Arrow (pandas). GDAL's and
    # threadpoolctl's own variables aside: neither tells a library how many threads to use.
    done = run(
        "import os, psutil\n"
        "known = {'GDAL_CURL_CA_BUNDLE', 'PROJ_CURL_CA_BUNDLE', 'KMP_DUPLICATE_LIB_OK'}\n"
        "variables = lambda: {k: v for k, v in os.environ.items() if k not in known}\n"
        "before = variables()\n"
        "import numpy, scipy.linalg, pandas; threads = psutil.Process().num_threads()\n"
        "import mosart; [getattr(mosart, name) for name in mosart.__all__]\n"
        "import mosart.sfs, mosart.lsquares, mosart.workflow.run\n"
        "assert psutil.Process().num_threads() == threads, (threads, psutil.Process().num_threads())\n"
        "assert variables() == before"
    )
    assert done.returncode == 0, done.stderr


def test_help_does_not_wait_for_the_numerics() -> None:
    done = run("import sys, mosart.cli; print([m for m in ('numpy', 'numba', 'xarray') if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_a_home_or_a_passwd_entry_imports_and_compiles(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = run(
        # The libraries first: the other user may not be able to read them where they are.
        "import os, sys, mosart.workflow.run, mosart.lsquares\n"
        "for name in [n for n in sys.modules if n.startswith('mosart')]: del sys.modules[name]\n"
        f"os.chdir({str(tmp_path)!r}); os.environ.pop('HOME', None)\n"
        "os.setgid(54321); os.setuid(54321); sys.dont_write_bytecode = True\n"
        "import numpy, mosart\n"
        "from mosart.gaps import range_gradient\n"
        "print(range_gradient(numpy.arange(12.0).reshape(3, 4)).tolist())"
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a user without a home, as POSIX has it")
def test_importing_and_compiling_work_without_a_place_for_a_cache(tmp_path: Path) -> None:
    """Read-only site-packages and no home: nothing can be kept, and everything works."""
    import shutil

    package = tmp_path / "site"
    shutil.copytree(
        Path(mosart.__file__).parent, package / "mosart", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = (
        # Root may write anywhere, so the refusal is made here: no cache folder can be written.
        "import tempfile, numba.core.caching as c\n"
        "def refuse(*a, **k): raise OSError(30, 'Read-only file system')\n"
        "tempfile.TemporaryFile = refuse; c.tempfile.TemporaryFile = refuse\n"
        "import numpy, mosart, mosart.lsquares, mosart.inversion, mosart.geocoding, mosart.simulate\n"
        "from mosart.gaps import bridge\n"
        "print(mosart.__file__)"
    )
    done = run(
        code,
        PYTHONPATH=str(package),
        HOME="/nonexistent",
        XDG_CACHE_HOME="/nonexistent",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.returncode == 0, done.stderr
    assert str(package) in done.stdout
    assert not list(package.rglob("*.nbi"))


def test_the_users_matplotlib_backend_is_left_alone() -> None:
    done = run(
        "import matplotlib, mosart.workflow.run, mosart.workflow.products\n"
        "print(matplotlib.rcParams._get_backend_or_none() or matplotlib.rcParamsDefault.get('backend'))\n"
        "import sys; assert 'tkinter' not in sys.modules and 'matplotlib.pyplot' not in sys.modules",
        MPLBACKEND="TkAgg",
        DISPLAY="",
    )
    assert done.returncode == 0, done.stderr
