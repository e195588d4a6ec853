"""What a measurement stands on: a database with rows, stubs, and services pinned to one core."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
from google.rpc import error_details_pb2
from grpc_tools import protoc

__all__ = ["LOAD_CORE", "SERVER_CORE", "Service", "free_port", "pinned", "services", "stage"]

ROOT = Path(__file__).parents[1]
SERVER_CORE, LOAD_CORE = 0, 1
DEFAULT_POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"
ROWS = 1000

_SEED = f"""
CREATE TABLE bench_users (
    id serial PRIMARY KEY,
    created_time timestamptz NOT NULL,
    updated_time timestamptz NOT NULL,
    is_active boolean NOT NULL,
    username varchar(50) NOT NULL,
    age integer
);
INSERT INTO bench_users (created_time, updated_time, is_active, username, age)
SELECT '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second 1 microsecond',
       '2026-02-01T00:00:00Z'::timestamptz + n * interval '1 second 7 microseconds',
       n % 7 <> 0, 'user-' || n, CASE WHEN n % 5 = 0 THEN NULL ELSE n % 90 END
FROM generate_series(1, {ROWS}) AS n;
ANALYZE bench_users;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: its name, its port, and its process."""

    name: str
    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def stage() -> Iterator[dict[str, str]]:
    """Make a database with rows and the stubs; yield the environment that services need."""
    admin = os.environ.get("BALI_BENCH_POSTGRES", DEFAULT_POSTGRES)
    name = f"bali_bench_{secrets.token_hex(4)}"
    asyncio.run(_execute(admin, f"CREATE DATABASE {name}"))
    url = f"{admin.rpartition('/')[0]}/{name}"
    folder = Path(tempfile.mkdtemp(prefix="bali-bench-"))
    try:
        asyncio.run(_execute(url, _SEED))
        _compile_stubs(folder)
        yield {
            **os.environ,
            "DATABASE_URL": url,
            "BENCH_STUBS": str(folder),
            "PYTHONPATH": str(ROOT),
            "BALI_DRAIN_DELAY_SECONDS": "0",
            "STAGE": "prod",
        }
    finally:
        shutil.rmtree(folder)
        asyncio.run(_execute(admin, f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.contextmanager
def services(
    modules: dict[str, tuple[str, ...]], env: dict[str, str]
) -> Iterator[dict[str, Service]]:
    """Run services, pinned to one core; `modules` maps a name to a module and its arguments."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name, (module, *arguments) in modules.items():
            running[name] = stack.enter_context(_service(name, module, arguments, env))
        yield running


def pinned(core: int, *command: str) -> list[str]:
    """Return a command that runs on one core."""
    return ["taskset", "-c", str(core), *command] if shutil.which("taskset") else list(command)


@contextlib.contextmanager
def _service(
    name: str, module: str, arguments: list[str], env: dict[str, str]
) -> Iterator[Service]:
    port = free_port()
    command = pinned(SERVER_CORE, sys.executable, "-m", f"benchmarks.services.{module}")
    process = subprocess.Popen(
        [*command, "--port", str(port), *arguments],
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if "BENCH_VERBOSE" not in env else None,
    )
    try:
        _wait_for(name, port, process)
        yield Service(name=name, port=port, process=process)
    finally:
        process.send_signal(signal.SIGKILL if module != "ours" else signal.SIGINT)
        process.wait(60)


def _wait_for(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{name} ended with exit code {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"{name} did not start within 30 seconds")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _execute(url: str, statement: str) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _compile_stubs(target: Path) -> None:
    """Compile the .proto of bali's service, so that every service speaks the same messages."""
    code = (
        "from benchmarks.services.ours import app\n"
        "from bali.proto import proto_text\n"
        "print(proto_text(app.services.bound))"
    )
    text = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    ).stdout  # fmt: skip
    (target / "bench.proto").write_bytes(text)
    include = Path(error_details_pb2.__file__).parents[2]
    well_known = Path(str(files("grpc_tools"))) / "_proto"
    done = protoc.main(
        [
            "protoc", f"-I{target}", f"-I{include}", f"-I{well_known}",
            f"--python_out={target}", f"--grpc_python_out={target}", "bench.proto",
        ]
    )  # fmt: skip
    if done:
        raise SystemExit("protoc could not compile the service's .proto")
