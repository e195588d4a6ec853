"""What callers send about orders. What is stored and returned follows from the model."""

from decimal import Decimal

from pydantic import BaseModel, Field

from core.constants import MAX_NAME_LENGTH, MAX_REASON_LENGTH


class Purchase(BaseModel):
    """What is ordered, and by whom."""

    user_id: int
    item: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    price: Decimal = Field(gt=0, max_digits=12, decimal_places=2)


class Cancellation(BaseModel):
    """Why an order is cancelled."""

    reason: str = Field(min_length=3, max_length=MAX_REASON_LENGTH)
