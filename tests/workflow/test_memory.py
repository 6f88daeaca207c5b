"""The memory that a run takes is the one that the check states."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mosart.simulate import Simulation
from mosart.workflow.check import prepare
from mosart.workflow.config import Config
from mosart.workflow.log import Talk
from mosart.workflow.memory import estimate


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory, as Linux tells it")
def test_the_estimate_holds_within_a_factor_of_one_and_a_half(
    right_scene: tuple[Path, Simulation], tmp_path: Path
) -> None:
    config = Config(method="rowwise-intensity", stack=(right_scene[0],), out=tmp_path / "out", workers=2)
    stated = prepare(config, Talk(quiet=True)).memory.peak
    code = (
        "import sys, json, re; from pathlib import Path\n"
        "from mosart.workflow.run import run; from mosart.workflow.config import Config\n"
        "run(Config.model_validate(json.loads(sys.argv[1])), quiet=True)\n"
        # not getrusage: a new process inherits its parent's peak there
        "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]) * 1024)"
    )
    command = [sys.executable, "-c", code, json.dumps(json.loads(config.model_dump_json(exclude_unset=True)))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert stated / 1.5 < int(done.stdout) < stated * 1.5


def test_the_estimate_of_a_large_stack_stays_below_the_bound() -> None:
    """15 dates of 1510 x 24505 pixels; measured: 1.7 GiB."""
    for workers in (1, 2, 4, 8):
        peak = estimate((15, 1510, 24505), 15, 15, workers, mapped=True).peak
        assert 2**30 < peak < 2 * 2**30


def test_tiles_keep_synthesis_below_the_bound_on_a_large_stack() -> None:
    for workers in (1, 2):
        peak = estimate((4, 1510, 24505), 4, 1, workers, mapped=True, synthesis=True).peak
        assert 2**30 < peak < 3 * 2**30
