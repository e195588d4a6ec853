"""What callers send about users. What is stored and returned follows from the model."""

from pydantic import BaseModel, Field

from core.constants import MAX_REASON_LENGTH


class Deactivation(BaseModel):
    """Why a user is switched off."""

    reason: str = Field(min_length=3, max_length=MAX_REASON_LENGTH)
