from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from bali.schemas import describe
from bali.schemas.payload import BytesDecoder, encoder_for, has_bytes


class Leaf(BaseModel):
    """Ends a chain."""

    raw: bytes


class Tree(BaseModel):
    """Contains itself."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="title")
    leaf: Leaf | None = None
    children: list[Tree] = []
    by_name: dict[str, list[bytes]] = {}


class Plain(BaseModel):
    """Has no bytes."""

    name: str = Field(alias="title")
    children: list[Plain] = []


class Custom(BaseModel):
    """Writes its bytes in its own way."""

    raw: bytes
    text: str

    @field_serializer("raw")
    def _hex(self, raw: bytes) -> str:
        return raw.hex()

    @field_serializer("text", when_used="json")
    def _upper(self, text: str) -> str:
        return text.upper()


def encoded(value: BaseModel) -> Any:
    encode = encoder_for(describe(type(value)), type(value))
    assert encode is not None
    return json.loads(encode(value))


def test_bytes_are_found_however_deep() -> None:
    assert has_bytes(describe(Tree))
    assert not has_bytes(describe(Plain))


def test_a_model_without_bytes_is_written_by_its_own_serializer() -> None:
    value = Plain(title="a", children=[Plain(title="b")])
    assert encoded(value) == json.loads(value.model_dump_json(by_alias=True))


def test_bytes_are_written_as_standard_base64() -> None:
    tree = Tree(
        name="a",
        leaf=Leaf(raw=b"\xff\xef"),
        children=[Tree(name="b", leaf=Leaf(raw=b""))],
        by_name={"x": [b"\xfb"]},
    )
    assert encoded(tree) == {
        "title": "a",
        "leaf": {"raw": "/+8="},
        "children": [{"title": "b", "leaf": {"raw": ""}, "children": [], "by_name": {}}],
        "by_name": {"x": ["+w=="]},
    }


def test_serializers_of_the_user_are_respected() -> None:
    assert encoded(Custom(raw=b"\xff", text="a")) == {"raw": "ff", "text": "A"}


def test_what_is_written_is_read_back() -> None:
    tree = Tree(name="a", children=[Tree(name="b", by_name={"x": [bytes(range(256))]})])
    errors: list[Any] = []
    decoded = BytesDecoder().decode(describe(Tree), encoded(tree), "", errors)
    assert errors == []
    assert Tree.model_validate(decoded) == tree


def test_an_empty_response_has_no_encoder() -> None:
    assert encoder_for(None, None) is None
