"""Where the repo of protos is, and which of its commits is meant."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from bali_cli.console import abort
from bali_cli.git import attempt_git, git, without_secrets

__all__ = ["branch_of", "fetch_commit", "git_folder", "local_commit", "remote_branch", "resolve"]

_FULL_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: What a default branch is called, when nothing else tells.
_USUAL = ("main", "master")


def git_folder(source: str) -> Path:
    """Return the git folder (`.git`, or a bare repo itself) of the repo at the path `source`.

    Ends the process when the path does not exist, or is not the top of a git repo.
    """
    path = Path(source).expanduser()
    if not path.exists():
        abort(
            f"there is no folder {source}.\n"
            "Name the repo of protos: a folder, or an address as in https://host/team/proto.git"
        )
    if not path.is_dir():
        abort(f"{source} is a file; the repo of protos is a folder.")
    ceiling = {"GIT_CEILING_DIRECTORIES": os.path.realpath(path / os.pardir)}
    found = attempt_git("rev-parse", "--absolute-git-dir", folder=path, environment=ceiling)
    if "not a git repository" in found.errors:
        outer = attempt_git("rev-parse", "--show-toplevel", folder=path)
        inside = "" if outer.code else f" (it is inside of one, {outer.text})"
        abort(f"{source} is not a git repo{inside}.\nMake it one with `git init`, or name another.")
    found.refuse()
    return Path(found.text)


def branch_of(folder: Path) -> str | None:
    """Return the default branch of a local repo: that of its remote, else what is checked out.

    The branch may have no commit yet. None for a detached HEAD whose remote does not tell.
    """
    branches = git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/", folder=folder)
    existing = branches.splitlines()
    remote = attempt_git("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", folder=folder)
    if not remote.code:
        return remote.text.removeprefix("refs/remotes/origin/")
    head = attempt_git("symbolic-ref", "--quiet", "HEAD", folder=folder)
    if head.code:
        return None
    checked_out = head.text.removeprefix("refs/heads/")
    if checked_out in existing or not existing:
        return checked_out
    # A bare repo has the HEAD that it was made with, whatever was pushed to it since.
    likely = [name for name in existing if name in _USUAL]  # sorted by name
    return existing[0] if len(existing) == 1 else next(iter(likely), checked_out)


def local_commit(source: str, folder: Path, ref: str | None) -> str:
    """Return the full hash of `ref`, or of the default branch, in the git folder `folder`.

    Ends the process, with what there is, when it cannot be told.
    """
    if ref is not None:
        commit = resolve(folder, ref) or resolve(folder, f"refs/remotes/origin/{ref}")
        return commit or _unknown(source, folder, ref)
    branch = branch_of(folder)
    if branch is None:
        abort(
            f"no branch is checked out in {source} (its HEAD is detached), and it has no remote "
            "that tells which is the default.\nName a branch, a tag or a commit."
        )
    for name in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if commit := resolve(folder, name):
            return commit
    return _nothing(source, folder, branch)


def _nothing(source: str, folder: Path, branch: str) -> str:
    if names := _names(folder):
        abort(f"the default branch {branch} of {source} has no commit.\nThere is {names}.")
    abort(f"{source} has no commits yet; `bali publish` in the folder of a service brings one.")


def _unknown(source: str, folder: Path, ref: str) -> str:
    names = _names(folder)
    near = difflib.get_close_matches(ref, names.split(", "), n=3)
    there = (
        f"Did you mean {' or '.join(near)}?" if near else f"There is {names or 'no commit yet'}."
    )
    abort(f"{source} has no branch, tag or commit {ref!r}.\n{there}")


def _names(folder: Path) -> str:
    kinds = ("refs/heads/", "refs/remotes/origin/", "refs/tags/")
    listed = git("for-each-ref", "--format=%(refname)", *kinds, folder=folder).splitlines()
    names = (name.removeprefix(kind) for name in listed for kind in kinds if name.startswith(kind))
    return ", ".join(dict.fromkeys(name for name in names if name != "HEAD"))


def resolve(folder: Path, ref: str) -> str | None:
    """Return the full hash of the commit that `ref` names; None when there is none."""
    question = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = attempt_git(*question, folder=folder)
    return None if found.code or not _FULL_HASH.fullmatch(found.text) else found.text


def fetch_commit(source: str, ref: str | None, folder: Path) -> str:
    """Fetch what is needed of `ref` from an address into the new bare repo `folder`.

    Returns the full hash of the commit. Ends the process with git's words when there is no answer.
    """
    shown = without_secrets(source)
    git("init", "--quiet", "--bare", "--template=", folder)
    if ref is None:
        return _fetch_default(source, shown, folder)
    if _FULL_HASH.fullmatch(ref):
        alone = attempt_git("fetch", "-q", "--depth=1", "--", source, ref, folder=folder)
        if not alone.code:
            return resolve(folder, "FETCH_HEAD") or _unknown(shown, folder, ref)
    # A short hash, or `main~2`, is known only to who has the history.
    everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    _answer(source, "fetch", "-q", "--", source, *everything, folder=folder)
    return resolve(folder, ref) or _unknown(shown, folder, ref)


def remote_branch(address: str, folder: Path) -> str | None:
    """Return the default branch of the repo at an address; None when it has no commits yet.

    Ends the process with git's words when there is no answer, and when several branches may be it.
    """
    listed = _answer(address, "ls-remote", "--symref", "--", address, folder=folder)
    refs = [tuple(line.split("\t", 1)) for line in listed.splitlines() if "\t" in line]
    kind = "refs/heads/"
    branches = [name.removeprefix(kind) for _, name in refs if name.startswith(kind)]
    heads = [about.removeprefix(f"ref: {kind}") for about, name in refs if name == "HEAD"]
    likely = [*heads, *(branches if len(branches) == 1 else _USUAL)]
    found = next((name for name in likely if name in branches), None)
    if found is None and branches:
        shown = without_secrets(address)
        abort(f"{shown} does not tell its default branch.\nName one of {', '.join(branches)}.")
    return found


def _fetch_default(source: str, shown: str, folder: Path) -> str:
    branch = remote_branch(source, folder)
    if branch is None:
        abort(f"{shown} has no commits yet; `bali publish` in the folder of a service brings one.")
    name = f"refs/heads/{branch}"
    _answer(source, "fetch", "-q", "--depth=1", "--", source, f"{name}:{name}", folder=folder)
    return resolve(folder, name) or _unknown(shown, folder, branch)


def _answer(source: str, *arguments: str, folder: Path) -> str:
    outcome = attempt_git(*arguments, folder=folder)
    if outcome.code:
        abort(
            f"cannot read the repo {without_secrets(source)}: git says\n{outcome.errors}\n"
            f"The command was: {outcome.command}"
        )
    return outcome.text
