"""`bali routes` in a service with everything: in processes of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from grpc_tools import protoc

from tests.programs import run_bali

COMMAND = [sys.executable, "-m", "bali_cli", "routes"]

PROTO = """
syntax = "proto3";
package talk;

message Note { string text = 1; }

service Talk {
  rpc Say(Note) returns (Note);
  rpc Hear(Note) returns (stream Note);
  rpc Tell(stream Note) returns (Note);
  rpc Chat(stream Note) returns (stream Note);
}
"""

SERVICE = """
from collections.abc import AsyncIterator

from fastapi import APIRouter, WebSocket
from starlette.applications import Starlette

from bali import AllowAny, Bali, HasScope, IsAuthenticated, Permission, Resource, action
import talk_pb2_grpc


class IsSuspended(Permission):
    def has_permission(self, context):
        return False


class GreetingResource(Resource):
    permission_classes = [IsAuthenticated & ~IsSuspended | HasScope("greet"), IsAuthenticated]

    @action(permission_classes=[AllowAny])
    async def greet(self, name: str) -> str:
        return name

    @action(methods=["post"])
    async def shout(self, name: str) -> str:
        return name


class OpenResource(Resource):
    @action()
    async def watch(self) -> AsyncIterator[int]:
        yield 1


class OwnResource(Resource):
    @action()
    async def look(self) -> str:
        return "here"


class Talk(talk_pb2_grpc.TalkServicer):
    pass


router = APIRouter()


@router.api_route("/[red]hello[/red]", methods=["GET", "POST"])
def hello():
    return "hello"


@router.websocket("/live")
async def live(socket: WebSocket):
    pass


app = Bali(
    title="greeting",
    resources=[GreetingResource, OpenResource],
    routers=[
        {"router": router, "prefix": "/plain"},
        {"router": OwnResource.as_router(), "prefix": "/mine"},
    ],
)
app.add_servicer(Talk())
app.mount("/files", Starlette(), name="files")
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("routes") / "greeting"
    folder.mkdir()
    (folder / "main.py").write_text(SERVICE)
    (folder / "talk.proto").write_text(PROTO)
    arguments = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *arguments, str(folder / "talk.proto")]) == 0
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_bali(folder, "routes", *arguments, env=os.environ)


def as_json(folder: Path, *arguments: str) -> dict[str, Any]:
    done = run(folder, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return {item["operation"]: item for item in json.loads(done.stdout)}


def test_an_action_has_its_path_its_method_and_its_permissions(service: Path) -> None:
    found = as_json(service)
    assert found["greetings.greet"] == {
        "operation": "greetings.greet",
        "kind": "action",
        "rest": [{"method": "GET", "path": "/greetings/greet"}],
        "grpc": {"method": "greeting.GreetingService/GreetGreetings", "streaming": None},
        "permissions": ["AllowAny"],
        "public": False,
        "long_running": False,
    }
    assert found["greetings.shout"]["permissions"] == [
        "(IsAuthenticated & ~IsSuspended) | HasScope('greet')",
        "IsAuthenticated",
    ]


def test_an_action_without_permissions_is_marked(service: Path) -> None:
    watch = as_json(service)["opens.watch"]
    assert (watch["permissions"], watch["public"]) == ([], True)
    assert watch["grpc"]["streaming"] == "server"
    line = next(line for line in run(service).stdout.splitlines() if "opens.watch" in line)
    assert line.endswith(" public!")


def test_a_resource_included_as_a_router_has_its_prefix_and_no_grpc(service: Path) -> None:
    look = as_json(service)["owns.look"]
    assert look["rest"] == [{"method": "GET", "path": "/mine/look"}]
    assert look["grpc"] is None


def test_plain_routes_sockets_and_mounts_are_shown(service: Path) -> None:
    found = as_json(service)
    assert found["hello"]["rest"] == [
        {"method": "GET", "path": "/plain/[red]hello[/red]"},
        {"method": "POST", "path": "/plain/[red]hello[/red]"},
    ]
    assert found["live"]["rest"] == [{"method": "WS", "path": "/plain/live"}]
    assert found["files"]["rest"] == [{"method": "MOUNT", "path": "/files"}]
    assert all(found[name]["permissions"] is None for name in ("hello", "live", "files"))
    assert not {"healthz", "openapi", "swagger", "connect"} & set(found)


def test_methods_of_servicers_are_shown_with_their_streams(service: Path) -> None:
    found = as_json(service, "talk.")
    assert {name: item["grpc"]["streaming"] for name, item in found.items()} == {
        "talk.Talk.Say": None,
        "talk.Talk.Hear": "server",
        "talk.Talk.Tell": "client",
        "talk.Talk.Chat": "both",
    }
    assert found["talk.Talk.Say"]["grpc"]["method"] == "talk.Talk/Say"
    assert found["talk.Talk.Say"]["kind"] == "servicer"


def test_without_a_terminal_columns_line_up_and_have_no_colour(service: Path) -> None:
    done = run(service)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["OPERATION", "REST", "GRPC", "PERMISSIONS"]
    column = lines[0].index("REST")
    assert all(line[column - 1] == " " != line[column] for line in lines)
    assert "\x1b" not in done.stdout
    hello = next(index for index, line in enumerate(lines) if line.startswith("hello"))
    assert lines[hello + 1].split() == ["POST", "/plain/[red]hello[/red]"]


def test_on_a_terminal_a_table_is_drawn(service: Path) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(COMMAND, cwd=service, stdout=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
        assert process.wait(60) == 0
    text = shown.decode()
    assert "─" in text
    assert "public!" in text
    assert "/plain/[red]hello[/red]" in text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux says this at the end of a terminal
        return b""


@pytest.mark.parametrize("text", ["GREETINGS.", "get /greetings/", "GreetGreetings"])
def test_a_filter_looks_at_names_paths_and_methods(service: Path, text: str) -> None:
    found = as_json(service, text)
    assert "greetings.greet" in found
    assert "opens.watch" not in found


def test_a_filter_that_nothing_fits_is_told(service: Path) -> None:
    done = run(service, "--json", "walk")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no operation, path or gRPC method has 'walk' in it")


def test_an_app_that_cannot_be_served_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "from bali import Bali, Resource, action\nimport types\n"
        "class AResource(Resource):\n    @action()\n    def do(self) -> str: ...\n"
        "app = Bali(title='a', resources=[AResource], proto=types)\n"
    )
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the service is not right: proto=types is not a module")


def test_outside_a_service_it_says_where_to_go(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no main.py" in done.stderr


def test_a_closed_stdout_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text('from bali import Bali\n\napp = Bali(title="a")\n')
    command = " ".join([*COMMAND, ">&-"])
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
