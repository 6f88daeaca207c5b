"""The documents say what the software does."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from mosart.simulate import Simulation
from mosart.workflow.accuracy import MEASURED, SYNTHESIS, expected_error
from mosart.workflow.config import Config
from mosart.workflow.provenance import software_version

PROJECT = Path(__file__).resolve().parents[2]


def test_every_key_of_the_config_is_described() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name, field in Config.model_fields.items():
        keys = [name]
        if isinstance(field.default, BaseModel) and name != "crop":
            keys = [f"{name}.{part}" for part in type(field.default).model_fields]
        for key in keys:
            assert f"| `{key}` |" in text, key


def test_every_link_between_the_documents_leads_somewhere() -> None:
    for document in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_states_the_measured_error() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    for zone, volume, _ in MEASURED.values():
        for low, high in (zone, volume):
            assert f"{100 * low:.0f}–{100 * high:.0f} %" in text


def test_what_is_stated_of_synthesis_are_the_extremes_of_its_table() -> None:
    text = (PROJECT / "docs" / "accuracy.md").read_text(encoding="utf-8").split("## All classes")[1]
    table = text.split("\n| class |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip().split(" / ") for cell in row.split("|")[1:-1]] for row in table]
    rows = [row for row in rows if not row[0][0].startswith(("none", "new rock"))]
    assert len(rows) > 70
    shares = [float(row[1][0]) / float(row[2][0]) for row in rows]
    still = [float(row[1][2]) for row in rows]
    bars = [float(row[4][0]) for row in rows]
    known = ((shares, 2), (still, 1), (bars, 2))
    assert [(round(min(v), digits), round(max(v), digits)) for v, digits in known] == list(SYNTHESIS)
    low, high = SYNTHESIS[0]
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f"wrong by {100 * low:.0f} to {100 * high:.0f} % of the change" in readme
    assert f"{low:.0%} to {high:.0%} of the change" in expected_error("synthesis")


def test_what_is_stated_of_several_looks_are_the_extremes_of_their_table() -> None:
    text = (PROJECT / "docs" / "two_looks.md").read_text(encoding="utf-8").split("## How accurate it is")[1]
    table = text.split("\n| class |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table]
    rows = [row for row in rows if row[2]]  # nothing changed in the others
    assert len(rows) > 10
    shares = [float(row[2].removesuffix(" %")) for row in rows]
    bars = [100 * float(row[4]) for row in rows]
    stated = expected_error("synthesis", looks=2)
    assert f"wrong by {min(shares):.0f}% to {max(shares):.0f}% of the change" in stated
    assert f"held {min(bars):.0f}% to {max(bars):.0f}% of the errors" in stated


def test_the_citation_file_is_whole() -> None:
    data = YAML(typ="safe").load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(data)
    assert data["version"] == software_version()
    assert data["preferred-citation"]["doi"] == "10.1029/2022JB024344"
    assert [author["family-names"] for author in data["preferred-citation"]["authors"]] == [
        "Angarita", "Grapenthin", "Plank", "Meyer", "Dietterich",
    ]  # fmt: skip


@pytest.mark.parametrize("document", ["README.md", "docs/usage.md"])
def test_the_python_example_runs(
    right_scene: tuple[Path, Simulation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    text = (PROJECT / document).read_text(encoding="utf-8")
    block = text.split("## In Python", 1)[1].split("\n\n", 1)[1]
    lines = []
    for line in block.splitlines():
        if line.strip() and not line.startswith("    "):
            break
        lines.append(line)
    code = textwrap.dedent("\n".join(lines))
    data = right_scene[1].stack.dataset
    inner = {"azimuth": slice(10, 50), "range": slice(20, 140)}
    lon, lat = (data[name].isel(inner).values for name in ("longitude", "latitude"))
    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    code, count = re.subn(r"lonlat=\([^)]*\)", f"lonlat=({west}, {south}, {east}, {north})", code)
    assert count == 1
    assert '"20190115"' in code
    code = code.replace("projections.h5", str(right_scene[0]))
    x, y = (west + east) / 2, (south + north) / 2
    ring = [[x - 1e-4, y - 1e-4], [x + 1e-4, y - 1e-4], [x + 1e-4, y + 1e-4], [x - 1e-4, y + 1e-4]]
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    (tmp_path / "crater.geojson").write_text(json.dumps(shape))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, document, "exec"), {})  # the document's own code
    assert (tmp_path / "change.nc").exists()
