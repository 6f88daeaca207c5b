"""Several stacks of one ground: what each is called, which dates it has of an entry, and whether they fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mosart.errors import InputError
from mosart.geometry.frame import LookFrame
from mosart.geometry.resolve import resolve
from mosart.stack import Stack

from .entries import Date, Entry, plan_entries
from .synthesis.needed import synthesis_fault

logger = logging.getLogger(__name__)

#: Most looks: one bit of a byte tells which of them saw a place.
MOST_LOOKS = 8


@dataclass(frozen=True)
class NamedStack:
    """One look of several.

    Parameters
    ----------
    name : str
        What the user calls it.
    stack : Stack
        Its images.
    frame : LookFrame
        Its geometry.
    """

    name: str
    stack: Stack
    frame: LookFrame


def gather(
    stacks: Sequence[Stack],
    names: Sequence[str] | None = None,
    frames: Sequence[LookFrame | None] | LookFrame | None = None,
) -> tuple[NamedStack, ...]:
    """Name stacks and find their geometry.

    Parameters
    ----------
    stacks : sequence of Stack
        Two or more.
    names : sequence of str, optional
        By default ``look1``, ``look2``…
    frames : sequence of LookFrame or None, optional
        Geometry of each; derived from the stack where it is None.

    Returns
    -------
    tuple of NamedStack
        In the order given.

    Raises
    ------
    InputError
        If there are fewer than two or more than eight, names are equal, missing or empty, or a stack lacks
        longitude and latitude, its geometry, or rows and pixels enough to be rendered.
    """
    if not 2 <= len(stacks) <= MOST_LOOKS:
        raise InputError(
            "a sequence of stacks is for several looks",
            expected=f"2 to {MOST_LOOKS} stacks",
            got=f"{len(stacks)}",
            hint="give a single stack by itself",
        )
    called = [f"look{k}" for k in range(1, len(stacks) + 1)] if names is None else [str(n) for n in names]
    if len(called) != len(stacks) or len(set(called)) != len(called) or any(not n.split() for n in called):
        raise InputError(
            "the names of the looks cannot be used",
            expected=f"{len(stacks)} different names, one a stack",
            got=", ".join(repr(name) for name in called),
            hint="stacks are told apart by their names; of files these are the stems: rename one",
        )
    if frames is None:
        frames = [None] * len(stacks)
    elif isinstance(frames, LookFrame) or len(frames) != len(stacks):
        raise InputError(
            "the geometry of the looks cannot be used",
            expected=f"{len(stacks)} look frames, one a stack, or None for what the stacks say",
            got="one for all" if isinstance(frames, LookFrame) else f"{len(frames)}",
        )
    return tuple(_named(name, stack, frame) for name, stack, frame in zip(called, stacks, frames))


def _named(name: str, stack: Stack, frame: LookFrame | None) -> NamedStack:
    if not stack.has_lonlat:
        raise InputError(
            f"the stack {name} has no longitude and latitude",
            expected="them for every pixel: several looks meet on one map",
            got="a radar grid alone",
        )
    try:
        frame = resolve(stack) if frame is None else frame
        frame.check_range(stack.shape[2])
        if fault := synthesis_fault(stack.shape[1:], frame):
            raise fault
    except InputError as error:
        raise InputError(
            f"the stack {name}: {error.what}", expected=error.expected, got=error.got, hint=error.hint
        ) from error
    return NamedStack(name, stack, frame)


@dataclass(frozen=True)
class JointEntry:
    """One entry of a result of several looks.

    Parameters
    ----------
    entry : Entry
        Its dates, of all looks together.
    looks : tuple of Entry
        The dates that each look has of it; without images where it has none.
    """

    entry: Entry
    looks: tuple[Entry, ...]

    @property
    def is_zero(self) -> bool:
        """Whether the entry is the reference itself."""
        return not self.entry.reference


def plan_together(
    looks: Sequence[NamedStack],
    reference: Sequence[Date] | None,
    epochs: Sequence[Sequence[Date]] | None,
) -> tuple[tuple[Date, ...], tuple[JointEntry, ...]]:
    """Settle the reference dates and the entries of several looks.

    Parameters
    ----------
    looks : sequence of NamedStack
        The stacks.
    reference : sequence of datetime.date, optional
        Selects from every stack that has the date; by default each stack's earliest, which is logged.
    epochs : sequence of sequences of datetime.date
        The same day in two stacks is one; a look may lack an epoch, an epoch needs one look at least.

    Returns
    -------
    reference : tuple of datetime.date
        Of all stacks, ascending.
    entries : tuple of JointEntry
        Ascending by date.

    Raises
    ------
    InputError
        If there are no epochs, a date is in no stack, a stack has no reference date or none of any epoch,
        or an epoch takes all reference dates of a stack and goes on.
    """
    if epochs is None:
        raise InputError(
            "several stacks need epochs",
            expected="the dates that make up each map, as [['20190201', '20190203'], …]",
            got="none: the dates of one look are not those of another",
            hint="give `epochs=` (`--epoch` on the command line), the dates of all looks together",
        )
    if reference is None:
        reference = sorted({look.stack.dates[0] for look in looks})
        logger.info("reference: the earliest date of each stack, %s", _names(reference))
    known = sorted({date for look in looks for date in look.stack.dates})
    chosen, entries = plan_entries(known, reference, epochs)
    images = {date for entry in entries for date in entry.images}
    for look in looks:
        own = look.stack.dates
        if not set(own) & set(chosen):
            raise InputError(
                f"the stack {look.name} has none of the reference dates",
                expected=f"at least one reference date out of {_names(own)}",
                got=_names(chosen),
                hint="each stack is compared with its own images before the change",
            )
        if not set(own) & images:
            raise InputError(
                f"the stack {look.name} has no image of any epoch: it has no epoch in common with the others",
                expected=f"an epoch with one of {_names(own)}",
                got="; ".join(_names(entry.images) for entry in entries),
                hint="an epoch holds dates of all looks: add this stack's, or leave the stack out",
            )
    return chosen, tuple(joint_entry(entry, looks, chosen) for entry in entries)


def joint_entry(entry: Entry, looks: Sequence[NamedStack], reference: Sequence[Date]) -> JointEntry:
    """Share an entry's dates out to the looks.

    Parameters
    ----------
    entry : Entry
        Dates of all looks.
    looks : sequence of NamedStack
        The stacks.
    reference : sequence of datetime.date
        Reference dates of all looks.

    Returns
    -------
    JointEntry
        A look without an image of the entry has its reference dates alone.

    Raises
    ------
    InputError
        If the entry leaves a stack no reference date to compare its images with.
    """
    parts = []
    for look in looks:
        own = set(look.stack.dates)
        images = tuple(date for date in entry.images if date in own)
        before = tuple(date for date in reference if date in own)
        against = tuple(date for date in before if date not in images)
        if entry.reference and images and not against:
            raise InputError(
                f"the epoch {_names(entry.images)} holds all reference dates of the stack {look.name}",
                expected="an epoch that leaves each stack a reference date to compare with",
                got=_names(images),
                hint="take the reference dates out of the epoch",
            )
        parts.append(Entry(entry.date, images, against if entry.reference else ()))
    return JointEntry(entry, tuple(parts))


def _names(dates: Sequence[Date]) -> str:
    return ",".join(f"{date:%Y%m%d}" for date in dates)
