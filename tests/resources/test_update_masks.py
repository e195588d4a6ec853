from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from bali.errors import FieldError
from bali.resources.update_masks import named_values, paths_of_update
from bali.schemas import describe


class Pick(BaseModel):
    kind: Literal["pick"] = "pick"
    desk: int


class Post(BaseModel):
    kind: Literal["post"] = "post"
    price: int


class Node(BaseModel):
    """A record that may hold itself."""

    name: str
    below: Node | None = None
    number: int = Field(default_factory=lambda: 5, alias="no")
    length: int = Field(default_factory=lambda data: len(data["name"]))
    anything: Any
    tags: list[str]
    notes: dict[str, str] | None = None
    way: Annotated[Pick | Post, Field(discriminator="kind")] | None = None
    seen: bool = Field(default=False, json_schema_extra={"readOnly": True})


RECORD = describe(Node)


def paths(*mask: str, output_only: frozenset[str] = frozenset()) -> tuple[Any, list[FieldError]]:
    errors: list[FieldError] = []
    return paths_of_update(mask, RECORD, errors, output_only=output_only), errors


def whole_only(path: str, place: str, kind: str) -> str:
    return f"{path!r} cannot be named: {place!r} is {kind}, and is replaced as a whole; name that"


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (["name"], {"name": None}),
        (["below.name", "below.no"], {"below": {"name": None, "no": None}}),
        (["below.below.name", "below"], {"below": None}),
        (["below", "below.below.name"], {"below": None}),
        (["below.*", "name"], {"below": None, "name": None}),
        (["name"] * 5, {"name": None}),
        ([".".join(["below"] * 31)], None),
        ([], {}),
    ],
)
def test_paths_are_a_tree_of_names(mask: list[str], expected: Any) -> None:
    found, errors = paths(*mask)
    assert errors == []
    assert expected is None or found == expected


@pytest.mark.parametrize(
    ("path", "reason", "text"),
    [
        ("below.zork", "UNKNOWN_FIELD", "update_mask has no field 'below.zork'"),
        ("below.number", "UNKNOWN_FIELD", "update_mask has no field 'below.number'"),
        ("*", "UNKNOWN_FIELD", "update_mask has no field '*'"),
        ("", "UNKNOWN_FIELD", "update_mask has no field ''"),
        (
            "below.name.x",
            "UNKNOWN_FIELD",
            "update_mask has no field 'below.name.x': 'below.name' is a single value",
        ),
        ("tags.x", "WHOLE_ONLY", whole_only("tags.x", "tags", "a list")),
        ("below.notes.k", "WHOLE_ONLY", whole_only("below.notes.k", "below.notes", "a map")),
        ("way.desk", "WHOLE_ONLY", whole_only("way.desk", "way", "one of several kinds")),
        ("anything.x", "WHOLE_ONLY", whole_only("anything.x", "anything", "any JSON")),
        ("below.seen", "OUTPUT_ONLY", "'below.seen' is set by the service"),
        ("name", "OUTPUT_ONLY", "'name' is set by the service"),
    ],
)
def test_a_wrong_path_is_told_and_left_out(path: str, reason: str, text: str) -> None:
    found, errors = paths("no", path, output_only=frozenset({"name"}))
    assert found == {"no": None}
    assert errors == [FieldError(field="update_mask", reason=reason, description=text)]


def test_a_name_that_comes_from_elsewhere_is_free_inside() -> None:
    found, errors = paths("below.name", output_only=frozenset({"name"}))
    assert (found, errors) == ({"below": {"name": None}}, [])


def test_what_is_named_without_a_value_is_cleared() -> None:
    names = ("name", "below", "no", "length", "anything", "tags", "notes", "way")
    for sent in ({}, dict.fromkeys(names)):
        errors: list[FieldError] = []
        found = named_values(RECORD, dict.fromkeys(names), sent, "at.", errors)
        assert found == {
            "below": None, "no": 5, "anything": None, "tags": [], "notes": None, "way": None,
        }  # fmt: skip
        assert [(error.field, error.reason) for error in errors] == [
            ("at.name", "REQUIRED"),
            ("at.length", "REQUIRED"),
        ]
