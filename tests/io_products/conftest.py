"""A small run whose products other software judges."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mosart.io.flat import write_flat
from mosart.simulate import collapse
from mosart.workflow.config import Config
from mosart.workflow.run import run


@pytest.fixture(scope="session")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of single dates and an epoch of two, without figures and page."""
    simulation = collapse(shape=(60, 160), before=2, after=2, metadata=False)
    folder = tmp_path_factory.mktemp("judged")
    write_flat(simulation.stack, folder / "projections.h5")
    dates = [f"{date:%Y%m%d}" for date in simulation.stack.dates]
    config = Config(
        method="rowwise-intensity",
        stack=(folder / "projections.h5",),
        out=folder / "out",
        reference=(dates[0],),
        epoch=(dates[1], ",".join(dates[2:])),
        despeckle="none",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_figures", "write_report"):
            patch.setattr(f"mosart.workflow.run.{name}", lambda *_: None)
        run(config, quiet=True)
    return folder / "out"


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
