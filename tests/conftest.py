"""What all tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Path]], list[str]]:
    """What the checker of the climate and forecast community finds, but for what docs/files.md explains."""

    def faults_of(files: list[Path]) -> list[str]:
        report = tmp_path_factory.mktemp("judged") / "report.json"
        options = [
            "--criteria",
            "strict",
            "--test",
            "cf:1.11",
            "--format",
            "json_new",
            "--output",
            str(report),
        ]
        done = subprocess.run(
            [Path(sys.executable).with_name("compliance-checker"), *options, *files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert report.is_file(), done.stderr
        judged = json.loads(report.read_text())
        assert len(judged) == len(files)
        faults = []
        for path, suites in judged.items():
            verdict = suites["cf:1.11"]
            assert verdict["possible_points"] > 100
            for level in ("high_priorities", "medium_priorities", "low_priorities"):
                for part in verdict[level]:
                    # Those with all their points are remarks on what is right.
                    lost = part["msgs"] if part["value"][0] < part["value"][1] else []
                    faults += [f"{Path(path).name}: {part['name']}: {text}" for text in lost]
        # On the radar grid rows and columns are no latitudes and longitudes.
        return [
            fault
            for fault in faults
            if not (fault.startswith("radar") and "not in the recommended order" in fault)
        ]

    return faults_of
