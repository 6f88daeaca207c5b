"""The rival explanations of an epoch: between the nodes of the search and those of the refinement."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .hypotheses import (
    APART_ERRORS,
    APART_PIXELS,
    Contest,
    Rock,
    compete,
    contradicted,
    judge_rock,
)
from .laying import brightness
from .matching import Matching, on_points
from .posterior import Solution
from .problem import Problem, State, huber
from .render import Scene
from .search import Start
from .texture import Texture, regress_texture
from .window import refine_around

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: First envelope of the change about a start, range pixels' heights, and of the brightness; the start is
#: blurred into them by this share of the correlation range.
START_SPREAD, START_BRIGHT, START_BLUR = 0.3, 0.05, 0.35


@dataclass(frozen=True)
class Rivals:
    """The hypotheses about an epoch, between the nodes of the search and those of the refinement."""

    matching: Matching
    scene: Scene
    kernel: tuple[float, float]

    def onto_search(self, nodes: Float) -> Float:
        """From the nodes of the refinement."""
        return self.scene.nodes.resample(nodes, self.matching.nodes)

    def onto_nodes(self, mask: Bool) -> Bool:
        """From the nodes of the search."""
        return self.matching.nodes.resample(mask.astype(np.float64), self.scene.nodes) > 0.5

    def texture_at_zero(self, windows: tuple[float, ...]) -> Texture:
        """Test the texture under no change."""
        return regress_texture(self.matching, np.zeros(self.matching.shape), self.kernel, windows)

    def rock(self, solution: Solution, at_zero: Texture) -> Rock:
        """Kept or new under a solution."""
        d, std = self.onto_search(solution.change), self.onto_search(solution.std)
        return judge_rock(self.matching, d, std, at_zero, self.kernel)

    def begin(self, problem: Problem, d: Float) -> State:
        """State of the refinement from a change on the nodes of the search."""
        b = self.matching.nodes.resample(brightness(self.matching, d), self.scene.nodes)
        d = self.matching.nodes.resample(d, self.scene.nodes)
        node = [START_BLUR * problem.field.range / s for s in problem.field.spacing]
        return replace(
            problem.start(d),
            brightness=b[None],
            envelope=np.sqrt(gaussian_filter(d**2, node) + (START_SPREAD * problem.unit) ** 2),
            brightness_envelope=np.sqrt(gaussian_filter(b**2, node) + START_BRIGHT**2)[None],
        )

    def without(self, new: Bool) -> Scene:
        """Doubt the ground that is new rock: what it shows says nothing of its change."""
        fine = on_points(self.onto_nodes(new).astype(np.float64), self.scene.ground, self.scene.block[0])
        doubt = np.maximum(self.scene.doubt, (np.maximum(fine[:, 1:], fine[:, :-1]) > 0.5))
        return replace(self.scene, doubt=doubt.astype(np.float32))

    def against(
        self, change: Float, std: Float, other: Float, where: Bool, *, handicap: float = 0.0
    ) -> Contest:
        """Compare a change with another one, where they differ beyond the error."""
        d = self.onto_search(change)
        apart = np.maximum(APART_PIXELS * self.matching.unit, APART_ERRORS * self.onto_search(std))
        return compete(self.matching, d, np.where(where, other, d), apart, handicap)


def better(
    problem: Problem, solution: Solution, rivals: Rivals, start: Start, asked: Bool
) -> tuple[Solution, Bool]:
    """Refine again from the best start of every place; keep what explains the image better.

    Parameters
    ----------
    problem : Problem
        Of the refinement.
    solution : Solution
        From zero.
    rivals : Rivals
        The hypotheses.
    start : Start
        Of the search.
    asked : ndarray (block row, node) bool
        Where it ran.

    Returns
    -------
    Solution
        The better one.
    contradictions : ndarray (block row, node) bool
        Where both explain the image nearly as well, and differ.
    """
    apart = APART_PIXELS * problem.unit
    d = compete(rivals.matching, start.change, rivals.onto_search(solution.change), apart).change
    d = compete(rivals.matching, d, np.zeros(d.shape), apart).change
    begin = rivals.begin(problem, d)
    differs = asked | (np.abs(begin.change - solution.change) > apart)
    found = refine_around(problem, solution, begin, differs)
    first, second = _misfit(solution), _misfit(found)
    logger.info("misfit %.0f from zero, %.0f from the search", first, second)
    kept, other = (found, solution) if second < first else (solution, found)
    return kept, contradicted(problem, kept, other)


def _misfit(solution: Solution) -> float:
    """Huber cost of the residuals at the measured noise."""
    fit = solution.looks[0]
    return huber(fit.residual[np.isfinite(fit.residual)] * np.sqrt(fit.noise))
