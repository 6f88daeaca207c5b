"""Stops by the user (Ctrl-C) and by the system (SIGTERM) that a command must not miss."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

#: Seconds after which a stop is delivered again: by then the callback that it hit has returned.
AGAIN = 0.02


@contextmanager
def heeded_stops() -> Iterator[None]:
    """Leave by an exception whenever a stop is asked for, so that nothing is left half written.

    Where Python cannot raise an exception (callbacks of weak references, finalizers: libraries that
    write files use both) it ignores a stop that arrives there; such a stop is delivered again.

    Yields
    ------
    None
        Until then SIGTERM raises SystemExit, as SIGINT raises KeyboardInterrupt.
    """

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    def ignored(told: sys.UnraisableHookArgs) -> None:
        if isinstance(told.exc_value, KeyboardInterrupt | SystemExit):
            number = signal.SIGINT if isinstance(told.exc_value, KeyboardInterrupt) else signal.SIGTERM
            again = threading.Timer(AGAIN, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            hook(told)

    if threading.current_thread() is not threading.main_thread():  # whoever called is in charge of signals
        yield
        return
    before, hook = signal.signal(signal.SIGTERM, leave), sys.unraisablehook
    sys.unraisablehook = ignored
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if before is not None:  # None: whoever handles it is not written in Python
            signal.signal(signal.SIGTERM, before)
