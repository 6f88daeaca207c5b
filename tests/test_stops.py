"""A stop that arrives where Python cannot raise is not lost."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from mosart.stops import heeded_stops


class Freed:
    """Is being freed when the stop arrives."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_stop_in_a_finalizer_is_delivered_again(number: int, error: type[BaseException]) -> None:
    hook, before = sys.unraisablehook, signal.getsignal(signal.SIGTERM)

    def work() -> None:
        freed = Freed(number)
        del freed
        time.sleep(5.0)

    with pytest.raises(error), heeded_stops():
        work()
    assert sys.unraisablehook is hook
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_errors_in_finalizers_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: told.append(args.exc_type))

    class Failing:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

    with heeded_stops():
        failing = Failing()
        del failing
    assert told == [ValueError]
