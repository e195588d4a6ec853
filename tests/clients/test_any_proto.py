"""Whatever a .proto may say has a client: names, well-known types, keywords."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import any_pb2, wrappers_pb2

from bali.clients import codec_of
from tests.clients.generated import module


def through_the_wire(value: Any) -> Any:
    codec = codec_of(type(value))
    raw = codec.to_message(value).SerializeToString()
    return codec.to_schema(type(value).message_type.FromString(raw))


def test_well_known_types_come_back_as_they_were() -> None:
    schemas, money = module("odd.odd_names_schema"), module("google.type.money_schema")
    packed = any_pb2.Any()
    packed.Pack(wrappers_pb2.StringValue(value="x"))
    value = schemas.Pass(
        date=datetime.date(2026, 2, 3),
        time=datetime.time(4, 5, 6),
        span=datetime.timedelta(days=-1, microseconds=5),
        struct={"a": [1, None, {"b": True}]},
        value=[1.5, "x"],
        values=["a", 2, None],
        any=packed,
        text="",
        number=0,
        flag=False,
        price=money.Money(currency_code="EUR", units=5),
        self=schemas.Pass(big=2**64 - 1),
        items={-1: schemas.PassItem(name="i", item=schemas.PassItemItem())},
        colors=[schemas.PassColor.Green, schemas.PassColor.name_],
        fixed=-5,
        days={True: datetime.date(2026, 1, 1)},
    )
    found = through_the_wire(value)
    assert found == value
    assert found.colors[1].value == -1
    assert isinstance(found.self, schemas.Pass)


def test_names_that_python_has_a_use_for_are_reached_either_way() -> None:
    schemas = module("odd.odd_names_schema")
    value = schemas.Pass.model_validate({"class": "a", "from": 1, "list": "b", "_hidden": "c"})
    assert (value.class_, value.from_, value.list_, value.hidden) == ("a", 1, "b", "c")
    assert schemas.Pass(class_="a", message_type_="m").class_ == "a"
    assert through_the_wire(value) == value
    assert value.model_dump(exclude_unset=True) == {
        "class": "a",
        "from": 1,
        "list": "b",
        "_hidden": "c",
    }


def test_keywords_everywhere_are_served() -> None:
    schemas = module("odd.keywords_schema")
    value = schemas.None_.model_validate({"class": {"import": {"pass": "x"}}, "true": 0})
    assert through_the_wire(value) == value
    assert value.class_.import_.pass_ == "x"


def test_a_message_of_google_may_be_request_and_response() -> None:
    clients, schemas = module("odd.odd_names_client"), module("odd.odd_names_schema")

    def handle(request: Any, _: Any) -> Any:
        return schemas.Any_.message_type(value={"string_value": request.value})

    server = grpc.server(ThreadPoolExecutor(1))
    handler: Any = grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=wrappers_pb2.StringValue.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("acme.odd.v1.OddService", {"GetURL": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with clients.OddClient(f"127.0.0.1:{port}") as client:
        assert client.get_url(wrappers_pb2.StringValue(value="x")).value == "x"
        assert client.get_url().value == ""
    server.stop(None).wait()


def test_two_services_of_one_file_have_clients_of_their_own() -> None:
    clients = module("odd.odd_names_client")
    assert clients.OddClient is not clients.Odd_Client
    paths = {client.methods["import_"].path for client in (clients.OddClient, clients.Odd_Client)}
    assert paths == {"/acme.odd.v1.OddService/Import", "/acme.odd.v1.Odd/Import"}


def test_fields_with_the_names_of_options_are_keyword_arguments() -> None:
    fake = module("odd.odd_names_fake").FakeOddClient()
    fake.respond("timeout", lambda request: request)
    answer = fake.timeout(timeout_=2.0, metadata_="m", refresh_=True, request_="r", self_="s")
    assert (answer.timeout, answer.metadata, answer.refresh) == (2.0, "m", True)
