"""The schemas: what callers send that is not a model."""

from schemas.user import Deactivation

__all__ = ["Deactivation"]
