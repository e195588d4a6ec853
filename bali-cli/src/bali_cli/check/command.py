"""The command line of `bali check`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["check"]


def check(
    *,
    against: Annotated[
        str | None,
        typer.Option(
            help="What callers have: the repo of protos (a folder or an address), or a branch, tag "
            "or commit of this service; ../proto if left out."
        ),
    ] = None,
) -> None:
    """Check the contract of this service: format, lint, breaking changes and drift.

    Drift is a .proto, or code made of it, that is not what `bali build` would write now. Exit code
    1 when anything is found.

    \b
    Examples:
      bali check
      bali check --against main
      bali check --against git@host:team/proto.git
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.check.checks import run_checks
    from bali_cli.check.report import report
    from bali_cli.console import abort, result
    from bali_cli.project import current_project

    project = current_project()
    if not project.main.is_file() and not project.proto_files():
        project.load_app()  # says that this is no folder of a service
    outcome = run_checks(project, against)
    result(report(outcome.groups))
    if outcome.problems or outcome.is_incomplete:
        plural = "finding" if outcome.problems == 1 else "findings"
        rest = ", and not everything could be checked" if outcome.is_incomplete else ""
        abort(f"{outcome.problems or 'no'} {plural}{rest}.")
