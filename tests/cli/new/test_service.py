"""What `bali new` wrote holds: its own tests, the type checker, the linter, and real calls."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from bali_cli.new.names import ServiceName
from tests.cli.new.generated import Generated, bali, environment, generate, run, serving

PYTHON = sys.executable


def test_its_own_tests_pass(service: Generated) -> None:
    quiet = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error"]
    result = run([PYTHON, "-m", "pytest", "-q", *quiet], service.folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_its_tests_do_not_touch_the_database_of_the_service(service: Generated) -> None:
    variables = environment(
        STAGE="prod", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", BALI_PORT="1"
    )
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_resources"]
    result = run(command, service.folder, variables)
    assert result.returncode == 0, result.stdout + result.stderr


def test_its_types_hold(service: Generated) -> None:
    result = run([PYTHON, "-m", "mypy", "--strict", "."], service.folder)
    assert result.returncode == 0, result.stdout + result.stderr


def test_its_style_holds(service: Generated) -> None:
    check_style(service.folder)


def check_style(folder: Path) -> None:
    """Run the linter and the formatter, as the service has them configured."""
    for command in (["check"], ["format", "--check"]):
        result = run([PYTHON, "-m", "ruff", *command, "--no-cache", "."], folder)
        assert result.returncode == 0, result.stdout + result.stderr


def test_it_stays_right_when_a_client_is_added(tmp_path: Path) -> None:
    called = generate(tmp_path, "user", proto_first=True)
    caller = generate(tmp_path, "order-item", proto_first=False)
    shared = tmp_path / "proto"
    (shared / "user").mkdir(parents=True)
    shutil.copy(called.folder / "protos" / "user.proto", shared / "user")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init"], ["add", "."], [*author, "commit", "--message=user"]):
        assert run(["git", *command], shared).returncode == 0
    added = bali(caller.folder, "add", "user")
    assert added.returncode == 0, added.stderr
    check_style(caller.folder)
    types = run([PYTHON, "-m", "mypy", "."], caller.folder)
    assert types.returncode == 0, types.stdout


@pytest.mark.parametrize(
    "start", [["main.py"], ["-m", "bali_cli", "run"]], ids=["python main.py", "bali run"]
)
def test_it_answers_rest_and_grpc_on_one_port(
    service: Generated, start: list[str], tmp_path: Path, free_port: int
) -> None:
    names = ServiceName.parse(service.name)
    variables = environment(
        DATABASE_URL=f"sqlite:///{tmp_path / 'test.sqlite3'}",
        BALI_DRAIN_DELAY_SECONDS="0",
        PYTHONWARNINGS="error",
    )
    command = [PYTHON, *start, "--port", str(free_port)]
    with serving(command, service.folder, free_port, variables) as process:
        path = f"http://127.0.0.1:{free_port}/{names.endpoint}"
        created = fetch(path, {"name": "ann"})
        fetch(f"{path}/{created['id']}/deactivate", {"reason": "a test"})
        answer = call(f"127.0.0.1:{free_port}", names, created["id"])
        assert (answer.name, answer.is_active) == ("ann", False)
        assert fetch(f"{path}/count") == {"count": 0}
    assert process.returncode == 0


@pytest.mark.parametrize("option", ["--http", "--rpc"])
def test_it_starts_with_one_protocol_alone(
    user: Generated, option: str, tmp_path: Path, free_ports: Any
) -> None:
    port, rpc_port = free_ports(2)
    variables = environment(
        DATABASE_URL=f"sqlite:///{tmp_path / 'test.sqlite3'}", BALI_DRAIN_DELAY_SECONDS="0"
    )
    command = [PYTHON, "main.py", option]
    if option == "--http":
        command += ["--port", str(port)]
        with serving(command, user.folder, port, variables):
            assert fetch(f"http://127.0.0.1:{port}/users")["items"] == []
    else:
        command += ["--rpc-port", str(rpc_port)]
        with serving(command, user.folder, None, variables):
            with pytest.raises(grpc.RpcError) as caught:
                call(f"127.0.0.1:{rpc_port}", ServiceName.parse("user"), 7)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_its_log_is_json(user: Generated, tmp_path: Path, free_port: int) -> None:
    variables = environment(
        DATABASE_URL=f"sqlite:///{tmp_path / 'test.sqlite3'}", BALI_DRAIN_DELAY_SECONDS="0"
    )
    command = [PYTHON, "main.py", "--port", str(free_port)]
    log: list[str] = []
    with serving(command, user.folder, free_port, variables, log=log):
        created = fetch(f"http://127.0.0.1:{free_port}/users", {"name": "ann"})
        fetch(
            f"http://127.0.0.1:{free_port}/users/{created['id']}/deactivate", {"reason": "a test"}
        )
    lines = [json.loads(line) for line in log]
    called = [line for line in lines if line.get("operation") == "users.deactivate"]
    deactivated = [line for line in called if "reason" in line]
    assert [line["reason"] for line in deactivated] == ["a test"]
    assert deactivated[0]["request_id"]


def fetch(url: str, body: object = None) -> Any:
    """Ask over HTTP, with a JSON body when there is one."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310 - our own
    with urllib.request.urlopen(request) as response:  # noqa: S310 - the same
        return json.load(response)


def call(address: str, names: ServiceName, key: int) -> Any:
    """Ask for one item over gRPC, knowing nothing but the address and the method."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName(f"{names.module}.{names.model}Service")
        method = service.methods_by_name[f"Get{names.model}"]
        stub: Any = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return stub(GetMessageClass(method.input_type)(id=key))
