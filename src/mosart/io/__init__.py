"""Readers and writers: one module a format, every file whole or absent."""

from .checks import check_values
from .formats import open_stack

__all__ = ["check_values", "open_stack"]
