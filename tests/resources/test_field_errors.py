from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from bali.errors import FieldError
from bali.resources.field_errors import field_errors, placed, wrong_field
from bali.schemas import describe


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: int = Field(alias="r")


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: int


class Drawing(BaseModel):
    values: dict[Annotated[str, Field(max_length=1)], int] = {}
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]] = Field([], alias="all")


def fields(values: object, *, is_stored: bool = False) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(values, by_alias=True, by_name=is_stored)
    found = field_errors(caught.value, describe(Drawing), is_stored=is_stored)
    return [item.field for item in found]


def test_the_key_of_a_dict_is_not_part_of_the_path() -> None:
    assert fields({"values": {"ab": 1}}) == ["values.ab"]


def test_neither_is_the_tag_of_a_variant() -> None:
    assert fields({"all": [{"kind": "circle"}]}) == ["all[0].r"]


def test_what_is_stored_is_named_as_callers_know_it() -> None:
    stored = {"shapes": [{"kind": "circle", "radius": "x"}, {"kind": "square"}]}
    assert fields(stored, is_stored=True) == ["all[0].r", "all[1].side"]


def test_errors_have_a_place_and_a_length() -> None:
    errors = [wrong_field(name, "BAD", "x" * 1000) for name in ("", "city", "x" * 1000)]
    found = placed("address", errors)
    assert [error.field for error in found] == ["address", "address.city", "address." + "x" * 192]
    assert found[0] == FieldError(field="address", reason="BAD", description="x" * 500)
