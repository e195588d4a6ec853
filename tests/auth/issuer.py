"""An issuer of tokens: real keys, and a real HTTP server that publishes them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk
from joserfc.jws import JWSRegistry

ISSUER = "https://issuer.test/"
AUDIENCE = "door"

Answer = Callable[[BaseHTTPRequestHandler], None]


def new_key(kind: str = "EC", kid: str = "k1", **fields: Any) -> Any:
    """Return a private key; `kind` may be RSA, EC or OKP."""
    size: Any = {"RSA": 2048, "EC": "P-256", "OKP": "Ed25519"}[kind]
    parameters: Any = {"kid": kid, **fields}
    return jwk.JWKRegistry.generate_key(kind, size, parameters)


def b64(data: bytes | str | dict[str, Any]) -> str:
    if isinstance(data, dict):
        data = json.dumps(data)
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(**changes: Any) -> dict[str, Any]:
    """Return good claims with changes; None leaves one out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "scope": "doors.open",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(key: Any, header: dict[str, Any], payload: bytes | str | dict[str, Any]) -> str:
    """Sign whatever is given, right or wrong."""
    message = f"{b64(header)}.{b64(payload)}"
    algorithm = JWSRegistry.algorithms[header["alg"]]
    return f"{message}.{b64(algorithm.sign(message.encode(), key))}"


def token_of(key: Any, algorithm: str = "ES256", **changes: Any) -> str:
    """Return a good token with changed claims."""
    return signed(key, {"alg": algorithm, "kid": key.kid, "typ": "JWT"}, claims_of(**changes))


class Issuer:
    """Publishes the public halves of `keys` at `jwks_url`; `answer` replaces that."""

    def __init__(self, port: int) -> None:
        self.jwks_url = f"http://127.0.0.1:{port}/jwks"
        self.keys: list[Any] = [new_key()]
        self.answer: Answer | None = None
        self.requests = 0
        self.asked = threading.Event()

    def document(self) -> bytes:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()

    def send(self, handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def serve_issuer() -> Iterator[Issuer]:
    """Run an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests += 1
            issuer.asked.set()
            try:
                if issuer.answer is not None:
                    issuer.answer(self)
                else:
                    issuer.send(self, issuer.document())
            except OSError:
                self.close_connection = True  # the client has had enough

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = Issuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
