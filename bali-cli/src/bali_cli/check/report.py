"""What the checks found, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bali_cli.buf import Finding

__all__ = ["Group", "Problem", "report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding: where (`protos/user.proto:3:1`), what, and the lines that show it, if any."""

    place: str
    text: str
    details: Sequence[str] = ()

    @classmethod
    def of(cls, finding: Finding, path: str) -> Problem:
        """Return a finding of buf, in the file that is called `path` here."""
        place = f"{path}:{finding.line}:{finding.column}"
        return cls(place=place, text=f"{finding.message} ({finding.rule})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one check came to.

    `remedy` says what to do about its problems. A check that could not be made has `skipped`, the
    reason.
    """

    name: str
    remedy: str = ""
    problems: Sequence[Problem] = ()
    skipped: str = ""


def report(groups: Sequence[Group]) -> str:
    """Return the text for people: the problems by check, or one line for each that has none."""
    return "\n".join(line for group in groups for line in _lines(group))


def _lines(group: Group) -> list[str]:
    if group.skipped:
        return [f"{group.name}: not checked, {group.skipped}"]
    if not group.problems:
        return [f"{group.name}: ok"]
    lines = [f"{group.name}:"]
    for problem in group.problems:
        lines.append(f"  {problem.place}: {problem.text}")
        lines += [f"      {detail}" for detail in problem.details]
    return [*lines, f"  -> {group.remedy}"]
