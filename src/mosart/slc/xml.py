"""XML annotations, read so that damage becomes our own error."""

from __future__ import annotations

import contextlib
import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from mosart.errors import InputError, MosartError


@contextlib.contextmanager
def reading(what: str, kind: str) -> Iterator[None]:
    """Turn whatever a damaged annotation makes a parser raise into one refusal that names it."""
    try:
        yield
    except MosartError:
        raise
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # parsers raise anything on damaged input, KeyError to AssertionError
        raise InputError(
            f"{what}: the {kind} cannot be understood",
            expected="the product as delivered",
            got=f"{type(error).__name__}: {error}"[:300],
            hint="download the product again",
        ) from None


def parse(content: bytes, what: str, kind: str) -> ET.Element:
    """Root of an XML document.

    Raises
    ------
    InputError
        If it is damaged, or declares entities of its own (none of the formats does).
    """
    if not content.strip():
        raise InputError(f"{what}: the {kind} is empty")
    if b"<!ENTITY" in content:
        raise InputError(f"{what}: the {kind} declares entities", expected="plain XML")
    with reading(what, kind):
        return ET.fromstring(content)
    raise AssertionError  # pragma: no cover


def text(element: ET.Element, path: str, default: str | None = None) -> str:
    """Text of a descendant; KeyError where it is missing and has no default."""
    found = element.find(path)
    if found is None or found.text is None or not found.text.strip():
        if default is None:
            raise KeyError(path)
        return default
    return found.text.strip()


def moment(value: str) -> dt.datetime:
    """Return a UTC time, naive; with or without Z and fraction, to the microsecond."""
    value = value.strip().removesuffix("Z").removeprefix("UTC=")
    return dt.datetime.fromisoformat(value)
