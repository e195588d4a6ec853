"""Clients that nobody here wrote, all against one running service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.foreign.conftest import Example

NODE = Path(__file__).parent / "node"
BUF = Path(sys.executable).with_name("buf")
TOKEN = "Authorization: Bearer demo-token"

#: A client over the stubs that protoc writes; prints what each call answered.
STUBS_CLIENT = """
import json, sys
import grpc
sys.path.insert(0, sys.argv[2])
import user_pb2, user_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
token = (("authorization", "Bearer demo-token"),)
def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        details = rpc_status.from_call(error).details
        return [error.code().name, [item.type_url.rpartition(".")[2] for item in details]]
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = user_pb2_grpc.UserServiceStub(channel)
    new = user_pb2.User(username="stubs", age=60)
    created = stub.CreateUser(user_pb2.CreateUserRequest(user=new), metadata=token)
    changed = user_pb2.UpdateUserRequest(id=created.id, user=user_pb2.User())
    changed.update_mask.paths.append("age")
    print(json.dumps({
        "created": created.username,
        "has_time": created.HasField("created_time"),
        "got": stub.GetUser(user_pb2.GetUserRequest(id=created.id)).age,
        "watched": [item.username for item in stub.WatchUsers(
            user_pb2.WatchUsersRequest(at_least=60))],
        "cleared": stub.UpdateUser(changed, metadata=token).HasField("age"),
        "invalid": refused(lambda: stub.CreateUser(user_pb2.CreateUserRequest(), metadata=token)),
        "missing": refused(lambda: stub.GetUser(user_pb2.GetUserRequest(id=987654321))),
    }))
"""


def run(*command: str, ok: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout if ok else done.stdout + done.stderr


def need(found: bool, what: str) -> None:
    """Skip when a tool is missing on this machine; fail when this is CI."""
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs {what}")
        pytest.skip(f"needs {what}")


class TestCurl:
    @pytest.fixture(autouse=True)
    def _curl(self) -> None:
        need(shutil.which("curl") is not None, "curl")

    def curl(self, *arguments: str) -> Any:
        return json.loads(run("curl", "-s", *arguments))

    def test_rest(self, example: Example) -> None:
        body = '{"username": "curl", "age": 50}'
        json_type = "content-type: application/json"
        created = self.curl(f"{example.url}/users", "-H", json_type, "-H", TOKEN, "-d", body)
        assert created["username"] == "curl"
        assert self.curl(f"{example.url}/users/{created['id']}") == created
        page = self.curl(f"{example.url}/users?username__istartswith=CUR")
        assert [item["id"] for item in page["items"]] == [created["id"]]
        missing = self.curl(f"{example.url}/users/987654321")
        assert (missing["status"], missing["code"]) == (404, "NOT_FOUND")

    def test_compressed_request(self, example: Example, tmp_path: Path) -> None:
        (tmp_path / "body").write_text('{"username": "zipped"}')
        run("gzip", str(tmp_path / "body"))
        headers = ("content-type: application/json", "content-encoding: gzip", TOKEN)
        options = [option for header in headers for option in ("-H", header)]
        body = f"@{tmp_path}/body.gz"
        created = self.curl(f"{example.url}/users", *options, "--data-binary", body)
        assert created["username"] == "zipped"

    def test_stream(self, example: Example) -> None:
        body = '{"username": "curl-stream", "age": 50}'
        json_type = "content-type: application/json"
        self.curl(f"{example.url}/users", "-H", json_type, "-H", TOKEN, "-d", body)
        text = run("curl", "-s", "-N", f"{example.url}/users/watch?at_least=50")
        events = [line for line in text.splitlines() if line.startswith("data: ")]
        assert "curl-stream" in {json.loads(line[6:])["username"] for line in events}


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb", "connect"])
class TestBufCurl:
    def curl(
        self, example: Example, protocol: str, method: str, data: str, *, ok: bool = True
    ) -> str:
        need(BUF.exists(), "buf (the package buf-bin)")
        prior = ["--http2-prior-knowledge"] if protocol == "grpc" else []
        reflection = ["--reflect-protocol", "grpc-v1"]
        schema = reflection if protocol == "grpc" else ["--schema", str(example.descriptor_set)]
        url = f"{example.url}/user.UserService/{method}"
        return run(
            str(BUF), "curl", "--protocol", protocol, *prior, *schema, "-H", TOKEN, "-d", data, url,
            ok=ok,
        )  # fmt: skip

    def test_unary(self, example: Example, protocol: str) -> None:
        name = f"buf-{protocol}"
        data = json.dumps({"user": {"username": name, "age": 65}})
        created = json.loads(self.curl(example, protocol, "CreateUser", data))
        assert created["username"] == name
        got = self.curl(example, protocol, "GetUser", json.dumps({"id": created["id"]}))
        assert json.loads(got)["age"] == "65"

    def test_error(self, example: Example, protocol: str) -> None:
        told = self.curl(example, protocol, "GetUser", '{"id": 987654321}', ok=False)
        error = json.loads(told[told.index("{") :])
        assert error["code"] == "not_found"
        assert {item["type"] for item in error["details"]} >= {
            "google.rpc.ErrorInfo",
            "google.rpc.ResourceInfo",
        }

    def test_stream(self, example: Example, protocol: str) -> None:
        data = json.dumps({"user": {"username": f"stream-{protocol}", "age": 65}})
        self.curl(example, protocol, "CreateUser", data)
        text = self.curl(example, protocol, "WatchUsers", '{"atLeast": 65}')
        assert f'"stream-{protocol}"' in text


def test_buf_finds_the_services_by_reflection(example: Example) -> None:
    need(BUF.exists(), "buf (the package buf-bin)")
    for version in ("grpc-v1", "grpc-v1alpha"):
        listed = run(
            str(BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge",
            "--reflect-protocol", version, "--list-services", example.url,
        )  # fmt: skip
        assert {"user.UserService", "grpc.health.v1.Health"} <= set(listed.split())


def test_the_stubs_of_protoc(example: Example, tmp_path: Path) -> None:
    include = Path(error_details_pb2.__file__).parents[2]
    well_known = Path(str(files("grpc_tools"))) / "_proto"
    run(
        sys.executable, "-m", "grpc_tools.protoc", f"-I{example.proto.parent}", f"-I{include}",
        f"-I{well_known}", f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}",
        "user.proto",
    )  # fmt: skip
    answers = json.loads(run(sys.executable, "-c", STUBS_CLIENT, example.address, str(tmp_path)))
    assert answers["created"] == "stubs"
    assert answers["has_time"] is True
    assert answers["got"] == 60
    assert "stubs" in answers["watched"]
    assert answers["cleared"] is False
    assert answers["invalid"] == ["INVALID_ARGUMENT", ["ErrorInfo", "BadRequest", "RequestInfo"]]
    assert answers["missing"] == ["NOT_FOUND", ["ErrorInfo", "ResourceInfo", "RequestInfo"]]


@pytest.mark.node
class TestNode:
    @pytest.fixture(autouse=True)
    def _node(self) -> None:
        need(shutil.which("node") is not None, "node")
        need((NODE / "node_modules").is_dir(), "the packages of tests/foreign/node (npm ci)")

    def test_grpc_js(self, example: Example) -> None:
        script = str(NODE / "grpc_client.mjs")
        answers = json.loads(run("node", script, example.address, str(example.descriptor_set)))
        assert answers["created"] == "node-grpc"
        assert answers["got"] == 70
        assert answers["refused"]["code"] == 16
        assert answers["missing"]["code"] == 5
        assert answers["missing"]["rich"] is True
        assert "node-grpc" in answers["watched"]

    @pytest.mark.parametrize("kind", ["connect", "grpc-web"])
    def test_connect_web(self, example: Example, kind: str) -> None:
        script = str(NODE / "connect_web_client.mjs")
        answers = json.loads(run("node", script, example.url, str(example.descriptor_set), kind))
        assert answers["created"] == f"node-{kind}"
        assert answers["got"] == 80
        assert answers["refused"]["code"] == "Unauthenticated"
        assert answers["missing"]["code"] == "NotFound"
        assert answers["missing"]["details"] == 3
        assert f"node-{kind}" in answers["watched"]
