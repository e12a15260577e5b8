"""`genograph prepare`: read genome, tracks, contacts and genes once and write the store."""

from genograph.prepare.build_store import prepare

__all__ = ["prepare"]
