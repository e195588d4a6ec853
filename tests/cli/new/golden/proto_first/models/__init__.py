"""The models: fields, and the logic that belongs to them."""

from models.user import User

__all__ = ["User"]
