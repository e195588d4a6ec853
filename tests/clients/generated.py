"""A service written by hand with grpcio alone, and the clients generated for it."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.api
import grpc
import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.empty_pb2 import Empty

from bali_cli.add.describe import describe
from bali_cli.add.render import render

PROTOS = Path(__file__).parents[1] / "cli" / "add" / "protos"
INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",
    Path(next(iter(google.api.__path__))).parents[1],
)
UTILS = """
from bali.clients import ClientOptions


def options_for(service: str) -> ClientOptions:
    return ClientOptions.from_config(service)
"""


def generate(folder: Path, package: str, contracts: dict[str, str]) -> None:
    """Write a package with the clients of contracts, and make it importable."""
    out = folder / package / "intermediates"
    out.mkdir(parents=True)
    for name, path in contracts.items():
        described = folder / "set.binpb"
        _protoc(f"-o{described}", "--include_imports", "--include_source_info", path)
        contract = describe(name, path, FileDescriptorSet.FromString(described.read_bytes()))
        for module, text in render(contract).items():
            (out / module).parent.mkdir(parents=True, exist_ok=True)
            (out / module).write_text(text)
        _protoc(f"--python_out={out}", *(f.path for f in contract.files if not f.is_installed))
    for written in out.rglob("*_pb2.py"):
        text = written.read_text()
        written.write_text(text.replace("from common import", "from ..common import"))
    (out.parent / "_utils.py").write_text(UTILS)
    sys.path.insert(0, str(folder))


def _protoc(*arguments: str) -> None:
    roots = [f"-I{root}" for root in (PROTOS, *INCLUDES)]
    command = [sys.executable, "-m", "grpc_tools.protoc", *roots, *arguments]
    subprocess.run(command, check=True, capture_output=True)


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
