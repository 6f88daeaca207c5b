"""One look at the ground: what is rendered and what is seen, and how they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .gains import smooth_along_rows
from .render import Rendered, Scene

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Relative error of what noise and stabiliser give a dark block.
FLOOR_ERROR = 0.5
#: Relative error of the part of a block that lies in layover: the branches' derivatives are large and
#: true only for tiny changes.
FOLDED_ERROR = 2.0
#: Relative error of the part of a block whose ground is unknown (DEM gap, water, beyond the image), from one
#: look: such blocks are left out.
DOUBTFUL_ERROR = 20.0
#: Relative error of the model itself (sub-node shape, law), a block.
MODEL_ERROR = 0.03
#: Stabiliser of the logarithms, share of the median block: below it a block is dark, however dark.
DARK = 0.02
#: Share of its pixels that a block must have measured, and of its blocks that a merged block must have.
LEAST_SHARE, LEAST_MERGED = 0.5, 0.3
#: Brightness that has not changed, for the gains: natural logarithm.
STILL_BRIGHTNESS = 0.05


@dataclass(frozen=True)
class Measured:
    """Blocks of the new image.

    Parameters
    ----------
    energy : ndarray (block row, block)
        Sum of intensity × range spacing, scaled up for missing pixels.
    share : ndarray (block row, block)
        Share of its pixels that are measured.
    floor : ndarray (block row, block)
        What the receiver's noise adds to the energy of a block.
    looks, reference_looks : float
        Effective looks of a full block: of the epoch's mean, of the smoothed reference.
    """

    energy: Float
    share: Float
    floor: Float
    looks: float
    reference_looks: float


def merging(shape: tuple[int, int], by: tuple[int, int]) -> sp.csr_array | None:
    """Matrix that adds neighbouring blocks.

    Parameters
    ----------
    shape : tuple of int
        Blocks in azimuth and range.
    by : tuple of int
        Blocks to merge in each.

    Returns
    -------
    scipy.sparse.csr_array or None
        (merged, blocks); None where nothing is merged.
    """
    if by == (1, 1):
        return None
    rows, ranges = -(-shape[0] // by[0]), -(-shape[1] // by[1])
    a, k = np.meshgrid(np.arange(shape[0]) // by[0], np.arange(shape[1]) // by[1], indexing="ij")
    n = shape[0] * shape[1]
    return sp.csr_array((np.ones(n), ((a * ranges + k).ravel(), np.arange(n))), shape=(rows * ranges, n))


@dataclass(frozen=True)
class Fixed:
    """What a window of a look takes over from the whole.

    Parameters
    ----------
    dark : float
        Energy below which a block is dark.
    gain : ndarray (block row,)
        Log gain of its rows.
    """

    dark: float
    gain: Float


@dataclass(frozen=True)
class Look:
    """An image and the ground that it shows.

    Parameters
    ----------
    scene : Scene
        What is rendered.
    measured : Measured
        What is seen.
    interpolation : scipy.sparse.csr_array, optional
        From the nodes of the fields to the scene's knots, (knots, nodes); by default they are the same.
    reads : tuple of int
        The fields of brightness whose sum is this look's change of log reflectivity.
    fixed : Fixed, optional
        Of a window: what the whole has told; measured on the blocks if not given.
    doubtful_error : float
        Relative error of the part of a block whose ground is in doubt.
    """

    scene: Scene
    measured: Measured
    interpolation: sp.csr_array | None = None
    reads: tuple[int, ...] = (0,)
    fixed: Fixed | None = None
    doubtful_error: float = DOUBTFUL_ERROR

    @cached_property
    def dark(self) -> float:
        """Energy below which a block is dark."""
        if self.fixed is not None:
            return self.fixed.dark
        return DARK * float(np.median(self.measured.energy[self.measured.share > LEAST_SHARE]))

    @cached_property
    def unit(self) -> float:
        """Metres of height that move ground by a range pixel."""
        return self.scene.ground.unit

    def on_knots(self, nodes: Float) -> Float:
        """Values of the nodes at the knots."""
        if self.interpolation is None:
            return nodes
        return np.asarray(self.interpolation @ nodes.ravel()).reshape(self.scene.knots)

    def brightness(self, fields: Float) -> Float:
        """Change of log reflectivity of this look, on the nodes; `fields` is (field, y, x)."""
        return np.asarray(fields[list(self.reads)].sum(axis=0))

    def render(self, change: Float, fields: Float, *, derivatives: bool = True) -> Rendered:
        """Render the fields that are told on the nodes: (y, x) and (field, y, x)."""
        return self.scene.render(
            self.on_knots(change), self.on_knots(self.brightness(fields)), derivatives=derivatives
        )

    def differentiate(self, out: Rendered, change: Float, fields: Float) -> Rendered:
        """Add the derivatives to what was rendered of these fields."""
        return self.scene.differentiate(out, self.on_knots(change), self.on_knots(self.brightness(fields)))

    def derivatives(self, out: Rendered) -> tuple[sp.csr_array, sp.csr_array]:
        """Differentiate the energies by change and brightness of the nodes: (blocks, nodes) each."""
        assert out.by_change is not None
        assert out.by_brightness is not None
        if self.interpolation is None:
            return out.by_change, out.by_brightness
        return (
            sp.csr_array(out.by_change @ self.interpolation),
            sp.csr_array(out.by_brightness @ self.interpolation),
        )

    def at_blocks(self, nodes: Float, out: Rendered) -> Float:
        """Energy-weighted mean of a field over each block's ground."""
        assert out.by_brightness is not None
        total = np.asarray(out.by_brightness @ self.on_knots(nodes).ravel()).reshape(out.energy.shape)
        return total / np.maximum(out.energy, 1e-12)

    def usable(self, out: Rendered) -> Bool:
        """Blocks that are measured and whose ground is known."""
        return (self.measured.share > LEAST_SHARE) & ((out.energy > 0) | (self.measured.energy > 0))

    def variance(self, out: Rendered) -> Float:
        """Variance of a block's log ratio, before rescaling."""
        share = np.maximum(self.measured.share, 1e-3)
        dim = (self.dark + self.measured.floor) / (out.energy + self.dark + self.measured.floor)
        bright = 1 - dim
        return np.asarray(
            1 / (self.measured.looks * share)
            + bright**2 / self.measured.reference_looks
            + MODEL_ERROR**2
            + (FLOOR_ERROR * dim) ** 2
            + (FOLDED_ERROR * out.folded) ** 2
            + (self.doubtful_error * out.doubtful) ** 2
        )

    def merged_variance(self, out: Rendered, merge: sp.csr_array | None) -> Float:
        """Variance of merged blocks' log ratio, flat; infinite where none of them is usable."""
        use = self.usable(out)
        v = self.variance(out)
        if merge is None:
            return np.where(use, v, np.inf).ravel()
        weight = np.where(use, out.energy + self.dark, 0.0)
        total = merge @ weight.ravel()
        v_sum = merge @ (weight**2 * v).ravel()
        filled = merge @ use.ravel().astype(np.float64) / np.maximum(merge @ np.ones(use.size), 1)
        good = (total > 0) & (filled > LEAST_MERGED)
        # model errors do not average out between neighbours
        return np.where(good, v_sum / np.maximum(total, 1e-12) ** 2 + MODEL_ERROR**2, np.inf)

    def gains(
        self,
        out: Rendered,
        brightness: Float,
        envelopes: tuple[Float, Float],
        still_height: float,
        noise: float,
    ) -> Float:
        """Log gain of every block row, from still ground.

        Parameters
        ----------
        out : Rendered
            The model, with derivatives.
        brightness : ndarray (y, x)
            Of this look, in the model. It is taken out again: what still ground has of it is gain.
        envelopes : tuple of ndarray (y, x)
            Standard deviations of change and brightness that the prior allows, on the nodes.
        still_height : float
            Envelope of the change up to which ground counts as still, metres.
        noise : float
            Rescaling of the variance.

        Returns
        -------
        ndarray (block row,)
            Natural logarithm.
        """
        if self.fixed is not None:
            return self.fixed.gain
        variance = self.variance(out) * noise
        still = 1 / (1 + (self.at_blocks(envelopes[0], out) / still_height) ** 2)
        # a gain is read from brightness that has not changed either
        still /= 1 + (self.at_blocks(envelopes[1], out) / STILL_BRIGHTNESS) ** 2
        base = self.dark + self.measured.floor
        plain = out.energy * np.exp(-self.at_blocks(brightness, out))
        ratio = np.log((self.measured.energy + self.dark) / (plain + base))
        lit = out.energy > 5 * base
        weight = self.usable(out) * still * lit / variance
        fit = np.zeros(len(ratio))
        for k in range(3):
            robust = 1.0 if k == 0 else 1 / (1 + (ratio - fit[:, None]) ** 2 / (4 * variance))
            w = weight * robust
            total = w.sum(axis=1)
            fit = smooth_along_rows(
                (w * ratio).sum(axis=1) / np.maximum(total, 1e-12), total, self.scene.block[0]
            )
        return fit

    def residual(self, out: Rendered, gain: Float, merge: sp.csr_array | None) -> tuple[Float, Float]:
        """Log ratio measured over modelled, and the modelled energy, of merged blocks."""
        use = self.usable(out)
        y = np.where(use, self.measured.energy, 0.0).ravel()
        m = np.where(use, np.exp(gain)[:, None] * out.energy + self.measured.floor, 0.0).ravel()
        n = np.asarray(use.ravel() * self.dark)
        if merge is not None:
            y, m, n = (np.asarray(merge @ v) for v in (y, m, n))
        base = m + np.maximum(n, 1e-3 * self.dark)
        return np.log((y + np.maximum(n, 1e-3 * self.dark)) / base), base
