"""The user: its fields, and the logic that belongs to them."""

from sqlalchemy import Column, Integer, String

from bali import db


class User(db.BaseModel):
    """Somebody who signed up."""

    __tablename__ = "users"

    id = Column(Integer, primary_key=True)
    username = Column(String(50), unique=True, nullable=False)
    channel = Column(String(20), nullable=False, default="web")
    is_customer = Column(Integer, nullable=False, default=0)

    @classmethod
    def get_customer_users(cls):
        """Those who bought something."""
        return cls.io.query().filter(cls.is_customer == 1).all()
