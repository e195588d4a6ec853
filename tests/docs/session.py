"""Runs the blocks of one document, in a folder and in processes of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.docs import interpreter
from tests.docs.document import Block, DocumentError
from tests.ports import free_port

TIMEOUT_SECONDS = 120.0
_ADDRESS = re.compile(
    r"(\b(?:localhost|127\.0\.0\.1|0\.0\.0\.0):|--(?:rpc-)?port[ =])([89]\d{3})\b"
)
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")
_POSTGRES = re.compile(r"postgresql://\S*")
_EXITS = re.compile(r"#\s*exits (\d+)\s*$")


class Session:
    """One document being followed by a reader: files, a Python session, servers, a shell."""

    def __init__(
        self, document: Path, folder: Path, *, postgres: Callable[[], str] | None = None
    ) -> None:
        self.document = document
        self._postgres = postgres
        self.folder = folder
        self.shell_folder = folder
        self._ports: dict[str, str] = {}
        self._python: subprocess.Popen[str] | None = None
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._unproved: dict[Path, str] = {}
        self._last_file: Path | None = None
        self._log: IO[str] = (folder.parent / f"{folder.name}.log").open("w+")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end_python()
        for server in self._servers.values():
            server.kill()
            server.wait()
        self._log.close()

    def run(self, blocks: list[Block]) -> None:
        """Run every block, then stop what was started; the first mistake is a DocumentError."""
        for block in blocks:
            if block.skip is None:
                self._run(block)
        for program in list(self._servers):
            self._stop(program)
        self._prove_the_rest()

    def _run(self, block: Block) -> None:
        if block.serves is not None:
            self._serve(block, self._with_real_ports(block.serves))
        if block.title is not None:
            self._write(block, block.title)
            return
        match block.language:
            case "python":
                self._execute(block)
            case "console":
                self._follow(block)
            case "bash":
                self._shell(block.place, block.text, exit_code=0)
            case "json" | "toml":
                self._parse(block)
            case "text":
                pass
            case _:
                raise DocumentError(
                    f"{block.place}: nothing runs {block.language!r}: give it a title=FILE, call it"
                    " text, or say why not: <!-- skip: the reason -->"
                )

    # -- files and Python ------------------------------------------------------------------

    def _write(self, block: Block, title: str) -> None:
        path = self.folder / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._with_real_ports(block.text))
        if path.suffix == ".py":
            self._end_python()
            self._unproved[path] = block.place
            self._last_file = path

    def _execute(self, block: Block) -> None:
        if self._python is None:
            self._python = self._start_python()
            if self._last_file is not None:
                self._ask(self._unproved.get(self._last_file, block.place), self._import_of())
                self._unproved.pop(self._last_file, None)
        code = self._with_real_ports(block.text)
        self._ask(block.place, {"code": code, "file": str(self.document), "line": block.line})

    def _start_python(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, interpreter.__file__],
            cwd=self.folder,
            env=self._environment() | {"PYTHONPATH": str(self._root()), "PYTHONWARNINGS": "error"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def _ask(self, place: str, request: dict[str, Any]) -> None:
        python = self._python
        assert python is not None
        assert python.stdin is not None
        assert python.stdout is not None
        python.stdin.write(json.dumps(request) + "\n")
        python.stdin.flush()
        answer = python.stdout.readline()
        trace = json.loads(answer) if answer else "the Python session ended\n" + self._logged()
        if trace is not None:
            raise DocumentError(f"{place}: the block failed\n{trace}")

    def _end_python(self) -> None:
        if self._python is not None:
            with self._python as python:
                assert python.stdin is not None
                python.stdin.close()
            self._python = None

    def _import_of(self) -> dict[str, Any]:
        assert self._last_file is not None
        parts = self._last_file.relative_to(self._root()).with_suffix("").parts
        return {"module": ".".join(part for part in parts if part != "__init__")}

    def _root(self) -> Path:
        """The folder of the service that the last file belongs to: the one with a main.py."""
        if self._last_file is not None:
            for folder in self._last_file.parents:
                if folder == self.folder:
                    break
                if (folder / "main.py").is_file():
                    return folder
        return self.folder

    def _prove_the_rest(self) -> None:
        """Import the files that nothing in the document has run."""
        for path, place in list(self._unproved.items()):
            self._end_python()
            self._last_file = path
            self._python = self._start_python()
            self._ask(place, self._import_of())

    # -- servers ---------------------------------------------------------------------------

    def _serve(self, block: Block, command: str) -> None:
        words = shlex.split(command)
        variables: dict[str, str] = {}
        while assigned := _ASSIGNMENT.fullmatch(words[0]):
            variables[assigned[1]] = self._with_real_database(assigned[2])
            words.pop(0)
        program, *arguments = words
        for option, port in (("--port", "8000"), ("--rpc-port", "9080")):
            if option not in arguments:
                arguments += [option, self._port(port)]
        self._stop(program)
        path = self.folder / program
        self._unproved.pop(path, None)
        self._servers[program] = subprocess.Popen(
            [sys.executable, path.name, *arguments],
            cwd=path.parent,
            env=self._environment()
            | {"PYTHONWARNINGS": "error", "BALI_DRAIN_DELAY_SECONDS": "0"}
            | variables,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        wanted = "--rpc-port" if "--rpc" in arguments else "--port"
        self._wait_for(block.place, program, int(arguments[arguments.index(wanted) + 1]))

    def _wait_for(self, place: str, program: str, port: int) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS).close()
            except OSError:
                code = self._servers[program].poll()
                if code is not None or time.monotonic() > deadline:
                    raise DocumentError(
                        f"{place}: {program} does not serve (exit code {code})\n{self._logged()}"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _stop(self, program: str) -> None:
        server = self._servers.pop(program, None)
        if server is None:
            return
        server.send_signal(signal.SIGTERM)
        try:
            code = server.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            code = server.wait()
        if code != 0:
            raise DocumentError(
                f"{self.document.name}: {program} ended with {code}\n{self._logged()}"
            )

    # -- the shell -------------------------------------------------------------------------

    def _follow(self, block: Block) -> None:
        for line, command, expected in _commands(block):
            place = f"{self.document.name}:{line}"
            exits = _EXITS.search(command)
            output = self._shell(
                place, self._with_real_ports(command), exit_code=int(exits[1]) if exits else 0
            )
            wanted = self._with_real_ports(expected)
            if wanted.strip() and not _matches(wanted, output):
                raise DocumentError(
                    f"{place}: $ {command}\nexpected:\n{wanted.strip()}\nprinted:\n{output.strip()}"
                )

    def _shell(self, place: str, command: str, *, exit_code: int) -> str:
        where = self.folder.parent / f"{self.folder.name}.cwd"
        result = subprocess.run(
            ["bash", "-c", f"trap 'pwd > {shlex.quote(str(where))}' EXIT\n{command}"],
            cwd=self.shell_folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.shell_folder = Path(where.read_text().strip())
        if result.returncode != exit_code:
            raise DocumentError(
                f"{place}: $ {command}\nended with {result.returncode}, not {exit_code}\n"
                f"{result.stdout}{self._logged()}"
            )
        return result.stdout

    def _parse(self, block: Block) -> None:
        try:
            (json if block.language == "json" else tomllib).loads(block.text)
        except ValueError as error:
            raise DocumentError(f"{block.place}: not {block.language}: {error}") from error

    # -- the surroundings ------------------------------------------------------------------

    def _port(self, number: str) -> str:
        while number not in self._ports:
            free = str(free_port())
            if free not in self._ports.values():
                self._ports[number] = free
        return self._ports[number]

    def _with_real_ports(self, text: str) -> str:
        return _ADDRESS.sub(lambda match: match[1] + self._port(match[2]), text)

    def _with_real_database(self, text: str) -> str:
        if self._postgres is None or not _POSTGRES.match(text):
            return text
        return self._postgres()

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return kept | {"PATH": path, "NO_COLOR": "1"}

    def _logged(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()


def _commands(block: Block) -> list[tuple[int, str, str]]:
    """Return line, command and expected output of each command of a console block."""
    found: list[tuple[int, str, str]] = []
    continued = False
    for number, text in enumerate(block.text.splitlines(), block.line):
        if continued:
            line, command, _ = found[-1]
            found[-1] = (line, f"{command}\n{text.removeprefix('> ')}", "")
        elif text.startswith("$ "):
            found.append((number, text[2:], ""))
        elif found:
            line, command, expected = found[-1]
            found[-1] = (line, command, f"{expected}{text}\n")
        else:
            raise DocumentError(f"{block.place}: a console block begins with a `$ ` line")
        continued = (continued or text.startswith("$ ")) and text.endswith("\\")
    if not found:
        raise DocumentError(f"{block.place}: the console block is empty")
    return found


def _matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what the document shows; `...` stands for anything."""
    shown = "\n".join(line.rstrip() for line in expected.strip().splitlines())
    real = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    pattern = ".*?".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, real, re.DOTALL) is not None
