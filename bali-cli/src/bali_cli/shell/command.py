"""The command line of `bali shell`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["shell"]


def shell(
    code: Annotated[
        str | None,
        typer.Option("-c", "--code", metavar="CODE", help="Run this and end, without a prompt."),
    ] = None,
) -> None:
    """Open a Python prompt with the service at hand: app, db, call, settings, models, resources.

    `await` works, and so do the blocking forms. Without a terminal what comes in is run. Exit code
    1 means that the code raised. With IPython installed it is IPython's prompt.

    \b
    Examples:
      bali shell
      bali shell -c 'print(await User.aio.count())'
      bali shell -c 'print(await call("users.get", {"id": 1}))'
      bali shell < fill_in_users.py
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali.app.shell import run_shell
    from bali.errors import ConfigurationError
    from bali_cli.console import abort
    from bali_cli.project import current_project

    app = current_project().load_app()
    try:
        exit_code = run_shell(app, code)
    except ConfigurationError as error:
        abort(f"the service is not right: {error}")
    raise typer.Exit(exit_code)
