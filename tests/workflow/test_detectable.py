"""What `mosart check` says of the smallest change."""

from __future__ import annotations

import re

import pytest

from mosart.workflow.check import prepare
from mosart.workflow.config import Config
from mosart.workflow.detectable import smallest_change
from mosart.workflow.log import Talk


@pytest.fixture
def limit(right_scene, tmp_path):
    path, simulation = right_scene
    dates = [f"{d:%Y%m%d}" for d in simulation.stack.dates]

    def find(reference, epoch, **more):
        config = Config(
            stack=(path,), out=tmp_path / "out", method="synthesis",
            reference=(",".join(reference),), epoch=(",".join(epoch),),
            geometry={"azimuth_spacing": simulation.frame.azimuth_spacing}, **more,
        )  # fmt: skip
        plan = prepare(config, Talk(quiet=True))
        text = smallest_change(plan, plan.look)
        found = re.match(r"smallest change at 3 sigma: ([\d.]+) m .*median; ([\d.]+)-([\d.]+) m", text)
        return text, [float(v) for v in found.groups()] if found else None

    return find, dates


def test_the_limit_is_told_with_its_window_and_its_range(limit):
    find, dates = limit
    text, values = find(dates[:2], dates[2:])
    assert "in samples of the image" in text
    assert values[1] <= values[0] <= values[2]
    # a pixel of height is about a metre here: a few dates tell metres, not centimetres or tens of metres
    assert 0.5 < values[0] < 20


def test_an_area_of_interest_is_what_is_told(limit):
    find, dates = limit
    text, values = find(dates[:2], dates[2:], areas=("pixels=60,110,20,40",))
    assert "in the areas of interest" in text
    assert values is not None
