"""Boxes and dates as a user writes them: in the YAML, as an option, or in Python."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from mosart.errors import InputError
from mosart.periods import Period

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{8}")

PERIOD_FORMS = (
    "START..END LABEL with dates as 20190115, END left out where it goes on, or start, end and label"
)

BOX_FORMS = "lonlat=WEST,SOUTH,EAST,NORTH or pixels=RANGE0,RANGE1,AZIMUTH0,AZIMUTH1"


def is_numbers(text: str) -> bool:
    """Whether a text is a list of numbers separated by commas, so a box or a point and no path."""
    return all(_NUMBER.fullmatch(part.strip()) for part in text.split(","))


def parse_box(value: object) -> dict[str, tuple[float, ...] | tuple[int, ...]]:
    """Read a box from what a user wrote.

    Parameters
    ----------
    value : object
        ``"lonlat=W,S,E,N"``, ``"pixels=X0,X1,Y0,Y1"``, or four bare numbers as a text or a sequence.

    Returns
    -------
    dict
        One key, ``lonlat`` (degrees) or ``pixels`` (range start and stop, azimuth start and stop), with
        four numbers.

    Raises
    ------
    InputError
        If there are not four numbers, or if four whole numbers could be either kind of box.

    Notes
    -----
    Four bare numbers are a lon/lat box unless only a pixel box can hold them: nothing is guessed when
    both are possible.
    """
    kind = ""
    if isinstance(value, str):
        kind, _, rest = value.rpartition("=")
        kind = kind.strip()
        parts: list[str] = [part.strip() for part in rest.split(",")]
    elif isinstance(value, Sequence):
        parts = [str(part).strip() for part in value]
    else:
        raise InputError("a box cannot be read", expected=BOX_FORMS, got=repr(value))
    if (
        kind not in {"", "lonlat", "pixels"}
        or len(parts) != 4
        or not all(_NUMBER.fullmatch(p) for p in parts)
    ):
        raise InputError("a box cannot be read", expected=BOX_FORMS, got=repr(value))
    numbers = tuple(float(part) for part in parts)
    whole = all(re.fullmatch(r"[+-]?\d+", part) for part in parts)
    if not kind:
        as_pixels = whole and pixels_fault(numbers) is None
        as_lonlat = lonlat_fault(numbers) is None
        if as_pixels and as_lonlat:
            raise InputError(
                f"the box {','.join(parts)} could be degrees or pixels",
                expected=BOX_FORMS,
                got=repr(value),
                hint="say which: write lonlat= or pixels= before the numbers",
            )
        kind = "pixels" if as_pixels else "lonlat"
    if kind == "pixels":
        if not whole:
            raise InputError("a pixel box takes whole numbers", expected=BOX_FORMS, got=repr(value))
        return {"pixels": tuple(int(number) for number in numbers)}
    return {"lonlat": numbers}


def lonlat_fault(box: Sequence[float]) -> str | None:
    """Say what is wrong with a lon/lat box (west, south, east, north; west > east across 180°), or None."""
    west, south, east, north = box
    if not (-180 <= west <= 360 and -180 <= east <= 360):
        return "longitudes lie within -180 to 360 degrees"
    if not (-90 <= south <= 90 and -90 <= north <= 90):
        return "latitudes lie within -90 to 90 degrees"
    if south >= north:
        return "south must lie south of north"
    if west == east:
        return "west and east are the same meridian"
    return None


def pixels_fault(box: Sequence[float]) -> str | None:
    """Say what is wrong with a pixel box (range start, stop, azimuth start, stop; half open), or None."""
    x0, x1, y0, y1 = box
    if min(x0, y0) < 0:
        return "pixels are counted from 0"
    if x1 <= x0 or y1 <= y0:
        return "a stop must be larger than its start"
    return None


def parse_date(text: str) -> dt.date:
    """Read a date written as eight digits.

    Parameters
    ----------
    text : str
        ``YYYYMMDD``.

    Returns
    -------
    datetime.date

    Raises
    ------
    InputError
        If it is written otherwise, or if the calendar has no such day.
    """
    if not _DATE.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        hint = (
            f"write {digits}" if _DATE.fullmatch(digits) else "write the year, month and day in eight digits"
        )
        raise InputError(f"{text!r} is no date", expected="YYYYMMDD", got=repr(text), hint=hint)
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise InputError(
            f"{text} is no day of the calendar",
            expected="YYYYMMDD",
            got=f"{text} ({error})",
            hint="correct the date",
        ) from error


def check_dates(text: str) -> str:
    """Check how a list or a range of dates is written, without knowing the stack.

    Parameters
    ----------
    text : str
        ``20190115``, ``20190115,20190215`` or ``20190115..20190215`` (also mixed by commas).

    Returns
    -------
    str
        The same without blanks.

    Raises
    ------
    InputError
        If a date is misspelt, impossible, doubled or out of order.
    """
    items = [item.strip() for item in text.split(",")]
    last: dt.date | None = None
    for item in items:
        ends = [parse_date(part.strip()) for part in item.split("..", 1)]
        for i, date in enumerate(ends):
            if last is not None and date <= last and not (i == 1 and date == last):
                raise InputError(
                    f"the dates {text} are {'doubled' if date == last else 'out of order'} at {date:%Y%m%d}",
                    expected="dates that ascend, each once",
                    got=text,
                    hint="write them from the earliest to the latest",
                )
            last = date
    return ",".join("..".join(part.strip() for part in item.split("..", 1)) for item in items)


def select_dates(text: str, available: Sequence[dt.date], name: str) -> tuple[dt.date, ...]:
    """Dates of a stack that a list or a range names.

    Parameters
    ----------
    text : str
        As :func:`check_dates` takes it. ``FIRST..LAST`` takes every date of the stack from FIRST to LAST,
        both included.
    available : sequence of datetime.date
        Dates of the stack.
    name : str
        Config key, for the message.

    Returns
    -------
    tuple of datetime.date
        Ascending.

    Raises
    ------
    InputError
        If a named date is not in the stack, or a range holds none of its dates.
    """
    listed = ", ".join(f"{date:%Y%m%d}" for date in available)
    hint = "name dates that the stack has; `mosart info FILE` lists them"
    chosen: list[dt.date] = []
    for item in check_dates(text).split(","):
        first, _, last = item.partition("..")
        if last:
            inside = [d for d in available if parse_date(first) <= d <= parse_date(last)]
            if not inside:
                raise InputError(
                    f"{name}: the stack has no date in {item}", expected=listed, got=item, hint=hint
                )
            chosen += inside
        elif parse_date(first) in available:
            chosen.append(parse_date(first))
        else:
            raise InputError(
                f"{name}: the stack has no date {first}", expected=f"one of {listed}", got=first, hint=hint
            )
    return tuple(chosen)


def parse_period(value: object) -> Period:
    """Read a period of activity from what a user wrote.

    Parameters
    ----------
    value : object
        ``"20190115..20190301 lava flow"``, ``"20190115.. dome grows"``, one day ``"20190115 collapse"``, or a
        mapping with ``start`` and, where known, ``end`` and ``label``.

    Returns
    -------
    Period

    Raises
    ------
    InputError
        If it cannot be read, or ends before it starts.
    """
    if isinstance(value, Period):
        return value
    if isinstance(value, Mapping) and "start" in value and not set(value) - {"start", "end", "label"}:
        start, end, label = str(value["start"]), value.get("end"), value.get("label")
        end, label = (None if end in (None, "") else str(end)), str(label or "")
    elif isinstance(value, str | int) and not isinstance(value, bool):
        dates, _, label = str(value).strip().partition(" ")
        start, dots, last = dates.partition("..")
        end = (last or None) if dots else start
    else:
        raise InputError("a period of activity cannot be read", expected=PERIOD_FORMS, got=repr(value))
    period = Period(parse_date(start), None if end is None else parse_date(end), " ".join(label.split()))
    if period.end is not None and period.end < period.start:
        raise InputError(
            "a period of activity ends before it starts",
            expected="an end on the start's day or later",
            got=f"{start} to {end}",
        )
    return period


def period_text(period: Period) -> str:
    """Write a period as :func:`parse_period` reads it."""
    end = "" if period.end is None else f"{period.end:%Y%m%d}"
    return f"{period.start:%Y%m%d}..{end} {period.label}".strip()
