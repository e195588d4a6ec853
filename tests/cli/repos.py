"""Real git repos in a temporary folder, and `bali` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer

from bali_cli.proto_repo import ProtoRepo
from tests.programs import run_bali

USER = """syntax = "proto3";

package user;

service UserService {
  rpc GetUser(GetUserRequest) returns (User);
  rpc WatchUser(WatchUserRequest) returns (stream User);
}

message User {
  int64 id = 1;
  string name = 2;
  Kind kind = 3;
}

message GetUserRequest {
  int64 id = 1;
}

message WatchUserRequest {
  int64 id = 1;
}

enum Kind {
  KIND_UNSPECIFIED = 0;
  KIND_ADMIN = 1;
}
"""

CONFIG = """[user]
name = Ann
email = ann@example.org
[init]
defaultBranch = main
"""


class Repos:
    """Makes repos and services below one folder; the environment keeps the user's git out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, folder: Path, *arguments: str) -> str:
        """Run git and return what it prints; a failure fails the test."""
        ran = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"git {arguments}: {ran.stderr}"
        return ran.stdout.strip()

    def make(self, name: str = "proto", *, branch: str = "main", bare: bool = False) -> Path:
        """Make an empty repo and return its folder."""
        options = ["--bare"] if bare else []
        self.git(self.folder, "init", "-q", "-b", branch, *options, name)
        return self.folder / name

    def clone(self, source: Path, name: str) -> Path:
        """Clone a repo and return the folder of the working copy."""
        self.git(self.folder, "clone", "-q", str(source), name)
        return self.folder / name

    def commit(
        self,
        repo: Path,
        files: Mapping[str, str | bytes | None],
        message: str = "Change",
        author: str = "Ben <ben@example.org>",
    ) -> str:
        """Write files (None: remove) in a working copy, commit them, and return the commit."""
        for path, content in files.items():
            file = repo / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
            self.git(repo, "add", "--all", "--", path)
        self.git(repo, "commit", "-q", "-m", message, "--author", author)
        return self.git(repo, "rev-parse", "HEAD")

    def remote(self, files: Mapping[str, str] | None = None) -> Path:
        """Make a bare repo, with these files in it, and return its folder."""
        bare = self.make("remote.git", bare=True)
        if files:
            first = self.clone(bare, "first")
            self.commit(first, files)
            self.git(first, "push", "-q", "origin", "HEAD:main")
        return bare

    def service(self, name: str = "user", proto: str = USER, *, file: str = "user.proto") -> Path:
        """Make the folder of a service with its .proto, and return it."""
        protos = self.folder / name / "protos"
        protos.mkdir(parents=True, exist_ok=True)
        (protos / file).write_text(proto, encoding="utf-8")
        return self.folder / name

    def edit(self, service: Path, old: str, new: str) -> None:
        """Replace a text that the .proto of a service has."""
        proto = service / "protos/user.proto"
        text = proto.read_text(encoding="utf-8")
        assert old in text
        proto.write_text(text.replace(old, new), encoding="utf-8")

    def show(self, repo: Path, path: str = "user/user.proto", ref: str = "main") -> str:
        """Return a file as a branch has it."""
        ran = subprocess.run(
            ["git", "show", f"{ref}:{path}"], cwd=repo, capture_output=True, text=True, check=True
        )
        return ran.stdout

    def start(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """Start `bali` in a folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "bali_cli", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bali(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `bali` in a folder; a traceback fails the test."""
        ran = run_bali(folder, *arguments, env=os.environ)
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def published(self, folder: Path, *arguments: str) -> str:
        """Run `bali publish`, which has to succeed, and return what it prints."""
        ran = self.bali(folder, "publish", *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def refused(self, folder: Path, *arguments: str) -> str:
        """Run `bali`, which has to fail, and return its message."""
        ran = self.bali(folder, *arguments)
        assert ran.returncode == 1, (ran.stdout, ran.stderr)
        assert ran.stderr.startswith("error: ")
        return ran.stderr


class Refusal:
    """What an opening that has to fail says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def of(self, source: str | Path, ref: str | None = None) -> str:
        with pytest.raises(typer.Exit) as ended:
            ProtoRepo.open(str(source), ref)
        assert ended.value.exit_code == 1
        return self.text()

    def text(self) -> str:
        captured = self._capsys.readouterr()
        assert not captured.out
        assert captured.err.startswith("error: ")
        return captured.err
