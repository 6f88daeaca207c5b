"""From stored numbers to amplitudes: what is taken, what is no data, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError

#: Heights that stand for a hole in the digital elevation models of the field.
HEIGHT_HOLES = (-32768.0, -32767.0, -9999.0)


def kind_of(dtype: np.dtype[Any], label: str) -> str:
    """Whether numbers of this type are amplitudes.

    Parameters
    ----------
    dtype : numpy.dtype
        Type as stored.
    label : str
        Name of the dataset, for the message.

    Returns
    -------
    str
        ``"real"``, ``"complex"`` or ``"compound"`` (two real fields: real and imaginary part).

    Raises
    ------
    InputError
        If they are not numbers.
    """
    if dtype.kind in "fiu":
        return "real"
    if dtype.kind == "c":
        return "complex"
    if dtype.names is not None and len(dtype.names) == 2:
        fields = [dtype[name] for name in dtype.names]
        heads = tuple(name.lower()[:1] for name in dtype.names)
        if heads == ("r", "i") and all(field.kind in "fiu" and field.shape == () for field in fields):
            return "compound"
    kinds = {"b": "truth values", "S": "text", "O": "text or objects", "U": "text", "V": "records"}
    raise InputError(
        f"{label} does not hold numbers",
        expected="linear amplitudes as integers, floats or complex numbers",
        got=kinds.get(dtype.kind, str(dtype)),
        hint="take it out of the file, or give it a name that is no date",
    )


def to_amplitude(raw: NDArray[Any], label: str) -> NDArray[np.float32]:
    """Turn stored numbers into linear amplitudes.

    Parameters
    ----------
    raw : ndarray
        Real, complex or compound (r, i) numbers of any size and byte order.
    label : str
        Name of the dataset, for the message.

    Returns
    -------
    ndarray of float32
        Same shape; the modulus of complex numbers; NaN where the number is not finite.

    Raises
    ------
    InputError
        If a number is negative, or they are not numbers.
    """
    kind = kind_of(raw.dtype, label)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "compound":
            real, imaginary = raw.dtype.names or ("r", "i")
            values = np.hypot(raw[real].astype(np.float64), raw[imaginary].astype(np.float64))
            out = values.astype(np.float32)
        elif kind == "complex":
            out = np.abs(raw).astype(np.float32)
        else:
            out = raw.astype(np.float32)
    if raw.dtype.kind not in "u" and (out < 0).any():
        share = float(np.mean(out < 0))
        raise InputError(
            f"{label} holds negative amplitudes",
            expected="linear amplitudes, zero or more",
            got=f"down to {np.nanmin(out):g}, negative in {share:.1%} of the pixels read",
            hint="decibels? then amplitude = 10**(dB/20); a fill value? then write NaN in its place",
        )
    out[~np.isfinite(out)] = np.nan
    return out


def drop_border(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make the zeros at the border of an image NaN, in place.

    Parameters
    ----------
    rows : ndarray of float32, (azimuth, range)
        Complete range lines.

    Returns
    -------
    ndarray of float32
        The same array. In every row the run of zeros (or NaN) that begins at either end is no data:
        there the image has no footprint. A row of nothing else is no data as a whole. Zeros inside
        stay zero: they are shadow.
    """
    empty = ~(rows > 0)
    if not (empty[:, 0].any() or empty[:, -1].any()):
        return rows
    width = rows.shape[1]
    lit = ~empty
    some = lit.any(axis=1)
    first = np.where(some, lit.argmax(axis=1), width)
    last = np.where(some, width - 1 - lit[:, ::-1].argmax(axis=1), -1)
    column = np.arange(width)
    for row in np.flatnonzero((first > 0) | (last < width - 1)):
        outside = (column < first[row]) | (column > last[row])
        rows[row, outside] = np.nan
    return rows


def to_height(raw: NDArray[Any], label: str) -> NDArray[np.float64]:
    """Turn stored heights into metres, holes into NaN.

    Parameters
    ----------
    raw : ndarray
        Real numbers.
    label : str
        Name of the dataset, for the message.

    Returns
    -------
    ndarray of float64
        Same shape; NaN where the number is not finite or stands for a hole (-32768, -32767, -9999).

    Raises
    ------
    InputError
        If they are not real numbers.
    """
    out = to_real(raw, label)
    for hole in HEIGHT_HOLES:
        out[out == hole] = np.nan
    return out


def to_real(raw: NDArray[Any], label: str) -> NDArray[np.float64]:
    """Turn stored real numbers into float64, NaN where they are not finite.

    Parameters
    ----------
    raw : ndarray
        Real numbers.
    label : str
        Name of the dataset, for the message.

    Returns
    -------
    ndarray of float64
        Same shape.

    Raises
    ------
    InputError
        If they are not real numbers.
    """
    if raw.dtype.kind not in "fiu":
        raise InputError(f"{label} does not hold real numbers", expected="numbers", got=str(raw.dtype))
    out = raw.astype(np.float64)
    out[~np.isfinite(out)] = np.nan
    return out
