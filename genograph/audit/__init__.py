"""The leakage audit: what must hold before models with and without contacts can be compared."""

from genograph.audit.checks import CHECKS, Finding, audit

__all__ = ["CHECKS", "Finding", "audit"]
