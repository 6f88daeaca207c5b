"""One self-contained HTML page of a run, to look at offline."""

from __future__ import annotations

from .build import write_page

__all__ = ["write_page"]
