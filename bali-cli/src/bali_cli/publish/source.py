"""The git repo that a service is developed in, when it is in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bali_cli.git import attempt_git

__all__ = ["ServiceSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSource:
    """What the repo of the service tells; nothing at all when there is no such repo."""

    root: Path

    def commit(self, files: list[Path]) -> str | None:
        """Return the commit that is checked out, with `-dirty` when one of `files` differs."""
        head = attempt_git("rev-parse", "--verify", "--quiet", "HEAD", folder=self.root)
        if head.code:
            return None
        changed = attempt_git("status", "--porcelain", "--", *files, folder=self.root)
        return f"{head.text}-dirty" if changed.text else head.text

    def version(self) -> str | None:
        """Return the newest tag and how far from it the commit is; None without a tag."""
        found = attempt_git("describe", "--tags", folder=self.root)
        return None if found.code else found.text

    def had(self, file: Path, content: bytes) -> bool:
        """Tell whether a commit of the service had `content` in `file`."""
        wanted = attempt_git("hash-object", "--stdin", folder=self.root, given=content)
        question = ("log", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", file)
        found = attempt_git(*question, folder=self.root)
        if wanted.code or found.code:
            return False
        return any(wanted.text == line.split()[3] for line in found.text.splitlines())

    def is_behind(self, commit: str) -> bool:
        """Tell whether `commit` is known here and comes after the one that is checked out."""
        commit = commit.removesuffix("-dirty")
        head = attempt_git("rev-parse", "--verify", "--quiet", "HEAD", folder=self.root)
        if not commit or head.code or head.text == commit:
            return False
        question = ("merge-base", "--is-ancestor", "HEAD", "--end-of-options", commit)
        return not attempt_git(*question, folder=self.root).code
