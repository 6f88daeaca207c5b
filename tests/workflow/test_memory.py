"""The memory that a run takes is the one that the check states."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from mosart.errors import InputError
from mosart.simulate import Simulation
from mosart.workflow.check import prepare
from mosart.workflow.config import Config
from mosart.workflow.log import Talk
from mosart.workflow.memory import Estimate, estimate, estimate_joint


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory, as Linux tells it")
@pytest.mark.parametrize(("method", "factor"), [("rowwise-intensity", 1.5), ("synthesis", 1.3)])
def test_the_estimate_holds_within_a_factor(
    right_scene: tuple[Path, Simulation], tmp_path: Path, method: str, factor: float
) -> None:
    config = Config(method=method, stack=(right_scene[0],), out=tmp_path / "out", workers=2)
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
    assert stated / factor < int(done.stdout) < stated * factor


def test_the_estimate_of_a_large_stack_stays_below_the_bound() -> None:
    """15 dates of 1510 x 24505 pixels; measured: 1.7 GiB."""
    for workers in (1, 2, 4, 8):
        peak = estimate((15, 1510, 24505), 15, 15, workers, mapped=True).peak
        assert 2**30 < peak < 2 * 2**30


def test_tiles_keep_synthesis_below_the_bound_on_a_large_stack() -> None:
    for workers in (1, 2):
        told = estimate((4, 1510, 24505), 4, 1, workers, mapped=True, synthesis=True)
        assert 2**30 < told.peak < 3 * 2**30


def test_the_time_that_is_told_counts_the_halos_and_every_entry() -> None:
    """A tile's halo is solved with it, and each entry by itself."""
    small, large = (
        estimate((4, rows, pixels), 4, 1, 2, mapped=True, synthesis=True).seconds / (rows * pixels)
        for rows, pixels in ((300, 1000), (1510, 24505))
    )
    assert 1.3 * small < large < 2 * small
    twice = estimate((4, 300, 1000), 4, 2, 2, mapped=True, synthesis=True).seconds
    assert twice == pytest.approx(2 * small * 300_000)


def test_a_run_that_takes_more_memory_than_is_free_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    Estimate(peak=1e9, disk=0.0).warn()
    assert not caplog.records
    Estimate(peak=1e15, disk=0.0).warn()
    assert "931322.6 GiB of memory" in caplog.text


def test_several_looks_on_a_map_of_millions_of_nodes_take_less_than_four_gibibytes() -> None:
    small, large = ((8, side, side) for side in (1200, 14142))  # of the large one 50 pixels a node
    for workers in (1, 2, 8):
        told = [estimate_joint([shape, shape], 1, workers) for shape in (small, large)]
        assert told[1].peak < 4 * 2**30
        grown = told[1].seconds / told[0].seconds
        assert grown == pytest.approx((14142 / 1200) ** 2)


def test_what_a_machine_has_not_the_memory_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    there = SimpleNamespace(total=2 * 2**30, available=2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: there)
    Estimate(peak=1.9 * 2**30, disk=0.0).refuse()
    with pytest.raises(InputError, match="more memory than the machine has"):
        Estimate(peak=2.1 * 2**30, disk=0.0).refuse()
