"""What would break callers of the contract that is published, or of a former commit."""

from __future__ import annotations

import difflib
from pathlib import Path

from bali_cli.buf import breaking_changes, compile_errors
from bali_cli.buf_config import BufConfig
from bali_cli.check.files import ProtoFiles
from bali_cli.check.report import Group, Problem
from bali_cli.console import abort
from bali_cli.git import attempt_git, git, is_url
from bali_cli.proto_repo import ProtoRepo
from bali_cli.proto_source import resolve
from bali_cli.publish.contract import contract_of

__all__ = ["check_breaking"]

_NAME = "breaking changes"
_REMEDY = (
    "keep what callers use (a field that goes leaves its number reserved); what breaks on purpose "
    "is published with `bali publish --allow-breaking`"
)


def check_breaking(files: ProtoFiles, config: BufConfig, against: str | None) -> Group:
    """Return what callers of the former contract would miss.

    `against` is a repo of protos (a folder or an address), or else a commit of the service's own
    repo; without it `../proto` is meant, if there is one. Ends the process when it is neither.
    """
    if not files.sources and against is None:
        return Group(name=_NAME, skipped="there is no .proto")
    if against is None:
        sibling = files.project.root.parent / "proto"
        if reason := _unpublished(sibling):
            return Group(name=_NAME, skipped=reason)
        return _against_repo(files, config, str(sibling))
    if is_url(against) or Path(against).expanduser().is_dir():
        return _against_repo(files, config, against)
    return _against_commit(files, config, against)


def _unpublished(sibling: Path) -> str:
    """Return why nothing can be published at the default place; "" when something may be."""
    if not any((sibling / name).exists() for name in (".git", "HEAD")):
        return f"there is no repo of protos at {sibling}; name one with --against"
    if not git("for-each-ref", "--count=1", folder=sibling):
        return f"nothing is published in {sibling} yet"
    return ""


def _against_repo(files: ProtoFiles, config: BufConfig, source: str) -> Group:
    repo = ProtoRepo.open(source)
    contract = contract_of(files.project)
    if not any(path in repo.objects for path in contract.sources):
        return Group(name=_NAME, skipped=f"{contract.service} is not published in {repo} yet")
    former = repo.read_all(path for path in repo.objects if path.endswith(".proto"))
    new = former | contract.contents()
    found = compile_errors(new, contract.sources)
    if not found:
        found = breaking_changes(new, former, contract.sources, config)
    places = {path: files.relative(source) for path, source in contract.sources.items()}
    problems = [Problem.of(one, places.get(one.path, one.path)) for one in found]
    return Group(name=f"{_NAME} (against {repo})", remedy=_REMEDY, problems=problems)


def _against_commit(files: ProtoFiles, config: BufConfig, ref: str) -> Group:
    root = files.project.root
    commit = None if attempt_git("rev-parse", "HEAD", folder=root).code else resolve(root, ref)
    if commit is None:
        listed = attempt_git("for-each-ref", "--format=%(refname:short)", folder=root)
        near = difflib.get_close_matches(ref, listed.text.splitlines())
        abort(
            f"{ref!r} is neither the repo of protos (a folder, an address) nor a branch, tag or "
            f"commit of the repo of this service.{f' Did you mean {near[0]}?' if near else ''}"
        )
    former = _protos_at(root, commit)
    gone = sorted(former.keys() - files.sources.keys())
    known = {path: source for path, source in files.sources.items() if path in former}
    found = breaking_changes(files.contents, former, known, config)
    problems = [
        *(Problem.of(one, files.place(one.path)) for one in found),
        *(Problem(place=f"{path}:1", text="the file is gone (FILE_NO_DELETE)") for path in gone),
    ]
    return Group(name=f"{_NAME} (against {ref})", remedy=_REMEDY, problems=problems)


def _protos_at(root: Path, commit: str) -> dict[str, bytes]:
    """Return the .proto that the service had, by the path that imports have."""
    repo = ProtoRepo.at(str(root), root, commit)
    top = git("rev-parse", "--show-prefix", folder=root)
    names = {
        path.removeprefix(folder): path
        for folder in (f"{top}services/rpc/", f"{top}protos/")
        for path in repo.files(folder)
        if path.endswith(".proto") and not path.startswith(f"{folder}google/")
    }
    contents = repo.read_all(names.values())
    return {name: contents[path] for name, path in names.items()}
