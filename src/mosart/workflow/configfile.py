"""The config as a YAML file: read with errors that name the key, written with a comment on every key."""

from __future__ import annotations

import difflib
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from mosart.errors import InputError

from .config import Config


def load(path: Path) -> Config:
    """Read a config file.

    Parameters
    ----------
    path : Path
        YAML; its relative paths are relative to its own folder.

    Returns
    -------
    Config
        With absolute paths.

    Raises
    ------
    InputError
        If the file cannot be read, is no YAML, or has an unknown key or an unusable value; the message names
        the key.
    """
    hint = "`mosart init --stack FILE` writes a config file"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the config file cannot be read", expected="a YAML file", got=_reason(error), hint=hint
        ) from error
    try:
        data = YAML(typ="safe").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(
            f"{path}{place}: this is no YAML", expected="lines of `key: value`", got=str(problem), hint=hint
        ) from error
    except ValueError as error:  # a date that the calendar has not, written with dashes
        raise InputError(
            f"{path}: a value cannot be read", expected="dates as YYYYMMDD", got=str(error), hint="correct it"
        ) from error
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise InputError(
            f"{path}: this is no config", expected="lines of `key: value`", got=type(data).__name__, hint=hint
        )
    # An empty section or list (`water:` with nothing below) is one left at its defaults.
    data = {key: value for key, value in data.items() if value is not None or key not in Config.model_fields}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise refusal(error, str(path)) from error
    return config.anchored(path.absolute().parent)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def refusal(error: ValidationError, source: str = "") -> InputError:
    """Say what is wrong with a config in the user's words.

    Parameters
    ----------
    error : pydantic.ValidationError
        As the model raised it.
    source : str
        The file or the command line, for the message.

    Returns
    -------
    InputError
        On the first fault; further ones are named after it.
    """
    faults = error.errors()
    what, expected, got, hint = _fault(faults[0])
    if len(faults) > 1:
        others = ", ".join(sorted({_key(fault["loc"]) for fault in faults[1:]} - {_key(faults[0]["loc"])}))
        hint = (
            f"{hint}; then look at {others}"
            if others and hint
            else (hint or f"look at {others}" if others else hint)
        )
    prefix = f"{source}: " if source else ""
    return InputError(prefix + what, expected=expected, got=got, hint=hint)


def _key(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location if not isinstance(part, int)) or "the config"


def _fault(fault: Mapping[str, Any]) -> tuple[str, str, str, str]:
    location: tuple[int | str, ...] = fault["loc"]
    key, kind = _key(location), fault["type"]
    if kind == "extra_forbidden":
        known = list(_model_at(location[:-1]).model_fields)
        close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
        hint = (
            f"did you mean `{'.'.join([*map(str, location[:-1]), close[0]])}`?" if close else "leave it out"
        )
        return f"unknown key `{key}`", f"one of {', '.join(known)}", f"{location[-1]}", hint
    inner = fault.get("ctx", {}).get("error")
    if isinstance(inner, InputError):
        what = inner.what if not location else f"`{key}`: {inner.what}"
        return what, inner.expected, inner.got, inner.hint
    expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    expected = {"path_type": "a path", "missing": "a value there"}.get(kind, expected)
    value = fault.get("input")
    if kind == "literal_error":
        options = [
            option.strip("' ") for option in str(fault["ctx"]["expected"]).replace(" or ", ", ").split(", ")
        ]
        close = difflib.get_close_matches(str(value), options, n=1, cutoff=0.6)
        return (
            f"`{key}` has no such choice",
            f"one of {', '.join(options)}",
            str(value),
            f"did you mean {close[0]}?" if close else f"choose one of {', '.join(options)}",
        )
    return f"`{key}` cannot be used", expected, f"{value!r}", f"correct `{key}`"


def _model_at(location: Sequence[int | str]) -> type[BaseModel]:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a name that the user chose
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        model = next((kind for kind in kinds if issubclass(kind, BaseModel)), model)
    return model


def dump(config: Config, *, heading: Sequence[str] = (), notes: Mapping[str, str] | None = None) -> str:
    """Write a config as YAML text with a comment on every key.

    Parameters
    ----------
    config : Config
        Every key is written, defaults included.
    heading : sequence of str
        Comment lines at the top.
    notes : mapping of str to str, optional
        Further comment lines by key (``geometry.incidence_angle``), after the key's own description.

    Returns
    -------
    str
        :func:`load` gives the same config back.
    """
    tree = _tree(config, notes or {}, "")
    yaml = YAML()
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    top = "".join(f"# {line}".rstrip() + "\n" for line in heading)
    return f"{top}\n{stream.getvalue()}" if heading else stream.getvalue()


def _tree(section: BaseModel, notes: Mapping[str, str], prefix: str) -> CommentedMap:
    tree = CommentedMap()
    for name in type(section).model_fields:
        value = getattr(section, name)
        key = f"{prefix}{name}"
        tree[name] = _tree(value, notes, f"{key}.") if isinstance(value, BaseModel) else _plain(value)
        indent = 2 * prefix.count(".")
        tree.yaml_set_comment_before_after_key(
            name, before=_comment(type(section), name, notes, prefix), indent=indent
        )
    return tree


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    if isinstance(value, tuple):
        sequence = CommentedSeq(_plain(item) for item in value)
        if all(isinstance(item, int | float) for item in value):
            sequence.fa.set_flow_style()
        return sequence
    return value


def _comment(model: type[BaseModel], name: str, notes: Mapping[str, str], prefix: str) -> str:
    lines = [model.model_fields[name].description or ""]
    if note := notes.get(f"{prefix}{name}"):
        lines.append(note)
    return _wrap(*lines)


def _wrap(*lines: str, width: int = 96) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, width) or [""]) for line in lines)
