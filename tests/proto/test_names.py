from __future__ import annotations

import pytest

from bali.proto.names import camel_case, enum_prefix, enum_value_names, is_identifier, json_name
from bali.schemas import EnumNode


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("a", True), ("_a1", True), ("1a", False), ("", False)),
        *(("a-b", False), ("ä", False), ("a\n", False)),
    ],
)
def test_identifier(name: str, expected: bool) -> None:
    assert is_identifier(name) is expected


@pytest.mark.parametrize(
    ("name", "json", "camel"),
    [
        ("created_time", "createdTime", "CreatedTime"),
        ("age__gte", "ageGte", "AgeGte"),
        ("_x", "X", "X"),
        ("a1_b", "a1B", "A1B"),
        ("aB", "aB", "AB"),
    ],
)
def test_names_of_protoc(name: str, json: str, camel: str) -> None:
    assert json_name(name) == json
    assert camel_case(name) == camel


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Size", "SIZE_"),
        ("OrderState", "ORDER_STATE_"),
        ("HTTPCode", "HTTP_CODE_"),
        ("A1b", "A1B_"),
    ],
)
def test_enum_prefix(name: str, expected: str) -> None:
    assert enum_prefix(name) == expected


def test_members_of_any_name_have_names_of_their_own() -> None:
    members = ("asc", "ASC", "a-s-c", "", "  ", "über", "1", "UNSPECIFIED", "unspecified")
    node = EnumNode(name="Sort", members=tuple((member, member) for member in members))
    assert list(enum_value_names(node, "Sort").values()) == [
        "SORT_ASC",
        "SORT_ASC_2",
        "SORT_A_S_C",
        "SORT_EMPTY",
        "SORT_EMPTY_2",
        "SORT_BER",
        "SORT_1",
        "SORT_UNSPECIFIED",
        "SORT_UNSPECIFIED_2",
    ]
