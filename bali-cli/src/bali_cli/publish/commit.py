"""Commits made of nothing but objects: no working copy is touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bali_cli.console import abort
from bali_cli.git import attempt_git, git
from bali_cli.publish.contract import Contract
from bali_cli.publish.ownership import COMMIT_TRAILER, SERVICE_TRAILER
from bali_cli.publish.source import ServiceSource

__all__ = ["identity", "make_commit", "message_of"]


def identity(*folders: Path) -> dict[str, str]:
    """Return the variables that tell git who commits: as the first of `folders` knows it.

    GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL count for both roles. Ends the process when nobody is
    known: a name that git would make up of the machine's says nothing to others.
    """
    known = (_identity_in(folder) for folder in folders)
    who = next((found for found in known if found), None)
    if who is None:
        abort(
            "git does not know who publishes, and a commit needs an author.\n"
            '  git config --global user.name "Your Name"\n'
            "  git config --global user.email you@example.com\n"
            "or, in a job, set GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL."
        )
    return who


def _identity_in(folder: Path) -> dict[str, str] | None:
    who: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        question = ("-c", "user.useConfigOnly=true", "var", f"GIT_{role}_IDENT")
        known = attempt_git(*question, folder=folder, environment=_committer_as_author())
        if known.code:
            return None
        name, _, rest = known.text.partition(" <")
        who |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": rest.partition(">")[0]}
    return who


def _committer_as_author() -> dict[str, str]:
    given = {}
    for what in ("NAME", "EMAIL"):
        author = os.environ.get(f"GIT_AUTHOR_{what}")
        if author and not os.environ.get(f"GIT_COMMITTER_{what}"):
            given[f"GIT_COMMITTER_{what}"] = author
    return given


def message_of(contract: Contract, source: ServiceSource, text: str | None) -> str:
    """Return the message of the commit: `text`, and where the contract is from as trailers."""
    files = [file.resolve() for file in contract.sources.values()]
    trailers = {
        SERVICE_TRAILER: contract.service,
        "Bali-Version": source.version(),
        COMMIT_TRAILER: source.commit(files),
    }
    lines = [f"{name}: {value}" for name, value in trailers.items() if value]
    return (
        "\n".join([(text or f"Publish the contract of {contract.service}").strip(), "", *lines])
        + "\n"
    )


def make_commit(
    folder: Path,
    parent: str | None,
    contents: Mapping[str, bytes],
    message: str,
    who: Mapping[str, str],
) -> str:
    """Return a new commit in the git folder `folder`: that of `parent` with these files in it."""
    with tempfile.TemporaryDirectory(prefix="bali-index-") as name:
        index = {"GIT_INDEX_FILE": str(Path(name) / "index")}
        tree = [parent] if parent else ["--empty"]
        git("read-tree", *tree, folder=folder, environment=index)
        for path, content in contents.items():
            blob = git("hash-object", "-w", "--stdin", folder=folder, given=content)
            entry = f"100644,{blob},{path}"
            git("update-index", "--add", "--cacheinfo", entry, folder=folder, environment=index)
        made = git("write-tree", folder=folder, environment=index)
    signed = attempt_git("config", "--type=bool", "commit.gpgSign", folder=folder)
    options = ["-S"] if signed.text == "true" else []
    parents = ["-p", parent] if parent else []
    arguments = ("commit-tree", *options, *parents, "-F", "-", made)
    return git(*arguments, folder=folder, given=message.encode(), environment=dict(who))
