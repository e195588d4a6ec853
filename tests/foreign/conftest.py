"""The example service in a process of its own, and what describes it to foreign clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "examples" / "user" / "main.py"

#: Writes the .proto and the descriptor set of the example's service into a directory.
DESCRIBE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from main import app
from bali.proto import proto_text
from google.protobuf import descriptor_pb2
bound = app.services.bound
target = Path(sys.argv[2])
target.joinpath("user.proto").write_text(proto_text(bound))
files, pending = {}, [bound.file]
while pending:
    file = pending.pop()
    files[file.name] = file
    pending.extend(file.dependencies)
found = descriptor_pb2.FileDescriptorSet()
def add(file):
    if file.name in done:
        return
    done.add(file.name)
    for dependency in file.dependencies:
        add(dependency)
    file.CopyToProto(found.file.add())
done = set()
add(bound.file)
target.joinpath("user.binpb").write_bytes(found.SerializeToString())
"""


class Example:
    """The running example: where it is, and the files that describe it."""

    def __init__(self, port: int, described: Path) -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://127.0.0.1:{port}"
        self.proto = described / "user.proto"
        self.descriptor_set = described / "user.binpb"


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("described")
    command = [sys.executable, "-c", DESCRIBE, str(MAIN.parent), str(target)]
    subprocess.run(command, check=True, cwd=target)
    found = descriptor_pb2.FileDescriptorSet.FromString((target / "user.binpb").read_bytes())
    assert found.file[-1].package == "user"
    return target


@pytest.fixture(scope="module")
def example(described: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("example")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(MAIN), "--port", "0"],
            cwd=folder,
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{folder}/user.sqlite3",
                "BALI_DRAIN_DELAY_SECONDS": "0",
            },
            stdout=log,
            stderr=log,
        )
    try:
        port = _port_in(folder / "log", process)
        running = Example(port, described)
        assert httpx2.get(f"{running.url}/readyz").status_code == 200
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert code == 0, (folder / "log").read_text()


def _port_in(log: Path, process: subprocess.Popen[bytes]) -> int:
    """Return the port that the service says it took."""
    for _ in range(1200):
        text = log.read_text()
        assert process.poll() is None, text
        if "http://127.0.0.1:" in text:
            return int(text.partition("http://127.0.0.1:")[2].split()[0])
        time.sleep(0.05)
    raise AssertionError(log.read_text())
