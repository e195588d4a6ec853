"""Services that the command wrote, and what may be done with one."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.programs import run_bali

#: Variables of the tests themselves, which a program of its own must not see.
_OURS = ("PYTEST_", "BALI_", "DATABASE_URL", "STAGE", "SECRET_KEY")
OK = 200


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A service in a folder of its own."""

    folder: Path
    name: str
    proto_first: bool


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a process that knows nothing of the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | more


def run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=variables or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def bali(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as its users do."""
    return run_bali(folder, *arguments, env=environment())


def generate(folder: Path, name: str, *, proto_first: bool) -> Generated:
    """Write a service into a folder."""
    result = bali(folder, "new", name, *(["--proto-first"] if proto_first else []))
    assert result.returncode == 0, result.stderr
    return Generated(folder=folder / name, name=name, proto_first=proto_first)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for what tools leave behind."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    port: int | None,
    variables: Mapping[str, str],
    *,
    log: list[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run a service while the block does; it has to end with 0 on SIGTERM.

    It is ready before the block begins when `port` is where it answers HTTP. What it wrote to
    stderr goes to `log`.
    """
    with subprocess.Popen(
        command, cwd=folder, env=dict(variables), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while port is not None and status(port, "/readyz") != OK:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
            yield process
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate()
            if log is not None:
                log += errors.splitlines()
            assert process.returncode == 0, errors
        finally:
            process.kill()


def status(port: int, path: str) -> int | None:
    """Return the status that a service answers with, None when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
