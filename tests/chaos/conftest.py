"""The servers that faults happen to."""

from tests.api.conftest import serve

__all__ = ["serve"]
