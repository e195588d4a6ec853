"""A service written by hand with grpcio alone, and the clients generated for it."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from bali_cli.add.describe import describe
from bali_cli.add.files import CONFIG, UTILS
from bali_cli.add.render import render
from bali_cli.protoc import compile_protos, descriptor_set

PROTOS = Path(__file__).parents[1] / "cli" / "add" / "protos"


def generate(folder: Path, package: str, contracts: dict[str, str]) -> None:
    """Write a package with the clients of contracts, and make it importable."""
    out = folder / package / "intermediates"
    out.mkdir(parents=True)
    for name, path in contracts.items():
        contract = describe(name, path, descriptor_set([path], PROTOS))
        for module, text in render(contract).items():
            (out / module).parent.mkdir(parents=True, exist_ok=True)
            (out / module).write_text(text)
        own = [file.path for file in contract.files if not file.is_installed]
        compile_protos(own, PROTOS, out, grpc=False, pyi=False)
    (out.parent / "_config.py").write_text(CONFIG)
    (out.parent / "_utils.py").write_text(UTILS)
    sys.path.insert(0, str(folder))


def module(name: str) -> Any:
    """Return a generated module: `user.user_client`."""
    return importlib.import_module(f"generated_clients.intermediates.{name}")


@dataclass
class Seen:
    """One call as the server saw it."""

    method: str
    request: Any
    metadata: dict[str, Any]
    time_remaining: float | None


@dataclass
class UserServer:
    """A running server: what it saw, and what its methods do (by name: a function)."""

    address: str = ""
    seen: list[Seen] = field(default_factory=list)
    behaviours: dict[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], object] = lambda: None

    def method(self, name: str) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: Any) -> Any:
            self.seen.append(
                Seen(name, request, dict(context.invocation_metadata()), context.time_remaining())
            )
            context.add_callback(self.cancelled.set)
            return self.behaviours[name](request, context)

        return answer


_KINDS = {
    "ListUsers": "unary_unary",
    "GetUser": "unary_unary",
    "CreateUser": "unary_unary",
    "UpdateUser": "unary_unary",
    "DeleteUser": "unary_unary",
    "Reset": "unary_unary",
    "WatchUsers": "unary_stream",
    "ImportUsers": "stream_unary",
    "EchoUsers": "stream_stream",
}
_RESPONSES = {
    "ListUsers": "ListUsersResponse",
    "ImportUsers": "ImportUsersResponse",
}


def handlers(server: UserServer) -> Any:
    """Return what a grpcio server needs to serve it."""
    pb2 = module("user.user_pb2")
    made = {}
    for name, kind in _KINDS.items():
        stem = {"ImportUsers": "User", "EchoUsers": "User"}.get(name, f"{name}Request")
        request_type = Empty if name == "Reset" else getattr(pb2, stem)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made[name] = make(
            server.method(name),
            request_deserializer=request_type.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler("user.UserService", made)


@contextlib.contextmanager
def serving(address: str = "127.0.0.1:0", credentials: Any = None) -> Iterator[UserServer]:
    """Serve while the block runs."""
    running = UserServer()
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handlers(running),))
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    server.start()
    running.stop = lambda: server.stop(None).wait()
    running.address = f"{address.rpartition(':')[0]}:{port}"
    try:
        yield running
    finally:
        running.stop()
