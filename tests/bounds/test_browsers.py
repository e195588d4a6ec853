"""A page of another origin may call the app, over Connect and gRPC-Web too, when it is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from bali import Bali, Resource, action
from bali.errors import NotFound
from bali.settings import Settings, Stage
from bali.testing import LiveServer, live_server
from tests.bounds.wire import enveloped

ORIGIN = "https://app.example.com"


class PageResource(Resource):
    """What pages ask for."""

    @action(methods=["post"])
    async def greet(self, name: str) -> str:
        """Greet somebody."""
        if name == "nobody":
            raise NotFound("there is nobody")
        if name == "bug":
            raise RuntimeError("secret")
        return f"hello {name}"


def serve(**options: Any) -> Any:
    app = Bali(title="page", resources=[PageResource], **options)
    return live_server(app)


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    with serve(settings=Settings(stage=Stage.TEST, backend_cors_origins=[ORIGIN])) as server:
        yield server


@pytest.fixture(scope="module")
def closed() -> Iterator[LiveServer]:
    with serve(settings=Settings(stage=Stage.TEST)) as server:
        yield server


METHOD = "/page.PageService/GreetPages"
#: What the libraries of browsers send along, by path.
REQUESTS = {
    "rest": ("/pages/greet", "content-type,authorization,x-request-timeout"),
    "connect": (METHOD, "connect-protocol-version,connect-timeout-ms,content-type,authorization"),
    "grpc-web": (METHOD, "content-type,x-grpc-web,x-user-agent,grpc-timeout,authorization"),
}


def preflight(live: LiveServer, protocol: str, origin: str = ORIGIN) -> httpx2.Response:
    path, headers = REQUESTS[protocol]
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": headers,
    }
    return httpx2.request("OPTIONS", f"{live.url}{path}", headers=asked)


@pytest.mark.parametrize("protocol", list(REQUESTS))
def test_a_preflight_is_answered(live: LiveServer, protocol: str) -> None:
    answer = preflight(live, protocol)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    for name in REQUESTS[protocol][1].split(","):
        assert name in allowed


@pytest.mark.parametrize("protocol", list(REQUESTS))
def test_another_origin_is_not_allowed(live: LiveServer, protocol: str) -> None:
    answer = preflight(live, protocol, "https://evil.example.com")
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("protocol", list(REQUESTS))
def test_without_the_setting_no_origin_is(closed: LiveServer, protocol: str) -> None:
    # The negative control.
    answer = preflight(closed, protocol)
    assert answer.status_code != 200
    assert "access-control-allow-origin" not in answer.headers


def exposed(answer: httpx2.Response) -> set[str]:
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    listed = answer.headers["access-control-expose-headers"].lower()
    return {name.strip() for name in listed.split(",")}


@pytest.mark.parametrize("name", ["ann", "nobody", "bug"])
def test_an_answer_can_be_read_whatever_it_is(live: LiveServer, name: str) -> None:
    body = f'{{"name": "{name}"}}'.encode()
    for path in ("/pages/greet", METHOD):
        headers = {"origin": ORIGIN, "content-type": "application/json"}
        answer = httpx2.post(f"{live.url}{path}", content=body, headers=headers)
        assert {"x-request-id", "retry-after"} <= exposed(answer)
        assert "secret" not in answer.text
    headers = {"origin": ORIGIN, "content-type": "application/grpc-web+json"}
    answer = httpx2.post(f"{live.url}{METHOD}", content=enveloped(body), headers=headers)
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= exposed(answer)
    assert b"grpc-status" in answer.content


def test_a_refusal_of_the_limits_can_be_read(live: LiveServer) -> None:
    headers = {
        "origin": ORIGIN,
        "content-type": "application/json",
        "content-encoding": "gzip",
    }
    answer = httpx2.post(f"{live.url}/pages/greet", content=b"damaged", headers=headers)
    assert answer.json()["reason"] == "MALFORMED_BODY"
    assert "x-request-id" in exposed(answer)


def test_a_page_may_not_send_json_without_being_asked_about(live: LiveServer) -> None:
    # What a form of any origin can send without a preflight is no call.
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for path in ("/pages/greet", METHOD):
            headers = {"origin": "https://evil.example.com", "content-type": content_type}
            answer = httpx2.post(f"{live.url}{path}", content=b'{"name":"x"}', headers=headers)
            assert answer.status_code == 415
