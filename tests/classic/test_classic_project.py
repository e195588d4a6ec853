"""The classic code, byte for byte, in a project of the classic layout: it runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc_tools.protoc
import httpx2
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.proto.protoc import compile_service

HERE = Path(__file__).parent
PROJECT = HERE / "project"
TIMEOUT_SECONDS = 60.0


def classic_code() -> dict[str, str]:
    """Return the code of each part of classic.txt, by the path or the words that stand above it."""
    text = (HERE / "classic.txt").read_text(encoding="utf-8")
    block = text.partition("```python\n")[2].partition("```")[0]
    parts = re.split(r"^# ([\w/. ]+).*\n", block, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (code.strip("\n") for code in parts[1::2]), strict=True))


CODE = classic_code()
IN_ANOTHER_SERVICE = CODE.pop("in another service")


@pytest.mark.parametrize("path", CODE)
def test_the_files_hold_the_classic_code_byte_for_byte(path: str) -> None:
    code = CODE[path]
    written = (PROJECT / path).read_text(encoding="utf-8")
    assert f"\n{code.removesuffix(' ...')}\n" in written


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with its protos compiled and three users in its database."""
    folder = tmp_path / "user"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    proto = "services/rpc/user.proto"
    options = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert grpc_tools.protoc.main(["protoc", *options, str(folder / proto)]) == 0
    seed = (
        "import main\n"
        "from models import User\n"
        "from bali import db\n"
        "db.create_all()\n"
        "User.io.create(username='ann', is_customer=1)\n"
        "User.io.create(username='bob', channel='app')\n"
        "User.io.create(username='eve', channel='app', is_customer=1)\n"
    )
    subprocess.run([sys.executable, "-c", seed], cwd=folder, env=environment(), check=True)
    return folder


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return kept | {"PYTHONWARNINGS": "error", "BALI_DRAIN_DELAY_SECONDS": "0"} | variables


@contextmanager
def running(project: Path, *arguments: str, port: int, **variables: str) -> Iterator[Any]:
    """Run main.py until the block ends, which may end it itself."""
    process = subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        cwd=project,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(process, port)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nothing listens; exit code {process.poll()}\n{process.communicate()[0]}")


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Send SIGTERM; return exit code and output."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, output


def check_ending(process: subprocess.Popen[str]) -> None:
    """Stop a service that has said nothing but the warning that it is open to everybody."""
    exit_code, output = stop(process)
    assert exit_code == 0
    assert re.fullmatch(r"whoever reaches the service may call .*\n", output)


def test_plain_routes_and_the_resource_answer_over_http(project: Path, free_port: int) -> None:
    with running(project, "--http", "--port", str(free_port), port=free_port) as process:
        with httpx2.Client(base_url=f"http://127.0.0.1:{free_port}") as client:
            plain = client.get("/users/", headers={"channel": "app"})
            listed = client.get("/users", params={"limit": 2, "offset": 1})
            custom = client.get("/users/custome-users")
            created = client.post("/users", json={"username": "joe"})
            gone = client.delete(f"/users/{created.json()['id']}")
            missing = client.get("/users/4711")
        assert (plain.status_code, plain.json()["username"]) == (200, "bob")
        assert [user["username"] for user in listed.json()["items"]] == ["bob", "eve"]
        assert [user["username"] for user in custom.json()["items"]] == ["ann", "eve"]
        assert (created.status_code, created.json()["channel"]) == (201, "web")
        assert (gone.status_code, missing.status_code) == (204, 404)
        assert stop(process)[0] == 0


Caller = Callable[..., Any]


@contextmanager
def calling(project: Path, port: int, service: str, proto: str) -> Iterator[Caller]:
    """Call methods of a service by name, with the messages of its .proto."""
    text = (project / proto).read_text(encoding="utf-8")
    methods = compile_service(text, project, service).methods_by_name
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(name: str, **fields: Any) -> Message:
            method = methods[name]
            answer = GetMessageClass(method.output_type)
            invoke: Any = channel.unary_unary(
                f"/{service}/{name}", lambda message: message.SerializeToString(), answer.FromString
            )
            found: Message = invoke(GetMessageClass(method.input_type)(**fields), timeout=30)
            return found

        yield call


def test_the_hand_written_servicer_answers_over_grpc(project: Path, free_port: int) -> None:
    address = f"127.0.0.1:{free_port}"
    proto = "services/rpc/user.proto"
    with running(project, "--rpc", port=free_port, RPC_ADDRESS=address) as process:
        with calling(project, free_port, "user.UserService", proto) as call:
            page: Any = call("GetUsers", limit=2, offset=1)
            everybody: Any = call("GetUsers")
            with pytest.raises(grpc.RpcError) as refused:
                call("GetUsers", limit=-1)
        assert [user.username for user in page.data] == ["bob", "eve"]
        assert (len(everybody.data), everybody.count) == (3, 3)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        check_ending(process)


@pytest.fixture
def other_service(tmp_path: Path, project: Path) -> Path:
    """An empty service beside the first one, which has run `bali add user`."""
    protos = tmp_path / "proto" / "user"
    protos.mkdir(parents=True)
    shutil.copy(project / "services" / "rpc" / "user.proto", protos)
    author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "Add user"]):
        subprocess.run(["git", *command], cwd=protos.parent, check=True)
    service = tmp_path / "order"
    service.mkdir()
    (service / "main.py").write_text('from bali import Bali\n\napp = Bali(title="order")\n')
    added = [sys.executable, "-m", "bali_cli", "add", "user"]
    subprocess.run(added, cwd=service, env=environment(), check=True, capture_output=True)
    return service


def test_another_service_calls_it_in_two_lines(
    project: Path, other_service: Path, free_port: int
) -> None:
    address = f"127.0.0.1:{free_port}"
    shown = f"{IN_ANOTHER_SERVICE}\nprint([user.username for user in users.data], users.count)"
    with running(project, "--rpc", port=free_port, RPC_ADDRESS=address) as process:
        called = subprocess.run(
            [sys.executable, "-c", shown],
            cwd=other_service,
            env=environment(USER_GRPC_ADDRESS=address),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert (called.stdout, called.stderr) == ("['ann', 'bob', 'eve'] 3\n", "")
        check_ending(process)
