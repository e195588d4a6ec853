"""All checks of `bali check`, one after the other: none hides what another finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import typer

from bali_cli.buf_config import config_of
from bali_cli.check.breaking import check_breaking
from bali_cli.check.drift import check_drift
from bali_cli.check.files import ProtoFiles
from bali_cli.check.report import Group
from bali_cli.check.style import check_format, check_lint
from bali_cli.project import Project

__all__ = ["Outcome", "run_checks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The groups of findings. It is incomplete when a check ended with a message of its own."""

    groups: tuple[Group, ...]
    is_incomplete: bool

    @property
    def problems(self) -> int:
        """How many findings there are."""
        return sum(len(group.problems) for group in self.groups)


def run_checks(project: Project, against: str | None) -> Outcome:
    """Run every check and return what all of them found.

    A check that cannot be made at all (no main.py, a repo that does not answer) tells why on
    stderr, and the others are made nevertheless.
    """
    files = ProtoFiles(project)
    config = config_of(project)
    groups: list[Group | None] = [_guarded(lambda: check_format(files))]
    linted, compiles = check_lint(files, config)
    groups.append(linted)
    if compiles:
        groups.append(_guarded(lambda: check_breaking(files, config, against)))
        groups.append(_guarded(lambda: check_drift(project)))
    else:
        reason = "the .proto does not compile"
        groups += [Group(name=name, skipped=reason) for name in ("breaking changes", "drift")]
    return Outcome(
        groups=tuple(group for group in groups if group is not None),
        is_incomplete=None in groups,
    )


def _guarded(check: Callable[[], Group]) -> Group | None:
    """Run a check; None when it ended the command, which has told why by then."""
    try:
        return check()
    except typer.Exit:
        return None
