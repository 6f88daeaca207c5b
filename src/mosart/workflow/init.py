"""A first config file for a stack."""

from __future__ import annotations

from pathlib import Path

from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.atomic import atomic_path

from .config import Config
from .configfile import dump
from .coregister import check_products
from .info import date_names, extent, geometry_line, size_text
from .log import Talk, recorded
from .provenance import software_version


def write_config(config: Config, path: Path) -> None:
    """Write a config file with the dates and the geometry of its stack, or its products' dates, as comments.

    Parameters
    ----------
    config : Config
        The stack or the products, and whatever else is settled already; the rest is written at its default.
    path : Path
        YAML file to write.

    Raises
    ------
    InputError
        If the file is there already, neither is named, or it cannot be read.
    """
    if path.exists():
        raise InputError(
            f"{path} is there already", expected="a new file", hint="name another with --config, or remove it"
        )
    notes: dict[str, str] = {}
    filled = Config(out=Path("mosart_out").absolute())
    with recorded(Talk()):
        if config.stack:
            stack = open_stack(config.stack[0])
            notes = {
                "stack": f"{size_text(stack)}; {extent(stack)}",
                "reference": f"dates of the stack: {date_names(stack.dates)}",
                "geometry": f"derived from the stack: {geometry_line(stack)}",
            }
            filled = filled.merged(Config(reference=(f"{stack.dates[0]:%Y%m%d}",)))
        elif config.slc:
            products = check_products(
                config.slc, config.dem, polarization=config.polarization or "", orbits=config.orbits
            )
            dates = tuple(sorted({product.date for product in products}))
            notes = {"slc": f"dates of the products: {date_names(dates)}"}
        else:
            raise InputError(
                "`stack` is missing", expected="--stack FILE", hint="name the stack file, or --slc and --dem"
            )
    filled = filled.merged(config)
    heading = (f"MoSARt {software_version()}", f"run it with: mosart run {path}", "null: the default")
    with atomic_path(path.absolute()) as temporary:
        temporary.write_text(dump(filled, heading=heading, notes=notes), encoding="utf-8")
