"""Order: who wants what, and what becomes of it."""

from decimal import Decimal

from bali import FailedPrecondition
from sqlalchemy import Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from core.constants import MAX_NAME_LENGTH
from services.db import db


class Order(db.BaseModel):
    """An order of a user. It has `id`, `created_time`, `updated_time` and `is_active` too."""

    __tablename__ = "orders"

    user_id: Mapped[int] = mapped_column(index=True)
    user_name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    item: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))

    def cancel(self) -> None:
        """Call it off. Raises `FailedPrecondition` when that has happened already."""
        if not self.is_active:
            raise FailedPrecondition("The order is cancelled already", reason="CANCELLED")
        self.is_active = False
