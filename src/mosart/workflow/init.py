"""A first config file for a stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mosart.errors import InputError
from mosart.io import open_stack
from mosart.io.atomic import atomic_path
from mosart.stack import Stack

from .config import Config
from .configfile import dump
from .coregister import check_products
from .info import extent, geometry_line, size_text
from .log import Talk, recorded
from .looks import look_names
from .plan import names
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
            called = look_names(config.stack)
            stacks = {name: open_stack(path) for name, path in zip(called, config.stack, strict=True)}
            notes = _notes(stacks)
            first = sorted({stack.dates[0] for stack in stacks.values()})
            filled = filled.merged(Config(reference=(",".join(f"{date:%Y%m%d}" for date in first),)))
        elif config.slc:
            products = check_products(
                config.slc, config.dem, polarization=config.polarization or "", orbits=config.orbits
            )
            dates = tuple(sorted({product.date for product in products}))
            notes = {"slc": f"dates of the products: {names(dates)}"}
        else:
            raise InputError(
                "`stack` is missing", expected="--stack FILE", hint="name the stack file, or --slc and --dem"
            )
    filled = filled.merged(config)
    heading = (f"MoSARt {software_version()}", f"run it with: mosart run {path}", "null: the default")
    with atomic_path(path.absolute()) as temporary:
        temporary.write_text(dump(filled, heading=heading, notes=notes), encoding="utf-8")


def _notes(stacks: Mapping[str, Stack]) -> dict[str, str]:
    """Tell of the stacks beside the keys that it helps to choose."""

    def each(texts: Mapping[str, str]) -> str:
        if len(texts) == 1:
            return next(iter(texts.values()))
        return "; ".join(f"{name}: {text}" for name, text in texts.items())

    told = {
        "stack": each({name: f"{size_text(s)}; {extent(s)}" for name, s in stacks.items()}),
        "reference": f"dates of the stack: {each({name: names(s.dates) for name, s in stacks.items()})}",
        "geometry": f"derived from the stack: {each({n: geometry_line(s) for n, s in stacks.items()})}",
    }
    if len(stacks) > 1:
        told["epoch"] = "TO BE FILLED IN: several stacks need it, with a date of each stack in each epoch"
    return told
