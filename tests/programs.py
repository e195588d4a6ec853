"""Running `bali` in processes of their own, whose libraries need not be loaded each time.

Most of what such a process does is to load FastAPI, SQLAlchemy and Alembic. So each is forked from
one that has loaded them, and nothing else: bali and the service are loaded anew by each.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["run_bali"]

LIBRARIES = [
    "aiosqlite", "alembic.autogenerate", "alembic.config", "alembic.context", "fastapi",
    "google.longrunning.operations_pb2", "google.protobuf.json_format",
    "google.rpc.error_details_pb2", "google.type.date_pb2", "google.type.decimal_pb2",
    "google.type.timeofday_pb2", "jinja2", "mako.exceptions", "msgspec", "pydantic_settings",
    "rich.markdown", "rich.table", "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.ext.asyncio", "sqlalchemy.orm",
    "starlette.middleware.cors", "typer.completion", "typer.main", "uvloop", "yaml",
]  # fmt: skip

_forks = multiprocessing.get_context("forkserver")


def run_bali(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str],
    is_strict: bool = False,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `bali` in a folder to its end, with these variables and nothing to read.

    `is_strict` has warnings of bali and of the service be errors. Variables that are read when an
    interpreter starts (`PYTHONPATH`) have no effect. Raises `subprocess.TimeoutExpired` after
    `timeout` seconds, when it has been killed.
    """
    with tempfile.TemporaryDirectory() as results:
        out, errors = Path(results, "stdout"), Path(results, "stderr")
        command = _Command(
            arguments=arguments,
            folder=folder,
            env=dict(env),
            is_strict=is_strict,
            outputs=(out, errors),
            module_path=_module_path(),
        )
        _forks.set_forkserver_preload(LIBRARIES)
        process = _forks.Process(target=command.perform)
        process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        process.close()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), errors.read_text())


@functools.cache
def _module_path() -> tuple[str, ...]:
    """Return where a program finds modules besides its own folder: nothing of the tests."""
    code = "import sys; print(*sys.path[1:], sep='\\n')"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return tuple(ran.stdout.splitlines())


@dataclass(frozen=True, kw_only=True)
class _Command:
    """One command, on its way into the process that performs it."""

    arguments: tuple[str, ...]
    folder: Path
    env: Mapping[str, str]
    is_strict: bool
    outputs: tuple[Path, Path]
    module_path: tuple[str, ...]

    def perform(self) -> None:
        """Become `python -m bali_cli`."""
        os.environ.clear()
        os.environ.update(self.env)
        time.tzset()
        os.chdir(self.folder)
        for number, path in enumerate((Path(os.devnull), *self.outputs)):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
        sys.path[:] = [str(self.folder), *self.module_path]
        sys.argv = ["bali_cli", *self.arguments]
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        if self.is_strict:
            warnings.simplefilter("error")
        try:
            runpy.run_module("bali_cli", run_name="__main__", alter_sys=True)
        finally:
            atexit._run_exitfuncs()  # what is forked ends without them
