"""The database of the service: at `DATABASE_URL`, else in `user.sqlite3`."""

from bali import db

__all__ = ["db"]
