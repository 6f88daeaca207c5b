"""Maps beside the truth that they should have found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import colour_bar, label, new_figure, show
from .dates import change_scale
from .view import View

Floats = NDArray[np.float64]


def truth_figure(changes: Mapping[str, Floats], std: tuple[str, Floats], view: View, title: str) -> Figure:
    """Draw maps of change on one scale, and a standard error on its own.

    Parameters
    ----------
    changes : mapping of str to ndarray (rows, columns)
        Metres, by what they are; NaN where there is no number, which is left grey.
    std : tuple of str and ndarray (rows, columns)
        What it is, and metres.
    view : View
        Frame of all of them.
    title : str
        Above.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns.
    """
    count = len(changes) + 1
    rows = -(-count // 2)
    figure = new_figure(11.0, 0.9 + rows * (0.45 + 4.6 * min(view.shape, 1.6)))
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    largest = float(max(np.nanpercentile(np.abs(image), 99.5) for image in changes.values()))
    scale = change_scale(largest)
    drawn = None
    for index, (name, image) in enumerate(changes.items()):
        drawn = show(axes[index], image, view, cmap=scale.colours, norm=scale.norm)
        axes[index].set_title(name, fontsize=9)
    colour_bar(figure, drawn, axes[:2], scale.text)
    last = axes[len(changes)]
    most = float(np.nanpercentile(std[1], 99))
    errors = show(last, std[1], view, cmap="viridis", vmin=0, vmax=most)
    colour_bar(figure, errors, axes[2 * (len(changes) // 2) : count], "standard error (m)")
    last.set_title(std[0], fontsize=9)
    for index, axis in enumerate(axes[:count]):
        axis.set_facecolor("#d9d9d9")
        label(axis, view, horizontal=index >= count - 2, vertical=index % 2 == 0)
    for axis in axes[count:]:
        axis.remove()
    figure.suptitle(title, fontsize=11)
    return figure
