"""Worlds whose truth is known, written in the formats of the field."""

from genograph.simulate.folder import simulate

__all__ = ["simulate"]
