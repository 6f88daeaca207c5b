"""Files being written while the user stops the program."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from mosart.io.newfile import new_file


def write(path: Path) -> None:
    with new_file(path) as new:
        for k in range(4):
            data = new.file.create_dataset(f"layer{k}", shape=(8, 16), dtype="f4", chunks=(4, 8))
            data[:] = k
            data.attrs["units"] = "m"
            del data  # the library may write when it frees one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_inside_any_write_of_the_library_is_heeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path, real, calls, stop_at = tmp_path / "a.h5", os.write, 0, 0

    def counted(handle: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            signal.raise_signal(number)
        return real(handle, data)

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", counted)
    before = signal.signal(number, stop)
    try:
        write(path)
        total = calls
        assert total > 10
        path.unlink()
        for stop_at in range(1, total + 1):  # noqa: B007 - read by `counted`
            calls = 0
            with pytest.raises(KeyboardInterrupt):
                write(path)
            assert not list(tmp_path.iterdir())
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)


def test_a_handler_that_goes_on_lets_the_file_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, heard = tmp_path / "a.h5", os.write, []

    def signalling(handle: int, data: memoryview) -> int:
        if not heard:
            signal.raise_signal(signal.SIGINT)
        return real(handle, data)

    monkeypatch.setattr(os, "write", signalling)
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        write(path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert set(heard) == {signal.SIGINT}
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["layer3"][:], 3.0)
