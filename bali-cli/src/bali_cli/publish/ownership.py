"""Whose change it is that stands in the repo of protos: ours, or somebody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bali_cli.console import abort
from bali_cli.git import attempt_git, git
from bali_cli.publish.contract import Contract
from bali_cli.publish.source import ServiceSource

__all__ = ["COMMIT_TRAILER", "SERVICE_TRAILER", "Change", "changes_of", "refuse_foreign"]

#: A commit of ours has the name of the service, and the commit its .proto is from.
SERVICE_TRAILER = "Bali-Service"
COMMIT_TRAILER = "Bali-Commit"

_FORMAT = "%x00".join(
    (
        "%H",
        "%an <%ae>",
        "%as",
        "%s",
        f"%(trailers:key={SERVICE_TRAILER},valueonly,separator=%x2C)",
        f"%(trailers:key={COMMIT_TRAILER},valueonly,separator=%x2C)",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A commit that changed a file. `content` is None when it removed it."""

    commit: str
    author: str
    date: str
    subject: str
    service: str
    source_commit: str
    content: bytes | None

    def __str__(self) -> str:
        return f"{self.author} on {self.date}: {self.commit[:12]} {self.subject!r}"


def changes_of(folder: Path, head: str, path: str) -> list[Change]:
    """Return the commits that made a file what it is at `head`, the newest first."""
    listed = git(
        *("log", f"--format={_FORMAT}", "--no-notes", "--end-of-options", head),
        *("--", f":(top,literal){path}"),
        folder=folder,
    )
    changes = []
    for line in listed.splitlines():
        commit, author, date, subject, service, source = line.split("\0")
        changes.append(
            Change(
                commit=commit,
                author=author,
                date=date,
                subject=subject,
                service=service.strip(),
                source_commit=source.strip(),
                content=_blob(folder, commit, path),
            )
        )
    return changes


def refuse_foreign(
    contract: Contract, path: str, changes: Sequence[Change], new: bytes, source: ServiceSource
) -> None:
    """End the process when `new` would undo what others did to `path`; name who and when.

    A published file is ours when a commit of ours, or of the service itself, had this content; and
    when `new` has what others changed since the last commit of ours.
    """
    if not changes:
        return
    last, published = changes[0], changes[0].content
    ours = [change for change in changes if change.service == contract.service]
    if any(change.content == published for change in ours):
        _refuse_older(path, next(one for one in ours if one.content == published), source)
        return
    if published is not None:
        base = next((change.content for change in ours if change.content is not None), b"")
        if source.had(contract.sources[path], published) or _contains(new, base, published):
            return
    what = "removed" if published is None else "changed"
    abort(
        f"{path} was {what} in the repo of protos, and this contract does not have that change:\n"
        f"  {last}\n"
        f"Nothing is published. Take it over into {contract.sources[path]}, then publish again.\n"
        f"It shows with: git show {last.commit[:12]} -- {path}"
    )


def _refuse_older(path: str, published: Change, source: ServiceSource) -> None:
    if source.is_behind(published.source_commit):
        abort(
            f"{path} is published from a newer commit of this service, "
            f"{published.source_commit[:12]}, than the one here.\nNothing is published. Pull the "
            "newer commits; to go back on purpose, revert them in a commit of its own."
        )


def _contains(new: bytes, base: bytes, theirs: bytes) -> bool:
    """Tell whether `new` has the lines that `theirs` added to `base`, and none that it removed.

    Where they stand is not asked: what that changes for callers, the check for breaking changes
    finds.
    """
    ours, before, after = (
        Counter(line.strip() for line in text.splitlines()) for text in (new, base, theirs)
    )
    added, removed = after - before, before - after
    return all(ours[line] >= after[line] for line in added) and all(
        ours[line] <= after[line] for line in removed
    )


def _blob(folder: Path, commit: str, path: str) -> bytes | None:
    found = attempt_git("cat-file", "blob", f"{commit}:{path}", folder=folder)
    return None if found.code else found.output
