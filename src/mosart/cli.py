"""The command line: ``mosart demo | init | check | run | report | export | compare | info | simulate | …``.

``coregister`` and ``fetch`` are for SLC products.

It is made of the typed config itself by cyclopts. The other library that takes pydantic models as they are,
tyro, was tried on the same model: its unions read worse in ``--help``, its nested options lose their prefix
with the positional config file, and it does not tell an option that was set from one left at its default,
which is what putting options over a file needs. Both suggest the option meant for a misspelt one.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter
from pydantic import ValidationError

from .errors import InputError, MosartError, stop_behind
from .stops import heeded_stops
from .workflow.config import Config
from .workflow.configfile import load, refusal
from .workflow.provenance import software_version

EXIT_REFUSED = 2
EXIT_UNRESOLVED = 3
#: A disk, a quota or a file that may not grow any more.
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))
EXIT_FAILED = 1

app = App(
    name="mosart",
    help="""Elevation change, in metres and with an uncertainty, from SAR amplitude images and one DEM.

    Begin with `mosart demo`, which shows the whole way on a simulated crater. With a file of your own:

    `mosart info projections.h5` — what is in it

    `mosart init --stack projections.h5` — writes config.yaml, with a comment on every key

    `mosart check config.yaml` — everything a run needs, checked before work starts

    `mosart run config.yaml` — the run: maps, uncertainty, time series, volumes, figures, a page to look at

    `mosart compare OUT lidar_difference.tif` — how far the result is from another run, or from lidar

    From SLC products: `mosart fetch` gets Sentinel-1 bursts, orbits and a DEM, `mosart coregister` makes a
    stack of products; `mosart run` does so too where the config names `slc` and `dem`.

    Every key of the config is an option too, and an option wins over the file.
    """,
    version=software_version,
    help_format="markdown",
    default_parameter=Parameter(negative=()),
    group_parameters=Group("Options"),
)

Options = Annotated[Config | None, Parameter(name="*")]
ConfigFile = Annotated[
    Path | None, Parameter(help="YAML file, as `mosart init` writes it; options win over it.")
]

Products = Annotated[Path, Parameter(help="Folder that `mosart run` left its products in (`out`).")]


@app.command
def run(file: ConfigFile = None, /, *, options: Options = None, quiet: bool = False) -> None:
    """Run the whole workflow: from a stack file or SLC products to a folder of maps, tables and figures.

    **Examples**

    `mosart run config.yaml`

    `mosart run config.yaml --method rowwise --out other_folder`

    `mosart run --stack projections.h5 --out OUT --reference 20190115,20190215`

    `mosart run --stack projections.h5 --out OUT --crop -163.98,54.74,-163.96,54.76 --reference 20190115
    --epoch 20190415,20190515 --epoch 20190601..20190701`

    `mosart run --stack ascending.h5 --stack descending.h5 --out OUT --reference 20190101..20190131
    --epoch 20190401..20190430` — several looks of one ground: one map, which has new rock too

    `mosart run --slc A.SAFE --slc B.zip --dem DEM.tif --dem-datum EGM2008 --out OUT`

    What it leaves is described in docs/files.md. Run again in the same folder, it redoes only what something
    changed for (one more image in the stack, say). Products of an earlier run are replaced as a set; files
    that no run made are not touched.

    Exit code 3: done, but the newest date is not resolved in an area that was named (docs/usage.md).

    Parameters
    ----------
    quiet
        No messages and no progress bars; warnings are in the log file all the same.
    """
    from .workflow.run import run as run_config

    config = _config(file, options)
    outcome = run_config(config, quiet=quiet)
    _say(outcome.text())
    if outcome.unresolved:
        raise SystemExit(EXIT_UNRESOLVED)


@app.command
def check(file: ConfigFile = None, /, *, options: Options = None) -> None:
    """Check everything a run needs, without writing anything.

    Prints the dates, the geometry, the memory a run takes, the error to expect of the method, and the
    smallest change that the images can show.

    **Examples**

    `mosart check config.yaml`

    `mosart check --stack projections.h5 --out OUT --reference 20190115`

    Of several stacks it prints what each look takes of reference and epochs, and how much ground they share.
    Of SLC products the metadata are checked, and how much of the scene the DEM covers.
    """
    from .workflow.check import prepare
    from .workflow.detectable import smallest_changes
    from .workflow.fromslc import check_slc
    from .workflow.log import Talk, recorded

    config = _config(file, options)
    talk = Talk()
    with recorded(talk):
        if config.slc:
            text = check_slc(config).text()
        else:
            plan = prepare(config, talk)
            text = plan.text()
            if plan.method == "synthesis":
                text += f"\n{smallest_changes(plan)}"
    _say(text)


@app.command
def init(
    *,
    options: Options = None,
    config: Annotated[Path, Parameter(help="File to write; an existing one stays.")] = Path("config.yaml"),
) -> None:
    """Write a config file for a stack, with its dates, its geometry and a comment on every key.

    **Examples**

    `mosart init --stack projections.h5`

    `mosart init --stack projections.h5 --out OUT --method rowwise --config rowwise.yaml`

    `mosart init --stack ascending.h5 --stack descending.h5`

    `mosart init --slc A.SAFE --slc B.zip --dem DEM.tif`
    """
    from .workflow.init import write_config

    write_config((options or Config()).anchored(Path.cwd()), config)
    _say(f"{config} is written. Look through it, then: mosart run {config}")


@app.command
def report(folder: Products, /) -> None:
    """Make `report.html` again from the products of a run: one page with all results, to look at offline.

    Needs the extra: pip install 'mosart[report]'.

    **Example**

    `mosart report OUT`
    """
    from .workflow.log import Talk, recorded
    from .workflow.outputs import make_report

    with recorded(Talk()):
        page = make_report(folder)
    _say(f"{page} is written. Open it in a browser; it needs no network.")


@app.command
def export(
    folder: Products,
    /,
    *,
    to: Annotated[
        Literal["mintpy", "geotiff", "zarr", "qgis", "bowser"],
        Parameter(
            help="mintpy: HDF5 files for view.py and tsview.py; geotiff: one a date and quantity; zarr: both "
            "results as Zarr; qgis: styles and a project in the order of time; bowser: its list of layers."
        ),
    ],
) -> None:
    """Write the products of a run for other software, into the run's folder.

    A run does so itself, but for Zarr; this is for products that were moved, or came from an earlier version.

    **Examples**

    `mosart export OUT --to mintpy`, then `view.py OUT/mintpy/timeseries.h5`

    `mosart export OUT --to zarr`, then `xarray.open_zarr("OUT/elevation_change.zarr")`

    `mosart export OUT --to qgis`, then open OUT/mosart.qgz

    `mosart export OUT --to bowser`, then `bowser run` in OUT
    """
    from .workflow.log import Talk, recorded
    from .workflow.outputs import export as export_products

    with recorded(Talk()):
        written = export_products(folder, to)
    _say("\n".join(["written:", *(f"  {path}" for path in written)]))


@app.command
def compare(
    first: Products,
    second: Annotated[
        Path,
        Parameter(help="Folder of another run, or a raster: later minus earlier surface, metres."),
    ],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder for comparison.csv and a picture of each date.")
    ] = None,
    date: Annotated[
        str | None,
        Parameter(help="YYYYMMDD; default: all that both runs have, the last one beside a raster."),
    ] = None,
) -> None:
    """Compare a run's map with another run's, or with a difference of DEMs (lidar).

    Prints the median, the NMAD and the RMSE of first minus second, and the share of the differences that
    the error bars hold: of all cells, and of each area of the first run's config.

    **Examples**

    `mosart compare OUT OTHER`

    `mosart compare OUT lidar_difference.tif --date 20190415 --out comparison`
    """
    from .io.names import parse_date
    from .workflow.log import Talk, recorded
    from .workflow.outputs import compare_results

    day = None if date is None else parse_date(date)
    with recorded(Talk()):
        text = compare_results(first, second, out, date=day)
    _say(text)


@app.command
def info(*files: Path) -> None:
    """Tell what stack files hold: dates, size, geometry, and names that are ignored.

    **Examples**

    `mosart info projections.h5`

    `mosart info ascending.h5 descending.h5` — and how much ground they share

    Parameters
    ----------
    files
        Stack files.
    """
    from .workflow.info import describe_all
    from .workflow.log import Talk, recorded

    if not files:
        raise InputError("no file is named", expected="mosart info FILE", got="nothing")
    with recorded(Talk()):
        text = describe_all(files)
    _say(text)


@app.command
def simulate(
    *,
    out: Annotated[Path, Parameter(help="HDF5 file to write; the truth goes beside it, as NAME_truth.nc.")],
    terrain: Annotated[str, Parameter(help="crater, island, or the path of a DEM as GeoTIFF.")] = "crater",
    sensor: Annotated[
        Literal["terrasar-x", "sentinel-1", "alos-palsar"],
        Parameter(
            help="Spacings, incidence, speckle and noise over a DEM; crater and island are TerraSAR-X's."
        ),
    ] = "terrasar-x",
    dates: Annotated[int, Parameter(help="Number of images, 11 days apart.")] = 6,
    change: Annotated[
        float,
        Parameter(help="Metres that the crater or the DEM's middle sinks, or the island's crater fills."),
    ] = 25.0,
    looks: Annotated[
        float | None, Parameter(help="Looks of the speckle, 0 for none; default: the sensor's.")
    ] = None,
    look_direction: Annotated[Literal["right", "left"], Parameter(help="Side of the flight.")] = "right",
    heading: Annotated[
        float | None,
        Parameter(help="Flight direction, degrees clockwise from north; default: an ascending pass."),
    ] = None,
    seed: Annotated[int, Parameter(help="The same seed gives the same file.")] = 0,
) -> None:
    """Simulate a stack of radar images of ground that changes, with the truth.

    **Examples**

    `mosart simulate --out crater.h5`

    `mosart simulate --out island.h5 --terrain island --dates 15 --change 12`

    `mosart simulate --out mine.h5 --terrain dem.tif --sensor sentinel-1 --change -20 --heading 190`
    """
    from .workflow.scenes import simulate_file

    text = simulate_file(
        out,
        terrain=terrain,
        sensor=sensor,
        dates=dates,
        change=change,
        looks=looks,
        look_direction=look_direction,
        heading=heading,
        seed=seed,
    )
    _say(text)


@app.command
def demo(
    *, out: Annotated[Path, Parameter(help="Folder for the simulated stack and the products.")] = Path("demo")
) -> None:
    """Show the whole way on a simulated crater that collapses, with the error against the truth.

    **Example**

    `mosart demo --out demo`
    """
    from .workflow.demo import run_demo

    _say(run_demo(out))


@app.command
def coregister(file: ConfigFile = None, /, *, options: Options = None, quiet: bool = False) -> None:
    """Make a stack of SLC products: images and geometry on one radar grid. Needs the extra `mosart[slc]`.

    **Examples**

    `mosart coregister --slc A.SAFE --slc B.zip --dem DEM.tif --dem-datum EGM2008 --out stack.nc`

    `mosart coregister --slc A.SAFE:IW2 --slc B.SAFE:IW2 --dem DEM.tif --orbits orbits --out stack.nc
    --crop 179.3,51.9,179.9,52.1 --grid-date 20190803 --polarization VV`

    `mosart coregister --slc A.SAFE --dem DEM.tif --out one.nc` — amplitude and geometry of one product

    `mosart coregister config.yaml` — the first step of `mosart run config.yaml`, which finds it done

    `--out` names the stack's file (.nc); where it names a folder, as for a run, the stack is `stack.nc` in
    it. The other options of a run do not count here, but `--areas`: ground there does not count for the
    alignment.

    Parameters
    ----------
    quiet
        No messages and no progress bars.
    """
    from .workflow.cores import working_threads
    from .workflow.fromslc import check_slc, make_stack
    from .workflow.log import Talk, recorded

    config = _config(file, options)
    talk = Talk(quiet=quiet)
    with recorded(talk), working_threads(config.workers):
        plan = check_slc(config, run=False)
        path, _ = make_stack(plan, talk)
    _say(f"{plan.text()}\nnext: mosart run {file or f'--stack {path} --out OUT'}")


@app.command
def fetch(
    *,
    place: Annotated[str, Parameter(help="Box WEST,SOUTH,EAST,NORTH in degrees.")],
    start: Annotated[str, Parameter(help="First day, YYYYMMDD.")],
    end: Annotated[str, Parameter(help="Last day, YYYYMMDD.")],
    out: Annotated[Path, Parameter(help="Folder to get them into; what is there is not fetched again.")],
    polarization: Annotated[Literal["HH", "HV", "VH", "VV"], Parameter(help="Channel.")] = "VV",
    direction: Annotated[
        Literal["ascending", "descending"] | None, Parameter(help="Of the orbit; default: most dates.")
    ] = None,
    track: Annotated[int | None, Parameter(help="Relative orbit; default: most dates.")] = None,
) -> None:
    """Get Sentinel-1 bursts of a place, their orbits and a DEM. Needs the extra `mosart[download]`.

    **Example**

    `mosart fetch --place 179.5,51.9,179.7,52.0 --start 20190801 --end 20190831 --out semisopochnoi`

    A login for NASA's Earthdata (urs.earthdata.nasa.gov, free) is taken from the file `.netrc` in your home
    folder and from nowhere else. Bursts come from ASF, the DEM (Copernicus GLO-30, made ellipsoidal) from its
    open archive.
    """
    from .workflow.fetch import fetch_files
    from .workflow.log import Talk, recorded

    talk = Talk()
    with recorded(talk):
        text = fetch_files(
            place, start, end, out, talk, polarization=polarization, direction=direction, track=track
        )
    _say(text)


def _config(file: Path | None, options: Config | None) -> Config:
    """Put the options over the file; relative paths of options are the current folder's."""
    given = (options or Config()).anchored(Path.cwd())
    if file is None:
        return given
    try:
        return load(file).merged(given)
    except ValidationError as error:
        raise refusal(error, f"{file} with the options") from error


def _say(text: str) -> None:
    print(text)  # noqa: T201 (the command line's own output)


def _complain(text: str) -> None:
    with suppress(OSError):  # a full disk that the error stream goes to as well
        print(text, file=sys.stderr)  # noqa: T201 (the command line's own output)


#: Options that take a box or a point: their numbers may begin with a minus, and may stand apart.
_NUMBERS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(,[+-]?(\d+\.?\d*|\.\d+))*,?")
_BOXES = ("--crop", "--areas", "--points", "--stable", "--water.strip", "--place")


def join_numbers(arguments: Sequence[str]) -> list[str]:
    """Join the numbers after an option for a box to one value: ``--crop -1 2 3 4`` to ``--crop=-1,2,3,4``.

    Parameters
    ----------
    arguments : sequence of str
        As the shell gives them.

    Returns
    -------
    list of str
        A value that begins with a minus is not taken for an option.
    """
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        numbers: list[str] = []
        if word in _BOXES:
            while rest and _NUMBERS.fullmatch(rest[0]):
                numbers.append(rest.pop(0).strip(","))
        joined.append(f"{word}={','.join(numbers)}" if numbers else word)
    return joined


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the program's name; by default the process's own.

    Returns
    -------
    int
        Exit code: 0 done; 3 done, but the newest date is not resolved; 2 wrong usage or refused input, with
        nothing written; 1 failed on the way; 130 and 143 stopped by the user or the system.
    """
    words = join_numbers(sys.argv[1:] if arguments is None else arguments)
    try:
        with heeded_stops():
            app(words, exit_on_error=False, print_error=False)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else EXIT_FAILED
    except BrokenPipeError:  # `mosart info FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except BaseException as error:
        stop = stop_behind(error)
        if isinstance(stop, SystemExit):
            return stop.code if isinstance(stop.code, int) else EXIT_FAILED
        text, code = explain(stop or error)
        _complain(text)
        return code
    return 0


def explain(error: BaseException) -> tuple[str, int]:
    """Say in the user's words why a command ended.

    Parameters
    ----------
    error : BaseException
        What ended it.

    Returns
    -------
    text : str
        For the error stream; a traceback for bugs alone.
    code : int
        Exit code.
    """
    if isinstance(error, CycloptsError | InputError):
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in _FULL
        return f"mosart: {_refused(error)}", EXIT_FAILED if full else EXIT_REFUSED
    if isinstance(error, KeyboardInterrupt):
        return (
            "mosart: stopped: earlier products are as they were, finished steps are kept for the next",
            128 + signal.SIGINT,
        )
    if isinstance(error, MosartError):
        return f"mosart: {error}", EXIT_FAILED
    if isinstance(error, MemoryError):
        return "mosart: out of memory; give fewer `workers`, or a smaller `crop`", EXIT_FAILED
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"mosart: the disk is full: {error}; products of an earlier run are as they were", EXIT_FAILED
    lines = "".join(traceback.format_exception(error))
    return f"{lines}\nmosart: this is a bug in MoSARt; please report it with the lines above", EXIT_FAILED


def _refused(error: CycloptsError | InputError) -> str:
    if isinstance(error, InputError):
        return str(error) if error.hint else f"{error}\n  what to do: correct this and run again"
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ValidationError):
        return str(refusal(cause))
    command = " ".join(error.command_chain or ())
    text = str(error).strip()
    return f"{text}\n  what to do: `mosart {command}{' ' if command else ''}--help` lists the options"
