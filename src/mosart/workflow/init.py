"""A first config file for a stack."""

from __future__ import annotations

from pathlib import Path

from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.atomic import atomic_path

from .config import Config
from .configfile import dump
from .info import date_names, extent, geometry_line, size_text
from .log import Talk, recorded
from .provenance import software_version


def write_config(config: Config, path: Path) -> None:
    """Write a config file with the dates and the geometry of its stack as comments.

    Parameters
    ----------
    config : Config
        The stack, and whatever else is settled already; the rest is written at its default.
    path : Path
        YAML file to write.

    Raises
    ------
    InputError
        If the file is there already, no stack is named, or the stack cannot be read.
    """
    if path.exists():
        raise InputError(
            f"{path} is there already", expected="a new file", hint="name another with --config, or remove it"
        )
    if not config.stack:
        raise InputError("`stack` is missing", expected="--stack FILE", hint="name the stack file")
    source = config.stack[0]
    with recorded(Talk()):
        stack = open_stack(source)
        notes = {
            "stack": f"{size_text(stack)}; {extent(stack)}",
            "reference": f"dates of the stack: {date_names(stack.dates)}",
            "geometry": f"derived from the stack: {geometry_line(stack)}",
        }
    filled = Config(out=Path("mosart_out").absolute(), reference=(f"{stack.dates[0]:%Y%m%d}",)).merged(config)
    heading = (f"MoSARt {software_version()}", f"run it with: mosart run {path}", "null: the default")
    with atomic_path(path.absolute()) as temporary:
        temporary.write_text(dump(filled, heading=heading, notes=notes), encoding="utf-8")
