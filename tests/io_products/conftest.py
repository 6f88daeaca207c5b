"""A small run whose products other software judges."""

from __future__ import annotations

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
