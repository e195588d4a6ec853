"""The one way in which a command ends with a failure."""

from __future__ import annotations

from typing import NoReturn

import typer

__all__ = ["abort"]


def abort(message: str, *, exit_code: int = 1) -> NoReturn:
    """Print `message` on stderr and end the process with `exit_code`, which is never 0."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(exit_code)
