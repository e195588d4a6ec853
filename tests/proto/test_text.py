from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.type import decimal_pb2
from hypothesis import given, settings
from pydantic import BaseModel

from bali.proto import BoundService, Method, ServiceShape, build_service, proto_text
from bali.schemas import Describer, Field, Record
from tests.proto.protoc import compile_text, run
from tests.proto.samples import Everything, Line, Square, everything, mask_field, record_of, service

GOLDEN = Path(__file__).parent / "golden" / "everything.proto"


def _sample() -> BoundService:
    describer = Describer()
    record, line = describer.model(Everything), describer.model(Line)
    update = Record(name="UpdateLineRequest", description="Request of UpdateLine.").fill(
        (*record_of("X", id=int).fields, Field(name="line", node=line), mask_field())
    )
    total = record_of("TotalResponse", result=int, note=str | None, size=Literal["s", "m"])
    return build_service(
        ServiceShape(
            package="sample.v1",
            name="SampleService",
            file_name="sample.proto",
            description="Everything there is.\n\nAnd no more.",
            methods=(
                Method(name="Echo", request=record, response=record, description="Say it again."),
                Method(name="Watch", request=line, response=record, is_server_streaming=True),
                Method(
                    name="UpdateLine",
                    request=update,
                    response=None,
                    description="Change one line.\n\nOnly what the mask names.",
                ),
                Method(name="Total", request=Record(name="TotalRequest"), response=total),
            ),
        )
    )


def _assert_compiles_to_itself(bound: BoundService, folder: Path) -> None:
    pool = compile_text(proto_text(bound), folder)
    compiled, own = (descriptor_pb2.FileDescriptorProto() for _ in range(2))
    pool.FindFileByName("sample.proto").CopyToProto(compiled)
    bound.file.CopyToProto(own)
    assert compiled == own


def test_text_is_as_reviewed() -> None:
    assert proto_text(_sample()) == GOLDEN.read_text(encoding="utf-8")


def test_text_compiles_to_the_descriptors_of_the_service(tmp_path: Path) -> None:
    _assert_compiles_to_itself(_sample(), tmp_path)


def test_text_without_package_compiles(tmp_path: Path) -> None:
    method = Method(name="Get", request=record_of("GetRequest", id=int), response=None)
    _assert_compiles_to_itself(service(method, package=""), tmp_path)
    _assert_compiles_to_itself(service(package="a.b.c"), tmp_path)


#: Words with a meaning in .proto files or in Python, and names that are nearly one another.
_NAMES = [
    *("syntax", "package", "message", "enum", "service", "rpc", "returns", "stream", "option"),
    *("optional", "repeated", "required", "oneof", "map", "reserved", "extensions", "extend"),
    *("group", "import", "public", "weak", "max", "to", "inf", "nan", "true", "false", "default"),
    *("string", "int64", "bool", "bytes", "double", "google", "sample", "edition", "export"),
    *("class", "def", "None", "self", "lambda", "DESCRIPTOR", "FromString", "class_x", "_x", "x"),
    *("age__gte", "a1_b", "aC", "CD", "_e_f", "Line", "LineEntry", "Xx", "camelCase", "X_y"),
]


@pytest.mark.parametrize("annotation", [int, str | None, list[bool], Line, Square | None])
def test_any_field_name_compiles_and_is_carried(annotation: Any, tmp_path: Path) -> None:
    request = record_of("AskRequest", **dict.fromkeys(_NAMES, annotation))
    answer = record_of("AskResponse", **dict.fromkeys(_NAMES, annotation))
    bound = service(Method(name="Ask", request=request, response=answer))
    _assert_compiles_to_itself(bound, tmp_path)
    value: Any = {int: 7, list[bool]: [True]}.get(annotation, "v")
    if annotation in (Line, Square | None):
        value = {"sku": "s"} if annotation is Line else {"side": 1.0}
    sent = dict.fromkeys(_NAMES, value)
    method = bound.methods[0]
    message = method.input_type.FromString(method.encode_request(sent).SerializeToString())
    assert method.decode(message) == sent


def test_map_entry_does_not_hide_a_schema_of_its_name(tmp_path: Path) -> None:
    class LineEntry(BaseModel):
        note: str

    request = record_of("AskRequest", line=dict[str, int], other=LineEntry)
    _assert_compiles_to_itself(
        service(Method(name="Ask", request=request, response=None)), tmp_path
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module that protoc writes from our text, in the process-wide pool."""
    folder = tmp_path_factory.mktemp("compiled")
    # A name of its own, since the default pool keeps what it once has.
    text = GOLDEN.read_text(encoding="utf-8").replace("sample.v1", "golden_of_bali.v1")
    (folder / "golden_of_bali.proto").write_text(text, encoding="utf-8")
    run(folder, "golden_of_bali.proto", f"--python_out={folder}")
    spec = importlib.util.spec_from_file_location(
        "golden_of_bali_pb2", folder / "golden_of_bali_pb2.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


ECHO = _sample().methods[0]


@given(value=everything)
@settings(max_examples=60)
def test_stubs_of_protoc_read_and_write_the_same_bytes(
    compiled: ModuleType, value: Everything
) -> None:
    sent = ECHO.encode(value)
    foreign = compiled.Everything.FromString(sent.SerializeToString())
    assert not foreign.FindInitializationErrors()
    assert foreign.SerializeToString(deterministic=True) == sent.SerializeToString(
        deterministic=True
    )
    assert foreign.whole == value.whole
    moment = timestamp_pb2.Timestamp.FromString(foreign.moment.SerializeToString())
    assert moment.ToMicroseconds() * 1000 == foreign.moment.ToNanoseconds()
    assert isinstance(foreign.moment, timestamp_pb2.Timestamp)
    assert isinstance(foreign.money, decimal_pb2.Decimal)
    received = ECHO.input_type.FromString(foreign.SerializeToString())
    assert Everything.model_validate(ECHO.decode(received)) == value
