"""A start for changes of any size: a global search over labels of change on the ground.

Gauss–Newton stalls once fine texture is misregistered by more than its own size. Here the change is one of
many labels at every node: min-sum belief propagation to search, on coarse labels and then on finer ones
about the solution, sum-product to polish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .belief import jump_penalty, marginals, most_likely
from .laying import BRIGHT_NOISE, brightness
from .matching import Matching, with_brightness

Float = NDArray[np.float64]

#: Label step, in range pixels' heights (the height that moves ground by a pixel); the search begins with
#: twice as much and the polish ends with half of it.
LABEL_PIXELS = 0.9
#: Labels on either side of a solution, when it is narrowed and when it is polished.
NARROW_LABELS, POLISH_LABELS = 4, 4
#: Steepest slope of the change between two nodes, metres per metre: faces beyond it are in layover
#: in most looks.
STEEPEST = 1.7
#: Penalty of a slope between rows of nodes (nats per squared pixel height, linear beyond one); weak on
#: purpose, or domes are rounded.
SLOPE_AZIMUTH = 0.25
#: Preference of a node for no change, nats.
STILL = 0.1
#: Sweeps of the search, and of what follows.
SWEEPS, FINE_SWEEPS = 8, 4


def search(matching: Matching, lowest: float, highest: float, step: float, held: Float) -> Float:
    """Search all labels.

    Parameters
    ----------
    matching : Matching
        What is matched.
    lowest, highest, step : float
        Labels, metres; zero is one of them.
    held : ndarray (block row, node)
        What leaving zero costs a node, nats.

    Returns
    -------
    ndarray (block row, node)
        Best label of every node, metres.
    """
    first, last = int(np.floor(lowest / step)), int(np.ceil(highest / step))
    node = matching.ground.spacing * matching.ground.facets
    most = max(1, int(np.ceil(STEEPEST * node / step)))
    cost = matching.costs(np.zeros(matching.shape), step * np.arange(first, last + 1.0), most)
    base = np.zeros(matching.shape, np.int64)
    penalty = jump_penalty(most, step / matching.unit, SLOPE_AZIMUTH)
    still = (STILL + held).astype(np.float32)
    return np.asarray(step * most_likely(cost, base, first, penalty=penalty, still=still, sweeps=SWEEPS))


def narrow(matching: Matching, change: Float, labels: int, step: float, held: Float) -> Float:
    """Search finer labels about a solution.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        The solution, metres, in whole steps.
    labels : int
        On either side.
    step : float
        Metres.
    held : ndarray (block row, node)
        What leaving zero costs a node, nats.

    Returns
    -------
    ndarray (block row, node)
        Metres.
    """
    cost, base, penalty = _about(matching, change, labels, step)
    still = (STILL + held).astype(np.float32)
    found = most_likely(cost, base, -labels, penalty=penalty, still=still, sweeps=FINE_SWEEPS)
    return np.asarray(step * found)


def polish(matching: Matching, change: Float, labels: int, step: float) -> tuple[Float, Float]:
    """Posterior mean and standard deviation near a solution, by sum-product.

    Parameters
    ----------
    matching : Matching
        What is matched.
    change : ndarray (block row, node)
        The solution, metres, in whole steps.
    labels : int
        On either side.
    step : float
        Metres.

    Returns
    -------
    mean, std : ndarray (block row, node)
        Metres.
    """
    cost, base, penalty = _about(matching, change, labels, step)
    mean, std = marginals(cost, base, penalty, sweeps=FINE_SWEEPS)
    return step * mean, step * std


def _about(
    matching: Matching, change: Float, labels: int, step: float
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Edge costs about a solution, the solution in steps, and the penalty of any jump between rows."""
    base = np.rint(change / step).astype(np.int64)
    cost = matching.costs(
        np.asarray(base * step, np.float64), step * np.arange(-labels, labels + 1.0), 2 * labels
    )
    reach = 2 * labels + int(np.abs(np.diff(base, axis=0)).max(initial=0))
    return cost, base, jump_penalty(reach, step / matching.unit, SLOPE_AZIMUTH)


@dataclass(frozen=True)
class Start:
    """Outcome of the search.

    Parameters
    ----------
    change, std : ndarray (block row, node)
        Metres.
    brightness : ndarray (block row, node)
        Change of log reflectivity.
    """

    change: Float
    std: Float
    brightness: Float


def find_start(matching: Matching, lowest: float, highest: float, held: Float) -> Start:
    """Search, take the brightness change out, search again, polish.

    Parameters
    ----------
    matching : Matching
        What is matched.
    lowest, highest : float
        Bounds of the change, metres.
    held : ndarray (block row, node)
        What leaving zero costs a node, nats.

    Returns
    -------
    Start
        The start for the refinement.
    """
    fine = LABEL_PIXELS * matching.unit

    def find(what: Matching) -> Float:
        coarse = search(what, lowest, highest, 2 * fine, held)
        return narrow(what, coarse, NARROW_LABELS, fine, held)

    d = find(matching)
    b = brightness(matching, d)
    bright = with_brightness(matching, b)
    if float(np.abs(b).max()) > BRIGHT_NOISE:
        d = find(bright)
        b = brightness(matching, d)
        bright = with_brightness(matching, b)
    d, std = polish(bright, d, POLISH_LABELS, 0.5 * fine)
    return Start(d, std, b)
