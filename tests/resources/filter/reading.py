"""The list that the tests of filters are about."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bali.resources.filter import Condition, FilterFields, condition_of, filter_fields
from bali.schemas import Describer

__all__ = ["FIELDS", "Item", "Size", "condition", "fields_of", "older_than"]


class Size(enum.Enum):
    """How large something is."""

    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    """One field of every type."""

    flag: bool | None = None
    whole: int | None = None
    real: float | None = None
    price: decimal.Decimal | None = None
    label: str | None = None
    mail: Annotated[str, Field(max_length=3)] | None = None
    moment: datetime.datetime | None = None
    day: datetime.date | None = None
    clock: datetime.time | None = None
    span: datetime.timedelta | None = None
    key: uuid.UUID | None = None
    size: Size | None = None
    mood: Literal["good", "bad"] | None = None
    raw: bytes | None = None
    data: Any = None
    tags: list[str] = Field(default_factory=list)


def older_than(years: int, unit: str = "years") -> Any:
    """Return a condition: a function of the item."""
    return lambda item: unit == "years" and (dict(item).get("whole") or 0) > years


def most(*numbers: int) -> int:
    """Return a value."""
    return max(numbers)


def fields_of(functions: Any = None) -> FilterFields:
    """Return what the filters of the list may name."""
    found = {name: (name, info.annotation) for name, info in Item.model_fields.items()}
    return filter_fields(found, functions or {}, describer=Describer(), where="here")


FIELDS = fields_of({"older_than": older_than, "most": most, "nothing": lambda: None})


def condition(text: str, fields: FilterFields = FIELDS) -> Condition | None:
    """Return what a filter of the list means."""
    return condition_of(text, fields)
