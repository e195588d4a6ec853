"""The database of the behaviour service."""

from bali import Database

__all__ = ["db"]

db = Database()
