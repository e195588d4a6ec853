from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Identity, Integer, func
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from bali.database import Database, ModelSchema, model_to_schema
from bali.errors import ConfigurationError
from bali.schemas import ScalarKind, describe
from tests.database.catalog import Author, Book, Device, Sample, Size, Tag

AuthorSchema = model_to_schema(Author)


def properties(schema: type[ModelSchema], mode: Any = "validation") -> dict[str, Any]:
    found: dict[str, Any] = schema.model_json_schema(mode=mode)["properties"]
    return found


def test_it_has_the_columns_and_no_relation() -> None:
    assert list(AuthorSchema.model_fields) == [
        "id", "created_time", "updated_time", "is_active", "name", "email", "age", "bio", "born",
    ]  # fmt: skip
    assert AuthorSchema.__model__ is Author
    assert AuthorSchema.__name__ == "AuthorSchema"
    assert AuthorSchema.__doc__ == "Somebody who writes."
    assert describe(AuthorSchema).name == "Author"


def test_a_request_needs_no_id_and_no_default() -> None:
    """Defect 12 of the first bali."""
    author = AuthorSchema.model_validate({"name": "Ann"})
    assert author.model_fields_set == {"name"}
    assert author.is_active is True
    assert AuthorSchema.model_json_schema()["required"] == ["name"]
    with pytest.raises(ValidationError):
        AuthorSchema.model_validate({})


async def test_a_response_has_every_field(catalog: Database) -> None:
    made = AuthorSchema.model_validate(await Author.aio.create(name="Ann"))
    assert made.id > 0
    assert set(AuthorSchema.model_json_schema(mode="serialization")["required"]) == set(
        AuthorSchema.model_fields
    )


def test_what_the_service_sets_is_read_only() -> None:
    found = properties(AuthorSchema)
    assert [name for name, field in found.items() if field.get("readOnly")] == [
        "id", "created_time", "updated_time",
    ]  # fmt: skip
    assert all("default" not in found[name] for name in ("id", "created_time", "updated_time"))
    tree = describe(AuthorSchema)
    assert [field.name for field in tree.fields if field.is_output_only] == [
        "id", "created_time", "updated_time",
    ]  # fmt: skip
    device = properties(model_to_schema(Device))
    assert [name for name, field in device.items() if field.get("readOnly")] == ["id", "double"]
    assert "readOnly" not in properties(model_to_schema(Tag))["slug"]


def test_limits_are_those_of_the_columns() -> None:
    found = properties(model_to_schema(Sample))
    assert found["label"]["anyOf"][0]["maxLength"] == 50
    assert found["small"]["anyOf"][0] == {
        "maximum": 2**15 - 1,
        "minimum": -(2**15),
        "type": "integer",
    }
    assert found["whole"]["anyOf"][0]["maximum"] == 2**31 - 1
    assert found["big"]["anyOf"][0]["minimum"] == -(2**63)
    schema = model_to_schema(Sample)
    for name, wrong in (
        ("label", "x" * 51),
        ("small", 2**15),
        ("whole", -(2**31) - 1),
        ("big", 2**63),
        ("price", "12345678"),
        ("price", "0.0001"),
        ("price", "NaN"),
        ("free", "1e70"),
        ("size", "medium"),
        ("mood", "so so"),
        ("moment", "0001-01-01T00:00:00+05:00"),
    ):
        with pytest.raises(ValidationError):
            schema.model_validate({name: wrong})


def test_values_are_what_the_database_gives_back() -> None:
    sample: Any = model_to_schema(Sample).model_validate(
        {
            "price": "1.5",
            "free": "1.500",
            "moment": "2026-01-01T02:00:00+02:00",
            "key": "00000000-0000-0000-0000-000000000001",
            "size": "small",
            "mood": "good",
            "data": {"a": [None]},
            "raw": b"x",
            "span": "P1D",
        }
    )
    assert str(sample.price) == "1.500"
    assert str(sample.free) == "1.5"
    assert sample.moment == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert sample.moment.tzinfo is datetime.UTC
    assert sample.key == uuid.UUID(int=1)
    assert sample.size is Size.SMALL
    assert sample.data == {"a": [None]}
    assert sample.span == datetime.timedelta(days=1)


def test_every_type_has_a_form_on_both_protocols() -> None:
    tree = describe(model_to_schema(Sample))
    data = tree.field("data")
    assert data is not None
    assert getattr(data.node, "kind", None) is ScalarKind.ANY
    assert [field.name for field in tree.fields if not field.is_nullable] == ["id", "data"]


def test_defaults_and_descriptions() -> None:
    author, book = properties(AuthorSchema), properties(model_to_schema(Book))
    assert author["name"]["description"] == "As on the cover."
    assert author["is_active"]["default"] is True
    assert author["email"]["default"] is None
    assert book["pages"]["default"] == 0
    assert "default" not in book["isbn"]
    assert model_to_schema(Book).model_json_schema()["required"] == ["author_id", "title"]


def test_fields_may_be_left_out_or_chosen() -> None:
    short = model_to_schema(Author, exclude=["bio", "born"])
    assert "bio" not in short.model_fields
    assert model_to_schema(Author, include=["id", "name"]).__name__ == "AuthorWithIdNameSchema"
    assert model_to_schema(Author, ["bio"]).__name__ == "AuthorWithoutBioSchema"
    assert list(model_to_schema(Author, include=("name",)).model_fields) == ["name"]
    assert model_to_schema(Author, name="Writer").__name__ == "Writer"
    assert model_to_schema(Author) is AuthorSchema


def test_partial_needs_nothing() -> None:
    partial = model_to_schema(Author, partial=True)
    assert describe(partial).name == "AuthorPartial"
    assert partial.model_validate({}).model_fields_set == set()
    assert "required" not in partial.model_json_schema()
    with pytest.raises(ValidationError):
        partial.model_validate({"name": None})


@pytest.mark.parametrize("options", [{"exclude": ["nobody"]}, {"include": ["books"]}])
def test_an_unknown_name_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="there is no column"):
        model_to_schema(Author, **options)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"<class 'int'>.* no database model; derive it"):
        model_to_schema(int)


class Strange(UserDefinedType[Any]):
    """A type that does not say what its values are."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "STRANGE"

    @property
    def python_type(self) -> type[Any]:
        raise NotImplementedError


def test_a_type_that_no_protocol_carries_is_refused() -> None:
    database = Database()

    class Odd(database.Model):  # type: ignore[name-defined, misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        strange: Mapped[Any] = mapped_column(Strange())
        words: Mapped[Any] = mapped_column(TSVECTOR())

    with pytest.raises(ConfigurationError) as caught:
        model_to_schema(Odd)
    assert f"{Odd.__module__}.Odd.strange" in str(caught.value)
    assert "exclude=" in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"Odd\.words"):
        model_to_schema(Odd, exclude=["strange"])
    assert list(model_to_schema(Odd, include=["id"]).model_fields) == ["id"]


def test_other_sources_of_values() -> None:
    database = Database()

    class Other(database.Model):  # type: ignore[name-defined, misc]  # made at run time
        id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
        made: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
        token: Mapped[str] = mapped_column(default=lambda: "t")
        hidden: Mapped[int] = mapped_column(default=1, info={"read_only": True})
        rate: Mapped[decimal.Decimal | None] = mapped_column(default=decimal.Decimal("1.5"))
        wide: Mapped[int] = mapped_column(default=3, comment="How wide.")

    schema = model_to_schema(Other)
    found = properties(schema)
    assert "required" not in schema.model_json_schema()
    assert [name for name, field in found.items() if field.get("readOnly")] == ["id", "hidden"]
    assert found["wide"]["default"] == 3
    assert found["wide"]["description"] == "How wide."
    assert found["rate"]["default"] == "1.5"
    assert "default" not in found["made"]
    assert "default" not in found["token"]
    assert schema.model_validate({}).model_fields_set == set()
