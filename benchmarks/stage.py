"""What a measurement stands on: a database with rows, stubs, and services pinned to one core."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped] # it ships no types
from google.rpc import error_details_pb2
from grpc_tools import protoc

__all__ = [
    "LOAD_CORE", "READ_ROWS", "ROOT", "ROWS", "SERVER_CORE", "Program", "Service", "StageError",
    "execute", "free_port", "messages", "pinned", "service", "services", "stage",
]  # fmt: skip

ROOT = Path(__file__).parents[1]
SERVER_CORE, LOAD_CORE = 0, 1
DEFAULT_POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"
#: Rows 1 to `READ_ROWS` stay as they are; those after them are for updates.
READ_ROWS, ROWS = 1000, 2000
START_SECONDS = 60


class StageError(Exception):
    """What a measurement needs is missing, or does not start; the text is for people."""


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
class Program:
    """How a service is started: what Python runs, on which cores; `--port N` is added to it."""

    command: tuple[str, ...]
    python: str = sys.executable
    cores: tuple[int, ...] = (SERVER_CORE,)
    has_rpc_port: bool = False
    #: Workers of the service, each of which is pinned to one of the cores.
    workers: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Paths of calls, by their names, where a service has others than the rest.
    paths: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, module: str, *arguments: str, **options: Any) -> Program:
        """Return the program of a module of `benchmarks.services`."""
        return cls(command=("-m", f"benchmarks.services.{module}", *arguments), **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: its name, its ports, and its process."""

    name: str
    port: int
    rpc_port: int
    paths: Mapping[str, str]
    process: subprocess.Popen[bytes]

    def processes(self) -> list[psutil.Process]:
        """Return its process and the workers of it."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the processor time that all of its processes have used."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(item.user + item.system for item in times))


@contextlib.contextmanager
def stage() -> Iterator[dict[str, str]]:
    """Make a database with rows and the stubs; yield the environment that services need."""
    admin = os.environ.get("BALI_BENCH_POSTGRES", DEFAULT_POSTGRES)
    name = f"bali_bench_{secrets.token_hex(4)}"
    try:
        asyncio.run(execute(admin, f"CREATE DATABASE {name}"))
    except (OSError, asyncpg.PostgresError) as error:
        raise StageError(
            f"no PostgreSQL to measure with: {error}\n"
            f"tried {admin}; BALI_BENCH_POSTGRES names another one"
        ) from error
    url = f"{admin.rpartition('/')[0]}/{name}"
    folder = Path(tempfile.mkdtemp(prefix="bali-bench-"))
    try:
        # What a commit waits for is the disk, which is not what is compared.
        asyncio.run(execute(admin, f"ALTER DATABASE {name} SET synchronous_commit = off"))
        asyncio.run(execute(url, _SEED))
        _compile_stubs(folder)
        yield {
            **os.environ,
            "DATABASE_URL": url,
            "BENCH_STUBS": str(folder),
            "PYTHONPATH": str(ROOT),
            # As with installed packages, whatever the shell says: nobody compiles at each start.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "BALI_DRAIN_DELAY_SECONDS": "0",
            "STAGE": "prod",
        }
    finally:
        shutil.rmtree(folder)
        asyncio.run(execute(admin, f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.contextmanager
def services(
    programs: Mapping[str, Program | tuple[str, ...]], env: dict[str, str]
) -> Iterator[dict[str, Service]]:
    """Run services, pinned to one core; a tuple is a module and its arguments."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name, given in programs.items():
            program = given if isinstance(given, Program) else Program.of(*given)
            running[name] = stack.enter_context(service(name, program, env))
        yield running


def pinned(core: int, *command: str) -> list[str]:
    """Return a command that runs on one core."""
    return _pinned((core,), command)


def _pinned(cores: tuple[int, ...], command: tuple[str, ...]) -> list[str]:
    if not shutil.which("taskset"):
        return list(command)
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


@contextlib.contextmanager
def service(name: str, program: Program, env: dict[str, str]) -> Iterator[Service]:
    """Run one service; it answers on its port when the block begins."""
    port, log = free_port(), Path(env["BENCH_STUBS"]) / f"{secrets.token_hex(4)}.log"
    ports = ["--port", str(port)]
    rpc_port = free_port() if program.has_rpc_port else port
    if program.has_rpc_port:
        ports += ["--rpc-port", str(rpc_port)]
    command = _pinned(program.cores, (program.python, *program.command, *ports))
    with log.open("wb") as output, contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            command,
            env={**env, **program.variables},
            cwd=ROOT,
            stdout=output,
            stderr=output if "BENCH_VERBOSE" not in env else None,
            # As a service has: of one session with the load, the kernel shares cores among both,
            # and takes them from the service's threads many times a call.
            start_new_session=True,
        )
        stack.callback(_end, process)
        _wait_for(name, (port, rpc_port), process, log)
        _pin_workers(name, process, program, log)
        yield Service(name=name, port=port, rpc_port=rpc_port, paths=program.paths, process=process)


def _pin_workers(name: str, process: subprocess.Popen[bytes], program: Program, log: Path) -> None:
    """Pin each worker to a core of its own, as the only worker of others is.

    The port is open before the first of them serves: it waits until gRPC runs in all.
    """
    if not program.workers:
        return
    children = psutil.Process(process.pid).children
    end = time.monotonic() + START_SECONDS
    while len(serving := [worker for worker in children() if _serves(worker)]) < program.workers:
        _check_start(name, process, log, end)
        time.sleep(0.01)
    for number, worker in enumerate(serving):
        core = program.cores[number % len(program.cores)]
        for thread in worker.threads():
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.sched_setaffinity(thread.id, {core})


def _serves(worker: psutil.Process) -> bool:
    try:
        return int(worker.num_threads()) > 1
    except psutil.NoSuchProcess:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(
    name: str, ports: tuple[int, ...], process: subprocess.Popen[bytes], log: Path
) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        _check_start(name, process, log, end)
        with contextlib.suppress(OSError):
            for port in ports:
                socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)


def _check_start(name: str, process: subprocess.Popen[bytes], log: Path, end: float) -> None:
    """Raise `StageError` when a service has ended, or has had its time to start."""
    if process.poll() is not None:
        words = log.read_text(errors="replace")[-2000:]
        raise StageError(f"{name} ended with exit code {process.returncode}:\n{words}")
    if time.monotonic() > end:
        raise StageError(f"{name} did not start within {START_SECONDS} seconds")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def execute(url: str, statement: str) -> None:
    """Run SQL on a connection of its own."""
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def messages(env: Mapping[str, str]) -> Any:
    """Return the module of the messages that every service speaks."""
    if env["BENCH_STUBS"] not in sys.path:
        sys.path.insert(0, env["BENCH_STUBS"])
    return importlib.import_module("bench_pb2")


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
        raise StageError("protoc could not compile the service's .proto")
