"""The database of this service."""

from bali import db


def connect(settings):
    """Say where the database is; it is connected to when it is first needed."""
    db.connect(settings.SQLALCHEMY_DATABASE_URI)
