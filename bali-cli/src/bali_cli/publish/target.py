"""Where a contract is published to: a remote, or a working copy that has none."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bali_cli.console import abort
from bali_cli.git import Outcome, attempt_git, git, is_url, without_secrets
from bali_cli.proto_source import branch_of, git_folder, remote_branch, resolve

__all__ = ["Target", "default_source", "open_target"]

#: Where what is fetched lies meanwhile; no branch of anybody.
_MEANWHILE = "refs/bali/publish"


class Target(Protocol):
    """One repo of protos."""

    @property
    def shown(self) -> str:
        """What the user called it, without a password."""

    @property
    def folder(self) -> Path:
        """The git folder to read from and to make commits in."""

    def default_branch(self) -> str | None:
        """Return the branch that is published to; it may have no commit yet. None if unknown."""

    def head(self, branch: str) -> str | None:
        """Return the newest commit of a branch, as it is now; None without one."""

    def deliver(self, commit: str, branch: str, old: str | None) -> Outcome:
        """Move the branch from `old` to `commit`; refused when it is somewhere else by now."""

    def refuse_dirty(self, paths: Iterable[str], branch: str) -> None:
        """End the process when one of these files is edited in the working copy."""

    def bring_forward(self, commit: str, branch: str) -> bool:
        """Let the working copy follow, uncommitted changes kept; False when it cannot."""


def default_source(root: Path) -> str:
    """Return where a service at `root` has the repo of protos: `../proto`, beside it.

    Ends the process when that is not there.
    """
    sibling = root.parent / "proto"
    if not sibling.is_dir():
        abort(
            f"there is no {sibling}, where the repo of protos is by default.\n"
            "Name it with --to: a folder, or an address as in https://host/team/proto.git"
        )
    return str(sibling)


@contextmanager
def open_target(source: str) -> Iterator[Target]:
    """Give the repo at a path or an address; what is temporary goes at the end.

    Ends the process when there is none, or it does not answer.
    """
    shown = without_secrets(source)
    if is_url(source):
        with _temporary_folder() as folder:
            yield _Remote(shown=shown, folder=folder, address=source, remote=source)
        return
    folder = git_folder(source)
    path = Path(source).expanduser().resolve()
    if git("rev-parse", "--is-bare-repository", folder=folder) == "true":
        with _temporary_folder() as own:  # its hooks and rules hold, as for everybody
            yield _Remote(shown=shown, folder=own, address=str(path), remote=str(path))
    elif name := _remote_name(shown, folder):
        working = _WorkingCopy(shown=shown, folder=path)
        address = _address(path, name)
        yield _Remote(shown=shown, folder=path, address=address, remote=name, working=working)
    else:
        yield _WorkingCopy(shown=shown, folder=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkingCopy:
    """A working copy without a remote: its own branches are what is published."""

    shown: str
    folder: Path

    def default_branch(self) -> str | None:
        return branch_of(self.folder)

    def head(self, branch: str) -> str | None:
        return resolve(self.folder, f"refs/heads/{branch}")

    def deliver(self, commit: str, branch: str, old: str | None) -> Outcome:
        where = self._checked_out(branch)
        if where is not None:  # a branch in use moves with its files
            with self._alone():
                if self.head(branch) != old:
                    words = "incorrect old value"
                    return Outcome(command="git merge", code=1, output=b"", errors=words)
                return attempt_git("merge", "--ff-only", "--quiet", commit, folder=where)
        new_only = "0" * len(commit)
        return attempt_git(
            *("update-ref", "-m", "bali publish", f"refs/heads/{branch}", commit, old or new_only),
            folder=self.folder,
        )

    def refuse_dirty(self, paths: Iterable[str], branch: str) -> None:
        for where in dict.fromkeys((self.folder, self._checked_out(branch) or self.folder)):
            question = ("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--")
            changed = git(*question, *(f":(top,literal){path}" for path in paths), folder=where)
            if changed:
                path = changed.split("\0")[0][3:]
                abort(
                    f"{where / path} has changes that are not committed.\n"
                    "Nothing is published. Commit them there or discard them, then publish again."
                )

    def bring_forward(self, commit: str, branch: str) -> bool:
        where = self._checked_out(branch)
        if where is None:
            return True
        with self._alone():
            return not attempt_git("merge", "--ff-only", "--quiet", commit, folder=where).code

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other publishers out.

        A merge writes files and index first and moves the branch after that, so a second one in
        between takes them for somebody's uncommitted changes; one into a branch without a commit
        does not even look whether there is one by now.
        """
        shared = git("rev-parse", "--path-format=absolute", "--git-common-dir", folder=self.folder)
        with (Path(shared) / "bali-publish.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _checked_out(self, branch: str) -> Path | None:
        listed = git("worktree", "list", "--porcelain", folder=self.folder)
        for block in listed.split("\n\n"):
            lines = block.splitlines()
            if f"branch refs/heads/{branch}" in lines and "bare" not in lines:
                return Path(lines[0].removeprefix("worktree "))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remote:
    """A repo that is pushed to.

    `remote` is what git, run in `folder`, calls it: the name that the working copy has for it, or
    the address, where `folder` is a temporary repo.
    """

    shown: str
    folder: Path
    address: str
    remote: str
    working: _WorkingCopy | None = None

    def default_branch(self) -> str:
        found = remote_branch(self.remote, self.folder)
        if found is None and not is_url(self.address):
            found = branch_of(git_folder(self.address))
        if found is None and self.working is not None:
            found = branch_of(self.working.folder)
        return found or "main"

    def head(self, branch: str) -> str | None:
        name = f"refs/heads/{branch}"
        listed = attempt_git("ls-remote", "--", self.remote, name, folder=self.folder)
        self._refuse_silence(listed)
        if name not in [line.partition("\t")[2] for line in listed.text.splitlines()]:
            return None
        mine = f"{_MEANWHILE}-{os.getpid()}"  # others publish from this copy too
        shallow = git("rev-parse", "--is-shallow-repository", folder=self.folder) == "true"
        whole = ["--unshallow"] if shallow else []  # who changed what is told by the history
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", *whole]
        wanted = f"+{name}:{mine}"
        self._refuse_silence(
            attempt_git("fetch", *options, "--", self.remote, wanted, folder=self.folder)
        )
        commit = resolve(self.folder, mine)
        attempt_git("update-ref", "-d", mine, folder=self.folder)
        return commit

    def deliver(self, commit: str, branch: str, old: str | None) -> Outcome:  # noqa: ARG002 - git compares
        wanted = f"{commit}:refs/heads/{branch}"
        return attempt_git("push", "--quiet", "--", self.remote, wanted, folder=self.folder)

    def refuse_dirty(self, paths: Iterable[str], branch: str) -> None:
        if self.working is not None:
            self.working.refuse_dirty(paths, branch)

    def bring_forward(self, commit: str, branch: str) -> bool:
        return self.working is None or self.working.bring_forward(commit, branch)

    def _refuse_silence(self, outcome: Outcome) -> None:
        if outcome.code:
            abort(
                f"cannot read the repo {without_secrets(self.address)}: git says\n"
                f"{outcome.errors}\nThe command was: {outcome.command}"
            )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bali-publish-"))
    try:
        git("init", "--quiet", "--bare", "--template=", folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remote_name(shown: str, folder: Path) -> str | None:
    names = git("remote", folder=folder).splitlines()
    if len(names) > 1 and "origin" not in names:
        abort(
            f"{shown} has several remotes and none is called origin: {', '.join(names)}.\n"
            "Name the address of one with --to."
        )
    return "origin" if "origin" in names else next(iter(names), None)


def _address(root: Path, name: str) -> str:
    address = git("remote", "get-url", "--", name, folder=root)
    return address if is_url(address) else str(root / Path(address).expanduser())
