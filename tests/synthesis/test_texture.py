from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mosart.inversion.synthesis.costs import scoring
from mosart.inversion.synthesis.ground import Ground
from mosart.inversion.synthesis.hypotheses import judge_rock, not_found
from mosart.inversion.synthesis.matching import Matching
from mosart.inversion.synthesis.texture import SURE, regress_texture, withhold

ROWS, PIXELS, FACETS = 160, 320, 4
KERNEL = (1.0, 1.5)


def flat_ground():
    points = PIXELS + 1
    sine, cosine, spacing = 0.6, 0.8, 2.0
    return Ground(
        np.zeros((ROWS, points), np.float32), np.zeros(ROWS), np.arange(points) * spacing / sine,
        np.full(points, sine), np.full(points, cosine), np.ones((ROWS, points), bool), np.zeros(points),
        FACETS, spacing, 4.0, PIXELS,
    )  # fmt: skip


def matching(seed, *, spread=0.5, new=None, dates=4):
    """Flat ground whose texture is kept except where `new`; both epochs with speckle of `dates` looks."""
    rng = np.random.default_rng(seed)

    def texture():
        field = gaussian_filter(rng.standard_normal((ROWS, PIXELS)), 2.0, mode="wrap")
        return spread * field / field.std()

    old, other = texture(), texture()
    after = old if new is None else np.where(new, other, old)

    def image(log):
        return np.exp(log) * rng.gamma(dates, 1 / dates, log.shape)

    width = flat_ground().slant_and_across()[1][0, 1] / 2.0
    rho = (gaussian_filter(image(old), KERNEL) / width).astype(np.float32)
    dark = np.zeros(rho.shape, bool)
    void = np.zeros(old.shape, bool)
    return Matching(flat_ground(), rho, rho, dark, image(after), 4, scoring(dates, 5.0 * dates), void)


def zero(m):
    return np.zeros(m.shape)


def test_a_kept_texture_is_kept_and_nothing_is_withheld():
    withheld = 0
    for seed in range(6):
        m = matching(seed)
        t = regress_texture(m, zero(m), KERNEL)
        assert t.works
        assert np.median(t.slope) == pytest.approx(1, abs=0.05)
        withheld += withhold(t.new, t.evidence < SURE, (16.0, 13.3), t.window).any()
    assert withheld == 0


def test_new_rock_is_found_where_it_is_and_not_elsewhere():
    rows, columns = np.mgrid[:ROWS, :PIXELS]
    new = np.hypot((rows - 80) * 4.0, (columns - 200) * 3.33) < 220
    for seed in (1, 2, 3):
        m = matching(seed, new=new)
        t = regress_texture(m, zero(m), KERNEL)
        lost = withhold(t.new, t.evidence < SURE, (16.0, 13.3), t.window)
        y, x = np.mgrid[: m.shape[0], : m.shape[1]]
        r = np.hypot((y + 0.5) * 16.0 - 80 * 4.0, x * 13.33 - 200 * 3.33)
        assert lost[r < 220].mean() > 0.97
        assert lost[r > 290].mean() < 0.02


def test_a_texture_out_of_lock_is_not_taken_for_kept():
    m = matching(2)
    t = regress_texture(m, zero(m) + 15.0, KERNEL)
    known = regress_texture(m, zero(m), KERNEL)
    assert np.median(known.evidence) > 5
    assert not t.works or np.median(t.evidence) < np.median(known.evidence) - 5


def test_without_texture_nothing_is_told_and_nothing_is_withheld():
    for seed in range(4):
        m = matching(seed, spread=1e-6)
        t = regress_texture(m, zero(m), KERNEL)
        assert not t.works
        assert not t.repeats
        assert not not_found(t, t).any()
        assert not withhold(t.new, t.evidence < SURE, (16.0, 13.3), t.window).any()


def test_a_texture_that_has_gone_is_not_found_again_where_single_windows_tell_little():
    rows, columns = np.mgrid[:ROWS, :PIXELS]
    new = np.hypot((rows - 80) * 4.0, (columns - 200) * 3.33) < 220
    lost, told, beside, kept = [], [], [], []
    for seed in range(5):
        m = matching(seed, new=new, dates=0.7, spread=0.3)
        t = regress_texture(m, zero(m), KERNEL)
        assert t.repeats
        y, x = np.mgrid[: m.shape[0], : m.shape[1]]
        r = np.hypot((y + 0.5) * 16.0 - 80 * 4.0, x * 13.33 - 200 * 3.33)
        gone = not_found(t, t)
        lost.append(gone[r < 180].mean())
        told.append(t.new[r < 180].mean())
        beside.append(gone[r > 300].mean())
        m = matching(seed, dates=0.7, spread=0.3)
        t = regress_texture(m, zero(m), KERNEL)
        kept.append(not_found(t, t).mean())
    assert np.median(told) < 0.1  # the ratio alone, which needs windows that tell
    assert np.mean(lost) > 0.8
    assert np.mean(beside) < 0.1
    assert np.mean(kept) < 0.05


def test_ground_that_has_moved_is_lost_until_the_change_is_found():
    rows = slice(48, 112)
    stayed, right, wrong = [], [], []
    for seed in range(5):
        m = matching(seed, dates=0.9, spread=0.3)
        m.intensity[rows] = np.roll(m.intensity[rows], -8, axis=1)  # of 2 m: risen by 20 m, seen at 0.8
        change = zero(m)
        change[rows.start // 4 : rows.stop // 4] = 20.0
        at_zero = regress_texture(m, zero(m), KERNEL)
        found = not_found(regress_texture(m, change, KERNEL), at_zero)
        missed = not_found(at_zero, at_zero)
        inside = np.s_[rows.start // 4 + 4 : rows.stop // 4 - 4, 8:-8]
        right.append(found[inside].mean())
        wrong.append(missed[inside].mean())
        stayed.append(np.delete(missed, np.s_[8:32], axis=0).mean())
        rock = judge_rock(m, zero(m), zero(m) + 0.5, at_zero, KERNEL)
        assert (rock.lost | ~rock.new).all()
    assert min(wrong) > 0.8
    assert np.mean(right) < 0.15
    assert np.mean(stayed) < 0.05


def test_a_patch_without_a_sure_node_is_given_and_an_island_inside_new_rock_is_not():
    new, sure = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    new[5:9, 5:9] = True  # by chance
    new[15:35, 15:50] = True
    new[24:26, 30:33] = False  # an island
    sure[20, 20] = True
    lost = withhold(new, sure, (16.0, 12.0), 2.5)
    assert not lost[3:11, 3:11].any()
    assert lost[14:36, 15:50].all()  # grown by 20 m: one row of 16 m, one node of 12 m
    assert lost[24, 14]
    assert not lost[:, 13].any()
    assert not lost[13].any()
