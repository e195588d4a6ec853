"""The buf program: lint, format and breaking changes of .proto files, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bali_cli.buf_config import BufConfig
from bali_cli.console import abort
from bali_cli.google_protos import google_protos

__all__ = ["Finding", "breaking_changes", "compile_errors", "format_difference", "lint"]

#: The module with the .proto files in question, and the one with what everybody may import.
_MODULE, _INCLUDE = "protos", "include"
_FOUND = 100  # buf's exit code when there are findings
_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One thing that buf found in the file `path`, as it was given."""

    path: str
    line: int
    column: int
    rule: str
    message: str


def lint(
    files: Mapping[str, bytes], sources: Mapping[str, Path], config: BufConfig
) -> list[Finding]:
    """Return what breaks a rule of style in those of `files` that `sources` has.

    `files` are by the path that imports have; `sources` tells where each lies in the service, which
    is what the paths to ignore in its buf.yaml speak of.
    """
    with _workspace(files, sources, config.settings(sources, _MODULE)) as folder:
        return _findings(folder, "lint", _MODULE)


def breaking_changes(
    files: Mapping[str, bytes],
    former: Mapping[str, bytes],
    sources: Mapping[str, Path],
    config: BufConfig,
) -> list[Finding]:
    """Return what callers of `former` would miss in `files`, of those that `sources` has.

    A file that `former` does not have breaks nobody.
    """
    known = [path for path in sources if path in former]
    if not known:
        return []
    settings = config.settings(sources, _MODULE)
    with _workspace(files, known, settings) as new, _workspace(former, known, settings) as old:
        return _findings(new, "breaking", _MODULE, "--against", str(old / _MODULE))


def compile_errors(files: Mapping[str, bytes], wanted: Iterable[str]) -> list[Finding]:
    """Return what the compiler refuses in the `wanted` ones of `files`, and in what they import."""
    with _workspace(files, wanted, BufConfig().settings({}, _MODULE)) as folder:
        return _findings(folder, "build", _MODULE, "-o", os.devnull)


def format_difference(path: str, content: bytes) -> str:
    """Return how a file would change if buf formatted it, as a diff; "" when it would not.

    A file that has a syntax error is not formatted.
    """
    name = PurePosixPath(path).name
    with _workspace({name: content}, [name], BufConfig().settings({}, _MODULE)) as folder:
        ran = _run(folder, "format", "--diff", "--exit-code", f"{_MODULE}/{name}")
    if ran.returncode != _FOUND:
        return ""
    lines = ran.stdout.splitlines()
    body = next((at for at, line in enumerate(lines) if line.startswith("@@")), len(lines))
    return "\n".join([f"--- {path}", f"+++ {path} (formatted)", *lines[body:]])


def _findings(folder: Path, command: str, *arguments: str) -> list[Finding]:
    ran = _run(folder, command, "--error-format=json", *arguments)
    lines = [*ran.stdout.splitlines(), *ran.stderr.splitlines()]
    found = [_finding(json.loads(line)) for line in lines if line.startswith("{")]
    if ran.returncode and not found:
        abort(f"buf {command} failed: {ran.stderr.strip() or ran.returncode}")
    return sorted(set(found))


def _finding(about: Mapping[str, object]) -> Finding:
    return Finding(
        path=str(about.get("path", "")).removeprefix(f"{_MODULE}/").removeprefix(f"{_INCLUDE}/"),
        line=int(str(about.get("start_line", 1))),
        column=int(str(about.get("start_column", 1))),
        rule=str(about["type"]),
        message=str(about["message"]),
    )


@contextmanager
def _workspace(
    files: Mapping[str, bytes], wanted: Iterable[str], settings: Mapping[str, Mapping[str, object]]
) -> Iterator[Path]:
    """Give a temporary folder with the `wanted` files as a module, and settings.

    What they may import, the other files and those of Google, is in a module of its own: nothing is
    told of it.
    """
    with tempfile.TemporaryDirectory(prefix="bali-buf-") as name:
        folder = Path(name).resolve()
        module = {path: files[path] for path in wanted}
        others = {**google_protos(), **files}
        written = {
            **{f"{_MODULE}/{path}": content for path, content in module.items()},
            **{f"{_INCLUDE}/{path}": others[path] for path in others.keys() - module.keys()},
            **{path: json.dumps(content).encode() for path, content in settings.items()},
        }
        for path, content in written.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield folder


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name("buf")
    program = str(beside) if beside.is_file() else shutil.which("buf")
    if program is None:
        abort(
            "buf is not installed: it is neither beside this Python nor on PATH.\n"
            "It comes with bali-cli; install it with `pip install buf-bin`."
        )
    try:
        return subprocess.run(  # noqa: S603 - the arguments are ours
            [program, *arguments],
            cwd=folder,
            env=os.environ | {"BUF_CACHE_DIR": str(folder / ".cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        abort(f"buf {arguments[0]} gave no answer within {_SECONDS} seconds.")
