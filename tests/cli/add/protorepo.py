"""A proto repo and a service that calls what is in it, in temporary folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.programs import run_bali

PROTOS = Path(__file__).parent / "protos"
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "tester",
    "GIT_AUTHOR_EMAIL": "tester@example.com",
    "GIT_COMMITTER_NAME": "tester",
    "GIT_COMMITTER_EMAIL": "tester@example.com",
}


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **GIT, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


class Workplace:
    """`proto/`, a git repo, and `shop/`, a service beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proto = folder / "proto"
        self.service = folder / "shop"
        self.service.mkdir()
        shutil.copytree(PROTOS, self.proto)
        self.git("init", "--quiet", "--initial-branch=trunk")
        self.commit()

    @property
    def clients(self) -> Path:
        return self.service / "clients"

    def git(self, *arguments: str) -> str:
        result = run(self.proto, "git", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def commit(self) -> str:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def edit(self, path: str, old: str, new: str) -> str:
        file = self.proto / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return self.commit()

    def bali(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_bali(self.service, *arguments, env={**os.environ, **GIT, **variables})

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that has to succeed."""
        result = self.bali(*arguments)
        assert result.returncode == 0, result.stderr
        return result

    def tree(self) -> dict[str, bytes]:
        """Return every file of the service with its content."""
        return {
            path.relative_to(self.service).as_posix(): path.read_bytes()
            for path in sorted(self.service.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
