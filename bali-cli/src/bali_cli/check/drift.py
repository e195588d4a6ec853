"""Drift: what `bali build` would write now, and is not there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from bali_cli.check.report import Group, Problem
from bali_cli.project import Project

__all__ = ["check_drift"]

Plan = Callable[[Project, Any], Mapping[Path, bytes]]

_SHOWN_LINES = 40


def check_drift(project: Project) -> Group:
    """Return the files that are not as the resources and the .proto have it.

    Imports the service. Ends the process when that fails, with a message.
    """
    if find_spec("bali_cli.build") is None:
        return Group(name="drift", skipped="there is no `bali build` yet")
    plan: Plan = import_module("bali_cli.build.plan").plan_build
    planned = plan(project, project.load_app())
    problems = [
        _problem(path.relative_to(project.root), _content(path), wanted)
        for path, wanted in sorted(planned.items())
        if _content(path) != wanted
    ]
    return Group(name="drift", remedy="run: bali build", problems=problems)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _problem(path: Path, found: bytes | None, wanted: bytes) -> Problem:
    if found is None:
        return Problem(place=f"{path}:1", text="is missing")
    old, new = (text.decode(errors="replace").splitlines() for text in (found, wanted))
    same = (at for at, (one, other) in enumerate(zip(old, new, strict=False), 1) if one != other)
    line = next(same, min(len(old), len(new)) or 1)
    if path.suffix != ".proto":
        return Problem(place=f"{path}:{line}", text="is not what the compiler makes of its .proto")
    lines = difflib.unified_diff(old, new, "there", "wanted", n=1, lineterm="")
    details = tuple(islice(lines, 2, _SHOWN_LINES))
    return Problem(place=f"{path}:{line}", text="is not what the resources say", details=details)
