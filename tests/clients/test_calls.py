"""What a call sends, and what it returns, from a sync and an async client alike."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from bali.clients import UNSET
from bali.errors import DataLoss, ValidationFailed
from tests.clients.generated import UserServer

MOMENT = datetime.datetime(2026, 2, 3, 4, 5, 6, 7000, tzinfo=datetime.UTC)


@pytest.fixture
def echo(server: UserServer) -> None:
    server.behaviours["CreateUser"] = lambda request, _: request.user


@pytest.fixture
def whole(schemas: Any) -> Any:
    common = __import__("generated_clients.intermediates.common.types_schema", fromlist=["Address"])
    return schemas.User(
        id=2**62,
        username="ann",
        age=41,
        created_time=MOMENT,
        balance=decimal.Decimal("12.3400"),
        size=schemas.Size.LARGE,
        tags=["a", "b"],
        scores={"go": -5},
        address=common.Address(street="Main", country=common.Country.IT),
        avatar=b"\x00\xff",
        is_active=True,
        former_addresses=[common.Address(street="Old")],
        phone=schemas.UserPhone(number="1", kind=schemas.UserPhoneKind.MOBILE),
    )


@pytest.mark.usefixtures("echo")
def test_every_kind_of_field_comes_back_as_it_was(client: Any, whole: Any) -> None:
    answer = client.create_user(user=whole)
    assert answer == whole
    assert type(answer.size) is type(whole.size)
    assert answer.contact == "phone"


@pytest.mark.usefixtures("echo")
def test_nothing_set_comes_back_as_nothing(client: Any, schemas: Any) -> None:
    answer = client.create_user(user=schemas.User())
    assert answer == schemas.User()
    assert answer.age is None
    assert answer.contact is None


@pytest.mark.usefixtures("echo")
def test_a_request_is_keywords_a_schema_a_mapping_or_a_message(
    client: Any, schemas: Any, pb2: Any
) -> None:
    ann = schemas.User(username="ann")
    for request in (
        schemas.CreateUserRequest(user=ann),
        {"user": {"username": "ann"}},
        pb2.CreateUserRequest(user=pb2.User(username="ann")),
    ):
        assert client.create_user(request).username == "ann"
    assert client.create_user(user=ann).username == "ann"
    assert client.create_user(user={"username": "ann"}).username == "ann"


def test_a_request_and_keywords_together_are_refused(client: Any, schemas: Any) -> None:
    with pytest.raises(TypeError, match="a request or keyword arguments, not both"):
        client.get_user(schemas.GetUserRequest(id=1), id=2)
    with pytest.raises(TypeError, match="takes a GetUserRequest, found User"):
        client.get_user(schemas.User(id=1))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"id": "many"}, "id"),
        ({"idd": 1}, "idd"),
        ({"id": 2**70}, "id"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_sent(
    client: Any, server: UserServer, request_: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        client.get_user(request_)
    assert [item.field for item in caught.value.field_errors] == [field]
    assert server.seen == []


def test_a_value_that_does_not_fit_deep_inside_is_named(client: Any, schemas: Any) -> None:
    user = schemas.User(scores={"x": 1}, created_time=MOMENT)
    user.scores["y"] = 2**70
    with pytest.raises(ValidationFailed) as caught:
        client.create_user(user=user)
    assert [item.field for item in caught.value.field_errors] == ["user.scores"]


def test_two_fields_of_a_oneof_are_refused(schemas: Any) -> None:
    with pytest.raises(ValueError, match="at most one of contact may be set"):
        schemas.User(email="a@b", phone=schemas.UserPhone())


def test_a_number_that_this_version_does_not_know_survives(
    client: Any, server: UserServer, schemas: Any, pb2: Any
) -> None:
    server.behaviours["GetUser"] = lambda *_: pb2.User(size=7)
    answer = client.get_user(id=1)
    assert answer.size == 7
    assert answer.size.name == "UNRECOGNIZED_7"
    server.behaviours["CreateUser"] = lambda request, _: request.user
    assert client.create_user(user=answer).size == 7
    assert schemas.Size("LARGE") is schemas.Size.LARGE


def test_a_field_that_this_version_does_not_know_is_passed_over(
    client: Any, server: UserServer, pb2: Any
) -> None:
    unknown = pb2.User.FromString(pb2.User(id=3).SerializeToString() + b"\xfa\x3f\x03new")
    server.behaviours["GetUser"] = lambda *_: unknown
    assert client.get_user(id=3).id == 3


def test_a_time_that_python_does_not_have_is_told(
    client: Any, server: UserServer, pb2: Any
) -> None:
    user = pb2.User()
    user.created_time.seconds = 10**15
    server.behaviours["GetUser"] = lambda *_: user
    with pytest.raises(DataLoss, match="created_time"):
        client.get_user(id=3)


def test_an_empty_answer_is_none(client: Any, server: UserServer) -> None:
    server.behaviours["DeleteUser"] = server.behaviours["Reset"] = lambda *_: Empty()
    assert client.delete_user(id=1) is None
    assert client.reset() is None
    assert [seen.method for seen in server.seen] == ["DeleteUser", "Reset"]


def test_what_was_not_given_is_not_sent(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["ListUsers"] = lambda *_: pb2.ListUsersResponse()
    client.list_users(username=UNSET, page_size=5)
    assert not server.seen[0].request.HasField("username")
    client.list_users(username="")
    assert server.seen[1].request.HasField("username")


def test_a_mask_may_name_what_is_in_a_record(
    client: Any, server: UserServer, schemas: Any, pb2: Any
) -> None:
    server.behaviours["UpdateUser"] = lambda request, _: request.user
    types = __import__("generated_clients.intermediates.common.types_schema", fromlist=["Address"])
    user = schemas.User(address=types.Address(street="Main"))
    client.update_user(id=1, user=user, update_mask=["address.street", "address.country"])
    sent = server.seen[0].request
    assert list(sent.update_mask.paths) == ["address.street", "address.country"]
    assert sent.user == pb2.User(address={"street": "Main"})


def test_clearing_a_field_puts_it_into_the_mask(
    client: Any, server: UserServer, schemas: Any
) -> None:
    server.behaviours["UpdateUser"] = lambda request, _: request.user
    client.update_user(id=1, user=schemas.User(username="bob", age=None))
    assert sorted(server.seen[0].request.update_mask.paths) == ["age", "username"]
    client.update_user(id=1, user=schemas.User(age=None), update_mask=["username"])
    assert list(server.seen[1].request.update_mask.paths) == ["username"]
    client.update_user(id=1, user=schemas.User(username="bob"))
    assert not server.seen[2].request.HasField("update_mask")


def test_former_names_are_known(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["ListUsers"] = lambda *_: pb2.ListUsersResponse(items=[pb2.User(id=1)])
    assert [user.id for user in client.get_users().items] == [1]


# -- streams -------------------------------------------------------------------------------------


def test_a_server_stream_is_an_iterator(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["WatchUsers"] = lambda request, _: (
        pb2.User(id=number) for number in range(request.count)
    )
    assert [user.id for user in client.watch_users(count=3)] == [0, 1, 2]


def test_leaving_a_stream_cancels_it(client: Any, server: UserServer, pb2: Any) -> None:
    def endless(request: Any, context: Any) -> Any:
        while context.is_active():
            yield pb2.User(id=1)

    server.behaviours["WatchUsers"] = endless
    items = client.watch_users(count=1)
    assert next(items).id == 1
    items.close()
    assert server.cancelled.wait(20)


def test_a_client_stream_takes_an_iterable(
    client: Any, server: UserServer, schemas: Any, pb2: Any
) -> None:
    server.behaviours["ImportUsers"] = lambda requests, _: pb2.ImportUsersResponse(
        count=sum(user.id for user in requests)
    )
    users = (schemas.User(id=number) for number in (1, 2, 3))
    assert client.import_users(users).count == 6


def test_both_sides_may_stream(client: Any, server: UserServer, schemas: Any) -> None:
    server.behaviours["EchoUsers"] = lambda requests, _: iter(requests)
    users = [schemas.User(id=number) for number in (1, 2, 3)]
    assert list(client.echo_users(users)) == users


# -- pages ---------------------------------------------------------------------------------------


def pages(pb2: Any) -> Any:
    def list_users(request: Any, _: Any) -> Any:
        start = int(request.page_token or 0)
        more = start + 2 < 5
        return pb2.ListUsersResponse(
            items=[pb2.User(id=number) for number in range(start, min(5, start + 2))],
            next_page_token=str(start + 2) if more else "",
        )

    return list_users


def test_all_pages_are_walked(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["ListUsers"] = pages(pb2)
    assert [user.id for user in client.iter_users(username="a")] == [0, 1, 2, 3, 4]
    assert {seen.request.username for seen in server.seen} == {"a"}
    assert [user.id for user in client.iter_users(page_token="4")] == [4]


def test_pages_that_never_end_are_told(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["ListUsers"] = lambda *_: pb2.ListUsersResponse(next_page_token="x")
    with pytest.raises(DataLoss, match="page token"):
        list(client.iter_users())


@pytest.mark.usefixtures("echo")
def test_an_answer_goes_through_json_and_back_with_its_bytes(client: Any, whole: Any) -> None:
    answer = client.create_user(user=whole)
    assert type(answer).model_validate_json(answer.model_dump_json()) == answer
    assert "AP8=" in answer.model_dump_json()
