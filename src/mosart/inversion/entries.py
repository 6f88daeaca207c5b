"""Entries of a result: which images each is made of, and which it is compared with."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mosart.errors import InputError

logger = logging.getLogger(__name__)

Date = dt.date


@dataclass(frozen=True)
class Entry:
    """One entry of a result.

    Attributes
    ----------
    date : datetime.date
        The entry's date: the last of `images`.
    images : tuple of datetime.date
        Dates whose intensities are averaged, ascending.
    reference : tuple of datetime.date
        Dates that they are compared with, ascending; empty for an entry that is the reference itself and
        so zero by definition.
    """

    date: Date
    images: tuple[Date, ...]
    reference: tuple[Date, ...]


def plan_entries(
    dates: Sequence[Date],
    reference: Sequence[Date] | None = None,
    epochs: Sequence[Sequence[Date]] | None = None,
) -> tuple[tuple[Date, ...], tuple[Entry, ...]]:
    """Settle the reference dates and the entries of a result.

    Parameters
    ----------
    dates : sequence of datetime.date
        Dates of the stack.
    reference : sequence of datetime.date, optional
        Dates whose mean is the reference; the earliest date if not given, which is logged.
    epochs : sequence of sequences of datetime.date, optional
        Dates that are averaged into one entry each; every date by itself if not given.

    Returns
    -------
    reference : tuple of datetime.date
        Ascending.
    entries : tuple of Entry
        Ascending by date. An image that is itself of the reference is compared with the mean of the
        other reference dates; where there are none, the entry is zero by definition.

    Raises
    ------
    InputError
        If a date is not in the stack, an epoch is empty, two end on one date, or an epoch holds all of
        the reference and more.
    """
    known = sorted(set(dates))
    if not known:
        raise InputError("the stack has no image", expected="at least one date")
    if reference is None:
        reference = known[:1]
        logger.info("reference: the earliest date, %s", _names(reference))
    chosen = _dates("the reference", reference, known)
    if epochs is None:
        groups: list[tuple[Date, ...]] = [(date,) for date in known]
    else:
        groups = sorted((_dates("an epoch", epoch, known) for epoch in epochs), key=lambda group: group[-1])
        if not groups:
            raise InputError("there is no epoch", expected="at least one epoch of at least one date")
    for one, other in pairwise(groups):
        if one[-1] == other[-1]:
            raise InputError(
                f"two epochs end on {one[-1]:%Y%m%d}",
                expected="epochs with different last dates: an entry is named after it",
                got=f"{_names(one)} and {_names(other)}",
            )
    return chosen, tuple(_entry(group, chosen) for group in groups)


def _dates(what: str, dates: Sequence[Date], known: Sequence[Date]) -> tuple[Date, ...]:
    """Order the dates of a list, each once, all of the stack."""
    if not dates:
        raise InputError(f"{what} has no date", expected="at least one date of the stack")
    missing = sorted(set(dates) - set(known))
    if missing:
        raise InputError(
            f"{what} names {_names(missing)}, of which the stack has no image",
            expected=f"dates out of {_names(known)}",
            hint="`mosart info FILE` lists the dates",
        )
    return tuple(sorted(set(dates)))


def _entry(images: tuple[Date, ...], reference: tuple[Date, ...]) -> Entry:
    others = tuple(date for date in reference if date not in images)
    if not others and set(images) != set(reference):
        raise InputError(
            f"the epoch {_names(images)} holds all of the reference {_names(reference)} and more",
            expected="an epoch that leaves at least one reference date to compare with",
            hint="take the reference dates out of the epoch",
        )
    return Entry(images[-1], images, others)


def _names(dates: Sequence[Date]) -> str:
    return ",".join(f"{date:%Y%m%d}" for date in dates)
