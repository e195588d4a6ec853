"""Drift: what `bali build` would write now, and is not there."""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bali_cli.check.report import Group, Problem
from bali_cli.project import Project

if TYPE_CHECKING:
    from bali_cli.protoc import Diagnostic

__all__ = ["check_drift"]

_SHOWN_LINES = 40


def check_drift(project: Project) -> Group:
    """Return the files that are not as the resources and the .proto have it.

    Where the .proto are written by hand, also what of the resources does not fit them. Imports the
    service, and ends the process, with a message, when that fails.
    """
    from bali.errors import ConfigurationError
    from bali_cli.build.plan import needs_app, plan_build
    from bali_cli.protoc import ProtocError

    app = project.load_app() if needs_app(project) else None
    try:
        planned = plan_build(project, app)
    except ProtocError as error:
        problems = [_refused(one, project.root) for one in error.diagnostics]
        return Group(name="drift", remedy="correct them, then run: bali build", problems=problems)
    except ConfigurationError as error:
        problem = Problem(place="main.py:1", text=f"the contract cannot be built: {error}")
        return Group(name="drift", remedy="correct it, then run: bali build", problems=[problem])
    problems = [
        _problem(path.relative_to(project.root), _content(path), wanted)
        for path, wanted in sorted(planned.items())
        if _content(path) != wanted
    ]
    if app is None and not problems and project.main.is_file():
        return _check_binding(project)
    return Group(name="drift", remedy="run: bali build", problems=problems)


def _check_binding(project: Project) -> Group:
    from bali.errors import ConfigurationError

    app = project.load_app()
    try:
        _ = app.services  # made here, bound to the modules of the .proto
    except ConfigurationError as error:
        problem = Problem(place="main.py:1", text=f"the resources do not fit the .proto: {error}")
        return Group(name="drift", remedy="change the one or the other", problems=[problem])
    return Group(name="drift")


def _refused(diagnostic: Diagnostic, root: Path) -> Problem:
    file = diagnostic.file.removeprefix(f"{root}/")
    return Problem(place=f"{file}:{diagnostic.line}:{diagnostic.column}", text=diagnostic.text)


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
