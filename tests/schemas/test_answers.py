from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bali.rest import encoder_for
from bali.schemas import describe
from bali.schemas.answers import Answers, answers_of

HIDDEN: Any = {"writeOnly": True}


class Pin(BaseModel):
    door: str
    code: str = Field(json_schema_extra=HIDDEN)


class User(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")

    name: str
    password: str = Field(alias="passWord", min_length=12, json_schema_extra=HIDDEN)
    pins: list[Pin] = []
    by_door: dict[str, Pin] = {}
    friend: User | None = None

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.password == self.name:
            raise ValueError("the password is the name")
        return self


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    password: str = Field(json_schema_extra=HIDDEN)


def answers(model: type[BaseModel]) -> Answers:
    found = answers_of(describe(model), model)
    assert found is not None
    return found


def test_models_without_input_only_fields_need_no_care() -> None:
    class Plain(BaseModel):
        name: str

    assert answers_of(describe(Plain), Plain) is None
    assert answers_of(None, None) is None


def test_an_object_without_the_field_is_read() -> None:
    read: Any = answers(User).read(SimpleNamespace(name="ann", pins=[{"door": "d"}]))
    assert read.model_dump() == {
        "name": "ann", "pins": [{"door": "d"}], "by_door": {}, "friend": None,
    }  # fmt: skip
    assert type(read) is User


@pytest.mark.parametrize("name", ["password", "passWord"])
def test_the_field_is_not_read_where_it_is(name: str) -> None:
    read = answers(User).read({"name": "ann", name: "x"})
    assert "x" not in repr(read)


def test_errors_do_not_repeat_values() -> None:
    with pytest.raises(ValidationError) as caught:
        answers(User).read({"passWord": "hunter2", "pins": [{"code": "hunter2"}]})
    assert "name" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_objects_lose_it_at_every_depth_and_stay_as_they_are() -> None:
    pin = Pin(door="d", code="1234")
    friend = User(name="bob", passWord="long enough too", pins=[pin])
    user = User(name="ann", passWord="long enough!", pins=[pin], by_door={"d": pin}, friend=friend)
    before = user.model_dump()
    shown: Any = answers(User).without_input(user)
    pins = [{"door": "d"}]
    assert shown.model_dump() == {
        "name": "ann",
        "pins": pins,
        "by_door": {"d": {"door": "d"}},
        "friend": {"name": "bob", "pins": pins, "by_door": {}, "friend": None},
    }
    assert not hasattr(shown, "password")
    assert user.model_dump() == before


def test_further_fields_do_not_hide_it() -> None:
    read: Any = answers(Open).read({"name": "ann", "password": "x", "more": 1})
    shown: Any = answers(Open).without_input(read)
    assert shown.model_dump() == {"name": "ann"}
    made = answers(Open).without_input(
        Open.model_validate({"name": "ann", "password": "x", "more": 1})
    )
    assert made.model_dump() == {"name": "ann", "more": 1}


def test_a_validator_of_the_whole_still_judges_what_it_can() -> None:
    class Range(BaseModel):
        low: int
        high: int
        key: str = Field(json_schema_extra=HIDDEN)

        @model_validator(mode="after")
        def _ordered(self) -> Self:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    with pytest.raises(ValidationError, match="low is above high"):
        answers(Range).read({"low": 2, "high": 1})


def test_json_is_read_without_it() -> None:
    assert answers(User).read_json('{"name": "ann"}').model_dump()["name"] == "ann"
    assert answers(User).read_wire({"name": "ann"}).model_dump()["name"] == "ann"


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str
    cvc: str = Field(json_schema_extra=HIDDEN)
    raw: bytes = b"\xff"


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"


class Payment(BaseModel):
    means: Annotated[Card | Cash, Field(discriminator="kind")]
    others: list[Annotated[Card | Cash, Field(discriminator="kind")]] = []


def test_a_variant_of_a_union_is_written_without_it() -> None:
    card = Card(number="1", cvc="123")
    shown = answers(Payment).without_input(Payment(means=card, others=[card, Cash()]))
    written = {"kind": "card", "number": "1", "raw": "/w=="}
    expected = {"means": written, "others": [written, {"kind": "cash"}]}
    encode = encoder_for(describe(Payment), Payment)
    assert encode is not None
    assert json.loads(encode(shown)) == expected
    assert shown.model_dump(mode="json") == expected
