"""What a user is warned of about an entry of several looks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from mosart.inversion.entries import Date

from .levels import Level

logger = logging.getLogger(__name__)

#: Rescaling of a look's noise above which the looks show different grounds. It is 0.7 to 1.9 where they show
#: one, and 6 where the image of one is flipped.
NOT_ONE_GROUND = 4.0


def warn_of_missing(date: Date, left_out: Sequence[str], *, all_of_them: bool) -> None:
    """Say which looks show nothing of an entry, and whether none shows anything.

    Parameters
    ----------
    date : datetime.date
        Of the entry.
    left_out : sequence of str
        Names of the looks whose images of it, or whose reference, show nothing.
    all_of_them : bool
        Whether nothing is left.
    """
    for name in left_out:
        logger.warning(
            "%s: the images of %s, or its reference, show nothing to compare and are left out",
            f"{date:%Y%m%d}",
            name,
        )
    if all_of_them:
        logger.warning(
            "%s: too little ground is shown by both the images and the reference: no change is given",
            f"{date:%Y%m%d}",
        )


def warn_of_answer(date: Date, levels: Mapping[str, Level], noise: float) -> None:
    """Say what is doubtful about an answer.

    Parameters
    ----------
    date : datetime.date
        Of the entry.
    levels : mapping of str to Level
        Of the looks that it was solved from, by name.
    noise : float
        Largest rescaling of their noise.
    """
    if len(levels) < 2:
        logger.warning("%s: one look alone has images of it, so new rock is withheld there", f"{date:%Y%m%d}")
        return
    if noise > NOT_ONE_GROUND:
        logger.warning(
            "%s: the looks do not show one ground (what is left has %.1f times the variance of their noise): "
            "an image or a geometry of one of them may be wrong",
            f"{date:%Y%m%d}",
            noise,
        )
    alone = [name for name, level in levels.items() if not level.is_common]
    if alone:
        logger.warning(
            "%s: %s shares too little gentle ground with the other looks for a common level of brightness: "
            "new rock that it sees may come out tilted",
            f"{date:%Y%m%d}",
            " and ".join(alone),
        )
