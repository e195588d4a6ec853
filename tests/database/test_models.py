from __future__ import annotations

import datetime

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Double,
    Float,
    ForeignKey,
    Integer,
    Interval,
    Numeric,
    String,
    Table,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from bali.database import Database, Duration, ExactNumeric, UTCDateTime
from bali.errors import ConfigurationError


def test_a_table_has_the_name_of_its_class() -> None:
    database = Database()

    class OrderItem(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        label: Mapped[str]

    class HTTPCall(database.Model):  # type: ignore[name-defined, misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)

    class Named(database.Model):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "own_name"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Mixin:
        @declared_attr.directive
        def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy's form
            return f"{getattr(cls, '__name__')}_rows"  # noqa: B009 - mypy takes it for an object

    class Mixed(Mixin, database.Model):  # type: ignore[name-defined, misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)

    assert set(database.metadata.tables) == {"order_item", "httpcall", "own_name", "Mixed_rows"}


def test_the_usual_columns_come_first() -> None:
    database = Database()

    class Thing(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        label: Mapped[str]

    columns = list(database.metadata.tables["thing"].columns.keys())
    assert columns == ["id", "created_time", "updated_time", "is_active", "label"]
    assert database.Base is database.Model
    assert Thing.get_fields() == columns


def test_children_share_the_table_of_their_parent() -> None:
    database = Database()

    class Animal(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's form

    class Dog(Animal):
        barked: Mapped[datetime.datetime | None] = mapped_column()
        __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012 - SQLAlchemy's form

    assert list(database.metadata.tables) == ["animal"]
    assert isinstance(database.metadata.tables["animal"].columns["barked"].type, UTCDateTime)
    assert "barked" in Dog.get_fields()


def test_databases_share_no_metadata() -> None:
    first, second = Database(), Database()

    class One(first.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "same"

    class Two(second.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "same"
        label: Mapped[str]

    assert "label" not in One.get_fields()
    assert first.metadata is not second.metadata
    assert (One.__database__, Two.__database__) == (first, second)


def test_a_column_may_have_the_name_of_a_method() -> None:
    database = Database("sqlite://")

    class Odd(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        count: Mapped[int] = mapped_column(default=0)
        first: Mapped[str | None]
        query: Mapped[str | None]
        save: Mapped[str | None]
        exists: Mapped[bool | None]

    database.create_all()
    made = Odd.io.create(first="f", query="q", save="s", exists=True)
    found = Odd.io.first_or_error(first="f", count=0)
    assert (found.id, found.query, found.save, found.exists) == (made.id, "q", "s", True)
    assert Odd.io.count() == 1
    found.io.delete()
    assert not Odd.io.exists()


def test_plain_tables_are_exact_too() -> None:
    database = Database("sqlite://")

    class Tag(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        notes: Mapped[list[Note]] = relationship(secondary="links", back_populates="tags")

    class Note(database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        tags: Mapped[list[Tag]] = relationship(secondary="links", back_populates="notes")

    links = Table(
        "links",
        database.metadata,
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        Column("note_id", Integer, ForeignKey("note.id"), primary_key=True),
        Column("label", String(5)),
    )
    assert "mysql" in links.columns["label"].type._variant_mapping
    database.create_all()
    with database.transaction():
        tag = Tag.io.create(notes=[Note(), Note()])
        assert [note.tags for note in tag.notes] == [[tag], [tag]]


def test_types_that_are_spelled_out_are_exact_too() -> None:
    database = Database("sqlite://")
    columns = Table(
        "spelled",
        database.metadata,
        Column("at", DateTime),
        Column("span", Interval),
        Column("rate", Float),
        Column("price", Numeric(4, 2)),
        Column("approximate", Float(24)),
        Column("folded", String(5, collation="nocase")),
    ).columns
    assert [type(column.type) for column in columns] == [
        UTCDateTime, Duration, Double, ExactNumeric, Float, String,
    ]  # fmt: skip
    assert not columns["folded"].type._variant_mapping


def test_a_foreign_model_is_left_alone() -> None:
    other = Table("other", Database().metadata.__class__(), Column("label", String(5)))
    assert not other.columns["label"].type._variant_mapping


def test_a_model_without_a_key_is_refused() -> None:
    database = Database()
    with pytest.raises(ConfigurationError, match=r"model .*\.Keyless has no key; give it one"):

        class Keyless(database.Model):  # type: ignore[name-defined, misc]  # made at run time
            text: Mapped[str]
