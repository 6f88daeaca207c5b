"""The picture of maps beside the truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mosart.report import canvas
from mosart.report.truth import truth_figure
from mosart.report.view import view_of


@pytest.mark.parametrize("maps", [2, 3])
def test_all_changes_share_one_scale_about_zero_and_gaps_show(maps, monkeypatch):
    monkeypatch.setattr(canvas, "DPI", 60)
    truth = np.linspace(-8.0, 2.0, 600).reshape(20, 30)
    gap = truth.copy()
    gap[5:9, 10:15] = np.nan
    images = dict(zip(["truth", "one", "two"], [truth, gap, 0.5 * truth]))
    names = list(images)[:maps]
    view = view_of(xr.Dataset(coords={"azimuth": np.arange(20), "range": np.arange(30)}))
    figure = truth_figure({n: images[n] for n in names}, ("sigma", np.abs(gap)), view, "title")
    drawn = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images and axes.get_title()}
    assert list(drawn) == [*names, "sigma"]
    limits = {drawn[name].get_clim() for name in names}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high
    assert 7.5 < high <= 8.0
    assert drawn["sigma"].get_clim()[0] == 0
    figure.canvas.draw()
    assert drawn["one"].get_array().mask[5:9, 10:15].all()
