"""What a run says: to the terminal's error stream, to its log, and as progress bars."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from dask.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .memory import give_back

Advance = Callable[[int, int], None]

_LABELS = {logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.CRITICAL: "error: "}


class TerminalHandler(logging.Handler):
    """Messages as lines on the error stream, above a progress bar where one is drawn."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        label = _LABELS.get(record.levelno, "")
        self.console.print(
            f"{label}{record.getMessage()}",
            style="yellow" if record.levelno >= logging.WARNING else None,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


class Talk:
    """The terminal of one run: a console, and progress bars where it is a terminal.

    Parameters
    ----------
    quiet : bool
        No messages and no bars (warnings go to the log file all the same).
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(file=sys.stderr, quiet=quiet)

    @contextmanager
    def progress(self, title: str) -> Iterator[Advance]:
        """Draw a bar for a long step, and log how long it took.

        Parameters
        ----------
        title : str
            What is being done.

        Yields
        ------
        callable
            ``advance(done, total)``.
        """
        began = time.monotonic()
        logger = logging.getLogger("mosart")
        logger.debug("%s: begins", title)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        disabled = self.console.quiet or not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=disabled) as bars:
            task = bars.add_task(title, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        give_back()
        logger.info("%s: %.1f s", title, time.monotonic() - began)


@contextmanager
def recorded(talk: Talk, log: TextIO | None = None) -> Iterator[None]:
    """Send what the package logs to the terminal, and to a text where one is given.

    Parameters
    ----------
    talk : Talk
        The terminal.
    log : text stream, optional
        It receives debug messages too, each with its time in UTC.

    Notes
    -----
    Only the package's own logger is touched, and it is left as it was.
    """
    logger = logging.getLogger("mosart")
    handlers: list[logging.Handler] = [] if talk.console.quiet else [TerminalHandler(talk.console)]
    if log is not None:
        file = logging.StreamHandler(log)
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        file.setFormatter(formatter)
        file.setLevel(logging.DEBUG)
        handlers.append(file)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def dask_progress(advance: Advance) -> Iterator[None]:
    """Tell a progress bar of the tasks that dask has done, inside a ``with`` block."""
    done = 0
    total = 0

    def begin(_graph: object, state: dict[str, Any]) -> None:
        nonlocal total
        total += sum(len(state[name]) for name in ("ready", "waiting"))

    def after(*_: object) -> None:
        nonlocal done
        done += 1
        advance(done, total)

    with Callback(start_state=begin, posttask=after):
        yield
