"""Columns of every kind, for what treats each as the ORM does."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

from sqlalchemy import JSON, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from tests.behaviour.service import Size

__all__ = ["FULL", "EveryKind"]


class EveryKind:
    """A column of every kind but text, for models to derive from."""

    number: Mapped[int | None]
    real: Mapped[float | None]
    money: Mapped[decimal.Decimal | None] = mapped_column(Numeric(12, 4))
    size: Mapped[Size | None]
    moment: Mapped[datetime.datetime | None]
    day: Mapped[datetime.date | None]
    clock: Mapped[datetime.time | None]
    span: Mapped[datetime.timedelta | None]
    key: Mapped[uuid.UUID | None]
    raw: Mapped[bytes | None]
    data: Mapped[Any | None] = mapped_column(JSON)


_MOMENT = datetime.datetime.fromisoformat("2026-01-02T03:04:05.678901+02:00")
#: A value of every kind, and a text.
FULL: dict[str, Any] = {
    "text": "żółw ' \\", "number": -5, "real": 0.1, "money": decimal.Decimal("12.34"),
    "size": Size.LARGE, "moment": _MOMENT,
    "day": datetime.date(2024, 2, 29), "clock": datetime.time(1, 2, 3, 4),
    "span": -datetime.timedelta(days=1, microseconds=7), "key": uuid.UUID(int=7),
    "raw": b"\x00\xff", "data": {"a": [1, None, "x"]},
}  # fmt: skip
