"""The run: from a stack to the folder of its products."""

from __future__ import annotations

import datetime as dt
import io
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from mosart.change import ElevationChange
from mosart.errors import InputError, stop_behind
from mosart.inversion import METHODS, Entry, Options
from mosart.io.digest import digest_data, digest_file
from mosart.io.netcdf import open_dataset, write_dataset

from .accuracy import expected_error
from .check import prepare
from .config import Config
from .configfile import dump
from .cores import working_threads
from .folder import ProductFolder
from .fromslc import STACK, check_slc, make_stack
from .joint import invert_entry, joint_grid, write_pieces
from .layers import ALONE, Layered, write_layers
from .log import Advance, Talk, dask_progress, recorded
from .memory import TOGETHER
from .needs import CAUSES, Needs, keys_of
from .newest import newest_of
from .plan import Look, Plan
from .products import (
    draw_figures,
    write_for_gis,
    write_for_mintpy,
    write_map,
    write_rasters,
    write_report,
    write_tables,
)
from .provenance import CITATION, hash_files, software_version
from .steps import Ledger, Step

logger = logging.getLogger(__name__)

#: Characters of an attribute at most: HDF5 takes 64 kB; `config.yaml` holds all.
LONGEST_TEXT = 30_000
#: Attributes that a method knows better than the stack.
LOOK_ATTRIBUTES = ("incidence_angle", "range_spacing", "azimuth_spacing", "heading", "look_direction")


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
    unresolved : tuple of str
        Why the newest date says nothing of what was asked, area by area; empty where it does.
    """

    folder: Path
    products: tuple[str, ...]
    summary: str
    unresolved: tuple[str, ...] = ()

    def text(self) -> str:
        """Tell a user what there is."""
        lines = [self.summary, *(f"NOT RESOLVED: {why}" for why in self.unresolved)]
        return "\n".join([*lines, f"{len(self.products)} products in {self.folder}"])


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
    log = io.StringIO()  # not a file: nothing is left of a run that is killed or refused
    try:
        with recorded(talk, log):
            logger.debug("mosart %s", software_version())
            with working_threads(config.workers):
                plan = _planned(config.anchored(Path.cwd()), talk)
                return execute(plan, talk, log)
    except InputError:
        raise
    except BaseException as error:
        if stop_behind(error) is None:
            _keep(log)
        raise


def _keep(log: io.StringIO) -> None:
    """Leave the log of a run that failed to whoever looks for the reason."""
    with suppress(OSError):  # a disk that is full
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="mosart-failed-", suffix=".log", delete=False
        ) as file:
            file.write(log.getvalue())
        # said however quiet the run is: nothing else tells of what went wrong
        Talk().console.print(f"the log of the failed run is {file.name}", markup=False, highlight=False)


def _planned(config: Config, talk: Talk) -> Plan:
    """Check everything; where the run starts from products, make their stack first."""
    if not config.slc:
        return prepare(config, talk)
    made, hashes = make_stack(check_slc(config), talk)
    return prepare(config, talk, made=made, hashes=hashes)


def execute(plan: Plan, talk: Talk, log: io.StringIO) -> Outcome:
    """Do what a plan says.

    Parameters
    ----------
    plan : Plan
        As :func:`mosart.workflow.check.prepare` makes it.
    talk : Talk
        The terminal.
    log : text in memory
        The log so far; it becomes a product.

    Returns
    -------
    Outcome
    """
    assert plan.config.out is not None  # for the type checker: the check refuses it
    folder = ProductFolder(plan.config.out)
    for line in plan.text().splitlines():
        logger.debug("%s", line)
    keep = (STACK,) if plan.config.slc else ()
    with folder.staging(keep, resume=True) as stage:
        hashes = hash_files(plan.inputs, talk, plan.hashes)
        ledger = Ledger(stage, folder.path, folder.records(), keys_of(plan.config), CAUSES)
        work = _Work(plan, Needs(plan), ledger, _provenance(plan, hashes), talk)
        with ExitStack() as opened:
            file = work.join() if plan.joint else work.invert()
            stored = ElevationChange(opened.enter_context(open_dataset(file)))
            if plan.mapped:
                work.map(stored.dataset)
            elif not plan.stack.has_lonlat:
                logger.warning("the stack has no lon/lat: results stay on the radar grid, there is no map")
            else:
                logger.warning("without the geometry of the look there is no map: only radar.nc is written")
            work.describe(stored)
        newest = newest_of(stage, plan)
        _write_config(plan, hashes, stage)
        logger.debug("error: %s", expected_error(plan.method, looks=len(plan.looks)))
        _write_log(log, stage)  # the page shows its warnings
        work.report()
        if ledger.reused:
            logger.info(
                "%d steps done, %d reused: nothing that they depend on changed", ledger.done, ledger.reused
            )
        logger.info("done: products are in %s", folder.path)
        _write_log(log, stage)
        ledger.close()
    summary = "\n".join([*newest.lines, expected_error(plan.method, looks=len(plan.looks))])
    return Outcome(folder.path, folder.products(), summary, newest.unresolved)


@dataclass(frozen=True)
class _Work:
    """The steps of a run, each done only where something that it depends on changed."""

    plan: Plan
    needs: Needs
    ledger: Ledger
    provenance: Mapping[str, str]
    talk: Talk

    def invert(self) -> Path:
        """Invert every entry that is not there already; return the file of all."""
        plan, method = self.plan, self.plan.method
        entries = {entry.date: entry for entry in plan.entries}

        def make(dates: Sequence[dt.date], paths: Sequence[Path]) -> None:
            # A small result is computed here, a large one while it is written.
            with self.talk.progress(f"inverting ({method})") as advance, dask_progress(advance):
                change = _invert(plan, tuple(entries[date] for date in dates), advance)
            with self.talk.progress("writing the result") as advance:
                write_dataset(change.dataset.assign_attrs(self.provenance), paths[0], progress=advance)

        layers = {date: self.needs.inversion(date) for date in entries}
        file = Layered("radar.nc", self.needs.radar(), layers, lambda data: self._placed(data, plan.look))
        size = 1 if method in ALONE else TOGETHER
        return write_layers(self.ledger, [file], make=make, size=size, talk=self.talk)[0]

    def join(self) -> Path:
        """Invert all looks together, every entry that is not there already; return the map of all."""
        plan = self.plan
        entries = {entry.date: entry for entry in plan.entries}
        grid = joint_grid(plan)
        logger.info("map: %s x %s cells of %.6g in %s", *grid.shape, grid.transform.a, grid.crs)

        def make(dates: Sequence[dt.date], pieces: Sequence[Path]) -> None:
            with self.talk.progress(f"inverting {len(plan.looks)} looks") as advance:
                change = invert_entry(plan, entries[dates[0]], grid, advance)
            with self.talk.progress("writing the result") as advance:
                write_pieces(change, plan.looks, files, pieces, advance)

        files = [Layered("elevation_change.nc", self.needs.map(), self._map_layers(), self._told)]
        for name, look in plan.radar_files.items():
            layers = {date: self.needs.inversion(date, look) for date in entries}
            place = partial(self._placed, look=look)
            files.append(Layered(name, self.needs.radar(name, look), layers, place))
        return write_layers(self.ledger, files, make=make, size=1, talk=self.talk)[0]

    def _placed(self, data: xr.Dataset, look: Look) -> xr.Dataset:
        """Put on results of a radar grid what is the stack's."""
        stack = look.stack.dataset
        told = {name: value for name, value in stack.attrs.items() if name not in LOOK_ATTRIBUTES}
        places = [name for name in ("height", "longitude", "latitude") if name in stack]
        data = data.assign({name: stack[name].drop_vars("date", errors="ignore") for name in places})
        return self._told(data.assign_attrs(told)).assign_attrs(look.attributes)

    def _told(self, data: xr.Dataset) -> xr.Dataset:
        reference = ",".join(f"{date:%Y%m%d}" for date in self.plan.reference)
        return data.assign_attrs({"reference_dates": reference} | dict(self.provenance))

    def _map_layers(self) -> dict[dt.date, Step]:
        return {entry.date: self.needs.layer(entry.date) for entry in self.plan.entries}

    def map(self, stored: xr.Dataset) -> None:
        """Bring to the map, and to GeoTIFFs, what is not there already; of several looks the map is there."""
        dates = [entry.date for entry in self.plan.entries]

        def chosen(data: xr.Dataset, some: Sequence[dt.date]) -> xr.Dataset:
            return data.sel(date=np.array(some, dtype="datetime64[ns]"))

        def make(some: Sequence[dt.date], paths: Sequence[Path]) -> None:
            write_map(chosen(stored, some), self.plan, paths[0], self.talk, self.provenance)

        def finish(data: xr.Dataset) -> xr.Dataset:
            told = {name: value for name, value in stored.attrs.items() if name != "Conventions"}
            return data.assign_attrs(told | dict(self.provenance))

        path = self.ledger.stage / "elevation_change.nc"
        if not self.plan.joint:
            file = Layered(path.name, self.needs.map(), self._map_layers(), finish)
            write_layers(self.ledger, [file], make=make, size=len(dates), talk=self.talk)
        if not self.plan.config.wants("geotiff"):
            return
        steps = {date: self.needs.geotiff(date) for date in dates}
        missing = [date for date, step in steps.items() if not self.ledger.kept(step)]
        if missing:
            with (
                open_dataset(path) as mapped,
                self.talk.progress("writing GeoTIFFs") as advance,
                self.ledger.working(*(steps[date] for date in missing)),
            ):
                write_rasters(chosen(mapped, missing), self.ledger.stage / "geotiff", progress=advance)

    def describe(self, stored: ElevationChange) -> None:
        """Make tables, figures and the files for other software."""
        stage, wants = self.ledger.stage, self.plan.config.wants
        self._once(self.needs.tables(), lambda: write_tables(stored, self.plan, stage))
        if wants("figures"):
            self._once(self.needs.figures(), lambda: draw_figures(stored, self.plan, stage, self.talk))
        if wants("mintpy"):
            self._once(self.needs.mintpy(), lambda: write_for_mintpy(self.plan, stage, self.talk))
        if wants("qgis") and self.plan.mapped:
            self._once(self.needs.gis(), lambda: write_for_gis(stage, self.talk))

    def report(self) -> None:
        """Make the page, when all else is there."""
        if not self.plan.config.wants("report"):
            return
        stage = self.ledger.stage
        lines = (stage / "mosart.log").read_text(encoding="utf-8").splitlines()
        keys = {
            name: key for name, key in keys_of(self.plan.config).items() if name not in ("workers", "out")
        }
        told = {
            "the config as used": digest_data(keys),
            "the warnings": digest_data(
                sorted({line.split(maxsplit=1)[1] for line in lines if " WARNING " in line})
            ),
            "the tables": digest_data([digest_file(p) for p in sorted(stage.glob("*.csv"))]),
        }
        self._once(self.needs.page(told), lambda: write_report(self.plan, stage, self.talk))

    def _once(self, step: Step, make: Callable[[], None]) -> None:
        if not self.ledger.kept(step):
            with self.ledger.working(step):
                make()


def _invert(plan: Plan, entries: tuple[Entry, ...], advance: Advance) -> ElevationChange:
    # Not mosart.invert: where the look is not known, it would look for it again, on the crop.
    options = Options(
        frame=plan.frame,
        despeckle=plan.config.despeckle,
        terrain=plan.config.terrain,
        weights=plan.weights,
        stable=plan.stable,
        stable_name=plan.config.stable or "given",
        progress=advance,
    )
    return METHODS[plan.method](plan.stack, plan.reference, entries, options)


def _provenance(plan: Plan, hashes: dict[Path, str]) -> dict[str, str]:
    look = {} if plan.joint else plan.look.attributes
    return look | {
        "title": "elevation change from SAR amplitude images",
        "source": f"MoSARt {software_version()}, method {plan.method}",
        "history": f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} MoSARt {software_version()}: run",
        "references": CITATION,
        "software_version": software_version(),
        "config": plan.config.model_dump_json(exclude_none=True)[:LONGEST_TEXT],
        "input_hashes": " ".join(f"{path.name}=sha256:{value}" for path, value in hashes.items()),
        "geometry": _geometry(plan),
    }


def _write_log(log: io.StringIO, stage: Path) -> None:
    (stage / "mosart.log").write_text(log.getvalue(), encoding="utf-8")


def _geometry(plan: Plan) -> str:
    if not plan.joint:
        return plan.look.geometry
    return " | ".join(f"{look.name}: {look.geometry}" for look in plan.looks)


def _write_config(plan: Plan, hashes: dict[Path, str], stage: Path) -> None:
    heading = [
        f"MoSARt {software_version()}: the config as used; `mosart run` on this file repeats the run",
        f"products: {plan.config.out}",
        *(f"input: {path} sha256:{value}" for path, value in hashes.items()),
    ]
    notes = {
        "geometry": f"used: {_geometry(plan)}",
        "epoch": f"entries: {', '.join(f'{entry.date:%Y%m%d}' for entry in plan.entries)}",
    }
    (stage / "config.yaml").write_text(dump(plan.config, heading=heading, notes=notes), encoding="utf-8")
