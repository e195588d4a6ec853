"""The resources: what the service offers, on every protocol."""

from resources.user import UserResource

__all__ = ["UserResource"]
