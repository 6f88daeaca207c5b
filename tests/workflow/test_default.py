"""Which method a run takes where none is named."""

from __future__ import annotations

import logging

import mosart
from mosart.io.flat import write_flat
from mosart.workflow.check import prepare
from mosart.workflow.config import Config
from mosart.workflow.log import Talk


def test_synthesis_where_the_look_is_known(right_scene, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    plan = prepare(Config(stack=(right_scene[0],), out=tmp_path / "out"), Talk(quiet=True))
    assert plan.method == plan.config.method == "synthesis"
    assert "method: synthesis" in caplog.text
    assert "despeckle nlm" not in plan.text()


def test_row_by_row_and_said_where_it_is_not(right_scene, tmp_path, caplog):
    data = right_scene[1].stack.dataset.drop_vars(["longitude", "latitude"])
    bare = mosart.Stack(data.assign_attrs(dict.fromkeys(data.attrs, "unknown")))
    write_flat(bare, tmp_path / "bare.h5")
    plan = prepare(Config(stack=(tmp_path / "bare.h5",), out=tmp_path / "out"), Talk(quiet=True))
    assert plan.method == plan.config.method == "rowwise-intensity"
    assert "needs the geometry of the look" in caplog.text


def test_a_named_method_stays(right_scene, tmp_path):
    config = Config(stack=(right_scene[0],), out=tmp_path / "out", method="rowwise")
    assert prepare(config, Talk(quiet=True)).method == "rowwise"
