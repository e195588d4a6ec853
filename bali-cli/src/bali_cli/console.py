"""What commands tell: messages on stderr, results on stdout, and one way to fail."""

from __future__ import annotations

from typing import NoReturn

import typer

__all__ = ["abort", "progress", "result"]


def abort(message: str, *, exit_code: int = 1) -> NoReturn:
    """Print `message` on stderr and end the process with `exit_code`, which is never 0."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(exit_code)


def progress(message: str) -> None:
    """Print what a command does, for people, on stderr."""
    typer.echo(message, err=True)


def result(text: str) -> None:
    """Print what a command was asked for, for people and programs, on stdout."""
    typer.echo(text)
