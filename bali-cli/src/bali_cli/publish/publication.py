"""Publishing: one commit on top of what is there, and never over somebody else's change."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from bali_cli.buf import Finding, breaking_changes, compile_errors
from bali_cli.buf_config import config_of
from bali_cli.console import abort
from bali_cli.git import Outcome, attempt_git, git
from bali_cli.project import Project
from bali_cli.proto_repo import ProtoRepo
from bali_cli.publish.commit import identity, make_commit, message_of
from bali_cli.publish.contract import Contract
from bali_cli.publish.ownership import changes_of, refuse_foreign
from bali_cli.publish.source import ServiceSource
from bali_cli.publish.target import Target

__all__ = ["Options", "Publication", "Publisher"]

#: How often a branch may move under us before we give up.
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says. `branch` None is the default branch, `message` None our own."""

    branch: str | None = None
    message: str | None = None
    allow_breaking: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What came of it. Without a `commit` there was nothing to publish."""

    branch: str
    paths: tuple[str, ...]
    commit: str | None = None
    difference: str = ""
    is_followed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Where to begin.

    `tip` is the newest commit of `branch`, `base` the one to build on, `published` the one whose
    contract callers have; None where there is none.
    """

    branch: str
    tip: str | None
    base: str | None
    published: str | None


class Publisher:
    """Puts the contract of a service on a branch of the repo of protos."""

    def __init__(
        self, project: Project, contract: Contract, target: Target, options: Options
    ) -> None:
        self._project = project
        self._contract = contract
        self._target = target
        self._options = options
        self._source = ServiceSource(root=project.root)
        self._contents = contract.contents()

    def publish(self) -> Publication:
        """Publish what differs from what is there, and return what was done.

        Ends the process, with nothing changed, when that would undo a change of somebody else, when
        it breaks callers and may not, and when the repo refuses the commit.
        """
        start = self._starting_point()
        new = self._changed(start.base)
        if not new:
            return Publication(branch=start.branch, paths=tuple(self._contents))
        self._refuse_foreign(start.base, new)
        self._target.refuse_dirty(new, start.branch)
        self._refuse_breaking(start)
        commit = self._commit(start.base, new)
        difference = self._difference(commit)
        followed = True
        if not self._options.dry_run:
            commit = self._deliver(start, commit, new)
            followed = self._target.bring_forward(commit, start.branch)
        return Publication(
            branch=start.branch,
            paths=tuple(new),
            commit=commit,
            difference=difference,
            is_followed=followed,
        )

    def _starting_point(self) -> _Start:
        """A new branch starts at the default branch, and so does one that is merged already."""
        default = self._target.default_branch()
        branch = self._options.branch if self._options.branch is not None else default
        if branch is None:
            self._refuse_detached()
        folder = self._target.folder
        valid = attempt_git("check-ref-format", f"refs/heads/{branch}", folder=folder)
        if valid.code or branch.startswith("-"):
            abort(f"{branch!r} cannot be the name of a branch in git.")
        tip = self._target.head(branch)
        if tip is None and default is None:  # nothing to start the branch at
            self._refuse_detached()
        published = tip if default in {None, branch} else self._target.head(default)
        base = tip or published
        if tip is not None and published is not None:
            merged = attempt_git("merge-base", "--is-ancestor", tip, published, folder=folder)
            base = tip if merged.code else published
        return _Start(branch=branch, tip=tip, base=base, published=published or tip)

    def _refuse_detached(self) -> NoReturn:
        abort(
            f"no branch is checked out in {self._target.shown} (its HEAD is detached).\n"
            "Check one out there, or name one that there is with --branch."
        )

    def _repo(self, commit: str) -> ProtoRepo:
        return ProtoRepo.at(self._target.shown, self._target.folder, commit)

    def _protos(self, commit: str | None) -> dict[str, bytes]:
        if commit is None:
            return {}
        repo = self._repo(commit)
        return repo.read_all(path for path in repo.objects if path.endswith(".proto"))

    def _changed(self, base: str | None) -> dict[str, bytes]:
        if base is None:
            return dict(self._contents)
        repo = self._repo(base)
        there = repo.read_all(path for path in self._contents if path in repo.objects)
        return {path: new for path, new in self._contents.items() if there.get(path) != new}

    def _refuse_foreign(self, base: str | None, new: Mapping[str, bytes]) -> None:
        if base is None:
            return
        there = self._repo(base).objects
        for path, content in new.items():
            if path not in there:
                self._refuse_in_the_way(base, path)
            changes = changes_of(self._target.folder, base, path)
            refuse_foreign(self._contract, path, changes, content, self._source)

    def _refuse_in_the_way(self, head: str, path: str) -> None:
        """End the process when something that is no file has the place of one of ours."""
        places = [path, *(path[:at] for at, letter in enumerate(path) if letter == "/")]
        folder = self._target.folder
        for place in places:
            listed = git("ls-tree", "-z", "--full-tree", head, "--", place, folder=folder)
            kind = listed.partition(" ")[0]
            if kind and (place == path or kind != "040000"):
                abort(
                    f"{place} in {self._target.shown} is no place for {path}: it is a link, a "
                    "submodule, or a file where a folder has to be.\nRemove it there first."
                )

    def _refuse_breaking(self, start: _Start) -> None:
        before = self._protos(start.base)
        after = before | self._contents
        if wrong := compile_errors(after, self._contents):
            abort(
                f"the contract does not compile among those of {self._target.shown}:\n"
                f"{self._listed(wrong)}\nNothing is published. Imports start at the top of that "
                'repo, as in `import "user/types.proto";`.'
            )
        known = before if start.published == start.base else self._protos(start.published)
        config = config_of(self._project)
        found = breaking_changes(after, known, self._contract.sources, config)
        if found and not self._options.allow_breaking:
            abort(
                f"this would break who calls {self._contract.service}:\n{self._listed(found)}\n"
                "Nothing is published. Keep what callers use, or say --allow-breaking."
            )

    def _listed(self, findings: Sequence[Finding]) -> str:
        sources = self._contract.sources
        return "\n".join(
            f"  {sources.get(one.path, one.path)}:{one.line}:{one.column}: {one.message}"
            for one in findings
        )

    def _commit(self, parent: str | None, new: Mapping[str, bytes]) -> str:
        folder = self._target.folder
        message = message_of(self._contract, self._source, self._options.message)
        who = identity(folder, self._project.root)
        return make_commit(folder, parent, new, message, who)

    def _difference(self, commit: str) -> str:
        options = ("--format=", "--no-ext-diff", "--no-textconv", "--patch")
        return git("show", *options, commit, folder=self._target.folder)

    def _deliver(self, start: _Start, commit: str, new: Mapping[str, bytes]) -> str:
        """Move the branch to `commit`, or to one made anew when others were faster."""
        tip, base = start.tip, start.base
        attempts = 0
        while (outcome := self._target.deliver(commit, start.branch, tip)).code:
            attempts += 1
            if attempts == _ATTEMPTS:
                abort(
                    f"{start.branch} of {self._target.shown} was busy {_ATTEMPTS} times.\n"
                    "Nothing is published; try again."
                )
            moved = self._target.head(start.branch)
            if moved == tip and not _is_taken(outcome):
                self._refuse_delivery(start.branch, outcome)
            if moved is not None and moved != tip:
                self._refuse_overtaken(base, moved, new)
                if not self._changed(moved):
                    return moved
                base = moved
                commit = self._commit(base, new)
            tip = moved
            time.sleep(random.uniform(0, 0.1 * attempts))  # noqa: S311 - to meet nobody again
        return commit

    def _refuse_overtaken(self, base: str | None, moved: str, new: Mapping[str, bytes]) -> None:
        before = self._repo(base).objects if base else {}
        after = self._repo(moved)
        for path, content in new.items():
            is_touched = before.get(path) != after.objects.get(path)
            if is_touched and (path not in after.objects or after.read(path) != content):
                last = changes_of(self._target.folder, moved, path)[0]
                abort(
                    f"{path} was changed in {self._target.shown} at the same time:\n  {last}\n"
                    "Nothing is published. Look at that change, then publish again."
                )

    def _refuse_delivery(self, branch: str, outcome: Outcome) -> NoReturn:
        abort(
            f"{self._target.shown} refuses the commit on {branch}: git says\n{outcome.errors}\n"
            "Nothing is published. Where only merge requests may change that branch, publish to "
            "one of your own with --branch."
        )


def _is_taken(outcome: Outcome) -> bool:
    """Tell whether somebody else is moving the branch right now."""
    return any(word in outcome.errors for word in (".lock", "lock ref", "incorrect old value"))
