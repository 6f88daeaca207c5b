"""The forward model: what a radar would see of a ground, and how that changes with the ground.

A facet between two points of a row (about half a pixel wide) returns ``ρ Δp^m ds^(1-m)``: ``Δp`` its
width across the beam, ``ds`` its length, ``m`` the exponent of the scattering law (1: constant gamma
nought, 0: isotropic, 2: Lambert). The part that the beam sees spreads uniformly over its slant
interval; branches in layover add; shadow adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mosart.compiled import compiled

from .ground import Ground
from .nodes import RowNodes

Float = NDArray[np.float64]

#: Share of a flat facet's slant interval below which a facet counts as that long in the derivative:
#: a facet about to fold has all its energy at one range and no finite derivative.
NARROWEST = 0.15


@compiled
def _render(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915, PLR0917 - a kernel
    fixed, mode, energy, folded, doubtful, first, last, pointer, value_d, value_b,
):  # fmt: skip
    """Walk the facets of all rows. mode 0: energies and each block's range of knots; 1: derivatives."""
    (
        height, offset, bend, rho, cross, doubt, step, sine, cosine, law, d, b, facets, rows_block,
        slant_block, narrow,
    ) = fixed  # fmt: skip
    rows, points = height.shape
    blocks, ranges = energy.shape
    knots = d.shape[1]
    r = np.empty(points)
    p = np.empty(points)
    c_ = np.empty(points)
    s_ = np.empty(points)
    change = np.empty(points)
    bright = np.empty(points)
    beyond = np.empty(points + 1)
    start_of = np.empty(ranges, np.int64)
    row_d = np.zeros(0)
    row_b = np.zeros(0)
    knot_of = np.arange(points) // facets
    part_of = (np.arange(points) - knot_of * facets) / facets
    row_change = np.empty(knots)
    row_bright = np.empty(knots)
    for j in range(rows):
        a = j // rows_block
        t = (j + 0.5) / rows_block - 0.5
        a0 = int(np.floor(t))
        wz = t - a0
        if a0 < 0:
            a0 = 0
            wz = 0.0
        a1 = a0 + 1
        a1 = min(a1, blocks - 1)
        if mode == 1:
            total = 0
            for k in range(ranges):
                start_of[k] = total
                total += max(last[a, k] - first[a, k] + 1, 0)
            if total > len(row_d):
                row_d = np.zeros(total)
                row_b = np.zeros(total)
        # profile of this row
        for k in range(knots):
            row_change[k] = (1 - wz) * d[a0, k] + wz * d[a1, k]
            row_bright[k] = (1 - wz) * b[a0, k] + wz * b[a1, k]
        for i in range(points):
            k = knot_of[i]
            f = part_of[i]
            k1 = min(k + 1, knots - 1)
            change[i] = (1 - f) * row_change[k] + f * row_change[k1]
            bright[i] = (1 - f) * row_bright[k] + f * row_bright[k1]
        rr = offset[j]
        pp = 0.0
        for i in range(points):
            if i > 0:
                dh = float(height[j, i]) - float(height[j, i - 1])
                s = 0.5 * (sine[i] + sine[i - 1])
                c = 0.5 * (cosine[i] + cosine[i - 1])
                rr += (s * step - c * dh) * (1 + bend[i] * float(height[j, i]))
                pp += c * step + s * dh
            c_[i] = cosine[i]
            s_[i] = sine[i]
            r[i] = rr - cosine[i] * change[i]
            p[i] = pp + sine[i] * change[i]
        beyond[points] = 1e30
        for i in range(points - 1, -1, -1):
            beyond[i] = min(beyond[i + 1], r[i])
        top = -1e30  # running maximum across the beam, and the point that holds it
        holder = -1
        far = -1e30  # running maximum of the slant range
        for i in range(points - 1):
            pa = p[i]
            pb = p[i + 1]
            ra = r[i]
            rb = r[i + 1]
            if pa > top:
                top = pa
                holder = i
            if pb <= top:
                far = max(far, ra)
                continue
            f0 = 0.0
            shadower = -1
            if pa < top:
                f0 = (top - pa) / (pb - pa)
                shadower = holder
            top = pb
            holder = i + 1
            dp = pb - pa
            dr = rb - ra
            ds2 = dp * dp + dr * dr + cross[j, i]
            power = 0.5 * (bright[i] + bright[i + 1]) + law * np.log(dp)
            if law != 1.0:
                power += 0.5 * (1 - law) * np.log(ds2)
            full = rho[j, i] * np.exp(power)
            e = full * (1 - f0)
            start = ra + f0 * dr
            lo = start
            hi = rb
            turned = False
            if hi < lo:
                lo = rb
                hi = start
                turned = True
            fold = turned or lo < far - 1e-6 or hi > beyond[i + 2] + 1e-6 or hi > 1e29
            far = max(far, ra, rb)
            width = max(hi - lo, 1e-6)
            k0 = int(np.floor(lo / slant_block))
            k1 = int(np.floor(hi / slant_block))
            if hi < 0 or k1 < 0 or k0 > ranges - 1:
                continue
            knot_a = knot_of[i]
            knot_b = knot_of[i + 1]
            fa = part_of[i]
            fb = part_of[i + 1]
            if mode == 1:
                s = 0.5 * (s_[i] + s_[i + 1])
                slope = (law * s / dp) + (1 - law) * (s * dp - 0.5 * (c_[i] + c_[i + 1]) * dr) / ds2
                # derivatives by the change of the first point, of the second, of the one that shadows
                ea = -full * slope * (1 - f0) + full * s_[i] * (1 - f0) / dp
                eb = full * slope * (1 - f0) + full * s_[i + 1] * f0 / dp
                if shadower < 0:
                    ea = -full * slope
                    eb = full * slope
                tilt_a = c_[i] + s_[i] * dr / dp
                tilt_b = c_[i + 1] + s_[i + 1] * dr / dp
                sa = -c_[i]
                sb = 0.0
                em = 0.0
                sm = 0.0
                if shadower >= 0:
                    sa = -(1 - f0) * tilt_a
                    sb = -f0 * tilt_b
                    em = -full * s_[shadower] / dp
                    sm = dr * s_[shadower] / dp
                wide = max(width, narrow)
            for k in range(max(k0, 0), min(k1, ranges - 1) + 1):
                bl = k * slant_block
                bh = bl + slant_block
                share = (min(hi, bh) - max(lo, bl)) / width
                if k0 == k1:
                    share = 1.0
                if share <= 0:
                    continue
                if mode == 0:
                    energy[a, k] += e * share
                    doubtful[a, k] += e * share * doubt[j, i]
                    if fold:
                        folded[a, k] += e * share
                    left = knot_a
                    if shadower >= 0:
                        left = min(left, knot_of[shadower])
                    first[a, k] = min(first[a, k], left)
                    last[a, k] = max(last[a, k], min(knot_b + 1, knots - 1))
                    continue
                by_lo = 0.0
                by_hi = 0.0
                if lo < bh < hi:
                    by_lo -= (hi - bh) / (width * wide)
                    by_hi -= (bh - lo) / (width * wide)
                if lo < bl < hi:
                    by_lo += (hi - bl) / (width * wide)
                    by_hi += (bl - lo) / (width * wide)
                by_start = by_hi if turned else by_lo
                by_end = by_lo if turned else by_hi
                da = ea * share + e * by_start * sa
                db = eb * share + e * (by_start * sb - by_end * c_[i + 1])
                # gathered along the row; told to the two rows of knots when it is done
                q = start_of[k] - first[a, k]
                ua = min(knot_a + 1, knots - 1)
                ub = min(knot_b + 1, knots - 1)
                row_d[q + knot_a] += (1 - fa) * da
                row_d[q + ua] += fa * da
                row_d[q + knot_b] += (1 - fb) * db
                row_d[q + ub] += fb * db
                v = 0.5 * e * share
                row_b[q + knot_a] += (1 - fa) * v
                row_b[q + ua] += fa * v
                row_b[q + knot_b] += (1 - fb) * v
                row_b[q + ub] += fb * v
                if shadower >= 0:
                    dm = em * share + e * by_start * sm
                    km = knot_of[shadower]
                    fm = part_of[shadower]
                    um = min(km + 1, knots - 1)
                    row_d[q + km] += (1 - fm) * dm
                    row_d[q + um] += fm * dm
        if mode == 1:
            # slots of a block: the row of knots before its own, its own, the one after
            before, after = a0 - a + 1, a1 - a + 1
            for k in range(ranges):
                n = last[a, k] - first[a, k] + 1
                for c in range(n):
                    q = start_of[k] + c
                    value_d[pointer[a, k] + before * n + c] += (1 - wz) * row_d[q]
                    value_d[pointer[a, k] + after * n + c] += wz * row_d[q]
                    value_b[pointer[a, k] + before * n + c] += (1 - wz) * row_b[q]
                    value_b[pointer[a, k] + after * n + c] += wz * row_b[q]
                    row_d[q] = 0.0
                    row_b[q] = 0.0


@compiled
def _columns(  # type: ignore[no-untyped-def]
    first, last, pointer, knots, index,
):  # fmt: skip
    """Column (row of knots × knots + knot) of every stored derivative."""
    blocks, ranges = first.shape
    for a in range(blocks):
        for k in range(ranges):
            n = last[a, k] - first[a, k] + 1
            if n <= 0:
                continue
            q = pointer[a, k]
            for slot in range(3):
                row = min(max(a - 1 + slot, 0), blocks - 1)
                for c in range(n):
                    index[q] = row * knots + first[a, k] + c
                    q += 1


@dataclass(frozen=True)
class Rendered:
    """Energy of blocks of pixels, and its derivatives.

    Parameters
    ----------
    energy : ndarray (block row, block)
        Sum over the block of intensity × range spacing.
    folded, doubtful : ndarray (block row, block)
        Share of the energy that comes from facets in layover, and from facets that are doubted.
    first, last : ndarray (block row, block) int
        Knots that a block sees.
    by_change, by_brightness : scipy.sparse.csr_array or None
        Derivatives, (blocks, knots): energy per metre, energy per unit of log reflectivity.
    """

    energy: Float
    folded: Float
    doubtful: Float
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    by_change: sp.csr_array | None = None
    by_brightness: sp.csr_array | None = None


@dataclass(frozen=True)
class Scene:
    """What is rendered: the ground, what it is made of, and the blocks of the image.

    Parameters
    ----------
    ground : Ground
        Profiles of the reference.
    reflectivity : ndarray (azimuth, facet) float32
        ρ of each facet: intensity × range spacing per metre across the beam.
    law : float
        Exponent ``m``.
    block : tuple of int
        Rows and range pixels of a block.
    cross : ndarray (azimuth, facet) float32, optional
        ``(∂h/∂y Δx)²``, metres squared.
    doubt : ndarray (azimuth, facet) float32, optional
        0: known, 1: unknown.
    """

    ground: Ground
    reflectivity: NDArray[np.float32]
    law: float
    block: tuple[int, int]
    cross: NDArray[np.float32]
    doubt: NDArray[np.float32]

    @property
    def blocks(self) -> tuple[int, int]:
        """Number of blocks in azimuth and range; the last ones may be incomplete."""
        return -(-len(self.ground.height) // self.block[0]), -(-self.ground.pixels // self.block[1])

    @property
    def nodes(self) -> RowNodes:
        """The knots, as nodes."""
        return RowNodes(self.ground.knot_x, self.block[0], self.blocks[0])

    @property
    def knots(self) -> tuple[int, int]:
        """Shape of the fields of change and brightness on the knots."""
        return self.blocks[0], self.ground.knots

    def render(self, change: Float, brightness: Float | None = None, *, derivatives: bool = True) -> Rendered:
        """Render the ground after a change.

        Parameters
        ----------
        change : ndarray (block row, knot)
            Metres, positive up; linear between knots and between the middles of the block rows.
        brightness : ndarray (block row, knot), optional
            Change of the log reflectivity.
        derivatives : bool
            Whether to return the derivatives too.

        Returns
        -------
        Rendered
            Energies of the blocks.

        Notes
        -----
        The derivatives are exact where no ground is folded or hidden; a facet's slant interval counts
        as no shorter than ``NARROWEST`` of flat ground's.
        """
        shape = self.blocks
        energy, folded, doubtful = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        first, last = np.full(shape, 2**30, np.int64), np.full(shape, -1, np.int64)
        empty = np.zeros(1)
        fixed = self._fixed(change, brightness)
        _render(fixed, 0, energy, folded, doubtful, first, last, np.zeros(shape, np.int64), empty, empty)
        safe = np.maximum(energy, 1e-30)
        out = Rendered(energy, folded / safe, doubtful / safe, first, last)
        return self.differentiate(out, change, brightness) if derivatives else out

    def differentiate(self, out: Rendered, change: Float, brightness: Float | None = None) -> Rendered:
        """Add the derivatives to what was rendered.

        Parameters
        ----------
        out : Rendered
            Of this change and brightness.
        change, brightness : ndarray (block row, knot)
            As for :meth:`render`.

        Returns
        -------
        Rendered
            The same, with derivatives.
        """
        g, shape = self.ground, self.blocks
        length = 3 * np.maximum(out.last - out.first + 1, 0)
        ends = np.concatenate([[0], np.cumsum(length.ravel())])
        pointer = ends[:-1].reshape(shape).copy()
        by_d, by_b = np.zeros(ends[-1]), np.zeros(ends[-1])
        fixed = self._fixed(change, brightness)
        _render(fixed, 1, out.energy, out.folded, out.doubtful, out.first, out.last, pointer, by_d, by_b)
        index = np.zeros(ends[-1], np.int64)
        _columns(out.first, out.last, pointer, g.knots, index)
        size = (shape[0] * shape[1], self.knots[0] * self.knots[1])
        matrices = [sp.csr_array((v, index, ends), shape=size) for v in (by_d, by_b)]
        return replace(out, by_change=matrices[0], by_brightness=matrices[1])

    def _fixed(self, change: Float, brightness: Float | None) -> tuple[Any, ...]:
        """Arguments of the kernel that do not depend on what it is asked for."""
        g = self.ground
        d = np.ascontiguousarray(change, dtype=np.float64)
        b = np.zeros_like(d) if brightness is None else np.ascontiguousarray(brightness, dtype=np.float64)
        flat = g.spacing * float(np.median(g.sine))
        return (
            g.height, g.offset, g.bend, self.reflectivity, self.cross, self.doubt, g.spacing, g.sine,
            g.cosine, float(self.law), d, b, g.facets, self.block[0], self.block[1] * g.range_spacing,
            NARROWEST * flat,
        )  # fmt: skip


def block_sums(image: Float, block: tuple[int, int]) -> Float:
    """Sum blocks of rows and pixels, NaN left out.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Any image.
    block : tuple of int
        Rows and pixels.

    Returns
    -------
    ndarray (block row, block)
        The last blocks may be incomplete.
    """
    rows = np.add.reduceat(np.nan_to_num(image), np.arange(0, image.shape[0], block[0]), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, image.shape[1], block[1]), axis=1))


def azimuth_slope_term(ground: Ground) -> NDArray[np.float32]:
    """``(∂h/∂y Δx)²`` of every facet, from the heights of the neighbouring rows.

    Parameters
    ----------
    ground : Ground
        The profiles.

    Returns
    -------
    ndarray (azimuth, facet) float32
        Square metres; zero for a single row.
    """
    h = ground.height
    if len(h) < 2:
        return np.zeros((len(h), h.shape[1] - 1), np.float32)
    slope = np.gradient(h, ground.azimuth_spacing, axis=0)
    return np.asarray((0.5 * (slope[:, 1:] + slope[:, :-1]) * ground.spacing) ** 2, dtype=np.float32)
