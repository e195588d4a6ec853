"""Time, attempts, metadata and the cache of a call."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from bali.errors import ConfigurationError, DeadlineExceeded, ResourceExhausted, Unavailable
from bali.propagation import current
from bali.resources import Context
from tests.clients.both import Blocking
from tests.clients.generated import UserServer, module
from tests.clients.test_errors import failing


def opened(client: Any, server: UserServer, **changes: Any) -> Any:
    """Return a client of the same kind with other options."""
    clients = module("user.user_client")
    if isinstance(client, Blocking):
        return Blocking(lambda: clients.AsyncUserClient(server.address, **changes))
    return clients.UserClient(server.address, **changes)


# -- deadlines -----------------------------------------------------------------------------------


def remaining(client: Any, server: UserServer, pb2: Any, **options: Any) -> float | None:
    server.behaviours["GetUser"] = lambda *_: pb2.User()
    client.get_user(id=1, **options)
    return server.seen[-1].time_remaining


def test_a_call_has_a_deadline_by_default(client: Any, server: UserServer, pb2: Any) -> None:
    left = remaining(client, server, pb2)
    assert left is not None
    assert 5 < left < 11


def test_the_deadline_is_settable_per_client_call_and_environment(
    client: Any, server: UserServer, pb2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = remaining(client, server, pb2, timeout=100)
    assert left is not None
    assert 50 < left < 101
    with opened(client, server, timeout=200) as other:
        left = remaining(other, server, pb2)
        assert left is not None
        assert 150 < left < 201
    monkeypatch.setenv("USER_GRPC_TIMEOUT", "300")
    with opened(client, server) as other:
        left = remaining(other, server, pb2)
        assert left is not None
        assert 250 < left < 301
    unlimited = remaining(client, server, pb2, timeout=None)
    assert unlimited is None or unlimited > 10**6


def test_a_deadline_that_passes_is_told(client: Any, server: UserServer) -> None:
    def slow(_: Any, context: Any) -> Any:
        server.cancelled.wait(30)

    server.behaviours["GetUser"] = slow
    with pytest.raises(DeadlineExceeded, match="did not answer in time"):
        client.get_user(id=1, timeout=0.2)


def test_a_stream_has_no_deadline_of_its_own(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["WatchUsers"] = lambda *_: iter([pb2.User()])
    list(client.watch_users(count=1))
    left = server.seen[-1].time_remaining
    assert left is None or left > 10**6


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
def test_a_time_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_GRPC_TIMEOUT", text)
    with pytest.raises(ConfigurationError, match="USER_GRPC_TIMEOUT"):
        module("user.user_client").UserClient()


# -- attempts ------------------------------------------------------------------------------------


def times(count: int, error: Any, answer: Any) -> Any:
    """Fail so many times, then answer."""
    left = [count]

    def behave(request: Any, context: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            failing(error)(request, context)
        return answer

    return behave


def test_an_idempotent_call_is_tried_again(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["GetUser"] = times(2, Unavailable("busy"), pb2.User(id=1))
    assert client.get_user(id=1).id == 1
    assert len(server.seen) == 3


def test_it_is_given_up_in_the_end(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["GetUser"] = times(9, Unavailable("busy"), pb2.User(id=1))
    with pytest.raises(Unavailable, match="busy"):
        client.get_user(id=1)
    assert len(server.seen) == 3


def test_what_may_have_happened_is_not_done_twice(
    client: Any, server: UserServer, pb2: Any
) -> None:
    server.behaviours["CreateUser"] = times(1, Unavailable("busy"), pb2.User(id=1))
    with pytest.raises(Unavailable):
        client.create_user(user={"username": "ann"})
    assert len(server.seen) == 1


def test_what_a_service_does_once_is_tried_again(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["CreateUser"] = times(2, Unavailable("busy"), pb2.User(id=1))
    assert client.create_user(user={"username": "ann"}, request_id="7d1f").id == 1
    assert [item.request.request_id for item in server.seen] == ["7d1f"] * 3


def test_a_quota_with_a_time_to_come_back_is_waited_for(
    client: Any, server: UserServer, pb2: Any
) -> None:
    error = ResourceExhausted("slower", retry_after_seconds=0.05)
    server.behaviours["GetUser"] = times(1, error, pb2.User(id=1))
    assert client.get_user(id=1).id == 1


def test_a_pause_longer_than_the_deadline_is_not_begun(
    client: Any, server: UserServer, pb2: Any
) -> None:
    error = Unavailable("busy", retry_after_seconds=60)
    server.behaviours["GetUser"] = times(1, error, pb2.User(id=1))
    with pytest.raises(Unavailable):
        client.get_user(id=1)
    assert len(server.seen) == 1


def test_a_stream_is_tried_again_while_nothing_has_come(
    client: Any, server: UserServer, pb2: Any
) -> None:
    clients = module("user.user_client")
    assert not clients.USER_METHODS["watch_users"].is_idempotent
    server.behaviours["WatchUsers"] = times(1, Unavailable("busy"), iter([pb2.User(id=1)]))
    with pytest.raises(Unavailable):
        list(client.watch_users(count=1))


# -- metadata ------------------------------------------------------------------------------------


def test_configured_and_given_metadata_are_sent(client: Any, server: UserServer, pb2: Any) -> None:
    server.behaviours["GetUser"] = lambda *_: pb2.User()
    with opened(client, server, metadata={"X-Tenant": "a", "x-other": "1"}) as other:
        other.get_user(id=1, metadata={"x-tenant": "b", "x-raw-bin": b"\x00"})
    sent = server.seen[-1].metadata
    assert (sent["x-tenant"], sent["x-other"], sent["x-raw-bin"]) == ("b", "1", b"\x00")
    assert sent["traceparent"].count("-") == 3


def test_incoming_metadata_is_sent_on_where_that_is_wanted(
    client: Any, server: UserServer, pb2: Any
) -> None:
    server.behaviours["GetUser"] = lambda *_: pb2.User()
    token = current.set(Context(metadata={"authorization": "Bearer t", "cookie": "c"}))
    try:
        client.get_user(id=1)
        with opened(client, server, forward=("authorization",)) as other:
            other.get_user(id=1)
    finally:
        current.reset(token)
    first, second = (seen.metadata for seen in server.seen)
    assert "authorization" not in first
    assert second["authorization"] == "Bearer t"
    assert "cookie" not in second


# -- the cache -----------------------------------------------------------------------------------


class DictCache(dict[str, Any]):
    """A cache like those that the first bali took."""

    timeouts: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.timeouts = []

    def set(self, key: str, value: Any, timeout: float) -> None:
        self[key] = value
        self.timeouts.append(timeout)

    def delete(self, key: str) -> None:
        self.pop(key, None)


class AsyncDictCache:
    """The same for an event loop."""

    def __init__(self) -> None:
        self.inner = DictCache()

    async def get(self, key: str) -> Any:
        return self.inner.get(key)

    async def set(self, key: str, value: Any, timeout: float) -> None:  # noqa: ASYNC109 - a cache's
        self.inner.set(key, value, timeout)

    async def delete(self, key: str) -> None:
        self.inner.delete(key)


@pytest.fixture
def caching(client: Any, server: UserServer, pb2: Any) -> Any:
    kind = AsyncDictCache if isinstance(client, Blocking) else DictCache
    numbers = iter(range(1, 100))
    server.behaviours["GetUser"] = lambda *_: pb2.User(id=next(numbers))
    with opened(client, server, cache=kind()) as other:
        yield other


def test_an_answer_is_kept_as_long_as_asked(caching: Any, server: UserServer) -> None:
    first = caching.get_user(id=7, cache_timeout=60)
    assert caching.get_user(id=7, cache_timeout=60) == first
    assert len(server.seen) == 1
    assert caching.get_user(id=8, cache_timeout=60) != first
    assert caching.get_user(id=7) != first
    assert len(server.seen) == 3


def test_refresh_asks_anew_and_keeps_that(caching: Any) -> None:
    first = caching.get_user(id=7, cache_timeout=60)
    second = caching.get_user(id=7, cache_timeout=60, refresh=True)
    assert second != first
    assert caching.get_user(id=7, cache_timeout=60) == second


def test_callers_do_not_see_what_was_kept_for_others(caching: Any) -> None:
    mine = caching.get_user(id=7, cache_timeout=60, metadata={"authorization": "me"})
    other = caching.get_user(id=7, cache_timeout=60, metadata={"authorization": "you"})
    assert mine != other


def test_what_a_cache_has_and_is_not_ours_is_passed_over(
    client: Any, server: UserServer, pb2: Any
) -> None:
    class Strange(DictCache):
        def get(self, key: str, default: Any = None) -> Any:
            return {"not": "bytes"}

    server.behaviours["GetUser"] = lambda *_: pb2.User(id=1)
    with opened(client, server, cache=Strange()) as other:
        assert other.get_user(id=1, cache_timeout=60).id == 1


# -- options -------------------------------------------------------------------------------------


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="no option timeot"):
        module("user.user_client").UserClient("a:1", timeot=3)


def test_codes_of_grpc_are_complete() -> None:
    assert {code.value[0] for code in grpc.StatusCode} == set(range(17))


# -- what a person gets wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"idd": 1}, TypeError, "get_user has no argument 'idd'; do you mean id?"),
        ({"tmeout": 1}, TypeError, "get_user has no argument 'tmeout'; do you mean timeout?"),
        ({"timeout": "5"}, TypeError, "timeout is '5'; give seconds as a number"),
        ({"timeout": float("nan")}, TypeError, "timeout is nan"),
        ({"timeout": True}, TypeError, "timeout is True"),
        ({"metadata": "abc"}, TypeError, "metadata is str; give a mapping"),
        ({"metadata": {"x": 1}}, TypeError, "metadata 'x' is int; give text"),
        ({"metadata": {"x": None}}, TypeError, "metadata 'x' is NoneType"),
        ({"metadata": {"x-bin": "a"}}, TypeError, "metadata 'x-bin' is str; .* has bytes"),
        ({"metadata": {"x": "größe"}}, ValueError, "metadata 'x' has characters .* 'x-bin'"),
        ({"metadata": {"x": "a\nb"}}, ValueError, "metadata 'x' has characters"),
        ({"metadata": {"a b": "x"}}, ValueError, "metadata cannot have the name 'a b'"),
        ({"metadata": {"größe": "x"}}, ValueError, "metadata cannot have the name 'größe'"),
        ({"metadata": {"": "x"}}, ValueError, "metadata cannot have the name ''"),
    ],
)
def test_a_wrong_option_of_a_call_is_named(
    client: Any, server: UserServer, options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        client.get_user(**options)
    assert server.seen == []


@pytest.mark.parametrize("seconds", [1e12, 1e300, 2**63, float("inf")])
def test_a_very_long_time_is_no_time_that_is_past(
    client: Any, server: UserServer, pb2: Any, seconds: float
) -> None:
    left = remaining(client, server, pb2, timeout=seconds)
    assert left is None or left > 10**6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"timeout": "x"}, "timeout is 'x'"),
        ({"timeout": 0}, "timeout is 0; no call would ever be made"),
        ({"attempts": "a"}, "attempts is 'a'; give a number from 1"),
        ({"attempts": 0}, "attempts is 0; give a number from 1"),
        ({"cache": 5}, "the cache is int, which has no get and no set and no delete"),
        ({"address": 5}, "the address of a client is 5"),
    ],
)
def test_a_wrong_option_of_a_client_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        module("user.user_client").UserClient(**changes)


@pytest.mark.parametrize(
    "address",
    ["a:x", "a:99999", "a:0", "::1", "http://a:1/path", "me@a:1", "a :1", "a b", "a:", ":1"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a service"):
        module("user.user_client").UserClient(address)


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("users", "users:9080"),
        ("[::1]", "[::1]:9080"),
        ("[::1]:1", "[::1]:1"),
        ("https://users.example/", "users.example:9080"),
        ("dns:///users:9080", "dns:///users:9080"),
        ("unix:/run/users.sock", "unix:/run/users.sock"),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1"),
    ],
)
def test_what_is_an_address_is_taken(address: str, target: str) -> None:
    opened_client = module("user.user_client").UserClient(address)
    assert opened_client.options.address == target
    assert target in repr(opened_client)


def test_incoming_metadata_that_grpc_cannot_carry_is_not_forwarded(
    client: Any, server: UserServer, pb2: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviours["GetUser"] = lambda *_: pb2.User()
    incoming = {"x-name": "größe", "x-tenant": "acme"}
    token = current.set(Context(operation="x", protocol="rest", metadata=incoming))
    try:
        with opened(client, server, forward=("x-name", "x-tenant")) as other:
            other.get_user(id=1)
    finally:
        current.reset(token)
    sent = server.seen[-1].metadata
    assert (sent.get("x-tenant"), sent.get("x-name")) == ("acme", None)
    assert "not forwarded: metadata 'x-name'" in caplog.text


def test_why_a_service_cannot_be_reached_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clients = module("user.user_client")
    with clients.UserClient("127.0.0.1:1", attempts=1) as client, pytest.raises(Unavailable):
        client.get_user(id=1)
    assert "UNAVAILABLE" in caplog.text
    assert "127.0.0.1:1" in caplog.text


def test_a_cache_that_fails_is_done_without(
    client: Any, server: UserServer, pb2: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(DictCache):
        def get(self, key: str, default: Any = None) -> Any:
            raise ConnectionError("the cache is down")

        def set(self, key: str, value: Any, timeout: float) -> None:
            raise ConnectionError("the cache is down")

    server.behaviours["GetUser"] = lambda *_: pb2.User(id=1)
    with opened(client, server, cache=Broken()) as other:
        assert other.get_user(id=1, cache_timeout=60).id == 1
    assert "the cache of /user.UserService/GetUser failed" in caplog.text
