"""Numbers of a committed .proto are kept, whatever happens to the resources."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from pydantic import BaseModel, Field

from bali.errors import ConfigurationError
from bali.proto import Method, build_service, proto_text
from bali.proto.descriptors import build_file
from bali.schemas import Record
from tests.proto.protoc import compile_text
from tests.proto.samples import Line, Shape, Square, record_of, shape_of


class Sizes(enum.Enum):
    SMALL = "s"
    LARGE = "l"


def enum_of(*names: str) -> Any:
    """Return the enum as it is another time, with other values."""
    return enum.Enum(Sizes.__name__, [(name, name) for name in names])


def built(
    *requests: Record, committed: FileDescriptorProto | None = None, package: str = "sample"
) -> FileDescriptorProto:
    answer = record_of("Answer", text=str)
    methods = [Method(name=f"Ask{item.name}", request=item, response=answer) for item in requests]
    return build_file(shape_of(*methods, package=package), committed)


def numbers(file: FileDescriptorProto, name: str = "Ask") -> dict[str, int]:
    message = next(item for item in file.message_type if item.name == name)
    return {field.name: field.number for field in message.field}


def reserved(file: FileDescriptorProto, name: str = "Ask") -> tuple[list[range], list[str]]:
    message = next(item for item in file.message_type if item.name == name)
    ranges = [range(item.start, item.end) for item in message.reserved_range]
    return ranges, list(message.reserved_name)


def values(file: FileDescriptorProto) -> dict[str, int]:
    return {value.name: value.number for value in file.enum_type[0].value}


def test_order_of_declaration_does_not_matter() -> None:
    first = built(record_of("Ask", a=int, b=dict[str, int], c=str | None, d=list[int] | None))
    again = record_of("Ask", d=list[int] | None, c=str | None, b=dict[str, int], a=int)
    assert built(again, committed=first) == first


def test_new_field_takes_the_next_number() -> None:
    first = built(record_of("Ask", a=int, b=str))
    second = built(record_of("Ask", z=int, a=int, y=str, b=str), committed=first)
    assert numbers(second) == {"a": 1, "b": 2, "z": 3, "y": 4}


def test_removed_field_leaves_number_and_name_reserved_for_ever() -> None:
    first = built(record_of("Ask", a=int, b=str, c=str))
    second = built(record_of("Ask", b=str), committed=first)
    assert (numbers(second), reserved(second)) == (
        {"b": 2},
        ([range(1, 2), range(3, 4)], ["a", "c"]),
    )
    third = built(record_of("Ask", b=str, d=int), committed=second)
    assert (numbers(third), reserved(third)) == ({"b": 2, "d": 4}, reserved(second))


def test_renamed_field_is_a_new_one() -> None:
    first = built(record_of("Ask", a=int, b=str))
    second = built(record_of("Ask", a=int, c=str), committed=first)
    assert (numbers(second), reserved(second)) == ({"a": 1, "c": 3}, ([range(2, 3)], ["b"]))


@pytest.mark.parametrize("annotation", [int, str])
def test_name_that_comes_back_gets_a_new_number(annotation: Any) -> None:
    first = built(record_of("Ask", a=int, b=str))
    second = built(record_of("Ask", b=str), committed=first)
    third = built(record_of("Ask", a=annotation, b=str), committed=second)
    assert (numbers(third), reserved(third)) == ({"b": 2, "a": 3}, ([range(1, 2)], []))


@pytest.mark.parametrize(
    ("former", "now", "was", "is_"),
    [
        (int, str, "int64", "string"),
        (int, list[int], "int64", "repeated int64"),
        (list[int], list[str], "repeated int64", "repeated string"),
        (dict[str, int], dict[str, str], "map<string, int64>", "map<string, string>"),
        (Line, Square, "Line", "Square"),
        (Sizes, str, "Sizes", "string"),
        (list[int] | None, list[int], "AskAValue", "repeated int64"),
    ],
)
def test_another_type_is_refused_with_both(former: Any, now: Any, was: str, is_: str) -> None:
    first = built(record_of("Ask", a=former))
    first.name = "protos/sample.proto"
    with pytest.raises(ConfigurationError) as caught:
        built(record_of("Ask", a=now), committed=first)
    for part in (f"protos/sample.proto: field Ask.a is {was} there and {is_} now", "another name"):
        assert part in str(caught.value)


def test_type_inside_a_wrapper_is_locked_too() -> None:
    first = built(record_of("Ask", a=list[int | None]))
    with pytest.raises(ConfigurationError, match=r"AskAItem.value is int64 there and string now"):
        built(record_of("Ask", a=list[str | None]), committed=first)


def test_presence_may_come() -> None:
    first = built(record_of("Ask", a=int, b=Line))
    second = built(record_of("Ask", a=int | None, b=Line | None), committed=first)
    assert numbers(second) == numbers(first)


def test_values_of_an_enum_keep_their_numbers() -> None:
    kinds = enum_of("HUGE", "LARGE", "TINY")
    first = built(record_of("Ask", a=Sizes))
    second = built(record_of("Ask", a=kinds), committed=first)
    assert values(second) == {
        "SIZES_UNSPECIFIED": 0,
        "SIZES_LARGE": 2,
        "SIZES_HUGE": 3,
        "SIZES_TINY": 4,
    }
    found = second.enum_type[0]
    assert [(item.start, item.end) for item in found.reserved_range] == [(1, 1)]
    assert found.reserved_name == ["SIZES_SMALL"]
    third = built(record_of("Ask", a=Sizes), committed=second)
    assert values(third) == {"SIZES_UNSPECIFIED": 0, "SIZES_LARGE": 2, "SIZES_SMALL": 5}


def test_members_of_a_oneof_keep_their_numbers() -> None:
    first = built(record_of("Ask", a=Shape))
    assert numbers(first, "AskAChoice") == {"circle": 1, "square": 2}

    class Dot(BaseModel):
        kind: Literal["dot"] = "dot"

    union = Annotated[Dot | Square, Field(discriminator="kind")]
    second = built(record_of("Ask", a=union), committed=first)
    assert numbers(second, "AskAChoice") == {"square": 2, "dot": 3}
    assert reserved(second, "AskAChoice") == ([range(1, 2)], ["circle"])


def test_message_that_nothing_uses_is_kept_for_its_return(tmp_path: Path) -> None:
    first = built(record_of("Ask", a=int), record_of("Other", x=int, line=dict[str, Line], s=Sizes))
    second = built(record_of("Ask", a=int), committed=first)
    assert numbers(second, "Other") == {"x": 1, "line": 2, "s": 3}
    assert [item.name for item in second.message_type] == [item.name for item in first.message_type]
    shape = shape_of(Method(name="AskAsk", request=record_of("Ask", a=int), response=None))
    text = proto_text(build_service(shape, second))
    assert "// Not used any more: kept so that" in text.split("message Other {")[0].splitlines()[-1]
    assert "// Not used any more" in text.split("enum Sizes {")[0].splitlines()[-1]
    assert "// Not used" not in text.split("message Ask {")[0]
    compile_text(text, tmp_path)
    third = built(record_of("Ask", a=int), record_of("Other", s=Sizes, y=int), committed=second)
    assert numbers(third, "Other") == {"s": 3, "y": 4}
    assert reserved(third, "Other") == ([range(1, 3)], ["line", "x"])


def test_package_may_change() -> None:
    first = built(record_of("Ask", a=Line), record_of("Other", line=Line, map=dict[str, Line]))
    for package in ("", "acme.sample.v2"):
        second = built(record_of("Ask", b=int, a=Line), committed=first, package=package)
        prefix = f".{package}." if package else "."
        types = {
            field.type_name
            for message in second.message_type
            for field in message.field
            if field.type_name
        }
        assert types == {f"{prefix}Line", f"{prefix}Other.MapEntry"}
        assert numbers(second) == {"a": 1, "b": 2}
        assert built(record_of("Ask", a=Line, b=int), committed=second) == built(
            record_of("Ask", b=int, a=Line), committed=first
        )


def test_message_that_becomes_an_enum_is_refused() -> None:
    first = built(record_of("Ask", a=int), record_of("Sizes", a=int))
    with pytest.raises(ConfigurationError, match="Sizes is a message there and an enum now"):
        built(record_of("Ask", a=int, b=Sizes), committed=first)


def test_reserved_ranges_of_any_size_are_kept() -> None:
    first = built(record_of("Ask", a=int))
    first.message_type[0].reserved_range.add(start=100, end=2**29 - 100)
    second = built(record_of("Ask", b=int), committed=first)
    assert reserved(second)[0] == [range(1, 2), range(100, 2**29 - 100)]
    assert numbers(second) == {"b": 2**29 - 100}


def test_numbers_of_protobuf_itself_are_passed_over() -> None:
    first = built(record_of("Ask", a=int))
    first.message_type[0].field[0].number = 18_999
    assert numbers(built(record_of("Ask", a=int, b=int), committed=first))["b"] == 20_000


def test_no_number_left_is_told() -> None:
    first = built(record_of("Ask", a=int, s=Sizes))
    first.message_type[0].field[0].number = 2**29 - 1
    with pytest.raises(ConfigurationError, match="Ask has no field number left"):
        built(record_of("Ask", a=int, b=int, s=Sizes), committed=first)
    first.enum_type[0].reserved_range.add(start=10, end=2**31 - 1)
    more = enum_of("SMALL", "HUGE")
    with pytest.raises(ConfigurationError, match="enum Sizes has no number left for SIZES_HUGE"):
        built(record_of("Ask", a=int, s=more), committed=first)


def test_many_fields_are_no_trouble(tmp_path: Path) -> None:
    names = [f"field_{number}" for number in range(5_000)]
    first = built(record_of("Ask", **dict.fromkeys(names, int)))
    ask = record_of("Ask", **dict.fromkeys([*reversed(names), "last"], int))
    method = Method(name="AskAsk", request=ask, response=record_of("Answer", text=str))
    bound = build_service(shape_of(method), first)
    assert bound.file.message_types_by_name["Ask"].fields_by_name["last"].number == 5_001
    compile_text(proto_text(bound), tmp_path)


def test_what_the_service_runs_with_has_the_numbers_too() -> None:
    first = built(record_of("Ask", a=int, b=str))
    method = Method(name="AskAsk", request=record_of("Ask", b=str), response=None)
    bound = build_service(shape_of(method), first).methods[0]
    assert bound.decode(bound.input_type.FromString(b"\x08\x05\x12\x01x")) == {"b": "x"}
