"""Keys that rotate, are withdrawn, come slowly, are too many, or cannot be had."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import pytest

from bali import Bali
from bali.auth import JwtAuthenticator, KeyTimes, issuer_keys
from bali.errors import BaliError, Code, ConfigurationError, InvalidToken, Unavailable
from bali.resources import Context, Principal
from bali.testing import ServiceClient, live_server
from tests.auth.door import CLIENTS, DoorResource
from tests.auth.issuer import AUDIENCE, ISSUER, Issuer, new_key, token_of


def trusting(issuer: Issuer, **times: float) -> JwtAuthenticator:
    return JwtAuthenticator(
        issuer=ISSUER, audience=AUDIENCE, jwks_url=issuer.jwks_url, times=KeyTimes(**times)
    )


async def ask(authenticator: JwtAuthenticator, token: str) -> Principal | None:
    context = Context(metadata={"authorization": f"Bearer {token}"})
    return await authenticator.authenticate(context)


async def test_one_fetch_serves_many_calls(issuer: Issuer) -> None:
    known = trusting(issuer)
    token = token_of(issuer.keys[0])
    found = await asyncio.gather(*(ask(known, token) for _ in range(50)))
    assert all(found)
    assert issuer.requests == 1


async def test_a_new_key_is_fetched_when_the_first_token_names_it(issuer: Issuer) -> None:
    known = trusting(issuer, retry=0.0)
    assert await ask(known, token_of(issuer.keys[0]))
    issuer.keys.append(new_key(kid="k2"))
    assert await ask(known, token_of(issuer.keys[1]))
    assert await ask(known, token_of(issuer.keys[0]))
    assert issuer.requests == 2


async def test_a_withdrawn_key_is_refused_after_the_refresh(issuer: Issuer) -> None:
    known = trusting(issuer, refresh=0.0, retry=0.0)
    token = token_of(issuer.keys[0])
    assert await ask(known, token)
    issuer.keys = [new_key(kid="k2")]
    with pytest.raises(InvalidToken):
        await ask(known, token)


async def test_a_key_under_a_known_id_is_replaced_at_the_refresh(issuer: Issuer) -> None:
    known = trusting(issuer, refresh=0.0, retry=0.0)
    former = token_of(issuer.keys[0])
    assert await ask(known, former)
    issuer.keys = [new_key()]
    assert await ask(known, token_of(issuer.keys[0]))
    with pytest.raises(InvalidToken):
        await ask(known, former)


async def test_tokens_of_unknown_keys_do_not_make_the_issuer_be_asked_each_time(
    issuer: Issuer,
) -> None:
    known = trusting(issuer)
    assert await ask(known, token_of(issuer.keys[0]))
    for number in range(100):
        with pytest.raises(InvalidToken):
            await ask(known, token_of(new_key(kid=f"x{number}")))
    assert issuer.requests == 1


async def test_known_keys_serve_while_the_issuer_is_down(issuer: Issuer) -> None:
    known = trusting(issuer, refresh=0.0, retry=0.0)
    token = token_of(issuer.keys[0])
    assert await ask(known, token)
    issuer.answer = lambda handler: issuer.send(handler, b"oh no", status=500)
    for _ in range(5):
        assert await ask(known, token)
    with pytest.raises(InvalidToken):
        await ask(known, token_of(new_key(kid="other")))


async def test_keys_that_are_too_old_serve_no_more(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later)
    monkeypatch.setattr(issuer_keys, "time", clock)
    known = trusting(issuer, stale=3600.0)
    token = token_of(issuer.keys[0])
    assert await ask(known, token)
    issuer.answer = lambda handler: issuer.send(handler, b"oh no", status=500)
    later = 3000.0
    assert await ask(known, token)
    later = 3601.0
    with pytest.raises(Unavailable) as caught:
        await ask(known, token)
    assert caught.value.reason == "ISSUER_UNAVAILABLE"


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    piece = b'{"keys":["' + b"x" * 1_000_000
    for _ in range(50):
        handler.wfile.write(piece)


def _short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"keys": []}')


def _elsewhere(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("location", "/other")
    handler.send_header("content-length", "0")
    handler.end_headers()


def _text(body: bytes) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


SHARED = {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}
ANSWERS = {
    "50 MB": _endless,
    "ends early": _short,
    "leads elsewhere": _elsewhere,
    "no JSON": _text(b"<html>"),
    "not UTF-8": _text(b'{"keys": ["\xff"]}'),
    "a list": _text(b"[]"),
    "deep": _text(b"[" * 100_000),
    "no keys": _text(b'{"keys": []}'),
    "10,000 keys": _text(json.dumps({"keys": [{"kty": "EC"}] * 10_000}).encode()),
    "a shared secret": _text(json.dumps({"keys": [SHARED]}).encode()),
    "keys of no kind": _text(b'{"keys": [null, 7, "x", {}, {"kty": ["RSA"]}]}'),
    "a weak key": _text(b'{"keys": [{"kty": "RSA", "n": "3q2-7w", "e": "AQAB", "kid": "k1"}]}'),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_document_that_cannot_be_used_makes_calls_unavailable(
    issuer: Issuer, answer: Any
) -> None:
    issuer.answer = answer
    token = token_of(issuer.keys[0])
    with pytest.raises(Unavailable) as caught:
        await ask(trusting(issuer), token)
    assert "127.0.0.1" not in caught.value.detail


async def test_a_slow_issuer_costs_a_call_no_more_than_the_timeout(issuer: Issuer) -> None:
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not ended.wait(0.02):
            handler.wfile.write(b"x: y\r\n")

    issuer.answer = drip
    known = trusting(issuer, timeout=0.2)
    try:
        for _ in range(2):
            async with asyncio.timeout(10):
                with pytest.raises(Unavailable):
                    await ask(known, token_of(issuer.keys[0]))
    finally:
        ended.set()


async def test_the_loop_goes_on_while_keys_are_fetched(issuer: Issuer) -> None:
    go = threading.Event()

    def held(handler: BaseHTTPRequestHandler) -> None:
        go.wait(10)
        issuer.send(handler, issuer.document())

    issuer.answer = held
    known = trusting(issuer)
    asking = asyncio.create_task(ask(known, token_of(issuer.keys[0])))
    assert await asyncio.to_thread(issuer.asked.wait, 10)
    assert not asking.done()
    go.set()
    assert await asking


async def test_a_caller_who_leaves_does_not_end_the_fetch_of_others(issuer: Issuer) -> None:
    go = threading.Event()

    def held(handler: BaseHTTPRequestHandler) -> None:
        go.wait(10)
        issuer.send(handler, issuer.document())

    issuer.answer = held
    known = trusting(issuer)
    token = token_of(issuer.keys[0])
    leaving, staying = (asyncio.create_task(ask(known, token)) for _ in range(2))
    assert await asyncio.to_thread(issuer.asked.wait, 10)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go.set()
    assert await staying
    assert issuer.requests == 1


def test_an_authenticator_serves_several_event_loops(issuer: Issuer) -> None:
    known = trusting(issuer)
    token = token_of(issuer.keys[0])
    for _ in range(2):
        assert asyncio.run(ask(known, token))


async def test_the_address_may_need_https(issuer: Issuer) -> None:
    issuer.jwks_url = issuer.jwks_url.replace("127.0.0.1", "192.0.2.1")
    with pytest.raises(ConfigurationError, match="https://"):
        trusting(issuer)


@pytest.mark.parametrize(
    "times", [{"timeout": 0.0}, {"refresh": 10.0, "stale": 5.0}, {"retry": -1.0}]
)
def test_times_that_cannot_work_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="retry <= refresh <= stale"):
        KeyTimes(**times)


def test_an_unknown_key_is_refused_while_known_ones_serve_on(
    client: ServiceClient, door_issuer: Issuer
) -> None:
    metadata = {"authorization": f"Bearer {token_of(door_issuer.keys[0])}"}
    answer: Any = client.call("doors.who", {}, metadata=metadata)
    assert answer.result == "ann"
    other = token_of(new_key(kid="never-seen"))
    with pytest.raises(BaliError) as caught:
        client.call("doors.who", {}, metadata={"authorization": f"Bearer {other}"})
    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("protocol", list(CLIENTS))
def test_no_keys_at_all_is_unavailable_and_rotation_needs_no_restart(
    issuer: Issuer, protocol: str
) -> None:
    issuer.answer = lambda handler: issuer.send(handler, b"oh no", status=500)
    app = Bali(
        title="door", resources=[DoorResource], authenticator=trusting(issuer, refresh=0.0, retry=0)
    )
    metadata = {"authorization": f"Bearer {token_of(issuer.keys[0])}"}
    with live_server(app) as live, closing(CLIENTS[protocol](live)) as client:
        with pytest.raises(BaliError) as caught:
            client.call("doors.who", {}, metadata=metadata)
        assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "ISSUER_UNAVAILABLE")
        issuer.answer = None
        time.sleep(1.0)  # nothing asks an issuer more often while there are no keys
        answer: Any = client.call("doors.who", {}, metadata=metadata)
        assert answer.result == "ann"
        issuer.keys = [new_key(kid="k2")]
        with pytest.raises(BaliError) as caught:
            client.call("doors.who", {}, metadata=metadata)
        assert caught.value.reason == "TOKEN_INVALID"
        metadata = {"authorization": f"Bearer {token_of(issuer.keys[0])}"}
        answer = client.call("doors.who", {}, metadata=metadata)
        assert answer.result == "ann"
