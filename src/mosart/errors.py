"""The errors a user may meet."""

from __future__ import annotations


class MosartError(Exception):
    """Base of every error that MoSARt raises on purpose."""


class InputError(MosartError, ValueError):
    """Input that cannot be used.

    Parameters
    ----------
    what : str
        What is wrong, naming the file, dataset, date, key or option.
    expected : str, optional
        What was expected.
    got : str, optional
        What was got.
    hint : str, optional
        What the user can do about it.

    Notes
    -----
    The command line ends with exit code 2 on it, before any work and before anything is written.
    """

    def __init__(self, what: str, *, expected: str = "", got: str = "", hint: str = "") -> None:
        self.what, self.expected, self.got, self.hint = what, expected, got, hint
        parts = [what]
        if expected:
            parts.append(f"expected: {expected}")
        if got:
            parts.append(f"got: {got}")
        if hint:
            parts.append(f"what to do: {hint}")
        super().__init__("\n  ".join(parts))


def stop_behind(error: BaseException) -> KeyboardInterrupt | SystemExit | None:
    """Find the stop, by the user or the system, that an error is or comes from.

    Parameters
    ----------
    error : BaseException
        What was raised. A library that is interrupted in its own bookkeeping may raise another error.

    Returns
    -------
    KeyboardInterrupt or SystemExit or None
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt | SystemExit):
            return seen
        seen = seen.__context__
    return None
