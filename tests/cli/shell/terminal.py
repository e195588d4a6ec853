"""A person at a terminal: a process that reads from and writes to a pseudo terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

__all__ = ["Terminal", "at_terminal"]

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\].*?(\x07|\x1b\\)|[=>])")
_SECONDS = 60.0
#: Makes standard input the terminal that Ctrl-C comes from, then becomes the command.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


class Terminal:
    """What a person types and sees."""

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        self._leader, follower = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        self.seen = ""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)

    def wait_for(self, text: str) -> None:
        """Return when `text` has been shown since the last call."""
        while (found := self.seen.find(text, self._read)) < 0:
            self._more(f"{text!r} did not appear")
        self._read = found + len(text)

    def type(self, text: str) -> None:
        """Type a line and Enter."""
        os.write(self._leader, f"{text}\r".encode())

    def press(self, key: str) -> None:
        """Press a control key: "c" for Ctrl-C, "d" for Ctrl-D."""
        os.write(self._leader, bytes([ord(key) - ord("a") + 1]))

    def ends(self) -> int:
        """Return the exit code when the process has ended."""
        while self._more(None):
            pass
        return self.process.wait(_SECONDS)

    def _more(self, complaint: str | None) -> bool:
        ready, _, _ = select.select([self._leader], [], [], _SECONDS)
        try:
            chunk = os.read(self._leader, 65536) if ready else b""
        except OSError:  # Linux says this at the end of a terminal
            chunk = b""
        if not chunk and complaint is not None:
            pytest.fail(f"{complaint} in:\n{self.seen}")
        self.seen += _ESCAPES.sub("", chunk.decode(errors="replace"))
        return bool(chunk)


@contextmanager
def at_terminal(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[Terminal]:
    """Start a command at a terminal of its own, and end it if the block has not."""
    with Terminal(command, folder, variables) as terminal:
        yield terminal
