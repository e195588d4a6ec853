from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from pydantic import BaseModel, Field

from bali.errors import ConfigurationError
from bali.proto import BoundMethod, BoundService, Method, bind_service
from bali.schemas import Describer, Record
from bali.schemas import Field as TreeField
from tests.proto.protoc import compile_service
from tests.proto.samples import mask_field, record_of, service, shape_of


class User(BaseModel):
    """A user as the resource has it."""

    id: int = Field(json_schema_extra={"readOnly": True})
    username: str
    age: int | None = None
    tags: list[str] = []
    scores: dict[str, int]


DESCRIBER = Describer()
USER = DESCRIBER.model(User)
BODY = TreeField(name="user", node=USER)
ID = record_of("X", id=int).fields[0]
UPDATE = Record(name="UpdateUserRequest").fill((ID, BODY, mask_field()))
CREATE = Record(name="CreateUserRequest").fill((BODY,))
GET = Record(name="GetUserRequest").fill((ID,))


class Page(BaseModel):
    items: list[User]
    next_page_token: str = ""
    total: int | None = None


class ListRequest(BaseModel):
    page_size: int | None = None
    page_token: str = ""
    skip: int = 0
    order_by: str = ""
    with_total: bool = False


PAGE = DESCRIBER.model(Page)
LIST = DESCRIBER.model(ListRequest)
ONE = User(id=1, username="ann", tags=["a"], scores={"x": 1})
ONE_VALUES = ONE.model_dump()


@pytest.fixture
def proto(tmp_path: Path) -> Any:
    """Return what binds methods to a service of a .proto text."""

    def bind(text: str, *methods: Method) -> BoundService:
        head = (
            'syntax = "proto3"; package sample; import "google/protobuf/struct.proto";'
            'import "google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto";'
            "message User { int64 id = 1; string username = 2; optional int64 age = 3;"
            "  repeated string tags = 4; map<string, int64> scores = 5; }"
        )
        found: ServiceDescriptor = compile_service(head + text, tmp_path, "sample.SampleService")
        return bind_service(shape_of(*methods), found)

    return bind


def _rpc(request: str, response: str = "google.protobuf.Empty", name: str = "Do") -> str:
    return f"service SampleService {{ rpc {name}({request}) returns ({response}); }}"


def _update() -> BoundMethod:
    return service(Method(name="Update", request=UPDATE, response=USER)).methods[0]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"id": 1, "user": {"username": "x"}}, {"id": 1, "user": {"username": "x"}}),
        (
            {"user": {"username": "x"}, "update_mask": ["username", "tags"]},
            {"user": {"username": "x", "tags": []}, "update_mask": ["username", "tags"]},
        ),
        (
            {"user": {"age": None, "scores": {}}, "update_mask": ["age", "scores"]},
            {"user": {"scores": {}}, "update_mask": ["age", "scores"]},
        ),
        ({"update_mask": ["tags"]}, {"user": {"tags": []}, "update_mask": ["tags"]}),
        (
            {"user": {"username": "x"}, "update_mask": ["*"]},
            {"user": {"username": "x", "scores": {}}, "update_mask": ["*"]},
        ),
        ({"update_mask": ["nope", "a.b", ""]}, {"user": {}, "update_mask": ["nope", "a.b", ""]}),
        ({"update_mask": []}, {"update_mask": []}),
        ({"user": {"tags": ["a"]}}, {"user": {"tags": ["a"]}}),
    ],
)
def test_update_has_what_was_sent_and_what_the_mask_names(
    sent: dict[str, Any], received: dict[str, Any]
) -> None:
    method = _update()
    message = method.input_type.FromString(method.encode_request(sent).SerializeToString())
    assert method.decode(message) == received


def test_what_is_inside_a_replaced_part_is_not_partial() -> None:
    class Address(BaseModel):
        lines: list[str]

    class Customer(BaseModel):
        address: Address

    body = TreeField(name="customer", node=Describer().model(Customer))
    request = Record(name="UpdateCustomerRequest").fill((body, mask_field()))
    method = service(Method(name="Update", request=request, response=None)).methods[0]
    message = method.encode_request({"customer": {"address": {}}})
    assert method.decode(message) == {"customer": {"address": {"lines": []}}}


class _Point(BaseModel):
    lat: int
    note: str | None = None


class _Address(BaseModel):
    street: str
    lines: list[str] = []
    names: dict[str, str] = {}
    point: _Point | None = None
    floor: int = 5


class _Customer(BaseModel):
    address: _Address | None = None


def _masked_update() -> BoundMethod:
    body = TreeField(name="customer", node=Describer().model(_Customer))
    request = Record(name="UpdateCustomerRequest").fill((body, mask_field()))
    return service(Method(name="Update", request=request, response=None)).methods[0]


@pytest.mark.parametrize(
    ("customer", "mask", "received"),
    [
        ({"address": {"street": "x"}}, "address.street", {"address": {"street": "x"}}),
        ({"address": {}}, "address.lines", {"address": {"lines": []}}),
        ({"address": {}}, "address.names,address.street", {"address": {"names": {}}}),
        ({"address": {}}, "address.point.lat", {"address": {}}),
        ({"address": {"point": {}}}, "address.point.note", {"address": {"point": {}}}),
        ({"address": {"lines": ["a"]}}, "address.lines.*", {"address": {"lines": ["a"]}}),
        ({}, "address.lines", {}),
        ({"address": {}}, "address.lines.x,address.zork,.,address..", {"address": {}}),
    ],
)
def test_a_mask_reads_what_looks_absent_inside_records(
    customer: dict[str, Any], mask: str, received: dict[str, Any]
) -> None:
    method = _masked_update()
    message = method.encode_request({"customer": customer, "update_mask": mask.split(",")})
    message = method.input_type.FromString(message.SerializeToString())
    assert method.decode(message)["customer"] == received


def test_a_hand_written_record_without_presence_has_its_zeros(tmp_path: Path) -> None:
    found = compile_service(
        'syntax = "proto3"; package sample; import "google/protobuf/field_mask.proto";'
        'import "google/protobuf/empty.proto";'
        "message Point { int64 lat = 1; optional string note = 2; }"
        "message Address { string street = 1; repeated string lines = 2;"
        "  map<string, string> names = 3; Point point = 4; int64 floor = 5; }"
        "message Customer { Address address = 1; }"
        "message R { Customer customer = 1; google.protobuf.FieldMask update_mask = 2; }"
        "service SampleService { rpc Update(R) returns (google.protobuf.Empty); }",
        tmp_path,
        "sample.SampleService",
    )
    body = TreeField(name="customer", node=Describer().model(_Customer))
    request = Record(name="UpdateCustomerRequest").fill((body, mask_field()))
    shape = shape_of(Method(name="Update", request=request, response=None))
    method = bind_service(shape, found).methods[0]
    message: Any = method.input_type(customer={"address": {"street": "x"}})
    assert "floor" not in method.decode(message)["customer"]["address"]
    message.update_mask.paths.append("address.floor")
    assert method.decode(message)["customer"]["address"]["floor"] == 0


def test_create_has_its_required_lists() -> None:
    method = service(Method(name="Create", request=CREATE, response=USER)).methods[0]
    assert method.decode(method.encode_request({"user": {}})) == {"user": {"scores": {}}}
    assert method.decode(method.input_type()) == {}


def test_former_names_are_taken_from_mappings() -> None:
    method = service(Method(name="List", request=LIST, response=PAGE)).methods[0]
    message = method.encode_request({"limit": 5, "offset": 10, "ordering": "age"})
    assert method.decode(message) == {"page_size": 5, "skip": 10, "order_by": "age"}


# -- hand-written messages of the first bali -------------------------------------------------------


def test_list_response_with_data_and_count(proto: Any) -> None:
    method = proto(
        "message ListRequest { int64 limit = 1; int64 offset = 2; }"
        "message UserResponse { repeated User data = 1; int64 count = 2; }"
        + _rpc("ListRequest", "UserResponse"),
        Method(name="Do", request=LIST, response=PAGE),
    ).methods[0]
    request = method.input_type(limit=3)
    assert method.decode(request) == {"page_size": 3, "with_total": True}
    message = method.encode(Page(items=[ONE], next_page_token="next", total=7))
    assert (message.count, message.data[0].username) == (7, "ann")
    assert method.decode_response(message) == {"items": [ONE_VALUES], "total": 7}


def test_list_response_of_structs(proto: Any) -> None:
    method = proto(
        "message ListResponse { repeated google.protobuf.Struct data = 1; int64 count = 2; }"
        "message ListRequest { int64 limit = 1; int64 offset = 2; bool with_total = 3; }"
        + _rpc("ListRequest", "ListResponse"),
        Method(name="Do", request=LIST, response=PAGE),
    ).methods[0]
    assert method.decode(method.input_type(limit=3)) == {"page_size": 3}
    message = method.encode(Page(items=[ONE], total=1))
    assert method.decode_response(message)["items"] == [ONE_VALUES]


def test_list_without_total_counts_its_items(proto: Any) -> None:
    method = proto(
        "message R {} message UserResponse { repeated User data = 1; int32 count = 2; }"
        + _rpc("R", "UserResponse"),
        Method(name="Do", request=Record(name="R"), response=record_of("Us", items=list[User])),
    ).methods[0]
    message = method.encode({"items": [ONE, ONE]})
    assert message.count == 2
    assert method.decode_response(message) == {"items": [ONE_VALUES, ONE_VALUES]}


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ("User data = 1;", "data"),
        ("google.protobuf.Struct data = 1;", "data"),
        ("google.protobuf.Value result = 1;", "result"),
        ("User result = 1;", "result"),
        ("User item = 1;", "item"),
    ],
)
def test_one_record_in_a_response_that_holds_it(proto: Any, shape: str, field: str) -> None:
    method = proto(
        f"message R {{ int64 pk = 1; }} message ItemResponse {{ {shape} }}"
        + _rpc("R", "ItemResponse"),
        Method(name="Do", request=GET, response=USER),
    ).methods[0]
    message = method.encode(ONE)
    assert message.HasField(field)
    assert method.decode_response(message) == ONE_VALUES
    assert method.decode(method.input_type(pk=5)) == {"id": 5}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, 5), (list[int], [1, 2]), (dict[str, Any], {"a": None}), (str | None, None), (User, ONE)],
)
def test_result_in_a_value(proto: Any, annotation: Any, value: Any) -> None:
    method = proto(
        "message R {} message ResultResponse { google.protobuf.Value result = 1; }"
        + _rpc("R", "ResultResponse"),
        Method(name="Do", request=Record(name="R"), response=record_of("Got", result=annotation)),
    ).methods[0]
    back = method.decode_response(method.encode({"result": value}))
    assert back == {"result": ONE_VALUES if value is ONE else value}


def test_empty_result_says_true(proto: Any) -> None:
    method = proto(
        "message R { int64 id = 1; } message ResultResponse { bool result = 1; }"
        + _rpc("R", "ResultResponse"),
        Method(name="Do", request=GET, response=None),
    ).methods[0]
    assert method.encode(None).result is True


def test_empty_result_may_be_any_message(proto: Any) -> None:
    method = proto(
        "message R { int64 id = 1; } message Other { repeated bool result = 1; }"
        + _rpc("R", "Other"),
        Method(name="Do", request=GET, response=None),
    ).methods[0]
    assert method.encode(None) == method.output_type()


# -- requests of hand-written messages -------------------------------------------------------------


def test_body_whose_fields_are_the_request(proto: Any) -> None:
    method = proto(
        "message R { string username = 1; int64 age = 2; map<string, int64> scores = 3; }"
        + _rpc("R"),
        Method(name="Do", request=CREATE, response=None),
    ).methods[0]
    message = method.input_type(username="ann")
    assert method.decode(message) == {"user": {"username": "ann", "scores": {}}}
    assert method.encode_request({"user": {"username": "ann"}}) == message
    assert method.decode(method.input_type()) == {"user": {"username": "", "scores": {}}}


def test_inlined_update_without_presence(proto: Any) -> None:
    method = proto(
        "message R { int64 id = 1; string username = 2; int64 age = 3; repeated string tags = 4;"
        "  google.protobuf.FieldMask update_mask = 5; }" + _rpc("R"),
        Method(name="Do", request=UPDATE, response=None),
    ).methods[0]
    assert method.decode(method.input_type(id=1, username="x")) == {
        "id": 1,
        "user": {"username": "x"},
    }
    masked = method.input_type(id=1, update_mask={"paths": ["username", "tags", "age", "scores"]})
    assert method.decode(masked)["user"] == {"username": "", "tags": [], "age": 0}


@pytest.mark.parametrize("kind", ["User", "google.protobuf.Struct"])
def test_body_called_data(proto: Any, kind: str) -> None:
    method = proto(
        f"message R {{ int64 id = 1; {kind} data = 2; }}" + _rpc("R"),
        Method(name="Do", request=UPDATE, response=None),
    ).methods[0]
    sent = {"id": 1, "user": {"username": "x", "age": 5}}
    assert method.decode(method.encode_request(sent)) == sent


@pytest.mark.parametrize(
    ("message", "request_", "expected"),
    [
        (
            "int64 id = 1; string color = 2;",
            GET,
            "message sample.R: field 'color' has no counterpart in GetUserRequest, which has id",
        ),
        ("", GET, "message sample.R: no field 'id', without which GetUserRequest is never valid"),
        (
            "int64 id = 1;",
            Record(name="Upd").fill((ID, BODY)),
            "no field 'username', without which .*User is never valid",
        ),
        (
            "int64 id = 1;",
            UPDATE,
            "neither a field 'user' nor fields of .*User, which the request is about; it has id",
        ),
        (
            "string username = 1; map<string, int64> scores = 2; string color = 3;",
            CREATE,
            "field 'color' has no counterpart in CreateUserRequest, which has id, username",
        ),
    ],
)
def test_request_that_cannot_be_answered_is_refused(
    proto: Any, message: str, request_: Record, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"sample.proto: .*{expected}"):
        proto(
            f"message R {{ {message} }}" + _rpc("R"),
            Method(name="Do", request=request_, response=None),
        )


def test_optional_body_may_be_left_out(proto: Any) -> None:
    body = TreeField(name="user", node=USER, is_required=False)
    method = proto(
        "message R { int64 id = 1; }" + _rpc("R"),
        Method(name="Do", request=Record(name="Q").fill((ID, body)), response=None),
    ).methods[0]
    assert method.decode(method.input_type(id=4)) == {"id": 4}


@pytest.mark.parametrize(
    ("message", "response", "expected"),
    [
        ("int64 id = 1; string color = 2;", USER, "field 'color' has no counterpart in .*User"),
        ("User data = 1; bool more = 2;", USER, "field 'more' has no counterpart in User"),
        ("repeated User data = 1;", USER, "field 'data' is repeated sample.User"),
        ("repeated User data = 1; string count = 2;", PAGE, "field 'count' is string"),
        ("repeated User items = 1; int64 size = 2;", PAGE, "field 'size' has no counterpart"),
    ],
)
def test_response_that_cannot_be_filled_is_refused(
    proto: Any, message: str, response: Record, expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"sample.proto: message sample.Out.*{expected}"):
        proto(
            f"message R {{ int64 id = 1; }} message Out {{ {message} }}" + _rpc("R", "Out"),
            Method(name="Do", request=GET, response=response),
        )


def test_response_may_have_fewer_fields(proto: Any) -> None:
    method = proto(
        "message R { int64 id = 1; } message Small { int64 id = 1; int64 age = 2; }"
        + _rpc("R", "Small"),
        Method(name="Do", request=GET, response=USER),
    ).methods[0]
    assert method.decode_response(method.encode(ONE)) == {"id": 1, "age": 0}
