"""Ground where the references of several looks contradict each other: layover that the DEM does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, label, sum_labels

from .mapped import MappedLook
from .nodes import MapNodes
from .noise import MAD

#: Two references that differ on one ground by more than this many robust standard deviations, and by more
#: than this natural logarithm, do not show the same: one of them has layover or shadow the DEM does not know.
DISAGREE_ERRORS, DISAGREE_LEAST = 4.0, 0.3
#: Share of :data:`mosart.inversion.synthesis.mapped.UNKNOWN_ERROR` where only the texture is in doubt: under
#: the true change the logarithm errs by 0.8 there, and neighbours err alike.
CONTRADICTED_SHARE = 0.5


def without_contradictions(looks: Sequence[MappedLook], nodes: MapNodes) -> list[MappedLook]:
    """Doubt facets whose old reflectivity the other looks contradict.

    Parameters
    ----------
    looks : sequence of MappedLook
        On one map, with their levels.
    nodes : MapNodes
        The map.

    Returns
    -------
    list of MappedLook
        What is contradicted there is in doubt, and its texture mends the rendering.
    """
    logs = []
    for look in looks:
        mean, number = look.node_means(np.exp(look.texture), look.scene.doubt < 0.5)
        few = number < 0.3 * np.median(number[number > 0])
        log = np.where(few, np.nan, np.log(np.maximum(mean, 1e-12)) - look.level)
        logs.append(log.reshape(nodes.shape))
    seen = np.isfinite(logs)
    filled = np.nan_to_num(np.array(logs))
    out = []
    for k, look in enumerate(looks):
        others = np.delete(filled, k, axis=0).sum(axis=0)
        count = np.delete(seen, k, axis=0).sum(axis=0)
        others = others / np.maximum(count, 1)
        both = seen[k] & (count > 0)
        if not both.any():
            out.append(look)
            continue
        weight = gaussian_filter(both.astype(np.float64), 1.0)
        z = gaussian_filter(np.where(both, filled[k] - others, 0.0), 1.0) / np.maximum(weight, 0.1)
        limit = max(DISAGREE_ERRORS * MAD * float(np.median(np.abs(z[both]))), DISAGREE_LEAST)
        # a whole patch is one look's fault: at its border, node by node, either may look odd
        excess = np.where(both, filled[k] ** 2 - others**2, 0.0)
        bad = np.zeros(both.shape, bool)
        for contradicts in (both & (z > limit), both & (z < -limit)):
            patches = np.asarray(label(contradicts, np.ones((3, 3)))[0])
            found = sum_labels(excess, patches, np.arange(1, int(patches.max()) + 1))
            bad |= np.concatenate([[False], np.asarray(found) > 0])[patches]
        bad = binary_dilation(bad)
        facets = (look.to_facets @ bad.ravel().astype(np.float64)).reshape(look.mends.shape) > 0.3
        doubt = np.maximum(look.scene.doubt, CONTRADICTED_SHARE * facets).astype(np.float32)
        out.append(replace(look, scene=replace(look.scene, doubt=doubt), mends=look.mends | facets))
    return out
