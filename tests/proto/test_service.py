from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import wrappers_pb2

from bali.errors import ConfigurationError
from bali.proto import Method, bind_request, bind_response, bind_service
from bali.schemas import Record
from tests.proto.protoc import compile_service
from tests.proto.samples import record_of, service, shape_of

TEXT = """
syntax = "proto3";
package sample;
message GetRequest { int64 id = 1; }
message Answer { string name = 1; }
service SampleService {
  rpc Get(GetRequest) returns (Answer);
  rpc Watch(GetRequest) returns (stream Answer);
  rpc Upload(stream GetRequest) returns (Answer);
  rpc Other(GetRequest) returns (Answer);
}
"""
GET = record_of("AnyName", id=int)
ANSWER = record_of("AnyOther", name=str)


def test_compiled_service_is_bound_by_names(tmp_path: Path) -> None:
    descriptor = compile_service(TEXT, tmp_path, "sample.SampleService")
    bound = bind_service(
        shape_of(
            Method(name="Get", request=GET, response=ANSWER),
            Method(name="Watch", request=GET, response=ANSWER, is_server_streaming=True),
        ),
        descriptor,
    )
    assert bound.full_name == "sample.SampleService"
    assert bound.pool is descriptor.file.pool
    assert bound.file is descriptor.file
    assert [method.path for method in bound.methods] == [
        "/sample.SampleService/Get",
        "/sample.SampleService/Watch",
    ]
    get, watch = bound.methods
    assert watch.is_server_streaming
    assert get.input_type.DESCRIPTOR is descriptor.methods_by_name["Get"].input_type
    assert get.decode(get.input_type.FromString(b"\x08\x05")) == {"id": 5}
    assert get.encode({"name": "ann"}).SerializeToString() == b"\x0a\x03ann"


def test_method_that_the_proto_lacks_is_refused(tmp_path: Path) -> None:
    descriptor = compile_service(TEXT, tmp_path, "sample.SampleService")
    method = Method(name="Drop", request=GET, response=ANSWER)
    with pytest.raises(ConfigurationError, match=r"sample.proto: .* no method Drop; it has Get, W"):
        bind_service(shape_of(method), descriptor)


@pytest.mark.parametrize(
    ("name", "is_streaming", "wanted"),
    [
        ("Get", True, "a stream of responses"),
        ("Watch", False, "one response"),
        ("Upload", False, "one request"),
    ],
)
def test_other_kind_of_stream_is_refused(
    tmp_path: Path, name: str, is_streaming: bool, wanted: str
) -> None:
    descriptor = compile_service(TEXT, tmp_path, "sample.SampleService")
    method = Method(name=name, request=GET, response=ANSWER, is_server_streaming=is_streaming)
    with pytest.raises(ConfigurationError, match=f"SampleService.{name} must take .*{wanted}"):
        bind_service(shape_of(method), descriptor)


def test_generated_classes_are_used_for_their_descriptors() -> None:
    # What a servicer of protoc's own stubs gets and gives are the classes of its pb2 module.
    record = record_of("Holder", value=int)
    request = bind_request(record, wrappers_pb2.Int64Value.DESCRIPTOR)
    response = bind_response(record, wrappers_pb2.Int64Value.DESCRIPTOR)
    assert request.to_values(wrappers_pb2.Int64Value(value=4)) == {"value": 4}
    assert type(response.to_message({"value": 4})) is wrappers_pb2.Int64Value


def test_service_without_methods() -> None:
    assert service().methods == ()


def test_empty_request_takes_nothing() -> None:
    method = service(Method(name="Go", request=Record(name="GoRequest"), response=None)).methods[0]
    assert method.decode(method.encode_request({})) == {}
