"""Threads: as many as the process may use, one of a linear-algebra library in each."""

from __future__ import annotations

import os
import subprocess
import sys

import dask
import dask.array as da
import pytest

from mosart.workflow.cores import available_cores, working_threads


def test_the_cores_are_those_the_process_may_use() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity, as Linux has it")
def test_affinity_counts() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from mosart.workflow.cores import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize("workers", [1, 3])
def test_dask_works_on_that_many_threads_and_is_left_as_it_was(workers: int) -> None:
    before = dask.config.get("scheduler", None), dask.config.get("num_workers", None)
    with working_threads(workers) as count:
        assert count == workers
        assert dask.config.get("num_workers") == workers
        assert da.ones((10, 10), chunks=5).sum().compute() == 100
    assert (dask.config.get("scheduler", None), dask.config.get("num_workers", None)) == before
