"""Changes too narrow for the windows in which the envelope is learned: what the residuals still ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from .prior import Prior

Float = NDArray[np.float64]

#: Width of a narrow change, σ of a Gaussian in the wider spacing of the nodes: 2.4 nodes at half of its
#: height, the narrowest that nodes can hold.
WIDTH = 1.0
#: Odds against a narrow change at a place that the data do not speak of: an image of a hundred thousand
#: pixels has about a thousand places, and not one of them should show a change by chance.
ODDS = 1000.0
#: How far a narrow change reaches, in its σ: to half of its height.
REACH = 1.2


@dataclass(frozen=True)
class Narrow:
    """Narrow changes that the prior holds back, (y, x).

    Parameters
    ----------
    score : ndarray (y, x)
        Of a bump about each node, in standard deviations; positive where the image asks for a higher ground.
    height : ndarray (y, x)
        By which the mean would rise with the bump that explains the image best, metres.
    likely : ndarray (y, x)
        Probability that there is one within its reach.
    doubt : ndarray (y, x)
        Standard deviation that such a bump adds to the change, metres.
    """

    score: Float
    height: Float
    likely: Float
    doubt: Float


def find_narrow(prior: Prior, mean: Float, samples: Float, white: Float) -> Narrow:
    """Test the mean for narrow changes that its prior holds back.

    Parameters
    ----------
    prior : Prior
        Of the change.
    mean : ndarray (y, x)
        Of the posterior.
    samples, white : ndarray (number, node)
        Draws from the zero-mean posterior, and the prior's white noise that each was drawn with.

    Returns
    -------
    Narrow
        Node by node.

    Notes
    -----
    A score test (Rao 1948). With the prior's precision ``P``, the mean ``d`` and the posterior covariance
    ``Σ``, the derivative of the log evidence by the height of an additional bump ``u`` is ``uᵀ P d``, for the
    mean balances the residuals; if the prior is right its variance is ``uᵀ (P - P Σ P) u``, the information
    on the height. That variance is read off draws: ``K A⁻¹ d`` of the data that prior and noise give is
    ``z - K A⁻¹ e``, for the white noise ``z`` and the error ``e`` of a draw. The mean has what the prior lets
    through of a bump; the share ``uᵀ P Σ P u / uᵀ P u`` is held back.
    """
    shape, factor = prior.envelope.shape, prior.factor
    metres = WIDTH * max(prior.field.spacing)
    sigma = [metres / s for s in prior.field.spacing]
    area = np.prod([_kernel_area(s) if n > 1 else 1.0 for s, n in zip(sigma, shape)])

    def matched(whitened: Float) -> Float:
        fields = (factor.T @ whitened.T).T.reshape(-1, *shape)
        return np.asarray(area * gaussian_filter(fields, (0, *sigma)))

    tiny = np.finfo(np.float64).tiny
    error = (factor @ samples.T).T
    told, rest, whole = (
        np.maximum(np.mean(matched(f) ** 2, axis=0), tiny) for f in (white - error, error, white)
    )
    held = np.minimum(rest / whole, 1.0)
    derivative = matched((factor @ mean.ravel())[None])[0]
    score, height = derivative / np.sqrt(told), held * derivative / told
    likely = 1 / (1 + ODDS * np.exp(-0.5 * np.minimum(score**2, 200.0)))
    near = [2 * round(REACH * s) + 1 for s in sigma]
    return Narrow(
        score,
        height,
        maximum_filter(likely, near),
        np.sqrt(maximum_filter(likely * height**2, near)),
    )


def _kernel_area(sigma: float) -> float:
    """Sum of a Gaussian of unit height, over nodes."""
    reach = np.arange(-np.ceil(5 * sigma), np.ceil(5 * sigma) + 1)
    return float(np.exp(-0.5 * (reach / sigma) ** 2).sum())
