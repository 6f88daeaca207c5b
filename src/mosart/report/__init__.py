"""Pictures of a run."""

from .figures import write_figures

__all__ = ["write_figures"]
