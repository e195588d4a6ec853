from __future__ import annotations

import enum
import subprocess
import sys
from typing import Any, Literal

import pytest
from google.protobuf.descriptor import FieldDescriptor
from pydantic import BaseModel, Field, create_model

from bali.errors import ConfigurationError
from bali.proto import BoundService, Method
from bali.schemas import Describer, Record
from bali.schemas import Field as TreeField
from tests.proto.samples import Everything, record_of, service


def _service(*requests: Record, response: Record | None = None) -> BoundService:
    return service(
        *(
            Method(name=f"Call{number}", request=request, response=response)
            for number, request in enumerate(requests)
        )
    )


def _fields(bound: BoundService, message: str) -> dict[str, FieldDescriptor]:
    found = bound.pool.FindMessageTypeByName(f"sample.{message}")
    return dict(found.fields_by_name)


def test_fields_are_numbered_in_order_of_declaration() -> None:
    fields = _fields(_service(record_of("AskRequest", b=int, a=str, c=bool)), "AskRequest")
    assert {name: field.number for name, field in fields.items()} == {"b": 1, "a": 2, "c": 3}


def test_presence_wherever_a_caller_may_write() -> None:
    class Part(BaseModel):
        amount: int

    class Answer(BaseModel):
        part: Part
        amount: int
        note: str | None

    describer = Describer()
    part, answer = describer.model(Part), describer.model(Answer)
    request = Record(name="AskRequest").fill((TreeField(name="part", node=part),))
    bound = _service(request, response=answer)
    assert _fields(bound, "Part")["amount"].has_presence
    assert not _fields(bound, "Answer")["amount"].has_presence
    assert _fields(bound, "Answer")["note"].has_presence
    assert _fields(_service(Record(name="R"), response=answer), "Part")["amount"].number == 1
    assert not _fields(_service(Record(name="R"), response=answer), "Part")["amount"].has_presence


def test_services_of_one_name_live_in_one_process() -> None:
    first = _service(record_of("AskRequest", id=int))
    second = _service(record_of("AskRequest", id=str))
    assert first.full_name == second.full_name
    assert first.methods[0].input_type is not second.methods[0].input_type


def test_pool_has_everything_that_reflection_asks_for() -> None:
    bound = _service(Describer().model(Everything))
    pending = [bound.file]
    while pending:
        file = pending.pop()
        assert bound.pool.FindFileByName(file.name).serialized_pb == file.serialized_pb
        pending.extend(file.dependencies)
    assert bound.pool.FindFileContainingSymbol("sample.SampleService") is bound.file


_PROGRAM = """
from tests.proto.samples import *
record = Describer().model(Everything)
bound = service(Method(name="Echo", request=record, response=record))
print(hash("x"), bound.file.serialized_pb.hex())
"""


def test_descriptors_are_the_same_in_every_process() -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert outputs[0][0] != outputs[1][0]
    assert outputs[0][1] == outputs[1][1]


def test_two_describers_may_meet_one_model() -> None:
    class Part(BaseModel):
        amount: int

    requests = [
        Record(name=name).fill((TreeField(name="part", node=Describer().model(Part)),))
        for name in ("A", "B")
    ]
    bound = _service(*requests, response=Describer().model(Part))
    assert _fields(bound, "A")["part"].message_type is _fields(bound, "B")["part"].message_type
    assert _fields(bound, "Part")["amount"].has_presence


def test_record_without_a_model_may_contain_itself() -> None:
    node = Record(name="Node")
    node.fill((TreeField(name="next", node=node, is_nullable=True, is_required=False),))
    method = _service(node).methods[0]
    value: dict[str, object] = {"next": {"next": {}}}
    assert method.decode(method.encode_request(value)) == value


def _model(name: str, **fields: Any) -> type[BaseModel]:
    model = create_model(name, __module__=f"app.{name.lower()}", **fields)
    model.__qualname__ = name
    return model


def test_two_models_of_one_name_are_refused_with_both_places() -> None:
    first, second = _model("User", a=(int, ...)), _model("UserSchema", b=(int, ...))
    with pytest.raises(ConfigurationError) as caught:
        _service(Describer().model(first), Describer().model(second))
    text = str(caught.value)
    assert "'User'" in text
    assert "app.user.User" in text
    assert "app.userschema.UserSchema" in text


@pytest.mark.parametrize(
    "request_",
    [
        record_of("SampleService", id=int),
        record_of("Größe", id=int),
        record_of("", id=int),
        record_of("Ask", **{"x-y": int}),
        record_of("Ask", größe=int),
        record_of("Ask", **{"": int}),
    ],
)
def test_name_that_protobuf_does_not_allow_is_refused(request_: Record) -> None:
    with pytest.raises(ConfigurationError, match=r"name"):
        _service(request_)


def test_alias_that_is_no_identifier_is_refused_with_the_model() -> None:
    class Header(BaseModel):
        key: str = Field(alias="x-key")

    with pytest.raises(ConfigurationError, match=r"Header: field 'x-key'"):
        _service(Describer().model(Header))


def test_two_fields_of_one_wire_name_are_refused() -> None:
    class Header(BaseModel):
        key: str = Field(alias="name")
        name: str

    with pytest.raises(ConfigurationError, match=r"Header: two fields.*'name'"):
        _service(Describer().model(Header))


@pytest.mark.parametrize(("one", "other"), [("a_b", "aB"), ("age_gte", "age__gte"), ("x", "x_")])
def test_fields_that_are_one_in_json_are_refused(one: str, other: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Ask: fields '{one}' and '{other}'"):
        _service(record_of("Ask", **{one: int, other: int}))


@pytest.mark.parametrize("package", ["a-b", "a..b", ".a", "1a"])
def test_package_that_is_no_name_is_refused(package: str) -> None:
    with pytest.raises(ConfigurationError, match="package"):
        service(package=package)


def test_method_that_is_no_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="method 'get-user'"):
        service(Method(name="get-user", request=Record(name="R"), response=None))


def test_what_the_pool_refuses_is_a_configuration_error() -> None:
    method = Method(name="Get", request=Record(name="R"), response=None)
    with pytest.raises(ConfigurationError, match=r"sample\.proto: protobuf refuses it"):
        service(method, method)


def test_names_that_meet_by_chance_are_refused() -> None:
    class Ask(BaseModel):
        size: list[int | None]
        other: AskSizeItem

    class AskSizeItem(BaseModel):
        note: str

    Ask.model_rebuild(_types_namespace={"AskSizeItem": AskSizeItem})
    with pytest.raises(ConfigurationError, match=r"'AskSizeItem'.*AskSizeItem"):
        _service(Describer().model(Ask))


def test_enum_values_that_meet_are_refused() -> None:
    class Foo(enum.Enum):
        BAR_BAZ = 1

    class FooBar(enum.Enum):
        BAZ = 1

    with pytest.raises(ConfigurationError, match="FOO_BAR_BAZ"):
        _service(record_of("Ask", a=Foo, b=FooBar))


def test_one_enum_in_two_places_is_one() -> None:
    class Color(enum.Enum):
        RED = "red"

    bound = _service(record_of("Ask", a=Color, b=list[Color], c=dict[str, Color]))
    fields = _fields(bound, "Ask")
    assert fields["a"].enum_type is fields["b"].enum_type
    assert [value.name for value in bound.pool.FindEnumTypeByName("sample.Color").values] == [
        "COLOR_UNSPECIFIED",
        "COLOR_RED",
    ]


def test_literals_get_enums_of_their_own() -> None:
    bound = _service(
        record_of("Ask", order=Literal["asc", "desc"], sorts=list[Literal["asc", "desc", ""]])
    )
    names = {enum.name: [value.name for value in enum.values] for enum in (
        bound.pool.FindEnumTypeByName("sample.AskOrder"),
        bound.pool.FindEnumTypeByName("sample.AskSorts"),
    )}  # fmt: skip
    assert names == {
        "AskOrder": ["ASK_ORDER_UNSPECIFIED", "ASK_ORDER_ASC", "ASK_ORDER_DESC"],
        "AskSorts": ["ASK_SORTS_UNSPECIFIED", "ASK_SORTS_ASC", "ASK_SORTS_DESC", "ASK_SORTS_EMPTY"],
    }


def test_empty_response_is_the_well_known_message() -> None:
    bound = service(Method(name="Drop", request=Record(name="DropRequest"), response=None))
    assert bound.descriptor.methods_by_name["Drop"].output_type.full_name == "google.protobuf.Empty"
    assert bound.methods[0].path == "/sample.SampleService/Drop"
    assert bound.full_name == "sample.SampleService"


def test_two_maps_whose_entries_protobuf_would_call_alike_are_refused() -> None:
    request = record_of("Ask", b=dict[str, int], _b=dict[str, int])
    with pytest.raises(ConfigurationError, match="'_b' and of another map BEntry; rename"):
        _service(request)


def test_wrappers_of_fields_that_differ_in_an_underscore_are_two() -> None:
    request = record_of("Ask", b=list[int | None], _b=list[str | None])
    names = set(_service(request).file.message_types_by_name)
    assert {"AskBItem", "Ask_BItem"} <= names
