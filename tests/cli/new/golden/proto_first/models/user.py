"""User: what is stored, and what it can do by itself."""

from bali import FailedPrecondition
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.constants import MAX_NAME_LENGTH
from services.db import db


class User(db.BaseModel):
    """A user. It has `id`, `created_time`, `updated_time` and `is_active` too."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH), unique=True)
    description: Mapped[str | None]

    def deactivate(self) -> None:
        """Switch it off. Raises `FailedPrecondition` when it is off already."""
        if not self.is_active:
            raise FailedPrecondition(f"{self.name} is inactive already", reason="INACTIVE")
        self.is_active = False
