"""The page as text: template, style, scripts and plotting library in one file."""

from __future__ import annotations

import base64
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from mosart.errors import InputError

from .layers import Layer

_MISSING = "pip install 'mosart[report]'"


def require() -> None:
    """Refuse at once, not after the work, where an optional library is missing."""
    for name in ("plotly", "jinja2"):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"the page needs {name}, which is not installed", hint=_MISSING)


def fill(context: dict[str, Any], views: Sequence[tuple[Mapping[str, Any], Sequence[Layer]]]) -> bytes:
    """Fill the template.

    Parameters
    ----------
    context : dict
        What the template says in words and tables.
    views : sequence of (mapping, sequence of Layer)
        Of each grid that can be shown what the script needs to know, and the layers.

    Returns
    -------
    bytes
        UTF-8.
    """
    import jinja2
    from markupsafe import Markup

    here = resources.files(__package__ or "mosart.report.page")
    library, licence = _library()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((here / "page.html.j2").read_text(encoding="utf-8"))
    slices = {
        f"d{index}-{layer.name}-{number}": Markup(base64.b64encode(piece).decode("ascii"))
        for index, (_, layers) in enumerate(views)
        for layer in layers
        for number, piece in enumerate(layer.slices)
    }
    scripts = ("codec.js", "grid.js", "volume.js", "map.js", "charts.js", "page.js")
    text = template.render(
        **context,
        style=Markup((here / "page.css").read_text(encoding="utf-8")),
        scripts=[Markup((here / name).read_text(encoding="utf-8")) for name in scripts],
        library=Markup(library),
        licence=licence,
        metas=[Markup(_json(meta)) for meta, _ in views],
        slices=slices,
    )
    return text.encode("utf-8")


def _json(value: object) -> str:
    """Write JSON that can stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _library() -> tuple[str, str]:
    """Take the plotting library and its licence out of the installed wheel."""
    wheel = importlib.metadata.distribution("plotly")
    script = Path(str(wheel.locate_file("plotly/package_data/plotly.min.js")))
    licences = [file for file in wheel.files or () if file.name.upper().startswith("LICENSE")]
    if not script.is_file() or not licences:
        raise InputError(
            "the installed plotly has no plotly.min.js or no licence",
            got=f"plotly {wheel.version}",
            hint=f"{_MISSING} --force-reinstall",
        )
    text = script.read_text(encoding="utf-8").replace("</script", "<\\/script")
    licence = Path(str(wheel.locate_file(licences[0]))).read_text(encoding="utf-8")
    return text, f"plotly {wheel.version} (plotly.js)\n\n{licence}"
