"""Readers and writers: one module a format, every file whole or absent."""

from .formats import open_stack

__all__ = ["open_stack"]
