"""Periods of activity: when the ground is known to have been restless."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Period:
    """A period of activity.

    Parameters
    ----------
    start : datetime.date
        Its first day.
    end : datetime.date or None
        Its last day; None where it goes on.
    label : str
        What went on; may be empty.
    """

    start: dt.date
    end: dt.date | None = None
    label: str = ""
