"""What the documents of the service say of its fields, and what is refused before it starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, ConfigurationError, Database, ModelResource, model_to_schema
from bali.proto import proto_text
from tests.behaviour.accounts import Account, AccountResource


@pytest.fixture(scope="module")
def app() -> Bali:
    return Bali(title="accounts", resources=[AccountResource])


def test_openapi_tells_the_behaviour(app: Bali) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]
    sent, shown = schemas["CreateAccountInput"], schemas["Account"]
    assert sent["properties"]["password"]["writeOnly"] is True
    assert sent["properties"]["login"]["x-immutable"] is True
    assert sent["properties"]["id"]["readOnly"] is True
    assert {"login", "password"} <= set(sent["required"])
    assert not {"password", "token"} & shown["properties"].keys()
    assert not {"password", "token"} & set(shown["required"])
    assert "code" in schemas["PinInput"]["properties"]
    assert "code" not in schemas["Pin"]["properties"]
    for path in ("/accounts", "/accounts/{id}"):
        names = {item.get("name") for item in document["paths"][path]["get"]["parameters"]}
        assert {"read_mask", "fields"} <= names


def test_the_proto_tells_the_behaviour(app: Bali) -> None:
    bound = app.services.bound
    assert bound is not None
    text = proto_text(bound)
    assert 'import "google/api/field_behavior.proto";' in text
    assert " id = 1 [(google.api.field_behavior) = OUTPUT_ONLY];" in text
    assert " hint = 2;" in text
    assert " code = 3 [(google.api.field_behavior) = INPUT_ONLY];" in text
    for name, marks in (
        ("login", ("REQUIRED", "IMMUTABLE")),
        ("token", ("INPUT_ONLY", "IMMUTABLE")),
    ):
        (line,) = [item for item in text.split(";") if f" {name} = " in item and "[" in item][:1]
        assert [mark for mark in marks if mark in line] == list(marks)
    assert text.count("google.protobuf.FieldMask read_mask") == 2


def resource(**values: Any) -> type[Any]:
    return type("AccountResource", (ModelResource,), {"model": Account, **values})


@pytest.mark.parametrize("name", ["password", "password__startswith", "token__isnull"])
def test_a_declared_filter_by_an_input_only_field_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="input-only"):
        Bali(title="accounts", resources=[resource(filters=[name])])


def test_a_filter_by_a_field_that_the_schema_hides_is_refused() -> None:
    class Hiding(BaseModel):
        id: int
        name: str = Field(json_schema_extra={"writeOnly": True})

    values = {"schema": Hiding, "filters": ["name"], "actions": ["list"]}
    with pytest.raises(ConfigurationError, match="input-only"):
        Bali(title="accounts", resources=[resource(**values)])
    values |= {"filters": (), "filter_fields": ["name"]}
    with pytest.raises(ConfigurationError, match="name"):
        Bali(title="accounts", resources=[resource(**values)])


@pytest.mark.parametrize("options", [{"primary_key": True}, {"read_only": True}])
def test_a_column_that_nobody_could_use_is_refused(options: dict[str, Any]) -> None:
    own = Database()
    is_key = options.pop("primary_key", False)

    class Thing(own.Model):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "things"

        id: Mapped[int] = mapped_column(primary_key=not is_key)
        key: Mapped[str] = mapped_column(
            String(5), primary_key=is_key, info={"input_only": True, **options}
        )

    with pytest.raises(ConfigurationError, match=r"Thing\.key"):
        model_to_schema(Thing)


def test_the_password_is_not_in_the_text_of_an_object() -> None:
    schema: Any = model_to_schema(Account)
    made = schema(id=1, login="ann", password="hunter2")
    assert "hunter2" not in repr(made)
