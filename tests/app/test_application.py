"""The app: a FastAPI application with resources on it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import grpc
import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from fastapi.testclient import TestClient

from bali import Bali, ConfigurationError, Database, NotFound, Resource, StaticTokens, action
from bali.app.commands import parse_options
from bali.settings import Settings, Stage
from bali.testing import RpcServiceClient, live_server
from tests.server.conftest import Certificates


class EchoResource(Resource):
    """Says what it hears."""

    plural = "echoes"

    @action()
    async def say(self, text: str) -> str:
        """Say it."""
        return f"{text} from {self.context.peer.partition(':')[0]}"

    @action()
    def peer(self) -> str:
        """Tell the caller's address."""
        return self.context.peer


def require_channel(x_channel: Annotated[str | None, Header()] = None) -> None:
    if x_channel is None:
        raise HTTPException(403, "no channel")


def test_routers_and_their_errors_are_fastapis() -> None:
    router = APIRouter()

    @router.get("/{number}")
    def show(number: int) -> dict[str, int]:
        if number == 0:
            raise NotFound("there is no 0")
        return {"number": number}

    app = Bali(title="echo", routers=[{"router": router, "prefix": "/numbers"}])
    with TestClient(app) as client:
        assert client.get("/numbers/4").json() == {"number": 4}
        missing = client.get("/numbers/0")
        assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
        wrong = client.get("/numbers/x")
        assert (wrong.status_code, wrong.json()["code"]) == (422, "INVALID_ARGUMENT")
        assert client.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_dependencies_of_the_app_hold_for_resources() -> None:
    app = Bali(title="echo", resources=[EchoResource], dependencies=[Depends(require_channel)])
    with TestClient(app) as client:
        refused = client.get("/echoes/say", params={"text": "hi"})
        assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
        heard = client.get("/echoes/say", params={"text": "hi"}, headers={"x-channel": "a"})
        assert heard.json()["result"].startswith("hi from ")


def test_middleware_sees_resources() -> None:
    app = Bali(title="echo", resources=[EchoResource])

    @app.middleware("http")
    async def mark(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response

    with TestClient(app) as client:
        assert client.get("/echoes/say", params={"text": "hi"}).headers["x-marked"] == "yes"


def test_the_lifespan_of_the_user_runs_inside_the_apps() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        seen.append(f"start {app.title}")
        yield {"answer": 42}
        seen.append("stop")

    app = Bali(title="echo", lifespan=lifespan)

    @app.get("/answer")
    def answer(request: Request) -> int:
        return int(request.state.answer)

    with TestClient(app) as client:
        assert client.get("/answer").json() == 42
    assert seen == ["start echo", "stop"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"title": ""}, r"title '' is no name for a service"),
        ({"title": 7}, r"title 7 is no name for a service"),
        ({"title": "Größe"}, r"title 'Größe' makes no name in protobuf; .*package="),
        ({"resources": EchoResource}, r"write resources=\[EchoResource\]"),
        ({"resources": "users"}, r"resources is a list of classes"),
        ({"authenticator": StaticTokens}, r"authenticator <class .* is no object with a method"),
        ({"authenticator": "token"}, r"authenticator 'token' is no object with a method"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Bali(**{"title": "echo", **arguments})


def test_a_title_in_any_language_needs_names_for_protobuf() -> None:
    app = Bali(title="Größe", package="size", service="SizeService", resources=[EchoResource])
    with TestClient(app) as client:
        assert client.get("/openapi.json").json()["info"]["title"] == "Größe"


def test_a_database_that_cannot_be_used_is_told_without_its_password(
    tmp_path: Path, free_port: int
) -> None:
    addresses = {
        f"sqlite:///{tmp_path}/missing/x.sqlite3": "unable to open database file",
        f"postgresql://ann:geheim@127.0.0.1:{free_port}/x": f"127.0.0.1:{free_port}/x: ",
    }
    for address, words in addresses.items():
        app = Bali(title="echo", resources=[EchoResource], databases=[Database(address)])
        with pytest.raises(ConfigurationError) as caught, TestClient(app):
            pass  # pragma: no cover - it does not start
        assert words in str(caught.value)
        assert "DATABASE_URL" in str(caught.value)
        assert "geheim" not in str(caught.value)


def test_a_late_resource_is_refused() -> None:
    app = Bali(title="echo")
    with TestClient(app), pytest.raises(ConfigurationError, match="comes too late"):
        app.register(EchoResource)


def test_settings_after_construction_are_those_of_the_constructor() -> None:
    router = APIRouter()
    router.add_api_route("/extra", lambda: "extra")
    app = Bali(title="echo")
    app.settings(
        base_settings={"title": "renamed"},
        routers=[router],
        backend_cors_origins=["https://a.example"],
    )
    with TestClient(app) as client:
        assert client.get("/extra").json() == "extra"
        origin = client.get("/extra", headers={"origin": "https://a.example"})
        assert origin.headers["access-control-allow-origin"] == "https://a.example"
    with pytest.raises(ConfigurationError, match="no setting 'colour'"):
        app.settings(base_settings={"colour": "red"})


def test_the_peer_is_the_client_itself_on_both_protocols() -> None:
    with live_server(Bali(title="echo", resources=[EchoResource])) as live:
        with httpx2.Client(base_url=live.url) as http:
            over_rest = http.get("/echoes/peer").json()["result"]
        rpc = RpcServiceClient(live)
        answer: Any = rpc.call("echoes.peer")
        rpc.close()
    for peer in (over_rest, answer.result):
        host, _, port = peer.rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) not in (0, live.port)


def test_tls_carries_every_protocol(certificates: Certificates) -> None:
    app = Bali(title="echo", resources=[EchoResource])
    with live_server(app, certfile=certificates.server, keyfile=certificates.server_key) as live:
        context = ssl.create_default_context(cafile=certificates.ca)
        with httpx2.Client(base_url=f"https://localhost:{live.port}", verify=context) as http:
            assert http.get("/echoes/say", params={"text": "hi"}).json()["result"] == (
                "hi from 127.0.0.1"
            )
            connect = http.post("/echo.EchoService/SayEchoes", json={"text": "hi"})
            assert connect.json() == {"result": "hi from 127.0.0.1"}
        credentials = grpc.ssl_channel_credentials(certificates.read("ca"))
        channel = grpc.secure_channel(f"localhost:{live.port}", credentials)
        with channel:
            bound = live.app.services.bound
            assert bound is not None
            method = next(item for item in bound.methods if item.name == "SayEchoes")
            say = channel.unary_unary(
                method.path,
                request_serializer=method.input_type.SerializeToString,
                response_deserializer=method.output_type.FromString,
            )
            answer = method.decode_response(say(method.encode_request({"text": "hi"})))
            assert answer == {"result": "hi from 127.0.0.1"}


@pytest.mark.parametrize("mode", ["http", "rpc"])
def test_one_protocol_alone(mode: str) -> None:
    app = Bali(title="echo", resources=[EchoResource])
    with live_server(app, mode=mode) as live:
        rpc = RpcServiceClient(live)
        try:
            if mode == "rpc":
                answer: Any = rpc.call("echoes.say", {"text": "hi"})
                assert answer.result == "hi from 127.0.0.1"
                with pytest.raises(httpx2.TransportError):
                    httpx2.get(f"http://{live.address}/readyz")
            else:
                assert httpx2.get(f"{live.url}/readyz").status_code == 200
                with pytest.raises(Exception, match=r"(?i)connect|socket|unavailable"):
                    rpc.call("echoes.say", {"text": "hi"}, timeout_seconds=5)
        finally:
            rpc.close()


def test_an_unknown_operation_is_named() -> None:
    app = Bali(title="echo", resources=[EchoResource])
    with pytest.raises(ConfigurationError, match=r"no operation 'echoes\.shout'.*echoes\.say"):
        asyncio.run(app.call("echoes.shout"))


class TestCommandLine:
    def parse(self, *argv: str) -> Any:
        return parse_options(argv, Settings(stage=Stage.TEST))

    @pytest.mark.parametrize(
        ("argv", "mode"),
        [
            ((), "all"),
            (("--http",), "http"),
            (("--rpc",), "rpc"),
            (("--http", "--rpc"), "all"),
        ],
    )
    def test_the_mode(self, argv: tuple[str, ...], mode: str) -> None:
        assert self.parse(*argv).mode == mode

    def test_the_ports(self) -> None:
        assert (self.parse().port, self.parse().rpc_port) == (8000, 9080)
        assert self.parse("--port", "8001").port == 8001
        assert self.parse("--rpc", "--port", "9081").rpc_port == 9081
        assert self.parse("--rpc", "--port", "1", "--rpc-port", "2").rpc_port == 2

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (("--port", "x"), "a port is a number"),
            (("--port", "65536"), "a port is a number"),
            (("--workers", "0"), "a number of processes"),
            (("--event",), "no events yet"),
            (("--certfile", "missing.pem"), "missing.pem"),
            (("--client-ca", "missing.pem"), "missing.pem"),
            (("--client-certificates", "never"), "required"),
            (("--nonsense",), "--nonsense"),
        ],
    )
    def test_mistakes_are_named(
        self, argv: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            self.parse(*argv)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
