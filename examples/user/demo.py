"""Starts the user service and calls it over REST, gRPC, Connect and gRPC-Web, on one port.

Stays up until Ctrl-C; with CHECK=1 in the environment it ends by itself, and fails if any answer
was not what it should be.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import grpc
import httpx2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from rich.console import Console

HERE = Path(__file__).parent
SERVICE = "user.UserService"
TOKEN = {"authorization": "Bearer demo-token"}
PREFERRED_PORT = int(os.environ.get("PORT", "8000"))

console = Console(highlight=False, soft_wrap=True)


class Demo:
    """Makes each call, prints it with its answer, and counts the answers that are wrong."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.address = f"127.0.0.1:{port}"
        self.http = httpx2.Client(base_url=self.url, timeout=30)
        self.channel = grpc.insecure_channel(self.address)
        self.pool = descriptor_pool.DescriptorPool()
        self.wrong = 0

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.channel.close()

    def show(self, title: str, call: str, answer: Any, *, expected: Callable[[Any], bool]) -> Any:
        """Print one call with its answer; count it when the answer is not the expected one."""
        try:
            is_right = bool(expected(answer))
        except (KeyError, IndexError, TypeError, AttributeError):
            is_right = False
        self.wrong += not is_right
        mark = "[green]ok[/]" if is_right else "[red]WRONG[/]"
        console.print(f"\n[bold]{title}[/]  {mark}")
        console.print(f"  {call}", markup=False, style="cyan")
        for line in readable(answer):
            console.print(f"  {line}", markup=False, style="dim")
        return answer

    # -- the four protocols --------------------------------------------------------------------

    def rest(
        self, method: str, path: str, body: Any = None, *, token: bool = True
    ) -> tuple[int, Any]:
        """Call over REST; return the status and the JSON."""
        response = self.http.request(method, path, json=body, headers=TOKEN if token else {})
        return response.status_code, response.json() if response.content else None

    def learn(self) -> list[str]:
        """Ask the server for its services and messages, over gRPC reflection."""
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        ask = reflection_pb2.ServerReflectionRequest
        listed, described = stub.ServerReflectionInfo(
            iter([ask(list_services=""), ask(file_containing_symbol=SERVICE)])
        )
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(raw)
            for raw in described.file_descriptor_response.file_descriptor_proto
        ]
        known = {file.name: file for file in files}
        imports = TopologicalSorter({file.name: file.dependency for file in files})
        for name in imports.static_order():  # what is imported comes first
            self.pool.Add(known[name])
        return [item.name for item in listed.list_services_response.service]

    def message_types(self, method: str) -> tuple[Any, Any]:
        """Return the request and response classes of a method."""
        found = self.pool.FindServiceByName(SERVICE).methods_by_name[method]
        return (
            message_factory.GetMessageClass(found.input_type),
            message_factory.GetMessageClass(found.output_type),
        )

    def grpc(self, method: str, fields: Any, *, token: bool = True) -> Any:
        """Call over gRPC; return the message as a dict, or what the error says."""
        request, response = self.message_types(method)
        stub = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        metadata = tuple(TOKEN.items()) if token else ()
        try:
            return as_dict(stub(request(**fields), metadata=metadata, timeout=30))
        except grpc.RpcError as error:
            return grpc_error(error)

    def grpc_stream(self, method: str, fields: Any) -> list[Any]:
        """Call a streaming method over gRPC and return the messages."""
        request, response = self.message_types(method)
        stub = self.channel.unary_stream(
            f"/{SERVICE}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return [as_dict(item) for item in stub(request(**fields), timeout=30)]

    def connect(self, method: str, fields: Any) -> Any:
        """Call over Connect with JSON, as a browser does."""
        response = self.http.post(f"/{SERVICE}/{method}", json=fields)
        return response.json()

    def grpc_web(self, method: str, fields: Any) -> Any:
        """Call over gRPC-Web with framed messages, as a browser does."""
        request, response_type = self.message_types(method)
        payload = request(**fields).SerializeToString()
        response = self.http.post(
            f"/{SERVICE}/{method}",
            content=struct.pack(">BI", 0, len(payload)) + payload,
            headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
        )
        size = struct.unpack(">I", response.content[1:5])[0]
        trailers = response.content[5 + size + 5 :].decode()
        message = response_type.FromString(response.content[5 : 5 + size])
        return {"message": as_dict(message), "trailers": trailers.strip()}

    # -- the story -----------------------------------------------------------------------------

    def run(self) -> None:
        """Make every call."""
        self.run_rest()
        self.run_grpc()
        self.run_browsers()

    def run_rest(self) -> None:
        """Create, list, change, and be refused, over REST."""
        console.rule("REST")
        self.show(
            "create",
            'POST /users {"username": "ann", "age": 41}',
            self.rest("POST", "/users", {"username": "ann", "age": 41}),
            expected=lambda answer: answer[0] == 201 and answer[1]["id"] == 1,
        )
        for name, age in (("bob", 30), ("cleo", 55)):
            self.rest("POST", "/users", {"username": name, "age": age})
        page = self.show(
            "list with a filter, an ordering and a page size",
            "GET /users?age__gte=40&order_by=age desc&page_size=1",
            self.rest("GET", "/users?age__gte=40&order_by=age+desc&page_size=1"),
            expected=lambda answer: [item["username"] for item in answer[1]["items"]] == ["cleo"],
        )
        token = page[1]["next_page_token"]
        self.show(
            "the next page",
            "GET /users?...&page_token=<next_page_token>",
            self.rest(
                "GET", f"/users?age__gte=40&order_by=age+desc&page_size=1&page_token={token}"
            ),
            expected=lambda answer: [item["username"] for item in answer[1]["items"]] == ["ann"],
        )
        self.show(
            "change one field; null clears it",
            'PATCH /users/2 {"age": null}',
            self.rest("PATCH", "/users/2", {"age": None}),
            expected=lambda answer: answer == (200, {**answer[1], "age": None, "username": "bob"}),
        )
        self.show(
            "an action of its own",
            'POST /users/2/deactivate {"text": "asked for it"}',
            self.rest("POST", "/users/2/deactivate", {"text": "asked for it"}),
            expected=lambda answer: answer[1]["is_active"] is False,
        )
        self.show(
            "read one",
            "GET /users/1",
            self.rest("GET", "/users/1"),
            expected=lambda answer: answer[0] == 200 and answer[1]["username"] == "ann",
        )
        self.show(
            "wrong fields are named",
            'POST /users {"username": 7, "agee": 1}',
            self.rest("POST", "/users", {"username": 7, "agee": 1}),
            expected=lambda answer: (
                answer[0] == 422
                and {item["field"] for item in answer[1]["errors"]} == {"username", "agee"}
            ),
        )
        self.show(
            "a stranger may not write",
            'POST /users {"username": "eve"} without a token',
            self.rest("POST", "/users", {"username": "eve"}, token=False),
            expected=lambda answer: answer[0] == 401 and answer[1]["code"] == "UNAUTHENTICATED",
        )
        events = self.http.get("/users/watch?at_least=40").text
        self.show(
            "a stream of server-sent events",
            "GET /users/watch?at_least=40",
            [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")],
            expected=lambda answer: [item["username"] for item in answer] == ["ann", "cleo"],
        )

    def run_grpc(self) -> None:
        """The same over gRPC, with nothing known but the address."""
        console.rule("gRPC, on the same port")
        self.show(
            "what is there (reflection)",
            "ServerReflectionInfo",
            self.learn(),
            expected=lambda answer: SERVICE in answer,
        )
        self.show(
            "get what REST stored",
            "GetUser{id: 1}",
            self.grpc("GetUser", {"id": 1}),
            expected=lambda answer: answer["username"] == "ann" and answer["age"] == 41,
        )
        self.show(
            "list",
            'ListUsers{age__gte: 40, order_by: "age"}',
            self.grpc("ListUsers", {"age__gte": 40, "order_by": "age"}),
            expected=lambda answer: (
                [item["username"] for item in answer["items"]] == ["ann", "cleo"]
            ),
        )
        self.show(
            "the action of its own",
            'DeactivateUser{id: 3, text: "moved away"}',
            self.grpc("DeactivateUser", {"id": 3, "text": "moved away"}),
            expected=lambda answer: answer["username"] == "cleo" and answer["is_active"] is False,
        )
        self.show_refusals()
        self.show(
            "a server stream",
            "WatchUsers{at_least: 40}",
            self.grpc_stream("WatchUsers", {"at_least": 40}),
            expected=lambda answer: [item["username"] for item in answer] == ["ann", "cleo"],
        )

    def show_refusals(self) -> None:
        """Be refused over gRPC for the same reasons as over REST."""
        self.show_pair(
            "a field that is missing: the same error as over REST",
            "CreateUser{user: {age: 41}}",
            self.grpc("CreateUser", {"user": {"age": 41}}),
            self.rest("POST", "/users", {"age": 41}),
            code="INVALID_ARGUMENT",
        )
        self.show_pair(
            "a user that is missing: the same error as over REST",
            "GetUser{id: 99}",
            self.grpc("GetUser", {"id": 99}),
            self.rest("GET", "/users/99"),
            code="NOT_FOUND",
        )
        self.show_pair(
            "a stranger may not write here either",
            'CreateUser{user: {username: "eve"}} without a token',
            self.grpc("CreateUser", {"user": {"username": "eve"}}, token=False),
            self.rest("POST", "/users", {"username": "eve"}, token=False),
            code="UNAUTHENTICATED",
        )

    def show_pair(self, title: str, call: str, grpc: Any, rest: Any, *, code: str) -> None:
        """Print what gRPC and REST answered to the same mistake; the two must tell the same."""
        told = {key: rest[1][key] for key in ("code", "reason", "detail", "errors")
                if key in rest[1]}  # fmt: skip
        self.show(
            title,
            call,
            {"gRPC": grpc, "REST": told},
            expected=lambda answer: answer["gRPC"] == answer["REST"] and grpc["code"] == code,
        )

    def run_browsers(self) -> None:
        """The same as a browser calls it."""
        console.rule("Connect and gRPC-Web, on the same port")
        self.show(
            "Connect with JSON",
            f'POST /{SERVICE}/GetUser {{"id": 1}}',
            self.connect("GetUser", {"id": 1}),
            expected=lambda answer: answer["username"] == "ann",
        )
        self.show(
            "a Connect error",
            f'POST /{SERVICE}/GetUser {{"id": 99}}',
            self.connect("GetUser", {"id": 99}),
            expected=lambda answer: answer["code"] == "not_found",
        )
        self.show(
            "gRPC-Web",
            f"POST /{SERVICE}/GetUser, framed",
            self.grpc_web("GetUser", {"id": 1}),
            expected=lambda answer: (
                answer["message"]["username"] == "ann"
                and "grpc-status:0" in answer["trailers"].replace(" ", "")
            ),
        )


def as_dict(message: Any) -> Any:
    """Return a message as JSON values, numbers as numbers."""
    values = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return _numbers(values)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: int(item) if key in ("id", "age", "total") else _numbers(item)
            for key, item in value.items()
        }
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def grpc_error(error: Any) -> dict[str, Any]:
    """Return what a gRPC error says, under the names that REST gives the same things."""
    told = {"code": error.code().name, "detail": error.details()}
    raw = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw).details:
        if detail.Unpack(info):
            told["reason"] = info.reason
        elif detail.Unpack(request):
            told["errors"] = [
                {"field": item.field, "reason": item.reason, "description": item.description}
                for item in request.field_violations
            ]
    return told


def readable(answer: Any) -> list[str]:
    """Return the lines that show an answer: a list or a pair of answers one by one."""
    if isinstance(answer, tuple):
        return [" ".join(json.dumps(part) for part in answer)]
    if isinstance(answer, list):
        return [json.dumps(item) for item in answer]
    if isinstance(answer, dict) and "gRPC" in answer:
        return [f"{name}: {json.dumps(item)}" for name, item in answer.items()]
    return [json.dumps(answer)]


def choose_port() -> int:
    """Return the port of PORT or 8000, or any free one when something else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PREFERRED_PORT))
        except OSError:
            probe.close()
            with socket.socket() as other:
                other.bind(("127.0.0.1", 0))
                port = int(other.getsockname()[1])
            console.print(f"port {PREFERRED_PORT} is taken, using {port}")
            return port
        return PREFERRED_PORT


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the service wants work; end the program when it has ended instead."""
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"the service ended with exit code {process.returncode}")
        try:
            if httpx2.get(f"{url}/readyz").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    sys.exit("the service did not become ready within 30 seconds")


def main() -> None:
    """Run the demonstration."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    port = choose_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "DATABASE_URL": f"sqlite:///{folder}/user.sqlite3",
            "BALI_DRAIN_DELAY_SECONDS": "0",
        }
        command = [sys.executable, str(HERE / "main.py"), "--port", str(port)]
        console.print(f"starting the user service: python main.py --port {port}")
        # A session of its own: Ctrl-C comes here alone, and the service is stopped once.
        process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
        try:
            wrong = tell(port, process)
        except KeyboardInterrupt:
            wrong = 0
        finally:
            code = stop(process)
    if wrong:
        sys.exit(f"{wrong} answers were wrong")
    if code:
        sys.exit(f"the service ended with exit code {code}")


def stay(process: subprocess.Popen[bytes]) -> None:
    """Return when the service has ended.

    `Popen.wait` blocks, and a Ctrl-C that comes just before it does is seen only when it returns.
    """
    while process.poll() is None:
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Stop the service, at once when it takes too long or Ctrl-C comes again; return its code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(30)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        return process.wait()


def tell(port: int, process: subprocess.Popen[bytes]) -> int:
    """Make the calls, and stay until Ctrl-C unless CHECK is set; return how many went wrong."""
    demo = Demo(port)
    wait_until_ready(demo.url, process)
    try:
        demo.run()
        console.rule("Documentation")
        demo.show(
            "docs pages, without the internet",
            f"{demo.url}/docs  {demo.url}/redoc  {demo.url}/openapi.json",
            [demo.http.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")],
            expected=lambda answer: answer == [200, 200, 200],
        )
    finally:
        demo.close()
    console.print()
    if not os.environ.get("CHECK"):
        console.print(f"The service is up at {demo.url} (docs: {demo.url}/docs). Ctrl-C stops it.")
        stay(process)
    return demo.wrong


if __name__ == "__main__":
    main()
