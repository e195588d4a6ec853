"""The models that the tests of the database share."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Enum,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bali.database import Database

db = Database()


class Size(enum.Enum):
    """How large something is."""

    SMALL = "small"
    LARGE = "large"


class Author(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Somebody who writes."""

    __tablename__ = "catalog_authors"

    name: Mapped[str] = mapped_column(String(50), unique=True, doc="As on the cover.")
    email: Mapped[str | None] = mapped_column(String(80), unique=True)
    age: Mapped[int | None] = mapped_column(SmallInteger)
    bio: Mapped[str | None]
    born: Mapped[datetime.datetime | None]
    books: Mapped[list[Book]] = relationship(back_populates="author")

    def older(self) -> int:
        return (self.age or 0) + 1


class Book(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something to read."""

    __tablename__ = "catalog_books"
    __table_args__ = (
        UniqueConstraint("author_id", "title"),
        CheckConstraint("pages >= 0", name="pages_positive"),
        Index("shelf_place", "shelf", "place", unique=True),
    )

    author_id: Mapped[int] = mapped_column(ForeignKey("catalog_authors.id"))
    title: Mapped[str] = mapped_column(String(40))
    pages: Mapped[int] = mapped_column(default=0)
    isbn: Mapped[str] = mapped_column("isbn_code", String(20), server_default="none")
    shelf: Mapped[str | None] = mapped_column(String(10))
    place: Mapped[int | None]
    author: Mapped[Author] = relationship(back_populates="books")


class Sample(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """One column of every type."""

    __tablename__ = "catalog_samples"

    id: Mapped[int] = mapped_column(primary_key=True)
    flag: Mapped[bool | None]
    small: Mapped[int | None] = mapped_column(SmallInteger)
    whole: Mapped[int | None]
    big: Mapped[int | None] = mapped_column(BigInteger)
    real: Mapped[float | None]
    label: Mapped[str | None] = mapped_column(String(50))
    note: Mapped[str | None]
    raw: Mapped[bytes | None]
    price: Mapped[decimal.Decimal | None] = mapped_column(Numeric(10, 3))
    huge: Mapped[decimal.Decimal | None] = mapped_column(Numeric(30, 10))
    free: Mapped[decimal.Decimal | None]
    moment: Mapped[datetime.datetime | None]
    day: Mapped[datetime.date | None]
    clock: Mapped[datetime.time | None]
    span: Mapped[datetime.timedelta | None]
    key: Mapped[uuid.UUID | None]
    size: Mapped[Size | None]
    native: Mapped[Size | None] = mapped_column(Enum(Size, name="catalog_size"))
    mood: Mapped[Literal["good", "bad"] | None]
    data: Mapped[dict[str, Any] | None]


class Tag(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """Something with a key of text."""

    __tablename__ = "catalog_tags"

    slug: Mapped[str] = mapped_column(String(20), primary_key=True)
    weight: Mapped[int] = mapped_column(default=1)


class Device(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """Something with a key that the model makes, and columns that the database fills."""

    __tablename__ = "catalog_devices"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    count: Mapped[int] = mapped_column(server_default=text("7"))
    double: Mapped[int] = mapped_column(Computed("count * 2", persisted=True))


class Pair(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """Something with a key of two columns."""

    __tablename__ = "catalog_pairs"

    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[int] = mapped_column(primary_key=True)
