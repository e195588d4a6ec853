"""Format and lint of the .proto of a service."""

from __future__ import annotations

from bali_cli.buf import format_difference, lint
from bali_cli.buf_config import BufConfig
from bali_cli.check.files import ProtoFiles
from bali_cli.check.report import Group, Problem

__all__ = ["check_format", "check_lint"]


def check_format(files: ProtoFiles) -> Group:
    """Return the hand-written files that buf would format; those of `bali build` are its own."""
    problems = []
    for name in sorted(files.sources):
        if not files.is_generated(name):
            place = files.place(name)
            if difference := format_difference(place, files.contents[name]):
                lines = difference.splitlines()[2:]
                line = f"{place}:{_first_line(lines)}"
                problems.append(Problem(place=line, text="is not formatted", details=lines))
    folders = " ".join(dict.fromkeys(one.place.rpartition(":")[0] for one in problems))
    return Group(name="format", remedy=f"run: buf format -w {folders}", problems=problems)


def check_lint(files: ProtoFiles, config: BufConfig) -> tuple[Group, bool]:
    """Return what breaks a rule of style, and whether the files compile at all."""
    if not files.sources:
        return Group(name="lint"), True
    found = lint(files.contents, files.sources, config)
    compiles = all(one.rule != "COMPILE" for one in found)
    remedy = "correct them; a buf.yaml beside main.py can set other rules"
    problems = [Problem.of(one, files.place(one.path)) for one in found]
    return Group(name="lint", remedy=remedy, problems=problems), compiles


def _first_line(difference: list[str]) -> int:
    """Return the number of the first line that a diff (from its `@@ -7,6 +7,8 @@` on) changes."""
    start = int(difference[0].removeprefix("@@ -").split(" ")[0].split(",")[0])
    kept = next((at for at, line in enumerate(difference[1:]) if line[:1] in {"-", "+"}), 0)
    return start + kept
