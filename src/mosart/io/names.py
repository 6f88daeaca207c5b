"""Which names in a file are dates."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

from mosart.errors import InputError

NameKind = Literal["date", "impossible", "misspelt", "pair", "other"]

_DATE = re.compile(r"[0-9]{8}")
_PAIR = re.compile(r"([0-9]{8})_([0-9]{8})")
_WRONG_LENGTH = re.compile(r"[0-9]{7}|[0-9]{9}")
_SEPARATED = re.compile(
    r"(?:[0-9]{4}([-_./: ])[0-9]{1,2}\1[0-9]{1,2}"
    r"|[0-9]{1,2}([-_./: ])[0-9]{1,2}\2[0-9]{4})"
    r"(?:[T_ ][0-9:]+Z?)?"
)
_WITH_TIME = re.compile(r"[0-9]{8}[T ][0-9:]{4,}Z?")


def _calendar(digits: str) -> dt.date | None:
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def classify(name: str) -> NameKind:
    """Tell what a name in a file is taken for.

    Parameters
    ----------
    name : str
        Name of a dataset or group, without its path.

    Returns
    -------
    str
        ``"date"``: eight digits that the calendar has; ``"impossible"``: eight digits that it has not;
        ``"pair"``: two dates joined by ``_``; ``"misspelt"``: seven or nine digits, ``2023-01-06`` and
        the like (refused by the readers where the dataset has the DEM's shape); ``"other"``: no date.
    """
    if _DATE.fullmatch(name):
        return "date" if _calendar(name) else "impossible"
    pair = _PAIR.fullmatch(name)
    if pair:
        return "pair" if all(_calendar(part) for part in pair.groups()) else "impossible"
    bare = name.strip()
    if bare != name and _DATE.fullmatch(bare):
        return "misspelt"
    if any(pattern.fullmatch(bare) for pattern in (_WRONG_LENGTH, _SEPARATED, _WITH_TIME)):
        return "misspelt"
    return "other"


def parse_date(name: str) -> dt.date:
    """Date of a name of eight digits.

    Parameters
    ----------
    name : str
        ``YYYYMMDD``.

    Returns
    -------
    datetime.date

    Raises
    ------
    InputError
        If the name is not eight digits, or the calendar has no such day.
    """
    expected = "a date as eight digits, YYYYMMDD"
    if not _DATE.fullmatch(name):
        raise InputError(f"{name!r} is not a date", expected=expected, got=repr(name))
    date = _calendar(name)
    if date is None:
        raise InputError(
            f"{name} is not a date of the calendar",
            expected=expected,
            got=name,
            hint="rename the image to the day it was taken",
        )
    return date


def parse_pair(name: str) -> tuple[dt.date, dt.date]:
    """Two dates of a name ``YYYYMMDD_YYYYMMDD``.

    Parameters
    ----------
    name : str
        Name of a group.

    Returns
    -------
    tuple of datetime.date
        First and second date, as named.

    Raises
    ------
    InputError
        If the name has not this form, or the calendar has no such day.
    """
    match = _PAIR.fullmatch(name)
    if not match:
        raise InputError(f"{name!r} is not a pair of dates", expected="YYYYMMDD_YYYYMMDD", got=repr(name))
    return parse_date(match[1]), parse_date(match[2])
