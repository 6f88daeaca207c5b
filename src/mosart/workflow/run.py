"""The run: from a stack to the folder of its products."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.inversion import METHODS, Options
from mosart.io.netcdf import open_dataset, write_dataset

from .accuracy import expected_error
from .check import Plan, geometry_text, prepare
from .config import Config
from .configfile import dump
from .cores import working_threads
from .folder import ProductFolder
from .fromslc import STACK, check_slc, make_stack
from .log import Advance, Talk, dask_progress, recorded
from .products import draw_figures, write_exports, write_map, write_report, write_tables
from .provenance import CITATION, hash_files, software_version

logger = logging.getLogger(__name__)

#: Characters of an attribute at most: HDF5 takes 64 kB; `config.yaml` holds all.
LONGEST_TEXT = 30_000


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Parameters
    ----------
    folder : Path
        Where the products are.
    products : tuple of str
        Their names in it.
    summary : str
        What was measured, for people.
    """

    folder: Path
    products: tuple[str, ...]
    summary: str

    def text(self) -> str:
        """Tell a user what there is."""
        return f"{self.summary}\n{len(self.products)} products in {self.folder}"


def run(config: Config, *, quiet: bool = False) -> Outcome:
    """Run the whole workflow.

    Parameters
    ----------
    config : Config
        What to do. Relative paths are the current folder's.
    quiet : bool
        No messages and no progress bars.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If anything cannot be used: then nothing has been written, and products of an earlier run are as
        they were.

    Notes
    -----
    Work is done by threads of this process alone, and none is started before this is called: a script
    needs no ``__main__`` guard.
    """
    talk = Talk(quiet=quiet)
    handle = tempfile.NamedTemporaryFile(prefix="mosart-", suffix=".log", delete=False)  # noqa: SIM115 (outlives)
    handle.close()
    log = Path(handle.name)
    try:
        with recorded(talk, log):
            logger.debug("mosart %s", software_version())
            with working_threads(config.workers):
                plan = _planned(config.anchored(Path.cwd()), talk)
                outcome = execute(plan, talk, log)
    except (InputError, KeyboardInterrupt, SystemExit):
        log.unlink(missing_ok=True)
        raise
    except BaseException:
        if not quiet:
            talk.console.print(f"the log of the failed run is {log}", markup=False, highlight=False)
        raise
    log.unlink(missing_ok=True)
    return outcome


def _planned(config: Config, talk: Talk) -> Plan:
    """Check everything; where the run starts from products, make their stack first."""
    if not config.slc:
        return prepare(config, talk)
    made, hashes = make_stack(check_slc(config), talk)
    return prepare(config, talk, made=made, hashes=hashes)


def execute(plan: Plan, talk: Talk, log: Path) -> Outcome:
    """Do what a plan says.

    Parameters
    ----------
    plan : Plan
        As :func:`mosart.workflow.check.prepare` makes it.
    talk : Talk
        The terminal.
    log : Path
        The log file so far; it becomes a product.

    Returns
    -------
    Outcome
    """
    assert plan.config.out is not None  # for the type checker: the check refuses it
    folder = ProductFolder(plan.config.out)
    for line in plan.text().splitlines():
        logger.debug("%s", line)
    with folder.staging(keep=(STACK,) if plan.config.slc else ()) as stage:
        hashes = hash_files(plan.inputs, talk, plan.hashes)
        provenance = _provenance(plan, hashes)
        # A small result is computed here, a large one while it is written.
        with talk.progress(f"inverting ({plan.config.method})") as advance, dask_progress(advance):
            change = _invert(plan, advance)
        with talk.progress("writing the result") as advance:
            write_dataset(change.dataset.assign_attrs(provenance), stage / "radar.nc", progress=advance)
        stored = ElevationChange(open_dataset(stage / "radar.nc"))
        try:
            write_tables(stored, plan, stage)
            if plan.mapped:
                write_map(stored, plan, stage, talk)
            elif not plan.stack.has_lonlat:
                logger.warning("the stack has no lon/lat: results stay on the radar grid, there is no map")
            else:
                logger.warning("without the geometry of the look there is no map: only radar.nc is written")
            draw_figures(stored, plan, stage, talk)
            write_exports(stored, stage, talk)
            summary = _summary(stored, plan)
        finally:
            stored.dataset.close()
        _write_config(plan, hashes, stage)
        logger.debug("error: %s", expected_error(plan.config.method))
        shutil.copyfile(log, stage / "mosart.log")  # the page shows its warnings
        write_report(plan, stage, talk)
        logger.info("done: products are in %s", folder.path)
        shutil.copyfile(log, stage / "mosart.log")
    return Outcome(folder.path, folder.products(), summary)


def _invert(plan: Plan, advance: Advance) -> ElevationChange:
    # Not mosart.invert: where the look is not known, it would look for it again, on the crop.
    options = Options(
        frame=plan.frame,
        despeckle=plan.config.despeckle,
        weights=plan.weights,
        stable=plan.stable,
        stable_name=plan.config.stable or "given",
        progress=advance,
    )
    return METHODS[plan.config.method](plan.stack, plan.reference, plan.entries, options)


def _provenance(plan: Plan, hashes: dict[Path, str]) -> dict[str, str]:
    look = {}
    if plan.frame is not None and plan.frame.look_direction != "unknown":
        look["look_direction"] = plan.frame.look_direction
        if np.isfinite(plan.frame.heading):
            look["heading"] = f"{plan.frame.heading:.6g}"
    return look | {
        "title": "elevation change from SAR amplitude images",
        "source": f"MoSARt {software_version()}, method {plan.config.method}",
        "history": f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} MoSARt {software_version()}: run",
        "references": CITATION,
        "software_version": software_version(),
        "config": plan.config.model_dump_json(exclude_none=True)[:LONGEST_TEXT],
        "input_hashes": " ".join(f"{path.name}=sha256:{value}" for path, value in hashes.items()),
        "geometry": geometry_text(plan.frame, plan.geometry_fault),
    }


def _write_config(plan: Plan, hashes: dict[Path, str], stage: Path) -> None:
    heading = [
        f"MoSARt {software_version()}: the config as used; `mosart run` on this file repeats the run",
        f"products: {plan.config.out}",
        *(f"input: {path} sha256:{value}" for path, value in hashes.items()),
    ]
    notes = {
        "geometry": f"used: {geometry_text(plan.frame, plan.geometry_fault)}",
        "epoch": f"entries: {', '.join(f'{entry.date:%Y%m%d}' for entry in plan.entries)}",
    }
    (stage / "config.yaml").write_text(dump(plan.config, heading=heading, notes=notes), encoding="utf-8")


def _summary(stored: ElevationChange, plan: Plan) -> str:
    data: xr.Dataset = stored.dataset
    lines = [f"{stored.quantity} against {', '.join(f'{date:%Y%m%d}' for date in plan.reference)}"]
    if "elevation_change_std" in data and data["elevation_change_std"].dims == ("date",):
        for date, value in zip(stored.dates, data["elevation_change_std"].values, strict=True):
            lines.append(f"  {date:%Y%m%d}  standard error {value:.2f} m")
    lines.append(expected_error(plan.config.method))
    return "\n".join(lines)
