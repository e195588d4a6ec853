from __future__ import annotations

from typing import Any

import pytest

from bali.errors import InvalidArgument, UnsupportedMedia, ValidationFailed
from bali.resources import ActionSpec, ResourceSpec
from bali.rest.arguments import ArgumentReader, parse_query
from tests.rest.service import make_specs

JSON = "application/json"


@pytest.fixture(scope="module")
def specs() -> dict[str, ActionSpec]:
    found: list[ResourceSpec] = make_specs()
    return {action.operation: action for spec in found for action in spec.actions}


def read(
    spec: ActionSpec, *, query: bytes = b"", body: bytes = b"", key: str | None = None, **more: Any
) -> dict[str, Any]:
    reader = ArgumentReader(spec, spec.bindings[0], max_json_depth=8)
    path = {} if key is None else {"id": key}
    return reader.read(path, query, more.pop("content_type", JSON), body, **more)


def errors(error: ValidationFailed) -> list[tuple[str, str]]:
    return [(item.field, item.reason) for item in error.field_errors]


def test_a_query_string_becomes_arguments(specs: dict[str, ActionSpec]) -> None:
    assert read(specs["parcels.list"], query=b"label=a%20b+c&limit=&id__in=1&id__in=2") == {
        "label": "a b c",
        "limit": "",
        "id__in": ["1", "2"],
    }
    assert read(specs["parcels.list"], query=b"id__in=1") == {"id__in": ["1"]}


def test_a_key_that_is_given_twice_is_refused(specs: dict[str, ActionSpec]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read(specs["parcels.list"], query=b"label=a&label=b")
    assert errors(caught.value) == [("label", "DUPLICATE_KEY")]


def test_a_body_is_the_field_that_the_binding_names(specs: dict[str, ActionSpec]) -> None:
    assert read(specs["parcels.create"], body=b'{"label": "a"}') == {"parcel": {"label": "a"}}
    assert read(
        specs["parcels.update"],
        body=b'{"label": "a"}',
        key="1",
        query=b"update_mask=a,b&update_mask=c",
    ) == {"id": "1", "parcel": {"label": "a"}, "update_mask": "a,b,c"}


def test_a_whole_body_is_every_field_but_the_key(specs: dict[str, ActionSpec]) -> None:
    body = b'{"to": {"street": "x"}}'
    assert read(specs["parcels.move"], body=body, key="7") == {"id": "7", "to": {"street": "x"}}


@pytest.mark.parametrize(
    ("operation", "query", "body", "field"),
    [
        ("parcels.move", b"", b'{"id": 8}', "id"),
        ("parcels.move", b"at=1", b"{}", "at"),
        ("parcels.get", b"id=8", b"", "id"),
        ("parcels.create", b"parcel=8", b"{}", "parcel"),
    ],
)
def test_a_field_in_the_wrong_place_is_refused(
    specs: dict[str, ActionSpec], operation: str, query: bytes, body: bytes, field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read(specs[operation], query=query, body=body, key="7")
    assert errors(caught.value) == [(field, "UNKNOWN_FIELD")]


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"a"'])
@pytest.mark.parametrize("operation", ["parcels.create", "parcels.move"])
def test_a_body_must_be_an_object(
    specs: dict[str, ActionSpec], operation: str, body: bytes
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read(specs[operation], body=body, key="7")
    assert errors(caught.value) == [("", "OBJECT_TYPE")]


def test_an_empty_body_needs_no_content_type(specs: dict[str, ActionSpec]) -> None:
    assert read(specs["probes.sleep"], content_type=None) == {}
    with pytest.raises(UnsupportedMedia):
        read(specs["probes.sleep"], content_type=None, body=b"{}")


def test_what_others_read_from_the_query_is_left_alone(specs: dict[str, ActionSpec]) -> None:
    spec = specs["parcels.list"]
    assert read(spec, query=b"key=1&label=a", ignored=frozenset({"key"})) == {"label": "a"}


def test_bytes_are_base64_wherever_they_are(specs: dict[str, ActionSpec]) -> None:
    spec = specs["probes.echo"]
    body = b'{"raw": "_-8", "stamps": ["/+8=", ""], "shape": {"kind": "square", "stamp": "AA=="}}'
    assert read(spec, body=body) == {
        "raw": b"\xff\xef",
        "stamps": [b"\xff\xef", b""],
        "shape": {"kind": "square", "stamp": b"\x00"},
    }
    assert read(specs["probes.raw"], query=b"data=_-8") == {"data": b"\xff\xef"}
    with pytest.raises(ValidationFailed) as caught:
        read(
            spec,
            body=b'{"raw": "!", "stamps": ["a"], "shape": {"kind": "square", "stamp": "\xc3\xbc"}}',
        )
    assert errors(caught.value) == [
        ("raw", "BYTES_INVALID_ENCODING"),
        ("stamps[0]", "BYTES_INVALID_ENCODING"),
        ("shape.stamp", "BYTES_INVALID_ENCODING"),
    ]


def test_values_of_another_shape_are_left_to_validation(specs: dict[str, ActionSpec]) -> None:
    body = b'{"raw": 1, "stamps": {"a": 1}, "shape": ["x"]}'
    assert read(specs["probes.echo"], body=body) == {"raw": 1, "stamps": {"a": 1}, "shape": ["x"]}
    unknown = b'{"shape": {"kind": "triangle", "stamp": "!"}}'
    assert read(specs["probes.echo"], body=unknown)["shape"]["stamp"] == "!"


def test_query_strings_are_utf_8() -> None:
    assert parse_query(b"&a=%C3%BC&b&=c&a=b=c") == [("a", "ü"), ("b", ""), ("", "c"), ("a", "b=c")]
    for raw in (b"a=%FF", b"a=\xff", b"%ED%A0%80=1"):
        with pytest.raises(InvalidArgument) as caught:
            parse_query(raw)
        assert caught.value.reason == "MALFORMED_QUERY"
