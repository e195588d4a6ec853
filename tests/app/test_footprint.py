"""What a running service has loaded: what it never uses costs neither start-up nor memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx2
from google.protobuf.field_mask_pb2 import FieldMask

PROGRAM = """
import sys
from bali import AllowAny, Bali, ModelResource, action, db
from pydantic import BaseModel
from sqlalchemy.orm import Mapped

class Note(db.BaseModel):
    __tablename__ = "notes"
    text: Mapped[str]

class Loaded(BaseModel):
    names: list[str]

class NoteResource(ModelResource):
    model = Note
    permission_classes = [AllowAny]

    @action(detail=False)
    async def loaded(self) -> Loaded:
        return Loaded(names=sorted(sys.modules))

app = Bali(title="notes", resources=[NoteResource])
app.start()
"""

#: Of a service that does not ask for them: its protocols, filters, clients and commands.
NEVER = {
    "connectrpc", "protobuf",  # Connect and gRPC-Web
    "lark",  # filters
    "alembic",  # migrations
    "cryptography", "joserfc",  # signed tokens
    "httpx", "httpx2",
    "jinja2", "rich", "typer", "bali_cli", "bali.testing",
    "bali.app.own_server", "bali.app.shell", "bali.clients", "bali.operations",
}  # fmt: skip
_VARIABLES = {"DATABASE_URL": "sqlite://", "STAGE": "dev", "BALI_DRAIN_DELAY_SECONDS": "0"}
#: A module that a call loads takes its time on a busy machine.
TIMEOUT_SECONDS = 60.0
GRPC_SERVER = {"grpc", "grpc_health", "grpc_reflection", "bali.rpc.servicers"}
HTTP_SERVER = {"uvicorn", "httptools"}


@contextlib.contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """Run the service on a free port; yield its address."""
    (folder / "main.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "main.py", *arguments, "--port", "0"],
        cwd=folder,
        env={**os.environ, **_VARIABLES},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if match := re.search(r"Serving .* on \S*?:(\d+) ", line):
                break
        else:
            raise AssertionError("".join(lines))
        yield f"127.0.0.1:{match[1]}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)


def use(address: str) -> None:
    """Create, read, list and change over REST; ask for the document too."""
    with httpx2.Client(base_url=f"http://{address}", timeout=TIMEOUT_SECONDS) as http:
        assert http.post("/notes", json={"text": "a"}).status_code == 201
        assert http.get("/notes/1").json()["text"] == "a"
        assert http.get("/notes?page_size=1").json()["items"][0]["id"] == 1
        assert http.patch("/notes/1", json={"text": "b"}).json()["text"] == "b"
        assert http.get("/openapi.json").status_code == 200
        assert http.delete("/notes/1").status_code == 204


def loaded(address: str) -> set[str]:
    """Return what is loaded in the service."""
    answer = httpx2.get(f"http://{address}/notes/loaded", timeout=TIMEOUT_SECONDS)
    return set(answer.json()["names"])


def call(address: str, method: str) -> bytes:
    """Call a method without arguments over gRPC; return the message of its answer."""
    with grpc.insecure_channel(address) as channel:
        send: Any = channel.unary_unary(f"/notes.NotesService/{method}")
        answer: bytes = send(b"", timeout=TIMEOUT_SECONDS)
    return answer


def test_http_alone_loads_no_grpc(tmp_path: Path) -> None:
    with served(tmp_path, "--http") as address:
        use(address)
        assert loaded(address) & (NEVER | GRPC_SERVER) == set()
        assert loaded(address) >= HTTP_SERVER


def test_grpc_alone_loads_no_http_server(tmp_path: Path) -> None:
    with served(tmp_path, "--rpc") as address:
        call(address, "ListNotes")
        # A message with one list of texts is one like any other.
        names = set(FieldMask.FromString(call(address, "LoadedNotes")).paths)
        assert names & (NEVER | HTTP_SERVER) == set()
        assert names >= GRPC_SERVER


def test_connect_is_loaded_when_it_is_called_and_needs_no_grpc(tmp_path: Path) -> None:
    with served(tmp_path, "--http") as address:
        assert "connectrpc" not in loaded(address)
        url = f"http://{address}/notes.NotesService/ListNotes"
        answer = httpx2.post(url, json={}, timeout=TIMEOUT_SECONDS)
        assert (answer.status_code, json.loads(answer.content).get("items", [])) == (200, [])
        assert {"connectrpc", "protobuf"} <= loaded(address)
        assert loaded(address) & GRPC_SERVER == set()


def test_both_protocols_load_nothing_else(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        use(address)
        call(address, "ListNotes")
        assert loaded(address) >= GRPC_SERVER | HTTP_SERVER
        assert loaded(address) & NEVER == set()


def test_the_parser_of_filters_is_loaded_with_the_first_one(tmp_path: Path) -> None:
    with served(tmp_path, "--http") as address:
        assert "lark" not in loaded(address)
        url = f"http://{address}/notes?filter=text='a'"
        assert httpx2.get(url, timeout=TIMEOUT_SECONDS).status_code == 200
        assert "lark" in loaded(address)
