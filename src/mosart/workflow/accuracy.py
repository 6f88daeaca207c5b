"""How wrong the maps of a method are, as measured on scenes whose truth is known."""

from __future__ import annotations

#: The ground counts as changed where the change is above this share of its largest.
ZONE = 0.1

_ERRORS = {
    "rowwise": "",
    "rowwise-intensity": "",
}


def expected_error(method: str) -> str:
    """Say plainly what a method's error is.

    Parameters
    ----------
    method : str
        Name of an inversion method.

    Returns
    -------
    str
        One sentence.
    """
    return _ERRORS[method]
