"""Fakes answer as the real clients do, and remember what they were asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bali.errors import ConfigurationError, NotFound, ValidationFailed
from tests.clients.both import Blocking
from tests.clients.generated import module


@pytest.fixture(params=["sync", "async"])
def fake(request: pytest.FixtureRequest) -> Iterator[Any]:
    fakes = module("user.user_fake")
    if request.param == "sync":
        yield fakes.FakeUserClient()
    else:
        with Blocking(fakes.AsyncFakeUserClient) as blocking:
            yield blocking


def test_it_is_of_the_type_of_the_real_one() -> None:
    fakes, clients = module("user.user_fake"), module("user.user_client")
    assert isinstance(fakes.FakeUserClient(), clients.UserClient)
    assert isinstance(fakes.AsyncFakeUserClient(), clients.AsyncUserClient)


def test_it_answers_what_it_was_told_in_turn(fake: Any, schemas: Any) -> None:
    fake.respond("get_user", schemas.User(id=1), {"id": 2})
    assert [fake.get_user(id=9).id for _ in range(3)] == [1, 2, 2]


def test_an_answer_may_depend_on_the_request(fake: Any, schemas: Any) -> None:
    fake.respond("get_user", lambda request: schemas.User(id=request.id * 2))
    assert fake.get_user(id=4).id == 8


def test_an_answer_may_be_an_error(fake: Any, schemas: Any) -> None:
    fake.respond("get_user", NotFound("no user 9"))
    with pytest.raises(NotFound, match="no user 9"):
        fake.get_user(id=9)
    assert fake.get_user(id=9, fail_silently=True) == schemas.User()


def test_calls_are_recorded_with_their_requests(fake: Any, schemas: Any) -> None:
    fake.respond("get_user", schemas.User())
    fake.respond("delete_user", None)
    fake.get_user(id=9, timeout=3)
    assert fake.delete_user(id=8) is None
    assert [(call.method, call.request.id) for call in fake.calls] == [
        ("get_user", 9),
        ("delete_user", 8),
    ]
    assert fake.calls_of("get_user")[0].options == {"timeout": 3}


def test_requests_are_checked_as_for_the_real_one(fake: Any, schemas: Any) -> None:
    fake.respond("get_user", schemas.User())
    with pytest.raises(ValidationFailed):
        fake.get_user(id="nine")
    assert fake.calls == []


def test_streams_and_pages_are_faked(fake: Any, schemas: Any) -> None:
    users = [schemas.User(id=1), schemas.User(id=2)]
    fake.respond("watch_users", users)
    assert list(fake.watch_users(count=2)) == users
    fake.respond("import_users", lambda requests: {"count": len(requests)})
    assert fake.import_users(users).count == 2
    fake.respond("echo_users", lambda requests: requests)
    assert list(fake.echo_users(users)) == users
    fake.respond("list_users", {"items": users[:1], "next_page_token": "x"}, {"items": users[1:]})
    assert list(fake.iter_users()) == users


def test_former_names_are_known(fake: Any, schemas: Any) -> None:
    fake.respond("get_users", {"items": [schemas.User(id=1)]})
    assert fake.get_users().items[0].id == 1


def test_what_cannot_be_is_told(fake: Any, schemas: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no method 'get_usr'; it has .*get_user"):
        fake.respond("get_usr", schemas.User())
    with pytest.raises(ConfigurationError, match="was given no answer"):
        fake.respond("get_user")
    with pytest.raises(ConfigurationError, match=r"no answer for get_user; give it one"):
        fake.get_user(id=1)
    fake.respond("get_user", schemas.ListUsersResponse())
    with pytest.raises(ConfigurationError, match="answers with User, but"):
        fake.get_user(id=1)


def test_a_fake_refuses_what_the_client_refuses() -> None:
    fake = module("user.user_fake").FakeUserClient()
    fake.respond("get_user", {"id": 1})
    with pytest.raises(TypeError, match="do you mean id"):
        fake.get_user(idd=1)
    with pytest.raises(ValueError, match="metadata 'x' has characters"):
        fake.get_user(id=1, metadata={"x": "größe"})
    assert fake.calls == []


def test_wrong_answers_are_told_in_words() -> None:
    fake = module("user.user_fake").FakeUserClient()
    fake.respond("get_user", NotFound)
    with pytest.raises(ConfigurationError, match=r"was given <class 'bali\.errors\.NotFound'>"):
        fake.get_user(id=1)

    async def later(_: Any) -> dict[str, int]:
        return {"id": 1}

    fake.respond("get_user", later)
    with pytest.raises(ConfigurationError, match="get_user is not async here"):
        fake.get_user(id=1)
    with pytest.raises(ConfigurationError, match=r"has no method 'nope'; it has .*get_user"):
        fake.calls_of("nope")


def test_an_async_fake_takes_async_functions() -> None:
    async def later(request: Any) -> dict[str, int]:
        return {"id": request.id}

    with Blocking(module("user.user_fake").AsyncFakeUserClient) as fake:
        fake.respond("get_user", later)
        assert fake.get_user(id=7).id == 7


@pytest.mark.parametrize("answer", [{"id": 1}, 5, "text"])
def test_a_stream_is_answered_with_a_list(fake: Any, answer: Any) -> None:
    fake.respond("watch_users", answer)
    with pytest.raises(ConfigurationError, match="watch_users is a stream; give respond"):
        list(fake.watch_users())


def test_a_stream_may_break_off(fake: Any) -> None:
    fake.respond("watch_users", [{"id": 1}, NotFound("gone")])
    items = fake.watch_users()
    assert next(items).id == 1
    with pytest.raises(NotFound, match="gone"):
        next(items)
    assert [item.id for item in fake.watch_users(fail_silently=True)] == [1]
