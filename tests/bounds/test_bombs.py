"""A small compressed body that unfolds to a large one costs next to nothing and is refused."""

from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc"
)

PROGRAM = Path(__file__).with_name("program.py")
MIB = 1024 * 1024
BOMB_BYTES = 128 * MIB
#: What a bomb may cost: DESIGN section 11.
ALLOWED_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running `program.py`."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peak(self) -> int:
        """Return the most memory that the process ever had."""
        return int(httpx2.get(f"{self.url}/memories/peak", timeout=30).json()["result"])


@contextmanager
def served(folder: Path, *, max_body_bytes: int) -> Iterator[Service]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(max_body_bytes)],
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = ""
        for line in process.stderr:
            told += line
            if match := re.search(r"Serving .* on \S*?:(\d+) ", line):
                yield Service(port=int(match[1]))
                break
        else:
            raise AssertionError(told)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("bombs"), max_body_bytes=4 * MIB) as running:
        yield running


def as_json(length: int) -> bytes:
    return b'{"text": "' + b"x" * length + b'"}'


def as_proto(length: int) -> bytes:
    """Return the bytes of the message with field 1, the text, of this length."""
    rest, size = length, b""
    while rest > 0x7F:
        size += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return b"\x0a" + size + bytes([rest]) + b"x" * length


def enveloped(data: bytes, *, is_compressed: bool) -> bytes:
    return struct.pack(">BI", is_compressed, len(data)) + data


METHOD = "/memory.MemoryService/MeasureMemories"


def over_rest(service: Service, length: int) -> str:
    answer = httpx2.post(
        f"{service.url}/memories/measure",
        content=gzip.compress(as_json(length), 6),
        headers={"content-type": "application/json", "content-encoding": "gzip"},
        timeout=60,
    )
    if answer.is_success:
        return str(answer.json()["result"])
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.status_code} {answer.json()['code']}"


def over_connect(service: Service, length: int) -> str:
    answer = httpx2.post(
        f"{service.url}{METHOD}",
        content=gzip.compress(as_proto(length), 6),
        headers={
            "content-type": "application/proto",
            "content-encoding": "gzip",
            "connect-protocol-version": "1",
        },
        timeout=60,
    )
    if answer.is_success:
        return "taken"
    return str(answer.json()["code"])


def over_grpc_web(service: Service, length: int) -> str:
    answer = httpx2.post(
        f"{service.url}{METHOD}",
        content=enveloped(gzip.compress(as_proto(length), 6), is_compressed=True),
        headers={"content-type": "application/grpc-web+proto", "grpc-encoding": "gzip"},
        timeout=60,
    )
    status = re.search(rb"grpc-status: ?(\d+)", answer.content)
    assert status is not None
    return f"grpc-status {int(status[1])}"


def over_grpc(service: Service, length: int) -> str:
    with grpc.insecure_channel(
        f"127.0.0.1:{service.port}", compression=grpc.Compression.Gzip
    ) as channel:
        call: Any = channel.unary_unary(METHOD)
        try:
            call(as_proto(length), timeout=60)
        except grpc.RpcError as error:
            told: Any = error
            return str(told.code().name)
    return "taken"


SENDERS: dict[str, tuple[Callable[[Service, int], str], str, str]] = {
    "rest": (over_rest, str(1000), "413 RESOURCE_EXHAUSTED"),
    "connect": (over_connect, "taken", "resource_exhausted"),
    "grpc-web": (over_grpc_web, "grpc-status 0", "grpc-status 8"),
    "grpc": (over_grpc, "taken", "RESOURCE_EXHAUSTED"),
}


@pytest.mark.parametrize("protocol", list(SENDERS))
def test_a_bomb_costs_little_and_is_refused(service: Service, protocol: str) -> None:
    send, taken, refused = SENDERS[protocol]
    assert send(service, 1000) == taken
    before = service.peak()
    assert send(service, BOMB_BYTES) == refused
    assert service.peak() - before <= ALLOWED_BYTES
    assert send(service, 1000) == taken


def test_without_the_limit_the_same_bomb_costs_its_size(tmp_path: Path) -> None:
    with served(tmp_path, max_body_bytes=2 * BOMB_BYTES) as open_to_all:
        before = open_to_all.peak()
        assert over_rest(open_to_all, BOMB_BYTES) == str(BOMB_BYTES)
        assert open_to_all.peak() - before > BOMB_BYTES


def test_a_damaged_body_is_told_from_a_large_one(service: Service) -> None:
    answer = httpx2.post(
        f"{service.url}/memories/measure",
        content=gzip.compress(as_json(1000))[:-9],
        headers={"content-type": "application/json", "content-encoding": "gzip"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (400, "MALFORMED_BODY")
    assert json.loads(answer.text)["code"] == "INVALID_ARGUMENT"
